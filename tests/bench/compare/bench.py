"""One call of tools/compare: its machine, its two sides, and its rounds."""

import contextlib
import dataclasses
import json
import pathlib
import statistics
import sys
import time

from compare import figures
from compare.limits import Shape
from compare.machine import DISTURBED, Watch, load
from compare.sides import Failure, Side

SETTLED = 0.3  # seconds in which the threads of the side before go to sleep


@dataclasses.dataclass
class Bench:
    holdfast: pathlib.Path
    driver: pathlib.Path
    python: pathlib.Path  # with transformers and peft
    scratch: pathlib.Path
    threads: int
    rounds: int
    quick: bool
    dtype: str = "float32"
    script: pathlib.Path = pathlib.Path(__file__).with_name("transformers_side.py")
    model: str = ""  # a Hugging Face folder
    sides: dict = dataclasses.field(default_factory=dict)
    about: dict = dataclasses.field(default_factory=dict)  # what each side says of itself

    def use(self, model):
        self.model = str(model)
        self.shape = Shape.of(model)
        settings = [json.loads(path.read_text(encoding="utf-8")) for path in (pathlib.Path(model) / name for name in ("generation_config.json", "config.json")) if path.exists()]
        stop = next((each["eos_token_id"] for each in settings if each.get("eos_token_id") is not None), -1)
        self.stop = stop[0] if isinstance(stop, list) else stop

    def start(self, name):
        command = [self.driver] if name == "ours" else [self.python, self.script]
        return Side(name, command, self.threads, self.scratch / f"{name}-side.log")

    @contextlib.contextmanager
    def running(self, names):
        try:
            for name in names:
                self.sides[name] = self.start(name)
                if name not in self.about:
                    self.about[name] = self.sides[name].ask("hello")
            yield
        except BaseException:  # whatever ended the job, its sides have nothing left to do
            for side in self.sides.values():
                side.process.kill()
            raise
        finally:
            while self.sides:
                self.sides.popitem()[1].close()

    def open(self, *names):
        for name in names or list(self.sides):
            self.sides[name].ask("open", model=self.model, dtype=self.dtype)

    @staticmethod
    def json_lines(text):
        return [json.loads(line) for line in text.splitlines() if line]

    def machine(self):
        """Rates of the machine now, each with the cores that others took meanwhile."""
        rates = {"product": {}, "disturbed": False}
        for name, side in self.sides.items():
            time.sleep(SETTLED)
            with Watch(side.process.pid) as watch:
                rates["product"][name] = side.ask("product")["flops"]
            rates["disturbed"] |= watch.others > DISTURBED
        with Watch(self.sides["ours"].process.pid) as watch:
            rates["read"] = self.sides["ours"].ask("read", bytes=self.shape.stored * self.shape.weights)["bytes_a_second"]
        rates["disturbed"] |= watch.others > DISTURBED
        return rates


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def told(job, number, runs, fault):
    return (f"{job.name}, round {number}: {runs['ours']['seconds']:.2f} s and {runs['theirs']['seconds']:.2f} s, ratio {figures.ratio(runs):.2f}"
            + "".join(f"; others took {run['others']:.2f} cores beside {side}" for side, run in runs.items() if run["others"] > DISTURBED)
            + (f"; NOT THE SAME WORK: {fault}" if fault else ""))


def measured(job, bench):
    """A job's rounds and what is made of them. Who begins changes from round to round. What fails costs this job alone."""
    machine, rounds, work, fault = [], [], None, ""
    try:
        with bench.running(figures.SIDES if job.resident else ["ours"]):
            fault = job.prepare(bench)
            machine.append(bench.machine())
            while not fault and len(rounds) < bench.rounds:
                runs = {}
                for side in figures.SIDES if len(rounds) % 2 == 0 else figures.SIDES[::-1]:
                    time.sleep(SETTLED)
                    runs[side] = job.run(bench, side)
                rounds.append(runs)
                fault = job.fault(bench)
                work = job.work(bench)
                machine.append(bench.machine())
                say(told(job, len(rounds), runs, fault))
    except Failure as failure:
        fault = str(failure)
        say(f"{job.name}: {fault}")
    return outcome(job, fault, machine, rounds, work)


def outcome(job, fault, machine, rounds, work):
    found = {"job": job.name, "title": job.title, "unit": job.unit, "fault": fault, "note": "" if fault else job.note, "machine": machine, "rounds": rounds}
    if not work:
        return found
    calm = [each for each in machine if not each["disturbed"]] or machine
    found["product"] = max(statistics.median(each["product"][side] for each in calm) for side in calm[0]["product"])
    found["read"] = statistics.median(each["read"] for each in calm)
    found["figures"] = figures.summary(rounds)
    found["limits"] = dict(zip(("arithmetic", "bandwidth"), work.seconds(found["product"], found["read"])))
    return found


def compared(jobs, bench):
    """Everything that the table and the JSON file say. An interruption loses the job under way and no other."""
    found = {"threads": bench.threads, "dtype": bench.dtype, "quick": bench.quick, "load_before": load(), "interrupted": False, "jobs": []}
    try:
        for job in jobs:
            found["jobs"].append(measured(job(), bench))
    except KeyboardInterrupt:
        found["interrupted"] = True
    with bench.running([name for name in figures.SIDES if name not in bench.about]):
        return found | {"sides": bench.about}
