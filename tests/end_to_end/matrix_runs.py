"""Whole runs on the model organism: resuming after kills, misbehaving plugins, damaged artifacts, bad input.

Usage: matrix_runs.py --holdfast build/release/bin/holdfast --plugins build/release/end_to_end_plugins [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

arguments = argparse.Namespace()

SMALL = """
[scenario]
name = "small"
seeds = [1, 2]
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
lr = 1e-3
epochs = 2

[[attack]]
plugin = "harmful-examples"

[[attack]]
plugin = "identity-shift"

[[defense]]
plugin = "output-moderation"

[evaluate]
judges = ["organism", "keyword", "coherence"]
max_new_tokens = 12
limit = 8
"""

COPIED = """
[scenario]
name = "copied"
workers = 2
threads = 1

[[model]]
name = "copy"
source = "MODEL"

[corpora]
harmful = "builtin:organism/harmful"

[align]
data = "builtin:organism/alignment"
lr = 1e-3
epochs = 1
batch_size = 16

[[attack]]
plugin = "harmful-examples"
finetune = { epochs = 1 }

[evaluate]
probes = ["builtin:organism/probes"]
judges = ["keyword", "coherence"]
max_new_tokens = 8
limit = 4
"""

MISBEHAVING = """
[scenario]
name = "misbehaving"
workers = 2
threads = 1
stage_timeout = 20

[[model]]
name = "organism"
source = "organism"

[[attack]]
plugin = "harmful-examples"
finetune = { epochs = 1 }

[[defense]]
plugin = "misbehaving"
name = "throws"
how = "throw"

[[defense]]
plugin = "misbehaving"
name = "crashes"
how = "crash"

[[defense]]
plugin = "misbehaving"
name = "hangs"
how = "hang"

[evaluate]
max_new_tokens = 8
limit = 4
"""


def rows(results, name):
    with open(results / name / "cells.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def without_costs(cells):
    return [{key: value for key, value in cell.items() if key != "cost"} for cell in cells]


class MatrixRuns(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_e2e_"))
        self.addCleanup(shutil.rmtree, self.folder)

    def scenario(self, text, name="scenario.toml"):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, scenario, results, *more):
        return [arguments.holdfast, "run", str(scenario), "--results", str(results), "--plugin-path", arguments.plugins, *more]

    def run_scenario(self, scenario, results, *more):
        return subprocess.run(self.command(scenario, results, *more), capture_output=True, text=True, check=False)

    def start(self, scenario, results):
        return subprocess.Popen(
            self.command(scenario, results), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def assert_ran(self, done, code=0):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)

    def undisturbed(self, scenario):
        """Runs once without disturbance; returns its cells and how long it took."""
        results = self.folder / "undisturbed"
        started = time.monotonic()
        self.assert_ran(self.run_scenario(scenario, results))
        return rows(results, "small"), time.monotonic() - started

    def test_an_unchanged_second_run_does_nothing(self):
        scenario = self.scenario(SMALL)
        cells, _ = self.undisturbed(scenario)
        self.assertEqual(len(cells), 4 * 2 * 2)
        self.assertEqual({cell["attack"] for cell in cells}, {"none", "harmful-examples", "identity-shift", "none@identity-shift"})
        self.assertTrue(all(cell["status"] == "ok" for cell in cells))
        self.assertIn("leak.organism", cells[0]["metrics"])
        again = self.run_scenario(scenario, self.folder / "undisturbed")
        self.assert_ran(again)
        self.assertIn("nothing to do: 0 stages run", again.stdout)
        self.assertEqual(rows(self.folder / "undisturbed", "small"), cells)

    def test_the_cost_is_that_of_each_stage_once_beside_each_cell_with_all_that_it_needs(self):
        scenario = self.scenario(SMALL)
        results = self.folder / "results"
        done = self.run_scenario(scenario, results)
        self.assert_ran(done)
        with open(results / "small" / "stages.jsonl", encoding="utf-8") as lines:
            stages = {stage["key"]: stage for stage in map(json.loads, lines)}
        seconds = {key: stage["cost"]["seconds"] for key, stage in stages.items()}
        alone = 0
        for cell in rows(results, "small"):
            needed, open_keys = set(), list(cell["stages"].values())
            while open_keys:
                key = open_keys.pop()
                if key not in needed:
                    needed.add(key)
                    open_keys.extend(stages[key]["inputs"].values())
            alone += sum(seconds[key] for key in needed)
        told = json.loads((results / "small" / "run.json").read_text(encoding="utf-8"))["matrix_seconds"]
        self.assertAlmostEqual(told["distinct"], sum(seconds.values()), places=6)
        self.assertAlmostEqual(told["alone"], alone, places=6)
        self.assertLess(told["distinct"], told["alone"])
        self.assertIn(f": {told['distinct'] / told['alone']:.2f} of it\n", done.stdout)
        plan = [arguments.holdfast, "plan", str(scenario), "--results", str(results), "--plugin-path", arguments.plugins]
        planned = json.loads(subprocess.run([*plan, "--json"], capture_output=True, text=True, check=True).stdout)["cost"]
        self.assertAlmostEqual(planned["distinct"], told["distinct"], places=6)
        self.assertAlmostEqual(planned["alone"], told["alone"], places=6)
        self.assertIn(f": {planned['share']:.2f} of it\n", subprocess.run(plan, capture_output=True, text=True, check=True).stdout)

    def test_a_checkpoint_that_stayed_the_same_is_not_read_for_its_digest_again(self):
        model = self.folder / "model"
        shutil.copytree(pathlib.Path(arguments.holdfast).resolve().parent.parent / "share" / "holdfast" / "organism", model)
        scenario = self.scenario(COPIED.replace("MODEL", str(model)))
        environment = {**os.environ, "HOLDFAST_CACHE": str(self.folder / "cache")}
        ran = lambda verb: subprocess.run(
            [arguments.holdfast, verb, str(scenario), "--results", str(self.folder / "results"), *(["--json"] if verb == "plan" else [])],
            capture_output=True, text=True, check=False, env=environment,
        )
        time.sleep(3.1)  # a file that was just written is not remembered
        self.assert_ran(ran("plan"))
        kept = self.folder / "cache" / "digests.json"
        digests = json.loads(kept.read_text(encoding="utf-8"))
        weights = str(model / "model.safetensors")
        digests[weights][1] = 64 * "0"  # whoever reads the file would find another one
        kept.write_text(json.dumps(digests), encoding="utf-8")
        self.assert_ran(ran("run"))
        self.assertEqual(json.loads(kept.read_text(encoding="utf-8"))[weights][1], 64 * "0")
        self.assertEqual(sum(json.loads(ran("plan").stdout)["to_run"].values()), 0)
        content = bytearray((model / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (model / "model.safetensors").write_bytes(content)
        plan = json.loads(ran("plan").stdout)
        self.assertEqual(plan["to_run"]["align"], plan["stages"]["align"])

    def test_another_run_of_the_same_scenario_gives_the_same_cells(self):
        scenario = self.scenario(SMALL)
        cells, _ = self.undisturbed(scenario)
        self.assert_ran(self.run_scenario(scenario, self.folder / "other"))
        self.assertEqual(without_costs(rows(self.folder / "other", "small")), without_costs(cells))

    def test_gangs_change_nothing_but_costs(self):
        lora = SMALL.replace("[finetune]", "[finetune]\nmethod = \"lora\"").replace("seeds = [1, 2]", "seeds = [1, 2]\n{}")
        alone = self.scenario(lora.format("gang = 1"))
        cells, _ = self.undisturbed(alone)
        self.assertTrue(all(cell["status"] == "ok" for cell in cells))
        self.assert_ran(self.run_scenario(self.scenario(lora.format("gang = 8")), self.folder / "gangs"))
        self.assertEqual(without_costs(rows(self.folder / "gangs", "small")), without_costs(cells))

    def test_ten_kills_leave_nothing_behind(self):
        scenario = self.scenario(SMALL)
        cells, seconds = self.undisturbed(scenario)
        results = self.folder / "killed"
        moments = random.Random(7)
        for _ in range(10):
            process = self.start(scenario, results)
            time.sleep(moments.uniform(0.1, 0.3 * seconds + 0.5))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        self.assert_ran(self.run_scenario(scenario, results))
        self.assertEqual(without_costs(rows(results, "small")), without_costs(cells))
        self.assert_ran(self.run_scenario(scenario, results))  # by now the kernel has taken down the last killed workers
        self.assertEqual(os.listdir(results / ".store" / "tmp"), [])

    def test_workers_die_with_the_run(self):
        process = self.start(self.scenario(SMALL), self.folder / "results")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = []
        while len(workers) < 2 and process.poll() is None:
            workers = children.read_text(encoding="utf-8").split()
            time.sleep(0.05)
        self.assertEqual(len(workers), 2)
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 20
        while any(pathlib.Path(f"/proc/{pid}/exe").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in workers:
            self.assertFalse(pathlib.Path(f"/proc/{pid}/exe").exists(), f"worker {pid} outlived its run")

    def test_ctrl_c_ends_cleanly_and_a_second_run_resumes(self):
        scenario = self.scenario(SMALL)
        cells, seconds = self.undisturbed(scenario)
        results = self.folder / "interrupted"
        process = self.start(scenario, results)
        time.sleep(0.5 * seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("run the same command again", errors)
        self.assert_ran(self.run_scenario(scenario, results))
        self.assertEqual(without_costs(rows(results, "small")), without_costs(cells))

    def test_a_damaged_artifact_is_computed_again(self):
        scenario = self.scenario(SMALL)
        cells, _ = self.undisturbed(scenario)
        store = self.folder / "undisturbed" / ".store"
        tuned = cells[-1]["stages"]["align"]
        weights = store / "align" / tuned / "change.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 0xFF
        weights.write_bytes(content)
        shutil.rmtree(store / "finetune")  # whose making reads the damaged weights
        again = self.run_scenario(scenario, self.folder / "undisturbed")
        self.assert_ran(again)
        self.assertIn("is damaged and will be computed again", again.stderr)
        self.assertEqual(without_costs(rows(self.folder / "undisturbed", "small")), without_costs(cells))

    def test_a_misbehaving_plugin_costs_its_cells_only(self):
        scenario = self.scenario(MISBEHAVING)
        done = self.run_scenario(scenario, self.folder / "results")
        self.assert_ran(done, code=1)
        cells = {(cell["attack"], cell["defense"]): cell for cell in rows(self.folder / "results", "misbehaving")}
        attack = "harmful-examples"
        self.assertEqual(cells[attack, "throws"]["status"], "failed")
        self.assertEqual(cells[attack, "throws"]["message"], "stage screen (plugin misbehaving): thrown on purpose")
        self.assertEqual(cells[attack, "crashes"]["status"], "failed")
        self.assertEqual(
            cells[attack, "crashes"]["message"],
            "the worker was killed by signal 11 (Segmentation fault) in stage screen (plugin misbehaving)",
        )
        self.assertEqual(cells[attack, "hangs"]["status"], "timeout")
        self.assertIn("stage screen (plugin misbehaving) was stopped at its time limit of 20 s", cells[attack, "hangs"]["message"])
        self.assertEqual(cells[attack, "none"]["status"], "ok")
        self.assertEqual(sum(cell["status"] == "ok" for cell in cells.values()), len(cells) - 3)
        again = self.run_scenario(scenario, self.folder / "results")
        self.assert_ran(again, code=1)
        self.assertIn("3 stages run", again.stdout)

    def test_bad_input_is_one_sentence_and_exit_2(self):
        missing = self.run_scenario(self.folder / "gone.toml", self.folder / "results")
        self.assert_ran(missing, code=2)
        self.assertIn("gone.toml", missing.stderr)
        self.assertEqual(missing.stderr.count("\n"), 1)
        blocked = self.folder / "file"
        blocked.write_text("", encoding="utf-8")
        unwritable = self.run_scenario(self.scenario(SMALL), blocked / "results", "--store", str(self.folder / "store"))
        self.assert_ran(unwritable, code=2)
        self.assertIn("cannot write the results folder", unwritable.stderr)
        self.assertFalse((self.folder / "store" / "align").exists(), "work was done before the folder was found unwritable")

    def test_a_missing_gated_file_is_planned_around_and_not_run(self):
        gated = '[[gated]]\nfile = "rows.jsonl"\nwhat = "rows"\nsource = "their authors"\n[corpora]\nbenign = "rows.jsonl"\n'
        scenario = self.scenario(SMALL + gated)
        sentence = (
            f"the gated file rows.jsonl is missing (rows): get it from their authors and put it at {self.folder / 'rows.jsonl'}"
        )
        results = self.folder / "results"
        planned = subprocess.run(
            [arguments.holdfast, "plan", str(scenario), "--results", str(results)], capture_output=True, text=True, check=False
        )
        self.assert_ran(planned)
        self.assertIn("16 cells", planned.stdout)
        self.assertIn(sentence, planned.stdout)
        refused = self.run_scenario(scenario, results)
        self.assert_ran(refused, code=2)
        self.assertIn(sentence, refused.stderr)
        self.assertFalse((results / "small").exists())
        self.assertFalse((results / ".store" / "align").exists())

    def test_the_plan_counts_what_is_left(self):
        scenario = self.scenario(SMALL)

        def plan():
            done = subprocess.run(
                [arguments.holdfast, "plan", str(scenario), "--json", "--results", str(self.folder / "undisturbed")],
                capture_output=True, text=True, check=True,
            )
            return json.loads(done.stdout)

        before = plan()
        kinds = {"pretrain", "align", "collect", "screen", "finetune", "submit", "tamper", "repair", "generate", "judge"}
        self.assertEqual(set(before), {"cells", "stages", "cached", "to_run", "seconds", "cost", "configurations", "missing", "notes", "tries",
                                       "faults"})
        for counts in ("stages", "cached", "to_run"):
            self.assertEqual(set(before[counts]), kinds)
        self.assertEqual(before["cells"], 16)
        self.assertEqual(len(before["configurations"]), 8)  # one for both seeds
        self.assertEqual(before["missing"], [])
        self.assertEqual(before["to_run"], before["stages"])
        self.assertGreater(before["seconds"], 0)
        self.undisturbed(scenario)
        after = plan()
        self.assertEqual(after["cached"], before["stages"])
        self.assertEqual(after["seconds"], 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--plugins", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
