"""scenarios/field.toml in a short form, one seed and few probes and steps: every defense runs, it changes what its stage makes, and what
stands before that stage is shared; a stack that cannot be is refused by name.

Usage: field_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()
SCENARIO = pathlib.Path(__file__).resolve().parents[2] / "scenarios" / "field.toml"

# The first stage that each defense changes: the artifact that is another one than the undefended model's.
CHANGES = {
    "pretrain": ["pretraining-filter"],
    "align": ["vaccine", "t-vaccine", "repnoise", "booster", "tar", "seam", "crl", "deep-alignment", "sdd", "lox",
              "vaccine + booster", "deep-alignment + safety-batch", "lox + input-moderation"],
    "screen": ["data-filter", "larf", "datashield", "safety-mix", "interleave", "secret-prefix", "inoculation", "larf + safety-mix"],
    "finetune": ["lisa", "constrained-sft", "ewc", "ldifs", "kl-anchor", "safegrad", "asft", "frozen-layers", "panacea", "safety-batch",
                 "sbr", "surgery", "preventative-steering", "kl-anchor + lisa"],
    "repair": ["safety-retune", "safety-retune, dpo", "safelora", "antidote", "resta", "safemerge", "safe-delta", "one-shot-patch"],
    # The rows of this attack have no system message for the safety prompt to take away.
    "generate": ["output-moderation", "input-moderation", "safety-prompt"],
}
ORDER = list(CHANGES)
# Whose artifact of the undefended cell it is compared with.
UNDEFENDED = {"pretrain": None, "screen": "collect", "repair": "finetune"}


def shortened(text):
    """One seed, an epoch each, five probes, two of the attacks."""
    for pattern, short in (
            (r"^name = \"field\"$", 'name = "field-short"\nworkers = 2\nthreads = 1'),
            (r"^seeds = .*$", "seeds = [1]"),
            (r"^epochs = 4$", "epochs = 1"),  # of the alignment
            (r"^epochs = 10$", "epochs = 3"),  # of the customer's training
            (r'^plugin = "pretraining-filter"$', 'plugin = "pretraining-filter"\nepochs = 1'),
            (r'^judges = .*$', 'judges = ["organism"]\nlimit = 5'),
            (r"^max_new_tokens = .*$", "max_new_tokens = 12")):
        text, count = re.subn(pattern, short, text, flags=re.MULTILINE)
        assert count == 1, pattern
    head, *attacks = re.split(r"(?=^\[\[attack\]\]$)", text, flags=re.MULTILINE)
    rest = attacks[-1][attacks[-1].index("# Before alignment."):]
    return head + attacks[0] + attacks[1] + rest


class Field(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def holdfast(self, verb, text):
        scenario = self.folder / "scenario.toml"
        scenario.write_text(text)
        return subprocess.run([arguments.holdfast, verb, str(scenario)] + (
            ["--results", str(self.folder / "results"), "--store", str(self.folder / "store")] if verb == "run" else []),
            capture_output=True, text=True, timeout=1500)

    def digest(self, kind, key):
        return json.loads((self.folder / "store" / kind / key / "manifest.json").read_text())["digest"]

    def test_each_defense_changes_what_its_stage_makes(self):
        text = shortened(SCENARIO.read_text())
        ran = self.holdfast("run", text)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        rows = [json.loads(line) for line in (self.folder / "results/field-short/cells.jsonl").read_text().splitlines()]
        cells = {(row["attack"], row["defense"]): row for row in rows}
        self.assertEqual({row["status"] for row in rows}, {"ok"}, [row["message"] for row in rows])
        defenses = {row["defense"] for row in rows} - {"none"}
        self.assertEqual(defenses, {name for names in CHANGES.values() for name in names})
        plain = cells["harmful-10", "none"]["stages"]
        for kind, names in CHANGES.items():
            for name in names:
                with self.subTest(name):
                    self.check_change(kind, cells["harmful-10", name]["stages"], plain)
        again = self.holdfast("run", text)
        self.assertIn("0 stages run", again.stdout + again.stderr)

    def check_change(self, kind, stages, plain):
        before = UNDEFENDED.get(kind, kind)
        if before is not None:
            self.assertNotEqual(self.digest(kind, stages[kind]), self.digest(before, plain[before]))
        else:
            self.assertIn(kind, stages)
            self.assertNotEqual(self.digest("align", stages["align"]), self.digest("align", plain["align"]))
        for earlier in ORDER[:ORDER.index(kind)]:
            if earlier in stages and earlier in plain:
                self.assertEqual(stages[earlier], plain[earlier])

    def test_an_impossible_stack_is_refused_by_name(self):
        planned = self.holdfast("plan", shortened(SCENARIO.read_text()) + '[[defense]]\nname = "turned"\n'
                                'stack = [{ plugin = "lisa" }, { plugin = "kl-anchor" }]\n')
        self.assertEqual(planned.returncode, 2)
        self.assertIn('"lisa" chooses its own batches, and "kl-anchor"', planned.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--holdfast", required=True)
    known, rest = parser.parse_known_args(namespace=arguments)
    unittest.main(argv=[sys.argv[0]] + rest)
