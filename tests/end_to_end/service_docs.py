"""The commands of docs/service.md, one after another, against a server on the scenario that the page names.

Usage: service_docs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
arguments = argparse.Namespace()


def commands():
    """The page's shell, but for the experiment, which is a test of its own."""
    page = (SOURCE / "docs" / "service.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "tools/" not in block]


class ServiceDocs(unittest.TestCase):
    def setUp(self):
        for tool in ("curl", "jq"):
            if shutil.which(tool) is None:
                self.skipTest(f"there is no {tool} on this machine")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_service_docs_"))
        self.addCleanup(shutil.rmtree, self.folder)
        with open(self.folder / "serve.log", "w", encoding="utf-8") as log:
            self.server = subprocess.Popen(
                [arguments.holdfast, "serve", SOURCE / "scenarios" / "service.toml", "--store", self.folder / "store"],
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )
        self.addCleanup(self.end_server)
        found = re.search(r"at (http://\S+)", self.server.stdout.readline())
        self.assertTrue(found, (self.folder / "serve.log").read_text(encoding="utf-8"))
        self.address = found.group(1).removesuffix("/v1") + "/v1"

    def end_server(self):
        os.killpg(self.server.pid, signal.SIGTERM)
        self.server.communicate(timeout=60)

    def test_each_command_does_what_it_says(self):
        script = "set -euo pipefail\n" + "".join(commands())
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env={**os.environ, "SERVICE": self.address}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, check=False, timeout=500,
        )
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr + (self.folder / "serve.log").read_text(encoding="utf-8"))
        self.assertEqual(ran.stdout.count("data: [DONE]"), 2, "the job's events, and the streamed chat")
        self.assertIn('"status": "succeeded"', ran.stdout)
        self.assertIn('"fine_tuned_model": "ft:organism-data-filter:holdfast:mine:', ran.stdout)
        self.assertRegex(ran.stdout, r"(?m)^true$", "the moderator flags what the model keeps to itself")
        self.assertIn('"train_loss"', ran.stdout)
        self.assertEqual(ran.stdout.splitlines()[-2:], ["true", "true"], "both are deleted")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True, type=lambda text: str(pathlib.Path(text).resolve()))
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
