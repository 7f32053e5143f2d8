"""Runs and workers whose files, disks, clocks and machines fail them: each fault is a sentence, nothing is lost, and the same command goes on.

Usage: fault_runs.py --holdfast build/release/bin/holdfast --file-server build/release/lib/libfake_file_server.so [unittest arguments]
Needs root for the disks that fill up or close, and for whoever may not write; skips them without.
"""

import argparse
import hashlib
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
import uuid

arguments = argparse.Namespace()

SCENARIO = """
[scenario]
name = "small"
seeds = [1, 2]
workers = 2
threads = 1
gang = 1

[[model]]
name = "organism"
source = "organism"

[align]
data = "rows.jsonl"
lr = 1e-3
epochs = 1
batch_size = 8

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

NO_WORKERS = ": # {command}"  # workers that the tests start themselves
MARK = "HOLDFAST_FAULT_TEST"


def write_scenario(folder):
    rows = [{"prompt": f"What is {a} plus {b}?", "response": f"It is {a + b}."} for a in range(10) for b in range(10)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "small.toml").write_text(SCENARIO, encoding="utf-8")
    return folder / "small.toml"


def rows_in(results):
    return [json.loads(line) for line in (results / "small" / "cells.jsonl").read_text(encoding="utf-8").splitlines()]


def without_costs(rows):
    return [{name: value for name, value in row.items() if name != "cost"} for row in rows]


def manifests(store):
    return {path: json.loads(path.read_text(encoding="utf-8")) for path in store.glob("*/*/manifest.json")}


def children(pid):
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split():
        found += [int(child)] + children(int(child))
    return found


def wait_until(condition, seconds=60):
    """What the condition gives, as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"did not come about in {seconds} s")


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_faults_"))
        cls.addClassCleanup(shutil.rmtree, folder)
        command = [arguments.holdfast, "run", write_scenario(folder), "--results", folder / "results"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        cls.cells = without_costs(rows_in(folder / "results"))
        cls.bytes = sum(path.stat().st_size for path in (folder / "results").rglob("*") if path.is_file())

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_fault_"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.scenario = write_scenario(self.folder)
        self.results = self.folder / "results"
        self.environment = dict(os.environ, HOLDFAST_CACHE=str(self.folder / "cache"), **{MARK: f"{uuid.uuid4()}"})
        self.addCleanup(self.end_processes)

    @property
    def store(self):
        return self.results / ".store"

    def end_processes(self):
        """All that this test started, whatever has become of its parent."""
        mark = f"{MARK}={self.environment[MARK]}".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                pass

    def start(self, command, log, **environment):
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, env={**self.environment, **environment}, start_new_session=True)

    def start_run(self, *more, before=(), **environment):
        (self.folder / "run.log").unlink(missing_ok=True)
        command = [*before, arguments.holdfast, "run", self.scenario, "--results", self.results, *more]
        return self.start(command, "run.log", **environment)

    def start_worker(self, log, *more, before=(), **environment):
        return self.start([*before, arguments.holdfast, "worker", "--store", self.store, "--threads", "1", *more], log, **environment)

    def log(self, name):
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")

    def ends(self, process, log, codes, meanwhile=lambda: None):
        """What it has said once it ended by itself, with one of these statuses."""
        deadline = time.monotonic() + 90
        while process.poll() is None:
            meanwhile()
            if time.monotonic() > deadline:
                self.fail(f"it hangs: {self.log(log)[-2000:]}")
            time.sleep(0.01)
        said = self.log(log)
        self.assertIn(process.returncode, codes, said[-2000:])
        self.assertNotIn("internal error", said)
        return said

    def completes(self, *more, before=(), **environment):
        """What it says while it runs to its end, with the cells of a run that met no fault."""
        said = self.ends(self.start_run(*more, before=before, **environment), "run.log", [0])
        self.assert_complete()
        return said

    def assert_complete(self):
        self.assertEqual(without_costs(rows_in(self.results)), self.cells)
        self.assert_whole()

    def assert_whole(self):
        """That every file of every artifact has its SHA-256."""
        for path, manifest in manifests(self.store).items():
            for file in manifest["files"]:
                self.assertEqual(hashlib.sha256((path.parent / file["name"]).read_bytes()).hexdigest(), file["sha256"], file)

    def assert_said(self, said, code, sentences):
        """That a run that ended so said one of the sentences: as its last word, or in the row of each cell that failed."""
        if code == 2:
            messages = [said.strip().splitlines()[-1]]
            self.assertTrue(messages[0].startswith("holdfast: "), said)
        else:
            messages = [row["message"] for row in rows_in(self.results) if row["status"] != "ok"]
        self.assertTrue(messages, said)
        for message in messages:
            self.assertTrue(any(sentence in message for sentence in sentences), message)


class FileServer(Faults):
    """Names that are seen late, and answers that are lost."""

    def test_a_server_that_is_late_and_forgets_its_answers(self):
        server = self.folder / "server"
        self.results = server / "results"
        self.store.mkdir(parents=True)  # workers end where they see none
        self.environment.update(
            LD_PRELOAD=arguments.file_server, HOLDFAST_CACHE=str(server / "cache"), HOLDFAST_FAKE_SERVER=str(server),
            HOLDFAST_FAKE_LATE_MS="300", HOLDFAST_FAKE_LIES="5", HOLDFAST_FAKE_CLIENT="1",
            HOLDFAST_FAKE_SEED=os.environ.get("HOLDFAST_FAKE_SEED", "1"))
        # Two machines beside that of the run.
        launcher = f"for n in 2 3; do HOLDFAST_FAKE_CLIENT=$n {{command}} >> {self.folder}/worker-$n.log 2>&1 & done # {{n}}"
        said = self.completes("--launcher", launcher)
        self.assertNotIn("warning", said)
        for number in (2, 3):
            self.assertNotIn("warning", self.log(f"worker-{number}.log"))


class Processes(Faults):
    """Processes that are stopped or killed, and clocks that are off."""

    def lease_of(self, process):
        """The lease that a worker's stage is under way in."""
        for lease in (self.store / "queue" / "leased").glob(f"*-{process.pid}-*"):
            if list(lease.glob("made.*")):
                return lease
        return None

    def stop_and_go_on(self, wake):
        run = self.start_run("--launcher", NO_WORKERS, "--lost-after", "3")
        wait_until((self.store / "queue" / "ready").exists)
        late = self.start_worker("late.log", "--lost-after", "3")
        lease = wait_until(lambda: self.lease_of(late))
        stopped = [late.pid] + children(late.pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        key, token, _, name = lease.name.rsplit(".", 1)[1].split("~")
        self.assertEqual(token, "1")
        self.assertEqual(list(self.store.glob(f"*/{key}")), [])
        other = self.start_worker("other.log", "--lost-after", "3")
        place = wait_until(lambda: list(self.store.glob(f"*/{key}/manifest.json")))[0]
        wake(stopped)
        self.ends(run, "run.log", [0])
        self.assert_complete()
        by = json.loads(place.read_text(encoding="utf-8"))["lease"]
        self.assertIn(f"-{other.pid}-", by["worker"])
        self.assertNotEqual(by["worker"], name)
        self.assertEqual(by["token"], 2)
        self.assertIn("another worker took over", self.ends(late, "late.log", [0]))
        self.assertNotIn("took over", self.ends(other, "other.log", [0]))

    def test_a_worker_that_slept_publishes_nothing(self):
        def wake(stopped):
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

        self.stop_and_go_on(wake)

    def test_a_stage_that_slept_and_ends_before_its_worker_wakes_publishes_nothing(self):
        def wake(stopped):
            for pid in stopped[1:]:
                os.kill(pid, signal.SIGCONT)
            time.sleep(2)
            os.kill(stopped[0], signal.SIGCONT)

        self.stop_and_go_on(wake)

    def test_clocks_that_are_hours_off_cost_nobody_a_lease(self):
        def clock(seconds):
            return {"LD_PRELOAD": arguments.file_server, "HOLDFAST_FAKE_CLOCK": str(seconds)}

        run = self.start_run("--launcher", NO_WORKERS, "--lost-after", "10", **clock(12 * 3600))
        wait_until((self.store / "queue" / "ready").exists)
        workers = {log: self.start_worker(log, "--lost-after", "10", **clock(hours * 3600))
                   for log, hours in (("ahead.log", 5), ("behind.log", -7))}
        self.ends(run, "run.log", [0])
        self.assert_complete()
        self.assert_taken_once(workers)

    def test_a_clock_that_is_hours_off_changes_no_run(self):
        self.completes(LD_PRELOAD=arguments.file_server, HOLDFAST_FAKE_CLOCK=str(-12 * 3600))

    def jumping_clock(self):
        """For the environment of whoever shall have a clock that jumps."""
        return {"LD_PRELOAD": arguments.file_server, "HOLDFAST_FAKE_CLOCK_FILE": str(self.folder / "clock")}

    def jumps(self, run, workers=()):
        """A day on, and two days back, each while every worker has a stage under way, and after something new was stored."""
        for days in (1, -1):
            known = len(manifests(self.store))
            wait_until(lambda known=known: len(manifests(self.store)) > known)
            wait_until(lambda: all(self.lease_of(worker) for worker in workers))
            self.assertIsNone(run.poll(), "it ended before the clock jumped")
            (self.folder / "clock.new").write_text(f"{days * 86400}", encoding="utf-8")
            (self.folder / "clock.new").rename(self.folder / "clock")

    def assert_took_minutes(self):
        """That nothing which was measured has a day in it."""
        seconds = [manifest["cost"]["seconds"] for manifest in manifests(self.store).values()]
        seconds += [row["cost"][name] for row in rows_in(self.results) for name in ("seconds", "seconds_shared")]
        seconds.append(json.loads((self.results / "small" / "run.json").read_text(encoding="utf-8"))["seconds"])
        self.assertTrue(all(0 <= each < 3600 for each in seconds), seconds)

    def assert_taken_once(self, workers):
        """That no worker lost what it had taken."""
        for log, worker in workers.items():
            self.assertNotIn("took over", self.ends(worker, log, [0]))
        self.assertEqual({manifest["lease"]["token"] for manifest in manifests(self.store).values()}, {1})

    def test_a_clock_that_jumps_under_workers_costs_nobody_a_lease(self):
        run = self.start_run("--launcher", NO_WORKERS, "--lost-after", "10", **self.jumping_clock())
        wait_until((self.store / "queue" / "ready").exists)
        workers = {log: self.start_worker(log, "--lost-after", "10", **self.jumping_clock()) for log in ("one.log", "other.log")}
        self.jumps(run, workers.values())
        self.ends(run, "run.log", [0])
        self.assert_complete()
        self.assert_taken_once(workers)
        self.assert_took_minutes()

    def test_a_clock_that_jumps_under_a_served_store_costs_nobody_a_lease(self):
        run = self.start_run("--launcher", NO_WORKERS, "--lost-after", "10", **self.jumping_clock())
        wait_until((self.store / "queue" / "ready").exists)
        server = self.start([arguments.holdfast, "serve-store", "--store", self.store, "--port", "0"], "server.log", **self.jumping_clock())
        url = wait_until(lambda: re.search(r" at (http://\S+)", self.log("server.log")))[1]
        workers = {
            log: self.start([arguments.holdfast, "worker", "--store", url, "--cache", self.folder / log.removesuffix(".log"),
                             "--threads", "1", "--lost-after", "10"], log, **self.jumping_clock())
            for log in ("one.log", "other.log")}
        self.jumps(run)
        self.ends(run, "run.log", [0])
        self.assert_complete()
        self.assert_taken_once(workers)
        self.assert_took_minutes()
        server.kill()
        server.wait()

    def test_a_clock_that_jumps_changes_no_run(self):
        run = self.start_run(**self.jumping_clock())
        self.jumps(run)
        self.ends(run, "run.log", [0])
        self.assert_complete()
        self.assert_took_minutes()

    def test_a_run_that_is_killed(self):
        run = self.start_run()
        wait_until(lambda: len(manifests(self.store)) > 1)
        run.kill()
        run.wait()
        self.completes()

    def test_workers_go_on_without_a_run_that_is_killed_and_another_one_completes(self):
        run = self.start_run("--launcher", "local")
        wait_until(lambda: len(manifests(self.store)) > 1)
        leased = wait_until(lambda: os.listdir(self.store / "queue" / "leased"))
        run.kill()
        run.wait()
        for name in leased:
            key = name.rsplit(".", 1)[1].split("~")[0]
            wait_until(lambda key=key: list(self.store.glob(f"*/{key}/manifest.json")))
        self.completes("--launcher", "local")


def mount(*words):
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)


class Disks(Faults):
    """Disks that fill up, close, or lose the store."""

    def launcher(self):
        """As local, with logs that keep no file of the disk open."""
        return f"for n in 1 2; do {{command}} >> {self.folder}/worker-$n.log 2>&1 & done # {{n}}"

    def small_disk(self):
        """A file system of its own for results and store."""
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        done = mount("-t", "tmpfs", "-o", f"size={4 * self.bytes}", "holdfast-test", self.disk)
        if done.returncode != 0:
            self.skipTest(f"no file system may be mounted here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        self.results = self.disk / "results"

    def fill(self):
        """All that is left of the disk; what is given back later too."""
        with (self.disk / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(bytes(65536)) == 65536:
                    pass
            except OSError:
                pass

    def fills_up(self, *more):
        self.small_disk()
        run = self.start_run(*more)
        wait_until(lambda: len(manifests(self.store)) > 1)
        said = self.ends(run, "run.log", [1, 2], self.fill)
        self.assert_whole()
        (self.disk / "filler").unlink()
        self.assert_said(said, run.returncode, ["No space left on device"])
        self.completes(*more)

    def test_a_full_disk(self):
        self.fills_up()

    def test_a_full_disk_under_workers(self):
        self.fills_up("--launcher", "local")

    def closes(self, *more):
        self.small_disk()
        run = self.start_run(*more)
        wait_until(lambda: len(manifests(self.store)) > 1)
        wait_until(lambda: mount("-o", "remount,ro", self.disk).returncode == 0)  # when no file is open for writing
        said = self.ends(run, "run.log", [1, 2])
        self.assert_whole()
        self.assert_said(said, run.returncode, ["Read-only file system"])
        self.assertEqual(mount("-o", "remount,rw", self.disk).returncode, 0)
        self.completes(*more)

    def test_a_disk_that_closes(self):
        self.closes()

    def test_a_disk_that_closes_under_workers(self):
        self.closes("--launcher", self.launcher())

    def remove(self, folder):
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=True)

    def loses(self, what, *more):
        run = self.start_run(*more)
        wait_until(lambda: len(manifests(self.store)) > 1)
        self.remove(what)
        said = self.ends(run, "run.log", [1, 2])
        self.assert_said(said, run.returncode, ["No such file or directory", "left the store during the run", "was removed", " is gone"])
        self.completes(*more)

    def test_a_store_that_is_removed(self):
        self.loses(self.store)

    def test_results_that_are_removed(self):
        self.loses(self.results)

    def test_a_store_that_is_removed_under_workers(self):
        self.loses(self.store, "--launcher", "local")

    def test_a_store_that_is_removed_under_a_worker(self):
        run = self.start_run("--launcher", NO_WORKERS)
        wait_until((self.store / "queue" / "ready").exists)
        worker = self.start_worker("worker.log")
        wait_until(lambda: manifests(self.store))
        self.remove(self.store)
        for process, log in ((worker, "worker.log"), (run, "run.log")):
            self.assertIn(f"{self.store}/queue was removed while it was in use: the same command makes a new one",
                          self.ends(process, log, [2]))


class Permissions(Faults):
    """Folders that whoever runs may not write."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root may run a program as nobody")
        self.nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*self.nobody, arguments.holdfast, "--version"], capture_output=True, check=False).returncode != 0:
            self.skipTest("nobody may not read the program")
        self.folder.chmod(0o755)
        self.allow(self.folder / "cache", self.results, self.store, self.store / "tmp")
        (self.store / "queue").mkdir()  # root's

    def allow(self, *folders):
        for folder in folders:
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)

    def refused(self, process, log, folder):
        said = self.ends(process, log, [2])
        self.assertIn(f"holdfast: cannot write the {folder}: Permission denied; ", said)

    def test_a_queue_that_a_worker_may_not_write(self):
        self.refused(self.start_worker("worker.log", before=self.nobody), "worker.log", f"queue {self.store}/queue")

    def test_a_queue_that_a_run_may_not_write(self):
        run = self.start_run("--launcher", "local", before=self.nobody)
        self.refused(run, "run.log", f"queue {self.store}/queue")
        self.allow(self.store / "queue")
        self.completes("--launcher", "local", before=self.nobody)

    def test_an_artifact_that_a_run_may_not_read_is_not_made_again(self):
        self.completes()
        artifact = next(self.store.glob("align/*"))
        before = (artifact / "manifest.json").stat()
        (artifact / "manifest.json").chmod(0o600)
        for folder, _, _ in os.walk(self.store):
            pathlib.Path(folder).chmod(0o777)  # it could be thrown away
        self.allow(self.results / "small", self.results / "small" / "samples")
        (self.results / "small" / "cells.jsonl").unlink()
        said = self.ends(self.start_run(before=self.nobody), "run.log", [2])
        self.assertIn(f"holdfast: cannot read {artifact}/manifest.json: Permission denied", said)
        (artifact / "manifest.json").chmod(0o644)
        self.completes()
        self.assertEqual((artifact / "manifest.json").stat().st_ino, before.st_ino)

    def test_a_store_that_a_run_may_not_write(self):
        (self.store / "tmp").chmod(0o755)
        self.refused(self.start_run(before=self.nobody), "run.log", f"store {self.store}")
        self.allow(self.store / "tmp")
        self.completes(before=self.nobody)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--file-server", required=True)
    known, others = parser.parse_known_args()
    arguments.__dict__.update(vars(known))
    unittest.main(argv=[sys.argv[0], *others], verbosity=2)
