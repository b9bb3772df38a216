"""Holds static/clients/sekisho.py against a running service: python_client.py URL MODULE FOLDER CHECKPOINT.

SEKISHO_TOKEN is a token with the scope `ingest`. Between the module and the service stands a proxy that can be gone, lose answers, and
answer 413, 429 and 500. Every scenario is a training loop in a process of its own, as it would be.
"""

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

SERVICE, MODULE, FOLDER, CHECKPOINT = sys.argv[1:5]
LOOP = """
import os, sys, time
sys.path.insert(0, %r)
import sekisho
def row(step): return {"train/loss": 9.0 / step, "lr": 1e-4, "tokens": step * 512, "accuracy": step / 1000}
""" % os.path.dirname(os.path.abspath(MODULE))


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # What to do with the next POSTs of metrics: "500", "lost" (taken, and the answer is lost), "429".
    faults = []
    largest = None
    seen = []

    def handle_error(self, request, address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.forward()

    def do_POST(self):
        self.forward()

    def do_PATCH(self):
        self.forward()

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/metrics") and self.command == "POST":
            rows = len(json.loads(body)["rows"])
            if Proxy.largest and rows > Proxy.largest:
                Proxy.seen.append("413")
                return self.answer(413, b'{"detail":"too large"}')
            fault = Proxy.faults.pop(0) if Proxy.faults else None
            if fault:
                Proxy.seen.append(fault)
            if fault == "lost":
                self.ask(body)
            if fault:
                return self.answer(429 if fault == "429" else 500, b"{}", {"Retry-After": "1"} if fault == "429" else {})
        status, text = self.ask(body)
        self.answer(status, text)

    def ask(self, body):
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type", "Upload-Offset") if self.headers[name]}
        request = urllib.request.Request(SERVICE + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def answer(self, status, text, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def proxy(port=0):
    server = Proxy(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def stop(server):
    server.shutdown()
    server.server_close()


def start(program, port, folder, **environment):
    environment = dict(
        os.environ, SEKISHO_SERVER="http://127.0.0.1:%d" % port, SEKISHO_SPOOL=os.path.join(FOLDER, folder), **environment
    )
    return subprocess.Popen([sys.executable, "-c", LOOP + program], env=environment, stderr=subprocess.PIPE, text=True)


def ends(process, status=0):
    said = process.communicate(timeout=120)[1]
    assert process.returncode == status, (process.returncode, said)
    return said


def get(path):
    request = urllib.request.Request(SERVICE + "/api/v1" + path)
    request.add_header("Authorization", "Bearer " + os.environ["SEKISHO_TOKEN"])
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def all_of(path):
    part = get(path)
    rows = part["items"]
    while part["next"]:
        part = get(part["next"][len("/api/v1"):])
        rows += part["items"]
    return rows


def has_rows(name, last):
    rows = all_of("/runs/%s/metrics" % name)
    assert [row["step"] for row in rows] == list(range(1, last + 1)), (name, len(rows), rows[:2], rows[-2:])
    for row in rows:
        assert row["loss"] == 9.0 / row["step"] and row["lr"] == 1e-4 and row["tokens"] == row["step"] * 512, row


def spools(folder):
    folder = os.path.join(FOLDER, folder)
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def a_loop_is_reported():
    server = proxy()
    said = ends(start("""
with sekisho.init(project="default", name="plain", config={"optimizer": {"lr": 1e-4}}) as run:
    for step in range(1, 31):
        run.log(row(step), step=step)
        run.log({"nested": {"value": 1}}, step=step)
    run.alert("title", "text", level="WARN")
""", server.server_port, "plain"))
    assert said == "", said
    has_rows("plain", 30)
    assert get("/runs/plain")["state"] == "finished"
    events = [(event["kind"], event["note"]) for event in all_of("/runs/plain/events")]
    assert ("note", "WARN: title: text") in events and ("finished", "") in events, events
    assert spools("plain") == [], spools("plain")
    stop(server)


def the_service_comes_back():
    server = proxy()
    port = server.server_port
    stop(server)
    process = start("""
run = sekisho.init(name="back")
for step in range(1, 41): run.log(row(step)); time.sleep(0.1)
run.finish()
""", port, "back")
    time.sleep(2.5)
    server = proxy(port)
    said = ends(process)
    assert "cannot be reached" in said and "answers again" in said, said
    has_rows("back", 40)
    assert spools("back") == []
    stop(server)


def a_later_process_sends_what_was_left():
    server = proxy()
    port = server.server_port
    stop(server)
    program = """
sekisho.init(name="left", config={"seed": 1})
for step in range(1, 21): sekisho.log(row(step))
sekisho.finish()
"""
    said = ends(start(program, port, "left", SEKISHO_FINISH_SECONDS="1"))
    assert "sync" in said and len(spools("left")) >= 1, (said, spools("left"))
    server = proxy(port)
    ends(start("""
run = sekisho.init(name="left", resume="allow")
for step in range(15, 31): run.log(row(step), step=step)
run.finish()
""", port, "left"))
    has_rows("left", 30)
    assert spools("left") == [], spools("left")
    stop(server)


def faults_cost_no_row():
    server = proxy()
    Proxy.faults, Proxy.largest, Proxy.seen = ["500", "lost", "429"], 40, []
    ends(start("""
run = sekisho.init(name="faults")
for step in range(1, 301): run.log(row(step))
run.finish()
""", server.server_port, "faults"))
    assert {"500", "lost", "429", "413"} <= set(Proxy.seen), Proxy.seen
    has_rows("faults", 300)
    assert spools("faults") == [], spools("faults")
    Proxy.largest = None
    stop(server)


def a_killed_process_loses_nothing_that_it_logged():
    server = proxy()
    port = server.server_port
    stop(server)
    process = start("""
run = sekisho.init(name="killed")
for step in range(1, 26): run.log(row(step))
time.sleep(2); print("READY", file=sys.stderr, flush=True); time.sleep(60)
""", port, "killed")
    while "READY" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    server = proxy(port)
    environment = dict(os.environ, SEKISHO_SERVER="http://127.0.0.1:%d" % port)
    synced = subprocess.run(
        [sys.executable, MODULE, "sync", os.path.join(FOLDER, "killed")], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert synced.returncode == 0 and synced.stdout == "1 spools sent\n", synced
    has_rows("killed", 25)
    stop(server)


def an_exception_ends_as_failed_and_nan_is_an_event():
    server = proxy()
    ends(start("""
run = sekisho.init(name="crash")
run.log({"loss": 2.0, "tokens": 1}); run.log({"loss": float("nan"), "tokens": 2}); run.log({"loss": float("nan"), "tokens": 3})
raise RuntimeError("out of memory")
""", server.server_port, "crash"), status=1)
    events = [(event["kind"], event["step"]) for event in all_of("/runs/crash/events")]
    assert get("/runs/crash")["state"] == "failed" and ("not_finite", 2) in events and ("not_finite", 3) not in events, events
    assert [row["loss"] for row in all_of("/runs/crash/metrics")] == [2.0, "NaN", "NaN"]
    stop(server)


def what_is_odd_does_not_stop_training():
    server = proxy()
    port = server.server_port
    # The folder of the spool is a file; the configuration is another than the registered one; values are no numbers.
    with open(os.path.join(FOLDER, "odd"), "w") as file:
        file.write("")
    said = ends(start("""
class Tensor:
    def item(self): return 9.0 / 31
run = sekisho.init(name="plain", config={"other": {1, 2}, "nan": float("nan")})
run.log({"loss": Tensor(), "lr": 1e-4, "tokens": 31 * 512, "picture": object(), "huge": 10**400}, step=31)
run.log({'a name, "quoted"' + chr(10): 1, "x" * 100: 2, **{"many/%d" % i: i for i in range(300)}}, step=31)
run.log({"loss": Tensor(), "lr": 1e-4, "tokens": 31 * 512}, step=31)
run.log({"loss": 1.0}, step=31, commit=True)
run.log({"loss": Tensor()}, step=31)
run.log({"loss": 1.0}, step=7)
run.log("no dictionary")
run.finish()
""", port, "odd"))
    assert "no spool can be written" in said and "without its configuration" in said and "was not logged" in said, said
    assert "steps go forward" in said and "200 metrics at most" in said, said
    has_rows("plain", 31)
    for arguments, message in [('resume="must", name="nobody"', "no run"), ('resume="never", name="plain"', "there is a run")]:
        said = ends(start("sekisho.init(%s)" % arguments, port, "resume"), status=1)
        assert "ValueError" in said and message in said, said
    # Other ranks say nothing, whatever they log.
    ends(start("""
run = sekisho.init(name="rank"); run.log({"loss": 1.0}); run.finish()
""", port, "rank", RANK="3"))
    assert "rank" not in [found["name"] for found in all_of("/runs")]
    stop(server)


def a_checkpoint_is_sent_where_no_disk_is_shared():
    server = proxy()
    copy = os.path.join(FOLDER, "checkpoint")
    shutil.copytree(CHECKPOINT, copy)
    ends(start("""
run = sekisho.init(name="copied", tokens_per_step=512)
run.log({"loss": 2.0}, step=7)
run.log_checkpoint(%r, copy=True)
run.log({"loss": 1.9}, step=8)
run.finish()
""" % copy, server.server_port, "copied"))
    shutil.rmtree(copy)
    assert [row["step"] for row in all_of("/runs/copied/metrics")] == [7, 8]
    for _ in range(200):
        [found] = all_of("/runs/copied/checkpoints")
        if found["state"] == "verified":
            break
        time.sleep(0.1)
    assert (found["state"], found["step"], found["tokens"]) == ("verified", 7, 7 * 512), found
    [kept] = get("/runs/copied/cleanup")["items"]
    assert kept["owned"] and not kept["path"].startswith(FOLDER), kept
    stop(server)


def logging_costs_little():
    server = proxy()
    port = server.server_port
    stop(server)
    ends(start("""
run = sekisho.init(name="cost")
begun = time.perf_counter()
for step in range(1, 10001): run.log(row(step))
took = time.perf_counter() - begun
assert took < 5.0, took
run.finish()
""", port, "cost", SEKISHO_FINISH_SECONDS="0.5"))


for scenario in [
    a_loop_is_reported,
    the_service_comes_back,
    a_later_process_sends_what_was_left,
    faults_cost_no_row,
    a_killed_process_loses_nothing_that_it_logged,
    an_exception_ends_as_failed_and_nan_is_an_event,
    what_is_odd_does_not_stop_training,
    a_checkpoint_is_sent_where_no_disk_is_shared,
    logging_costs_little,
]:
    scenario()
    print(scenario.__name__, flush=True)
