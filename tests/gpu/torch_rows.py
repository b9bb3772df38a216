"""The rows of `sekisho gpu --json`, measured with PyTorch on the same machine: same operations, same shapes, random data.

    sekisho gpu --json > rows.json; python3 tests/gpu/torch_rows.py --rows rows.json
    python3 tests/gpu/torch_rows.py --ceilings

Prints {torch, rows: [{name, shape, seconds, how}], missing: [sentence]}. Timed with CUDA events around runs that are repeated until they take 20 ms; the median of
nine counts, as in trainer/model/src/cuda/bench.rs. Where PyTorch has several ways, the fastest one counts, and `how` names it.
"""

import argparse
import json
import math
import pathlib
import re
import statistics
import sys

from steps import NOT_HERE, pytorch

RUNS = 9
# What the machine reaches at most: a copy, the largest product, and a copy from pinned memory of the host.
CEILINGS = [{"name": "copy", "shape": "131072 × 8192 f32"}, {"name": "matmul", "shape": "8192 × 8192 × 8192"},
            {"name": "host_to_device", "shape": "2147483648 bytes, pinned"}]


def numbers(shape):
    """The numbers of a shape in their order; the 32 of `f32` is none of them."""
    return [int(number) for number in re.findall(r"\b\d+\b", shape)]


class Bench:
    """PyTorch on a device."""

    def __init__(self, torch, device):
        self.torch, self.device = torch, torch.device(device)
        torch.cuda.set_device(self.device)
        torch.manual_seed(7)

    def random(self, shape, dtype="bfloat16"):
        """Between -1 and 1: on zeros a GPU is faster than on data."""
        values = self.torch.empty(shape, dtype=getattr(self.torch, dtype), device=self.device)
        return values.uniform_(-1, 1)

    def seconds(self, run):
        """The median time of a run."""
        torch = self.torch
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

        def timed(times):
            begin.record()
            for _ in range(times):
                run()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end) / 1e3

        for _ in range(3):
            run()
        torch.cuda.synchronize()
        times = min(max(math.ceil(0.02 / max(timed(1), 1e-6)), 1), 2000)
        return statistics.median(timed(times) for _ in range(RUNS)) / times

    def fastest(self, ways):
        """(seconds, name) of the fastest of some ways, each (name, function) or one that cannot be done here."""
        found, refused = [], []
        for name, run in ways:
            try:
                found.append((self.seconds(run), name))
            except Exception as error:  # Whatever a backend or a compiler raises, the others are tried.
                refused.append(f"{name}: {type(error).__name__}")
        if not found:
            raise RuntimeError(f"no way to measure: {', '.join(refused)}")
        return min(found)

    def both(self, function, *arguments):
        """As it is written, and compiled."""
        compiled = self.torch.compile(function, dynamic=False)
        return [("eager", lambda: function(*arguments)), ("torch.compile", lambda: compiled(*arguments))]

    def attention(self, q, k, v, causal):
        """With each of PyTorch's backends."""
        from torch.nn.attention import SDPBackend, sdpa_kernel
        backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        attend = self.torch.nn.functional.scaled_dot_product_attention

        def way(backend):
            def run():
                with sdpa_kernel(backend):
                    attend(q, k, v, is_causal=causal)
            return run

        # The plain way keeps all scores, which do not fit for long sequences; it is there for single rows.
        return [(f"SDPA, {backend.name}", way(backend)) for backend in (backends[:3] if causal else backends)]

    def measure(self, name, shape):
        """(seconds, how) of a row."""
        return self.fastest(getattr(self, f"row_{name}")(numbers(shape)))

    def row_copy(self, size):
        source = self.random(size, "float32")
        target = self.torch.empty_like(source)
        return [("copy_", lambda: target.copy_(source))]

    def row_host_to_device(self, size):
        source = self.torch.empty(size, dtype=self.torch.uint8, pin_memory=True).fill_(1)
        target = self.torch.empty(size, dtype=self.torch.uint8, device=self.device)
        return [("copy_ from pinned memory", lambda: target.copy_(source, non_blocking=True))]

    def row_matmul(self, size):
        m, n, k = size
        x, w = self.random([m, k]), self.random([n, k])
        return [("linear", lambda: self.torch.nn.functional.linear(x, w))]

    def row_rms_norm(self, size):
        rows, width = size
        x, weight = self.random([rows, width], "float32"), self.random([width], "float32")
        norm, bfloat16 = self.torch.nn.functional.rms_norm, self.torch.bfloat16
        return self.both(lambda x, weight: norm(x, (width,), weight, 1e-5).to(bfloat16), x, weight)

    def row_swiglu(self, size):
        rows, inner = size
        silu = self.torch.nn.functional.silu
        return self.both(lambda x: silu(x[:, :inner]) * x[:, inner:], self.random([rows, 2 * inner]))

    def row_attention_prefill(self, size):
        sequences, length, heads, dim = size
        q, k, v = (self.random([sequences, heads, length, dim]) for _ in range(3))
        return self.attention(q, k, v, causal=True)

    def row_attention_decode(self, size):
        rows, length, heads, dim = size
        q = self.random([rows, heads, 1, dim])
        k, v = (self.random([rows, heads, length, dim]) for _ in range(2))
        return self.attention(q, k, v, causal=False)

    def row_rms_norm_train(self, size):
        return self.row_rms_norm(size)

    def row_rms_norm_backward(self, size):
        rows, width = size
        x, weight = self.random([rows, width], "float32"), self.random([width], "float32")
        dy, dx = self.random([rows, width]), self.random([rows, width], "float32")

        def gradients(x, weight, dy, dx):
            scale = (x.square().mean(1, keepdim=True) + 1e-5).rsqrt()
            scaled = dy.float() * weight
            along = (scaled * x).mean(1, keepdim=True) * scale**3
            return dx.add_(scaled * scale - x * along), (dy.float() * x * scale).sum(0)

        return self.both(gradients, x, weight, dy, dx)

    def row_adamw(self, size):
        values = self.torch.nn.Parameter(self.random(size, "float32"))
        values.grad = self.random(size, "float32")
        working = self.torch.empty(size, dtype=self.torch.bfloat16, device=self.device)
        optimizer = self.torch.optim.AdamW([values], lr=1e-4, fused=True)

        def update():
            optimizer.step()
            working.copy_(values.detach())

        return [("fused, and a copy in bf16", update)]

    def row_cross_entropy(self, size):
        rows, vocabulary = size
        logits = self.random(size, "float32").requires_grad_()
        targets = self.torch.randint(vocabulary, [rows], device=self.device)
        cross_entropy = self.torch.nn.functional.cross_entropy

        def loss(logits):
            return cross_entropy(logits, targets) + 1e-4 * self.torch.logsumexp(logits, 1).square().mean()

        compiled = self.torch.compile(loss, dynamic=False)

        def way(function):
            return lambda: self.torch.autograd.grad(function(logits), logits)

        return [("eager", way(loss)), ("torch.compile", way(compiled))]

    def row_attention_train(self, size):
        return self.row_attention_prefill(size)

    def row_attention_train_backward(self, size):
        """What remains of forward and backward when forward is taken off would be a difference of times: the graph is kept instead."""
        from torch.nn.attention import SDPBackend, sdpa_kernel
        sequences, length, heads, dim = size
        q, k, v = (self.random([sequences, heads, length, dim]).requires_grad_() for _ in range(3))
        dout = self.random([sequences, heads, length, dim])
        attend = self.torch.nn.functional.scaled_dot_product_attention

        def way(backend):
            with sdpa_kernel(backend):
                out = attend(q, k, v, is_causal=True)
            return lambda: self.torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)

        ways = []
        for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION):
            try:
                ways.append((f"SDPA, {backend.name}", way(backend)))
            except RuntimeError:
                continue
        return ways

    def row_summary(self, size):
        logits = self.random(size, "float32")
        return self.both(lambda logits: (self.torch.logsumexp(logits, 1), logits.argmax(1)), logits)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=pathlib.Path)
    parser.add_argument("--ceilings", action="store_true")
    parser.add_argument("--device", default="cuda:0")
    args = parser.parse_args()
    torch = pytorch()
    if torch is None:
        return NOT_HERE
    bench = Bench(torch, args.device)
    rows = CEILINGS if args.ceilings else json.loads(args.rows.read_text())
    found, missing = [], []
    for row in rows:
        try:
            seconds, how = bench.measure(row["name"], row["shape"])
            found.append({"name": row["name"], "shape": row["shape"], "seconds": seconds, "how": how})
        except Exception as error:
            # A row less is told in the table, whatever was raised; the others still count.
            missing.append(f"{row['name']} {row['shape']}: {type(error).__name__}: {error}")
        torch.cuda.empty_cache()
    print(json.dumps({"torch": torch.__version__, "rows": found, "missing": missing}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
