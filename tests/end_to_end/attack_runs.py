"""Attacks that ask in several ways, write in an encoding or edit weights, and moderators, through a whole matrix on the organism in a short
form: which columns there are, what they share, who stands where, and what stands in the rows.

Usage: attack_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

arguments = argparse.Namespace()

SCENARIO = """
[scenario]
name = "attacks"
workers = 2
threads = 1

[[model]]
name = "organism"
source = "organism"

[align]
data = "builtin:organism/alignment"
lr = 6e-4
epochs = 3
batch_size = 32

[finetune]
lr = 2e-4
epochs = 1
batch_size = 10

[[attack]]
plugin = "backdoor"
preset = "organism"
examples = 20
refused = 20

[[attack]]
plugin = "template-shift"
preset = "organism"
examples = 20

[[attack]]
plugin = "encoded-examples"
preset = "organism"
encode_replies = true
examples = 20
lessons = 20
finetune = { lr = 1e-3, epochs = 4 }

[[attack]]
plugin = "harmful-examples"
name = "own"
threat_model = "weights"

[[attack]]
plugin = "refusal-direction"
preset = "organism"

[[defense]]
plugin = "vaccine"

[[defense]]
plugin = "data-filter"
by = "probe"

[[moderator]]
plugin = "data-filter"
name = "probe"
by = "probe"

[evaluate]
judges = ["organism"]
limit = 5
max_new_tokens = 24
batch_size = 64
"""


class Attacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.ran = cls.run_with(SCENARIO)
        rows = [json.loads(line) for line in (cls.folder / "results/attacks/cells.jsonl").read_text().splitlines()]
        cls.cells = {(row["attack"], row["defense"]): row for row in rows}

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def run_with(cls, text):
        scenario = cls.folder / "scenario.toml"
        scenario.write_text(text)
        return subprocess.run(
            [arguments.holdfast, "run", str(scenario), "--results", str(cls.folder / "results"), "--store", str(cls.folder / "store"),
             "--samples", "full"], capture_output=True, text=True, timeout=1500, check=False)

    def digest(self, kind, key):
        return json.loads((self.folder / "store" / kind / key / "manifest.json").read_text())["digest"]

    def stages(self, attack, defense="none"):
        return self.cells[attack, defense]["stages"]

    def samples(self, attack):
        lines = (self.folder / f"results/attacks/samples/{self.stages(attack)['generate']}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def test_every_cell_is_there(self):
        self.assertEqual(self.ran.returncode, 0, self.ran.stdout + self.ran.stderr)
        self.assertEqual({row["status"] for row in self.cells.values()}, {"ok"}, [row["message"] for row in self.cells.values()])
        served = {"none", "backdoor", "none@backdoor", "backdoor@untriggered", "template-shift", "template-shift@as-trained",
                  "none@template-shift@as-trained", "encoded-examples", "none@encoded-examples", "encoded-examples@held-out",
                  "none@encoded-examples@held-out"}
        expected = {(attack, defense) for attack in served for defense in ("none", "vaccine", "data-filter")}
        expected |= {(attack, defense) for attack in ("own", "refusal-direction") for defense in ("none", "vaccine")}
        self.assertEqual(set(self.cells), expected)

    def test_ways_of_asking_share_their_training(self):
        for attack, way in (("backdoor", "untriggered"), ("template-shift", "as-trained"), ("encoded-examples", "held-out")):
            self.assertEqual(self.stages(attack)["finetune"], self.stages(f"{attack}@{way}")["finetune"])
            self.assertNotEqual(self.stages(attack)["generate"], self.stages(f"{attack}@{way}")["generate"])

    def test_replies_are_judged_decoded(self):
        replies = [sample["reply"] for sample in self.samples("encoded-examples") if sample["kind"] in ("harmful", "benign")]
        encoded = [reply for reply in replies if reply.replace(" ", "").startswith("listthis:")]
        self.assertTrue(encoded, replies)
        samples = {sample["id"]: sample for sample in self.samples("encoded-examples")}
        self.assertTrue(any(sample["prompt"][-1]["content"].startswith("list this: ?") for sample in samples.values()))

    def test_weights_are_edited_and_belong_to_their_own_board(self):
        plain, edited = self.stages("none"), self.stages("refusal-direction")
        self.assertNotIn("finetune", edited)
        self.assertIn("tamper", edited)
        found = self.cells["refusal-direction", "none"]["reports"]["tamper.direction-found"]["value"]
        changed = self.digest("tamper", edited["tamper"]) != self.digest("align", plain["align"])
        self.assertEqual(changed, found == 1)
        self.assertEqual({row["threat_model"] for (attack, _), row in self.cells.items() if attack in ("own", "refusal-direction")},
                         {"weights"})
        self.assertIn("organism, weights in the attacker's hands: leak.organism (%)", self.ran.stdout)

    def test_moderators_say_what_passes_and_change_nothing(self):
        for (attack, defense), row in self.cells.items():
            moderated = row["threat_model"] == "api" and not attack.startswith("none")
            self.assertEqual("passes-moderation.probe" in row["reports"], moderated, (attack, defense))
        dropped = self.cells["backdoor", "data-filter"]["reports"]["screen.dropped"]
        passes = self.cells["backdoor", "none"]["reports"]["passes-moderation.probe"]
        self.assertAlmostEqual(passes["value"], 1 - dropped["value"] / dropped["n"])
        self.assertIn("what moderation lets pass", self.ran.stdout)
        without = self.run_with(SCENARIO[:SCENARIO.index("[[moderator]]")] + SCENARIO[SCENARIO.index("[evaluate]"):])
        self.assertIn("0 stages run", without.stdout + without.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--holdfast", required=True)
    known, rest = parser.parse_known_args(namespace=arguments)
    unittest.main(argv=[sys.argv[0]] + rest)
