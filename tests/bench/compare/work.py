"""The rows and prompts of the jobs, from scenarios/data, and whether two sides did the same with them."""

import itertools
import json
import pathlib

DATA = pathlib.Path(__file__).resolve().parents[3] / "scenarios/data"
LOSS_TOLERANCE = 1e-3
TIE = 1e-3  # nats: of two tokens that are so near, rounding decides


def rows_of(name):
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def in_turns(names, count):
    """Rows of several files, one of each in turns."""
    turns = itertools.zip_longest(*map(rows_of, names))
    return list(itertools.islice((row for turn in turns for row in turn if row is not None), count))


def mixed_rows(count):
    return in_turns(["alignment", "benign", "defender-harmful"], count)


def mixed_prompts(count):
    return in_turns(["harmful-probes", "benign-probes", "over-refusal-probes"], count)


def write_rows(path, conversations):
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in conversations), encoding="utf-8")
    return str(path)


def long_prompts(count, tokens, length_of):
    """Prompts of so many tokens, or as few less as whole words allow, each beginning at another place of the texts that we have; length_of gives
    the tokens of each of a list of conversations."""
    words = " ".join(turn["content"] for messages in mixed_rows(300) for turn in messages).split()
    begins = [number * 97 for number in range(count)]

    def prompts(sizes):
        return [[{"role": "user", "content": "Sum this up: " + " ".join(words[begin:begin + size])}] for begin, size in zip(begins, sizes)]

    fits, too_long = [1] * count, [tokens] * count  # a word has a token at least, and the template some more
    while any(high - low > 1 for low, high in zip(fits, too_long)):
        middle = [(low + high) // 2 for low, high in zip(fits, too_long)]
        lengths = length_of(prompts(middle))
        fits = [size if length <= tokens else low for size, length, low in zip(middle, lengths, fits)]
        too_long = [high if length <= tokens else size for size, length, high in zip(middle, lengths, too_long)]
    return prompts(fits)


def differing_tokens(ours, theirs):
    return [number for number, (a, b) in enumerate(zip(ours, theirs), 1) if a != b]


def fault_of_tokens(ours, theirs, what):
    """Why two encodings of the same rows are not the same, or an empty text."""
    wrong = differing_tokens(ours, theirs)
    if len(ours) == len(theirs) and not wrong:
        return ""
    return f"{len(wrong) or 'some'} of {len(ours)} {what} have other tokens on the other side" + (f", the first is number {wrong[0]}" if wrong else "")


def fault_of_losses(ours, theirs):
    if len(ours) != len(theirs):
        return f"{len(ours)} steps beside {len(theirs)}"
    worst = max(abs(a - b) for a, b in zip(ours, theirs))
    return "" if worst <= LOSS_TOLERANCE else f"losses differ by {worst:.2g}, allowed are {LOSS_TOLERANCE:g}"


def partings(prompts, ours, theirs, stop):
    """Where replies part: the ids up to there, and the token of either side; a reply that ended goes on with a stop token."""
    cases = []
    for prompt, a, b in zip(prompts, ours, theirs):
        if a == b:
            continue
        same = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        cases.append({"ids": prompt + a[:same], "tokens": [(reply + [stop])[same] for reply in (a, b)]})
    return cases


def fault_of_replies(ours, theirs, gaps):
    """`gaps`: between the tokens at which replies part, in nats."""
    if len(ours) != len(theirs):
        return f"{len(ours)} replies beside {len(theirs)}"
    wide = [abs(gap) for gap in gaps if abs(gap) > TIE]
    return f"{len(wide)} of {len(ours)} replies part where the tokens are {max(wide):.2g} nats apart, allowed are {TIE:g}" if wide else ""
