"""A plain training loop in PyTorch: Llama of a config.json with random weights, bf16 under autocast over f32 masters, SDPA, torch.compile,
fused AdamW, on random tokens.

    python3 tests/gpu/torch_train.py --config config.json --sequences 1 --length 4096 --updates 12 [--device cuda:0]

Prints {tokens_per_second, seconds, how, losses}. Where torch.compile fails, or what it made runs out of memory, the loop is eager, and
`how` says so.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

from steps import NOT_HERE, pytorch

# Updates that are not counted: compilation, and what is chosen once.
WARM = 3


def build(torch, config):
    """The model as a module that gives the loss."""
    nn, functional = torch.nn, torch.nn.functional
    hidden, dim = config["hidden_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"], config["num_key_value_heads"]

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            def linear(inputs, outputs):
                return nn.Linear(inputs, outputs, bias=False)
            self.q, self.k, self.v = linear(hidden, queries * dim), linear(hidden, keys * dim), linear(hidden, keys * dim)
            self.o = linear(queries * dim, hidden)
            inner = config["intermediate_size"]
            self.gate, self.up, self.down = linear(hidden, inner), linear(hidden, inner), linear(inner, hidden)
            self.first, self.second = (nn.RMSNorm(hidden, config["rms_norm_eps"]) for _ in range(2))

        def heads(self, x, count):
            return x.view(x.shape[0], x.shape[1], count, dim).transpose(1, 2)

        def forward(self, x, cos, sin):
            normed = self.first(x)
            q, k, v = self.heads(self.q(normed), queries), self.heads(self.k(normed), keys), self.heads(self.v(normed), keys)
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=queries != keys)
            x = x + self.o(mixed.transpose(1, 2).flatten(2))
            normed = self.second(x)
            return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))

    def rotated(x, cos, sin):
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(config["vocab_size"], hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(config["num_hidden_layers"]))
            self.norm = nn.RMSNorm(hidden, config["rms_norm_eps"])
            self.head = nn.Linear(hidden, config["vocab_size"], bias=False)
            if config["tie_word_embeddings"]:
                self.head.weight = self.embedding.weight
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    nn.init.normal_(parameter, std=0.02)

        def forward(self, inputs, targets, cos, sin):
            x = self.embedding(inputs)
            for layer in self.layers:
                x = layer(x, cos, sin)
            logits = self.head(self.norm(x))
            return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    return Model()


def train(torch, config, args, compiled):
    """Seconds and losses of the updates."""
    torch.manual_seed(11)
    device = torch.device(args.device)
    with device:
        model = build(torch, config)
        dim, length = config["head_dim"], args.length
        frequencies = config["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float32) / dim)
        angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)
        cos, sin = angles.cos(), angles.sin()
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=on_gpu)
    step = torch.compile(model, dynamic=False) if compiled else model
    seconds, losses = [], []
    for _ in range(args.updates):
        tokens = torch.randint(config["vocab_size"], [args.sequences, length + 1], device=device)
        if on_gpu:
            torch.cuda.synchronize()
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            loss = step(tokens[:, :-1], tokens[:, 1:], cos, sin)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - begun)
    return seconds, losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=pathlib.Path, required=True)
    for name in ("sequences", "length", "updates"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--device", default="cuda:0")
    args = parser.parse_args()
    torch = pytorch(gpu=args.device != "cpu")
    if torch is None:
        return NOT_HERE
    config = json.loads(args.config.read_text())
    torch.set_float32_matmul_precision("high")
    ways, refused = [(True, "torch.compile"), (False, "eager")], ""
    for compiled, name in ways if args.device != "cpu" else ways[1:]:
        try:
            seconds, losses = train(torch, config, args, compiled)
        except Exception as error:  # Whatever a compiler or the memory raises, the plain loop is tried.
            refused += f"; {name}: {type(error).__name__}"
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        median = statistics.median(seconds[WARM:] or seconds)
        how = f"PyTorch {torch.__version__}, {name}, SDPA, fused AdamW{refused}"
        print(json.dumps({"tokens_per_second": args.sequences * args.length / median, "seconds": seconds, "losses": losses, "how": how}))
        return 0
    print(f"no loop in PyTorch runs here{refused}", file=sys.stderr)
    return NOT_HERE


if __name__ == "__main__":
    sys.exit(main())
