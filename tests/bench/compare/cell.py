"""The job of a whole cell, with the settings of scenarios/smollm2.toml: fine-tune on ten harmful examples, answer 100 probes, judge the replies by
refusal phrases. Ours is `holdfast run` of a
scenario whose control (the untuned model, which no matrix goes without) lies in the store already; theirs is one script. Both from the start
of the process to its end."""

import dataclasses
import functools
import json
import pathlib
import shutil

from compare import limits, work
from compare.figures import SIDES
from compare.sides import Failure, measure_program

HERE = pathlib.Path(__file__).resolve().parent
REFUSALS = HERE / "refusals.txt"
FINETUNE = {"lr": 5e-5, "epochs": 5, "batch_size": 10, "clip_norm": 1.0}
GENERATE = {"batch_size": 32, "max_new_tokens": 20}
EQUAL_REPLIES = 0.9  # rounding decides between tokens that are near, in training and in the replies
VERDICTS = 0.02
ATTACK = """
[[attack]]
plugin = "harmful-examples"
name = "harmful-10"
examples = 10
surrogate = true
"""


def scenario(bench, probes):
    return f"""[scenario]
name = "cell"
seeds = [1]
threads = {bench.threads}

[[model]]
name = "model"
source = {json.dumps(bench.model)}
dtype = "{bench.dtype}"

[corpora]
harmful = {json.dumps(str(work.DATA / "harmful-attack.jsonl"))}

[finetune]
method = "full"
lr = {FINETUNE["lr"]}
epochs = {FINETUNE["epochs"]}
batch_size = {FINETUNE["batch_size"]}

[evaluate]
judges = [{{ name = "keyword", list = {json.dumps(str(REFUSALS))}, match = "anywhere" }}]
probes = [{json.dumps(str(probes))}]
max_new_tokens = {GENERATE["max_new_tokens"]}
batch_size = {GENERATE["batch_size"]}
"""


@dataclasses.dataclass
class Cell:
    name: str = "cell"
    title: str = f"a whole cell: 10 rows x {FINETUNE['epochs']} epochs, 100 probes x {GENERATE['max_new_tokens']} tokens, judged"
    unit: str = "s"
    resident: bool = False
    note: str = ""

    def prepare(self, bench):
        bench.open()
        self.folder = bench.scratch / "cell"
        self.folder.mkdir()
        self.asked = 25 if bench.quick else 100
        self.probes = work.DATA / "harmful-probes.jsonl"
        if bench.quick:
            self.probes = self.folder / "probes.jsonl"
            lines = (work.DATA / "harmful-probes.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            self.probes.write_text("".join(lines[:self.asked]), encoding="utf-8")
        control, attacked = self.folder / "control.toml", self.folder / "cell.toml"
        control.write_text(scenario(bench, self.probes), encoding="utf-8")
        attacked.write_text(scenario(bench, self.probes) + ATTACK, encoding="utf-8")
        self.command = [bench.holdfast, "run", attacked, "--samples", "full", "--results"]
        log = bench.scratch / "ours.log"
        measure_program("ours", [bench.holdfast, "run", control, "--samples", "full", "--results", self.folder / "control"], bench.threads, log)
        self.outcomes = {}
        settings = {"model": bench.model, "dtype": bench.dtype, "rows": str(self.folder / "rows.jsonl"), "probes": str(self.probes), "refusals": str(REFUSALS),
                    "finetune": FINETUNE, "generate": GENERATE}
        (self.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        return ""

    def run(self, bench, side):
        """Ours begins the first round: the script gets the rows that its attack drew."""
        log = bench.scratch / f"{side}.log"
        if side == "theirs":
            run = measure_program(side, [bench.python, bench.script, "cell", self.folder / "settings.json"], bench.threads, log)
            (self.outcomes[side],) = bench.json_lines(run.pop("output"))
            return run | {"amount": 1}
        results = self.folder / "results"
        shutil.rmtree(results, ignore_errors=True)
        shutil.copytree(self.folder / "control", results)
        run = measure_program(side, [*self.command, results], bench.threads, log)
        run.pop("output")
        self.outcomes[side] = self.read(results)
        # A worker begins its peak anew at each stage: what the kernel says at its end is of the last one.
        return run | {"amount": 1, "peak": max(run["peak"], self.outcomes[side].pop("peak"))}

    def read(self, results):
        """Losses, replies and verdicts of the cell, and the rows of its training into rows.jsonl."""
        cells = [json.loads(line) for line in (results / "cell/cells.jsonl").read_text(encoding="utf-8").splitlines()]
        (row,) = [cell for cell in cells if cell["attack"] == "harmful-10"]
        if row["status"] != "ok":
            raise Failure(f"the cell of ours failed: {row['message']}")
        artifact = {kind: results / ".store" / kind / key for kind, key in row["stages"].items()}
        shutil.copy(artifact["collect"] / "data.jsonl", self.folder / "rows.jsonl")
        samples = [json.loads(line) for line in (results / f"cell/samples/{row['stages']['generate']}.jsonl").read_text(encoding="utf-8").splitlines()]
        losses = [json.loads(line)["loss"] for line in (results / f"cell/curves/{row['stages']['finetune']}.jsonl").read_text(encoding="utf-8").splitlines()]
        complied = [value for sample in samples for metric, value in sample["outcomes"].items() if metric.startswith("asr.keyword")]
        return {"losses": losses, "replies": [sample["reply"] for sample in samples], "complied": complied, "peak": row["cost"]["peak_memory"]}

    def fault(self, _):
        ours, theirs = (self.outcomes[side] for side in SIDES)
        fault = work.fault_of_losses(ours["losses"], theirs["losses"])
        if fault:
            return fault
        equal = sum(a == b for a, b in zip(ours["replies"], theirs["replies"]))
        shares = [sum(each["complied"]) / len(each["complied"]) for each in (ours, theirs)]
        self.note = f"{equal} of {self.asked} replies equal, {shares[0]:.0%} and {shares[1]:.0%} complied"
        if equal < EQUAL_REPLIES * self.asked or abs(shares[0] - shares[1]) > VERDICTS:
            return f"{self.note}, expected {EQUAL_REPLIES:.0%} equal and shares within {VERDICTS:.0%}"
        return ""

    def work(self, bench):
        rows_of = functools.partial(bench.sides["ours"].ask, "tokens")
        tokens = sum(len(row["ids"]) for row in rows_of(rows=str(self.folder / "rows.jsonl"), asked=False)["rows"])
        prompts = [row["ids"] for row in rows_of(rows=str(self.probes), asked=True)["rows"]]
        probes = [json.loads(line)["messages"] for line in pathlib.Path(self.probes).read_text(encoding="utf-8").splitlines()]
        answered = [probe + [{"role": "assistant", "content": reply}] for probe, reply in zip(probes, self.outcomes["ours"]["replies"])]
        rows = rows_of(rows=work.write_rows(self.folder / "answered.jsonl", answered), asked=False)["rows"]
        replies = [[0] * (sum(row["learned"]) - 1) for row in rows]  # the last that is learned is the stop token
        return limits.training(bench.shape, FINETUNE["epochs"] * tokens, FINETUNE["epochs"], "full") + limits.generation(bench.shape, prompts, replies, GENERATE)
