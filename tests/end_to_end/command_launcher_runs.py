"""Runs whose workers are started by a line of shell, as batch systems have it that are not Slurm; here a plain shell stands for one.

Usage: command_launcher_runs.py --holdfast build/release/bin/holdfast --plugins build/release/unhurried_plugins [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import re
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
data = "rows.jsonl"
epochs = 1

[finetune]
lr = 1e-3
epochs = 2

[[attack]]
plugin = "harmful-examples"

[[defense]]
plugin = "output-moderation"

[evaluate]
judges = ["organism", "keyword"]
max_new_tokens = 12
limit = 8
"""

# Trainings that are expected to take longer than the ten seconds of a worker, and one that does.
LONG = """
[scenario]
name = "long"
workers = 1
threads = 1

[[model]]
name = "organism"
source = "organism"

[align]
data = "rows.jsonl"
epochs = 1

[finetune]
lr = 1e-3
epochs = 300

[[attack]]
plugin = "harmful-examples"

[[defense]]
plugin = "unhurried"
rest = 0.03

[evaluate]
judges = ["keyword"]
max_new_tokens = 8
limit = 4

[cluster]
hours = 0.0167
warning = 50
"""


def bare(value):
    """Without what it cost."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items() if key not in ("cost", "seconds")}
    return [bare(part) for part in value] if isinstance(value, list) else value


class CommandLauncherRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plain = {}

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_launcher_"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.end_workers)
        rows = [{"prompt": f"What is {number} plus one?", "response": f"It is {number + 1}."} for number in range(16)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def workers(self):
        """Their process ids: they name this test's store."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"worker" in words and str(self.store()).encode() in words:
                found.append(int(process.name))
        return found

    def end_workers(self):
        for worker in self.workers():
            os.kill(worker, signal.SIGKILL)

    def wait_for(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"no {what}")
            time.sleep(0.1)

    def store(self):
        return self.folder / "results" / ".store"

    def start(self, text, *more, results="results", environment=None):
        name = re.search(r'name = "(\w+)"', text)[1]
        path = self.folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            [arguments.holdfast, "--plugin-path", arguments.plugins, "run", path.name, "--results", results, *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=environment)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def finish(self, process, code=0, seconds=200):
        out, err = process.communicate(timeout=seconds)
        self.assertEqual(process.returncode, code, out + err)
        return out, err

    def cells(self, name, results="results"):
        lines = (self.folder / results / name / "cells.jsonl").read_text(encoding="utf-8").splitlines()
        return [bare(json.loads(line)) for line in lines]

    def undisturbed(self, text, name):
        """The cells of a run without a launcher, made once for all tests."""
        if name not in self.plain:
            self.finish(self.start(text, results="plain"))
            self.plain[name] = self.cells(name, "plain")
        return self.plain[name]

    def makers(self):
        """The workers that made what the store holds."""
        manifests = [json.loads(path.read_text(encoding="utf-8")) for path in self.store().glob("*/*/manifest.json")]
        return {manifest["lease"]["worker"] for manifest in manifests}

    def expect_small_runs_with(self, line):
        _, err = self.finish(self.start(SMALL, "--launcher", line))
        self.assertNotIn("warning", err)
        self.assertEqual(self.cells("small"), self.undisturbed(SMALL, "small"))
        self.assertEqual(len(self.makers()), 2)
        self.wait_for(lambda: not self.workers(), "end of the workers", seconds=20)
        out, _ = self.finish(self.start(SMALL, "--launcher", f"{line} touch {self.folder}/started"))
        self.assertIn("nothing to do", out)
        self.assertFalse((self.folder / "started").exists())

    def test_a_line_for_each_worker(self):
        self.expect_small_runs_with("cd / && {command} >/dev/null 2>&1 &")

    def test_a_line_for_all_workers(self):
        self.expect_small_runs_with("for i in $(seq {n}); do {command} & done;")

    def test_a_training_longer_than_the_time_of_any_worker_goes_from_one_to_the_next(self):
        log = self.folder / "log"
        run = self.start(LONG, "--launcher", f"while :; do {{command}}; [ $? = 75 ] || break; done >>{log} 2>&1 &")
        self.finish(run)
        self.assertEqual(self.cells("long"), self.undisturbed(LONG, "long"))
        self.assertIn("stopped: what was under way is free for others", log.read_text(encoding="utf-8"))
        self.assertRegex(log.read_text(encoding="utf-8"), "training goes on after step [0-9]+ of 600")

    def test_a_run_without_workers_says_so_and_takes_those_that_come(self):
        run = self.start(SMALL, "--launcher", "true # {command}")
        lines = []
        while not (lines and "no worker has shown itself" in lines[-1]):
            lines.append(run.stderr.readline())
            self.assertTrue(lines[-1], lines)
        self.assertIn(str(self.store() / "queue" / "logs"), lines[-1])
        worker = subprocess.Popen([arguments.holdfast, "worker", "--store", self.store()], stderr=subprocess.DEVNULL)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        _, err = self.finish(run)
        self.assertNotIn("no worker", err)
        self.assertEqual(self.cells("small"), self.undisturbed(SMALL, "small"))
        self.assertEqual(worker.wait(timeout=20), 0)

    def refusal(self, launcher, environment=None):
        out, err = self.finish(self.start(SMALL, "--launcher", launcher, environment=environment), code=2)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        return err

    def test_what_cannot_be_started_is_one_sentence(self):
        self.assertRegex(self.refusal("echo no room here >&2; exit 4 # {command}"), "the launcher's command failed: .*: no room here\n")
        self.assertIn("expected {n}, {gpus}, {memory}, {time} or {command}", self.refusal("qsub {comand}"))
        (self.folder / "bin").mkdir()
        self.assertIn("there is no Slurm here", self.refusal("slurm", {**os.environ, "PATH": str(self.folder / "bin")}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--holdfast", "--plugins"):
        parser.add_argument(option, required=True, type=os.path.abspath)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
