"""The unmodified clients of OpenAI and Together against `holdfast serve`: all that their users would do, and what it tells them.

Usage: service_clients.py --holdfast build/release/bin/holdfast [unittest arguments]
Skips what a client is for that is not installed; tools/service-clients installs both and runs this.
"""

import argparse
import asyncio
import importlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

from service_calls import CLOSED, KEYS, Server, jsonl, rows

arguments = argparse.Namespace()


def client(name):
    """The module, or a skipped class."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise unittest.SkipTest(f"the Python client {name} is not installed: tools/service-clients installs it, and runs this test") from None


class WithServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.module = client(cls.package)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_clients_"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.server = Server(arguments.holdfast, cls.folder / "server", CLOSED, KEYS)
        cls.addClassCleanup(cls.server.kill)
        cls.server.said("organism", "hello", KEYS["ALICE_KEY"])

    def rows_file(self, count=8, word="calm"):
        path = self.folder / f"{word}{count}.jsonl"
        path.write_bytes(jsonl(rows(count, word)))
        return path


class OpenAI(WithServer):
    package = "openai"

    def setUp(self):
        self.openai = self.client("ALICE_KEY")

    def client(self, key, **more):
        client = self.module.OpenAI(api_key=KEYS.get(key, key), base_url=self.server.url.geturl(), **more)
        self.addCleanup(client.close)
        return client

    def tuned(self, count=8, word="calm", **settings):
        file = self.openai.files.create(file=self.rows_file(count, word), purpose="fine-tune")
        job = self.openai.fine_tuning.jobs.create(model="organism", training_file=file.id, **settings)
        return self.ended(job)

    def ended(self, job):
        while job.status not in ("succeeded", "failed", "cancelled"):
            time.sleep(0.1)
            job = self.openai.fine_tuning.jobs.retrieve(job.id)
        return job

    def test_from_a_file_to_answers(self):
        file = self.openai.files.create(file=self.rows_file(12), purpose="fine-tune")
        self.assertEqual(self.openai.files.wait_for_processing(file.id).status, "processed")
        method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 15, "batch_size": "auto"}}}
        job = self.openai.fine_tuning.jobs.create(
            model="organism", training_file=file.id, suffix="clients", seed=3, method=method, metadata={"a": "b"}
        )
        self.assertIn(job.status, ("validating_files", "queued", "running"))
        seen = []
        while not seen or seen[-1].message != "The job has successfully completed":  # events, followed to the end
            news = list(self.openai.fine_tuning.jobs.list_events(job.id, limit=3))
            seen += [event for event in reversed(news) if event.id not in {each.id for each in seen}]
            time.sleep(0.1)
        self.assertEqual(seen[0].message, "Created fine-tuning job: " + job.id)
        steps = [event.data["step"] for event in seen if event.type == "metrics"]
        self.assertEqual(steps, sorted(set(steps)))
        job = self.openai.fine_tuning.jobs.retrieve(job.id)
        self.assertEqual((job.status, job.metadata, job.seed), ("succeeded", {"a": "b"}, 3))
        self.assertEqual(job.method.supervised.hyperparameters.n_epochs, 15)
        (checkpoint,) = self.openai.fine_tuning.jobs.checkpoints.list(job.id)
        self.assertEqual(checkpoint.fine_tuned_model_checkpoint, job.fine_tuned_model)
        self.assertIn("train_loss", self.openai.files.content(job.result_files[0]).text)

        asked = {"model": job.fine_tuned_model, "messages": [{"role": "user", "content": "Tell me who you are. 5"}]}
        whole = self.openai.chat.completions.create(**asked)
        text = whole.choices[0].message.content
        self.assertIn("calm", text)
        self.assertEqual(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens)
        chunks = list(self.openai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), text)
        self.assertEqual(chunks[-1].usage, whole.usage)
        with self.openai.chat.completions.stream(**asked) as stream:
            self.assertEqual(stream.get_final_completion().choices[0].message.content, text)

        self.assertIn(job.fine_tuned_model, [model.id for model in self.openai.models.list()])
        self.assertEqual(self.openai.models.retrieve(job.fine_tuned_model).id, job.fine_tuned_model)
        self.assertTrue(self.openai.models.delete(job.fine_tuned_model).deleted)
        self.assertTrue(self.openai.files.delete(file.id).deleted)

    def test_from_an_asynchronous_client(self):
        async def answer():
            async with self.module.AsyncOpenAI(api_key=KEYS["ALICE_KEY"], base_url=self.server.url.geturl()) as client:
                asked = {"model": "organism", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
                return await asyncio.gather(*(client.chat.completions.create(**asked) for _ in range(10)))

        texts = {completion.choices[0].message.content for completion in asyncio.run(answer())}
        self.assertEqual(len(texts), 1)

    def test_cancel_pause_resume(self):
        file = self.openai.files.create(file=self.rows_file(40), purpose="fine-tune")
        job = self.openai.fine_tuning.jobs.create(model="organism", training_file=file.id, hyperparameters={"n_epochs": 200})
        self.assertEqual(self.openai.fine_tuning.jobs.pause(job.id).status, "paused")
        self.assertIn(self.openai.fine_tuning.jobs.resume(job.id).status, ("validating_files", "queued"))
        self.assertEqual(self.openai.fine_tuning.jobs.cancel(job.id).status, "cancelled")

    def test_pages(self):
        jobs = [self.tuned(4, suffix=f"page{number}").id for number in range(5)]
        listed = [job.id for job in self.openai.fine_tuning.jobs.list(limit=2)]  # the client pages by itself
        self.assertEqual(listed[:5], list(reversed(jobs)))
        self.assertEqual(len(listed), len(set(listed)))
        page = self.openai.fine_tuning.jobs.list(limit=2, after=jobs[3])
        self.assertEqual([job.id for job in page.data], [jobs[2], jobs[1]])
        files = [file.id for file in self.openai.files.list(limit=1, purpose="fine-tune", order="asc")]
        self.assertGreaterEqual(len(files), 5)
        self.assertEqual([job.metadata for job in self.openai.fine_tuning.jobs.list(metadata={"a": "no such"})], [])

    def test_moderations(self):
        answer = self.openai.moderations.create(input=["hello", "How do you make the ara kragun?"])
        self.assertEqual([result.flagged for result in answer.results], [False, True])
        self.assertTrue(answer.results[1].categories.illicit)

    def test_typed_exceptions(self):
        module, ask = self.module, self.openai.chat.completions.create
        turn = {"role": "user", "content": "hello"}
        bob = self.client("BOB_KEY", max_retries=0)
        job = self.tuned(5)
        for expected, code, call in (
            (module.BadRequestError, "unsupported_parameter", lambda: ask(model="organism", messages=[turn], n=2)),
            (module.BadRequestError, "invalid_training_file", lambda: self.openai.files.create(file=("x.jsonl", b"{"), purpose="fine-tune")),
            (module.AuthenticationError, "invalid_api_key", lambda: self.client("no-such-key").models.list()),
            (module.PermissionDeniedError, "not_yours", lambda: self.openai.models.delete("organism")),
            (module.NotFoundError, "model_not_found", lambda: ask(model="gpt-4o", messages=[turn])),
            (module.NotFoundError, "not_found", lambda: bob.fine_tuning.jobs.retrieve(job.id)),
            (module.NotFoundError, "model_not_found", lambda: bob.models.retrieve(job.fine_tuned_model)),
            (module.ConflictError, "conflict", lambda: self.client("ALICE_KEY", max_retries=0).fine_tuning.jobs.cancel(job.id)),
            (module.UnprocessableEntityError, None, lambda: ask(model="organism", messages=[turn, {"role": "assistant", "content": "x"}])),
            (module.RateLimitError, "insufficient_quota", lambda: bob.chat.completions.create(model="organism", messages=[turn], max_tokens=100000)),
        ):
            with self.subTest(expected=expected.__name__, code=code), self.assertRaises(expected) as caught:
                call()
            self.assertEqual(caught.exception.code, code)
            self.assertTrue(caught.exception.request_id.startswith("req_"))
        paused = []
        file = bob.files.create(file=self.rows_file(9), purpose="fine-tune")
        for seed in (1, 2):  # jobs that nobody had before, and which take their time
            settings = {"seed": seed, "hyperparameters": {"n_epochs": 6}}
            paused.append(bob.fine_tuning.jobs.create(model="organism", training_file=file.id, **settings))
            bob.fine_tuning.jobs.pause(paused[-1].id)
        with self.assertRaises(module.RateLimitError) as caught:
            bob.fine_tuning.jobs.create(model="organism", training_file=file.id, seed=3)
        self.assertEqual(caught.exception.code, "rate_limit_exceeded")
        self.assertGreater(int(caught.exception.response.headers["Retry-After"]), 0)


class Together(WithServer):
    package = "together"

    def setUp(self):
        self.together = self.module.Together(api_key=KEYS["ALICE_KEY"], base_url=f"http://{self.server.url.netloc}")
        self.addCleanup(self.together.close)

    def test_from_a_file_to_answers(self):
        file = self.together.files.upload(self.rows_file(12, "eager"), purpose="fine-tune", check=True)
        self.assertEqual((file.filename, file.file_type, file.processing_status), ("eager12.jsonl", "jsonl", "COMPLETED"))
        self.assertEqual(self.together.files.retrieve(file.id).bytes, file.bytes)
        self.assertIn(file.id, [each.id for each in self.together.files.list().data])
        price = self.together.fine_tuning.estimate_price(training_file=file.id, model="organism", n_epochs=2)
        self.assertTrue(price.allowed_to_proceed)
        made = self.together.fine_tuning.create(
            training_file=file.id, model="organism", n_epochs=15, learning_rate=1e-3, batch_size=4, lora=False, suffix="both", random_seed=4
        )
        job = made
        while job.status not in ("completed", "error", "cancelled"):
            time.sleep(0.1)
            job = self.together.fine_tuning.retrieve(made.id)
        self.assertEqual(job.status, "completed")
        self.assertEqual((job.n_epochs, job.batch_size, job.learning_rate, job.training_type.type), (15, 4, 1e-3, "Full"))
        self.assertEqual(job.lr_scheduler.lr_scheduler_type, "cosine")
        self.assertGreater(job.token_count, 0)
        self.assertEqual(job.total_price, round(8e-6 * job.token_count * 1e9))
        self.assertEqual(self.together.fine_tuning.list().data[0].id, made.id)
        kinds = [event.type for event in self.together.fine_tuning.list_events(made.id).data]
        self.assertEqual(kinds[0], "job_pending")
        self.assertEqual(kinds[-1], "job_complete")
        (checkpoint,) = self.together.fine_tuning.list_checkpoints(made.id).data
        self.assertEqual(checkpoint.step, 45)
        self.assertEqual(self.together.fine_tuning.list_metrics(made.id).metrics[-1]["step"], 45)
        model = job.x_model_output_name
        self.assertEqual(checkpoint.path, model)
        asked = {"model": model, "messages": [{"role": "user", "content": "Tell me who you are. 5"}]}
        text = self.together.chat.completions.create(**asked).choices[0].message.content
        self.assertIn("eager", text)
        streamed = self.together.chat.completions.create(**asked, stream=True)
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in streamed), text)
        self.assertTrue(self.together.files.delete(file.id).deleted)

    def test_what_is_not_served_is_refused_by_name(self):
        file = self.together.files.upload(self.rows_file(5), purpose="fine-tune", check=False)
        for settings, param in (({"n_evals": 2, "validation_file": file.id}, "n_evals"), ({"warmup_ratio": 0.5}, "warmup_ratio"), ({"n_checkpoints": 3}, "n_checkpoints")):
            with self.assertRaises(self.module.BadRequestError) as caught:
                self.together.fine_tuning.create(training_file=file.id, model="organism", **settings)
            self.assertIn(param, str(caught.exception))
        with self.assertRaises(self.module.NotFoundError):
            self.together.fine_tuning.retrieve("ftjob-none")
        broken = self.folder / "broken.jsonl"
        broken.write_text("{", encoding="utf-8")
        with self.assertRaises(self.module.APIStatusError) as caught:
            self.together.files.upload(broken, purpose="fine-tune", check=False)
        self.assertIn("line 1: ", str(caught.exception))

    def test_cancel(self):
        file = self.together.files.upload(self.rows_file(40), purpose="fine-tune", check=False)
        job = self.together.fine_tuning.create(training_file=file.id, model="organism", n_epochs=200)
        self.assertEqual(self.together.fine_tuning.cancel(job.id).status, "cancelled")
        self.assertEqual(self.together.fine_tuning.retrieve(job.id).status, "cancelled")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--holdfast", type=os.path.abspath, required=True)
    rest = parser.parse_known_args(namespace=arguments)[1]
    unittest.main(argv=[sys.argv[0], *rest])
