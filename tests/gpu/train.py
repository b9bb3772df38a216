"""train: the tests of training on the GPU, the same bits twice and however much is computed again, exact resumption, and speed beside
PyTorch in the same minutes."""

import functools
import json

import kernels
import machine
import sanitize
import shapes
from records import Wrong
from steps import Found, Skip

TESTS = "cuda::train::tests"
# Updates that are held against each other bit for bit.
UPDATES = 50
# Updates that are timed; the first three are not counted.
TIMED = 12
# What must change nothing.
WAYS = {"again": "light", "nothing computed again": "none", "whole layers computed again": "layer"}


def run(run):
    run.step("train/tests", lambda: tested(run), least=20)
    for dtype in ("bf16", "f32"):
        run.step(f"train/determinism/{dtype}", functools.partial(determinism, run, dtype), least=30)
    run.step("train/resume", lambda: resume(run), least=20)
    for name in models(run):
        run.step(f"train/speed/{name}", functools.partial(speed, run, name), least=60)


def models(run):
    """The shapes that this machine has the strength for."""
    return shapes.SHAPES if run.args.device != "cpu" else shapes.TINY


def need_device(run):
    """The CPU may try the scripts; a GPU that was asked for must be there."""
    if run.args.device != "cpu":
        run.need_gpu()


def tested(run):
    """The programs of the tests, trained on the GPU and on the CPU: losses, gradients, parameters and moments after some updates."""
    run.need_gpu()
    sanitize.tests(run)
    number = run.args.device.partition(":")[2]
    command = [run.args.kernels, TESTS, "--test-threads", "1", "--nocapture"]
    status, out, err = run.command(command, 240, {"SEKISHO_TEST_GPU": number}, may_fail=True)
    found = kernels.counted(status, out, err)
    found.rows[0] |= {"row": "tests of training on the GPU, failed", "shape": found.rows[0]["shape"].replace(sanitize.TESTS, TESTS)}
    return found


def trained(run, name, updates, at_most, dtype="bf16", recompute=None, digest=False):
    """What `sekisho gpu --train` finds of a shape."""
    config, sequences, length, usual = (shapes.SHAPES | shapes.TINY)[name]
    path = run.args.scratch / f"train-{name}.json"
    path.write_text(json.dumps(config))
    command = [run.args.binary, "gpu", "--device", run.args.device, "--dtype", dtype, "--train", path, "--sequences", sequences,
               "--length", length, "--updates", updates, "--recompute", recompute or usual, "--json"]
    _, out, _ = run.command(command + (["--digest"] if digest else []), at_most)
    return json.loads(out)


def determinism(run, dtype):
    """Parameters and moments after 50 updates: of two processes, and with more or less computed again. From the third update on they run
    as a graph; the tests hold a graph against single launches."""
    need_device(run)
    # In f32 nothing is computed on tensor cores: what matters shows on a small model too.
    name = "152M" if run.args.device != "cpu" and dtype == "bf16" else "tiny"
    first = trained(run, name, UPDATES, 150, dtype, digest=True)
    if not first["digest"]:
        raise Wrong("`sekisho gpu --train --digest` names no digest")
    different = [way for way, recompute in WAYS.items()
                 if trained(run, name, UPDATES, 150, dtype, recompute, digest=True)["digest"] != first["digest"]]
    return Found([{"row": f"training in {dtype}, runs that differ", "shape": f"{name}, {UPDATES} updates: {', '.join(WAYS)}",
                   "ours": len(different), "unit": "", "asked": {"of": "ours", "sense": "most", "required": 0},
                   "note": "; ".join(different)}])


SPEC = """format = 1
name = "accept"
[model]
family = "llama"
vocab_size = 8000
hidden_size = 256
num_hidden_layers = 4
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 512
max_position_embeddings = 256
[tokenizer]
path = "{tokenizer}"
[data]
sequence_length = 128
[[data.mix]]
name = "prompts"
path = "{text}"
[batch]
sequences = 8
micro = 4
[optimizer]
lr = 1e-3
[precision]
forward = "bf16"
[schedule]
warmup_steps = 2
total_steps = 8
[stop]
steps = {steps}
[checkpoint]
every = 100
"""


def resume(run):
    """Eight updates at once, and four and four: the same files."""
    need_device(run)
    folder = run.args.scratch / "resume"
    folder.mkdir(exist_ok=True)
    text = folder / "text.jsonl"
    # Texts there are: the prompts that are asked elsewhere.
    prompts = (run.args.pack / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    text.write_text("".join(json.dumps({"text": json.loads(line)["prompt"]}, ensure_ascii=False) + "\n" for line in prompts))
    folders = {}
    for name, ends in {"whole": [8], "parts": [4, 8]}.items():
        out = folder / name
        remove(out)
        for steps in ends:
            spec = folder / f"{name}-{steps}.toml"
            spec.write_text(SPEC.format(tokenizer=run.args.pack / "model", text=text, steps=steps))
            command = [run.args.binary, "train", spec, "--dir", out, "--device", run.args.device]
            run.command(command + (["--resume"] if steps != ends[0] else []), 120)
        folders[name] = out
    different = differing(*folders.values())
    return Found([{"row": "files of a checkpoint that differ after resuming", "shape": "8 updates at once, and 4 and 4", "unit": "",
                   "ours": len(different), "asked": {"of": "ours", "sense": "most", "required": 0}, "note": "; ".join(different[:5])}])


def remove(folder):
    """Takes an earlier call's folder away."""
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else []:
        path.rmdir() if path.is_dir() else path.unlink()


def differing(whole, parts):
    """Files of values of the last checkpoints that are not the same bytes."""
    def last(folder):
        checkpoints = sorted(folder.glob("step-*"))
        if not checkpoints:
            raise Wrong(f"{folder} has no checkpoint")
        return {str(path.relative_to(checkpoints[-1])): path for path in checkpoints[-1].rglob("*.safetensors")}

    one, other = last(whole), last(parts)
    if not one or one.keys() != other.keys():
        raise Wrong(f"the checkpoints have other files: {sorted(one)} and {sorted(other)}")
    return [name for name in sorted(one) if one[name].read_bytes() != other[name].read_bytes()]


def speed(run, name):
    """Ours, then PyTorch's with torch.compile and SDPA: one step, so that both are of the same minutes."""
    need_device(run)
    config, sequences, length, _ = models(run)[name]
    ours = trained(run, name, TIMED, 150)
    during = machine.clocks(run.args.device) if run.gpu else ""
    theirs, why = None, ""
    try:
        path = run.args.scratch / f"train-{name}.json"
        arguments = ["--config", path, "--sequences", str(sequences), "--length", str(length), "--updates", str(TIMED),
                     "--device", run.args.device]
        theirs = run.script("torch_train.py", arguments, 300)
    except Skip as skipped:
        why = f" PyTorch's was not measured: {skipped}."
    said = f"clocks behind our updates: {during}.{why}" if during or why else ""
    return Found(speed_rows(run, name, ours, theirs), said)


def speed_rows(run, name, ours, theirs):
    """Tokens a second beside PyTorch's, and the share of the peak that they are."""
    config, sequences, length, recompute = models(run)[name]
    rate = ours["tokens_per_second"]
    shape = f"{name}, {sequences} × {length}, bf16"
    bounds = run.bounds["train"].get(name)
    row = {"row": "training", "shape": shape, "ours": rate, "unit": "tokens/s",
           "note": f"recomputed: {recompute}; {ours['bytes'] / 2**30:.1f} GiB; losses {ours['losses'][0]:.3f} to {ours['losses'][-1]:.3f}"}
    if bounds and run.peaks:
        row["asked"] = {"of": "ours", "sense": "least", **bounds}
    rows = [row]
    if theirs:
        rows.append({"row": "training beside PyTorch", "shape": shape, "ours": rate, "unit": "tokens/s",
                     "beside": theirs["tokens_per_second"], "beside_what": theirs["how"], "ratio": rate / theirs["tokens_per_second"],
                     "asked": {"of": "ratio", "sense": "least", **run.bounds["train"]["pytorch"]} if run.peaks else None})
    if run.peaks:
        peak = run.peaks["teraflops"]
        reached = rate * shapes.operations(config, length) / 1e12
        rows.append({"row": "training, operations", "shape": shape, "ours": reached, "unit": "TFLOP/s", "beside": peak,
                     "beside_what": "peak by the datasheet", "ratio": reached / peak, "ceiling": peak})
    return rows
