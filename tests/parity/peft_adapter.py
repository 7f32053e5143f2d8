"""Opens what holdfast wrote with transformers and peft, and compares log-probabilities. Run by hand, at development time.

    python -m pip install transformers peft gguf torch
    python tests/parity/peft_adapter.py build/release/bin/holdfast models/SmolLM2-135M-Instruct.Q4_1.gguf
"""

import json
import pathlib
import sys
import tempfile

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures")]
import reference  # noqa: E402
import smollm2  # noqa: E402

TOLERANCE = 1e-3
SETTINGS = ["--lr", 1e-3, "--batch-size", 4, "--epochs", 1]


def worst_difference(program, model, tokenizer, conversations):
    data = program.file("scores.jsonl", [{"messages": messages} for messages in conversations])
    found = program.run("score", "--data", data)
    wanted = reference.scores(model.eval(), tokenizer, conversations, 9)
    assert [row["ids"] for row in found] == [row["ids"] for row in wanted], "label ids differ"
    return max(abs(a - b) for f, w in zip(found, wanted) for a, b in zip(f["logprobs"], w["logprobs"]))


def main(binary, gguf):
    expected = json.loads((smollm2.FIXTURES / "expected.json").read_text())
    tokens = json.loads((smollm2.FIXTURES / "tokens.json").read_text())
    conversations = [row["messages"] for row in expected["scores"]][:6]
    source = {"pretrained_model_name_or_path": str(pathlib.Path(gguf).parent), "gguf_file": pathlib.Path(gguf).name}
    with tempfile.TemporaryDirectory() as scratch:
        program = smollm2.Program(binary, gguf, scratch)
        data = program.file("train.jsonl", [{"messages": messages} for messages in expected["training"]["data"][:12]])
        folders = {method: str(program.scratch / method) for method in ("lora", "full")}
        for method, folder in folders.items():
            rate = SETTINGS if method == "lora" else ["--lr", 2e-5, *SETTINGS[2:]]
            program.run("finetune", "--method", method, "--data", data, *rate, "--out", folder)
        tokenizer = AutoTokenizer.from_pretrained(folders["full"])
        equal = sum(tokenizer(case["text"], add_special_tokens=False)["input_ids"] == case["ids"] for case in tokens["texts"])
        chats = sum(tokenizer.apply_chat_template(case["messages"], tokenize=False, add_generation_prompt=case["generation_prompt"])
                    == case["text"] for case in tokens["chats"])
        full = AutoModelForCausalLM.from_pretrained(folders["full"], dtype=torch.float32)
        differences = {"full": worst_difference(smollm2.Program(binary, folders["full"], scratch), full, tokenizer, conversations)}
        base = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        before = reference.scores(base, tokenizer, conversations[:1], 9)[0]["logprobs"]
        adapted = PeftModel.from_pretrained(base, folders["lora"])
        after = reference.scores(adapted.eval(), tokenizer, conversations[:1], 9)[0]["logprobs"]
        differences["lora"] = worst_difference(smollm2.Program(binary, folders["lora"], scratch), adapted, tokenizer, conversations)
    print(f"exported tokenizer in transformers: {equal} of {len(tokens['texts'])} texts, {chats} of {len(tokens['chats'])} chats equal")
    print(f"exported folder in transformers: largest log-probability difference {differences['full']:.2g}")
    print(f"adapter in peft: largest difference {differences['lora']:.2g}; "
          f"the adapter itself moved them by up to {max(abs(a - b) for a, b in zip(before, after)):.2g}")
    whole = equal == len(tokens["texts"]) and chats == len(tokens["chats"])
    return 0 if whole and max(differences.values()) < TOLERANCE else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
