"""The one table that comes last: every row that was measured, beside what it is compared with, and whether it is good enough.

    python3 tests/gpu/table.py OUT/results.jsonl [--commit HASH]

A row: `row` and `shape` name it; `ours` in `unit`; `beside` in the same unit, `beside_what` it is; `ratio`, where more than 1 is better than
what stands beside; `ceiling`, beyond which nothing real can be; `asked`: {`of`: "ours" or "ratio", `sense`: "least" or "most", `required`,
`goal`}; `note`. All but the first three may be missing.
"""

import argparse
import math
import pathlib
import sys

import journal

HEADER = ["row", "shape", "ours", "PyTorch's or ceiling", "ratio", "required", "goal", "passed"]
# What is measured is never exact: a ceiling that is passed by less is not passed.
CEILING_MARGIN = 1.02


def figure(value):
    """Three significant digits; very small values with a power of ten."""
    if value is None:
        return "—"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def meets(value, sense, bound):
    """Whether a value is on the right side of a bound. What is no number is on no side."""
    if bound is None or value is None or not math.isfinite(value):
        return False
    return value >= bound if sense == "least" else value <= bound


def verdict(row):
    """`goal`, `yes`, `no`, or `—` where nothing is asked."""
    ceiling = row.get("ceiling")
    if ceiling is not None and not row["ours"] <= ceiling * CEILING_MARGIN:
        return "no"
    asked = row.get("asked")
    if asked is None:
        return "—"
    value = row.get(asked["of"])
    if asked.get("required") is not None and not meets(value, asked["sense"], asked["required"]):
        return "no"
    if asked.get("goal") is not None and meets(value, asked["sense"], asked["goal"]):
        return "goal"
    return "yes" if asked.get("required") is not None else "—"


def bound(row, which):
    """A requirement as it is written: `≥ 0.4`, `≤ 1 s`."""
    asked = row.get("asked") or {}
    value = asked.get(which)
    if value is None:
        return "—"
    sign = "≥" if asked["sense"] == "least" else "≤"
    # A ratio is a number without a unit.
    unit = f" {row['unit']}" if asked["of"] == "ours" and row["unit"] else "×" if asked["of"] == "ratio" else ""
    return f"{sign} {figure(value)}{unit}"


def cells(row):
    with_unit = f"{figure(row['ours'])} {row['unit']}".rstrip()
    beside = "—"
    if row.get("beside") is not None:
        beside = f"{figure(row['beside'])} {row['unit']}".rstrip() + f" ({row['beside_what']})"
    ratio = "—" if row.get("ratio") is None else f"{figure(row['ratio'])}×"
    return [row["row"], row["shape"], with_unit, beside, ratio, bound(row, "required"), bound(row, "goal"), verdict(row)]


def line(columns):
    return "| " + " | ".join(str(column).replace("|", "\\|") for column in columns) + " |"


def notes(rows):
    """What has to be known of single rows, each said once."""
    for row in rows:
        if row.get("note"):
            yield f"- {row['row']}, {row['shape']}: {row['note']}"
        ceiling = row.get("ceiling")
        if ceiling is not None and not row["ours"] <= ceiling * CEILING_MARGIN:
            yield (f"- {row['row']}, {row['shape']}: {figure(row['ours'])} {row['unit']} is more than the machine can do "
                   f"({figure(ceiling)}): the figure counts what was not done")


def summary(entries):
    """(passed, failed, skipped): steps."""
    states = [entry["state"] for entry in entries]
    return tuple(states.count(state) for state in (journal.PASSED, journal.FAILED, journal.SKIPPED))


def render(entries, facts):
    """Markdown: facts of the run, the table, notes, steps that failed or were skipped and why, and how many of each."""
    entries = list(entries)
    rows = [row for entry in entries for row in entry["rows"]]
    # Steps may be of several calls: what was measured first and last is what the table is of.
    times = sorted({entry["at"] for entry in entries if entry["rows"]})
    facts = {"date": " to ".join(times[::max(len(times) - 1, 1)])} | facts
    out = ["  \n".join(f"{name}: {value}" for name, value in facts.items() if value), ""]
    if rows:
        out += [line(HEADER), line(["---"] * len(HEADER)), *(line(cells(row)) for row in rows), ""]
    out += notes(rows)
    for state in (journal.FAILED, journal.SKIPPED):
        out += [f"- {state}: {entry['step']}: {entry['said']}" for entry in entries if entry["state"] == state]
    passed, failed, skipped = summary(entries)
    out += ["", f"{passed} steps passed, {failed} failed, {skipped} skipped"]
    return "\n".join(out).lstrip("\n") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--commit")
    args = parser.parse_args()
    entries, facts = journal.read(args.results)
    if not entries:
        sys.exit(f"{args.results} holds no results")
    if args.commit:
        facts["commit"] = args.commit
    sys.stdout.write(render(entries.values(), facts))


if __name__ == "__main__":
    main()
