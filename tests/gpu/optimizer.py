"""optimizer: what reads and writes memory in a step of training (norms, loss, update), and attention, beside PyTorch's."""

import json

import kernels
import machine
from records import Wrong
from steps import Found, Skip

# Rows that bounds.toml asks something of, by what is asked of them.
ASKED = {"rms_norm_train": "memory", "rms_norm_backward": "memory", "adamw": "memory", "attention_train": "attention",
         "attention_train_backward": "attention_backward"}


def run(run):
    entry = run.step("optimizer/speed", lambda: speed(run), least=60)
    if entry and entry["kept"].get("no_pytorch"):
        run.step("optimizer/pytorch", lambda: kernels.skip(entry["kept"]["no_pytorch"]))


def speed(run):
    run.need_gpu()
    _, out, _ = run.command([run.args.binary, "gpu", "--device", run.args.device, "--training", "--json"], 150)
    rows = json.loads(out)
    if not rows:
        raise Wrong("`sekisho gpu --training --json` lists nothing")
    file = run.args.scratch / "training-rows.json"
    file.write_text(out)
    during = machine.clocks(run.args.device)
    try:
        found = run.script("torch_rows.py", ["--rows", file, "--device", run.args.device], 240)
    except Skip as skipped:
        return Found([asked(run, row, None) for row in rows], kept={"no_pytorch": str(skipped)})
    beside = {(row["name"], row["shape"]): row for row in found["rows"]}
    missing = f" Not measured: {'; '.join(found['missing'])}." if found["missing"] else ""
    said = f"torch {found['torch']}; clocks behind our rows: {during}.{missing}"
    return Found([asked(run, row, beside.get((row["name"], row["shape"]))) for row in rows], said)


def asked(run, row, theirs):
    """A row beside PyTorch's, and what is asked of it on a GPU whose peaks are known."""
    found = kernels.beside_row(run, row, theirs)
    what = ASKED.get(row["name"])
    if what and run.peaks:
        found["asked"] = {"of": "ours", "sense": "least", **run.bounds["optimizer"][what]}
        if found["unit"] == "TB/s":
            found["ceiling"] = run.peaks["terabytes"]
    return found
