"""The prompts of llm-jp-eval-dev100 through transformers in batches of 16: what the suite's speed is held against.

    python3 tests/gpu/transformers_suite.py --model DIR --prompts PACK/prompts.jsonl [--batch 16] [--device cuda:0]

The prompts are the texts that `sekisho eval` asks (pack.py checks their digests), task by task in the order of the items, padded on the left
as transformers does it, decoded greedily to the task's limit or EOS, in bf16 with SDPA. Counted is the evaluation alone, as for Sekisho:
tokenising, generating and decoding, with the model loaded and a first batch done. Without transformers a plain loop in PyTorch does the same
on random ids of the prompts' lengths, and says so.

Prints {how, load_seconds, seconds, whole_seconds, prompt_tokens, generated}.
"""

import argparse
import functools
import itertools
import json
import pathlib
import sys
import time

from steps import NOT_HERE, pytorch

BEGUN = time.perf_counter()


def batches(asked, size):
    """Prompts of one task together, so many at a time."""
    for _, of_task in itertools.groupby(asked, key=lambda line: line["task"]):
        lines = list(of_task)
        yield from (lines[first:first + size] for first in range(0, len(lines), size))


def until(tokens, end):
    """Tokens up to and with the one that ends a text."""
    return tokens[:tokens.index(end) + 1] if end in tokens else tokens


class Transformers:
    """AutoModelForCausalLM with its own `generate`."""

    def __init__(self, torch, folder, device):
        import transformers
        begun = time.perf_counter()
        load = functools.partial(transformers.AutoModelForCausalLM.from_pretrained, folder, dtype=torch.bfloat16,
                                 attn_implementation="sdpa")
        try:
            self.model = load(device_map=device)
        except (ImportError, ValueError):
            # Straight to the GPU takes another package, accelerate; without it the weights go by way of the CPU.
            self.model = load().to(device)
        self.model.eval()
        torch.cuda.synchronize()
        self.load_seconds = time.perf_counter() - begun
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.end = self.tokenizer.eos_token_id
        self.how = f"transformers {transformers.__version__}, torch {torch.__version__}, SDPA"
        self.torch, self.device = torch, device

    def answer(self, asked, limit):
        """(tokens of each prompt, new tokens of each)."""
        texts = [line["prompt"] for line in asked]
        encoded = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.device)
        with self.torch.inference_mode():
            whole = self.model.generate(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"],
                                        max_new_tokens=limit, do_sample=False, pad_token_id=self.end)
        new = whole[:, encoded["input_ids"].shape[1]:].tolist()
        for tokens in new:
            self.tokenizer.decode(tokens, skip_special_tokens=True)
        return encoded["attention_mask"].sum(1).tolist(), [len(until(tokens, self.end)) for tokens in new]


class Plain:
    """torch_llama.py, on random ids: how long it takes does not depend on which."""

    def __init__(self, torch, folder, device, asked, size):
        import torch_llama
        begun = time.perf_counter()
        longest = max(line["tokens"] for line in asked) + max(line["max_new_tokens"] for line in asked)
        self.model = torch_llama.Llama(folder, device, size, longest)
        torch.cuda.synchronize()
        self.load_seconds = time.perf_counter() - begun
        self.how = f"a plain loop in torch {torch.__version__}, SDPA, fixed cache, random ids (no transformers here)"
        self.torch, self.end = torch, 2
        self.generator = torch.Generator().manual_seed(1)

    def answer(self, asked, limit):
        lengths = [line["tokens"] for line in asked]
        ids = [self.torch.randint(3, 8000, [length], generator=self.generator).tolist() for length in lengths]
        new = self.model.generate(ids, limit, self.end)
        return lengths, [len(until(tokens, self.end)) for tokens in new]


def model(torch, args, asked):
    try:
        import transformers  # noqa: F401  (whether it is there)
    except ImportError:
        return Plain(torch, args.model, args.device, asked, args.batch)
    return Transformers(torch, args.model, args.device)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--prompts", type=pathlib.Path, required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cuda:0")
    args = parser.parse_args()
    torch = pytorch()
    if torch is None:
        return NOT_HERE
    torch.cuda.set_device(args.device)
    asked = [json.loads(line) for line in args.prompts.read_text(encoding="utf-8").splitlines()]
    answering = model(torch, args, asked)
    # What is compiled, chosen and allocated at first is not counted.
    answering.answer(asked[:args.batch], 8)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    prompt_tokens, generated = [], 0
    for batch in batches(asked, args.batch):
        of_prompts, new = answering.answer(batch, batch[0]["max_new_tokens"])
        prompt_tokens += of_prompts
        generated += sum(new)
    torch.cuda.synchronize()
    ended = time.perf_counter()
    print(json.dumps({"how": f"{answering.how}, batch {args.batch}", "load_seconds": answering.load_seconds,
                      "seconds": ended - begun, "whole_seconds": ended - BEGUN, "prompt_tokens": prompt_tokens,
                      "generated": generated}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
