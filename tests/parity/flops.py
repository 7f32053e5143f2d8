"""Counts by hand the floating-point operations that the program counts where its products are made (docs/cost.md).

    python3 tests/parity/flops.py            prints each case
    python3 tests/parity/flops.py --write    writes tests/fixtures/flops.json, which tests/model/flops_test.cpp reads
    python3 tests/parity/flops.py --check    says whether that file is what this one computes

It knows shapes and definitions alone: what a weight matrix multiplies, and which earlier tokens a token sees.
"""

import json
import pathlib
import sys

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "flops.json"
MODELS = {
    "organism": {"vocabulary": 519, "width": 128, "feed_forward": 384, "layers": 4, "heads": 4, "kv_heads": 4, "head_width": 32},
    "SmolLM2-135M": {"vocabulary": 49152, "width": 576, "feed_forward": 1536, "layers": 30, "heads": 9, "kv_heads": 3, "head_width": 64},
}
LENGTHS = [23, 7, 24, 13]  # tokens of each row
LABELS = [8, 4, 11, 5]  # of them learned or scored
RANK = 16
PROMPTS, REPLIES = [5, 12, 9], 6  # tokens of each prompt; of each reply


def matrices(model):
    """(in, out) of the seven matrices of a block."""
    query, key = model["heads"] * model["head_width"], model["kv_heads"] * model["head_width"]
    width, hidden = model["width"], model["feed_forward"]
    return {"q": (width, query), "k": (width, key), "v": (width, key), "o": (query, width),
            "gate": (width, hidden), "up": (width, hidden), "down": (hidden, width)}


def size(model):
    """Weights in the matrices of all blocks."""
    return model["layers"] * sum(a * b for a, b in matrices(model).values())


def head(model):
    return model["width"] * model["vocabulary"]


def sights(length, begun=0):
    """A query and each token that it sees: the earlier ones and itself."""
    return sum(begun + place + 1 for place in range(length))


def attention(model, pairs):
    """One of the two products of attention in all layers: a multiplication and an addition for each element of each head."""
    return 2 * model["layers"] * model["heads"] * model["head_width"] * pairs


def likelihood(model):
    pairs = sum(sights(length) for length in LENGTHS)
    return 2 * size(model) * sum(LENGTHS) + 2 * attention(model, pairs) + 2 * head(model) * sum(LABELS)


def full_training(model):
    """The backward pass multiplies each matrix twice (for the gradient of its input and its own) and attention's products four
    times (values, shares, queries, keys), so that all is three times the forward."""
    return 3 * likelihood(model)


def lora_training(model):
    """Frozen matrices have one product back, and none where nothing before them is trained: the first block's q, k, v. Each
    adapter has two small matrices with both gradients, but for the gradient of that same input."""
    tokens = sum(LENGTHS)
    pairs = sum(sights(length) for length in LENGTHS)
    first = [matrices(model)[name] for name in "qkv"]
    adapters = model["layers"] * sum(RANK * (a + b) for a, b in matrices(model).values())
    weights = 2 * tokens * (2 * size(model) - sum(a * b for a, b in first))
    factors = 2 * tokens * (3 * adapters - sum(RANK * a for a, _ in first))
    return weights + factors + 6 * attention(model, pairs) + 2 * 2 * head(model) * sum(LABELS)


def generation(model):
    """With a cache each token goes through the blocks once, and each new one but the last is asked for the next."""
    tokens = sum(PROMPTS) + len(PROMPTS) * (REPLIES - 1)
    pairs = sum(sights(prompt + REPLIES - 1) for prompt in PROMPTS)
    return 2 * size(model) * tokens + 2 * attention(model, pairs) + 2 * head(model) * len(PROMPTS) * REPLIES


def counted():
    cases = (likelihood, full_training, lora_training, generation)
    return {"lengths": LENGTHS, "labels": LABELS, "rank": RANK, "prompts": PROMPTS, "replies": REPLIES,
            "models": {name: {"shape": model, "flops": {case.__name__: case(model) for case in cases}}
                       for name, model in MODELS.items()}}


def main():
    text = json.dumps(counted(), indent=1) + "\n"
    if sys.argv[1:] == ["--write"]:
        FIXTURE.write_text(text)
    elif sys.argv[1:] == ["--check"]:
        if FIXTURE.read_text() != text:
            sys.exit(f"{FIXTURE} is not what {sys.argv[0]} computes; write it anew with --write")
    elif sys.argv[1:]:
        sys.exit(f"unknown option {sys.argv[1]!r}; there are --write and --check")
    else:
        for name, model in counted()["models"].items():
            for case, flops in model["flops"].items():
                print(f"{name:>14} {case:<14} {flops:>18,}")


if __name__ == "__main__":
    main()
