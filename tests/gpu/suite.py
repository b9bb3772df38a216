"""suite: a model of 1.8 B random weights, as one evaluates it: reading, generating, loading, and llm-jp-eval-dev100 beside transformers."""

import json
import statistics

import kernels
import machine
import records
from evaluation import evaluate, first, tokens
from records import Wrong
from steps import Found

BATCH = 16
# Evaluations of the suite; the median counts.
RUNS = 3
# Answers of 1.8 B weights that are held against each other: each is read behind 440 tokens.
ITEMS = 20
NAME = "1.8 B random weights, bf16"


def run(run):
    run.step("suite/throughput", lambda: throughput(run), least=90)
    run.step("suite/speed", lambda: speed(run), least=120)
    run.step("suite/types", lambda: types(run), least=30)
    run.step("suite/sharing", lambda: sharing(run), least=30)


def model(run):
    """The folder of the model, made when it is not there; its weights are in the page cache afterwards."""
    folder = run.args.scratch / "random-1.8b"
    if not (folder / "config.json").is_file():
        made = run.script("random_model.py", ["--pack", run.args.pack, "--out", folder, "--device", run.args.device], 240)
        if made["parameters"] < 1.8e9:
            raise Wrong(f"the random model has {made['parameters']} parameters: pack/shape.json is of another one")
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    return folder


def throughput(run):
    """`sekisho gpu --model`, between peaks of the datasheet and what PyTorch reaches in the same minutes."""
    run.need_gpu()
    folder = model(run)
    found = run.script("torch_rows.py", ["--ceilings", "--device", run.args.device], 120)
    reached = {row["name"]: row for row in found["rows"]}
    command = [run.args.binary, "gpu", "--device", run.args.device, "--dtype", "bf16", "--model", folder, "--json"]
    _, out, _ = run.command(command, 150)
    rows = {row["name"]: row for row in json.loads(out)}
    for name in ("prefill", "decode"):
        if name not in rows:
            raise Wrong(f"`sekisho gpu --model --json` has no row {name}")
    ceilings = {"prefill": ceiling_of_products(reached), "decode": ceiling_of_memory(reached)}
    table = [row for name in ceilings for row in beside_ceilings(run, rows[name], ceilings[name])]
    said = f"clocks behind it: {machine.clocks(run.args.device)}."
    if "load" in rows:
        table.append(loading(run, rows["load"], reached.get("host_to_device")))
    else:
        said += " The executable has no row `load`, so the time of loading is not shown."
    if not run.peaks:
        said += f" The peaks of {run.gpu} are not in bounds.toml, so shares of them are not judged."
    return Found(table, said)


def ceiling_of_products(reached):
    """TFLOP/s of the largest product, or none."""
    row = reached.get("matmul")
    return row and 2 * 8192**3 / row["seconds"] / 1e12


def ceiling_of_memory(reached):
    """TB/s of a copy, read and written, or none."""
    row = reached.get("copy")
    return row and 2 * 131_072 * 8192 * 4 / row["seconds"] / 1e12


def beside_ceilings(run, row, reached):
    """A row beside the peak, which is asked, and one beside what PyTorch reaches."""
    arithmetic = row["name"] in kernels.BY_ARITHMETIC
    unit, field = ("TFLOP/s", "teraflops") if arithmetic else ("TB/s", "terabytes")
    common = {"row": row["name"], "shape": f"{NAME}, {row['shape']}", "ours": row[field], "unit": unit}
    if run.peaks:
        peak = run.peaks[field]
        asked = {"of": "ratio", "sense": "least", **run.bounds["speed"][row["name"]]}
        yield common | {"beside": peak, "beside_what": "peak by the datasheet", "ratio": row[field] / peak, "ceiling": peak,
                        "asked": asked}
    if reached:
        what = "PyTorch, 8192³" if arithmetic else "PyTorch, copy"
        yield common | {"beside": reached, "beside_what": what, "ratio": row[field] / reached}


def loading(run, row, pinned):
    """Seconds from the page cache to the GPU, beside those of a copy of as many bytes from pinned memory."""
    found = {"row": "load", "shape": f"{NAME}, {row['shape']}", "ours": row["seconds"], "unit": "s",
             "asked": {"of": "ours", "sense": "most", **run.bounds["speed"]["load"]}}
    if pinned:
        a_byte = pinned["seconds"] / int(pinned["shape"].split()[0])
        at_least = a_byte * weights_bytes(run)
        found |= {"beside": at_least, "beside_what": "PyTorch, from pinned memory", "ratio": at_least / row["seconds"]}
    return found


def weights_bytes(run):
    return sum(path.stat().st_size for path in (run.args.scratch / "random-1.8b").glob("*.safetensors"))


def speed(run):
    """The suite by Sekisho and by transformers, one after the other."""
    run.need_gpu()
    folder = model(run)
    suite = run.sets["llm-jp-eval-dev100"]
    # Kernels are compiled and kept at the first start on a machine, which is no part of an evaluation.
    evaluate(run, "suite-first.jsonl", first(suite, 2), model=folder, dtype="bf16")
    ours = [evaluate(run, "suite.jsonl", suite, model=folder, dtype="bf16") for _ in range(RUNS)]
    prompts = run.args.pack / "prompts.jsonl"
    theirs = run.script("transformers_suite.py", ["--model", folder, "--prompts", prompts, "--batch", str(BATCH), "--device",
                                                  run.args.device], 300)
    items = same_prompts(prompts, records.read(ours[-1][1]), theirs)
    return Found(suite_rows(run, ours, theirs, items), f"{theirs['how']}; theirs loaded in {theirs['load_seconds']:.1f} s.")


def same_prompts(path, ours, theirs):
    """How many prompts both sides were asked: the texts that pack.py holds against the records' digests, of as many tokens each."""
    asked = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    by_item = {(record["task"], record["item"]): record["prompt_tokens"] for record in ours.values()}
    wanted = [by_item.get((line["task"], line["item"])) for line in asked]
    if len(by_item) != len(asked) or wanted != theirs["prompt_tokens"]:
        raise Wrong("transformers read other prompts than Sekisho, so their times do not belong together")
    return len(asked)


def suite_rows(run, ours, theirs, items):
    """Rows of the evaluation alone, which is asked, and of whole processes."""
    median = statistics.median
    seconds = median(report["seconds"] for report, _, _ in ours)
    whole = median(whole for _, _, whole in ours)
    counted = tokens(ours[-1][0])
    missing = 1 - counted["generated"] / theirs["generated"]
    if missing > run.bounds["speed"]["less_generated"]:
        raise Wrong(f"Sekisho generated {counted['generated']} tokens and transformers {theirs['generated']}: not the same work")
    shape = f"{NAME}, {items} items"
    note = (f"median of {RUNS}; tokens in prompts {counted['prompt']}, run {counted['prefilled']}, generated {counted['generated']} "
            f"(transformers {theirs['generated']}); both with the model loaded and warm")
    common = {"shape": shape, "unit": "s", "beside_what": theirs["how"]}
    return [{"row": "llm-jp-eval-dev100", **common, "ours": seconds, "beside": theirs["seconds"],
             "ratio": theirs["seconds"] / seconds, "asked": {"of": "ratio", "sense": "least", **run.bounds["speed"]["suite"]},
             "note": note},
            {"row": "llm-jp-eval-dev100, whole process", **common, "ours": whole, "beside": theirs["whole_seconds"],
             "ratio": theirs["whole_seconds"] / whole}]


def types(run):
    """bf16 beside f32, on weights whose heads are as wide as those that attention on tensor cores is made for."""
    run.need_gpu()
    folder = model(run)
    arguments = first(run.sets["jcommonsenseqa-3-shots"], ITEMS)
    read = {}
    for dtype in ("f32", "bf16"):
        read[dtype] = records.read(evaluate(run, f"types-{dtype}.jsonl", arguments, model=folder, dtype=dtype)[1])
    found = records.agreement(read["bf16"], read["f32"])
    return Found([{"row": "log-likelihoods in bf16, mean |Δ| to f32", "shape": f"1.8 B random weights, {len(found.differences)} answers",
                   "ours": found.mean_distance, "unit": "nats", "note": f"the largest |Δ| is {found.largest:.3f} nats",
                   "asked": {"of": "ours", "sense": "most", "required": run.bounds["types"]["bf16_mean"]}}])


def sharing(run):
    """Sharing changes no byte there either: whole prompts and pieces of them go through the same attention."""
    run.need_gpu()
    folder = model(run)
    arguments = first(run.sets["jcommonsenseqa-3-shots"], ITEMS)
    _, shared, _ = evaluate(run, "shared.jsonl", arguments, model=folder, dtype="bf16")
    _, alone, _ = evaluate(run, "alone.jsonl", arguments, model=folder, dtype="bf16", extra=["--no-sharing"])
    different = records.differing(alone, shared)
    return Found([{"row": "records in bf16 that change without sharing", "shape": f"{NAME}, {len(records.read(shared))} records",
                   "ours": len(different), "unit": "", "asked": {"of": "ours", "sense": "most", "required": 0},
                   "note": "; ".join(records.name(key) for key in different[:5])}])
