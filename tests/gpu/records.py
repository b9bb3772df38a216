"""Per-item records of `sekisho eval --out`: read, compared with other records of the same items, and with what official tools found."""

import json
import math


class Wrong(Exception):
    """A finding that makes a step fail, in a sentence."""


def key(record):
    """What names an item."""
    return record["profile"], record["task"], record["split"], record["item"]


def name(key_):
    """A key for people."""
    profile, task, split, item = key_
    return f"{profile}/{task}/{split}, item {item}"


def read(path):
    """Key → record of a file, one JSON object a line. A line that is cut short or stands there twice is wrong."""
    records = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise Wrong(f"{path.name}, line {number} is no record: {error}") from error
        if key(record) in records:
            raise Wrong(f"{path.name}, line {number}: {name(key(record))} is there twice")
        records[key(record)] = record
    return records


def write(path, records):
    """Records in the order of their names, so that equal records are equal files."""
    lines = (json.dumps(records[key_], ensure_ascii=False, separators=(",", ":")) for key_ in sorted(records))
    path.write_text("".join(f"{line}\n" for line in lines))


class Agreement:
    """How far answers are from reference ones to the same items: every pair of log-likelihoods, every pair of texts."""

    def __init__(self):
        self.items = 0
        self.differences = []       # ours - theirs, nats, of each log-likelihood
        self.texts = 0
        self.equal_texts = 0
        self.clearly_wrong = []     # names of texts that differ although every token was decided clearly

    @property
    def largest(self):
        """Largest |Δ| in nats."""
        return max((abs(difference) for difference in self.differences), default=0.0)

    @property
    def mean_distance(self):
        """Mean |Δ| in nats."""
        return sum(abs(difference) for difference in self.differences) / max(len(self.differences), 1)

    @property
    def mean(self):
        """Mean Δ in nats: a drift to one side."""
        return sum(self.differences) / max(len(self.differences), 1)

    @property
    def share_of_equal_texts(self):
        return self.equal_texts / self.texts if self.texts else 1.0

    def add(self, ours, theirs):
        """An item; both were asked the same question."""
        self.items += 1
        if "loglikelihoods" in theirs:
            self._add_likelihoods(ours, theirs)
        else:
            self._add_text(ours, theirs)

    def _add_likelihoods(self, ours, theirs):
        found, expected = ours.get("loglikelihoods", []), theirs["loglikelihoods"]
        if len(found) != len(expected):
            raise Wrong(f"{name(key(ours))} has {len(found)} log-likelihoods, and {len(expected)} are expected")
        for a, b in zip(found, expected):
            # A number that is none would pass every comparison with a bound.
            if not isinstance(a, (int, float)) or not math.isfinite(a):
                raise Wrong(f"{name(key(ours))} has a log-likelihood that is no number: {a}")
            self.differences.append(a - b)

    def _add_text(self, ours, theirs):
        if "output" not in ours:
            raise Wrong(f"{name(key(ours))} has no text")
        self.texts += 1
        self.equal_texts += ours["output"] == theirs["output"]
        if ours["output"] != theirs["output"] and theirs.get("decided", False):
            self.clearly_wrong.append(name(key(ours)))


def agreement(ours, theirs):
    """[`Agreement`] of records with reference ones. Each item must be on both sides, and asked with the same prompt."""
    _same_items(ours, theirs)
    found = Agreement()
    for key_ in sorted(theirs):
        if ours[key_]["prompt_sha256"] != theirs[key_]["prompt_sha256"]:
            raise Wrong(f"{name(key_)} was asked with another prompt")
        found.add(ours[key_], theirs[key_])
    return found


def _same_items(ours, theirs):
    missing, more = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
    if missing:
        raise Wrong(f"{len(missing)} of {len(theirs)} items are missing, the first is {name(missing[0])}")
    if more:
        raise Wrong(f"{len(more)} items are there that nobody asked for, the first is {name(more[0])}")
    if not theirs:
        raise Wrong("there is no item to compare")


def differing(one, other):
    """Keys of the items whose records are not the same bytes; both are files. Their order is that in which answers came, and counts
    for nothing."""
    def lines(path):
        # The bytes of each line, not what they mean: 0.1 and 0.10 are different records.
        return {key(json.loads(line)): line for line in path.read_bytes().splitlines()}

    ours, theirs = lines(one), lines(other)
    _same_items(ours, theirs)
    return [key_ for key_ in sorted(theirs) if ours[key_] != theirs[key_]]
