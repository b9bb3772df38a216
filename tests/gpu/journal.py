"""OUT/results.jsonl: what each step found, one line a step, so that a call that was cut off goes on where it stopped."""

import datetime
import json
import os

# How a step ends. A step that was left for the next call has not ended, and has no line.
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Journal:
    """The lines of a file; the last one of a step counts. `about` says what they are of (executable, pack, machine): results of anything
    else are kept, and do not count."""

    def __init__(self, path, about):
        self.path, self.about = path, about
        self.entries = {line["step"]: line for line in _complete(path) if "step" in line and line["about"] == about}

    def passed(self, step):
        """The line of a step that need not be done again, or none."""
        entry = self.entries.get(step)
        return entry if entry and entry["state"] == PASSED else None

    def add(self, step, state, said, seconds, rows=(), kept=None):
        """Writes down how a step ended and what it found; it is on the disk when this returns. `kept` is for later steps."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        entry = {"step": step, "state": state, "said": said, "at": now, "seconds": round(seconds, 2), "rows": list(rows),
                 "kept": kept or {}, "about": self.about}
        self._append(entry)
        self.entries[step] = entry
        return entry

    def tell(self, facts):
        """Writes down where this call runs: name → text."""
        self._append({"facts": facts, "about": self.about})

    def _append(self, line):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read(path):
    """(step → line, facts) of what the last line is about."""
    lines = _complete(path)
    about = lines[-1]["about"] if lines else None
    lines = [line for line in lines if line["about"] == about]
    facts = [line["facts"] for line in lines if "facts" in line]
    return {line["step"]: line for line in lines if "step" in line}, facts[-1] if facts else {}


def _complete(path):
    """The lines of the file. A kill may have cut the last one short: it is taken out, so that the next one begins a line."""
    if not path.exists():
        return []
    whole, end, rest = path.read_text(encoding="utf-8").rpartition("\n")
    if rest:
        path.write_text(whole + end, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]
