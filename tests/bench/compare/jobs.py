"""The jobs: what each side is asked, when both did the same, and what the machine allows."""

import dataclasses
import functools

from compare import limits, work
from compare.cell import Cell
from compare.figures import SIDES
from compare.sides import measure_program

NEW_TOKENS = 64
LONG = 512


def prompts_of(side, rows):
    return [row["ids"] for row in side.ask("tokens", rows=rows, asked=True)["rows"]]


@dataclasses.dataclass
class Load:
    """From nothing to the first token of a reply, start of the process included."""

    name: str = "load"
    title: str = "load, to the first token of a reply"
    unit: str = "s"
    resident: bool = False
    note: str = "the same token"

    def prepare(self, bench):
        bench.open()
        self.rows = work.write_rows(bench.scratch / "first.jsonl", work.mixed_prompts(1))
        self.commands = {
            "ours": [bench.holdfast, "generate", "--model", bench.model, "--prompts", self.rows, "--max-new-tokens", "1", "--threads", bench.threads],
            "theirs": [bench.python, bench.script, "first", bench.model, self.rows],
        }
        self.outcomes = {}
        return ""

    def run(self, bench, side):
        run = measure_program(side, self.commands[side], bench.threads, bench.scratch / f"{side}.log")
        self.outcomes[side] = bench.json_lines(run.pop("output"))
        return run | {"amount": 1}

    def fault(self, _):
        (ours,), (theirs,) = self.outcomes["ours"], self.outcomes["theirs"]
        return "" if ours["ids"] == theirs["replies"][0] else f"the first token is {ours['ids']} beside {theirs['replies'][0]}"

    def work(self, bench):
        return limits.loading(bench.shape, prompts_of(bench.sides["ours"], self.rows)[0])


@dataclasses.dataclass
class Generate:
    """Greedy replies to `count` prompts, `batch` at a time, on a model that is open; where `length` is given the prompts have so many tokens."""

    name: str
    batch: int
    count: int
    quick: int  # prompts of a short look
    length: int = 0
    unit: str = "tokens/s"
    resident: bool = True

    @property
    def title(self):
        prompts = f"{LONG}-token prompts" if self.length else "short prompts"
        return f"generate {self.asked} x {NEW_TOKENS}, greedy, batch {self.batch}, {prompts}"

    def prepare(self, bench):
        self.asked = self.quick if bench.quick else self.count
        bench.open()
        rows, ours = bench.scratch / f"{self.name}.jsonl", bench.sides["ours"]
        self.rows = str(rows)

        def length_of(conversations):
            work.write_rows(rows, conversations)
            return [len(ids) for ids in prompts_of(ours, self.rows)]

        work.write_rows(rows, work.long_prompts(self.asked, self.length, length_of) if self.length else work.mixed_prompts(self.asked))
        self.options = {"batch_size": self.batch, "max_new_tokens": NEW_TOKENS}
        self.prompts, theirs = (prompts_of(side, self.rows) for side in bench.sides.values())
        warm = work.write_rows(bench.scratch / "warm.jsonl", work.mixed_prompts(2))
        for side in bench.sides.values():
            side.ask("generate", rows=warm, options=self.options | {"max_new_tokens": 4})
        self.replies = {}
        return work.fault_of_tokens(self.prompts, theirs, "prompts")

    def run(self, bench, side):
        run = bench.sides[side].measure("generate", rows=self.rows, options=self.options)
        self.replies[side] = run.pop("replies")
        return run | {"amount": sum(map(len, self.replies[side]))}

    def fault(self, bench):
        cases = work.partings(self.prompts, *(self.replies[side] for side in SIDES), bench.stop)
        gaps = bench.sides["theirs"].ask("gaps", cases=cases)["gaps"] if cases else []
        self.note = f"{len(self.prompts) - len(cases)} of {len(self.prompts)} replies equal, the others part at ties" if cases else "all replies equal"
        return work.fault_of_replies(*(self.replies[side] for side in SIDES), gaps)

    def work(self, bench):
        return limits.generation(bench.shape, self.prompts, self.replies["ours"], self.options)


@dataclasses.dataclass
class Train:
    """An epoch over mixed rows in their order, in steps of 8, from the model's own weights in each round. `checkpoints`: our blocks keep their
    input only, and run once more on the way back."""

    name: str
    method: str
    lr: float
    checkpoints: bool = False
    unit: str = "tokens/s"
    resident: bool = True
    count: int = 96
    quick: int = 24

    @property
    def title(self):
        what = "full fine-tuning" if self.method == "full" else "LoRA r16 on all linears"
        return f"{what}, {self.taught} mixed rows in steps of 8" + (", ours with activation checkpoints" if self.checkpoints else "")

    def prepare(self, bench):
        self.taught = self.quick if bench.quick else self.count
        bench.open()
        self.rows = work.write_rows(bench.scratch / f"{self.name}.jsonl", work.mixed_rows(self.taught))
        self.options = {"method": self.method, "lr": self.lr, "epochs": 1, "batch_size": 8, "clip_norm": 1.0, "shuffle": False, "lora_rank": 16, "lora_alpha": 32.0}
        self.adapter = ""
        if self.method == "lora":
            self.adapter = str(bench.scratch / "adapter")
            bench.sides["ours"].ask("adapter", model=bench.model, options=self.options, folder=self.adapter)
        ours, theirs = (side.ask("tokens", rows=self.rows, asked=False)["rows"] for side in bench.sides.values())
        self.losses, self.opened = {}, set(SIDES)
        return work.fault_of_tokens(ours, theirs, "rows")

    def run(self, bench, side):
        if side not in self.opened:
            bench.open(side)
        self.opened.discard(side)
        more = {"adapter": self.adapter} if side == "theirs" else {}
        own = {"activation_checkpoints": True} if side == "ours" and self.checkpoints else {}
        run = bench.sides[side].measure("train", rows=self.rows, options=self.options | own, **more)
        self.losses[side], self.tokens = run.pop("losses"), run.pop("tokens")
        return run | {"amount": self.tokens}

    def fault(self, _):
        worst = max(abs(a - b) for a, b in zip(*self.losses.values()))
        self.note = f"losses within {worst:.0e}"
        return work.fault_of_losses(*(self.losses[side] for side in SIDES))

    def work(self, bench):
        return limits.training(bench.shape, self.tokens, len(self.losses["ours"]), self.method)


JOBS = {
    "load": Load,
    "generate-1": functools.partial(Generate, "generate-1", 1, 8, 2),
    "generate-8": functools.partial(Generate, "generate-8", 8, 16, 8),
    "generate-32": functools.partial(Generate, "generate-32", 32, 64, 32),
    "generate-100": functools.partial(Generate, "generate-100", 50, 100, 25),
    "generate-long-1": functools.partial(Generate, "generate-long-1", 1, 4, 1, LONG),
    "generate-long-8": functools.partial(Generate, "generate-long-8", 8, 8, 8, LONG),
    "generate-long-32": functools.partial(Generate, "generate-long-32", 32, 32, 16, LONG),
    "train-full": functools.partial(Train, "train-full", "full", 2e-5),
    "train-full-checkpoints": functools.partial(Train, "train-full-checkpoints", "full", 2e-5, True),
    "train-lora": functools.partial(Train, "train-lora", "lora", 2e-4),
    "cell": Cell,
}
GROUPS = {"generate": [name for name in JOBS if name.startswith("generate-")], "train": [name for name in JOBS if name.startswith("train-")], "all": list(JOBS)}
