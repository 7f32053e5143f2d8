"""Figures of rounds. A round is {"ours": run, "theirs": run}, one after the other; a run has seconds, amount (tokens; 1 where the job is one thing),
peak (bytes) and others (cores that others took meanwhile)."""

import statistics

from compare.machine import DISTURBED

SIDES = ("ours", "theirs")


def disturbed(measured):
    """Numbers of the rounds, from 1, in which others worked during a run of either side."""
    return [number for number, each in enumerate(measured, 1) if any(each[side]["others"] > DISTURBED for side in SIDES)]


def counted(measured):
    """The rounds that figures are made of: the undisturbed ones, or all where there is none."""
    noisy = disturbed(measured)
    return [each for number, each in enumerate(measured, 1) if number not in noisy] or measured


def rate(run):
    return run["amount"] / run["seconds"]


def ratio(each):
    """How many times as fast we are in a round."""
    return rate(each["ours"]) / rate(each["theirs"])


def summary(measured):
    """Medians of ratios, rates and seconds over the counted rounds, and the largest peak of memory over all."""
    rounds = counted(measured)
    ratios = [ratio(each) for each in rounds]
    figures = {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios), "rounds": len(rounds), "disturbed": disturbed(measured)}
    for side in SIDES:
        figures[side] = {
            "rate": statistics.median(rate(each[side]) for each in rounds),
            "seconds": statistics.median(each[side]["seconds"] for each in rounds),
            "peak": max(each[side]["peak"] for each in measured),
        }
    return figures
