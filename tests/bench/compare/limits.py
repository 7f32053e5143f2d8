"""How long a job must take on a machine: its arithmetic at the rate of a large matrix product, and the bytes that it must move at the rate
of reading memory. What is computed has 4 bytes a number (float32); weights that stand in 16 bits in their file need not be read wider."""

import dataclasses
import json
import math
import pathlib

BYTES = 4


@dataclasses.dataclass
class Shape:
    """Weights of a decoder that stand in products: of its blocks and of its head (an embedding is looked up)."""

    body: int
    head: int
    attention: int  # FLOP of a token for each token that it looks back at
    cached: int  # numbers of keys and values that a token leaves
    stored: int = BYTES  # bytes of a weight in the checkpoint

    @property
    def weights(self):
        return self.body + self.head

    @staticmethod
    def of(folder):
        config = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        width, layers, heads = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
        pairs, dim = config.get("num_key_value_heads") or heads, config.get("head_dim") or width // heads
        block = 2 * width * heads * dim + 2 * width * pairs * dim + 3 * width * config["intermediate_size"]
        stored = 2 if config.get("dtype", config.get("torch_dtype")) in ("bfloat16", "float16") else BYTES
        return Shape(layers * block, config["vocab_size"] * width, 4 * layers * heads * dim, 2 * layers * pairs * dim, stored)


@dataclasses.dataclass
class Work:
    flop: float = 0
    bytes: float = 0

    def __add__(self, other):
        return Work(self.flop + other.flop, self.bytes + other.bytes)

    def seconds(self, flops, bandwidth):
        """By arithmetic and by bandwidth."""
        return self.flop / flops, self.bytes / bandwidth


def shared(prompts):
    """Tokens with which all prompts begin, the last of each left out, from which its reply starts."""
    most = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    return next((n for n in range(most) if any(prompt[n] != first[n] for prompt in prompts)), most) if len(prompts) > 1 else 0


def generation(shape, prompts, replies, options):
    """2 N FLOP a token and what attention looks back at; a step reads all weights once and each row's keys and values. What all prompts
    begin with is computed once. A reply shorter than max_new_tokens ended with a stop token, which had to be computed too."""
    new = [min(len(reply) + 1, options["max_new_tokens"]) for reply in replies]
    prefix = shared(prompts)
    asked = prefix + sum(len(prompt) - prefix for prompt in prompts)
    continued = sum(new) - len(new)  # the first token of a reply comes from its prompt
    back = prefix**2 / 2 + sum((len(prompt) ** 2 - prefix**2) / 2 for prompt in prompts)
    seen = sum((n - 1) * len(prompt) + n * (n - 1) / 2 for n, prompt in zip(new, prompts))
    steps = math.ceil(continued / options["batch_size"]) + math.ceil(len(prompts) / options["batch_size"])
    flop = 2 * shape.body * (asked + continued) + 2 * shape.head * sum(new) + shape.attention * (back + seen)
    return Work(flop, steps * shape.stored * shape.weights + BYTES * seen * shape.cached)


def training(shape, tokens, steps, method):
    """6 N FLOP a token where all weights are trained and 4 N with LoRA, which needs no gradients of theirs. Weights are read forward and
    backward; trained ones have a gradient that is written and read, and AdamW reads and writes them and two moments."""
    full = method == "full"
    moved = 10 * BYTES if full else 2 * shape.stored  # bytes of a weight in a step
    return Work((6 if full else 4) * shape.weights * tokens, moved * shape.weights * steps)


def loading(shape, prompt):
    """Every weight read once, and the prompt."""
    return Work(2 * shape.body * len(prompt) + 2 * shape.head, shape.stored * shape.weights)
