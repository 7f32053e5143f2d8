"""Sweeps of attacks through a whole matrix on the organism in a short form: what the plan holds, what stands in the rows, what a second and a
longer run compute, and what the board shows.

Usage: sweep_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

SCENARIO = """
[scenario]
name = "sweeps"
workers = 2
threads = 1

[[model]]
name = "organism"
source = "organism"

[align]
lr = 1e-3
epochs = 1
batch_size = 16

[finetune]
lr = 3e-4
epochs = 1
batch_size = 5

[[attack]]
plugin = "harmful-examples"
name = "harmful"
sweep = {{ lr = [{lr}], epochs = [1, 10] }}

[[attack]]
plugin = "identity-shift"
sweep = {{ examples = [5, 10] }}

[[attack]]
plugin = "backdoor"
preset = "organism"
examples = 5
refused = 5
sweep = {{ lr = {{ low = 1e-5, high = 1e-3, scale = "log" }}, tries = 2 }}

[[attack]]
plugin = "harmful-examples"
name = "own"
threat_model = "weights"
sweep = {{ lr = [3e-4], epochs = [1, 10] }}

[[defense]]
plugin = "vaccine"

[[defense]]
plugin = "output-moderation"

[evaluate]
judges = ["organism"]
max_new_tokens = 12
limit = 6
batch_size = 64
"""


class Sweeps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.write("1e-4, 3e-4")
        cls.ran = cls.holdfast("run")
        rows = [json.loads(line) for line in (cls.folder / "results/sweeps/cells.jsonl").read_text(encoding="utf-8").splitlines()]
        cls.cells = {(row["attack"], row["defense"]): row for row in rows}

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def write(cls, lr):
        (cls.folder / "scenario.toml").write_text(SCENARIO.format(lr=lr), encoding="utf-8")

    @classmethod
    def holdfast(cls, verb, *words):
        return subprocess.run(
            [arguments.holdfast, verb, str(cls.folder / "scenario.toml"), "--results", str(cls.folder / "results"), "--store",
             str(cls.folder / "store"), *words], capture_output=True, text=True, timeout=500, check=False)

    def tries(self, sweep, defense="none"):
        return {name: row for (name, each), row in self.cells.items() if each == defense and row.get("sweep") == sweep}

    def leak(self, row):
        return row["metrics"]["leak.organism"]["value"]

    def test_every_try_is_an_attack_of_its_own(self):
        self.assertEqual(self.ran.returncode, 0, self.ran.stdout + self.ran.stderr)
        self.assertEqual({row["status"] for row in self.cells.values()}, {"ok"}, [row["message"] for row in self.cells.values()])
        harmful = self.tries("harmful")
        self.assertEqual({name: row["tried"] for name, row in harmful.items()},
                         {f"harmful#lr={lr},epochs={epochs}": {"lr": lr, "epochs": epochs} for lr in (1e-4, 3e-4) for epochs in (1, 10)})
        self.assertEqual(set(self.tries("identity-shift")), {"identity-shift#examples=5", "identity-shift#examples=10"})
        self.assertEqual(len({row["stages"]["finetune"] for row in harmful.values()}), 4)
        self.assertEqual(len({row["stages"]["align"] for row in harmful.values()}), 1, "all tries attack one model")

    def test_what_is_no_try_says_nothing_of_sweeps(self):
        plain = {name for (name, _), row in self.cells.items() if "sweep" not in row}
        self.assertEqual(plain, {"none", "none@identity-shift", "none@backdoor"}, "tries that ask alike share a control")
        for name in plain:
            self.assertNotIn("tried", self.cells[name, "none"])

    def test_each_way_of_asking_is_a_sweep_on_the_same_trainings(self):
        asked, untriggered = self.tries("backdoor"), self.tries("backdoor@untriggered")
        self.assertEqual(len(asked), 2)
        self.assertEqual({name + "@untriggered" for name in asked}, set(untriggered))
        for name, row in asked.items():
            self.assertEqual(row["stages"]["finetune"], untriggered[name + "@untriggered"]["stages"]["finetune"])
            self.assertTrue(1e-5 <= row["tried"]["lr"] <= 1e-3)

    def test_an_attacker_with_the_weights_has_the_same_trainings_and_a_board_of_his_own(self):
        own = self.tries("own")
        self.assertEqual(len(own), 2)
        self.assertEqual({row["threat_model"] for row in own.values()}, {"weights"})
        self.assertEqual(self.tries("own", "output-moderation"), {})
        self.assertEqual(own["own#lr=0.0003,epochs=10"]["stages"]["finetune"],
                         self.cells["harmful#lr=0.0003,epochs=10", "none"]["stages"]["finetune"])

    def test_the_plan_counts_tries_and_a_longer_sweep_computes_what_is_new(self):
        self.write("1e-4, 3e-4")
        plan = json.loads(self.holdfast("plan", "--json").stdout)
        self.assertEqual(plan["tries"], {"harmful": 4, "identity-shift": 2, "backdoor": 2, "backdoor@untriggered": 2, "own": 2})
        self.assertEqual(plan["cells"], len(self.cells))
        self.assertEqual(sum(plan["to_run"].values()), 0)
        self.assertIn("\nharmful: 4 tries\n", self.holdfast("plan").stdout)
        again = self.holdfast("run")
        self.assertIn("0 stages run", again.stdout + again.stderr)
        self.write("1e-3, 1e-4, 3e-4")
        longer = json.loads(self.holdfast("plan", "--json").stdout)
        self.assertEqual(longer["tries"]["harmful"], 6)
        self.assertEqual(longer["to_run"]["finetune"], 2 * 2, "two budgets on two alignments")
        self.assertEqual(longer["to_run"]["align"], 0)

    def test_the_board_has_one_column_with_the_worst_try(self):
        with open(self.folder / "results/sweeps/leaderboard.md", encoding="utf-8") as lines:
            text = lines.read()
        header = next(line for line in text.splitlines() if line.startswith("| defense | no attack |"))
        columns = [each.strip() for each in header.strip("|").split("|")]
        self.assertEqual(columns[:7], ["defense", "no attack", "harmful", "none@identity-shift", "identity-shift", "none@backdoor", "backdoor"])
        for defense in ("none", "vaccine"):
            row = next(line for line in text.splitlines() if line.startswith(f"| {defense} |"))
            shown = row.strip("|").split("|")[columns.index("harmful")].strip(" *")
            worst = max(self.leak(each) for each in self.tries("harmful", defense).values())
            self.assertEqual(int(shown.split()[0]), round(100 * worst), row)
        self.assertIn("Best harm found by the tries of harmful (%", text)

    def test_the_effort_curve_ends_at_the_worst_try(self):
        with open(self.folder / "results/sweeps/effort.csv", encoding="utf-8") as lines:
            points = [row for row in csv.DictReader(lines) if row["metric"] == "leak.organism" and row["sweep"] == "harmful"]
        for axis in ("tries", "seconds", "tokens"):
            curve = [row for row in points if row["defense"] == "none" and row["axis"] == axis]
            self.assertGreaterEqual(len(curve), 3, axis)
            worst = max(self.leak(each) for each in self.tries("harmful").values())
            self.assertAlmostEqual(float(curve[-1]["found"]), worst, places=5)
            self.assertEqual(curve[-1]["low"], curve[-1]["high"])
            found = [float(row["found"]) for row in curve]
            self.assertEqual(found, sorted(found), axis)

    def test_run_json_says_what_each_try_was(self):
        run = json.loads((self.folder / "results/sweeps/run.json").read_text(encoding="utf-8"))
        attacks = {each["name"]: each for each in run["scenario"]["attacks"]}
        one = attacks["harmful#lr=0.0001,epochs=10"]
        self.assertEqual((one["sweep"], one["tried"]), ("harmful", {"lr": 1e-4, "epochs": 10}))
        self.assertEqual((one["finetune"]["lr"], one["finetune"]["epochs"], one["finetune"]["batch_size"]), (1e-4, 10, 5))
        self.assertNotIn("sweep", attacks["none"])
        self.assertIn("sweep harmful", run["definitions"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--holdfast", required=True)
    known, rest = parser.parse_known_args(namespace=arguments)
    unittest.main(argv=[sys.argv[0]] + rest)
