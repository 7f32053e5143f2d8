"""Every method that trains or repairs, each in a matrix on the model organism: it runs, it changes what its stage makes,
and a stack that cannot be is refused by name.

Usage: method_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

MATRIX = """
[scenario]
name = "methods"
workers = 2
threads = 1

[[model]]
name = "organism"
source = "organism"

[align]
lr = 1e-3
epochs = 1
batch_size = 64

[finetune]
lr = 3e-4
epochs = 2
batch_size = 5

[[attack]]
plugin = "harmful-examples"
examples = 10
"""

# The stage that each changes.
METHODS = {
    "vaccine": ("align", 'plugin = "vaccine"\nrho = 0.5'),
    "t-vaccine": ("align", 'plugin = "t-vaccine"\nlayers = 2\nrows = 40'),
    "booster": ("align", 'plugin = "booster"\nrows = 40'),
    "repnoise": ("align", 'plugin = "repnoise"\nrows = 40'),
    "tar": ("align", 'plugin = "tar"\ninner_steps = 4\nrows = 40'),
    "seam": ("align", 'plugin = "seam"\nrows = 40'),
    "crl": ("align", 'plugin = "crl"\npreset = "tb"\nrows = 40'),
    "deep-alignment": ("align", 'plugin = "deep-alignment"\nrows = 40'),
    "sdd": ("align", 'plugin = "sdd"\nrows = 40'),
    "vaccine + booster": ("align", 'name = "vaccine + booster"\n'
                          'stack = [{ plugin = "vaccine", rho = 0.5 }, { plugin = "booster", rows = 40 }]'),
    "lisa": ("finetune", 'plugin = "lisa"\nsafety_steps = 1\nuser_steps = 1'),
    "constrained-sft": ("finetune", 'plugin = "constrained-sft"'),
    "ewc": ("finetune", 'plugin = "ewc"\nlambda = 1\nrows = 40'),
    "ldifs": ("finetune", 'plugin = "ldifs"\nrho = 0.01'),
    "kl-anchor": ("finetune", 'plugin = "kl-anchor"\nlambda = 0.1'),
    "safegrad": ("finetune", 'plugin = "safegrad"\nrows = 20'),
    "asft": ("finetune", 'plugin = "asft"'),
    "frozen-layers": ("finetune", 'plugin = "frozen-layers"\nfirst = 1\nlast = 2'),
    "panacea": ("finetune", 'plugin = "panacea"\nrows = 40'),
    "safety-batch": ("finetune", 'plugin = "safety-batch"\nrows = 40'),
    "sbr": ("finetune", 'plugin = "sbr"'),
    "surgery": ("finetune", 'plugin = "surgery"\nrows = 40'),
    "preventative-steering": ("finetune", 'plugin = "preventative-steering"\nlayer = 2\nrows = 40'),
    "constrained-sft + lisa": ("finetune", 'name = "constrained-sft + lisa"\n'
                               'stack = [{ plugin = "constrained-sft" }, { plugin = "lisa", safety_steps = 1, user_steps = 1 }]'),
    "kl-anchor + lisa": ("finetune", 'name = "kl-anchor + lisa"\n'
                         'stack = [{ plugin = "kl-anchor" }, { plugin = "lisa", safety_steps = 1, user_steps = 1 }]'),
    "adaptive": ("finetune", 'name = "adaptive"\nplugin = "kl-anchor"\npreset = "adaptive"'),
    "safelora": ("repair", 'plugin = "safelora"'),
    "antidote": ("repair", 'plugin = "antidote"\nrows = 20'),
}

EVALUATE = """
[evaluate]
judges = ["organism"]
max_new_tokens = 12
limit = 3
"""


class Methods(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def holdfast(self, verb, text):
        scenario = self.folder / "scenario.toml"
        scenario.write_text(text)
        return subprocess.run([arguments.holdfast, verb, str(scenario)] + (
            ["--results", str(self.folder / "results"), "--store", str(self.folder / "store")] if verb == "run" else []),
            capture_output=True, text=True, timeout=1000)

    def digest(self, kind, key):
        return json.loads((self.folder / "store" / kind / key / "manifest.json").read_text())["digest"]

    def test_each_changes_what_its_stage_makes(self):
        text = MATRIX + "".join(f"\n[[defense]]\n{lines}\n" for _, lines in METHODS.values()) + EVALUATE
        ran = self.holdfast("run", text)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        rows = [json.loads(line) for line in (self.folder / "results/methods/cells.jsonl").read_text().splitlines()]
        cells = {(row["attack"], row["defense"]): row for row in rows}
        self.assertEqual({row["status"] for row in rows}, {"ok"}, [row["message"] for row in rows])
        plain = cells["harmful-examples", "none"]["stages"]
        for name, (stage, _) in METHODS.items():
            stages = cells["harmful-examples", name]["stages"]
            before = "finetune" if stage == "repair" else stage
            self.assertNotEqual(self.digest(stage, stages[stage]), self.digest(before, plain[before]), name)
            if stage != "align":  # what stands before its stage is shared
                self.assertEqual(stages["align"], plain["align"], name)
        again = self.holdfast("run", text)
        self.assertIn("0 stages run", again.stdout + again.stderr)

    def test_an_impossible_stack_is_refused_by_name(self):
        for other in ("constrained-sft", "kl-anchor"):
            planned = self.holdfast("plan", MATRIX + '[[defense]]\nname = "turned"\n'
                                    f'stack = [{{ plugin = "lisa" }}, {{ plugin = "{other}" }}]\n' + EVALUATE)
            self.assertEqual(planned.returncode, 2)
            self.assertIn(f'"lisa" chooses its own batches, and "{other}"', planned.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--holdfast", required=True)
    known, rest = parser.parse_known_args(namespace=arguments)
    unittest.main(argv=[sys.argv[0]] + rest)
