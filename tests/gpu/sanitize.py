"""sanitize: the kernel tests under compute-sanitizer, which finds wrong addresses (memcheck) and races in shared memory (racecheck)."""

import functools
import os
import re
import shutil

from records import Wrong
from steps import Found, Skip, tail

TOOLS = ["memcheck", "racecheck"]
TESTS = "cuda::tests"
# What tests the stand-in of the GPU shows nothing on one.
NOT_ON_A_GPU = {"twin"}
# How each tool ends; what is counted is what it displays, warnings too.
SUMMARY = re.compile(r"(?:ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard)")
# What the tool says of a GPU that it cannot look into, perhaps before a summary of nothing.
UNSUPPORTED = "Device not supported"
# And of a program that did nothing on a GPU.
NEVER_ON_A_GPU = "before first instrumented API call"
PLACES = ["/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer", "/opt/cuda/bin"]
# How a sentence begins that is true of all tests.
REFUSED = "compute-sanitizer is refused here"
# A group of tests that takes longer under a tool is left out, and counted as skipped.
AT_MOST = 200


def run(run):
    groups = []
    before = run.step("sanitize/tests", lambda: listed(run))
    if before and before["state"] == "passed":
        groups = before["kept"]["groups"]
    for tool in TOOLS:
        for group in groups:
            entry = run.step(f"sanitize/{tool}/{group}", functools.partial(check, run, tool, group))
            # Where the machine refuses the tool it does so for every test: that is said once.
            if entry and entry["state"] == "skipped" and entry["said"].startswith(REFUSED):
                break


def listed(run):
    """The groups of kernel tests: the modules below `cuda::tests`."""
    run.need_gpu()
    program()
    return Found(kept={"groups": sorted({name.split("::")[2] for name in tests(run)} - NOT_ON_A_GPU)})


def program():
    found = shutil.which("compute-sanitizer", path=":".join([os.environ.get("PATH", ""), *PLACES]))
    if not found:
        raise Skip("compute-sanitizer is not installed here (it comes with the CUDA toolkit)")
    return found


def tests(run):
    """Names of the kernel tests. The executable must know how to run them on a GPU: else the twin would answer for it."""
    if run.args.kernels is None:
        raise Skip("no --kernels: the test executable of sekisho-model was not named")
    if b"SEKISHO_TEST_GPU" not in run.args.kernels.read_bytes():
        raise Wrong(f"{run.args.kernels.name} does not know SEKISHO_TEST_GPU, so it would not run its tests on the GPU")
    _, out, _ = run.command([run.args.kernels, TESTS, "--list"], 60)
    names = re.findall(rf"^({TESTS}::\w+::.*): test$", out, re.MULTILINE)
    if not names:
        raise Wrong(f"{run.args.kernels.name} has no tests called {TESTS}::…")
    return names


def check(run, tool, group):
    number = run.args.device.partition(":")[2]
    command = [program(), "--tool", tool, run.args.kernels, f"{TESTS}::{group}::", "--test-threads", "1"]
    status, out, err = run.command(command, AT_MOST, {"SEKISHO_TEST_GPU": number}, may_fail=True, too_long=Skip)
    return judge(tool, group, status, out + err)


def judge(tool, group, status, said):
    """What a run of the tool found, from what it and the tests said."""
    summary = SUMMARY.findall(said)
    if NEVER_ON_A_GPU in said:
        raise Wrong(f"{tool}: the tests of {group} did nothing on a GPU")
    own = " ".join(line.strip("= ") for line in said.splitlines() if line.startswith("=========")).strip()
    if not summary or UNSUPPORTED in own:
        raise Skip(f"{REFUSED}: {tail(own or said)}")
    passed = re.search(r"test result: (\w+)\. (\d+) passed; (\d+) failed", said)
    found = sum(int(errors or hazards) for errors, hazards in summary)
    if passed is None or passed[1] != "ok" or int(passed[2]) == 0:
        # With findings the tests may fail because of them: then these are what is told.
        if found == 0:
            raise Wrong(f"{tool}: the tests of {group} did not pass under it (exit {status}): {tail(said)}")
    count = int(passed[2]) if passed else 0
    row = {"row": f"{tool}, findings", "shape": f"{TESTS}::{group}, {count} tests", "ours": found, "unit": "",
           "asked": {"of": "ours", "sense": "most", "required": 0}}
    if found:
        row["note"] = tail(own)
    return Found([row])
