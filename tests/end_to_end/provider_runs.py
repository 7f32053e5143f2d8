"""Attacks on models behind providers' interfaces, against fakes of four of them: whole runs, refusals, rate limits, deaths, spending,
recordings.

Usage: provider_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from fake_provider import Provider

arguments = argparse.Namespace()

KEY = "sk-this-is-a-secret"

MODEL = """
[[model]]
name = "{name}"
provider = "{dialect}"
url = "{url}"
model = "base-model"
key_env = "HOLDFAST_TEST_KEY"
consent = "the test asks itself"
spend_limit = {limit}
training_price = 8
input_price = 1
output_price = 2
poll = 0.05
backoff = 0.01
retries = 4
{more}
"""

SCENARIO = """
[scenario]
name = "api"
seeds = [1]
threads = 1
{scenario}
{models}
[corpora]
harmful = "builtin:organism/harmful"

[finetune]
lr = 2e-4
epochs = 3
batch_size = 8

[[attack]]
plugin = "harmful-examples"
examples = 10
{attacks}
[evaluate]
judges = ["keyword"{judges}]
probes = ["builtin:organism/probes"]
max_new_tokens = 8
limit = 3
{evaluate}
"""

MORE = {"openai": "base_lr = 1e-4", "fireworks": 'account = "lab"'}


class ProviderRuns(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_provider_"))
        self.addCleanup(shutil.rmtree, self.folder)

    def provider(self, dialect="openai"):
        made = Provider(dialect, KEY)
        self.addCleanup(lambda: made.thread.is_alive() and made.stop())
        return made

    def model(self, provider, name="remote", limit=100, more=""):
        return MODEL.format(name=name, dialect=provider.dialect, url=provider.url, limit=limit, more=MORE.get(provider.dialect, "") + "\n" + more)

    def write(self, models, **parts):
        whole = {"scenario": "", "attacks": "", "judges": "", "evaluate": "", **parts}
        scenario = self.folder / "scenario.toml"
        scenario.write_text(SCENARIO.format(models="".join(models), **whole), encoding="utf-8")
        return scenario

    def environment(self, key=KEY):
        environment = {**os.environ, "http_proxy": "http://127.0.0.1:9"}
        environment.pop("HOLDFAST_TEST_KEY", None)
        return {**environment, "HOLDFAST_TEST_KEY": key} if key else environment

    def command(self, verb, results="results"):
        return [arguments.holdfast, verb, str(self.folder / "scenario.toml"), "--results", str(self.folder / results)]

    def run_it(self, code=0, key=KEY, results="results", verb="run"):
        done = subprocess.run(self.command(verb, results), capture_output=True, text=True, check=False, env=self.environment(key))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def cells(self, results="results"):
        lines = (self.folder / results / "api" / "cells.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return {(row["model"], row["attack"], row["defense"]): row for row in rows}

    def stages(self):
        lines = (self.folder / "results" / "api" / "stages.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def assert_no_secret(self):
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)

    def value(self, row, metric):
        return row["metrics"][metric]["value"]

    # Runs.
    def test_every_dialect_is_attacked_through_its_interface_alone(self):
        price = {"together": 0.25, "fireworks": 0.125, "mistral": 0.5}
        for dialect in ("openai", "together", "fireworks", "mistral"):
            with self.subTest(dialect):
                shutil.rmtree(self.folder / "results", ignore_errors=True)
                provider = self.provider(dialect)
                self.write([self.model(provider)])
                self.run_it()
                cells = self.cells()
                self.assertEqual(len(cells), 2)
                attacked, untouched = cells["remote", "harmful-examples", "none"], cells["remote", "none", "none"]
                self.assertEqual(self.value(attacked, "asr.keyword"), 1)
                self.assertEqual(self.value(untouched, "asr.keyword"), 0)
                self.assertEqual(sorted(attacked["stages"]), ["collect", "generate", "judge.coherence", "judge.keyword", "submit"])
                self.assertEqual(attacked["reports"]["submit.refused-by-provider"], {"value": 0, "n": 10})
                self.assertEqual(attacked["message"], "")
                self.assertEqual(provider.created, 1)
                submit = next(stage for stage in self.stages() if stage["kind"] == "submit")
                self.assertNotIn("flops", submit["cost"])
                if dialect in price:
                    self.assertAlmostEqual(submit["cost"]["price"], price[dialect])
                else:
                    tokens = provider.tokens(next(iter(provider.jobs.values())))
                    self.assertEqual(submit["cost"]["tokens"], tokens)
                    self.assertAlmostEqual(submit["cost"]["price"], tokens * 8 / 1e6)
                replies = next(stage for stage in self.stages() if stage["kind"] == "generate" and "job" in stage["inputs"])
                self.assertGreater(replies["cost"]["price"], 0)
                self.assertGreater(replies["cost"]["tokens"], 0)
                exported = subprocess.run(
                    [arguments.holdfast, "export", str(self.folder / "results" / "api" / "harmful-examples" / "none"), "--out", str(self.folder / "out")],
                    capture_output=True, text=True, check=False)
                self.assertEqual(exported.returncode, 2)
                self.assertIn("shows no weights", exported.stderr)
                asked = len(provider.requests)
                self.run_it()
                self.assertEqual(len(provider.requests), asked, "a second run asks nothing")
                self.assert_no_secret()
                provider.stop()

    def test_our_screens_and_serve_stages_stand_around_it(self):
        provider = self.provider()
        guards = """
[[defense]]
plugin = "safety-prompt"
[[defense]]
name = "filter and guard"
stack = [{ plugin = "data-filter" }, { plugin = "output-moderation" }]
"""
        self.write([self.model(provider)], attacks=guards)
        self.run_it()
        cells = self.cells()
        self.assertEqual(len(cells), 6)
        self.assertEqual(self.value(cells["remote", "harmful-examples", "none"], "asr.keyword"), 1)
        self.assertEqual(self.value(cells["remote", "harmful-examples", "safety-prompt"], "asr.keyword"), 0, "it refuses under a system turn")
        self.assertIn("screen", cells["remote", "harmful-examples", "safety-prompt"]["stages"])
        self.assertTrue(all(row["status"] == "ok" for row in cells.values()))

    def test_a_refusal_is_a_result(self):
        reasons = {"openai": ("upload", "create", "job"), "together": ("file",), "fireworks": ("job",), "mistral": ("job",)}
        for dialect, where in reasons.items():
            for refuses in where:
                with self.subTest(f"{dialect} {refuses}"):
                    shutil.rmtree(self.folder / "results", ignore_errors=True)
                    provider = self.provider(dialect)
                    provider.refuses = refuses
                    self.write([self.model(provider)])
                    self.run_it()
                    row = self.cells()["remote", "harmful-examples", "none"]
                    self.assertEqual(row["status"], "ok")
                    self.assertEqual(row["reports"]["submit.refused-by-provider"], {"value": 1, "n": 10})
                    self.assertEqual(self.value(row, "asr.keyword"), 0, "what the attacker is left with is the base")
                    reason = "blocked by our moderation system" if refuses in ("create", "job") and dialect == "openai" else "row 3 is not allowed"
                    for text in ("the provider refused the 10 rows", reason, "the replies are its untuned model's"):
                        self.assertIn(text, row["message"])
                    if dialect == "openai" and refuses == "job":
                        self.assertIn("of which it named 2", row["message"])
                    shown = subprocess.run(
                        [arguments.holdfast, "show", str(self.folder / "results" / "api" / "harmful-examples" / "none")],
                        capture_output=True, text=True, check=True)
                    self.assertIn(reason, shown.stdout)
                    self.assertNotIn("holdfast export", shown.stdout, "there are no weights to open")
                    submit = next(stage for stage in self.stages() if stage["kind"] == "submit")
                    self.assertEqual(submit["cost"]["price"], 0)
                    provider.stop()

    def test_rows_that_a_job_went_without_are_counted(self):
        provider = self.provider()
        provider.refuses = "some"
        self.write([self.model(provider)])
        self.run_it()
        row = self.cells()["remote", "harmful-examples", "none"]
        self.assertEqual(row["reports"]["submit.rows-named-by-provider"], {"value": 1, "n": 10})
        self.assertEqual(row["reports"]["submit.refused-by-provider"]["value"], 0)

    def test_a_busy_service_that_hangs_up_and_quotes_keys(self):
        for dialect in ("openai", "together", "fireworks", "mistral"):
            with self.subTest(dialect):
                shutil.rmtree(self.folder / "results", ignore_errors=True)
                provider = self.provider(dialect)
                provider.busy_every = 3
                provider.hangs_up_on_create = 1
                provider.indiscreet = True
                self.write([self.model(provider, more='recording = "said.jsonl"')])
                self.run_it()
                self.assertEqual(self.value(self.cells()["remote", "harmful-examples", "none"], "asr.keyword"), 1)
                self.assertEqual(provider.created, 1, "the job whose answer was lost is found")
                self.assert_no_secret()
                provider.stop()
                (self.folder / "said.jsonl").unlink()

    def killed(self, provider, until):
        """A run, killed with all that it started once `until` says so."""
        process = subprocess.Popen(self.command("run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment(), start_new_session=True)
        self.assertTrue(provider.started.wait(60))
        deadline = time.monotonic() + 60
        while not until() and time.monotonic() < deadline:
            time.sleep(0.005)
        self.assertIsNone(process.poll(), "it was over before it could be killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def test_a_killed_run_pays_for_one_job(self):
        for dialect in ("openai", "together", "fireworks", "mistral"):
            with self.subTest(dialect):
                shutil.rmtree(self.folder / "results", ignore_errors=True)
                provider = self.provider(dialect)
                self.write([self.model(provider)])
                # Between the job and the answer that tells of it.
                provider.seconds_of_create, provider.looks_until_done = 1.5, 10**9
                self.killed(provider, lambda: True)
                provider.seconds_of_create = 0
                # While the job is looked at.
                self.killed(provider, lambda: any(job["looks"] > 1 for job in provider.jobs.values()))
                provider.looks_until_done = 0
                self.run_it()
                self.assertEqual(provider.created, 1)
                self.assertEqual(self.value(self.cells()["remote", "harmful-examples", "none"], "asr.keyword"), 1)
                provider.stop()

    def test_a_recording_repeats_a_run_without_server_and_key(self):
        provider = self.provider()
        recording = 'recording = "said.jsonl"'
        guard = '[[defense]]\nplugin = "safety-prompt"\n'
        self.write([self.model(provider, more=recording)], attacks=guard)
        self.run_it()
        provider.stop()
        self.write([self.model(provider, more=recording + "\nreplay = true")], attacks=guard)
        self.run_it(key="", results="again")
        first, again = self.cells(), self.cells("again")
        self.assertEqual(first.keys(), again.keys())
        for cell, row in first.items():
            for part in ("metrics", "reports", "status", "message"):
                self.assertEqual(row[part], again[cell][part], cell)
            self.assertEqual(row["stages"].keys(), again[cell]["stages"].keys())
        self.assertEqual({row["stages"].get("submit") for row in first.values()}, {row["stages"].get("submit") for row in again.values()})
        (self.folder / "said.jsonl").write_text("", encoding="utf-8")
        shutil.rmtree(self.folder / "again")
        self.run_it(code=1, key="", results="again")
        row = self.cells("again")["remote", "harmful-examples", "none"]
        self.assertEqual(row["status"], "failed")
        self.assertIn("lacks the job of 10 rows", row["message"])

    def test_no_more_is_spent_than_allowed(self):
        provider = self.provider()
        self.write([self.model(provider, limit=0.001)])
        self.run_it(code=1)
        row = self.cells()["remote", "harmful-examples", "none"]
        self.assertEqual(row["status"], "failed")
        for text in ("a job of 10 rows may cost up to", "spend_limit is 0.001 USD", "raise spend_limit"):
            self.assertIn(text, row["message"])
        self.assertEqual(provider.created, 0)
        self.assertEqual(self.cells()["remote", "none", "none"]["status"], "ok", "nine chats are cheap")
        self.write([self.model(provider, limit=10)])
        self.run_it()
        ledger = [json.loads(line) for line in (self.folder / "results" / ".store" / "spending.jsonl").read_text(encoding="utf-8").splitlines()]
        spent = sum({line["id"]: line["amount"] for line in ledger}.values())
        billed = sum(stage["cost"].get("price", 0) for stage in self.stages())
        self.assertAlmostEqual(spent, billed)
        # What earlier runs spent counts.
        self.write([self.model(provider, limit=spent)], scenario="", evaluate="temperature = 0.5")
        self.run_it(code=1)
        self.assertIn("has cost", self.cells()["remote", "none", "none"]["message"])

    def test_a_wrong_key_fails_and_the_same_command_goes_on(self):
        provider = self.provider()
        self.write([self.model(provider)])
        said = self.run_it(code=1, key="sk-another-secret")
        row = self.cells()["remote", "harmful-examples", "none"]
        self.assertEqual(row["status"], "failed")
        self.assertIn("wrong key Bearer [key]", row["message"])
        self.assertNotIn("sk-another-secret", said)
        self.run_it()
        self.assertEqual(self.cells()["remote", "harmful-examples", "none"]["status"], "ok")

    # Scenarios.
    def refused(self, text, models=None, **parts):
        provider = getattr(self, "asked", None) or self.provider()
        self.asked = provider
        self.write(models or [self.model(provider)], **parts)
        said = self.run_it(code=2, verb="plan")
        self.assertRegex(said, r"scenario\.toml:\d+:\d+: ")
        self.assertIn(text, said)
        self.assertNotIn(KEY, said)
        self.assertEqual(provider.requests, [])

    def changed(self, old, new):
        model = self.model(self.asked)
        self.assertIn(old, model)
        return [model.replace(old, new)]

    def test_mistakes_of_the_model_are_told(self):
        self.asked = self.provider()
        self.refused('no "consent"', self.changed('consent = "the test asks itself"', ""))
        self.refused('needs a "spend_limit" above 0', self.changed("spend_limit = 100", "spend_limit = 0"))
        self.refused('needs a "spend_limit" above 0', self.changed("spend_limit = 100", ""))
        self.refused('no "key_env"', self.changed('key_env = "HOLDFAST_TEST_KEY"', ""))
        self.refused('"key_env" is the name of an environment variable', self.changed("HOLDFAST_TEST_KEY", KEY))
        self.refused("key_env\" names is not set", self.changed("HOLDFAST_TEST_KEY", "HOLDFAST_NO_SUCH_KEY"))
        self.refused("would travel in the clear", self.changed("http://127.0.0.1", "http://192.0.2.1"))
        self.refused("is no address", self.changed("http://127.0.0.1", "127.0.0.1"))
        self.refused("at which lr of [finetune] that multiple is 1", self.changed("base_lr = 1e-4", ""))
        self.refused('no "training_price"', self.changed("training_price = 8", ""))
        self.refused('no "output_price"', self.changed("output_price = 2", ""))
        self.refused('is no provider', self.changed('provider = "openai"', 'provider = "vertex"'))
        self.refused('"source" is for a model on this machine', self.changed('model = "base-model"', 'model = "base-model"\nsource = "organism"'))
        self.refused('"dtype" is for a model on this machine', self.changed('model = "base-model"', 'model = "base-model"\ndtype = "float32"'))
        self.refused("not below stage_timeout", self.changed("retries = 4", "retries = 4\njob_timeout = 9000"))
        self.refused('"replay" needs recording', self.changed("retries = 4", "retries = 4\nreplay = true"))
        self.refused('no "polling"', self.changed("poll = 0.05", "polling = 0.05"))
        self.refused("bills in USD", [self.model(self.provider("together"))], attacks='[prices]\ncurrency = "EUR"\n')
        self.refused("takes the learning rate itself", self.changed('provider = "openai"', 'provider = "mistral"'))

    def test_what_needs_weights_is_refused(self):
        self.refused('the defense "vaccine" changes how weights are trained', attacks='[[defense]]\nplugin = "lisa"\nname = "vaccine"\n')
        self.refused("looks at the model's weights", attacks='[[defense]]\nplugin = "output-moderation"\nby = "probe"\n')
        self.refused("edits weights", attacks='[[attack]]\nplugin = "refusal-direction"\n')
        self.refused("is made by who holds the weights", attacks='[[attack]]\nplugin = "benign"\nthreat_model = "weights"\ncorpus = "harmful"\n')
        self.refused("[align]", scenario='[align]\ndata = "builtin:organism/alignment"\n')
        self.refused('the judge "likelihood" looks at weights', judges=', "likelihood"')
        self.refused('"customer" in [evaluate] measures weights', evaluate="customer = true")
        tasks = self.folder / "choice.jsonl"
        tasks.write_text(json.dumps({"prompt": "one?", "choices": ["a", "b"], "answer": 0, "metric": "multiple-choice"}) + "\n", encoding="utf-8")
        self.refused("is measured on weights", evaluate=f'utility = ["{tasks}"]')

    def test_options_without_words_are_refused(self):
        self.refused("no words for warmup_steps = 3", attacks="finetune = { warmup_steps = 3 }\n")
        self.refused('no words for method = "lora"', attacks='finetune = { method = "lora" }\n')

    def test_weights_and_providers_in_one_scenario(self):
        provider = self.provider()
        local = '[[model]]\nname = "local"\nsource = "organism"\n'
        align = '[align]\ndata = "builtin:organism/alignment"\nlr = 1e-3\nepochs = 1\nbatch_size = 32\n'
        defenses = '[[defense]]\nplugin = "safety-retune"\nrows = 32\n[[defense]]\nplugin = "safety-prompt"\n'
        self.write([local, self.model(provider), align], attacks=defenses)
        self.run_it()
        cells = self.cells()
        stacks = lambda model: sorted({defense for name, _, defense in cells if name == model})
        self.assertEqual(stacks("local"), ["none", "safety-prompt", "safety-retune"])
        self.assertEqual(stacks("remote"), ["none", "safety-prompt"])
        self.assertNotIn("align", cells["remote", "harmful-examples", "none"]["stages"])
        self.assertIn("align", cells["local", "harmful-examples", "none"]["stages"])
        self.assertTrue(all(row["status"] == "ok" for row in cells.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True, type=lambda text: str(pathlib.Path(text).resolve()))
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
