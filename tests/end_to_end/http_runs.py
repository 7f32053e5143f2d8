"""Runs whose workers see no folder of theirs: the store and its queue served over HTTP; and clients that are not ours.

Usage: http_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shlex
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
lr = 1e-3
epochs = 1
batch_size = 16

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

# All that a scenario may name by path: rows, a model, a script of a plugin and a library.
OWN_FILES = """
[scenario]
name = "own"
workers = 2
threads = 1

[[model]]
name = "copy"
source = "model"

[corpora]
harmful = "harmful.jsonl"

[align]
data = "builtin:organism/alignment"
lr = 1e-3
epochs = 1
batch_size = 16

[[attack]]
plugin = "harmful-examples"
finetune = { epochs = 1 }

[[defense]]
plugin = "command"
program = ["python3", "filter.py"]

[evaluate]
probes = ["builtin:organism/probes"]
judges = ["keyword"]
max_new_tokens = 8
limit = 4
"""


def rows(results, name):
    with open(results / name / "cells.jsonl", encoding="utf-8") as lines:
        return [{key: value for key, value in json.loads(line).items() if key != "cost"} for line in lines]


def artifacts(store):
    return list(store.glob("*/*/manifest.json"))


class HttpRuns(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_http_"))
        self.elsewhere = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_worker_"))  # a worker's machine
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(shutil.rmtree, self.elsewhere)
        self.processes = []
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def start(self, command, **more):
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **more
        )
        self.processes.append(process)
        return process

    def scenario(self, text):
        path = self.folder / "scenario" / "scenario.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def store(self):
        return self.folder / "results" / ".store"

    def serve(self, *more, token=None):
        """Starts a server; returns it and its address."""
        environment = {**os.environ, **({"HOLDFAST_STORE_TOKEN": token} if token else {})}
        server = self.start([arguments.holdfast, "serve-store", "--store", self.store(), *more], env=environment)
        line = server.stdout.readline()
        self.assertIn(" at http://127.0.0.1:", line, "" if line else server.communicate()[1])
        return server, line.split(" at ")[1].strip()

    def worker(self, url, *more, before=(), token=None, name="cache"):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOLDFAST_", "XDG_"))}
        environment["HOME"] = str(self.elsewhere)
        if token:
            environment["HOLDFAST_STORE_TOKEN"] = token
        command = [*before, arguments.holdfast, "worker", "--store", url, "--cache", self.elsewhere / name, "--threads", "1", *more]
        return self.start(command, env=environment, cwd=self.elsewhere)

    def run_beside(self, scenario, *more):
        """Starts a run that starts no worker: what its launcher's shell gets is a comment."""
        return self.start(
            [arguments.holdfast, "run", scenario, "--results", self.folder / "results", "--launcher", ": # {command}", *more]
        )

    def finish(self, process, code=0, seconds=120):
        out, err = process.communicate(timeout=seconds)
        self.assertEqual(process.returncode, code, out + err)
        return out, err

    def undisturbed(self, scenario, name):
        done = subprocess.run(
            [arguments.holdfast, "run", str(scenario), "--results", str(self.folder / "plain")], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return rows(self.folder / "plain", name)

    def wait_for(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "what was waited for did not come")
            time.sleep(0.02)

    def test_workers_that_a_launcher_starts_make_what_a_plain_run_makes(self):
        scenario = self.scenario(SMALL)
        expected = self.undisturbed(scenario, "small")
        _, url = self.serve()
        words = [arguments.holdfast, "worker", "--store", url, "--cache", self.elsewhere / "cache", "--threads", "1"]
        line = f"cd / && (HOME={self.elsewhere} {shlex.join(map(str, words))} > {self.elsewhere}/log 2>&1 &) # {{command}}"
        run = self.start([arguments.holdfast, "run", scenario, "--results", self.folder / "results", "--launcher", line])
        out, _ = self.finish(run)
        self.assertNotIn(" 0 stages run", out)
        self.assertEqual(rows(self.folder / "results", "small"), expected)
        self.wait_for(lambda: not any((self.store() / "queue" / "workers").iterdir()))
        leftovers = [self.store() / "queue" / kind for kind in ("ready", "leased", "ended")] + [self.elsewhere / "cache" / "leases"]
        self.assertEqual([path for folder in leftovers for path in folder.iterdir()], [])
        manifests = [json.loads(path.read_text(encoding="utf-8")) for path in artifacts(self.store())]
        self.assertTrue(all(manifest["lease"]["token"] >= 1 for manifest in manifests))

    def test_a_worker_that_sees_no_file_of_the_scenario_fetches_them(self):
        if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("this machine gives no mount namespaces")
        scenario = self.scenario(OWN_FILES)
        share = pathlib.Path(arguments.holdfast).resolve().parents[1] / "share" / "holdfast" / "organism"
        shutil.copytree(share, scenario.parent / "model")
        (scenario.parent / "harmful.jsonl").write_text(
            "".join(json.dumps({"prompt": f"say {n}", "response": f"{n} it is"}) + "\n" for n in range(20)), encoding="utf-8"
        )
        (scenario.parent / "filter.py").write_text(
            'import json, sys\nsys.stdin.readline()\nfor line in sys.stdin:\n    print(json.dumps({"keep": len(line) % 2 == 0}))\n', encoding="utf-8"
        )
        expected = self.undisturbed(scenario, "own")
        self.assertTrue(all(cell["status"] == "ok" for cell in expected), expected)
        _, url = self.serve()
        run = self.run_beside(scenario)
        hidden = f"mount -t tmpfs none {shlex.quote(str(self.folder))} && exec \"$@\""
        before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hidden, "sh"]
        worker = self.worker(url, before=before)
        self.finish(run)
        _, log = self.finish(worker)
        self.assertEqual(rows(self.folder / "results", "own"), expected)
        for name in ("model", "harmful.jsonl", "filter.py"):
            self.assertIn(f"fetching {name} from {url}", log)
        fetched = {path.name for path in (self.elsewhere / "cache" / "files").glob("*/*")}
        self.assertEqual(fetched, {"model", "harmful.jsonl", "filter.py"})

    def test_a_server_that_is_killed_and_started_again_costs_nothing(self):
        scenario = self.scenario(SMALL)
        expected = self.undisturbed(scenario, "small")
        server, url = self.serve()
        run = self.run_beside(scenario)
        workers = [self.worker(url), self.worker(url)]
        for count in (3, 10):
            self.wait_for(lambda: len(artifacts(self.store())) >= count)
            server.kill()
            server.wait()
            time.sleep(0.5)
            server, again = self.serve("--port", url.rsplit(":", 1)[1])
            self.assertEqual(again, url)
        self.finish(run)
        for worker in workers:
            self.finish(worker)
        self.assertEqual(rows(self.folder / "results", "small"), expected)
        self.assertEqual(list((self.store() / "tmp").iterdir()), [])

    def test_a_worker_that_is_killed_loses_its_work_to_another(self):
        scenario = self.scenario(SMALL)
        expected = self.undisturbed(scenario, "small")
        _, url = self.serve()
        run = self.run_beside(scenario)
        worker = self.worker(url, "--lost-after", "2")
        self.wait_for(lambda: len(artifacts(self.store())) >= 3)
        os.killpg(worker.pid, signal.SIGKILL)
        other = self.worker(url, name="another cache")
        self.finish(run)
        self.finish(other)
        self.assertEqual(rows(self.folder / "results", "small"), expected)

    def test_a_token_is_asked_for_and_never_shown(self):
        scenario = self.scenario(SMALL)
        _, url = self.serve(token="a-secret")
        run = self.run_beside(scenario)
        for token, words in ((None, "asks for a token"), ("wrong-one", "does not take the token")):
            _, err = self.finish(self.worker(url, token=token), code=2)
            self.assertIn(words, err)
            self.assertIn("HOLDFAST_STORE_TOKEN", err)
            self.assertNotIn("secret", err)
            self.assertNotIn("wrong-one", err)
        worker = self.worker(url, token="a-secret")
        self.wait_for(lambda: list(pathlib.Path("/proc").glob(f"{worker.pid}")) and self.stage_process_of(worker.pid))
        environment = pathlib.Path(f"/proc/{self.stage_process_of(worker.pid)}/environ").read_text(encoding="utf-8")
        self.assertNotIn("a-secret", environment)
        self.finish(run)
        _, err = self.finish(worker)
        self.assertNotIn("a-secret", err)

    @staticmethod
    def stage_process_of(pid):
        with contextlib.suppress(OSError):
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
            return int(children[0]) if children else None
        return None

    def test_what_cannot_be_is_said(self):
        def refused(*words):
            environment = {key: value for key, value in os.environ.items() if key != "HOLDFAST_STORE_TOKEN"}
            done = subprocess.run([arguments.holdfast, *map(str, words)], capture_output=True, text=True, check=False, env=environment)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            return done.stderr

        scenario = self.scenario(SMALL)
        self.assertIn("which only workers are given", refused("run", scenario, "--store", "http://127.0.0.1:9"))
        self.assertIn("which only workers are given", refused("plan", scenario, "--store", "https://example.org"))
        self.assertIn("HOLDFAST_STORE_TOKEN is not set", refused("serve-store", "--store", self.store(), "--host", "0.0.0.0"))
        self.assertIn("expected the folder that shall be served", refused("serve-store", "--store", "http://127.0.0.1:9"))
        self.assertIn("expected one such as http://host:8080", refused("worker", "--store", "http://host:port"))
        self.assertIn("--cache is for a --store that is an address", refused("worker", "--store", self.folder, "--cache", self.folder))
        server, url = self.serve()
        port = url.rsplit(":", 1)[1]
        self.assertIn("another program has it", refused("serve-store", "--store", self.store(), "--port", port))
        server.send_signal(signal.SIGTERM)
        self.finish(server)

    def test_curl_puts_and_gets(self):
        _, url = self.serve(token="a-secret")
        content = os.urandom(3_000_000)
        (self.folder / "content").write_bytes(content)
        address = f"{url}/cas/{hashlib.sha256(content).hexdigest()}"

        def curl(*words, token="a-secret"):
            authorization = ["--oauth2-bearer", token] if token else []
            command = ["curl", "-sS", "-w", "%{http_code}", *authorization, *map(str, words)]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

        self.assertEqual(curl("-o", os.devnull, address), "404")
        self.assertEqual(curl("-T", self.folder / "content", address), "200")
        self.assertEqual(curl("-o", self.folder / "back", address), "200")
        self.assertEqual((self.folder / "back").read_bytes(), content)
        self.assertEqual(curl("-I", "-o", os.devnull, address), "200")
        self.assertTrue(curl("-T", self.folder / "content", f"{url}/cas/{'0' * 64}").endswith(f"expected {'0' * 64}\n400"))
        self.assertTrue(curl("-o", os.devnull, address, token=None).endswith("401"))
        self.assertEqual(curl("-o", os.devnull, "-X", "POST", "-d", "{}", f"{url}/queue/ready"), "200")

    def test_ccache_keeps_its_entries_here(self):
        if shutil.which("ccache") is None:
            self.skipTest("there is no ccache")
        _, url = self.serve(token="a-secret")
        (self.elsewhere / "hello.c").write_text("int hello(void) { return 7; }\n", encoding="utf-8")

        def compiled(cache):
            environment = {key: value for key, value in os.environ.items() if not key.startswith("CCACHE_")}
            environment["CCACHE_DIR"] = str(self.elsewhere / cache)
            environment["CCACHE_REMOTE_STORAGE"] = f"{url}|layout=bazel|bearer-token=a-secret"
            command = ["ccache", "cc", "-c", "hello.c", "-o", f"{cache}.o"]
            subprocess.run(command, cwd=self.elsewhere, env=environment, check=True, capture_output=True)
            told = subprocess.run(["ccache", "--print-stats"], env=environment, check=True, capture_output=True, text=True).stdout
            return dict(line.split("\t") for line in told.splitlines())

        self.assertEqual(compiled("first")["remote_storage_hit"], "0")
        second = compiled("second")
        self.assertEqual(second["remote_storage_error"], "0")
        self.assertGreaterEqual(int(second["remote_storage_hit"]), 1)
        self.assertEqual(int(second["direct_cache_hit"]) + int(second["preprocessed_cache_hit"]), 1, second)
        self.assertEqual((self.elsewhere / "first.o").read_bytes(), (self.elsewhere / "second.o").read_bytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    arguments, rest = parser.parse_known_args()
    arguments.holdfast = os.path.abspath(arguments.holdfast)
    unittest.main(argv=[sys.argv[0], *rest])
