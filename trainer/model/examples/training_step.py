"""Training throughput beside PyTorch: forward, backward and the gradient norm of 8 sequences of 512 tokens, in f32.

    python training_step.py CHECKPOINT PROGRAM [--rounds N] [--steps N] [--threads N]

runs PROGRAM (the built example training_step.rs) and `LlamaForCausalLM` of transformers with its eager and its SDPA
attention, one after another in every round, so that all have the same company on the machine, each in a process of its
own, so that each has a peak of memory of its own. The fastest step of all rounds counts. Needs torch and transformers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

SEQUENCES, LENGTH, WARM_UP = 8, 512, 2


def tokens(vocabulary):
    """The same tokens as training_step.rs takes."""
    state, out = 1, []
    for _ in range(SEQUENCES * LENGTH + 1):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF
        out.append((state >> 8) % vocabulary)
    return out


def pytorch(checkpoint, attention, steps, threads):
    """One line of JSON on standard output, as training_step.rs prints it."""
    import torch
    from transformers import LlamaForCausalLM

    torch.set_num_threads(threads)
    model = LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation=attention)
    model.train()
    all_tokens = torch.tensor(tokens(model.config.vocab_size))
    inputs, targets = (part.view(SEQUENCES, LENGTH) for part in (all_tokens[:-1], all_tokens[1:]))
    seconds = []
    for step in range(WARM_UP + steps):
        start = time.perf_counter()
        model.zero_grad(set_to_none=True)
        loss = model(inputs, labels=inputs, shift_labels=targets, use_cache=False).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - start)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    rate = lambda seconds: round(SEQUENCES * LENGTH / seconds)
    print(json.dumps({
        "fastest": rate(min(seconds)), "median": rate(statistics.median(seconds)), "peak_mib": peak // 1024,
        "loss": loss.item(), "norm": norm.item(),
    }))


def compare(args):
    """Rounds of all three, then a table."""
    environment = dict(os.environ, RAYON_NUM_THREADS=str(args.threads), OMP_NUM_THREADS=str(args.threads))
    environment.pop("OPENBLAS_CORETYPE", None)
    sizes = ["--steps", str(args.steps), "--threads", str(args.threads)]
    child = [sys.executable, os.path.abspath(__file__), args.checkpoint, *sizes, "--attention"]
    commands = {
        "sekisho": [args.program, args.checkpoint, str(args.steps)],
        "eager": [*child, "eager"],
        "sdpa": [*child, "sdpa"],
    }
    results = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            results[name].append(json.loads(run.stdout))
            print(name, run.stdout.strip(), file=sys.stderr, flush=True)
    fastest = {name: max(run["fastest"] for run in runs) for name, runs in results.items()}
    for name, runs in results.items():
        median = statistics.median(run["median"] for run in runs)
        peak = max(run["peak_mib"] for run in runs)
        ratio = fastest["sekisho"] / fastest[name]
        print(f"{name:8} fastest {fastest[name]:6} tokens/s, median {median:6.0f}, peak {peak:5} MiB; sekisho is {ratio:.2f} of it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("program", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--attention", help="measure PyTorch with this attention and nothing else")
    args = parser.parse_args()
    if args.attention:
        pytorch(args.checkpoint, args.attention, args.steps, args.threads)
    elif args.program:
        compare(args)
    else:
        parser.error("which PROGRAM? Build it: cargo build --release -p sekisho-model --example training_step")


if __name__ == "__main__":
    main()
