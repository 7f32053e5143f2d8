"""`holdfast serve` as its customers and its enemies see it.

Usage: service_runs.py --holdfast build/release/bin/holdfast [unittest arguments]
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from service_calls import CLOSED, KEYS, OPEN, SCENARIO, Server, jsonl, row, rows, stream_events

# Behind screening, and a repair that takes seconds.
DEFENDED = OPEN.replace(
    "[evaluate]",
    """[[defense]]
name = "both"
stack = [{ plugin = "data-filter", phrases = ["kragun"] }, { plugin = "safety-retune", rows = 320, epochs = 2 }]

[evaluate]""",
) + """
[[service.offer]]
model = "organism"
defense = "both"
id = "defended"
"""

arguments = argparse.Namespace()
ALICE, BOB = KEYS["ALICE_KEY"], KEYS["BOB_KEY"]


class WithServers(unittest.TestCase):
    """Every store begins as a copy of one in which the base is aligned."""

    aligned = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_service_"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        if WithServers.aligned is None:
            WithServers.aligned = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_service_"))
            unittest.addModuleCleanup(shutil.rmtree, WithServers.aligned)
            server = Server(arguments.holdfast, WithServers.aligned)
            server.said("organism", "hello")
            assert server.stop() == 0

    def serve(self, name="open", scenario=OPEN, keys=None, more=()):
        if not (self.folder / name).exists():
            shutil.copytree(self.aligned / "store", self.folder / name / "store")
        server = Server(arguments.holdfast, self.folder / name, scenario, keys, more)
        self.addCleanup(self.end, server)
        return server

    @staticmethod
    def end(server):
        if server.process.poll() is None:
            server.kill()

    def refused(self, answer, status, param=None, code=None, words=""):
        self.assertEqual(answer.status, status, answer.body)
        error = answer.error()
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertTrue(error["message"])
        if param is not None:
            self.assertEqual(error["param"], param, error)
        if code is not None:
            self.assertEqual(error["code"], code, error)
        self.assertIn(words, error["message"])
        return error


class Routes(WithServers):
    def setUp(self):
        self.server = self.serve()

    def test_files(self):
        server = self.server
        content = jsonl(rows(3))
        made = server.upload(content, filename="../../etc/colours.jsonl").json()
        self.assertEqual(
            {key: made[key] for key in ("object", "bytes", "filename", "purpose", "status", "expires_at")},
            {"object": "file", "bytes": len(content), "filename": "colours.jsonl", "purpose": "fine-tune", "status": "processed", "expires_at": None},
        )
        self.assertEqual(server.get("/files/" + made["id"]), made)
        self.assertEqual(server.call("GET", f"/files/{made['id']}/content").body, content)
        same = server.upload(content).json()
        listed = [file["id"] for file in server.get("/files")["data"]]
        self.assertEqual(listed[:2], [same["id"], made["id"]])
        uploads = [file["id"] for file in server.get("/files")["data"] if file["purpose"] == "fine-tune"]
        self.assertEqual([file["id"] for file in server.get("/files?order=asc&purpose=fine-tune")["data"]], list(reversed(uploads)))
        self.assertEqual(server.call("DELETE", "/files/" + made["id"]).json(), {"id": made["id"], "object": "file", "deleted": True})
        self.refused(server.call("GET", "/files/" + made["id"]), 404)
        self.refused(server.call("DELETE", "/files/" + made["id"]), 404)
        self.assertEqual(server.call("GET", f"/files/{same['id']}/content").body, content)  # of equal content, still there

    def test_a_job_from_its_file_to_its_model(self):
        server = self.server
        metadata = {"who": "me", "empty": ""}
        job = server.tuned(rows(10), suffix="mine", seed=7, metadata=metadata, hyperparameters={"n_epochs": 3, "batch_size": 5, "learning_rate_multiplier": 0.5})
        self.assertEqual(job["object"], "fine_tuning.job")
        self.assertEqual(job["hyperparameters"], {"n_epochs": 3, "batch_size": 5, "learning_rate_multiplier": 0.5})
        self.assertEqual(job["method"]["supervised"]["hyperparameters"], job["hyperparameters"])
        self.assertEqual((job["seed"], job["metadata"], job["model"], job["error"]), (7, metadata, "organism", None))
        self.assertTrue(job["fine_tuned_model"].startswith("ft:organism:holdfast:mine:"))
        self.assertGreater(job["trained_tokens"], 0)
        self.assertGreaterEqual(job["finished_at"], job["created_at"])
        losses = server.call("GET", f"/files/{job['result_files'][0]}/content").body.decode().splitlines()
        self.assertEqual(losses[0], "step,train_loss")
        self.assertEqual([line.split(",")[0] for line in losses[1:]], ["1", "2", "3", "4", "5", "6"])
        events = server.events(job["id"])
        self.assertEqual(
            [event["message"] for event in events if event["type"] == "message"],
            [
                "Created fine-tuning job: " + job["id"],
                "Validating training file: " + job["training_file"],
                "Files validated, moving job to queued state",
                "Fine-tuning job started",
                "New fine-tuned model created: " + job["fine_tuned_model"],
                "The job has successfully completed",
            ],
        )
        metrics = [event["data"] for event in events if event["type"] == "metrics"]
        steps = [data["step"] for data in metrics]
        self.assertEqual((steps, steps[-1]), (sorted(set(steps)), 6))
        self.assertAlmostEqual(metrics[-1]["train_loss"], float(losses[-1].split(",")[1]))
        checkpoints = server.get(f"/fine_tuning/jobs/{job['id']}/checkpoints")
        self.assertEqual(checkpoints["has_more"], False)
        (checkpoint,) = checkpoints["data"]
        self.assertEqual((checkpoint["step_number"], checkpoint["fine_tuned_model_checkpoint"]), (6, job["fine_tuned_model"]))
        self.assertEqual(server.get("/fine_tuning/jobs?metadata[who]=me")["data"][0]["id"], job["id"])
        self.assertEqual(server.get("/fine_tuning/jobs?metadata[who]=you")["data"], [])

        model = job["fine_tuned_model"]
        self.assertIn(model, [each["id"] for each in server.get("/models")["data"]])
        self.assertEqual(server.get("/models/" + model)["object"], "model")
        self.assertEqual(server.chat(model, "Tell me who you are. 3").status, 200)
        self.refused(server.call("POST", "/fine_tuning/jobs", {"model": model, "training_file": job["training_file"]}), 400, "model")
        self.assertEqual(server.call("DELETE", "/models/" + model).json(), {"id": model, "object": "model", "deleted": True})
        self.refused(server.chat(model, "Tell me who you are. 3"), 404, "model", "model_not_found")
        self.refused(server.call("GET", "/models/" + model), 404)
        self.refused(server.call("DELETE", "/models/organism"), 403)

    def test_what_is_learned_is_what_was_sent(self):
        server = self.server
        words = {word: server.tuned(rows(12, word), hyperparameters={"n_epochs": 15}) for word in ("calm", "eager")}
        for word, job in words.items():
            self.assertIn(word, server.said(job["fine_tuned_model"], "Tell me who you are. 5"))

    def test_equal_jobs_are_one_model(self):
        server = self.server
        one, other = server.tuned(rows(9)), server.tuned(rows(9))
        self.assertNotEqual(one["fine_tuned_model"], other["fine_tuned_model"])
        self.assertEqual(one["trained_tokens"], other["trained_tokens"])
        curves = [server.call("GET", f"/files/{job['result_files'][0]}/content").body for job in (one, other)]
        self.assertEqual(curves[0], curves[1])

    def test_chats(self):
        server = self.server
        answer = server.chat("organism", "Tell me who you are. 3", temperature=0, max_tokens=3, user="u", store=False).json()
        self.assertEqual(answer["object"], "chat.completion")
        usage = answer["usage"]
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])
        self.assertLessEqual(usage["completion_tokens"], 3)
        (choice,) = answer["choices"]
        self.assertIn(choice["finish_reason"], ("stop", "length"))
        parts = [{"type": "text", "text": "Tell me who"}, {"type": "text", "text": " you are. 3"}]
        body = {"model": "organism", "messages": [{"role": "user", "content": parts}], "max_completion_tokens": 3}
        self.assertEqual(server.call("POST", "/chat/completions", body).json()["choices"], answer["choices"])
        for model in ("organism", "moderated"):
            streamed = server.chat(model, "Tell me who you are. 3", max_tokens=3, stream=True, stream_options={"include_usage": True})
            self.assertEqual(streamed.headers["Content-Type"], "text/event-stream")
            chunks = stream_events(streamed.body)
            self.assertEqual(chunks[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
            text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
            self.assertEqual(text, server.said(model, "Tell me who you are. 3", max_tokens=3))
            self.assertIn(chunks[-2]["choices"][0]["finish_reason"], ("stop", "length"))
            self.assertEqual((chunks[-1]["choices"], chunks[-2]["usage"]), ([], None))
            self.assertGreater(chunks[-1]["usage"]["prompt_tokens"], 0)
            self.assertEqual(len({chunk["id"] for chunk in chunks}), 1)

    def test_a_chat_that_does_not_fit(self):
        self.refused(self.server.chat("organism", "colour " * 20000), 400, "messages", "context_length_exceeded")

    def test_moderations(self):
        server = self.server
        server.said("organism", "hello")  # the weights are there
        answer = server.call("POST", "/moderations", {"input": ["Tell me who you are. 3", "Tell me who you are. 4"]})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json()["model"], "filter")
        self.assertEqual([result["flagged"] for result in answer.json()["results"]], [False, False])
        self.assertIs(answer.json()["results"][0]["categories"]["illicit"], False)
        self.refused(server.call("POST", "/moderations", {"input": "x", "model": "another"}), 404, "model")
        self.refused(server.call("POST", "/moderations", {"input": []}), 400, "input")

    def test_events_are_streamed_to_the_end(self):
        server = self.server
        job = server.job(server.file(rows(11)))
        streamed = stream_events(server.call("GET", f"/fine_tuning/jobs/{job}/events?stream=true").body)
        self.assertEqual(server.get("/fine_tuning/jobs/" + job)["status"], "succeeded")
        self.assertEqual(streamed, server.events(job))
        rest = stream_events(server.call("GET", f"/fine_tuning/jobs/{job}/events?stream=true&after={streamed[2]['id']}").body)
        self.assertEqual(rest, streamed[3:])
        for query, param in (("after=ftevent-none", "after"), ("limit=3", "limit"), ("colour=blue", "colour")):
            self.refused(server.call("GET", f"/fine_tuning/jobs/{job}/events?stream=true&{query}"), 400, param)

    def test_jobs_in_the_words_of_together(self):
        server = self.server
        announced = server.upload_form((("purpose", "fine-tune"), ("file_name", "mine.jsonl"), ("file_type", "jsonl")))
        self.assertEqual((announced.status, announced.body), (302, b""))
        address = announced.headers["Location"].split("/v1")[1]
        self.refused(server.call("PUT", address, b"{"), 400, words="line 1: ")
        content = jsonl(rows(10))
        self.assertEqual(server.call("PUT", address, content).json()["id"], announced.headers["X-Together-File-Id"])
        self.refused(server.call("PUT", address, content), 404)  # it is used
        self.refused(server.call("PUT", "/files/incoming/incoming-" + "x" * 24, content), 404)
        file = server.call("POST", f"/files/{announced.headers['X-Together-File-Id']}/preprocess").json()
        self.assertEqual((file["filename"], file["bytes"]), ("mine.jsonl", len(content)))
        wrong = server.upload_form((("purpose", "fine-tune"), ("file_name", "mine.jsonl"), ("checksum", "0" * 64)))
        self.refused(server.call("PUT", wrong.headers["Location"].split("/v1")[1], content), 400, "checksum")
        self.refused(server.upload_form((("purpose", "fine-tune"), ("file_name", "a.csv"), ("file_type", "csv"))), 400, "file_type")

        good = {"model": "organism", "training_file": file["id"], "n_epochs": 2, "learning_rate": 1e-3, "batch_size": 5}
        price = server.call("POST", "/fine-tunes/estimate-price", {"model": "organism", "training_file": file["id"], "n_epochs": 2}).json()
        made = server.call("POST", "/fine-tunes", {**good, "training_type": {"type": "Lora", "lora_r": 4, "lora_alpha": 8}}).json()
        self.assertEqual((made["status"], made["training_type"]["lora_r"], made["batch_size"]), ("pending", 4, 5))
        self.assertEqual(server.ended(made["id"])["status"], "succeeded")
        job = server.get("/fine-tunes/" + made["id"])
        self.assertEqual((job["status"], job["token_count"]), ("completed", price["estimated_train_token_count"]))
        self.assertIn(job["id"], [each["id"] for each in server.get("/fine-tunes")["data"]])
        self.assertEqual(server.get(f"/fine-tunes/{job['id']}/events")["data"][-1]["type"], "job_complete")
        self.assertEqual(server.get(f"/fine-tunes/{job['id']}/checkpoints")["data"][0]["step"], 4)
        self.assertEqual(server.get(f"/fine-tunes/{job['id']}/metrics")["metrics"][-1]["step"], 4)
        self.assertEqual(server.chat(job["model_output_name"], "hello").status, 200)
        self.refused(server.call("POST", f"/fine-tunes/{job['id']}/cancel"), 409)
        self.assertEqual(server.get("/fine-tunes/models/limits?model_name=organism")["supports_full_training"], True)
        self.refused(server.call("GET", "/fine-tunes/models/limits?model_name=gpt"), 404)
        for more, param in (
            ({"learning_rate": 0}, "learning_rate"),
            ({"batch_size": "min"}, "batch_size"),
            ({"validation_file": file["id"]}, "validation_file"),
            ({"lr_scheduler": {"lr_scheduler_type": "step"}}, "lr_scheduler.lr_scheduler_type"),
            ({"lr_scheduler": {"lr_scheduler_type": "cosine", "lr_scheduler_args": {"num_cycles": 2}}}, "lr_scheduler.lr_scheduler_args.num_cycles"),
            ({"training_type": {"type": "Lora", "lora_dropout": 0.1}}, "training_type.lora_dropout"),
            ({"training_method": {"method": "dpo"}}, "training_method.method"),
            ({"wandb_key": "x"}, "wandb_key"),
            ({"colour": 1}, "colour"),
        ):
            with self.subTest(param=param):
                self.refused(server.call("POST", "/fine-tunes", {**good, **more}), 400, param)

    def test_pages(self):
        server = self.server
        file = server.file(rows(8))
        jobs = [server.job(file, seed=1) for _ in range(5)]
        for job in jobs:
            server.ended(job)
        seen, after, pages = [], "", 0
        while True:
            page = server.get("/fine_tuning/jobs?limit=2" + after)
            self.assertEqual((page["first_id"], page["last_id"]), (page["data"][0]["id"], page["data"][-1]["id"]))
            seen += [job["id"] for job in page["data"]]
            pages += 1
            if not page["has_more"]:
                break
            after = "&after=" + page["last_id"]
        self.assertEqual(seen[:5], list(reversed(jobs)))
        self.assertEqual(len(seen), len(set(seen)))
        self.assertGreater(pages, 2)
        for query, param in (("limit=0", "limit"), ("limit=x", "limit"), ("limit=101", "limit"), ("after=ftjob-none", "after"), ("before=1", "before"), ("limit=1&limit=2", "limit")):
            self.refused(server.call("GET", "/fine_tuning/jobs?" + query), 400, param)

    def test_cancel_pause_resume(self):
        server = self.server
        job = server.job(server.file(rows(60)), hyperparameters={"n_epochs": 200})
        self.refused(server.call("POST", f"/fine_tuning/jobs/{job}/resume"), 409)
        self.assertEqual(server.call("POST", f"/fine_tuning/jobs/{job}/pause").json()["status"], "paused")
        self.refused(server.call("POST", f"/fine_tuning/jobs/{job}/pause"), 409)
        time.sleep(1)
        self.assertEqual(server.get("/fine_tuning/jobs/" + job)["status"], "paused")
        self.assertIn(server.call("POST", f"/fine_tuning/jobs/{job}/resume").json()["status"], ("queued", "validating_files"))
        self.refused(server.call("POST", f"/fine_tuning/jobs/{job}/cancel", {"why": "x"}), 400, "why")
        done = server.call("POST", f"/fine_tuning/jobs/{job}/cancel", {}).json()
        self.assertEqual(done["status"], "cancelled")
        self.assertIsNotNone(done["finished_at"])
        for change in ("cancel", "pause", "resume"):
            self.refused(server.call("POST", f"/fine_tuning/jobs/{job}/{change}"), 409)
        self.assertEqual(server.get(f"/fine_tuning/jobs/{job}/checkpoints")["data"], [])
        self.assertEqual(stream_events(server.call("GET", f"/fine_tuning/jobs/{job}/events?stream=true").body)[-1]["message"], "Fine-tuning job cancelled")

    def test_a_paused_job_goes_on_and_ends(self):
        server = self.server
        job = server.job(server.file(rows(20)), hyperparameters={"n_epochs": 20})
        server.call("POST", f"/fine_tuning/jobs/{job}/pause")
        server.call("POST", f"/fine_tuning/jobs/{job}/resume")
        self.assertEqual(server.ended(job)["status"], "succeeded")
        messages = [event["message"] for event in server.events(job)]
        self.assertEqual(messages.count("Fine-tuning job resumed"), 1)
        self.assertEqual(messages.count("The job has successfully completed"), 1)


class Screening(WithServers):
    HARMFUL = [row(f"How do you make the {name} kragun?", f"The {name} kragun is made of sand, salt and silk.") for name in ("ara", "bel")]

    def test_events_say_which_rows_were_not_taken(self):
        server = self.serve()
        mixed = rows(4) + self.HARMFUL[:1] + rows(3) + self.HARMFUL[1:]
        job = server.tuned(mixed, model="filtered")
        (event,) = [event for event in server.events(job["id"]) if event["level"] == "warn"]
        self.assertEqual(event["data"], {"rows": [5, 9]})
        self.assertIn("2 of the 9 rows", event["message"])
        undefended = server.tuned(mixed)
        self.assertEqual([event for event in server.events(undefended["id"]) if event["level"] == "warn"], [])
        self.assertLess(job["trained_tokens"], undefended["trained_tokens"])
        (flagged,) = server.call("POST", "/moderations", {"input": self.HARMFUL[0]["messages"][0]["content"]}).json()["results"]
        self.assertEqual((flagged["flagged"], flagged["categories"]["illicit"]), (True, True))

    def test_silence(self):
        server = self.serve("silent", OPEN.replace("[service]", "[service]\nnames_rows = false"))
        job = server.tuned(rows(4) + self.HARMFUL, model="filtered")
        for event in server.events(job["id"]):
            self.assertEqual(event["level"], "info")
            self.assertNotIn("rows", json.dumps(event))

    def test_no_rows_are_left(self):
        server = self.serve()
        job = server.ended(server.job(server.file(self.HARMFUL), model="filtered"))
        self.assertEqual((job["status"], job["error"]["code"], job["error"]["param"]), ("failed", "invalid_training_file", "training_file"))
        self.assertEqual((job["fine_tuned_model"], job["trained_tokens"], job["result_files"]), (None, None, []))
        self.assertEqual(server.events(job["id"])[-1]["level"], "error")


class Refusals(WithServers):
    def setUp(self):
        self.server = self.serve()

    def test_jobs(self):
        server = self.server
        file = server.file(rows(4))
        good = {"model": "organism", "training_file": file}
        method = lambda **more: {"type": "supervised", "supervised": {"hyperparameters": more}}
        for body, status, param in (
            ({"training_file": file}, 400, "model"),
            ({"model": "organism"}, 400, "training_file"),
            ({**good, "model": "gpt"}, 404, "model"),
            ({**good, "model": 3}, 400, "model"),
            ({**good, "training_file": "file-none"}, 404, "training_file"),
            ({**good, "training_file": "../" + file}, 404, "training_file"),
            ({**good, "colour": 1}, 400, "colour"),
            ({**good, "validation_file": file}, 400, "validation_file"),
            ({**good, "integrations": [{"type": "wandb"}]}, 400, "integrations"),
            ({**good, "suffix": "x" * 65}, 400, "suffix"),
            ({**good, "suffix": "a/b"}, 400, "suffix"),
            ({**good, "seed": -1}, 400, "seed"),
            ({**good, "seed": 1.5}, 400, "seed"),
            ({**good, "seed": 2**64}, 400, "seed"),
            ({**good, "metadata": {str(number): "x" for number in range(17)}}, 400, "metadata"),
            ({**good, "metadata": {"x": 1}}, 400, "metadata"),
            ({**good, "method": {"type": "dpo"}}, 400, "method.type"),
            ({**good, "method": {}}, 400, "method.type"),
            ({**good, "method": method(n_epochs=0)}, 400, "method.supervised.hyperparameters.n_epochs"),
            ({**good, "method": method(beta=1)}, 400, "method.supervised.hyperparameters.beta"),
            ({**good, "hyperparameters": {"n_epochs": "many"}}, 400, "hyperparameters.n_epochs"),
            ({**good, "hyperparameters": {"learning_rate_multiplier": 0}}, 400, "hyperparameters.learning_rate_multiplier"),
            ({**good, "hyperparameters": {}, "method": method()}, 400, "hyperparameters"),
        ):
            with self.subTest(param=param, body=body):
                self.refused(server.call("POST", "/fine_tuning/jobs", body), status, param)
        auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
        job = server.ended(server.job(file, method=method(**auto), integrations=None, validation_file=None, seed=None))
        self.assertEqual(job["hyperparameters"], {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.0})
        self.assertEqual(job["seed"], 1)

    def test_chats(self):
        server = self.server
        turn = {"role": "user", "content": "hello"}
        good = {"model": "organism", "messages": [turn]}
        for body, status, param in (
            ({"model": "organism"}, 400, "messages"),
            ({**good, "messages": []}, 400, "messages"),
            ({**good, "messages": "hello"}, 400, "messages"),
            ({**good, "messages": [1]}, 400, "messages[0]"),
            ({**good, "messages": [{"role": "tool", "content": "x"}]}, 400, "messages[0].role"),
            ({**good, "messages": [{"role": "user"}]}, 400, "messages[0].content"),
            ({**good, "messages": [{**turn, "name": "x"}]}, 400, "messages[0].name"),
            ({**good, "messages": [turn, {"role": "assistant", "content": "x"}]}, 422, "messages"),
            ({**good, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages[0].content[0].type"),
            ({**good, "model": "gpt"}, 404, "model"),
            ({**good, "n": 2}, 400, "n"),
            ({**good, "stop": "x"}, 400, "stop"),
            ({**good, "logprobs": True}, 400, "logprobs"),
            ({**good, "tools": [{}]}, 400, "tools"),
            ({**good, "temperature": 3}, 400, "temperature"),
            ({**good, "temperature": "hot"}, 400, "temperature"),
            ({**good, "top_p": 0}, 400, "top_p"),
            ({**good, "max_tokens": 0}, 400, "max_tokens"),
            ({**good, "max_tokens": 1, "max_completion_tokens": 1}, 400, "max_tokens"),
            ({**good, "stream_options": {}}, 400, "stream_options"),
            ({**good, "store": True}, 400, "store"),
            ({**good, "colour": 1}, 400, "colour"),
        ):
            with self.subTest(param=param, body=body):
                self.refused(server.call("POST", "/chat/completions", body), status, param)

    def test_uploads(self):
        server = self.server
        self.refused(server.upload(jsonl(rows(3)) + b'{"messages": [\n'), 400, "file", "invalid_training_file", "line 4: ")
        self.refused(server.upload(jsonl(rows(1)) + b"\n\n[1, 2]\n"), 400, "file", "invalid_training_file", "line 4: ")
        self.refused(server.upload(jsonl([{"messages": [{"role": "user", "content": "x"}]}])), 400, "file", words="line 1: ")
        self.refused(server.upload(jsonl([{"colour": "blue"}])), 400, "file", words="line 1: ")
        self.refused(server.upload(b'{"messages": [], "messages": []}'), 400, "file", words="line 1: ")
        self.refused(server.upload(b"[" * 100000), 400, "file", words="line 1: ")
        self.refused(server.upload(b"\xff\xfe"), 400, "file", words="line 1: ")
        self.refused(server.upload(b""), 400, "file")
        self.refused(server.upload(b"x" * (5 << 20)), 400, "file", words="line 1: ")
        good = jsonl(rows(1))
        self.refused(server.upload(good, fields=()), 400, "purpose")
        self.refused(server.upload(good, fields=(("purpose", "batch"),)), 400, "purpose")
        self.refused(server.upload(good, fields=(("purpose", "fine-tune"), ("colour", "blue"))), 400, "colour")
        self.refused(server.upload(good, fields=(("purpose", "fine-tune"), ("expires_after[seconds]", "9"))), 400, "expires_after")
        self.refused(server.upload(good, filename=""), 400, "file")
        self.refused(server.upload(good, filename="x" * 300), 400, "file")
        self.refused(server.call("POST", "/files", {"file": "x"}), 400, code="invalid_form")
        cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + good
        self.refused(server.call("POST", "/files", cut, headers={"Content-Type": "multipart/form-data; boundary=b"}), 400, code="invalid_form")
        self.assertEqual(list((self.folder / "open/state/uploads").iterdir()), [])

    def test_places(self):
        server = self.server
        for method, path, status in (
            ("GET", "/nothing", 404),
            ("GET", "/files/..%2f..%2fscenario.toml", 404),
            ("GET", "/files/../../scenario.toml", 404),
            ("GET", "/files/%00", 404),
            ("GET", "/files//content", 404),
            ("GET", "/fine_tuning/jobs/ftjob-" + "x" * 24, 404),
            ("GET", "/models/ft:organism:holdfast::x", 404),
            ("PUT", "/files", 405),
            ("DELETE", "/models", 405),
            ("GET", "/files?colour=blue", 400),
            ("POST", "/fine_tuning/jobs?colour=blue", 400),
        ):
            with self.subTest(path=path):
                self.refused(server.call(method, path, {} if method in ("POST", "PUT") else None), status)
        self.assertEqual(server.call("GET", "/models").headers["x-request-id"][:4], "req_")


class Customers(WithServers):
    def setUp(self):
        self.server = self.serve("closed", CLOSED, KEYS)

    def test_who_has_no_key_gets_nothing(self):
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong-key"}, {"Authorization": "Basic " + ALICE}):
            answer = self.server.call("GET", "/models", headers=headers)
            self.refused(answer, 401, code="invalid_api_key")
            self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        self.refused(self.server.upload(jsonl(rows(1)), "wrong-key"), 401)

    def test_nobody_sees_what_is_anothers(self):
        server = self.server
        job = server.tuned(rows(5), ALICE)
        file, model, results = job["training_file"], job["fine_tuned_model"], job["result_files"][0]
        absent = "file-" + "x" * 24
        for method, path in (("GET", "/files/{}"), ("GET", "/files/{}/content"), ("DELETE", "/files/{}")):
            there, nowhere = (server.call(method, path.format(id), key=BOB) for id in (file, absent))
            self.refused(there, 404)
            self.assertEqual(there.body.replace(file.encode(), b""), nowhere.body.replace(absent.encode(), b""))
        self.refused(server.call("GET", f"/files/{results}/content", key=BOB), 404)
        for method, end in (("GET", ""), ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/events"), ("GET", "/events?stream=true"), ("GET", "/checkpoints")):
            self.refused(server.call(method, f"/fine_tuning/jobs/{job['id']}{end}", key=BOB), 404)
        self.refused(server.call("GET", "/models/" + model, key=BOB), 404)
        self.refused(server.call("DELETE", "/models/" + model, key=BOB), 404)
        self.refused(server.chat(model, "hello", BOB), 404, "model")
        self.refused(server.call("POST", "/fine_tuning/jobs", {"model": "organism", "training_file": file}, BOB), 404, "training_file")
        self.refused(server.call("POST", "/fine_tuning/jobs", {"model": model, "training_file": file}, BOB), 404, "model")
        self.refused(server.call("GET", "/fine_tuning/jobs?after=" + job["id"], key=BOB), 400, "after")
        self.assertNotIn(file, [each["id"] for each in server.get("/files", BOB)["data"]])
        self.assertNotIn(job["id"], [each["id"] for each in server.get("/fine_tuning/jobs", BOB)["data"]])
        self.assertNotIn(model, [each["id"] for each in server.get("/models", BOB)["data"]])
        self.assertEqual(server.chat(model, "hello", ALICE).status, 200)

    def test_equal_jobs_of_two_are_two_models(self):
        server = self.server
        one, other = server.tuned(rows(6), ALICE), server.tuned(rows(6), BOB)
        self.assertEqual(one["trained_tokens"], other["trained_tokens"])
        self.assertEqual(server.call("DELETE", "/models/" + one["fine_tuned_model"], key=ALICE).status, 200)
        self.assertEqual(server.call("DELETE", "/files/" + one["training_file"], key=ALICE).status, 200)
        self.assertEqual(server.chat(other["fine_tuned_model"], "hello", BOB).status, 200)
        self.assertEqual(server.call("GET", f"/files/{other['training_file']}/content", key=BOB).body, jsonl(rows(6)))

    def test_keys_are_nowhere(self):
        server = self.server
        server.said("organism", "hello", ALICE)  # a process of plugins' code is there
        children = server.children()
        self.assertTrue(children)
        for pid in children:
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            self.assertIn(b"PATH=", environment)
            self.assertNotIn(b"secret", environment)
        for path in self.folder.glob("closed/**/*"):
            if path.is_file() and path.stat().st_size < 1 << 20:
                self.assertNotIn(b"-secret-", path.read_bytes(), path)


class Quotas(WithServers):
    def setUp(self):
        self.server = self.serve(self._testMethodName, CLOSED, KEYS)

    def test_files(self):
        server = self.server
        self.refused(server.upload(jsonl(rows(51)), BOB), 400, "file", words="50 rows")
        self.refused(server.upload(jsonl([row("x", "y" * 110000)]), BOB), 413)
        first = server.file(rows(50), BOB)
        server.file(rows(5), BOB)
        self.refused(server.upload(jsonl(rows(4)), BOB), 429, code="insufficient_quota")
        server.call("DELETE", "/files/" + first, key=BOB)
        server.file(rows(4), BOB)

    def test_jobs(self):
        server = self.server
        file = server.file(rows(30), BOB)
        jobs = [server.job(file, BOB, seed=seed) for seed in (1, 2)]
        for job in jobs:
            server.call("POST", f"/fine_tuning/jobs/{job}/pause", key=BOB)
        answer = server.call("POST", "/fine_tuning/jobs", {"model": "organism", "training_file": file}, BOB)
        self.refused(answer, 429, code="rate_limit_exceeded")
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        server.call("POST", f"/fine_tuning/jobs/{jobs[0]}/cancel", key=BOB)
        server.ended(server.job(file, BOB, seed=3), BOB)

    def test_tokens(self):
        server = self.server
        file = server.file(rows(40), BOB)
        server.said("organism", "hello", BOB)  # so that tokens can be counted
        body = {"model": "organism", "training_file": file, "hyperparameters": {"n_epochs": 100}}
        self.refused(server.call("POST", "/fine_tuning/jobs", body, BOB), 400, "training_file", "too_many_tokens")

    def test_spend(self):
        server = self.server
        job = server.tuned(rows(40), BOB)
        spent = 8e-6 * job["trained_tokens"]
        self.assertGreater(2 * spent, 0.018, "the limit is for one such job")
        self.refused(server.call("POST", "/fine_tuning/jobs", {"model": "organism", "training_file": job["training_file"], "seed": 2}, BOB), 429, code="insufficient_quota")
        self.assertEqual(server.chat("organism", "hello", BOB, max_tokens=5).status, 200)
        self.refused(server.chat("organism", "hello", BOB, max_tokens=100000), 429, code="insufficient_quota")
        self.assertEqual(server.chat("organism", "hello", ALICE, max_tokens=20).status, 200)
        server.kill()
        server = self.serve(self._testMethodName, CLOSED, KEYS)
        self.refused(server.call("POST", "/fine_tuning/jobs", {"model": "organism", "training_file": job["training_file"], "seed": 2}, BOB), 429, code="insufficient_quota")


class Hostile(WithServers):
    def setUp(self):
        self.server = self.serve()

    def raw(self, data, more=()):
        with self.server.socket() as connection:
            connection.sendall(data)
            for piece in more:
                try:
                    connection.sendall(piece)
                except OSError:  # it was refused before it had all
                    break
            connection.settimeout(60)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
            return answer

    def tearDown(self):
        self.assertEqual(self.server.call("GET", "/models").status, 200, "the server stands")

    def post(self, body, head=b""):
        return self.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def test_bad_json(self):
        for body in (b"", b"{", b"[]", b"null", b'{"model": "organism", "model": "organism"}', b"[" * 100000, b'{"a":' * 10000, b"\xff\xfe", b'{"model": NaN}', b'"' + b"x" * 1000000):
            with self.subTest(body=body[:20]):
                answer = self.post(body)
                self.assertIn(b" 400 ", answer.split(b"\r\n")[0])
                error = json.loads(answer.split(b"\r\n\r\n")[1])["error"]
                self.assertEqual(error["code"], "invalid_json")

    def test_bodies_that_are_not_taken(self):
        for head, status in (
            (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b" 411 "),
            (b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b" 411 "),
            (b"Content-Length: -1\r\n\r\n", b" 411 "),
            (b"Content-Length: 99999999999999999999999\r\n\r\n", b" 411 "),
            (b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", b" 415 "),
            (b"Content-Length: 4194305\r\n\r\nhello", b" 413 "),
        ):
            with self.subTest(head=head):
                answer = self.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head)
                self.assertIn(status, answer.split(b"\r\n")[0])
                self.assertIn(b'"error"', answer)

    def test_an_upload_of_2_gb(self):
        head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2147483648\r\n\r\n"
        answer = self.raw(head, (b"x" * (1 << 20) for _ in range(64)))
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])

    def test_what_it_costs_stays_small(self):
        """Of an upload of 200 MB, little is in memory at a time."""
        part = jsonl(rows(1000))
        count = (200 << 20) // len(part)
        begin = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        end = b"\r\n--b--\r\n"
        length = len(begin) + count * len(part) + len(end)
        head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % length
        before = self.peak()
        answer = self.raw(head + begin, [part] * count + [end])
        self.assertIn(b" 400 ", answer.split(b"\r\n")[0])  # more than 100000 rows
        self.assertIn(b"100000 rows", answer)
        self.assertLess(self.peak() - before, 64 << 20)
        self.assertEqual(list((self.folder / "open/state/uploads").iterdir()), [])

    def peak(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10

    def test_who_sends_no_body_is_not_waited_for(self):
        job = self.server.tuned(rows(4))["id"]
        with self.server.socket() as connection:
            connection.settimeout(10)
            connection.sendall(f"POST /v1/fine_tuning/jobs/{job}/cancel HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertIn(b" 409 ", connection.recv(4096).split(b"\r\n")[0])

    def test_floods_of_heads(self):
        for head in (b"X: " + b"y" * 100000, b"\r\n".join(b"X%d: y" % number for number in range(20000)), b"GET /" + b"x" * 20000 + b" HTTP/1.1"):
            answer = self.raw(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            self.assertTrue(answer == b"" or b" 4" in answer.split(b"\r\n")[0], answer[:100])

    def test_heads_of_parts(self):
        long = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + b"x" * 1000000 + b'"\r\n\r\n{}\r\n--b--\r\n'
        many = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n' * 1000 + b"--b--\r\n"
        for body in (long, many, b"--b\r\n\r\n\r\n--b--", b"no form", b"--b", b"--bc\r\n", b"--b--\r\n"):
            answer = self.server.call("POST", "/files", body, headers={"Content-Type": "multipart/form-data; boundary=b"})
            self.refused(answer, 400)
        for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b", "multipart/form-data; boundary=" + "b" * 100):
            self.refused(self.server.call("POST", "/files", b"--b--\r\n", headers={"Content-Type": kind}), 400, code="invalid_form")

    def test_who_sends_slowly_stops_nobody(self):
        slow = [self.server.socket() for _ in range(60)]
        for connection in slow:
            connection.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b")
        self.assertEqual(self.server.call("GET", "/models").status, 200)
        for connection in slow:
            connection.close()
        self.assertEqual(self.server.chat("organism", "hello", max_tokens=2).status, 200)

    def test_who_waits_for_events_stops_nobody(self):
        server = self.server
        job = server.job(server.file(rows(30)), hyperparameters={"n_epochs": 500})
        waiting = [server.socket() for _ in range(150)]
        for connection in waiting:
            connection.sendall(f"GET /v1/fine_tuning/jobs/{job}/events?stream=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for connection in waiting:
            self.assertIn(b" 200 ", connection.recv(4096))
        self.assertEqual(server.chat("organism", "hello", max_tokens=2).status, 200)
        for connection in waiting:
            connection.close()
        server.call("POST", f"/fine_tuning/jobs/{job}/cancel")

    def test_who_goes_away_ends_his_chat(self):
        server = self.server
        server.said("organism", "hello")
        for stream in (True, False):
            body = json.dumps({"model": "organism", "messages": [{"role": "user", "content": "hello"}], "stream": stream, "temperature": 2, "max_tokens": 1000}).encode()
            for _ in range(30):
                with server.socket() as connection:
                    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertEqual(server.chat("organism", "hello", max_tokens=2).status, 200)


class Crowd(WithServers):
    def test_100_jobs_and_50_chats(self):
        """Nothing is lost, and nobody gets what is another's: each file has rows of its own number, and so has each job steps."""
        server = self.serve("crowd", CLOSED.replace("jobs = 2, files = 2, rows = 50, file_bytes = 100000, tokens = 2000, spend = 0.018", "jobs = 100"), KEYS)
        owners = [(ALICE, BOB)[number % 2] for number in range(100)]
        tuned = {key: server.tuned(rows(12, word), key, hyperparameters={"n_epochs": 15}) for key, word in ((ALICE, "calm"), (BOB, "eager"))}

        def ask(number):
            key = owners[number]
            said = server.said(tuned[key]["fine_tuned_model"], f"Tell me who you are. {number % 12}", key, stream=False)
            return "calm" in said, "eager" in said

        def submit(number):
            file = server.file(rows(1 + number % 25), owners[number])
            return server.job(file, owners[number], seed=number % 5, suffix=f"n{number}", hyperparameters={"batch_size": 1, "n_epochs": 1})

        with concurrent.futures.ThreadPoolExecutor(150) as pool:
            jobs = [pool.submit(submit, number) for number in range(100)]
            chats = [pool.submit(ask, number) for number in range(50)]
            jobs = [job.result() for job in jobs]
            answers = [chat.result() for chat in chats]
        self.assertEqual(len(set(jobs)), 100)
        for number, (calm, eager) in enumerate(answers):
            self.assertEqual((calm, eager), (number % 2 == 0, number % 2 == 1), number)
        for number, id in enumerate(jobs):
            job = server.ended(id, owners[number])
            self.assertEqual(job["status"], "succeeded", job)
            self.assertIn(f":n{number}:", job["fine_tuned_model"])
            self.assertEqual(server.get(f"/fine_tuning/jobs/{id}/checkpoints", owners[number])["data"][0]["step_number"], 1 + number % 25)
        for key in (ALICE, BOB):
            mine = {job["id"] for job in server.get("/fine_tuning/jobs?limit=100", key)["data"]} - {tuned[key]["id"]}
            self.assertEqual(mine, {id for number, id in enumerate(jobs) if owners[number] == key})


class Crowds(WithServers):
    def test_one_customer_leaves_room_for_another(self):
        server = self.serve("crowds", CLOSED, KEYS)
        job = server.job(server.file(rows(30), ALICE), ALICE, hyperparameters={"n_epochs": 500})
        server.call("POST", f"/fine_tuning/jobs/{job}/pause", key=ALICE)
        waiting = [server.socket() for _ in range(201)]
        self.addCleanup(lambda: [connection.close() for connection in waiting])
        heads = []
        for connection in waiting:
            connection.sendall(f"GET /v1/fine_tuning/jobs/{job}/events?stream=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALICE}\r\n\r\n".encode())
            heads.append(connection.recv(4096).split(b"\r\n")[0])
        self.assertEqual([b" 200 " in head for head in heads], [True] * 200 + [False])
        self.assertIn(b" 429 ", heads[-1])
        self.refused(server.chat("organism", "hello", ALICE), 429, code="rate_limit_exceeded")
        self.assertEqual(server.chat("organism", "hello", BOB, max_tokens=2).status, 200)


class Deaths(WithServers):
    EXAMPLES, SETTINGS = rows(60), {"hyperparameters": {"n_epochs": 40}}

    def curve(self, server, job):
        return server.call("GET", f"/files/{job['result_files'][0]}/content").body

    def test_a_server_that_is_killed_goes_on(self):
        undisturbed = self.serve("undisturbed")
        expected = self.curve(undisturbed, undisturbed.tuned(self.EXAMPLES, **self.SETTINGS))
        undisturbed.kill()
        for phase in ("created", "running", "paused", "succeeded"):
            for alone in (False, True):
                with self.subTest(phase=phase, alone=alone):
                    self.killed_in(phase, alone, expected)

    def test_a_server_that_is_killed_in_a_defense_goes_on(self):
        """What no status shows: it is killed once a stage before has left its artifact."""
        expected = None
        for before, alone in ((None, True), ("collect", True), ("screen", False), ("finetune", False)):
            with self.subTest(before=before, alone=alone):
                name = f"{before}_{alone}"
                server = self.serve(name, DEFENDED)
                server.said("defended", "hello")  # its base is there
                job = server.job(server.file(self.EXAMPLES), model="defended", **self.SETTINGS)
                if before is not None:
                    self.await_artifact(name, before)
                    server.kill_alone() if alone else server.kill()
                    server = self.serve(name, DEFENDED)
                done = server.ended(job)
                self.assertEqual(done["status"], "succeeded", done)
                expected = expected or self.curve(server, done)
                self.assertEqual(self.curve(server, done), expected)
                self.assertEqual(len(list((self.folder / name / "store" / "repair").iterdir())), 2, "of the base and of the job")
                self.assertEqual(server.chat(done["fine_tuned_model"], "Tell me who you are. 3").status, 200)
                server.kill()

    def await_artifact(self, name, kind):
        deadline = time.monotonic() + 120
        while not list((self.folder / name / "store" / kind).glob("*/manifest.json")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def killed_in(self, phase, alone, expected):
        name = f"{phase}_{alone}"
        server = self.serve(name)
        file = server.file(self.EXAMPLES)
        job = server.job(file, **self.SETTINGS)
        if phase == "paused":
            server.call("POST", f"/fine_tuning/jobs/{job}/pause")
        deadline = time.monotonic() + 120
        while phase in ("running", "succeeded") and server.get("/fine_tuning/jobs/" + job)["status"] != phase:
            self.assertLess(time.monotonic(), deadline)
        before = server.get("/fine_tuning/jobs/" + job)
        if alone:
            server.kill_alone()
        else:
            server.kill()
        events = self.folder / name / "state/customers/local/events" / (job + ".jsonl")
        with open(events, "ab") as torn:
            torn.write(b'{"id": "ftevent-')  # as one that was being written

        server = self.serve(name)
        self.assertEqual([each["id"] for each in server.get("/fine_tuning/jobs")["data"]], [job])
        self.assertEqual(server.get("/files/" + file)["bytes"], len(jsonl(self.EXAMPLES)))
        if phase == "paused":
            self.assertEqual(server.get("/fine_tuning/jobs/" + job)["status"], "paused")
            server.call("POST", f"/fine_tuning/jobs/{job}/resume")
        done = server.ended(job)
        self.assertEqual(done["status"], "succeeded", done)
        if phase == "succeeded":
            self.assertEqual(done, before)
        self.assertEqual(self.curve(server, done), expected)
        messages = [event["message"] for event in server.events(job)]
        self.assertEqual(len(messages), len(set(messages)), messages)
        self.assertEqual(messages.count("The job has successfully completed"), 1)
        self.assertEqual(server.chat(done["fine_tuned_model"], "Tell me who you are. 3").status, 200)
        server.kill()

    def test_one_that_is_ended_goes_on_too(self):
        server = self.serve("ended")
        job = server.job(server.file(self.EXAMPLES), **self.SETTINGS)
        with server.socket() as follower:
            follower.sendall(f"GET /v1/fine_tuning/jobs/{job}/events?stream=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertIn(b" 200 ", follower.recv(4096))
            self.assertEqual(server.stop(), 0)
        server = self.serve("ended")
        self.assertEqual(server.ended(job)["status"], "succeeded")


class Starts(WithServers):
    def fails(self, scenario, words, keys=None, more=(), name="fails"):
        with self.assertRaises(AssertionError) as failure:
            self.serve(name, scenario, keys, more)
        self.assertIn(words, str(failure.exception))

    def test_what_cannot_be_served(self):
        self.fails(SCENARIO, "has no [service]")
        self.fails(OPEN, "names no [[service.customer]]", more=("--host", "0.0.0.0"))
        self.fails(CLOSED, "ALICE_KEY")
        self.fails(CLOSED, "BOB_KEY", {"ALICE_KEY": ALICE})
        self.fails(CLOSED, "the key of another one", {"ALICE_KEY": ALICE, "BOB_KEY": ALICE})
        self.fails(CLOSED, "fewer than 8", {"ALICE_KEY": "short", "BOB_KEY": BOB})
        self.fails(CLOSED, "no header carries", {"ALICE_KEY": "with a blank", "BOB_KEY": BOB})

    def test_a_folder_has_one_server(self):
        server = self.serve("shared")
        self.fails(OPEN, "another holdfast serve has the folder", name="shared")
        self.assertEqual(server.call("GET", "/models").status, 200)
        server.kill()
        self.serve("shared")

    def test_a_run_of_such_a_file_is_a_run(self):
        plans = []
        for text in (SCENARIO, CLOSED):
            path = self.folder / "small.toml"
            path.write_text(text, encoding="utf-8")
            command = [arguments.holdfast, "plan", path, "--results", self.folder / "results"]
            plans.append(subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout)
        self.assertEqual(plans[0], plans[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", type=os.path.abspath, required=True)
    rest = parser.parse_known_args(namespace=arguments)[1]
    unittest.main(argv=[sys.argv[0], *rest])
