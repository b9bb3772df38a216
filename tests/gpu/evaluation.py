"""`sekisho eval` as the pieces call it."""

import json
import time

from records import Wrong


def evaluate(run, file, arguments, model=None, dtype=None, extra=(), at_most=240):
    """Evaluates into scratch/records/FILE, from the beginning: an earlier file would answer instead of the device. Gives the report as it is
    printed, the records' file, and the seconds of the whole process."""
    out = run.args.scratch / "records" / file
    out.parent.mkdir(parents=True, exist_ok=True)
    for old in (out, out.with_name(f"{out.name}.key")):
        old.unlink(missing_ok=True)
    pack = run.args.pack
    command = [run.args.binary, "eval", "--device", run.args.device, "--model", model or pack / "model", "--data", pack / "data",
               "--tasks", pack / "tasks", *arguments, "--out", out, "--json", "--timing", *extra]
    # The CPU computes in f32, and is asked for no type.
    if dtype and run.gpu:
        command += ["--dtype", dtype]
    begun = time.monotonic()
    _, said, _ = run.command(command, at_most)
    seconds = time.monotonic() - begun
    report = json.loads(said)
    # Had another device computed than was asked for, or in another type, every comparison would be worthless.
    used = [report["environment"].get(name, "") for name in ("device", "dtype")]
    wanted = [run.args.device, dtype if run.gpu and dtype else used[1]]
    if used[0].split(" ")[0] != wanted[0] or used[1] != wanted[1]:
        raise Wrong(f"{' in '.join(wanted)} was asked for, and {' in '.join(used)} computed")
    return report, out, seconds


def first(arguments, items):
    """The same questions, of each task only so many; a number that is there gives way."""
    if "--limit" in arguments:
        at = arguments.index("--limit")
        arguments = arguments[:at] + arguments[at + 2:]
    return [*arguments, "--limit", str(items)]


def types(run):
    """Types to be looked at on this device."""
    return ["f32", "bf16"] if run.gpu else ["f32"]


def tokens(report):
    """Tokens of a report's tasks: in prompts, run, generated."""
    by_task = {(r["profile"], r["task"], r["split"]): r["tokens"] for r in report["results"]}
    return {name: sum(t[name] for t in by_task.values()) for name in ("prompt", "prefilled", "generated")}
