"""Runs whose workers are jobs of a Slurm of two nodes, started here for these tests: its warnings, requeues, refusals and silence.

Usage: slurm_runs.py --holdfast build/release/bin/holdfast --plugins build/release/unhurried_plugins [unittest arguments]
"""

import argparse
import contextlib
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

SLURM_HERE = pathlib.Path(__file__).resolve().parents[2] / "tools" / "slurm-here"
IS_THERE = shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None

# Workers that take a node each.
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
epochs = 20

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

[cluster]
cpus = 2
"""

# One training that rests for twenty-five seconds, and little beside it.
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
epochs = 50

[[attack]]
plugin = "harmful-examples"

[[defense]]
plugin = "unhurried"
rest = 0.25

[evaluate]
judges = ["keyword"]
max_new_tokens = 8
limit = 4

[cluster]
"""

def bare(value):
    """Without what it cost."""
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items() if key not in ("cost", "seconds")}
    return [bare(part) for part in value] if isinstance(value, list) else value


@unittest.skipUnless(IS_THERE, "Slurm is not installed here: tools/setup --slurm")
class SlurmRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_slurm_"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.slurm_folder = cls.shared / "slurm"
        try:
            cls.slurm_here("start")
        except RuntimeError as fault:  # a container may forbid what its daemons need
            raise unittest.SkipTest(f"Slurm does not start here: {fault}") from fault
        cls.addClassCleanup(cls.slurm_here, "stop")
        cls.environment = {**os.environ, "SLURM_CONF": str(cls.slurm_folder / "slurm.conf")}
        cls.plain = {}

    @classmethod
    def slurm_here(cls, verb):
        done = subprocess.run([SLURM_HERE, verb, "--folder", cls.slurm_folder], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_slurm_run_"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.cancel_all)
        rows = [{"prompt": f"What is {number} plus one?", "response": f"It is {number + 1}."} for number in range(16)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def cancel_all(self):
        if jobs := self.slurm("squeue", "--noheader", "--format=%F").split():
            self.slurm("scancel", *set(jobs))
        self.wait_for_an_empty_queue()

    def slurm(self, *words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=True, timeout=60).stdout

    def wait_for(self, condition, what, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"no {what}\n{self.slurm('squeue')}\n{self.logs()}")
            time.sleep(0.1)

    def wait_for_an_empty_queue(self):
        self.wait_for(lambda: not self.slurm("squeue", "--noheader"), "empty queue", seconds=30)

    def command(self, text, results, *more):
        name = re.search(r'name = "(\w+)"', text)[1]
        path = self.folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return [arguments.holdfast, "--plugin-path", arguments.plugins, "run", path, "--results", self.folder / results, *more]

    def start(self, text, workers, environment=None):
        process = subprocess.Popen(
            self.command(text, "results", "--launcher", "slurm", "--workers", str(workers)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=environment or self.environment)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def finish(self, process, code=0, seconds=300):
        out, err = process.communicate(timeout=seconds)
        self.assertEqual(process.returncode, code, out + err + self.logs())
        return out, err

    def cells(self, name, results="results"):
        lines = (self.folder / results / name / "cells.jsonl").read_text(encoding="utf-8").splitlines()
        return [bare(json.loads(line)) for line in lines]

    def undisturbed(self, text, name):
        """The cells of a run without a launcher, made once for all tests."""
        if name not in self.plain:
            done = subprocess.run(self.command(text, "plain"), capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.plain[name] = self.cells(name, "plain")
        return self.plain[name]

    def store(self):
        return self.folder / "results" / ".store"

    def artifacts(self):
        return list(self.store().glob("*/*/manifest.json"))

    def logs(self):
        return "".join(f"{path.name}:\n{path.read_text(encoding='utf-8')}\n" for path in sorted(self.store().glob("queue/logs/*")))

    def taken_up(self):
        """The steps after which the long training went on, one for each worker that took it up."""
        return [int(step) for step in re.findall(r"training goes on after step (\d+)", self.logs())]

    def steps(self):
        """Those that the long training has made, as the beat of its lease tells; 0 where it is not under way."""
        for lease in self.store().glob("queue/leased/*"):
            with contextlib.suppress(OSError, ValueError, KeyError):  # it is being written, or gone
                about = json.loads((lease / "beat.json").read_text(encoding="utf-8"))["about"]
                if about["unit"] == "step" and "unhurried" in (lease / "request.json").read_text(encoding="utf-8"):
                    return about["done"]
        return 0

    def task(self):
        """The one that is there: JOB_TASK."""
        return self.slurm("squeue", "--noheader", "--array", "--format=%F_%K").strip()

    def ended(self):
        """What tasks of this test's runs came to, in the order of their ends: (job, state, node)."""
        lines = (self.slurm_folder / "log" / "jobcomp.txt").read_text(encoding="utf-8").splitlines()
        jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        own = [job for job in jobs if job["WorkDir"] == str(self.folder) and job["JobState"] not in ("PENDING", "REQUEUED")]
        return [(job["ArrayJobId"], job["JobState"], job["NodeList"]) for job in own]

    def test_two_nodes_make_what_a_plain_run_makes(self):
        _, err = self.finish(self.start(SMALL, 2))
        self.assertNotIn("warning", err)
        self.assertEqual(self.cells("small"), self.undisturbed(SMALL, "small"))
        self.wait_for_an_empty_queue()
        self.assertEqual({(state, node) for _, state, node in self.ended()}, {("COMPLETED", "n1"), ("COMPLETED", "n2")})
        self.assertEqual(self.logs().count("nothing left to do"), 2)
        makers = {json.loads(path.read_text(encoding="utf-8"))["lease"]["worker"] for path in self.artifacts()}
        self.assertEqual(len(makers), 2)
        out, _ = self.finish(self.start(SMALL, 2))
        self.assertIn("nothing to do", out)
        self.assertEqual(self.slurm("squeue", "--noheader"), "")
        self.assertEqual(len(self.ended()), 2)

    def test_a_worker_whose_time_is_over_is_queued_again_and_its_training_goes_on(self):
        run = self.start(LONG + 'hours = 0.5\noptions = ["--time=1", "--signal=B:USR1@50"]\n', 1)
        self.wait_for(self.taken_up, "training that goes on", seconds=200)
        self.slurm("scontrol", "update", f"JobId={self.task()}", "TimeLimit=30")  # no other warning
        self.finish(run)
        self.assertEqual(self.cells("long"), self.undisturbed(LONG, "long"))
        self.assertIn("stopped: what was under way is free for others", self.logs())
        self.wait_for_an_empty_queue()
        self.assertEqual([state for _, state, _ in self.ended()], ["COMPLETED"])

    def test_what_a_preempted_or_cancelled_worker_trains_goes_on(self):
        run = self.start(LONG, 1)
        self.wait_for(lambda: self.steps() > 10, "training")
        task = self.task()
        self.slurm("scontrol", "requeue", task)
        self.wait_for(self.taken_up, "training that goes on")
        first = self.taken_up()[0]
        self.wait_for(lambda: self.steps() > first + 10, "training")
        self.slurm("scancel", task)
        self.finish(run)
        self.assertEqual(self.cells("long"), self.undisturbed(LONG, "long"))
        steps = self.taken_up()
        self.assertEqual(len(steps), 2)
        self.assertGreater(steps[1], steps[0])
        self.wait_for_an_empty_queue()
        # One that was cancelled does not come back; the run has another started.
        job = task.split("_", maxsplit=1)[0]
        self.assertEqual([(each == job, state) for each, state, _ in self.ended()], [(True, "CANCELLED"), (False, "COMPLETED")])

    def refusal(self, text, environment=None):
        out, err = self.finish(self.start(text, 2, environment), code=2)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        self.assertFalse((self.folder / "results" / "small" / "cells.jsonl").exists())
        self.assertEqual(self.slurm("squeue", "--noheader"), "")
        return err

    def test_what_slurm_refuses_is_said_in_its_words(self):
        self.assertIn("Slurm refused the workers: invalid partition specified: nowhere", self.refusal(SMALL + 'partition = "nowhere"\n'))
        self.assertIn("Memory specification can not be satisfied", self.refusal(SMALL + "memory_gib = 100\n"))

    def test_a_slurm_that_is_not_there_is_said_soon(self):
        config = (self.slurm_folder / "slurm.conf").read_text(encoding="utf-8")
        (self.folder / "slurm.conf").write_text(re.sub("(?m)^SlurmctldPort=.*", "SlurmctldPort=1", config), encoding="utf-8")
        begun = time.monotonic()
        said = self.refusal(SMALL, {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")})
        self.assertRegex(said, "Slurm does not answer: .* is DOWN")
        self.assertLess(time.monotonic() - begun, 30)

    def test_workers_go_on_without_their_run_and_for_the_next_one(self):
        unhurried = LONG + "cpus = 2\n"  # what is under way takes longer than the run needs to end
        run = self.start(unhurried, 3)
        self.wait_for(lambda: len(self.artifacts()) >= 2, "artifact")
        run.send_signal(signal.SIGINT)
        _, err = self.finish(run, code=130)
        self.assertIn("workers go on", err)
        before = len(self.artifacts())
        self.wait_for(lambda: len(self.artifacts()) > before, "artifact without a run")
        self.finish(self.start(unhurried, 3))
        self.assertEqual(self.cells("long"), self.undisturbed(LONG, "long"))
        self.wait_for_an_empty_queue()
        self.assertEqual(sorted(state for _, state, _ in self.ended()), ["CANCELLED", "COMPLETED", "COMPLETED"])
        self.assertEqual(len({job for job, _, _ in self.ended()}), 1)

    def test_a_controller_that_is_away_for_a_while_costs_nothing(self):
        run = self.start(SMALL, 2)
        self.addCleanup(self.slurm_here, "start")
        self.wait_for(lambda: len(self.artifacts()) >= 3, "artifact")
        os.kill(int((self.slurm_folder / "run" / "slurmctld.pid").read_text(encoding="utf-8")), signal.SIGTERM)
        _, err = self.finish(run)
        self.assertIn("still queued", err)
        self.assertEqual(self.cells("small"), self.undisturbed(SMALL, "small"))
        self.slurm_here("start")
        self.wait_for_an_empty_queue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--holdfast", "--plugins"):
        parser.add_argument(option, required=True, type=os.path.abspath)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
