"""Accepts a build on a machine with a GPU. Called by accept.sh, which says how; docs/gpu.md says what each piece shows."""

import argparse
import hashlib
import importlib
import json
import lzma
import pathlib
import re
import shlex
import shutil
import signal
import sys
import tarfile
import tomllib

import journal
import machine
import table
from records import Wrong
from steps import Run, say

PIECES = ["parity", "determinism", "sanitize", "kernels", "suite", "train", "optimizer"]
# Minutes of a piece: under eight with what it takes to stop.
MINUTES = 7.5
FAILED, UNFINISHED = 1, 3


def arguments(words):
    parser = argparse.ArgumentParser(prog="accept.sh", description="Accepts a build on a machine with an NVIDIA GPU.")
    parser.add_argument("pieces", nargs="+", choices=PIECES, metavar="PIECE", help=", ".join(PIECES))
    parser.add_argument("--binary", type=pathlib.Path, required=True, help="the executable, perhaps as .xz")
    parser.add_argument("--pack", type=pathlib.Path, required=True, help="what pack.sh made: the folder, or its .tar.xz")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of results.jsonl and table.md")
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu to try the scripts")
    parser.add_argument("--kernels", type=pathlib.Path, help="the test executable of sekisho-model, perhaps as .xz")
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for what need not be kept, 6 GB for suite (default OUT/scratch)")
    parser.add_argument("--commit", help="what was built, for the table (default: this working tree's)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"most time of a piece (default {MINUTES})")
    args = parser.parse_args(words)
    if not re.fullmatch(r"cpu|cuda:\d+", args.device):
        parser.error(f"--device {args.device}: expected cuda:N or cpu")
    args.scratch = args.scratch or args.out / "scratch"
    args.said = "tests/gpu/accept.sh " + shlex.join(words)
    return args


def digest(path):
    sha = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            sha.update(piece)
    return sha.hexdigest()


def executable(path, scratch):
    """A file that can be run: `path`, or what is packed in it. Unpacked anew each time, as it may be another one under the same name."""
    if path is None:
        return None
    if not path.is_file():
        raise Wrong(f"there is no {path}")
    target = scratch / "bin" / path.name.removesuffix(".xz")
    target.parent.mkdir(parents=True, exist_ok=True)
    opened = lzma.open(path) if path.suffix == ".xz" else path.open("rb")
    with opened as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file)
    # Whoever carried it here may have lost the mark.
    target.chmod(0o755)
    return target.resolve()


def unpack(path, scratch):
    """The pack's folder, with its files as the manifest has them; and the digest of the manifest."""
    if path.is_file():
        folder = scratch / "pack"
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        path = folder
    manifest = path / "manifest.json"
    if not manifest.is_file():
        raise Wrong(f"{path} is no pack: it has no manifest.json. tests/gpu/pack.sh makes one")
    for name, expected in json.loads(manifest.read_text())["files"].items():
        if not (path / name).is_file() or digest(path / name) != expected:
            raise Wrong(f"{path / name} is missing, or is not the file that was packed")
    return path.resolve(), digest(manifest)


def prepare(args):
    """[`Run`] with everything in its place."""
    args.out.mkdir(parents=True, exist_ok=True)
    args.scratch.mkdir(parents=True, exist_ok=True)
    about = {"device": args.device}
    args.binary = executable(args.binary, args.scratch)
    about["binary"] = digest(args.binary)
    args.kernels = executable(args.kernels, args.scratch)
    args.pack, about["pack"] = unpack(args.pack, args.scratch)
    gpu, why_not = machine.find_gpu(args.device)
    about["gpu"] = gpu
    entries = journal.Journal(args.out / "results.jsonl", about)
    run = Run(args, entries, gpu, why_not, machine.environment())
    run.sets = json.loads((args.pack / "manifest.json").read_text())["sets"]
    run.bounds = tomllib.loads((pathlib.Path(__file__).parent / "bounds.toml").read_text())
    run.peaks = run.bounds["peaks"].get(gpu)
    entries.tell(machine.facts(args, gpu))
    return run


def finish(run):
    """The table, and how the call ends."""
    entries, facts = journal.read(run.args.out / "results.jsonl")
    text = table.render(entries.values(), facts)
    if run.left:
        text += f"left for the next call of the same command: {', '.join(run.left)}\n"
    (run.args.out / "table.md").write_text(text)
    print(text, end="", flush=True)
    if any(entry["state"] == journal.FAILED for entry in entries.values()):
        return FAILED
    return UNFINISHED if run.left else 0


def main(words):
    args = arguments(words)
    try:
        run = prepare(args)
    except Wrong as error:
        sys.exit(f"accept.sh: {error}")
    say(f"{run.gpu or run.why_not}; CUDA's libraries in {run.environment.get('SEKISHO_CUDA_LIBS', 'the usual places')}")
    for piece in args.pieces:
        run.begin(args.minutes)
        importlib.import_module(piece).run(run)
    return finish(run)


if __name__ == "__main__":
    # Whoever ends this call by a signal ends what it started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
