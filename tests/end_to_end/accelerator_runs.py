"""Whole runs on an accelerator: the stand-in of tests/fakes/standin, whose memory the host cannot read and whose kernels are the CPU's. In
bfloat16, for which the CPU has no kernels of our own: then every figure and reply is the CPU's.

Usage: accelerator_runs.py --holdfast build/release/bin/holdfast --standin build/release/lib/libstandin.so [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

# The quickstart in short: two of its attacks, full training and LoRA, a defense of the screen, the repair and the replies each.
SHORT = """
[scenario]
name = "short"
seeds = [1]
workers = 2
threads = 1

[[model]]
name = "organism"
source = "organism"
device = "DEVICE"
dtype = "bfloat16"

[finetune]
lr = 4e-4
batch_size = 5

[[attack]]
plugin = "harmful-examples"
examples = 10

[[attack]]
plugin = "identity-shift"
examples = 10
finetune = { method = "lora", lora_rank = 4, lr = 4e-3 }

[[defense]]
plugin = "data-filter"
by = "probe"

[[defense]]
plugin = "output-moderation"
by = "probe"

[[defense]]
plugin = "safety-retune"
rows = 16
epochs = 1
batch_size = 16
lr = 5e-4

[evaluate]
judges = ["organism", "keyword", "coherence"]
max_new_tokens = 12
limit = 4
batch_size = 8
"""

# One worker trains on both, on the processor first: what has the longest way to the end begins, of equals the last.
TWO_DEVICES = """
[scenario]
name = "two"
seeds = [1]
workers = 1

[[model]]
name = "there"
source = "organism"
device = "standin"

[[model]]
name = "here"
source = "organism"

[finetune]
lr = 4e-4
batch_size = 5

[[attack]]
plugin = "harmful-examples"
examples = 10

[evaluate]
judges = ["organism"]
max_new_tokens = 8
limit = 2
"""


class AcceleratorRuns(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def holdfast(self, *words, library=None):
        environment = dict(os.environ, STANDIN_REPORT=str(self.folder / "report"))
        environment.pop("HOLDFAST_ACCELERATOR", None)
        if library != "":
            environment["HOLDFAST_ACCELERATOR"] = library or arguments.standin
        return subprocess.run([arguments.holdfast, *map(str, words)], capture_output=True, text=True, check=False, env=environment)

    def ran(self, *words):
        done = self.holdfast(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def counts(self):
        """Of the last process."""
        return json.loads((self.folder / "report").read_text(encoding="utf-8").splitlines()[-1])

    def prompts(self, count):
        path = self.folder / f"{count}.jsonl"
        path.write_text("".join(json.dumps({"prompt": f"How do I get to place {i}?"}) + "\n" for i in range(count)), encoding="utf-8")
        return path

    def scenario(self, device):
        path = self.folder / f"{device}.toml"
        path.write_text(SHORT.replace("DEVICE", device), encoding="utf-8")
        return path

    def cells(self, device):
        lines = (self.folder / device / "short" / "cells.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def test_a_matrix_is_that_of_the_processor(self):
        for device in ("cpu", "standin"):
            self.ran("run", self.scenario(device), "--results", self.folder / device)
        there, here = ([{key: cell[key] for key in ("attack", "defense", "seed", "status", "metrics")} for cell in self.cells(device)]
                       for device in ("standin", "cpu"))
        self.assertEqual(len(here), 4 * 4)
        self.assertEqual(there, here)
        self.assertEqual({cell["status"] for cell in there}, {"ok"})
        again = self.ran("run", self.scenario("standin"), "--results", self.folder / "standin")
        self.assertIn("nothing to do: 0 stages run", again)

    def test_a_worker_serves_both_devices(self):
        path = self.folder / "two.toml"
        path.write_text(TWO_DEVICES, encoding="utf-8")
        self.ran("run", path, "--results", self.folder / "two")
        lines = (self.folder / "two" / "two" / "cells.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual([json.loads(line)["status"] for line in lines], ["ok"] * 4)

    def test_verbs_carry_little_between_host_and_device(self):
        told = self.ran("generate", "--model", "organism", "--prompts", self.prompts(5), "--device", "standin:1", "--max-new-tokens", "24")
        longest = max(len(json.loads(line)["ids"]) for line in told.splitlines())
        counts = self.counts()
        self.assertLessEqual(counts["to_host"], longest + 1)
        self.assertEqual((counts["reads"], counts["between"]), (0, 0))
        rows = self.folder / "rows.jsonl"
        rows.write_text("".join(json.dumps({"prompt": f"question {i}", "completion": f"answer {i} " * (i % 5 + 1)}) + "\n" for i in range(40)), encoding="utf-8")
        self.ran("finetune", "--model", "organism", "--data", rows, "--out", self.folder / "tuned", "--device", "standin", "--method", "lora",
                 "--batch-size", "8", "--epochs", "2")
        self.assertLessEqual(self.counts()["reads"], 10 * 2 + 200)
        self.ran("generate", "--model", self.folder / "tuned", "--prompts", self.prompts(1), "--device", "standin")

    def test_what_does_not_fit_is_a_sentence(self):
        ask = ("generate", "--model", "organism", "--prompts", self.prompts(1), "--device")
        library = str(self.folder / "none.so")
        for device, named, expected in (
                ("standin:2", None, 'device "standin:2" does not exist: this machine has 2 standin device(s)'),
                ("standin:1x", None, '"standin:1x" has no valid number, expected standin:0, standin:1, ...'),
                ("tpu", None, '"tpu" is no device, expected cpu, cuda, cuda:N, cuda:A-B, standin, standin:N or auto'),
                ("standin", "", '"standin" is no device, expected cpu, cuda, cuda:N, cuda:A-B or auto'),
                ("standin", library, f'HOLDFAST_ACCELERATOR names "{library}", which does not load ('),
                ("auto", "libm.so.6", 'HOLDFAST_ACCELERATOR names "libm.so.6", which registers no accelerator with torch: ')):
            done = self.holdfast(*ask, device, library=named)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertTrue(done.stderr.startswith("holdfast: " + expected), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
        done = self.holdfast("plan", self.scenario("tpu"))
        self.assertEqual(done.returncode, 2)
        self.assertIn('"tpu" is no device, expected cpu, cuda, cuda:N, cuda:A-B, standin, standin:N or auto', done.stderr)
        self.assertIn("accelerator ready: --device standin works", self.ran("doctor"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--standin", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
