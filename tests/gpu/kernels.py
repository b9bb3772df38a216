"""kernels: the kernel tests on the GPU, and the speed of each operation beside PyTorch's, on random data."""

import json
import re

import machine
import sanitize
from records import Wrong
from steps import Found, Skip, tail

# Where arithmetic decides; everything else is read and written.
BY_ARITHMETIC = {"matmul", "attention_prefill", "prefill", "attention_train", "attention_train_backward"}


def run(run):
    run.step("kernels/tests", lambda: tested(run), least=20)
    entry = run.step("kernels/speed", lambda: speed(run), least=60)
    if entry and entry["kept"].get("no_pytorch"):
        run.step("kernels/pytorch", lambda: skip(entry["kept"]["no_pytorch"]))


def skip(why):
    raise Skip(why)


def tested(run):
    """`cuda::tests` on the GPU, one at a time: they share it."""
    run.need_gpu()
    sanitize.tests(run)
    number = run.args.device.partition(":")[2]
    command = [run.args.kernels, sanitize.TESTS, "--test-threads", "1", "--nocapture"]
    status, out, err = run.command(command, 240, {"SEKISHO_TEST_GPU": number}, may_fail=True)
    return counted(status, out, err)


def counted(status, out, err):
    """What Rust's test harness said."""
    result = re.search(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", out)
    if result is None:
        raise Wrong(f"the kernel tests ended with {status} before they were counted: {tail(err or out)}")
    passed, failed, _ = map(int, result.groups())
    skipped = [line.strip() for line in (out + err).splitlines() if line.strip().startswith("skipped: ")]
    if passed - len(skipped) <= 0:
        raise Wrong(f"no kernel test ran: {tail(' '.join(skipped) or out)}")
    if failed or status != 0:
        names = re.findall(r"^    (\S+::\S+)$", out, re.MULTILINE)
        raise Wrong(f"{failed} kernel tests failed (exit {status}): {', '.join(sorted(set(names)))}; {tail(err)}")
    said = f"{passed} passed, of which {len(skipped)} said that they skip something." if skipped else f"{passed} passed."
    row = {"row": "kernel tests on the GPU, failed", "shape": f"{sanitize.TESTS}, {passed} tests", "ours": failed, "unit": "",
           "asked": {"of": "ours", "sense": "most", "required": 0}}
    if skipped:
        row["note"] = "; ".join(sorted(set(skipped))[:3])
    return Found([row], said)


def speed(run):
    return measure(run, [], "rows.json", beside_row)


def measure(run, options, name, row_of):
    """Ours, then PyTorch's: one step, so that both are of the same minutes. `row_of` puts one beside the other."""
    run.need_gpu()
    command = ["gpu", "--device", run.args.device, *options, "--json"]
    _, out, _ = run.command([run.args.binary, *command], 150)
    rows = json.loads(out)
    if not rows:
        raise Wrong(f"`sekisho {' '.join(command)}` lists nothing")
    file = run.args.scratch / name
    file.write_text(out)
    during = machine.clocks(run.args.device)
    try:
        found = run.script("torch_rows.py", ["--rows", file, "--device", run.args.device], 240)
    except Skip as skipped:
        return Found([row_of(run, row, None) for row in rows], kept={"no_pytorch": str(skipped)})
    beside = {(row["name"], row["shape"]): row for row in found["rows"]}
    missing = f" Not measured: {'; '.join(found['missing'])}." if found["missing"] else ""
    said = f"torch {found['torch']}; clocks behind our rows: {during}.{missing}"
    return Found([row_of(run, row, beside.get((row["name"], row["shape"]))) for row in rows], said)


def beside_row(run, row, theirs):
    """An operation beside PyTorch's: both as rates of the same work, so that the times' ratio is the rates'."""
    arithmetic = row["name"] in BY_ARITHMETIC
    rate = row["teraflops"] if arithmetic else row["terabytes"]
    found = {"row": row["name"], "shape": row["shape"], "ours": rate, "unit": "TFLOP/s" if arithmetic else "TB/s"}
    if arithmetic and run.peaks:
        found["ceiling"] = run.peaks["teraflops"]
    if theirs:
        ratio = theirs["seconds"] / row["seconds"]
        found |= {"beside": rate / ratio, "beside_what": f"PyTorch, {theirs['how']}", "ratio": ratio}
    else:
        found["note"] = "PyTorch's was not measured"
    return found
