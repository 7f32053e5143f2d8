"""The two processes that keep a model and do what they are asked, and programs that are run from start to end."""

import contextlib
import json
import os
import subprocess
import time

from compare.machine import Watch, forget_peak, peak_bytes


NAMES = {"ours": "Holdfast", "theirs": "transformers"}


class Failure(Exception):
    """What went wrong, in one sentence."""


def last_line(path):
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def environment(threads, ours):
    """Both sides get the same number of threads. Ours has the wait of `holdfast` itself, which begins once more with this variable."""
    own = {"GOMP_SPINCOUNT": "10000"} if ours else {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    return os.environ | own | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def pinned(threads):
    """What a child does before its program begins: it keeps to as many of the cores that this process may use."""
    cores = set(sorted(os.sched_getaffinity(0))[:threads])
    return lambda: os.sched_setaffinity(0, cores)


class Side:
    """A process that answers requests: one JSON object a line, there and back."""

    def __init__(self, name, command, threads, log):
        self.name, self.log = name, log
        with open(log, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8",
                env=environment(threads, ours=name == "ours"), preexec_fn=pinned(threads))

    def ask(self, what, **members):
        try:
            self.process.stdin.write(json.dumps({"do": what} | members) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failure(f"{NAMES[self.name]} ended with {self.process.wait()} at \"{what}\": {last_line(self.log)}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"{NAMES[self.name]} says at \"{what}\": {answer['error']}")
        return answer

    def measure(self, what, **members):
        """The answer with the seconds that the side took, its peak memory meanwhile, and what others did."""
        forget_peak(self.process.pid)
        with Watch(self.process.pid) as watch:
            answer = self.ask(what, **members)
        return answer | {"peak": peak_bytes(self.process.pid), "others": watch.others, "load": watch.load}

    def close(self):
        """Ends the process; its own exit is as good as any."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure_program(name, command, threads, log):
    """Runs a program from start to end: its stdout as text, wall seconds, the peak of its largest process, and what others did."""
    with Watch() as watch, open(log, "w", encoding="utf-8") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8",
                                   env=environment(threads, ours=name == "ours"), preexec_fn=pinned(threads))
        try:
            output = process.stdout.read()
            process.stdout.close()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise Failure(f"{NAMES[name]}, \"{' '.join(map(str, command[:2]))} ...\", ended with {process.returncode}: {last_line(log)}")
    return {"output": output, "seconds": seconds, "peak": usage.ru_maxrss * 1024, "others": watch.others, "load": watch.load}
