"""What was measured, as Markdown for docs/performance.md."""

import pathlib
import statistics

from compare.figures import SIDES
from compare.sides import NAMES

HEADER = ("job", "Holdfast", "transformers + peft", "ratio", "arithmetic allows", "bandwidth allows", "share of the limit", "peak memory", "the same work")


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "an unknown processor")


def row(cells):
    return "| " + " | ".join(cells) + " |"


def shown(job, seconds, amount):
    return f"{seconds:.2f} s" if job["unit"] == "s" else f"{amount / seconds:,.0f} {job['unit']}"


def median_shown(job, side):
    figures = job["figures"][side]
    return shown(job, figures["seconds"], figures["rate"] * figures["seconds"])


def ratio_shown(figures):
    spread = f" ({figures['lowest']:.2f} to {figures['highest']:.2f})" if figures["rounds"] > 1 else ""
    return f"**{figures['ratio']:.2f}**{spread}{' ~' if figures['disturbed'] else ''}"


def job_row(job):
    if "figures" not in job:
        return row([job["title"], "-", "-", "-", "-", "-", "-", "-", f"**no**: {job['fault']}"])
    figures, (slow, fast) = job["figures"], (job["limits"]["arithmetic"], job["limits"]["bandwidth"])
    limit = max(slow, fast)
    amount = job["rounds"][-1]["ours"]["amount"]
    share = " / ".join(f"{limit / figures[side]['seconds']:.0%}" for side in SIDES)
    peak = " / ".join(f"{figures[side]['peak'] / 2**30:.2f}" for side in SIDES) + " GiB"
    same = f"**no**: {job['fault']}" if job["fault"] else job["note"]
    return row([job["title"], median_shown(job, "ours"), median_shown(job, "theirs"), ratio_shown(figures), shown(job, slow, amount), shown(job, fast, amount), share, peak, same])


def machine_text(measured):
    jobs = [job for job in measured["jobs"] if "product" in job]
    ours, theirs = measured["sides"]["ours"], measured["sides"]["theirs"]
    products = {side: [each["product"][side] for job in jobs for each in job["machine"] if side in each["product"]] for side in SIDES}
    rates = ", ".join(f"{statistics.median(rates) / 1e9:.0f} GFLOP/s on the side of {NAMES[side]}" for side, rates in products.items() if rates)
    reads = [each["read"] for job in jobs for each in job["machine"]]
    return (f"{measured['threads']} threads on {processor()} ({ours['capability']}), {measured['dtype']}. {ours['program']}, torch {ours['torch']}; {theirs['program']}, "
            f"torch {theirs['torch']}. Matrix product, 1024 cubed: {rates}. Reading memory, as many bytes as the weights have: {statistics.median(reads) / 1e9:.1f} GB/s."
            if jobs else "Nothing was measured.")


def disturbances(measured):
    """What is to be said of others on the machine, a sentence each."""
    if measured["load_before"] > 0.5:
        yield f"The machine was not idle when it began: its load of the last minute was {measured['load_before']:.2f}."
    for job in measured["jobs"]:
        if "figures" not in job or not job["figures"]["disturbed"]:
            continue
        noisy, total = job["figures"]["disturbed"], len(job["rounds"])
        most = max(run["others"] for each in job["rounds"] for run in each.values())
        what = "its figures are of the others" if len(noisy) < total else "its figures are of these all the same"
        yield f"~ {job['job']}: others took up to {most:.2f} cores in {'round' if len(noisy) == 1 else 'rounds'} {', '.join(map(str, noisy))} of {total}; {what}."


def markdown(measured):
    lines = [machine_text(measured), ""]
    said = list(disturbances(measured))
    if measured["quick"]:
        lines += ["With --quick: fewer rows and prompts, for a first look.", ""]
    lines += [row(HEADER), row(["---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---"])]
    lines += [job_row(job) for job in measured["jobs"]]
    lines += ["", "Medians of the rounds, the sides in turns; ratio: median of the rounds' ratios (lowest to highest), above 1 where Holdfast is faster. Share of the limit: of the "
              "narrower of arithmetic and bandwidth, ours / theirs. Peak memory: of the largest process."]
    return "\n".join(lines + [""] * bool(said) + said)
