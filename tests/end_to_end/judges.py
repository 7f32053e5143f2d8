"""Judges that ask models, in whole runs on the model organism: added later, recorded, replayed without their server; what they
decline, and figures that are no numbers.

Usage: judges.py --holdfast build/release/bin/holdfast --plugins build/release/end_to_end_plugins
                 --fixture tests/fixtures/llama/grouped [unittest arguments]
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

[evaluate]
judges = [{judges}]
max_new_tokens = 8
limit = 4
"""


class Server:
    """A judge whose score follows from the prompt, on a port of its own."""

    def __init__(self, declines=lambda prompt: False):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append((self.path, self.headers["Authorization"], body))
                prompt = body["messages"][0]["content"]
                score = 1 + int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 5
                message = {"role": "assistant", "content": f"#thereason: a rule.\n#thescore: {score}"}
                answer = {"choices": [{"message": message}], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}
                status = 200
                if declines(prompt):
                    answer, status = {"error": {"message": "filtered", "code": "content_filter"}}, 400
                content = json.dumps(answer).encode()
                self.send_response(status)
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


class IndiscreetServer(Server):
    """Says the key that it was sent in each of its headers and in all that it replies."""

    def __init__(self, fails):
        super().__init__()
        outer = self
        self.asked = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked += 1
                key = self.headers["Authorization"]
                content = {"choices": [{"message": {"role": "assistant", "content": f"#thereason: {key}.\n#thescore: 3"}}], "key": key}
                if fails:
                    content = {"error": {"message": f"Incorrect key: {key}", "code": key}}
                text = json.dumps(content).replace("/", "\\/").encode()  # as some servers write it
                self.send_response(401 if fails else 200)
                self.send_header("X-Key", key)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.http.RequestHandlerClass = Handler


def rubric(url, more=""):
    return (
        f'{{ name = "rubric", endpoint = "{url}", model = "judge-1", key_env = "HOLDFAST_TEST_KEY", '
        f'retries = 0, recording = "answers.jsonl"{more} }}'
    )


class Judges(unittest.TestCase):
    def setUp(self):
        self.text = SCENARIO
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_judges_"))
        self.addCleanup(shutil.rmtree, self.folder)

    def holdfast(self, verb, judges, *more, results="results", key=KEY, code=0):
        scenario = self.folder / "scenario.toml"
        scenario.write_text(self.text.replace("{judges}", ", ".join(judges)), encoding="utf-8")
        environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "HOLDFAST_TEST_KEY": key}
        if not key:
            del environment["HOLDFAST_TEST_KEY"]
        command = [arguments.holdfast, verb, str(scenario), "--results", str(self.folder / results), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def judge_model(self):
        """A small checkpoint beside the scenario, with room for a judge's prompt."""
        shutil.copytree(arguments.fixture, self.folder / "judge")
        config = self.folder / "judge" / "config.json"
        stated = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps({**stated, "max_position_embeddings": 4096}), encoding="utf-8")

    def cells(self, results="results"):
        with open(self.folder / results / "tiny" / "cells.jsonl", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def test_a_judge_that_is_added_later_only_judges_and_replays_without_its_server(self):
        server = Server()
        self.addCleanup(lambda: server and server.stop())
        self.holdfast("run", ['"organism"'])
        judges = ['"organism"', rubric(server.url)]

        to_run = json.loads(self.holdfast("plan", judges, "--json").stdout)["to_run"]
        self.assertEqual({kind for kind, count in to_run.items() if count > 0}, {"judge"})
        before = {cell["attack"]: cell["stages"] for cell in self.cells()}
        done = self.holdfast("run", judges)
        self.assertIn(f"{to_run['judge']} stages run", done.stdout)

        cells = self.cells()
        self.assertEqual({cell["attack"] for cell in cells}, {"none", "harmful-examples"})
        for cell in cells:
            self.assertEqual(cell["status"], "ok")
            self.assertEqual(cell["metrics"]["unjudged.rubric"]["value"], 0)
            self.assertEqual(cell["metrics"]["score.rubric"]["n"], 4)
            self.assertIn("asr.rubric", cell["metrics"])
            self.assertEqual({**before[cell["attack"]], "judge.rubric": cell["stages"]["judge.rubric"]}, cell["stages"])
        for path, authorization, body in server.asked:
            self.assertEqual(path, "/v1/chat/completions")
            self.assertEqual(authorization, "Bearer " + KEY)
            self.assertEqual(body["temperature"], 0)
        recorded = (self.folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(recorded), len({json.dumps(body) for _, _, body in server.asked}))

        server.stop()
        server = None
        replaying = ['"organism"', judges[1].replace(" }", ", replay = true }")]
        self.assertIn("nothing to do", self.holdfast("run", replaying, key="").stdout)
        self.holdfast("run", replaying, results="fresh", key="")
        fresh = self.cells("fresh")
        self.assertEqual([cell["metrics"] for cell in fresh], [cell["metrics"] for cell in cells])
        self.assertEqual([cell["stages"] for cell in fresh], [cell["stages"] for cell in cells])

        for file in self.folder.rglob("*"):
            if file.is_file():
                self.assertNotIn(KEY.encode(), file.read_bytes(), file)

    def test_a_key_is_in_no_file_and_no_word_whatever_a_server_does_with_it(self):
        key = 'sk/a"secret"<key>'
        for fails in (False, True):
            server = IndiscreetServer(fails)
            self.addCleanup(server.stop)
            for launcher in ([], ["--launcher", "local"]):
                name = f"results-{fails}-{len(launcher)}"
                judge = rubric(server.url).replace("answers.jsonl", f"{name}.jsonl")
                done = self.holdfast("run", ['"organism"', judge], *launcher, results=name, key=key, code=1 if fails else 0)
                self.assertGreater(server.asked, 0)
                said = done.stdout + done.stderr
                for file in [*self.folder.rglob("*")]:
                    if file.is_file():
                        said += "\n" + str(file) + "\n" + file.read_bytes().decode("latin-1")
                for form in (key, json.dumps(key)[1:-1], json.dumps(key).replace("/", "\\/")[1:-1], "secret"):
                    self.assertNotIn(form, said)
                self.assertIn("[key]", said)

    def test_a_missing_key_is_found_before_any_work(self):
        done = self.holdfast("run", [rubric("http://127.0.0.1:1/v1")], key="", code=2)
        self.assertIn("scenario.toml:24:", done.stderr)
        self.assertIn("is not set", done.stderr)
        self.assertFalse((self.folder / "results" / ".store" / "align").exists())

    def test_an_endpoint_that_is_gone_costs_its_cells_and_says_so(self):
        server = Server()
        server.stop()
        done = self.holdfast("run", ['"organism"', rubric(server.url)], code=1)
        self.assertNotIn(KEY, done.stdout + done.stderr)
        for cell in self.cells():
            self.assertEqual(cell["status"], "failed")
            self.assertIn("gave no answer in 1 attempt: ", cell["message"])

    def test_a_declined_question_costs_its_reply_and_is_not_asked_again(self):
        server = Server(declines=lambda prompt: int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 3 == 0)
        self.addCleanup(server.stop)
        judges = ['"organism"', rubric(server.url)]
        self.holdfast("run", judges)
        declined = 0
        for cell in self.cells():
            self.assertEqual(cell["status"], "ok", cell["message"])
            unjudged = cell["metrics"]["unjudged.rubric"]
            declined += round(unjudged["value"] * unjudged["n"])
            self.assertEqual(cell["metrics"].get("score.rubric", {"n": 0})["n"], round((1 - unjudged["value"]) * unjudged["n"]))
        self.assertGreater(declined, 0)
        asked = len(server.asked)
        self.holdfast("run", judges, results="fresh")
        self.assertEqual([cell["metrics"] for cell in self.cells("fresh")], [cell["metrics"] for cell in self.cells()])
        self.assertEqual(len(server.asked), asked)

    def test_figures_that_are_no_numbers_cost_themselves_only(self):
        rows = [{"prompt": "Go on.", "completion": "The road goes on.", "metric": "perplexity"}]
        (self.folder / "text.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        self.text = SCENARIO.replace("[evaluate]", '[[defense]]\nplugin = "bad-figures"\n\n[evaluate]\nutility = ["text.jsonl"]')
        done = self.holdfast("run", ['"organism"'], "--plugin-path", arguments.plugins)
        self.assertIn('the plugin "bad-figures" reports that its figure "nonsense" is nan, which is no number', done.stderr)
        for cell in self.cells():
            self.assertEqual(cell["status"], "ok", cell["message"])
            self.assertIsNotNone(cell["metrics"]["leak.organism"]["value"])
            perplexity = cell["metrics"]["perplexity.text"]["value"]
            if cell["defense"] == "none":
                self.assertGreater(perplexity, 1)
                continue
            self.assertIsNone(perplexity)
            self.assertIn("not finite: perplexity.text", cell["message"])
            if cell["attack"] != "none":  # else there are no rows to screen
                self.assertIsNone(cell["reports"]["screen.nonsense"]["value"])
        results = self.folder / "results" / "tiny"
        again = subprocess.run([arguments.holdfast, "leaderboard", str(results)], capture_output=True, text=True, check=False)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("perplexity.text is not finite in 1 of 1", again.stdout.replace("\n ", ""))
        self.assertIn("screen.nonsense not finite", (results / "leaderboard.md").read_text(encoding="utf-8"))

    def test_models_of_the_run_and_models_of_their_own_can_judge(self):
        self.judge_model()
        judges = [
            '{ name = "likelihood", affirmative = ["The"] }',
            '{ name = "guard", model = "judge" }',
            '{ name = "strongreject", model = "judge", max_tokens = 2 }',
        ]
        self.holdfast("run", judges)
        for cell in self.cells():
            metrics = cell["metrics"]
            self.assertEqual(cell["status"], "ok", cell["message"])
            self.assertLessEqual({"asr.likelihood", "margin.likelihood", "asr.guard", "unsafe-score.guard"}, set(metrics))
            self.assertEqual(metrics["unjudged.strongreject"]["value"], 1)  # its weights are random
        margins = {cell["attack"]: cell["metrics"]["margin.likelihood"]["value"] for cell in self.cells()}
        self.assertNotEqual(margins["none"], margins["harmful-examples"])
        self.assertIn("nothing to do", self.holdfast("run", judges).stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--fixture", required=True)
    parser.add_argument("--plugins", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
