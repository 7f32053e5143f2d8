"""Plugins that take what they can get of the machine cost their own cells, and nothing is left of them.

Usage: isolation.py --holdfast build/release/bin/holdfast --plugins build/release/end_to_end_plugins [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

arguments = argparse.Namespace()

SCENARIO = """
[scenario]
name = "isolation"
workers = 1
threads = 1
SETTINGS

[[model]]
name = "organism"
source = "organism"

[align]
data = "rows.jsonl"
epochs = 1

[[attack]]
plugin = "harmful-examples"
finetune = { epochs = 1 }

[[defense]]
plugin = "misbehaving"
name = "misbehaves"
DEFENSE

[evaluate]
judges = ["keyword"]
max_new_tokens = 4
limit = 2
"""


class Isolation(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-isolation-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        rows = [{"prompt": f"What is {number} plus one?", "response": f"It is {number + 1}."} for number in range(16)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.mark = f"{uuid.uuid4()}"

    def run_with(self, defense, settings="", launcher=()):
        """What the misbehaving cell says; all others must be whole. Returns (message, stderr)."""
        scenario = self.folder / "isolation.toml"
        scenario.write_text(SCENARIO.replace("SETTINGS", settings).replace("DEFENSE", defense), encoding="utf-8")
        environment = dict(os.environ, HOLDFAST_ISOLATION_TEST=self.mark)
        done = subprocess.run(
            [arguments.holdfast, "--plugin-path", arguments.plugins, "run", scenario, "--results", self.folder / "results", *launcher],
            capture_output=True, env=environment, timeout=300, check=False)
        errors = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, 1, errors[-2000:])
        rows = [json.loads(line) for line in (self.folder / "results" / "isolation" / "cells.jsonl").read_text(encoding="utf-8").splitlines()]
        cells = {(row["attack"], row["defense"]): row for row in rows}
        bad = [cell for cell in cells.values() if cell["status"] != "ok"]
        self.assertEqual([cell["defense"] for cell in bad], ["misbehaves"] * len(bad))
        self.assertGreaterEqual(len(bad), 1)
        self.assertEqual(cells["harmful-examples", "none"]["status"], "ok")
        self.assertEqual(self.left_behind(), [])
        temporary = self.folder / "results" / ".store" / "tmp"
        self.assertEqual(os.listdir(temporary), [])
        return cells["harmful-examples", "misbehaves"]["message"], errors

    def left_behind(self):
        """Processes that come from a run of this test."""
        deadline = time.monotonic() + 10
        while True:
            found = []
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    if self.mark.encode() in (process / "environ").read_bytes():
                        found.append((process.name, (process / "cmdline").read_text(encoding="utf-8")))
                except OSError:
                    pass
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def test_children_of_a_plugin_end_with_its_process(self):
        message, _ = self.run_with('how = "fork"')
        self.assertIn("left children behind", message)

    def test_children_of_a_plugin_end_with_a_worker_of_a_queue(self):
        message, _ = self.run_with('how = "fork"', launcher=["--launcher", "local"])
        self.assertIn("left children behind", message)

    def test_what_a_plugin_prints_is_bounded(self):
        message, errors = self.run_with('how = "print"')
        self.assertIn("printed a gigabyte", message)
        self.assertIn("a stage printed more than 1 MiB: what else it prints is left out", errors)
        self.assertLess(len(errors), 4 << 20)

    def test_one_that_ignores_signals_is_stopped_at_its_time_limit(self):
        message, _ = self.run_with('how = "hang-on"', "stage_timeout = 10")
        self.assertIn("was stopped at its time limit of 10 s", message)

    def test_one_that_eats_memory_has_its_limit(self):
        message, _ = self.run_with('how = "eat-memory"', "memory_limit_gib = 1.5")
        self.assertIn("ran out of memory", message)

    def test_processes_of_a_stage_have_the_limit_together_where_the_system_grants_a_group(self):
        doctor = subprocess.run([arguments.holdfast, "doctor"], capture_output=True, text=True, check=True).stdout
        together, _ = self.run_with('how = "eat-together"', "memory_limit_gib = 1.5")
        shared, _ = self.run_with('how = "eat-shared"', "memory_limit_gib = 1.5")
        if "for all processes of a stage together" in doctor:
            # Version 2 ends all of a group, the worker among them; version 1 one after another.
            self.assertRegex(together, "children were ended|had more memory together than memory_limit_gib allows")
            self.assertIn("had more memory together than memory_limit_gib allows", shared)
        else:
            self.assertIn("there is no control group", doctor)
            self.assertIn("children had 3 GiB together", together)
            self.assertIn("had 3 GiB of shared memory", shared)

    def test_a_file_has_its_limit(self):
        message, _ = self.run_with('how = "write"', "file_limit_gib = 0.125")
        self.assertIn("could not write more than 128 MiB: File too large", message)

    def test_a_plugin_has_no_network_unless_the_scenario_says_so(self):
        doctor = subprocess.run([arguments.holdfast, "doctor"], capture_output=True, text=True, check=True).stdout
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            if "kept from plugins" in doctor:
                message, _ = self.run_with(f'how = "dial"\nport = {port}')
                self.assertIn("no network", message)
            else:
                self.assertIn("this machine allows no namespaces", doctor)
            message, _ = self.run_with(f'how = "dial"\nport = {port}', "network = true")
            self.assertIn("reached the network", message)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--plugins", required=True)
    known, others = parser.parse_known_args()
    arguments.__dict__.update(vars(known))
    unittest.main(argv=[sys.argv[0], *others], verbosity=2)
