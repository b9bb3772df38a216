"""Steps of an acceptance: each ends in a line of the journal, within the time that its piece has."""

import json
import os
import signal
import subprocess
import sys
import time

import journal
import table
from records import Wrong


# Exit status of a script whose needs this machine does not meet; its last words say which.
NOT_HERE = 77


def pytorch(gpu=True):
    """PyTorch, where it is there and finds a GPU, if one is needed; else nothing, and why on stderr."""
    try:
        import torch
    except ImportError:
        print(f"no PyTorch for {sys.executable}", file=sys.stderr)
        return None
    if gpu and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no GPU", file=sys.stderr)
        return None
    return torch


class Skip(Exception):
    """Why a step cannot be done on this machine, in a sentence."""


class OutOfTime(Exception):
    """The time of the piece is over; the same command goes on with this step."""


class Found:
    """What a step found: rows of the table, a sentence, and what later steps want to know."""

    def __init__(self, rows=(), said="", kept=None):
        self.rows, self.said, self.kept = list(rows), said, kept or {}


class Run:
    """One call of accept.sh. `gpu` is the GPU's name, or none, and `why_not` says why."""

    def __init__(self, args, entries, gpu, why_not, environment):
        self.args, self.journal, self.gpu, self.why_not = args, entries, gpu, why_not
        self.environment = environment
        self.ends = 0.0
        self.left = []

    def begin(self, minutes):
        """A piece begins, and has so much time."""
        self.ends = time.monotonic() + 60 * minutes

    def step(self, name, do, least=5):
        """Does a step unless it has passed before: `do()` gives `Found`. `least`: seconds below which it is not worth to begin.
        Returns its line, or none when it was left for the next call."""
        before = self.journal.passed(name)
        if before:
            say(f"{name}: passed before")
            return before
        begun = time.monotonic()
        try:
            if self.remaining() < least:
                raise OutOfTime
            found = do()
            unmet = [row["row"] for row in found.rows if table.verdict(row) == "no"]
            state = journal.FAILED if unmet else journal.PASSED
            said = found.said + (f" Not reached: {', '.join(unmet)}." if unmet else "")
        except OutOfTime:
            self.left.append(name)
            say(f"{name}: left for the next call")
            return None
        except Skip as skip:
            found, state, said = Found(), journal.SKIPPED, str(skip)
        except Wrong as wrong:
            found, state, said = Found(), journal.FAILED, str(wrong)
        except Exception as error:
            # An answer in another form than expected is a failure of this step, and the others are still worth their time.
            found, state, said = Found(), journal.FAILED, f"{type(error).__name__}: {error}"
        entry = self.journal.add(name, state, said.strip(), time.monotonic() - begun, found.rows, found.kept)
        say(f"{name}: {state} in {entry['seconds']:.1f} s" + (f": {entry['said']}" if entry["said"] else ""))
        return entry

    def need_gpu(self):
        if not self.gpu:
            raise Skip(self.why_not)

    def remaining(self):
        return self.ends - time.monotonic()

    def command(self, command, at_most, environment=None, may_fail=False, too_long=Wrong):
        """Runs a command for at most so many seconds, and within the piece's time; (exit status, stdout, stderr).

        A command that is cut off by the piece's time is for the next call; one that takes longer than it may is `too_long`. An exit
        status other than 0 is wrong, unless the command may fail."""
        allowed = min(at_most, self.remaining())
        # A process group of its own, so that what it starts ends with it, and no more than that: whoever ends this call ends it too.
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   errors="replace", env=self.environment | (environment or {}), process_group=0)
        try:
            out, err = process.communicate(timeout=max(allowed, 0.1))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            if allowed < at_most:
                raise OutOfTime from None
            raise too_long(f"{shown(command)} took longer than {at_most} s; it said: {tail(err or out)}") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        if process.returncode != 0 and not may_fail:
            raise Wrong(f"{shown(command)} ended with {process.returncode}: {tail(err or out)}")
        return process.returncode, out, err

    def script(self, name, arguments, at_most):
        """Runs a Python script that lies beside this one, with the same Python, and gives the JSON of the last line that it prints."""
        here = os.path.dirname(os.path.abspath(__file__))
        environment = {"PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
        status, out, err = self.command([sys.executable, os.path.join(here, name), *arguments], at_most, environment, may_fail=True)
        if status == NOT_HERE:
            raise Skip(tail(err))
        if status != 0:
            raise Wrong(f"{name} ended with {status}: {tail(err or out)}")
        return json.loads(out.splitlines()[-1])


def shown(command):
    """A command for people: its program and the first word that it is given."""
    return " ".join([os.path.basename(str(command[0])), *map(os.path.basename, map(str, command[1:2]))])


def tail(text, most=600):
    """The end of what a program said, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"… {text[-most:]}"


def say(text):
    print(text, file=sys.stderr, flush=True)
