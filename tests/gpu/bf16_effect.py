"""How far bf16 moves a log-likelihood of the oracle's checkpoint: the evidence for the bound in bounds.toml.

Rounds in NumPy where the program for GPUs does (trainer/model/src/cuda/program.rs): everything that one kernel leaves in memory for the
next is bf16, that is norms, products, rotated queries and keys, values, the weights of attention, its result and the activated
feed-forward part; sums, the residual stream, logits and log-softmax are f32 or better. The checkpoint's weights are bf16 already,
so their rounding changes nothing. Without rounding the same program must give the log-likelihoods of lm-eval, which shows that it is
the right one.

    pip install numpy tokenizers
    python3 tests/gpu/bf16_effect.py --oracle ../shared/oracle --data ../shared/data [--items 40]

Not a test: it takes minutes, and is run again when the places of rounding change.
"""

import argparse
import hashlib
import json
import pathlib
import struct

import numpy
from tokenizers import Tokenizer

PREAMBLE = "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。\n\n"
CHOICES = [f"choice{number}" for number in range(5)]
SHOTS = 3


def to_bf16(values):
    """Rounded to the nearest bf16, ties to even, as f32."""
    bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & numpy.uint32(0xFFFF0000)).view(numpy.float32)


def read_weights(folder):
    """Name → f32 array, of bf16 safetensors."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        start = 8 + struct.unpack("<Q", raw[:8])[0]
        for name, about in json.loads(raw[8:start]).items():
            if name == "__metadata__":
                continue
            first, last = about["data_offsets"]
            bits = numpy.frombuffer(raw[start + first:start + last], dtype=numpy.uint16).astype(numpy.uint32) << 16
            weights[name] = bits.view(numpy.float32).reshape(about["shape"])
    return weights


class Llama:
    """The forward pass of one sequence; `rounded` says whether what lies in memory between kernels is bf16."""

    def __init__(self, folder, rounded):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = read_weights(folder)
        self.round = to_bf16 if rounded else lambda values: values

    def norm(self, x, name):
        scale = 1 / numpy.sqrt((x * x).mean(axis=1, keepdims=True) + self.config["rms_norm_eps"])
        return self.round(x * scale * self.weights[f"{name}.weight"])

    def product(self, x, name):
        return x @ self.weights[f"{name}.weight"].T

    def heads(self, x, name, rotate):
        rows, dim = len(x), self.config["head_dim"]
        values = self.round(self.product(x, name)).reshape(rows, -1, dim).transpose(1, 0, 2)
        if not rotate:
            return values
        angles = numpy.outer(numpy.arange(rows), self.config["rope_theta"] ** (-numpy.arange(0, dim, 2) / dim))
        cos, sin = numpy.cos(angles).astype(numpy.float32), numpy.sin(angles).astype(numpy.float32)
        a, b = values[..., :dim // 2], values[..., dim // 2:]
        return self.round(numpy.concatenate([a * cos - b * sin, b * cos + a * sin], axis=2))

    def attention(self, x, name):
        q, k, v = (self.heads(x, f"{name}.{part}_proj", part != "v") for part in "qkv")
        shared = len(q) // len(k)
        k, v = (numpy.repeat(values, shared, axis=0) for values in (k, v))
        scores = q @ k.transpose(0, 2, 1) / numpy.float32(q.shape[2] ** 0.5)
        scores += numpy.triu(numpy.full(scores.shape[1:], -numpy.inf, dtype=numpy.float32), 1)
        weights = numpy.exp(scores - scores.max(axis=2, keepdims=True))
        mixed = self.round(weights) @ v / weights.sum(axis=2, keepdims=True)
        return self.product(self.round(mixed.transpose(1, 0, 2).reshape(len(x), -1)), f"{name}.o_proj")

    def feed_forward(self, x, name):
        gate, up = (self.round(self.product(x, f"{name}.{part}_proj")) for part in ("gate", "up"))
        return self.product(self.round(gate / (1 + numpy.exp(-gate)) * up), f"{name}.down_proj")

    def loglikelihood(self, tokens, targets):
        """Of the last `targets` tokens after those before them; nats."""
        x = self.weights["model.embed_tokens.weight"][tokens[:-1]]
        for layer in range(self.config["num_hidden_layers"]):
            name = f"model.layers.{layer}"
            x = x + self.attention(self.norm(x, f"{name}.input_layernorm"), f"{name}.self_attn")
            x = x + self.feed_forward(self.norm(x, f"{name}.post_attention_layernorm"), f"{name}.mlp")
        logits = self.product(self.norm(x[-targets:], "model.norm"), "model.embed_tokens").astype(numpy.float64)
        most = logits.max(axis=1, keepdims=True)
        normaliser = numpy.log(numpy.exp(logits - most).sum(axis=1)) + most[:, 0]
        return float((logits[numpy.arange(targets), tokens[-targets:]] - normaliser).sum())


def prompts(data, items):
    """Context and choices of JCommonsenseQA with three shots, as tests/oracle/tasks/o_jcommonsenseqa.toml asks them."""
    def read(split):
        text = (data / f"bench/jglue/jcommonsenseqa-v1.3/{split}-v1.3.json").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def asked(record):
        choices = "".join(f"- {record[choice]}\n" for choice in CHOICES)
        return f"### 指示：\n出力は以下から選択してください：\n{choices}\n### 入力：\n{record['question']}\n\n### 応答："

    shots = "".join(f"{asked(r)}\n{r[CHOICES[r['label']]]}\n\n" for r in read("train")[:SHOTS])
    for record in read("valid")[:items]:
        yield PREAMBLE + shots + asked(record), [f"\n{record[choice]}" for choice in CHOICES]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--oracle", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--items", type=int, default=40)
    args = parser.parse_args()
    folder = args.oracle / "mini-ja-en/step-0800"
    goldens = (args.oracle / "goldens/step-0800/lmeval_jcqa_3shot.jsonl").read_text().splitlines()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    exact, rounded = Llama(folder, False), Llama(folder, True)
    off, moved, per_token, best = [], [], [], 0
    for line, (context, choices) in zip(goldens, prompts(args.data, args.items)):
        golden = json.loads(line)
        assert golden["prompt_sha256"] == hashlib.sha256(context.encode()).hexdigest(), golden["id"]
        before = len(tokenizer.encode(context).ids)
        found = []
        for choice, expected in zip(choices, golden["loglikelihood"]):
            tokens = tokenizer.encode(context + choice).ids
            targets = len(tokens) - before
            off.append(abs(exact.loglikelihood(tokens, targets) - expected))
            found.append(rounded.loglikelihood(tokens, targets))
            moved.append(found[-1] - expected)
            per_token.append(abs(moved[-1]) / targets)
        best += numpy.argmax(found) == numpy.argmax(golden["loglikelihood"])
    moved = numpy.array(moved)
    print(f"{len(moved)} log-likelihoods of {len(moved) // 5} items")
    print(f"without rounding: |Δ| ≤ {max(off):.1e} nats beside lm-eval")
    print(f"in bf16: mean |Δ| {abs(moved).mean():.4f}, mean Δ {moved.mean():+.4f}, largest {abs(moved).max():.4f} nats; "
          f"mean |Δ| for a token {numpy.mean(per_token):.4f}; the same choice in {best} items")


if __name__ == "__main__":
    main()
