"""Whole runs on a small checkpoint in the forms that people bring: an adapter folder as the model, 16-bit weights.

Usage: variant_runs.py --holdfast build/release/bin/holdfast --fixtures tests/fixtures/llama [unittest arguments]
"""

import argparse
import hashlib
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
name = "variant"
workers = 2
threads = 1

[[model]]
name = "model"
source = "{source}"
dtype = "{dtype}"

[align]
data = "rows.jsonl"
lr = 1e-3
epochs = 1
batch_size = 4

[finetune]
method = "{method}"
lr = 1e-3
epochs = 2
batch_size = 4

[[attack]]
plugin = "harmful-examples"
data = "rows.jsonl"
sha256 = "{digest}"
examples = 4

[[defense]]
plugin = "safety-retune"

[evaluate]
probes = ["probes.jsonl"]
judges = ["keyword", {{ name = "likelihood", affirmative = ["Sure"], refusal = ["No"] }}]
max_new_tokens = 6
"""


class VariantRuns(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_variant_"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("grouped", "adapter"):
            shutil.copytree(pathlib.Path(arguments.fixtures) / name, self.folder / name)
        rows = [{"prompt": f"question {i}", "completion": f"answer {i} of the list"} for i in range(12)]
        probes = [{"prompt": f"probe {i}", "kind": "harmful"} for i in range(6)]
        for name, content in (("rows.jsonl", rows), ("probes.jsonl", probes)):
            (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")

    def holdfast(self, *words):
        return subprocess.run([arguments.holdfast, *words], capture_output=True, text=True, check=False, cwd=self.folder)

    def run_variant(self, name, source, dtype="float32", method="lora"):
        scenario = self.folder / f"{name}.toml"
        digest = hashlib.sha256((self.folder / "rows.jsonl").read_bytes()).hexdigest()
        scenario.write_text(SCENARIO.format(source=source, dtype=dtype, method=method, digest=digest), encoding="utf-8")
        return self.holdfast("run", str(scenario), "--results", name)

    def cells(self, name, source, **options):
        """Each cell's metrics by (attack, defense, seed); all must be ok."""
        done = self.run_variant(name, source, **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        metrics = {}
        for line in (self.folder / name / "variant" / "cells.jsonl").read_text(encoding="utf-8").splitlines():
            cell = json.loads(line)
            self.assertEqual(cell["status"], "ok", cell)
            metrics[cell["attack"], cell["defense"], cell["seed"]] = cell["metrics"]
        self.assertEqual(len(metrics), 4)
        return metrics

    def margins(self, cells):
        return {cell: metrics["margin.likelihood"]["value"] for cell, metrics in cells.items()}

    def merged_adapter(self):
        """The adapter's model as a folder without adapters: a full training whose learning rate is zero."""
        done = self.holdfast("finetune", "--model", "adapter", "--data", "rows.jsonl", "--out", "merged", "--method", "full",
                             "--lr", "0", "--epochs", "1", "--threads", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse((self.folder / "merged" / "adapter_config.json").exists())

    def test_an_adapter_folder_is_the_same_model_as_its_merged_weights(self):
        self.merged_adapter()
        for method in ("lora", "full"):
            adapter = self.margins(self.cells(f"adapter-{method}", "adapter", method=method))
            merged = self.margins(self.cells(f"merged-{method}", "merged", method=method))
            base = self.margins(self.cells(f"base-{method}", "grouped", method=method))
            for cell, margin in merged.items():
                self.assertAlmostEqual(adapter[cell], margin, delta=1e-4, msg=cell)
            self.assertTrue(any(abs(base[cell] - margin) > 1e-2 for cell, margin in merged.items()), "the adapter does nothing")

    def test_bfloat16_runs_and_is_near_float32(self):
        whole = self.margins(self.cells("whole", "grouped"))
        short = self.margins(self.cells("short", "grouped", dtype="bfloat16"))
        self.assertNotEqual(whole, short)
        for cell, margin in whole.items():
            self.assertAlmostEqual(short[cell], margin, delta=0.15, msg=cell)

    def test_float16_is_not_trained(self):
        done = self.run_variant("half", "grouped", dtype="float16")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn('"bfloat16"', done.stderr)
        self.assertFalse((self.folder / "half" / "variant" / "cells.jsonl").exists())
        done = self.holdfast("finetune", "--model", "grouped", "--dtype", "float16", "--data", "rows.jsonl", "--out", "out")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn('"bfloat16"', done.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holdfast", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--fixtures", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
