"""Has inspect_ai and tensorboard themselves read what `holdfast leaderboard` exports, and compares it with the run.

    python -m pip install inspect-ai==0.3.285 tensorboard==2.21.0
    python tests/parity/log_formats.py build/release/bin/holdfast results/quickstart
"""

import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def cells_of(run):
    return {(row["model"], row["attack"], row["defense"], row["seed"]): row for row in json_lines(run / "cells.jsonl")}


def inspect(run, folder):
    """Every log that `inspect view` would list, as its list reads them and as its page does; returns how many there are."""
    from inspect_ai.log import list_eval_logs, read_eval_log

    rows = cells_of(run)
    logs = list_eval_logs(str(folder))
    assert len(logs) == len(rows), f"{len(logs)} logs are listed, and the run has {len(rows)} cells"
    heads = [read_eval_log(info, header_only=True) for info in logs]
    assert len({head.eval.task_id for head in heads}) == len(rows), "logs of one id are shown as tries of one task"
    for info, head in zip(logs, heads):
        log = read_eval_log(info)
        assert head.eval == log.eval and head.status == log.status and head.results == log.results, info.name
        told = log.eval.metadata
        row = rows.pop((log.eval.model, told["attack"], told["defense"], told["seed"]))
        assert log.status == ("success" if row["status"] == "ok" else "error"), info.name
        if row["status"] != "ok":
            assert row["message"] in log.error.message, info.name
            continue
        figures = {id: metric for id, metric in row["metrics"].items() if metric["value"] is not None}
        found = {score.name: score.metrics["mean"].value for score in log.results.scores}
        assert found == {id: metric["value"] for id, metric in figures.items()}, info.name
        samples = {each["id"]: each for each in json_lines(run / "samples" / f"{row['stages']['generate']}.jsonl")}
        assert [sample.id for sample in log.samples] == list(samples), info.name
        for sample in log.samples:
            outcomes = {id: value for id, value in samples[sample.id]["outcomes"].items() if value is not None}
            assert {id: score.value for id, score in sample.scores.items()} == outcomes, (info.name, sample.id)
            digest = samples[sample.id].get("reply_sha256")
            assert digest is None or digest in sample.output.completion, (info.name, sample.id)
    return len(logs)


def tensorboard(run, folder):
    """Every run folder below; returns how many there are."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    names = {"loss": "loss", "learning_rate": "lr", "gradient_norm": "gradient_norm", "tokens": "tokens"}
    rows = cells_of(run)
    files = sorted(folder.rglob("events.out.tfevents.*"))
    for file in files:
        model, attack, defense, seed, stage = file.parent.relative_to(folder).parts
        curve = json_lines(run / "curves" / f"{rows[model, attack, defense, int(seed[5:])]['stages'][stage]}.jsonl")
        events = EventAccumulator(str(file.parent), size_guidance={"scalars": 0})
        events.Reload()
        assert set(events.Tags()["scalars"]) == set(names), file
        for tag, key in names.items():
            found = events.Scalars(tag)
            assert [point.step for point in found] == [point["step"] for point in curve], (file, tag)
            for point, wanted in zip(found, curve):
                value = math.nan if wanted[key] is None else struct.unpack("f", struct.pack("f", wanted[key]))[0]
                assert point.value == value or math.isnan(value) and math.isnan(point.value), (file, tag, point.step)
    keys = {key for row in rows.values() for key in row["stages"].values()}
    kept = sum(1 for path in (run / "curves").glob("*.jsonl") if path.stem in keys)
    assert len(files) == kept, f"{len(files)} run folders, and the run has {kept} curves"
    return len(files)


def main(holdfast, run):
    for name, check in (("inspect", inspect), ("tensorboard", tensorboard)):
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run([holdfast, "leaderboard", run, f"--{name}", scratch], check=True, stdout=subprocess.DEVNULL)
            print(f"{name}: {check(pathlib.Path(run), pathlib.Path(scratch))} read as they should be")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
