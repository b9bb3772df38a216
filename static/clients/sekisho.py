"""Reports a training loop to a Sekisho service. One file, no dependencies, Python 3.8 or later.

    import sekisho
    run = sekisho.init(project="default", name="v4-8b", config={"optimizer": {"lr": 3e-4, "eps": 1e-8}})
    for step in range(1, steps + 1):
        ...
        run.log({"loss": loss, "lr": lr, "grad_norm": norm, "tokens": step * tokens_per_step}, step=step)
    run.finish()

The signatures are wandb's. The service is SEKISHO_SERVER (http://127.0.0.1:7070), the token SEKISHO_TOKEN, with the scope `ingest`.

Training never waits for the service and never fails because of it: a thread writes every complete row to a file in SEKISHO_SPOOL
(./sekisho-spool) and sends from there, so that a service which is away, or a process that is killed, costs none of them. What could not be sent is sent by
the next `init` in that folder, or by `python sekisho.py sync`. What goes wrong is said on stderr, once.
"""

import atexit
import hashlib
import json
import math
import os
import platform
import queue
import random
import re
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

try:
    import fcntl
except ImportError:  # Windows: a spool that another process still writes is told by its age instead.
    fcntl = None

__all__ = ["Run", "alert", "finish", "init", "log", "log_checkpoint", "run", "sync"]

# Rows of a batch, and the seconds for which they gather.
ROWS = 500
GATHER = 1.0
# Entries that may wait for the thread. It only writes them to a file, so this many wait when the disk stands still.
QUEUE = 100_000
# Seconds: of a request, of the longest pause between attempts, of the first and the last word with the service.
TIMEOUT = 30.0
LONGEST_PAUSE = 60.0
HELLO = 5.0
FAREWELL = 30.0

# Of a checkpoint that is sent: bytes of a piece, seconds of a request (the service hashes what it has), texts beside the weights.
PIECE = 8 << 20
LONG = 24 * 3600.0
TEXTS = ("license", "licence", "notice", "copying", "use_policy")

# What the service takes: further names of a run, and bytes of a name.
MOST_NAMES = 200
LONGEST_NAME = 64

# Our names, and what others call the same.
NAMES = {
    "train/loss": "loss", "train_loss": "loss", "lm loss": "loss", "lm_loss": "loss", "training_loss": "loss",
    "learning_rate": "lr", "learning-rate": "lr", "learning rate": "lr", "train/learning_rate": "lr", "train/lr": "lr",
    "grad-norm": "grad_norm", "grad norm": "grad_norm", "gradient_norm": "grad_norm", "train/grad_norm": "grad_norm",
    "step_time": "seconds", "iteration-time": "seconds",
    "consumed_tokens": "tokens", "tokens_seen": "tokens", "num_input_tokens_seen": "tokens", "n_tokens_seen": "tokens",
    "train/num_input_tokens_seen": "tokens", "total_tokens": "tokens",
}

#: The run that `init` began last.
run = None


def init(project=None, name=None, config=None, id=None, resume=None, dir=None, mode=None, server=None,
         tokens_per_step=None, planned_tokens=None, entity=None, notes=None, tags=None, group=None, job_type=None,
         reinit=None, settings=None, save_code=None, allow_val_change=None, **_others):
    """Begins a run, or goes on with the one of this name.

    A run's name is unique in the service: `name`, else `id`, else one made of the time. `config` is its specification, in any shape; one in
    the shape of Sekisho's run specification gets its warnings and comparisons. `tokens_per_step` gives rows without `tokens` theirs.
    `resume`: None, "allow", "auto" or True go on with a run of this name; "must" and "never" raise ValueError when it is not, or is,
    there. `mode="disabled"` does nothing; so do processes with a RANK other than 0. `mode="offline"` only writes the file.
    """
    global run
    if run is not None and not run._finished:
        run.finish()
    if resume not in (None, True, False, "allow", "auto", "must", "never"):
        raise ValueError("resume is %r; it may be None, True, 'allow', 'auto', 'must' or 'never'" % (resume,))
    mode = mode or os.environ.get("SEKISHO_MODE") or "online"
    if mode not in ("online", "offline", "disabled"):
        raise ValueError("mode is %r; it may be 'online', 'offline' or 'disabled'" % (mode,))
    if os.environ.get("RANK", "0") not in ("", "0"):
        mode = "disabled"
    chosen = str(name or id or _name_of_now())
    fitting = re.sub(r"[^A-Za-z0-9._-]+", "-", chosen).strip("-.")[:100] or _name_of_now()
    if fitting != chosen:
        _say("a run's name has letters, digits, '.', '_' and '-': %r is called %r" % (chosen, fitting))
    register = {"name": fitting}
    if project:
        register["project"] = str(project)
    if config:
        register["spec"] = _jsonable(dict(config) if not isinstance(config, dict) else config)
    if planned_tokens is not None:
        register["planned_tokens"] = int(planned_tokens)
    server = (server or os.environ.get("SEKISHO_SERVER") or "http://127.0.0.1:7070").rstrip("/")
    run = Run(register, server, mode, dir, resume, tokens_per_step)
    return run


def log(data, step=None, commit=None):
    """`run.log` of the run that `init` began."""
    if run is None:
        raise RuntimeError("call sekisho.init() before sekisho.log()")
    run.log(data, step, commit)


def finish(exit_code=None):
    """`run.finish` of the run that `init` began."""
    if run is not None:
        run.finish(exit_code)


def alert(title, text="", level=None, wait_duration=None):
    """`run.alert` of the run that `init` began."""
    if run is not None:
        run.alert(title, text, level, wait_duration)


def log_checkpoint(path, step, tokens=None, copy=False):
    """`run.log_checkpoint` of the run that `init` began."""
    if run is not None:
        run.log_checkpoint(path, step, tokens, copy)


class Run:
    """A run that is reported on. Made by `init`; also a context manager."""

    def __init__(self, register, server, mode, folder, resume, tokens_per_step):
        self.name = register["name"]
        self.id = self.name
        self.project = register.get("project")
        self.config = register.get("spec") or {}
        self.url = "%s/runs/%s" % (server, urllib.parse.quote(self.name))
        self.summary = {}
        self.disabled = mode == "disabled"
        self.step = 0
        self._finished = False
        self._tokens_per_step = tokens_per_step
        self._tokens = 0
        self._pending = None
        self._last = None
        self._lock = threading.Lock()
        self._warned = set()
        self._names = {}
        self._pid = os.getpid()
        if self.disabled:
            return
        folder = str(folder or os.environ.get("SEKISHO_SPOOL") or "sekisho-spool")
        client = _Client(server, os.environ.get("SEKISHO_TOKEN"))
        if mode == "online":
            self._hello(client, resume)
        self._queue = queue.Queue(QUEUE)
        self._sender = _Sender(client, folder, register, self._queue, mode == "offline")
        self._sender.start()
        self._crashed = False
        self._watch_exceptions()
        atexit.register(self._at_exit)

    def _hello(self, client, resume):
        """Asks once whether the run is there. Only the two values of `resume` that demand something can fail here."""
        try:
            there = client.call("GET", "/runs/" + urllib.parse.quote(self.name), None, HELLO)
        except _Refused as error:
            if error.status != 404:
                return _say("%s; training goes on, and what is logged waits in a file" % error)
            there = None
        except _Away as error:
            return _say("%s; training goes on, and what is logged waits in a file" % error)
        if there is None and resume == "must":
            raise ValueError("resume='must', but there is no run %r at %s" % (self.name, client.server))
        if there is not None and resume == "never":
            raise ValueError("resume='never', but there is a run %r at %s" % (self.name, client.server))
        if there is not None and resume is not None:
            self.step = int(there.get("step") or 0)
            self._tokens = int(there.get("tokens") or 0)

    def log(self, data, step=None, commit=None):
        """Metrics of an update: numbers, also as NumPy or PyTorch scalars, by name. Calls with the same step make one row.

        Without `step` each call is the next one, unless `commit=False` leaves it open for the next call. With `step` the row is complete
        when the next step begins, at `commit=True` and at the end. As in wandb, a step before the last one is not taken.
        """
        if self.disabled or self._finished or os.getpid() != self._pid:
            return
        try:
            self._log(data, step, commit)
        except Exception as error:  # Nothing in here is worth a training run.
            self._warn("log", "a row was not logged: %r" % (error,))

    def _log(self, data, step, commit):
        pairs = list(_flat(data))
        with self._lock:
            pending = self._pending
            at = int(step) if step is not None else (pending[0] if pending else self.step + 1)
            if pending and at != pending[0]:
                self._commit()
                pending = None
            if pending is None:
                if self._last and at < self._last[0]:
                    return self._warn("back", "steps go forward: step %d comes after step %d and is not kept" % (at, self._last[0]))
                # A row replaces the one of the same step, so it has what that one had.
                same = self._last[1] if self._last and at == self._last[0] else {}
                pending = self._pending = (at, dict(same))
            for name, value in pairs:
                number = _number(value)
                if number is None:
                    self._warn("type:" + name, "%r is no number (%s) and is not kept" % (name, type(value).__name__))
                else:
                    name = self._field(name)
                    if name:
                        pending[1][name] = number
            if commit or (commit is None and step is None):
                self._commit()

    def _field(self, name):
        """The name of a metric as the service takes it; None for one too many."""
        field = self._names.get(name)
        if field is None:
            if len(self._names) >= MOST_NAMES:
                return self._warn("names", "a run has %d metrics at most; %r and further ones are not kept" % (MOST_NAMES, name))
            field = NAMES.get(name) or re.sub(r'[\s,"\x00-\x1f\x7f-\x9f]+', "_", name)
            field = field.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore") or "_"
            self._names[name] = field
        return field

    def _commit(self):
        """Hands the open row over. Under the lock."""
        pending, self._pending = self._pending, None
        if pending and pending[1]:
            self._last = pending
            self.step = pending[0]
            row = self._row(pending)
            self.summary.update(row)
            self._put({"row": row})

    def _row(self, pending):
        step, values = pending
        row = {"step": max(step, 0)}
        tokens = values.get("tokens")
        if tokens is None and self._tokens_per_step:
            tokens = step * self._tokens_per_step
        if tokens is not None and math.isfinite(tokens):
            self._tokens = max(int(tokens), 0)
        elif tokens is None:
            self._warn("tokens", "rows have no tokens: log {'tokens': ...}, or give init(tokens_per_step=...)")
        row["tokens"] = self._tokens
        for name, value in values.items():
            if name in ("step", "tokens"):
                continue
            # JSON has no number for the others; the service reads these words, and notices.
            row[name] = value if math.isfinite(value) else "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        return row

    def alert(self, title, text="", level=None, wait_duration=None):
        """A remark on the run, shown among its events and on its curves."""
        level = getattr(level, "value", level)
        note = ": ".join(part for part in (str(title or ""), str(text or "")) if part)
        if level and str(level).upper() not in ("INFO",):
            note = "%s: %s" % (str(level).upper(), note)
        self._put({"event": {"kind": "note", "step": max(self._last_step(), 0), "note": note[:2000]}})

    def log_checkpoint(self, path, step=None, tokens=None, copy=False):
        """Hands a checkpoint over by its folder, complete by now, on a disk that the service sees too.

        With `copy` its files are sent, in pieces: what has arrived is not sent again. What is logged meanwhile follows after it, and the
        folder must stay until it is sent.
        """
        step = self._last_step() if step is None else int(step)
        if tokens is None:
            tokens = step * self._tokens_per_step if self._tokens_per_step else self._tokens
        body = {"step": step, "tokens": int(tokens), "path": os.path.abspath(os.fspath(path))}
        self._put({"upload" if copy else "checkpoint": body})

    def finish(self, exit_code=None):
        """Says how it ended (0 or None: well) and waits a little until the service knows everything."""
        if self.disabled or self._finished or os.getpid() != self._pid:
            return
        with self._lock:
            self._commit()
        self._finished = True
        kind = "finished" if not exit_code else "failed"
        note = "" if not exit_code else "exit code %s" % (exit_code,)
        self._put({"event": {"kind": kind, "step": max(self.step, 0), "note": note}})
        self._stop()

    def _watch_exceptions(self):
        before = sys.excepthook

        def hook(kind, error, trace):
            self._crashed = True
            before(kind, error, trace)

        sys.excepthook = hook

    def _at_exit(self):
        """The program ends without `finish`: everything is sent, and only an exception says how it ended."""
        if self._finished or os.getpid() != self._pid:
            return
        if self._crashed:
            return self.finish(1)
        with self._lock:
            self._commit()
        self._finished = True
        self._stop()

    def _stop(self):
        self._sender.stop(float(os.environ.get("SEKISHO_FINISH_SECONDS") or FAREWELL))

    def _last_step(self):
        return self._pending[0] if self._pending else self.step

    def _put(self, entry):
        if self.disabled or os.getpid() != self._pid:
            return
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._warn("full", "the disk of the spool folder does not keep up; rows are lost")

    def _warn(self, what, text):
        if what not in self._warned:
            self._warned.add(what)
            _say(text)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _trace):
        self.finish(0 if kind is None or (kind is SystemExit and not getattr(error, "code", 1)) else 1)
        return False


class _Spool:
    """What is to be sent: `NAME-WRITER.jsonl`, whose first line says to which run. How far it is sent lies in `….sent`.

    A batch is fixed in `….sent` before it goes out, so that it goes out again as it was, with its number, whatever happened since.
    """

    def __init__(self, path, head, file):
        self.path, self.head, self.file = path, head, file
        self.state_path = path + ".sent"
        try:
            with open(self.state_path, encoding="utf-8") as state:
                self.state = json.load(state)
        except (OSError, ValueError):
            # Without it the numbers that were sent are not known: another writer counts from 0 again, and rows replace themselves.
            self.state = {"at": None, "seq": 0, "until": None, "writer": uuid.uuid4().hex[:16]}

    @staticmethod
    def create(folder, register):
        head = {"register": register, "begun": time.time()}
        path = os.path.join(folder, "%s-%s.jsonl" % (register["name"], uuid.uuid4().hex[:16]))
        try:
            os.makedirs(folder, exist_ok=True)
            file = open(path, "a+b")
            spool = _Spool(path, head, file)
            spool._lock()
            spool.append([head])
            return spool
        except OSError as error:
            _say("no spool can be written (%s); what is logged while the service is away is lost" % error)
            return _Memory(head)

    @staticmethod
    def left_behind(path):
        """A spool whose process is gone; None for one that is still written, or is none."""
        try:
            file = open(path, "r+b")
        except OSError:
            return None
        spool = _Spool(path, None, file)
        if not spool._lock():
            file.close()
            return None
        lines, _ = spool.lines(0, 1)
        if not lines or "register" not in lines[0]:
            file.close()
            return None
        spool.head = lines[0]
        return spool

    def _lock(self):
        if fcntl is None:
            return time.time() - os.path.getmtime(self.path) > 600
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            return False

    def append(self, entries):
        text = "".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n" for entry in entries)
        self.file.write(text.encode("utf-8", "replace"))
        self.file.flush()

    def lines(self, at, most):
        """Whole lines from byte `at` on, and the byte after them. A line cut off by a kill ends them."""
        self.file.seek(at)
        found = []
        while len(found) < most:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                break
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({})
            at += len(line)
        self.file.seek(0, os.SEEK_END)
        return found, at

    def start(self):
        if self.state["at"] is None:
            self.state["at"] = self.lines(0, 1)[1]
        return self.state["at"]

    def remember(self, **state):
        self.state.update(state)
        try:
            temporary = self.state_path + ".tmp"
            with open(temporary, "w", encoding="utf-8") as file:
                json.dump(self.state, file)
            os.replace(temporary, self.state_path)
        except OSError as error:
            _say("%s cannot be written (%s)" % (self.state_path, error))

    def refuse(self, entries, reason):
        """Keeps what the service does not take, for people."""
        try:
            with open(self.path + ".refused", "a", encoding="utf-8") as file:
                file.write(json.dumps({"reason": str(reason), "entries": entries}, ensure_ascii=False) + "\n")
        except OSError:
            pass

    def is_done(self):
        return not self.lines(self.start(), 1)[0]

    def remove(self):
        self.file.close()
        for path in (self.path, self.state_path):
            try:
                os.remove(path)
            except OSError:
                pass


class _Memory(_Spool):
    """The same without a disk: the newest rows, while the service is away."""

    def __init__(self, head):
        self.path, self.head, self.entries, self.first = "memory", head, [], 0
        self.state = {"at": 0, "seq": 0, "until": None, "writer": uuid.uuid4().hex[:16]}

    def append(self, entries):
        self.entries.extend(entries)
        lost = max(0, len(self.entries) - QUEUE)
        del self.entries[:lost]
        self.first += lost

    def lines(self, at, most):
        at = max(at, self.first)
        found = self.entries[at - self.first:at - self.first + most]
        return found, at + len(found)

    def remember(self, **state):
        self.state.update((key, value) for key, value in state.items() if key != "at" or value is not None)
        done = max(0, self.state["at"] - self.first)
        del self.entries[:done]
        self.first += done

    def refuse(self, entries, reason):
        pass

    def remove(self):
        pass


class _Sender(threading.Thread):
    """Writes what is logged to the spool, and sends from there."""

    def __init__(self, client, folder, register, entries, offline):
        super().__init__(name="sekisho", daemon=True)
        self.client, self.folder, self.entries, self.offline = client, folder, entries, offline
        self.spool = _Spool.create(folder, register)
        self.deadline = None
        self.ended = threading.Event()
        self.pause, self.not_before = GATHER, 0.0
        self.registered = False
        self.away = False

    def run(self):
        while True:
            ending = self.ended.is_set()
            taken = self._take()
            if taken:
                self._append(taken)
            if self.offline or (time.monotonic() < self.not_before and not ending):
                if ending and self.entries.empty():
                    return
                continue
            self._send(ending)
            if ending and self.entries.empty():
                return

    def _append(self, entries):
        try:
            self.spool.append(entries)
        except OSError as error:
            _say("%s cannot be written (%s); what is logged while the service is away is lost" % (self.spool.path, error))
            # What is in the file already is sent by the next one that begins here.
            self.spool.file.close()
            self.spool = _Memory(self.spool.head)
            self.spool.append(entries)

    def _take(self):
        taken = []
        until = time.monotonic() + (0.0 if self.ended.is_set() else GATHER)
        while len(taken) < ROWS:
            try:
                wait = until - time.monotonic()
                entry = self.entries.get(timeout=wait) if wait > 0 else self.entries.get_nowait()
            except queue.Empty:
                break
            if entry is not None:
                taken.append(entry)
        return taken

    def _send(self, ending):
        deadline = self.deadline if ending else None
        while True:
            try:
                if not self.registered:
                    # What an earlier process of this run left goes first: its steps may come again here.
                    before = _sync(self.folder, self.client, self.spool.head["register"]["name"])
                    if before:
                        self.spool.remember(follows=before[-1])
                    _register(self.client, self.spool)
                    self.registered = True
                while _send_some(self.client, self.spool):
                    if deadline is not None and time.monotonic() > deadline:
                        return
                if self.away:
                    self.away = False
                    _say("the service answers again and has been told everything")
                self.pause, self.not_before = GATHER, 0.0
                return
            except (_Away, _Refused) as error:
                if isinstance(error, _Refused) and error.status == 404 and self.registered:
                    # Another database than the one that knew the run: it is told everything anew.
                    self.registered = False
                    self.spool.remember(at=None, until=None, seq=0, writer=uuid.uuid4().hex[:16])
                if not self.away:
                    self.away = True
                    _say("%s; training goes on, and what is logged waits in %s" % (error, self.spool.path))
                self.pause = min(self.pause * 2, LONGEST_PAUSE)
                wait = max(self.pause * random.uniform(0.5, 1.0), error.wait)
                self.not_before = time.monotonic() + wait
                if deadline is None or time.monotonic() + min(wait, 1.0) > deadline:
                    return
                time.sleep(min(wait, 1.0))

    def stop(self, seconds):
        self.deadline = time.monotonic() + seconds
        self.ended.set()
        try:
            self.entries.put_nowait(None)
        except queue.Full:
            pass
        self.join(seconds + 1.0)
        if self.is_alive() or not self.spool.is_done():
            _say("not everything could be sent; `python sekisho.py sync %s` sends the rest" % os.path.dirname(self.spool.path))
        else:
            self.spool.remove()


def _register(client, spool):
    """Registers the run, or finds it. A specification that differs from the registered one is no reason to be silent."""
    register = spool.head["register"]
    try:
        client.call("POST", "/runs", register)
    except _Refused as error:
        if "spec" not in register or error.status not in (400, 409, 413, 422):
            raise
        _say("%s; the run is reported on without its configuration" % error)
        client.call("POST", "/runs", {key: value for key, value in register.items() if key != "spec"})


def _send_some(client, spool):
    """Sends the next batch of rows, event or checkpoint. False when there is none."""
    at, until = spool.start(), spool.state["until"]
    if until is None:
        entries, end = spool.lines(at, ROWS)
        if not entries:
            return False
        rows = _leading_rows(entries)
        if len(rows) < len(entries):
            # What is no row goes out alone, after the rows before it.
            end = spool.lines(at, max(len(rows), 1))[1]
        spool.remember(at=at, until=end)
        until = end
    entries = _between(spool, at, until)
    try:
        _send_entries(client, spool, entries)
    except _Refused as error:
        if error.status == 409 and spool.state.get("follows") and not spool.state.get("waits"):
            # Another writer was heard of a moment ago; it is the process that this one goes on from, and gone.
            spool.remember(waits=True)
            return True
        if error.status == 413 and len(entries) > 1:
            # Too large at once: by half, under the same number, which was not taken.
            spool.remember(until=spool.lines(at, len(entries) // 2)[1])
            return True
        if error.is_temporary or error.status in (401, 403, 404) or (error.status == 409 and "row" in entries[0]):
            raise
        _say("%s; %d entries are kept in %s.refused" % (error, len(entries), spool.path))
        spool.refuse(entries, error)
    seq = spool.state["seq"] + (1 if any("row" in entry for entry in entries) else 0)
    spool.remember(at=until, until=None, seq=seq)
    return True


def _leading_rows(entries):
    rows = []
    for entry in entries:
        if "row" not in entry:
            break
        rows.append(entry)
    return rows


def _between(spool, at, until):
    entries = []
    while at < until:
        some, after = spool.lines(at, 1)
        if not some:
            break
        entries += some
        at = after
    return entries


def _send_entries(client, spool, entries):
    path = "/runs/" + urllib.parse.quote(spool.head["register"]["name"])
    rows = [entry["row"] for entry in entries if "row" in entry]
    if rows:
        batch = {"seq": spool.state["seq"], "writer": spool.state["writer"], "host": platform.node()[:100], "rows": rows}
        if spool.state.get("waits"):
            batch["follows"] = spool.state["follows"]
        client.call("POST", path + "/metrics", batch)
        return
    for entry in entries:
        if "event" in entry:
            client.call("POST", path + "/events", entry["event"])
        elif "checkpoint" in entry:
            client.call("POST", path + "/checkpoints", entry["checkpoint"])
        elif "upload" in entry:
            _upload(client, path + "/uploads", entry["upload"])


def _upload(client, path, body):
    """Sends the files that the service lacks of a checkpoint. Asked again, it goes on where the service is."""
    try:
        files = _files(body["path"])
        asked = {"step": body["step"], "tokens": body["tokens"], "files": files}
        upload = client.call("POST", path, asked, LONG)
        if not upload["id"]:
            return
        own = "%s/%s" % (path, upload["id"])
        for file in upload["files"]:
            address = "%s/files/%s" % (own, urllib.parse.quote(file["path"], safe=""))
            with open(os.path.join(body["path"], file["path"]), "rb") as source:
                at = file["offset"]
                while at < file["size"]:
                    source.seek(at)
                    piece = source.read(PIECE)
                    at = client.call("PATCH", address, piece, LONG, {"Upload-Offset": str(at)})["offset"]
        client.call("POST", own + "/complete", None, LONG)
    except _Refused as error:
        # Another process sends it too, or a file has to be sent after all.
        if error.code in ("upload-offset", "upload-incomplete"):
            raise _Away(str(error)) from None
        raise
    except OSError as error:
        raise _Refused(422, "a checkpoint cannot be read: %s" % error, 0.0) from None


def _files(folder):
    """What of a folder can be a checkpoint; the service says what it thinks of it."""
    files = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        known = name.endswith((".safetensors", ".json", ".model", ".txt", ".jinja", ".md")) or name.lower().startswith(TEXTS)
        if name.startswith(".") or name == "manifest.json" or not known or not os.path.isfile(path):
            continue
        digest = hashlib.sha256()
        with open(path, "rb") as source:
            for piece in iter(lambda: source.read(1 << 20), b""):
                digest.update(piece)
        files.append({"path": name, "size": os.path.getsize(path), "sha256": digest.hexdigest()})
    return files


def sync(folder=None, server=None):
    """Sends what processes that are gone have left in a spool folder. Gives the number of spools that are done."""
    folder = folder or os.environ.get("SEKISHO_SPOOL") or "sekisho-spool"
    server = (server or os.environ.get("SEKISHO_SERVER") or "http://127.0.0.1:7070").rstrip("/")
    return len(_sync(folder, _Client(server, os.environ.get("SEKISHO_TOKEN"))))


def _sync(folder, client, name=None):
    """Sends the spools of processes that are gone, oldest first, and gives the writers of those of run `name`, or of all.

    For a run that begins, an error with those of other runs is not its own.
    """
    done = []
    for spool in sorted(_left_behind(folder), key=lambda spool: spool.head.get("begun") or 0):
        try:
            if not spool.is_done():
                _register(client, spool)
                while _send_some(client, spool):
                    pass
            spool.remove()
            if name is None or spool.head["register"]["name"] == name:
                done.append(spool.state["writer"])
        except (_Away, _Refused):
            spool.file.close()
            if name is None or spool.head["register"]["name"] == name:
                raise
    return done


def _left_behind(folder):
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except OSError:
        return []
    spools = (_Spool.left_behind(os.path.join(folder, name)) for name in names)
    return [spool for spool in spools if spool is not None]


class _Away(Exception):
    """Nobody answered."""

    wait = 0.0


class _Refused(Exception):
    """The service said no."""

    def __init__(self, status, text, wait, code=""):
        super().__init__(text)
        self.status, self.wait, self.code = status, wait, code
        self.is_temporary = status >= 500 or status in (408, 425, 429)


class _Client:
    def __init__(self, server, token):
        self.server, self.token = server, token

    def call(self, method, path, body, timeout=TIMEOUT, more=None):
        is_bytes = isinstance(body, bytes)
        kind = "application/octet-stream" if is_bytes else "application/json"
        headers = {"Content-Type": kind, "User-Agent": "sekisho.py", **(more or {})}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        data = body if is_bytes or body is None else json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(self.server + "/api/v1" + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise self._refused(error) from None
        except Exception as error:  # Refused connections, timeouts, broken answers, proxies: all the same to a training run.
            raise _Away("the service at %s cannot be reached (%s)" % (self.server, getattr(error, "reason", error))) from None
        try:
            return json.loads(text) if text else {}
        except ValueError:
            raise _Away("what answers at %s is no Sekisho" % self.server) from None

    def _refused(self, error):
        try:
            problem = json.loads(error.read())
            text, code = problem.get("detail") or problem.get("title") or str(error), problem.get("code") or ""
        except Exception:
            text, code = str(error), ""
        try:
            wait = float(error.headers.get("Retry-After") or 0)
        except (TypeError, ValueError):
            wait = 0.0
        return _Refused(error.code, "the service refused (%d): %s" % (error.code, str(text).rstrip(".")), min(wait, 600.0), code)


def _flat(data, prefix=""):
    """What is nested, with dots between the names, as wandb shows it."""
    for name, value in data.items():
        name = prefix + str(name)
        if isinstance(value, dict):
            for inner in _flat(value, name + "."):
                yield inner
        else:
            yield name, value


def _number(value):
    if isinstance(value, (int, float)):
        return float(value) if not isinstance(value, bool) else int(value)
    item = getattr(value, "item", None)
    if item is None:
        return None
    try:
        return _number(item())
    except Exception:  # A tensor of several elements.
        return None


def _jsonable(value):
    if isinstance(value, dict):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_jsonable(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    number = _number(value)
    if number is not None:
        return number if math.isfinite(number) else str(number)
    return str(value)


def _name_of_now():
    return time.strftime("run-%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:4]


_said = {}


def _say(text):
    # The same sentence at most every ten minutes.
    now = time.monotonic()
    if now - _said.get(text, -1e9) < 600:
        return
    _said[text] = now
    try:
        sys.stderr.write("sekisho: %s.\n" % text)
        sys.stderr.flush()
    except Exception:
        pass


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] != "sync":
        sys.exit("usage: python sekisho.py sync [FOLDER]")
    try:
        print("%d spools sent" % sync(sys.argv[2] if len(sys.argv) > 2 else None))
    except (_Away, _Refused) as problem:
        sys.exit("sekisho: %s" % problem)
