"""Options of the command line that are declared in a table: each is there, and a value that is not allowed is a sentence; what describe says.

Usage: command_line.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

TRAINING = {
    "--method": ("prefix", '"full" or "lora"'),
    "--lr": ("-1", "a number of at least 0"),
    "--epochs": ("0", "an integer of at least 1"),
    "--batch-size": ("2.5", "an integer of at least 1"),
    "--micro-batch-size": ("-1", "an integer of at least 0"),
    "--max-length": ("1", "an integer of at least 2"),
    "--schedule": ("square", '"constant", "linear", "cosine" or "step"'),
    "--step-gamma": ("1.5", "a number from 0 to 1"),
    "--warmup-steps": ("ten", "an integer of at least 0"),
    "--weight-decay": ("nan", "a number of at least 0"),
    "--clip-norm": ("inf", "a number of at least 0"),
    "--lora-rank": ("1e1", "an integer of at least 1"),
    "--lora-alpha": ("3x", "a number of at least 0"),
}
GENERATION = {
    "--max-new-tokens": ("0", "an integer of at least 1"),
    "--batch-size": ("0", "an integer of at least 1"),
    "--temperature": ("-0.5", "a number of at least 0"),
    "--top-p": ("1.01", "a number from 0 to 1"),
}


class CommandLine(unittest.TestCase):
    def ran(self, *words):
        return subprocess.run([arguments.holdfast, *words], capture_output=True, text=True, check=False)

    def check(self, verb, required, wrong):
        text = self.ran(verb, "--help").stdout
        for option, (value, expected) in wrong.items():
            done = self.ran(verb, *required, f"{option}={value}")
            self.assertEqual(done.returncode, 2, option)
            self.assertEqual(done.stderr, f'holdfast: {option}: "{value}" is given, expected {expected}; see holdfast {verb} --help\n')
            self.assertIn(f"  {option} ", text)

    def test_a_worker_says_what_is_wrong_with_its_options(self):
        with tempfile.TemporaryDirectory() as store:
            for more, expected in (
                (["--device", "cuda:x"], '--device is "cuda:x", expected cpu, cuda, cuda:1, or cuda:0-3 for several'),
                (["--device", "cuda:3-1"], '--device is "cuda:3-1", expected'),
                (["--until", "soon"], '--until is "soon", expected seconds from now (+3600) or a local time'),
                (["--until", "+30"], "--until leaves 30 s, which is no more than the --grace of 60 s"),
                (["--until", "2001-01-01T00:00"], "--until 2001-01-01T00:00 is over already"),
                (["--cache", "c"], "--cache is for a --store that is an address"),
            ):
                done = self.ran("worker", "--store", store, *more)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(expected, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)
        gone = self.ran("worker", "--store", "nowhere/.store")
        self.assertEqual((gone.returncode, gone.stderr.count("\n")), (2, 1))
        self.assertIn("there is no store at nowhere/.store", gone.stderr)

    def test_help_of_the_front_is_that_of_the_whole_program(self):
        engine = pathlib.Path(arguments.holdfast).with_name("holdfast-engine")
        verbs = json.loads(subprocess.run([engine, "help-texts"], capture_output=True, text=True, check=True).stdout)
        self.assertLessEqual({"", "run", "plan", "list", "finetune"}, set(verbs))
        self.assertNotIn("stage-worker", verbs)
        asked = [[], ["--help"], ["-h"], ["--version"], ["run", "-h"], ["lst"], ["lst", "--help"], ["list", "--jsn"]]
        for words in asked + [[verb, "--help"] for verb in verbs if verb]:
            ours = self.ran(*words)
            whole = subprocess.run([engine, *words], capture_output=True, text=True, check=False)
            self.assertEqual((ours.returncode, ours.stdout, ours.stderr), (whole.returncode, whole.stdout, whole.stderr), words)

    def test_the_front_needs_neither_torch_nor_the_engine_for_help_and_for_known_plugins(self):
        holdfast = pathlib.Path(arguments.holdfast).resolve()
        with tempfile.TemporaryDirectory() as folder:
            alone = pathlib.Path(folder) / "bin" / "holdfast"
            alone.parent.mkdir()
            shutil.copy(holdfast, alone)
            plugins = pathlib.Path(folder) / "plugins"
            plugins.mkdir()
            shutil.copy(holdfast.parent.parent / "plugins" / "booster.plugin.so", plugins)
            cache = {**os.environ, "HOLDFAST_CACHE": str(pathlib.Path(folder) / "cache")}
            ran = lambda program, *words: subprocess.run([program, *words], capture_output=True, text=True, check=False, env=cache)
            self.assertIn("a model's safety holds fast", ran(alone, "--help").stdout)
            missing = ran(alone, "plan", "none.toml")
            self.assertEqual((missing.returncode, missing.stdout), (2, ""))
            self.assertEqual(missing.stderr, f"holdfast: cannot start {alone}-engine: No such file or directory; it stands beside holdfast: "
                                             "build or install Holdfast again\n")
            whole = ran(holdfast, "list", "--json", "--plugin-path", plugins)
            self.assertEqual(whole.returncode, 0, whole.stderr)
            known = json.loads(ran(alone, "list", "--json").stdout)
            self.assertEqual([each["name"] for each in known["defenses"]], ["booster"])
            self.assertIn(known["defenses"][0], json.loads(whole.stdout)["defenses"])

    def test_finetune(self):
        self.check("finetune", ["--model", "organism", "--data", "none.jsonl", "--out", "/nowhere"], TRAINING)
        text = self.ran("finetune", "--help").stdout
        self.assertIn("  --shuffle,--no-shuffle{false}", text)
        self.assertIn("  --lora-targets ", text)
        self.assertIn("(default: constant)", " ".join(text.split()))

    def test_generate(self):
        self.check("generate", ["--model", "organism", "--prompts", "none.jsonl"], GENERATION)

    def test_what_is_allowed_is_taken(self):
        done = self.ran("finetune", "--model", "organism", "--data", "none.jsonl", "--out", "/nowhere", "--step-gamma", ".5", "--lr=1e-3",
                        "--no-shuffle", "--lora-targets", "q_proj,v_proj", "--max-length", "2", "--method", "lora")
        self.assertIn("none.jsonl", done.stderr, "the data comes after the options")

    def test_describe_says_where_a_method_is_from_what_it_costs_and_what_can_be_set(self):
        text = self.ran("describe", "booster").stdout
        for line in ("booster: defense, revision", "stages: align", "source: Huang et al. 2024, arXiv 2409.01586",
                     "cost: 3 forward and backward passes a step (plain: 1)", 'preset = "paper": alpha = 0.1 lambda = 5.0',
                     "    trained with LoRA of rank 32", "  lambda (number, default 5.0)", "  harmful (corpus, default \"defender-harmful\")"):
            self.assertIn("\n" + line, "\n" + text)

    def test_describe_prints_one_or_all_as_json(self):
        (booster,) = json.loads(self.ran("describe", "booster", "--json").stdout)
        self.assertEqual((booster["name"], booster["kind"], booster["stages"]), ("booster", "defense", ["align"]))
        self.assertIn("arXiv 2409.01586", booster["card"]["source"])
        settings = {each["name"]: (each["type"], each["default"]) for each in booster["settings"]}
        self.assertEqual(settings["harmful"], ("corpus", '"defender-harmful"'))
        every = json.loads(self.ran("describe", "--json").stdout)
        self.assertLessEqual({("defense", "booster"), ("attack", "benign"), ("judge", "keyword"), ("judge", "coherence")}, {(each["kind"], each["name"]) for each in every})
        done = self.ran("describe")
        self.assertEqual((done.returncode, done.stderr), (2, "holdfast: describe takes the name of an attack, defense or judge; see holdfast list\n"))

    def test_new_writes_a_plugin_under_its_own_name(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([arguments.holdfast, "new", "defense", "no-words", "--stage", "align"], cwd=folder, capture_output=True, text=True, check=True)
            written = {path.name: path.read_text(encoding="utf-8") for path in (pathlib.Path(folder) / "no-words").iterdir()}
        self.assertEqual(sorted(written), ["CMakeLists.txt", "README.md", "no_words.cpp", "no_words_test.cpp", "scenario.toml"])
        self.assertIn("class NoWords final : public holdfast::AlignStage", written["no_words.cpp"])
        self.assertIn('HOLDFAST_DEFENSE(NoWords, "no-words", 1,', written["no_words.cpp"])
        self.assertIn('plugin = "no-words"', written["scenario.toml"])
        for name, text in written.items():
            self.assertNotRegex(text, "(?i)flat.?steps|TuneStage", name)
        self.assertIn("cmake -S no-words -B no-words/build", done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
