"""How fast `sekisho eval` is beside the Python tools, on the same machine, model, items and prompts, one after the other.

Not a test and not run by CI: it needs torch. Prints a table with the wall time of each, the process from start to end for
Sekisho, the evaluation alone (model loaded, imports done) for the others, and says whether the answers agree.

    pip install torch transformers lm-eval
    python tests/oracle/speed.py --sekisho target/release/sekisho --data ../shared/data --oracle ../shared/oracle
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

THREADS = 2
TASKS = ["jcommonsenseqa", "jemhopqa", "niilc"]
SHOTS = 4


def sekisho(arguments, out):
    """Wall time of a run, its report, and its records by task and item."""
    begun = time.perf_counter()
    command = arguments + ["--json", "--threads", str(THREADS), "--out", str(out)]
    done = subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - begun
    records = {}
    for line in out.read_text().splitlines():
        record = json.loads(line)
        records[record["task"], record["item"]] = record
    return seconds, json.loads(done.stdout), records


def saved(report):
    """Prompt tokens, and how many of them were run, over the tasks of a report."""
    tasks = {result["task"]: result["tokens"] for result in report["results"]}
    return sum(t["prompt"] for t in tasks.values()), sum(t["prefilled"] for t in tasks.values())


def prompts(folder, limit):
    """The prompts of llm-jp-eval 1.3 from its own data files: (task, item, prompt, most new tokens)."""
    preamble = "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。"
    for task in TASKS:
        train, dev = (json.loads((folder / f"evaluation/{split}/{task}.json").read_text()) for split in ("train", "dev"))
        shots = "".join(f"\n\n### 入力:\n{s['input']}\n\n### 応答:\n{s['output']}" for s in train["samples"][:SHOTS])
        head = f"{preamble}\n\n### 指示:\n{dev['instruction']}{shots}"
        for item, sample in enumerate(dev["samples"][:limit]):
            yield task, item, f"{head}\n\n### 入力:\n{sample['input']}\n\n### 応答:\n", dev["output_length"]


def transformers_one_by_one(model_dir, asked):
    """Greedy generation to the limit, one prompt at a time, as llm-jp-eval does it; seconds, and the texts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(THREADS)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    begun = time.perf_counter()
    texts = {}
    with torch.inference_mode():
        for task, item, prompt, limit in asked:
            ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
            whole = model.generate(**ids, max_new_tokens=limit, do_sample=False, pad_token_id=tokenizer.eos_token_id)
            text = tokenizer.decode(whole[0, ids["input_ids"].shape[1]:], skip_special_tokens=True)
            texts[task, item] = text.split("\n\n")[0]
    return time.perf_counter() - begun, texts


def lm_eval_run(model_dir, tasks_dir, data, batch, limit):
    """JCommonsenseQA, 3 shots, by the log-likelihoods of lm-eval's own `hf`; seconds, and the choices by item."""
    import lm_eval
    import torch
    import yaml
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(THREADS)
    text = (tasks_dir / "o_jcommonsenseqa.yaml").read_text().replace("${DATA}", str(data))
    model = HFLM(pretrained=str(model_dir), dtype="float32", device="cpu", batch_size=batch)
    begun = time.perf_counter()
    found = lm_eval.simple_evaluate(model=model, tasks=[yaml.safe_load(text)], num_fewshot=3, limit=limit,
                                    log_samples=True, bootstrap_iters=0)
    seconds = time.perf_counter() - begun
    samples = found["samples"]["o_jcommonsenseqa"]
    return seconds, {s["doc_id"]: [r[0] for r in s["filtered_resps"]] for s in samples}


def main():
    parser = argparse.ArgumentParser()
    for name in ("sekisho", "data", "oracle"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--choices", type=int, help="only the first of JCommonsenseQA's 1,119 items")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8, 16])
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    model, data = args.oracle / "mini-ja-en/step-0800", args.data.resolve()
    here = pathlib.Path(__file__).parent
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        build = [str(args.sekisho), "data", "build", "--profile", "llm-jp-eval@1.3", "--task", ",".join(TASKS)]
        subprocess.run(build + ["--data", str(data), "--out", str(folder)], check=True, capture_output=True)
        asked = list(prompts(folder, args.limit))
        evaluate = [str(args.sekisho), "eval", "--model", str(model), "--data", str(data)]
        suite = evaluate + ["--suite", "llm-jp-eval-dev100", "--limit", str(args.limit)]
        ours, report, records = sekisho(suite, folder / "generate.jsonl")
        theirs, texts = transformers_one_by_one(model, asked)
        equal = sum(records[key]["output"] == text for key, text in texts.items())
        agreement = f"{equal}/{len(texts)} texts equal"
        rows.append(("generation", len(asked), "transformers, batch 1", theirs, ours, agreement, saved(report)))
        likelihoods = evaluate + ["--tasks", str(here / "tasks"), "--profile", "oracle", "--shots", "3"]
        likelihoods += ["--task", "o_jcommonsenseqa"]
        likelihoods += [] if args.choices is None else ["--limit", str(args.choices)]
        ours, report, records = sekisho(likelihoods, folder / "likelihoods.jsonl")
        for batch in args.batches:
            theirs, values = lm_eval_run(model, args.oracle / "tasks", data, batch, args.choices)
            pairs = ((v, records["o_jcommonsenseqa", item]["loglikelihoods"]) for item, v in values.items())
            far = max(abs(a - b) for theirs_, ours_ in pairs for a, b in zip(theirs_, ours_))
            name = f"lm-eval hf, batch {batch}"
            rows.append(("log-likelihood", len(values), name, theirs, ours, f"|Δ| ≤ {far:.1e}", saved(report)))
    print(f"{'what':<15} {'items':>5}  {'beside':<22} {'its s':>7} {'ours s':>7} {'ratio':>6}  {'agreement':<20} tokens, run")
    for what, n, beside, theirs, ours, agreement, (prompt, run) in rows:
        ratio = theirs / ours
        print(f"{what:<15} {n:>5}  {beside:<22} {theirs:>7.1f} {ours:>7.1f} {ratio:>6.1f}  {agreement:<20} {prompt}, {run}")


if __name__ == "__main__":
    main()
