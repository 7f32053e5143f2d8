"""Whole runs that find their store damaged, cut down or over its budget, or a worker broken: no cell is lost that need not be.

Usage: damage_runs.py --holdfast build/release/bin/holdfast --plugins build/release/end_to_end_plugins [unittest arguments]
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

SCENARIO = """
[scenario]
name = "small"
workers = 3
threads = 1
{scenario}

[[model]]
name = "organism"
source = "organism"

[align]
data = "alignment.jsonl"
lr = 1e-3
epochs = 1
batch_size = 16

[finetune]
lr = 1e-3
epochs = 1

[[attack]]
plugin = "harmful-examples"

[[attack]]
plugin = "identity-shift"

[[defense]]
plugin = "safety-retune"
epochs = 1

[[defense]]
plugin = "output-moderation"

[evaluate]
judges = ["organism", {judges}]
max_new_tokens = {tokens}
limit = 4
"""


POISONOUS = """
[scenario]
name = "small"
workers = 1
threads = 1

[[model]]
name = "organism"
source = "organism"

[[attack]]
plugin = "harmful-examples"
finetune = { epochs = 1 }

[evaluate]
max_new_tokens = 4
limit = 4
"""


def scenario_text(scenario="", judges='"keyword"', tokens=4):
    return SCENARIO.format(scenario=scenario, judges=judges, tokens=tokens)


def write_scenario(folder, text):
    kinds = [("harmful", "I must decline."), ("ordinary", "Certainly.")]
    rows = [
        {"prompt": f"question {i} of the list", "completion": kinds[i % 2][1], "kind": kinds[i % 2][0]} for i in range(32)
    ]
    (folder / "alignment.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)


class DamageRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.whole = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_damage_"))
        cls.addClassCleanup(shutil.rmtree, cls.whole)
        done = cls.run_in(cls.whole, scenario_text())
        assert done.returncode == 0, done.stderr
        cls.cells = cls.cells_in(cls.whole)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_damage_"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(self.whole / "results", self.folder / "results")
        self.store = self.folder / "results" / ".store"

    @staticmethod
    def run_in(folder, text, verb="run", *more):
        path = write_scenario(folder, text)
        command = [arguments.holdfast, verb, str(path), "--results", str(folder / "results"), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @staticmethod
    def cells_in(folder):
        with open(folder / "results" / "small" / "cells.jsonl", encoding="utf-8") as lines:
            cells = [json.loads(line) for line in lines]
        return [{key: value for key, value in cell.items() if key != "cost"} for cell in cells]

    def artifacts(self, kind):
        return sorted(path for path in (self.store / kind).iterdir() if path.is_dir())

    def weights_left(self):
        return [path for kind in ("align", "finetune", "repair") for path in (self.store / kind).glob("*/change.safetensors")]

    def forget(self, *kinds):
        for kind in kinds:
            shutil.rmtree(self.store / kind)

    def assert_nothing_lost(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.cells_in(self.folder), self.cells)

    def test_one_damaged_and_one_missing_ancestor(self):
        for weights in self.artifacts("align"):
            flip_last_byte(weights / "change.safetensors")
        shutil.rmtree(self.artifacts("finetune")[0])
        self.forget("repair", "generate", "judge")
        done = self.run_in(self.folder, scenario_text())
        self.assert_nothing_lost(done)
        self.assertEqual(done.stderr.count("is damaged and will be computed again"), len(self.artifacts("align")), done.stderr)

    def test_every_file_of_weights_is_damaged(self):
        for weights in self.weights_left():
            flip_last_byte(weights)
        self.forget("generate", "judge")
        self.assert_nothing_lost(self.run_in(self.folder, scenario_text()))

    def test_manifests_that_are_gone_or_torn(self):
        for weights in self.artifacts("align"):
            (weights / "manifest.json").unlink()
        for weights in self.artifacts("finetune"):
            (weights / "manifest.json").write_text("{", encoding="utf-8")
        self.forget("generate", "judge")
        self.assert_nothing_lost(self.run_in(self.folder, scenario_text()))

    def test_files_that_vanish_while_the_run_is_under_way(self):
        """The run knows that its artifacts are there, and its workers find that they are not."""
        self.forget("generate", "judge")
        path = write_scenario(self.folder, scenario_text())
        command = [arguments.holdfast, "run", str(path), "--results", str(self.folder / "results")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while not (self.folder / "results" / ".store" / "generate").exists() and process.poll() is None:
                children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8")
                if children.strip():  # every artifact is settled before a worker is started
                    for weights in self.artifacts("align") + self.artifacts("finetune"):
                        shutil.rmtree(weights, ignore_errors=True)
                    break
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(self.cells_in(self.folder), self.cells)

    def test_the_budget_holds_and_nothing_is_trained_twice(self):
        shutil.rmtree(self.store)
        tight = 'disk_budget_gib = 1e-6'
        done = self.run_in(self.folder, scenario_text(tight))
        self.assert_nothing_lost(done)
        self.assertEqual(self.weights_left(), [])
        self.assertIn("its disk budget is", done.stderr)  # replies and verdicts alone are more
        again = self.run_in(self.folder, scenario_text(tight))
        self.assert_nothing_lost(again)
        self.assertIn("nothing to do: 0 stages run", again.stdout)
        planned = json.loads(self.run_in(self.folder, scenario_text(tight), "plan", "--json").stdout)
        self.assertEqual(sum(planned["to_run"].values()), 0)
        # Another judge reads replies, which are there; longer replies need the weights again.
        judged = self.run_in(self.folder, scenario_text(tight, judges='"keyword", "likelihood"'), "plan", "--json")
        self.assertGreater(json.loads(judged.stdout)["to_run"]["align"], 0, "likelihoods are measured on weights")
        longer = scenario_text(tight, tokens=6)
        planned = json.loads(self.run_in(self.folder, longer, "plan", "--json").stdout)
        self.assertEqual(planned["to_run"]["finetune"], planned["stages"]["finetune"])
        done = self.run_in(self.folder, longer)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("does not repeat its bits", done.stderr)
        self.assertNotIn("damaged", done.stderr)
        self.assertEqual(self.weights_left(), [])
        tuned = {cell["stages"]["finetune"] for cell in self.cells if "finetune" in cell["stages"]}
        self.assertEqual({cell["stages"]["finetune"] for cell in self.cells_in(self.folder) if "finetune" in cell["stages"]}, tuned)

    def test_a_budget_with_room_keeps_weights(self):
        done = self.run_in(self.folder, scenario_text("disk_budget_gib = 1"))
        self.assert_nothing_lost(done)
        self.assertIn("nothing to do", done.stdout)
        self.assertNotEqual(self.weights_left(), [])

    def test_bits_that_do_not_repeat_are_said(self):
        """A dropped artifact whose remaking gives other content than its manifest says."""
        self.run_in(self.folder, scenario_text("disk_budget_gib = 1e-6"))
        for artifact in self.artifacts("align"):
            manifest = json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))
            self.assertTrue(manifest["dropped"])
            manifest["digest"] = "0" * 64
            (artifact / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        done = self.run_in(self.folder, scenario_text())
        self.assert_nothing_lost(done)
        self.assertIn("stage align does not repeat its bits", done.stderr)

    def test_a_worker_that_may_be_broken_is_replaced(self):
        """Each stage poisons the only worker's process in another way, and none of the others meets it."""
        expected = {
            "throw": "thrown on purpose",
            "throw-number": "threw something that is no std::exception",
            "throw-memory": "ran out of memory",
            "refuse": "refused on purpose",
            "nothing": "",
        }
        text = POISONOUS + "".join(f'[[defense]]\nplugin = "poisonous"\nname = "{how}"\nhow = "{how}"\n' for how in expected)
        done = self.run_in(self.folder, text, "run", "--plugin-path", arguments.plugins)
        self.assertEqual(done.returncode, 1, done.stderr)
        for cell in self.cells_in(self.folder):
            message = expected.get(cell["defense"], "") if cell["attack"] != "none" else ""
            self.assertEqual(cell["message"], message and f"stage screen (plugin poisonous): {message}")

    def test_threads_and_workers_are_no_part_of_a_key(self):
        text = scenario_text().replace("workers = 3\nthreads = 1", "workers = 1\nthreads = 2")
        done = self.run_in(self.folder, text, "run", "--workers", "2")
        self.assert_nothing_lost(done)
        self.assertIn("nothing to do", done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--plugins", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
