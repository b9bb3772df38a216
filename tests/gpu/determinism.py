"""determinism: the same questions asked in several ways give the same bytes."""

import functools

import records
from evaluation import evaluate, types
from steps import Found

# What must change nothing: a second run; each sequence by itself; so little memory for keys and values that edges are run in other
# batches and prompts wait for room, and another budget. The longest prompt with its answer needs about 4 MiB in f32.
WAYS = {
    "again": [],
    "without sharing": ["--no-sharing"],
    "16 MiB for keys and values": ["--kv-budget", "16MiB"],
    "256 MiB": ["--kv-budget", "256MiB"],
}
SETS = ["llm-jp-eval-dev100", "jcommonsenseqa-3-shots"]


def run(run):
    if run.args.device != "cpu" and not run.gpu:
        run.step("determinism", run.need_gpu)
        return
    for dtype in types(run):
        for name in SETS:
            run.step(f"determinism/{dtype}/{name}", functools.partial(compare, run, dtype, name))


def compare(run, dtype, name):
    """All ways in one step: records of an earlier call may be those of an earlier executable."""
    before = f"determinism-{dtype}-{name}"
    _, first, _ = evaluate(run, f"{before}.jsonl", run.sets[name], dtype=dtype)
    different = []
    for way, flags in WAYS.items():
        _, other, _ = evaluate(run, f"{before}-other.jsonl", run.sets[name], dtype=dtype, extra=flags)
        different += [f"{way}: {records.name(key)}" for key in records.differing(other, first)]
    shape = f"{name}, {len(records.read(first))} records: {', '.join(WAYS)}"
    return Found([{"row": f"records in {dtype} that change", "shape": shape, "ours": len(different), "unit": "",
                   "asked": {"of": "ours", "sense": "most", "required": 0}, "note": "; ".join(different[:5])}])
