"""optimizer: what reads and writes memory in a step of training (norms, loss, update), and attention, beside PyTorch's."""

import kernels

# Rows that bounds.toml asks something of, by what is asked of them.
ASKED = {"rms_norm_train": "memory", "rms_norm_backward": "memory", "adamw": "memory", "attention_train": "attention",
         "attention_train_backward": "attention_backward"}


def run(run):
    entry = run.step("optimizer/speed", lambda: speed(run), least=60)
    if entry and entry["kept"].get("no_pytorch"):
        run.step("optimizer/pytorch", lambda: kernels.skip(entry["kept"]["no_pytorch"]))


def speed(run):
    return kernels.measure(run, ["--training"], "training-rows.json", asked)


def asked(run, row, theirs):
    """A row beside PyTorch's, and what is asked of it on a GPU whose peaks are known."""
    found = kernels.beside_row(run, row, theirs)
    what = ASKED.get(row["name"])
    if what and run.peaks:
        found["asked"] = {"of": "ours", "sense": "least", **run.bounds["optimizer"][what]}
        if found["unit"] == "TB/s":
            found["ceiling"] = run.peaks["terabytes"]
    return found
