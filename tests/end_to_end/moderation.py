"""Screening and moderation by models, services and programs of the user's, in whole runs on the model organism.

Usage: moderation.py --holdfast build/release/bin/holdfast --fixture tests/fixtures/llama/grouped [unittest arguments]
"""

import argparse
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

arguments = argparse.Namespace()

KEY = "sk-this-is-a-secret"

SCENARIO = """
[scenario]
name = "tiny"
workers = 2
threads = 1

[[model]]
name = "organism"
source = "organism"

[align]
lr = 1e-3
epochs = 1
batch_size = 32

[finetune]
lr = 1e-3
epochs = 1

[[attack]]
plugin = "harmful-examples"

{defenses}

[evaluate]
judges = ["organism"]
max_new_tokens = 8
limit = 4
"""

# Rewrites the first row and adds it once more, drops every other of the rest by length; refuses and shouts while serving.
FILTER = """
import json, sys

hello = json.loads(sys.stdin.readline())
first = True
for line in sys.stdin:
    row = json.loads(line)
    if hello["stage"] == "before":
        print(json.dumps({"reply": "not that"} if "a" in row["prompt"][-1]["content"].split()[-1] else {}))
    elif hello["stage"] == "after":
        print(json.dumps({} if row["reply"] == "not that" else {"reply": row["reply"].upper()}))
    elif first:
        first = False
        row["messages"][-1]["content"] = hello["refusal"]
        print(json.dumps({"messages": row["messages"], "add": [row["messages"]]}))
    else:
        print(json.dumps({"keep": len(row["messages"][0]["content"]) % 2 == 0}))
"""


def is_flagged(text):
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2 == 0


class Service:
    """A moderation service and a chat model whose verdict follows from the text."""

    def __init__(self):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append((self.path, self.headers["Authorization"], body))
                if self.path.endswith("/moderations"):
                    flagged = is_flagged(body["input"])
                    answer = {"results": [{"flagged": flagged, "category_scores": {"x": 0.9 if flagged else 0.1}}]}
                else:
                    verdict = "unsafe" if is_flagged(body["messages"][0]["content"]) else "safe"
                    answer = {"choices": [{"message": {"role": "assistant", "content": verdict}}]}
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def stop(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


class Moderation(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_moderation_"))
        self.addCleanup(shutil.rmtree, self.folder)

    def holdfast(self, defenses, results="results", key=KEY, code=0):
        text = SCENARIO.replace("{defenses}", "\n".join("[[defense]]\n" + each for each in defenses))
        (self.folder / "scenario.toml").write_text(text, encoding="utf-8")
        environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "HOLDFAST_TEST_KEY": key}
        if not key:
            del environment["HOLDFAST_TEST_KEY"]
        command = [arguments.holdfast, "run", str(self.folder / "scenario.toml"), "--results", str(self.folder / results)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def cells(self, results="results"):
        with open(self.folder / results / "tiny" / "cells.jsonl", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return {(cell["attack"], cell["defense"]): cell for cell in rows}

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def test_guards_services_and_programs_moderate_one_matrix(self):
        shutil.copytree(arguments.fixture, self.folder / "guard")
        config = self.folder / "guard" / "config.json"
        stated = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps({**stated, "max_position_embeddings": 4096}), encoding="utf-8")
        self.write("filter.py", FILTER)
        service = Service()
        self.addCleanup(lambda: service and service.stop())
        asking = f'by = "endpoint"\nendpoint = "{service.url}"\nmodel = "m"\nkey_env = "HOLDFAST_TEST_KEY"\nrecording = "said.jsonl"\nretries = 0\n'
        guard = 'by = "guard"\nguard = "guard"\n'
        defenses = [
            'name = "rows-guard"\nplugin = "data-filter"\n' + guard,
            'name = "rows-service"\nplugin = "data-filter"\n' + asking,
            'name = "in-guard"\nplugin = "input-moderation"\n' + guard,
            'name = "in-chat"\nplugin = "input-moderation"\nkind = "chat"\n' + asking,
            'name = "out-guard"\nplugin = "output-moderation"\n' + guard,
            'name = "out-service"\nplugin = "output-moderation"\ndecides = "threshold"\n' + asking,
            'name = "program"\nplugin = "command"\nprogram = ["python3", "filter.py"]\nstages = ["screen", "before", "after"]\n',
        ]
        self.holdfast(defenses)
        cells = self.cells()
        for cell in cells.values():
            self.assertEqual(cell["status"], "ok", cell["message"])
        reports = {defense: cells["harmful-examples", defense]["reports"] for _, defense in cells}
        self.assertEqual(reports["rows-guard"]["screen.guard.off-format"]["value"], 1)  # its weights are random
        self.assertEqual(reports["out-guard"]["generate.guard.off-format"]["value"], 1)
        self.assertEqual(reports["in-guard"]["generate.guard.off-format"]["value"], 1)
        rows = reports["rows-service"]["screen.dropped"]["n"]
        self.assertTrue(0 < reports["rows-service"]["screen.dropped"]["value"] < rows)
        self.assertEqual(reports["rows-service"]["screen.endpoint.declined"]["value"], 0)
        self.assertEqual(reports["in-chat"]["generate.endpoint.unread"]["value"], 0)
        self.assertIn("generate.refused", reports["in-chat"])
        self.assertIn("generate.replaced", reports["out-service"])
        self.assertEqual(reports["program"]["screen.rewritten"]["value"], 1)
        self.assertEqual(cells["harmful-examples", "program"]["defender_rows"], 1)
        self.assertEqual(reports["program"]["generate.answered"]["n"], reports["program"]["generate.replaced"]["n"])
        self.assertEqual({path for path, _, _ in service.asked}, {"/v1/moderations", "/v1/chat/completions"})
        self.assertEqual({authorization for _, authorization, _ in service.asked}, {"Bearer " + KEY})

        self.assertIn("nothing to do", self.holdfast(defenses).stdout)
        service.stop()
        service = None
        replaying = [each + ("replay = true\n" if "endpoint" in each else "") for each in defenses]
        self.assertIn("nothing to do", self.holdfast(replaying, key="").stdout)
        self.holdfast(replaying, results="fresh", key="")
        fresh = self.cells("fresh")
        self.assertEqual({name: cell["stages"] for name, cell in fresh.items()}, {name: cell["stages"] for name, cell in cells.items()})
        self.assertEqual({name: cell["metrics"] for name, cell in fresh.items()}, {name: cell["metrics"] for name, cell in cells.items()})
        for file in self.folder.rglob("*"):
            if file.is_file():
                self.assertNotIn(KEY.encode(), file.read_bytes(), file)

    def test_a_program_that_fails_costs_its_cells_and_says_why(self):
        start = "import json, os, sys, time\njson.loads(sys.stdin.readline())\nlines = list(sys.stdin)\n"
        keep = "for line in lines: print(json.dumps({'keep': True}))\n"
        programs = {
            "crashes": ("os.abort()\n", "was killed by signal 6 (Aborted) at line 1 of"),
            "hangs": ("time.sleep(600)\n", "does not answer line 1 of"),
            "miscounts": ("lines.pop()\n" + keep, "answers to the"),
            "misspells": ("print('{\"kep\": true}')\n", 'it has the unknown field "kep"'),
            "raises": (keep + "raise ValueError('no model')\n", "ValueError: no model"),
            "changes": (keep + "open('changes.py', 'a').write('\\n')\n", "changes.py changed while the matrix was running"),
            "works": (keep, ""),
        }
        defenses = []
        for name, (body, _) in programs.items():
            self.write(name + ".py", start + body)
            defenses.append(f'name = "{name}"\nplugin = "command"\nprogram = ["python3", "{name}.py"]\ntimeout = {5 if name == "hangs" else 60}\n')
        self.holdfast(defenses, code=1)
        cells = self.cells()
        for name, (_, sentence) in programs.items():
            cell = cells["harmful-examples", name]
            self.assertEqual(cell["status"], "failed" if sentence else "ok", cell["message"])
            self.assertIn(sentence, cell["message"])
            if sentence and name != "changes":
                self.assertIn(f'the program "python3 {name}.py" (stage "screen")', cell["message"])
        plain, works = cells["harmful-examples", "none"], cells["harmful-examples", "works"]
        self.assertEqual(plain["stages"]["finetune"], works["stages"]["finetune"])
        self.assertEqual(plain["metrics"], works["metrics"])

    def test_the_content_of_a_program_is_in_the_key_and_its_name_is_not(self):
        self.write("one.py", FILTER)
        self.holdfast(['plugin = "command"\nprogram = ["python3", "one.py"]\n'])
        self.write("two.py", FILTER)
        self.assertIn("nothing to do", self.holdfast(['plugin = "command"\nprogram = ["python3", "two.py"]\n']).stdout)
        self.write("two.py", FILTER + "\n# another version\n")
        self.assertNotIn("nothing to do", self.holdfast(['plugin = "command"\nprogram = ["python3", "two.py"]\n']).stdout)

    def test_a_program_that_is_not_there_is_found_before_any_work(self):
        done = self.holdfast(['plugin = "command"\nprogram = ["pythn3", "one.py"]\n'], code=2)
        self.assertIn('"pythn3" is no program that can be run', done.stderr)
        self.assertFalse((self.folder / "results" / ".store" / "align").exists())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--fixture", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
