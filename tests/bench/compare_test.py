"""tools/compare without Python packages: its arguments, its figures, its eye for others on the machine, its limits, and its jobs on the organism, with our
driver on both sides.

Usage: compare_test.py --build build/release [unittest arguments]
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "tools/compare"
FIXTURE = HERE.parent / "fixtures/llama/grouped"
sys.path.insert(0, str(HERE))

from compare import bench, cell, figures, jobs, limits, machine, sides, table, work  # noqa: E402

arguments = argparse.Namespace()


def run(seconds, amount=100, others=0.0, peak=2**30):
    return {"seconds": seconds, "amount": amount, "others": others, "peak": peak, "load": 0.0}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast_compare_"))
        self.addCleanup(shutil.rmtree, self.folder)

    def rows(self, name, conversations):
        return work.write_rows(self.folder / name, conversations)


class Arguments(Folder):
    def complaint(self, *words, **variables):
        inherited = {name: value for name, value in os.environ.items() if name != "HOLDFAST_COMPARE_PYTHON"}
        done = subprocess.run([TOOL, *words], capture_output=True, text=True, check=False, env=inherited | {"HOLDFAST_DEPS": str(self.folder)} | variables)
        self.assertEqual(done.returncode, 2, (words, done.stderr))
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Atools/compare: [^\n]*\n\Z")
        return done.stderr

    def test_each_mistake_is_a_sentence(self):
        usable = ["--model", str(FIXTURE), "--build", arguments.build]
        for words, said in (
            (["trian"], 'there is no job "trian"; there are: generate, train, all, load, '),
            (["--rounds", "0"], '"0" is given, expected a number of at least 1'),
            (["--rounds", "two"], '"two" is given'),
            (["--threads", "100000"], '"100000" is given, expected a number from 1 to '),
            (["--model", "/no/model"], "there is no model at /no/model"),
            (["--model", str(FIXTURE), "--build", str(self.folder)], "tools/build tests builds it"),
            ([*usable, "--json", "/no/folder/x.json"], "there is no folder /no/folder"),
            (["--weights", "int4"], "invalid choice: 'int4'"),
            (["--fast"], "unrecognized arguments: --fast"),
            (usable, f"there is no Python side at {self.folder / 'compare'}: tools/compare --install puts"),
        ):
            self.assertIn(said, self.complaint(*words), words)
        self.assertIn("names /no/python, which is no program", self.complaint(*usable, HOLDFAST_COMPARE_PYTHON="/no/python"))

    def test_a_python_side_of_other_versions_is_refused(self):
        venv = self.folder / "compare/bin"
        venv.mkdir(parents=True)
        (venv / "python").symlink_to(sys.executable)
        (self.folder / "compare/stamp").write_text("torch==1.0")
        self.assertIn("unfinished or of other versions", self.complaint("--model", str(FIXTURE), "--build", arguments.build))


class Figures(unittest.TestCase):
    def test_medians_are_of_ratios_and_each_round_is_a_pair(self):
        rounds = [{"ours": run(1), "theirs": run(2)}, {"ours": run(10), "theirs": run(30)}, {"ours": run(2), "theirs": run(14, peak=7)}]
        found = figures.summary(rounds)
        self.assertEqual((found["ratio"], found["lowest"], found["highest"], found["rounds"], found["disturbed"]), (3, 2, 7, 3, []))
        self.assertEqual((found["ours"]["seconds"], found["theirs"]["seconds"], found["ours"]["rate"]), (2, 14, 50))
        self.assertEqual(found["theirs"]["peak"], 2**30)

    def test_a_side_is_paid_for_what_it_made(self):
        self.assertEqual(figures.ratio({"ours": run(1, amount=90), "theirs": run(2, amount=60)}), 3)

    def test_disturbed_rounds_are_left_out_while_there_are_others(self):
        noisy = machine.DISTURBED + 0.01
        rounds = [{"ours": run(1), "theirs": run(2)}, {"ours": run(1), "theirs": run(9, others=noisy)}, {"ours": run(5, others=noisy), "theirs": run(1)}]
        found = figures.summary(rounds)
        self.assertEqual((found["ratio"], found["rounds"], found["disturbed"]), (2, 1, [2, 3]))
        all_noisy = figures.summary(rounds[1:])
        self.assertEqual((all_noisy["rounds"], all_noisy["disturbed"], all_noisy["highest"]), (2, [1, 2], 9))


class Machine(unittest.TestCase):
    def test_what_the_cores_did(self):
        before = "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
        self.assertEqual(machine.busy_seconds(before) * machine.TICKS, 100 + 20 + 30 + 6 + 7 + 8)

    def test_processor_time_of_a_process_with_any_name(self):
        stat = "4242 (a ) b) c) S 1 2 3 4 5 6 7 8 9 10 400 30 2 1 20 0 3"
        self.assertEqual(machine.process_seconds(stat) * machine.TICKS, 433)

    def test_another_process_is_seen_unless_it_is_the_one_that_works(self):
        busy = subprocess.Popen([sys.executable, "-c", "import sys\nprint(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
        try:
            busy.stdout.readline()
            with machine.Watch() as foreign, machine.Watch(busy.pid) as own:
                begin = machine.process_seconds(machine.read(f"/proc/{busy.pid}/stat"))
                while (used := machine.process_seconds(machine.read(f"/proc/{busy.pid}/stat")) - begin) < 0.3:
                    time.sleep(0.02)
        finally:
            busy.kill()
            busy.communicate()
        cores = used / foreign.seconds  # the same others are there beside both watches
        self.assertGreater(foreign.others, cores / 2)
        self.assertAlmostEqual(foreign.others - own.others, cores, delta=cores / 2)

    def test_peak_memory_begins_anew(self):
        code = "import sys\nfor line in sys.stdin: x = bytearray(int(line)); x = None; print(flush=True)"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            peaks = []
            for mebibytes in (200, 1, 50):
                machine.forget_peak(process.pid)
                process.stdin.write(f"{mebibytes * 2**20}\n")
                process.stdin.flush()
                process.stdout.readline()
                peaks.append(machine.peak_bytes(process.pid) / 2**20)
        finally:
            process.kill()
            process.communicate()
        self.assertGreater(peaks[0], 200)
        self.assertLess(peaks[1], 100)
        self.assertAlmostEqual(peaks[2] - peaks[1], 49, delta=10)


def generation_step_by_step(shape, prompts, replies, options):
    """limits.generation of prompts that share nothing, one forward after another."""
    flop = moved = 0
    forwards = 0
    for prompt, reply in zip(prompts, replies):
        for place in range(len(prompt)):
            flop += 2 * shape.body + shape.attention * (place + 0.5)
        flop += 2 * shape.head
        for number in range(1, min(len(reply) + 1, options["max_new_tokens"])):
            seen = len(prompt) + number
            flop += 2 * shape.body + 2 * shape.head + shape.attention * seen
            moved += 4 * shape.cached * seen
            forwards += 1
    steps = -(-forwards // options["batch_size"]) + -(-len(prompts) // options["batch_size"])
    return limits.Work(flop, moved + steps * shape.stored * shape.weights)


class Limits(Folder):
    def shape(self, **more):
        config = {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152}
        (self.folder / "config.json").write_text(json.dumps(config | more))
        return limits.Shape.of(self.folder)

    def test_weights_by_hand(self):
        shape = self.shape()
        self.assertEqual(shape.weights, 134_479_872)  # of SmolLM2-135M's 134,515,008 all but its norms
        self.assertEqual((shape.cached, shape.attention, shape.stored), (30 * 2 * 3 * 64, 30 * 4 * 576, 4))
        self.assertEqual(self.shape(dtype="bfloat16").stored, 2)
        self.assertEqual(self.shape(head_dim=128).body, 30 * (2 * 576 * 9 * 128 + 2 * 576 * 3 * 128 + 3 * 576 * 1536))

    def test_generation_equals_its_steps(self):
        shape = self.shape(dtype="bfloat16")
        prompts, replies = [[1, 2, 3, 4], [5, 6], [7, 8, 9]], [[1] * 5, [1] * 8, []]
        for batch in (1, 2, 3):
            options = {"batch_size": batch, "max_new_tokens": 8}
            found, wanted = limits.generation(shape, prompts, replies, options), generation_step_by_step(shape, prompts, replies, options)
            self.assertAlmostEqual(found.flop / wanted.flop, 1, places=9)
            self.assertAlmostEqual(found.bytes / wanted.bytes, 1, places=9)

    def test_what_all_prompts_begin_with_counts_once(self):
        self.assertEqual(limits.shared([[1, 2, 3, 9], [1, 2, 4], [1, 2, 3]]), 2)
        self.assertEqual(limits.shared([[1, 2], [1, 2]]), 1)  # a token of its own remains to start from
        self.assertEqual(limits.shared([[1, 2, 3]]), 0)
        shape, options = self.shape(), {"batch_size": 2, "max_new_tokens": 1}
        apart = limits.generation(shape, [[1, 2, 3, 4], [9, 2, 3, 4]], [[1], [1]], options)
        together = limits.generation(shape, [[1, 2, 3, 4], [1, 2, 3, 5]], [[1], [1]], options)
        looked_back = sum(place + 0.5 for place in range(3))
        self.assertAlmostEqual(apart.flop - together.flop, 3 * 2 * shape.body + shape.attention * looked_back)

    def test_training(self):
        shape = self.shape()
        self.assertEqual(limits.training(shape, 1000, 1, "full").flop, 6000 * shape.weights)
        self.assertEqual(limits.training(shape, 1000, 2, "lora"), limits.Work(4000 * shape.weights, 2 * 2 * 4 * shape.weights))
        self.assertEqual(limits.Work(10, 30).seconds(5, 10), (2, 3))


class SameWork(unittest.TestCase):
    def test_tokens(self):
        self.assertEqual(work.fault_of_tokens([[1], [2]], [[1], [2]], "rows"), "")
        self.assertIn("1 of 2 rows have other tokens on the other side, the first is number 2", work.fault_of_tokens([[1], [2]], [[1], [3]], "rows"))
        self.assertNotEqual(work.fault_of_tokens([[1], [2]], [[1]], "rows"), "")

    def test_losses(self):
        self.assertEqual(work.fault_of_losses([1.0, 2.0], [1.0005, 2.0]), "")
        self.assertIn("losses differ by 0.002", work.fault_of_losses([1.0, 2.0], [1.0, 2.002]))
        self.assertIn("2 steps beside 1", work.fault_of_losses([1.0, 2.0], [1.0]))

    def test_replies_may_part_at_ties_alone(self):
        cases = work.partings([[7], [8], [9]], [[1, 2, 3], [4], [5]], [[1, 9, 3], [4, 6], [5]], stop=0)
        self.assertEqual(cases, [{"ids": [7, 1], "tokens": [2, 9]}, {"ids": [8, 4], "tokens": [0, 6]}])
        self.assertEqual(work.fault_of_replies([[1]], [[2]], [1e-4]), "")
        self.assertIn("1 of 1 replies part where the tokens are 0.5 nats apart", work.fault_of_replies([[1]], [[2]], [-0.5]))
        self.assertIn("1 replies beside 0", work.fault_of_replies([[1]], [], []))

    def test_long_prompts_are_as_long_as_words_allow(self):
        def words(conversations):
            return [2 * len(turns[0]["content"].split()) + 5 for turns in conversations]

        prompts = work.long_prompts(6, 512, words)
        self.assertEqual(words(prompts), [511] * 6)
        self.assertEqual(len({prompt[0]["content"] for prompt in prompts}), 6)

    def test_rows_come_in_turns(self):
        rows = work.mixed_rows(96)
        self.assertEqual(len(rows), 96)
        for place, name in enumerate(("alignment", "benign", "defender-harmful")):
            self.assertEqual(rows[place::3], work.rows_of(name)[:32])


class Tables(unittest.TestCase):
    def job(self, rounds, fault=""):
        return bench.outcome(jobs.Load(), fault, [{"product": {"ours": 1e11, "theirs": 9e10}, "read": 1e10, "disturbed": False}], rounds, limits.Work(1e11, 5e9) if rounds else None)

    def measured(self, *found, load=0.0):
        side = {"torch": "2", "threads": 2, "capability": "AVX2"}
        return {"sides": {"ours": side | {"program": "Holdfast 1"}, "theirs": side | {"program": "transformers 5"}}, "threads": 2, "dtype": "float32", "quick": False,
                "load_before": load, "jobs": list(found)}

    def test_a_row_has_figures_limits_and_shares(self):
        job = self.job([{"ours": run(2.5, 1), "theirs": run(5, 1, peak=3 * 2**30)}])
        self.assertAlmostEqual(job["limits"]["arithmetic"], 1e11 / 1e11)
        text = table.markdown(self.measured(job))
        self.assertIn("| 2.50 s | 5.00 s | **2.00** | 1.00 s | 0.50 s | 40% / 20% | 1.00 / 3.00 GiB | the same token |", text)
        self.assertIn("100 GFLOP/s on the side of Holdfast, 90 GFLOP/s on the side of transformers", text)
        self.assertNotIn("~", text)
        json.dumps(job)

    def test_what_disturbed_is_said(self):
        calm, noisy = {"ours": run(1, 1), "theirs": run(2, 1)}, {"ours": run(1, 1), "theirs": run(2, 1, others=0.75)}
        text = table.markdown(self.measured(self.job([calm, noisy]), load=3.5))
        self.assertIn("The machine was not idle when it began: its load of the last minute was 3.50.", text)
        self.assertIn("~ load: others took up to 0.75 cores in round 2 of 2; its figures are of the others.", text)
        self.assertIn("its figures are of these all the same", table.markdown(self.measured(self.job([noisy]))))

    def test_other_work_is_no_comparison(self):
        self.assertIn("**no**: losses differ", table.markdown(self.measured(self.job([{"ours": run(1, 1), "theirs": run(2, 1)}], "losses differ"))))
        self.assertIn("| - | - |", table.markdown(self.measured(self.job([], "other tokens"))))


class Both(bench.Bench):
    """Our driver on both sides; `change` makes of a request what the other side gets."""

    change = staticmethod(lambda what, members: members)

    def start(self, name):
        side = sides.Side(name, [self.driver], self.threads, self.scratch / f"{name}-side.log")
        if name == "theirs":
            plain = side.ask
            side.ask = lambda what, **members: plain(what, **self.change(what, members))
        return side


class Organism(Folder):
    def bench(self, change=None):
        programs = pathlib.Path(arguments.build).resolve() / "bin"
        made = Both(programs / "holdfast", programs / "holdfast_compare_driver", sys.executable, self.folder, 1, 1, True)
        if change:
            made.change = change
        ours = made.start("ours")
        self.addCleanup(ours.close)
        asked = {"model": "organism", "dtype": "float32", "under": str(self.folder / "models")}
        folder = ours.ask("export", **asked)["folder"]
        written = (pathlib.Path(folder) / "model.safetensors").stat().st_mtime_ns
        self.assertEqual(ours.ask("export", **asked)["folder"], folder)
        self.assertEqual((pathlib.Path(folder) / "model.safetensors").stat().st_mtime_ns, written)
        made.use(folder)
        return made, ours

    def lines(self, *words):
        done = subprocess.run([pathlib.Path(arguments.build) / "bin/holdfast", *map(str, words)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_the_driver_does_what_the_verbs_do(self):
        made, ours = self.bench()
        ours.ask("open", model=made.model, dtype="float32")
        prompts, rows = self.rows("prompts.jsonl", work.mixed_prompts(5)), self.rows("rows.jsonl", work.mixed_rows(12))
        replies = ours.ask("generate", rows=prompts, options={"max_new_tokens": 7, "batch_size": 2})["replies"]
        self.assertEqual(replies, [row["ids"] for row in self.lines("generate", "--model", made.model, "--prompts", prompts, "--max-new-tokens", "7", "--threads", "1")])
        answer = ours.ask("train", rows=rows, options={"lr": 1e-3, "batch_size": 4, "shuffle": False})
        self.lines("finetune", "--model", made.model, "--data", rows, "--lr", "1e-3", "--batch-size", "4", "--no-shuffle", "--out", self.folder / "out", "--threads", "1")
        steps = [json.loads(line) for line in (self.folder / "out/train.jsonl").read_text().splitlines()]
        self.assertEqual(answer["losses"], [step["loss"] for step in steps])
        self.assertEqual(answer["tokens"], sum(step["tokens"] for step in steps))

    def test_the_adapter_is_where_training_begins(self):
        made, ours = self.bench()
        options = {"method": "lora", "lora_rank": 4, "lr": 0.0, "batch_size": 4, "shuffle": False}
        rows, folder = self.rows("rows.jsonl", work.mixed_rows(4)), self.folder / "adapter"
        ours.ask("open", model=made.model, dtype="float32")
        ours.ask("adapter", model=made.model, options=options, folder=str(folder))
        self.assertEqual(json.loads((folder / "adapter_config.json").read_text())["r"], 4)
        untrained = ours.ask("train", rows=rows, options=options)["losses"]
        ours.ask("open", model=str(folder), dtype="float32")
        self.assertEqual(len(untrained), 1)
        self.assertAlmostEqual(ours.ask("train", rows=rows, options=options | {"method": "full"})["losses"][0], untrained[0], places=5)

    def test_what_the_driver_cannot_do_is_a_sentence(self):
        made, ours = self.bench()
        for what, members, said in (("dance", {}, 'there is no request "dance"'), ("generate", {"rows": self.rows("p.jsonl", work.mixed_prompts(1)), "options": {}}, "no model is open"),
                                    ("open", {"model": "/no/model", "dtype": "float32"}, 'no model at "/no/model"')):
            with self.assertRaisesRegex(sides.Failure, said):
                ours.ask(what, **members)
        ours.process.kill()
        with self.assertRaisesRegex(sides.Failure, "Holdfast ended with -9"):
            ours.ask("hello")

    def test_jobs_find_that_both_sides_did_the_same(self):
        made, _ = self.bench()
        for job in (jobs.Generate("generate", 2, 4, 4), jobs.Train("train-full", "full", 1e-4, quick=8), jobs.Train("train-lora", "lora", 1e-3, quick=8)):
            found = bench.measured(job, made)
            self.assertEqual(found["fault"], "", job.name)
            self.assertGreater(found["figures"]["ours"]["rate"], 0)
            self.assertGreater(found["limits"]["arithmetic"], 0)
            self.assertGreater(found["figures"]["ours"]["peak"], 2**20)
            self.assertIn(job.title, table.job_row(found))

    def test_jobs_find_that_a_side_did_something_else(self):
        def shorter(what, members):
            return members | {"options": members["options"] | {"max_new_tokens": 3}} if what == "generate" else members

        def slower(what, members):
            return members | {"options": members["options"] | {"lr": 0.05}} if what == "train" else members

        def another(what, members):
            return members | {"asked": not members["asked"]} if what == "tokens" else members

        parted = bench.measured(jobs.Generate("generate", 2, 4, 4), self.bench(shorter)[0])
        self.assertIn('transformers says at "gaps"', parted["fault"])  # which only transformers can answer
        self.assertIn("**no**: transformers says", table.job_row(parted))
        self.assertIn("losses differ by", bench.measured(jobs.Train("train", "full", 1e-4, quick=24), self.bench(slower)[0])["fault"])
        self.assertIn("have other tokens", bench.measured(jobs.Generate("generate", 2, 4, 4), self.bench(another)[0])["fault"])

    def test_a_cell_of_the_program(self):
        made, _ = self.bench()
        job = cell.Cell()
        with made.running(["ours"]):
            job.prepare(made)
            found = job.run(made, "ours")
            self.assertGreater(job.work(made).flop, 0)
        ours = job.outcomes["ours"]
        self.assertEqual((len(ours["losses"]), len(ours["replies"]), len(ours["complied"])), (5, 25, 25))
        self.assertEqual(len((self.folder / "cell/rows.jsonl").read_text().splitlines()), 10)
        self.assertGreater(found["seconds"], 0)
        job.outcomes["theirs"] = dict(ours)
        self.assertEqual(job.fault(made), "")
        job.outcomes["theirs"] = ours | {"replies": ["no"] * 25}
        self.assertIn("0 of 25 replies equal", job.fault(made))
        job.outcomes["theirs"] = ours | {"losses": [loss + 0.1 for loss in ours["losses"]]}
        self.assertIn("losses differ by 0.1", job.fault(made))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    arguments, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
