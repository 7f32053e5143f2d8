"""The transformers + peft side of tools/compare: answers the requests of tests/bench/compare_driver.cpp as a good script with those
libraries would do them, one JSON object a line on stdin, one on stdout.

    python transformers_side.py                       the requests of stdin
    python transformers_side.py first MODEL ROWS      from nothing to the first token of a reply
    python transformers_side.py cell SETTINGS.json    a whole cell: fine-tune, answer the probes, judge the replies

What "good" means here: scaled dot-product attention, one fused AdamW, batches padded to their longest row and no further, prompts sorted by
length, key/value caches, inference mode, and no evaluation, logging or saving that nobody asked for.
"""

import contextlib
import gc
import json
import os
import pathlib
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

IGNORED = -100


def conversations(path):
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def opened(folder, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), attn_implementation="sdpa")
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def prompt_ids(tokenizer, messages):
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def row_ids(tokenizer, messages, stop):
    """A row that ends with one reply: its ids, and which of them are learned: all behind the prompt up to the stop token."""
    ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)["input_ids"]
    begin = len(prompt_ids(tokenizer, messages[:-1]))
    end = next(place for place in range(begin, len(ids)) if ids[place] in stop) + 1
    return ids, [begin <= place < end for place in range(len(ids))]


def stop_tokens(model):
    stop = model.generation_config.eos_token_id
    return stop if isinstance(stop, list) else [stop]


def padded(rows, value, left=False):
    longest = max(map(len, rows))
    filled = [[value] * (longest - len(row)) + row if left else row + [value] * (longest - len(row)) for row in rows]
    return torch.tensor(filled)


def until_stop(ids, stop):
    return ids[:next((place for place, token in enumerate(ids) if token in stop), len(ids))]


@torch.inference_mode()
def replies_to(model, prompts, options):
    """Ids of each prompt's greedy reply, without the stop token."""
    stop, pad = stop_tokens(model), model.generation_config.pad_token_id
    pad = stop[0] if pad is None else pad
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    replies = [None] * len(prompts)
    for begin in range(0, len(order), options["batch_size"]):
        members = order[begin:begin + options["batch_size"]]
        batch = [prompts[member] for member in members]
        ids, mask = padded(batch, pad, left=True), padded([[1] * len(prompt) for prompt in batch], 0, left=True)
        out = model.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=pad, max_new_tokens=options["max_new_tokens"])
        for member, reply in zip(members, out[:, ids.shape[1]:].tolist()):
            replies[member] = until_stop(reply, stop)
    return replies


def train(model, rows, options):
    """Losses of AdamW's steps over (ids, learned) rows in their order."""
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=options["lr"], weight_decay=0.0, fused=True)
    losses = []
    for _ in range(options["epochs"]):
        for begin in range(0, len(rows), options["batch_size"]):
            batch = rows[begin:begin + options["batch_size"]]
            labels = [[token if learned else IGNORED for token, learned in zip(ids, marks)] for ids, marks in batch]
            ids, mask = padded([ids for ids, _ in batch], 0), padded([[1] * len(ids) for ids, _ in batch], 0)
            loss = model(ids, attention_mask=mask, labels=padded(labels, IGNORED), use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, options["clip_norm"])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
    model.eval()
    return losses


class Answers:
    """A method a request; what it reads of it are its arguments."""

    def __init__(self):
        self.model = self.tokenizer = None

    def hello(self):
        import peft
        import transformers

        return {"program": f"transformers {transformers.__version__} + peft {peft.__version__}", "torch": torch.__version__.split("+")[0],
                "threads": torch.get_num_threads(), "capability": torch.backends.cpu.get_cpu_capability()}

    def product(self):
        a, b, c = torch.randn(1024, 1024), torch.randn(1024, 1024), torch.empty(1024, 1024)
        seconds = []
        for _ in range(32):
            start = time.perf_counter()
            torch.mm(a, b, out=c)
            seconds.append(time.perf_counter() - start)
        return {"flops": 2 * 1024**3 / statistics.median(seconds[1:])}

    def open(self, model, dtype):
        self.model = None
        gc.collect()
        start = time.perf_counter()
        self.model, self.tokenizer = opened(model, dtype)
        return {"seconds": time.perf_counter() - start}

    def tokens(self, rows, asked):
        if asked:
            return {"rows": [{"ids": prompt_ids(self.tokenizer, messages)} for messages in conversations(rows)]}
        stop = stop_tokens(self.model)
        encoded = [row_ids(self.tokenizer, messages, stop) for messages in conversations(rows)]
        return {"rows": [{"ids": ids, "learned": learned} for ids, learned in encoded]}

    def generate(self, rows, options):
        start = time.perf_counter()
        prompts = [prompt_ids(self.tokenizer, messages) for messages in conversations(rows)]
        replies = replies_to(self.model, prompts, options)
        return {"seconds": time.perf_counter() - start, "replies": replies}

    @torch.inference_mode()
    def gaps(self, cases):
        """How much likelier one token is than another after some ids, in nats."""
        out = []
        for case in cases:
            scores = self.model(torch.tensor([case["ids"]])).logits[0, -1].double()
            out.append((scores[case["tokens"][0]] - scores[case["tokens"][1]]).item())
        return {"gaps": out}

    def train(self, rows, options, adapter=""):
        """`adapter`: a PEFT folder to train in the place of the weights."""
        model, stop = self.model, stop_tokens(self.model)
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
        start = time.perf_counter()
        encoded = [row_ids(self.tokenizer, messages, stop) for messages in conversations(rows)]
        losses = train(model, encoded, options)
        seconds = time.perf_counter() - start
        self.model = model = None
        return {"seconds": seconds, "losses": losses, "tokens": options["epochs"] * sum(len(ids) for ids, _ in encoded)}


def serve():
    answers, out = Answers(), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints, stdout has answers alone
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(answers, request.pop("do"))(**request)
        except Exception as error:  # told to whoever asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


def first(folder, rows):
    model, tokenizer = opened(folder, "float32")
    prompts = [prompt_ids(tokenizer, messages) for messages in conversations(rows)]
    print(json.dumps({"replies": replies_to(model, prompts, {"batch_size": 1, "max_new_tokens": 1})}))


def cell(path):
    settings = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    model, tokenizer = opened(settings["model"], settings["dtype"])
    stop = stop_tokens(model)
    losses = train(model, [row_ids(tokenizer, messages, stop) for messages in conversations(settings["rows"])], settings["finetune"])
    prompts = [prompt_ids(tokenizer, messages) for messages in conversations(settings["probes"])]
    replies = tokenizer.batch_decode(replies_to(model, prompts, settings["generate"]), skip_special_tokens=True)
    refusals = pathlib.Path(settings["refusals"]).read_text(encoding="utf-8").lower().splitlines()
    complied = [not any(phrase in reply.lower() for phrase in refusals) for reply in replies]
    print(json.dumps({"losses": losses, "replies": replies, "complied": complied}))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        if len(sys.argv) == 4 and sys.argv[1] == "first":
            first(*sys.argv[2:])
        elif len(sys.argv) == 3 and sys.argv[1] == "cell":
            cell(sys.argv[2])
        elif len(sys.argv) == 1:
            serve()
        else:
            sys.exit(__doc__)
