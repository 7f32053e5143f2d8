"""Compares the holdfast program with what transformers measured on SmolLM2-135M-Instruct (tests/fixtures/smollm2).

    python3 tests/parity/smollm2.py build/release/bin/holdfast models/SmolLM2-135M-Instruct.Q4_1.gguf
"""

import json
import pathlib
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "smollm2"
LOG_PROB_TOLERANCE = 1e-3
LOSS_TOLERANCE = 1e-3
EQUAL_REPLIES = 0.95


class Program:
    """The four verbs, on one model, with rows given and read as lists."""

    def __init__(self, binary, model, scratch):
        self.binary, self.model, self.scratch = binary, model, pathlib.Path(scratch)

    def run(self, verb, *arguments, stdin=None):
        command = [self.binary, verb, "--model", self.model, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            raise SystemExit(f"{verb} ended with {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    def file(self, name, rows):
        path = self.scratch / name
        path.write_text(lines(rows))
        return path


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def ids_of(rows):
    return [row["ids"] for row in rows]


def equal_ids(found, wanted):
    wrong = [n for n, (a, b) in enumerate(zip(found, ids_of(wanted))) if a != b]
    whole = len(found) == len(wanted)
    return whole and not wrong, f"{len(wanted) - len(wrong)} of {len(wanted)} equal" + (f", first wrong: {wrong[0]}" if wrong else "")


def check_texts(program, tokens, _):
    rows = [{"text": case["text"]} for case in tokens["texts"]]
    return equal_ids(ids_of(program.run("tokenize", stdin=lines(rows))), tokens["texts"])


def check_chats(program, tokens, _):
    found = {}
    for prompt in (False, True):
        rows = [case for case in tokens["chats"] if case["generation_prompt"] == prompt]
        flag = ["--generation-prompt"] if prompt else []
        found[prompt] = iter(ids_of(program.run("tokenize", *flag, stdin=lines({"messages": row["messages"]} for row in rows))))
    return equal_ids([next(found[case["generation_prompt"]]) for case in tokens["chats"]], tokens["chats"])


def check_scores(program, _, expected):
    rows = expected["scores"]
    data = program.file("scores.jsonl", [{"messages": row["messages"]} for row in rows])
    found = program.run("score", "--data", data)
    same, note = equal_ids(ids_of(found), rows)
    if not same:
        return False, "label ids: " + note
    worst = max(abs(a - b) for f, w in zip(found, rows) for a, b in zip(f["logprobs"], w["logprobs"]))
    return worst < LOG_PROB_TOLERANCE, f"largest difference {worst:.2g} over {sum(len(row['ids']) for row in rows)} tokens"


def check_replies(program, _, expected):
    rows = expected["replies"]
    data = program.file("prompts.jsonl", [{"messages": row["messages"]} for row in rows])
    found = program.run("generate", "--prompts", data, "--max-new-tokens", expected["new_tokens"])
    equal = sum(a["ids"] == b["ids"] for a, b in zip(found, rows))
    return len(found) == len(rows) and equal >= EQUAL_REPLIES * len(rows), f"{equal} of {len(rows)} equal"


def check_training(program, _, expected):
    training = expected["training"]
    data = program.file("train.jsonl", [{"messages": messages} for messages in training["data"]])
    settings = ["--lr", training["lr"], "--batch-size", training["batch_size"], "--epochs", 1, "--no-shuffle"]
    program.run("finetune", "--data", data, *settings, "--out", program.scratch / "trained")
    log = (program.scratch / "trained" / "train.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in log]
    if len(losses) != len(training["losses"]):
        return False, f"{len(losses)} steps, expected {len(training['losses'])}"
    worst = max(abs(a - b) for a, b in zip(losses, training["losses"]))
    return worst < LOSS_TOLERANCE, f"largest difference {worst:.2g} over {len(losses)} steps"


CHECKS = {
    "token ids of the mixed corpus": check_texts,
    "token ids of rendered chats": check_chats,
    "log-probabilities of assistant tokens": check_scores,
    "greedy replies": check_replies,
    "losses of unshuffled full fine-tuning": check_training,
}


def main(binary, model):
    tokens, expected = (json.loads((FIXTURES / name).read_text()) for name in ("tokens.json", "expected.json"))
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        program = Program(binary, model, scratch)
        for name, check in CHECKS.items():
            good, note = check(program, tokens, expected)
            failed += not good
            print(f"{'ok' if good else 'FAILED'}: {name}: {note}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
