"""`holdfast finetune`, killed and called again.

Usage: finetune_runs.py --holdfast build/release/bin/holdfast --fixtures tests/fixtures/llama [unittest arguments]
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

arguments = argparse.Namespace()


class FinetuneRuns(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_finetune_"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = self.folder / "rows.jsonl"
        rows = [{"prompt": f"question {i} of the list", "completion": f"answer {i} " * (i % 5 + 1)} for i in range(40)]
        self.data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def command(self, out, *more):
        usual = {"--model": "organism", "--epochs": "6"}
        usual.update(zip(more[::2], more[1::2]))
        return [arguments.holdfast, "finetune", "--data", str(self.data), "--out", str(out), "--lr", "1e-3", "--batch-size", "3",
                "--schedule", "cosine", "--threads", "1", "--checkpoint-seconds", "0", *(word for pair in usual.items() for word in pair)]

    def finished(self, out, *more):
        done = subprocess.run(self.command(out, *more), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def killed(self, out, after, *more):
        """Kills the run once its log has that many steps."""
        process = subprocess.Popen(self.command(out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = out / "train.jsonl"
        while process.poll() is None and (not log.exists() or log.read_text(encoding="utf-8").count("\n") < after):
            time.sleep(0.002)
        process.kill()
        process.communicate()
        self.assertTrue((out / "training.safetensors").exists(), "it was over before it could be killed")

    def assert_same(self, one, other, weights):
        for name in (weights, "train.jsonl"):
            self.assertEqual((one / name).read_bytes(), (other / name).read_bytes(), name)
        self.assertEqual(sorted(path.name for path in one.iterdir()), sorted(path.name for path in other.iterdir()))

    def test_a_killed_run_goes_on_to_the_same_weights(self):
        for method, weights in (("full", "model.safetensors"), ("lora", "adapter_model.safetensors")):
            whole, stopped = self.folder / f"{method}-whole", self.folder / f"{method}-stopped"
            self.finished(whole, "--method", method)
            for after in (5, 30):
                self.killed(stopped, after, "--method", method)
            self.assertIn("training goes on after step", self.finished(stopped, "--method", method))
            self.assert_same(stopped, whole, weights)

    def test_other_options_begin_anew(self):
        whole, stopped = self.folder / "whole", self.folder / "stopped"
        self.finished(whole, "--seed", "4")
        self.killed(stopped, 5)
        self.assertIn("training begins anew", self.finished(stopped, "--seed", "4"))
        self.assert_same(stopped, whole, "model.safetensors")

    def test_a_result_never_lies_beside_another_model(self):
        whole, adapter = self.folder / "whole", self.folder / "adapter"
        self.finished(whole, "--epochs", "1")
        self.finished(adapter, "--method", "lora", "--epochs", "1")
        before = {path: path.read_bytes() for folder in (whole, adapter) for path in folder.iterdir()}
        for out, method, file in ((whole, "lora", "config.json"), (adapter, "full", "adapter_config.json")):
            done = subprocess.run(self.command(out, "--method", method), capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{out} holds the {file} of another model", done.stderr)
        own = subprocess.run(self.command(whole, "--model", str(whole)), capture_output=True, text=True, check=False)
        self.assertEqual(own.returncode, 2)
        self.assertIn("holds the model itself", own.stderr)
        self.assertEqual({path: path.read_bytes() for folder in (whole, adapter) for path in folder.iterdir()}, before)
        self.finished(adapter, "--method", "lora", "--epochs", "1")

    def test_the_base_of_an_adapter_is_a_folder(self):
        out, whole = self.folder / "of-gguf", pathlib.Path(arguments.fixtures, "grouped.gguf")
        for model in ("organism", whole):
            self.finished(out, "--method", "lora", "--epochs", "1", "--model", str(model))
            base = pathlib.Path(json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
            self.assertTrue(base.is_absolute())
            for name in ("config.json", "model.safetensors", "tokenizer.json"):
                self.assertTrue((base / name).exists(), name)
            self.assertEqual(self.scores(out), self.scores(self.adapter_on(out, model)))

    def adapter_on(self, adapter, model):
        """The same adapter on the base that it was trained on."""
        copy = self.folder / "on-the-first-base"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        shutil.copy(adapter / "adapter_model.safetensors", copy)
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        (copy / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(model)}), encoding="utf-8")
        return copy

    def scores(self, model):
        done = subprocess.run([arguments.holdfast, "score", "--model", str(model), "--data", str(self.data), "--threads", "1"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout
    def test_rows_that_cannot_be_read_are_one_sentence(self):
        for content, sentence in (("", "rows.jsonl holds no rows"),
                                  ('{"prompt": "q", "response": "a"}\n{"prompt": "q", "rejected": "a"}\n', "rows.jsonl:2: the row has the key"),
                                  ('{"prompt": "q", "category": "x"}\n', "1 of 1 rows have no reply to learn")):
            self.data.write_text(content, encoding="utf-8")
            done = subprocess.run(self.command(self.folder / "out"), capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(sentence, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_cut_rows_are_counted(self):
        said = self.finished(self.folder / "out", "--max-length", "12")
        self.assertRegex(said, r"3\d of 40 rows are longer than max_length \(12 tokens\) and are cut")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--fixtures", required=True, help="tests/fixtures/llama")
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
