"""Trains each small checkpoint of tests/fixtures/architectures, folder and GGUF file, and opens what holdfast wrote with transformers
and peft: label ids and log-probabilities must be holdfast's own. Run by hand, at development time.

    python -m pip install transformers peft gguf torch
    python tests/parity/exported_architectures.py build/release/bin/holdfast
"""

import pathlib
import sys
import tempfile

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "architectures"
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures"), str(FIXTURES)]
import make_fixtures  # noqa: E402
import reference  # noqa: E402
import smollm2  # noqa: E402

TOLERANCE = 1e-4


def opened(folder, base):
    settings = {"dtype": torch.float32, "attn_implementation": "eager"}
    if (folder / "config.json").exists():
        return AutoModelForCausalLM.from_pretrained(folder, **settings).eval(), AutoTokenizer.from_pretrained(folder)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, **settings), folder)
    return model.eval(), AutoTokenizer.from_pretrained(base)


def worst_difference(binary, family, source, method, scratch):
    data = make_fixtures.conversations(family)
    program = smollm2.Program(binary, str(source), scratch)
    rows = program.file("rows.jsonl", [{"messages": messages} for messages in data])
    folder = scratch / method
    program.run("finetune", "--method", method, "--data", rows, "--lr", 1e-2 if method == "lora" else 1e-3, "--out", folder)
    found = smollm2.Program(binary, str(folder), scratch).run("score", "--data", rows)
    before = program.run("score", "--data", rows)
    model, tokenizer = opened(folder, source)
    wanted = reference.scores(model, tokenizer, data, 9, make_fixtures.CHATS[family][2])
    assert [row["ids"] for row in found] == [row["ids"] for row in wanted], f"{source}: label ids differ"

    def distance(a, b):
        return max(abs(x - y) for f, w in zip(a, b) for x, y in zip(f["logprobs"], w["logprobs"]))
    return distance(found, wanted), distance(found, before)


def main(binary):
    worst = 0.0
    for family in make_fixtures.CONFIGS:
        for source in (FIXTURES / family, FIXTURES / f"{family}.gguf"):
            for method in ("full", "lora") if source.is_dir() else ("full",):
                if not source.exists():
                    continue
                with tempfile.TemporaryDirectory() as scratch:
                    difference, moved = worst_difference(binary, family, source, method, pathlib.Path(scratch))
                print(f"{source.name} {method}: largest difference {difference:.2g}; training moved them by up to {moved:.2g}")
                worst = max(worst, difference)
    return 0 if worst < TOLERANCE else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
