"""What the machine did while something was measured, from /proc."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")
DISTURBED = 0.1  # cores: others that take more than so much make a measurement a disturbed one


def busy_seconds(stat):
    """Seconds in which the cores did anything, for anybody, other virtual machines included, from the text of /proc/stat."""
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(stat):
    """Processor time of a process and of the children that it waited for, from the text of /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def load():
    """Processes that wanted to run, a mean of the last minute."""
    return float(read("/proc/loadavg").split()[0])


def forget_peak(pid):
    """The peak memory of the process begins anew."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_bytes(pid):
    """Most memory that the process had at once, in bytes, pages of mapped files included."""
    line = next(line for line in read(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


class Watch:
    """What others did meanwhile: `with Watch(pid) as watch: ...`, then .seconds, .others (cores) and .load (before). `pid`: of the process that works,
    beside this one and the children that it waits for."""

    def __init__(self, pid=None):
        self.pid = pid

    def own_seconds(self):
        return sum(os.times()[:4]) + (process_seconds(read(f"/proc/{self.pid}/stat")) if self.pid else 0)

    def __enter__(self):
        self.load = load()
        self.start = time.perf_counter(), busy_seconds(read("/proc/stat")), self.own_seconds()
        return self

    def __exit__(self, *_):
        start, busy, own = self.start
        self.seconds = time.perf_counter() - start
        others = busy_seconds(read("/proc/stat")) - busy - (self.own_seconds() - own)
        self.others = max(0.0, others) / self.seconds
