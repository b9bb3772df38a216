"""parity: the oracle's checkpoint, item by item, held against what lm-eval and llm-jp-eval found, and against the CPU."""

import functools

import records
from evaluation import evaluate, types
from steps import Found, Skip


def run(run):
    if run.args.device != "cpu" and not run.gpu:
        run.step("parity", run.need_gpu)
        return
    for dtype in types(run):
        for name in run.sets:
            run.step(f"parity/{dtype}/{name}", functools.partial(compare, run, dtype, name))
    if not run.gpu:
        run.step("parity/bf16", on_a_gpu_only)


def on_a_gpu_only():
    raise Skip("no GPU: the CPU computes in f32")


def compare(run, dtype, name):
    pack = run.args.pack
    _, file, _ = evaluate(run, f"parity-{dtype}-{name}.jsonl", run.sets[name], dtype=dtype)
    ours = records.read(file)
    of_cpu, official = (records.read(pack / folder / f"{name}.jsonl") for folder in ("records", "official"))
    # The CPU answered everything; the official tools a part of it.
    against_cpu = records.agreement(ours, of_cpu)
    against_tools = records.agreement({key: ours[key] for key in official}, official)
    cpu_against_tools = records.agreement({key: of_cpu[key] for key in official}, official)
    bounds = run.bounds["parity"]
    rows = []
    if against_tools.differences:
        rows += likelihoods(dtype, name, against_tools, cpu_against_tools, bounds)
    if against_tools.texts:
        rows += texts(dtype, name, against_cpu, against_tools, cpu_against_tools, bounds)
    return Found(rows, f"{against_cpu.items} items, |Δ| to the CPU at most {against_cpu.largest:.1e} nats.")


def likelihoods(dtype, name, ours, cpu, bounds):
    """Rows of log-likelihoods beside lm-eval's; what stands beside them is the CPU's own distance."""
    shape = f"{name}, {ours.items} items, {len(ours.differences)} answers"
    beside = "CPU in f32"
    if dtype == "f32":
        return [{"row": "log-likelihoods in f32, largest |Δ| to lm-eval", "shape": shape, "ours": ours.largest, "unit": "nats",
                 "beside": cpu.largest, "beside_what": beside,
                 "asked": {"of": "ours", "sense": "most", "required": bounds["f32_largest"]}}]
    return [{"row": f"log-likelihoods in {dtype}, mean |Δ| to lm-eval", "shape": shape, "ours": ours.mean_distance, "unit": "nats",
             "beside": cpu.mean_distance, "beside_what": beside, "note": f"the largest |Δ| is {ours.largest:.3f} nats",
             "asked": {"of": "ours", "sense": "most", "required": bounds["bf16_mean"]}},
            {"row": f"log-likelihoods in {dtype}, |mean Δ|", "shape": shape, "ours": abs(ours.mean), "unit": "nats",
             "beside": abs(cpu.mean), "beside_what": beside,
             "asked": {"of": "ours", "sense": "most", "required": bounds["bf16_drift"]}}]


def texts(dtype, name, cpu, tools, cpu_tools, bounds):
    """Rows of generated texts: in f32 they are the CPU's, and llm-jp-eval's wherever that was decided clearly."""
    shape = f"{name}, {cpu.texts} texts"
    equal = {"row": f"texts in {dtype}, share equal to the CPU's", "shape": shape, "ours": 100 * cpu.share_of_equal_texts,
             "unit": "%"}
    wrong = {"row": f"texts in {dtype}, clearly other than llm-jp-eval's", "shape": shape, "ours": len(tools.clearly_wrong),
             "unit": "", "beside": len(cpu_tools.clearly_wrong), "beside_what": "CPU in f32"}
    if dtype == "f32":
        equal["asked"] = {"of": "ours", "sense": "least", "required": 100 * bounds["f32_equal_texts"]}
        wrong["asked"] = {"of": "ours", "sense": "most", "required": bounds["f32_clearly_wrong"]}
        if tools.clearly_wrong:
            wrong["note"] = "; ".join(tools.clearly_wrong[:5])
    return [equal, wrong]
