"""The verbs for a running serve, against small servers of this file: what they send, and what they say of the answers.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import copy
import http.server
import itertools
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
from conftest import BIN, PICTURES, TIMEOUT_S, serin
from serve_fixture import Fake, answer, serving

ROUTE = {"model": "m", "revision": 7, "stable": "v1", "unit": "request", "key_source": "header", "key_name": "X-Camera",
         "block_seconds": 60, "salt": "00000000deadbeef", "timeout_ms": 10000, "canary_timeout_ms": 5000,
         "versions": [{"tag": "v1", "weight": 99, "drain_weight": 0}, {"tag": "v2", "weight": 1, "drain_weight": 0}],
         "rules": [], "mirrors": [], "needs_key": False}


def status_of(requests=(990, 10)):
    def version(tag, weight, count, **more):
        return {"tag": tag, "weight": weight, "share": weight / 100, "url": "", "breaker": "closed", "ready": 1,
                "replicas": [{"state": "ready", "why": "", "pid": 1, "endpoint": "unix:/x", "resident_bytes": 1, "restarts": 0}],
                "counters": {"requests": count, "answered": count, "failures": 0, "fallbacks": 0},
                "latency_ms": {"p50": 1.0, "p95": 2.5, "p99": 3.0}, **more}

    crashed = {"state": "backoff", "why": "out of memory", "pid": 0, "endpoint": "", "resident_bytes": 0, "restarts": 3}
    canary = version("v2", 1, requests[1], breaker="open")
    canary["replicas"].append(crashed)
    canary["counters"].update(failures=8, fallbacks=7, mirrored=5)
    return {"version": "0.1.0", "uptime_s": 3723, "gateway": {"listen": "127.0.0.1:8080", "port": 8080},
            "models": [{"model": "m", "stable": "v1", "unit": "request", "revision": 7,
                        "versions": [version("v1", 99, requests[0], engine={"provider": "onednn-bf16", "why": ""}), canary]}]}


class Server(http.server.ThreadingHTTPServer):
    """answer(method, path, headers, body) gives (status, body or JSON[, headers]); all requests are kept."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer):
        self.answer, self.seen, self.lock = answer, [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.seen.append((self.command, self.path, dict(self.headers), body))
        status, answer, *headers = self.server.answer(self.command, self.path, self.headers, body)
        answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        for name, value in (headers[0] if headers else {}).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # who was interrupted does not listen any more
            self.wfile.write(answer)

    do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = handle_any

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(answer):
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def admin(method, path, _, body):
    """A route that changes as the admin API says."""
    route = copy.deepcopy(ROUTE)
    if path == "/api/v1/routes":
        return 200, [route]
    if path == "/api/v1/routes/m" and method == "GET":
        return 200, route
    if path == "/api/v1/routes/m" and method == "PUT":
        return 200, {**json.loads(body), "revision": 8}
    if path == "/api/v1/routes/m/weights" and method == "PATCH":
        for tag, weight in json.loads(body).items():
            if tag not in ("v1", "v2"):
                return 404, {"error": f"model 'm' has no version '{tag}'"}
            next(v for v in route["versions"] if v["tag"] == tag)["weight"] = weight
        return 200, route
    if path == "/api/v1/deploy":
        return 200, route
    if path == "/api/v1/serving/m:v2":
        return 200, {}
    if path == "/api/v1/serving/m:v1":
        return 409, {"error": "m:v1 is stable"}
    if path == "/api/v1/status":
        return 200, status_of()
    return 404, {"error": f"no such thing as {path}"}


@pytest.fixture
def api():
    with serve(admin) as server:
        yield server


def ask(server, *arguments, **options):
    return serin(*arguments, "--admin", server.address, **options)


# ---- the admin API's verbs ----


def test_route_get_shows_shares(api):
    run = ask(api, "route", "get")
    assert run.returncode == 0 and run.stderr == ""
    assert re.search(r"v1 +99 +99\.0000 %\n +v2 +1 +1\.0000 %\n", run.stdout)
    assert "m: revision 7, stable v1, by request\n" in run.stdout
    assert ask(api, "route", "get", "m").stdout == run.stdout
    assert json.loads(ask(api, "route", "get", "m", "-o", "json").stdout) == ROUTE
    assert json.loads(ask(api, "route", "get", "--output=json").stdout) == [ROUTE]


def test_weights_alone_are_one_patch(api):
    run = ask(api, "route", "set", "m", "v2=10", "v1=90", env={"USER": "eve\r\nX: y"})
    assert run.returncode == 0 and run.stderr == ""
    assert re.search(r"v2 +10 +10\.0000 %", run.stdout)
    (method, path, headers, body), = api.seen
    assert (method, path, json.loads(body)) == ("PATCH", "/api/v1/routes/m/weights", {"v2": 10, "v1": 90})
    assert headers["X-Serin-Author"] == "cli eve??X:?y" and headers["Content-Type"] == "application/json"


def test_other_changes_keep_what_is_not_named(api):
    run = ask(api, "route", "set", "m", "v2=5", "--key", "cookie:line", "--rule", "X-Canary=a:b:v2,X-Any:v1", "--mirror",
              "v2=.5,v1=100", "--timeout-ms", "900", "--canary-timeout-ms", "800", "-o", "json")
    assert run.returncode == 0
    assert [(seen[0], seen[1]) for seen in api.seen] == [("GET", "/api/v1/routes/m"), ("PUT", "/api/v1/routes/m")]
    expected = {**ROUTE, "unit": "key", "key_source": "cookie", "key_name": "line", "timeout_ms": 900, "canary_timeout_ms": 800,
                "rules": [{"header": "X-Canary", "value": "a:b", "tag": "v2"}, {"header": "X-Any", "value": "", "tag": "v1"}],
                "mirrors": [{"tag": "v2", "per_million": 5000}, {"tag": "v1", "per_million": 1000000}]}
    expected["versions"] = [ROUTE["versions"][0], {"tag": "v2", "weight": 5, "drain_weight": 0}]
    assert json.loads(api.seen[1][3]) == expected
    assert json.loads(run.stdout) == {**expected, "revision": 8}


@pytest.mark.parametrize("options, expected", [
    (["--block", "300"], {"unit": "key_block", "block_seconds": 300}),
    (["--unit", "key"], {"unit": "key"}),
    (["--unit", "key", "--block", "9"], {"unit": "key", "block_seconds": 9}),
    (["--key", "address"], {"unit": "key", "key_source": "address"}),
    (["--rule", "none", "--mirror", "none"], {}),
])
def test_units(api, options, expected):
    assert ask(api, "route", "set", "m", *options).returncode == 0
    assert json.loads(api.seen[1][3]) == {**ROUTE, **expected}


def test_shares_that_few_cameras_cannot_give(api):
    run = ask(api, "route", "set", "m", "--unit", "key", "--cameras", "8")
    assert run.returncode == 0 and "8 cameras cannot give v2 1 %" in run.stderr and "12.5 %" in run.stderr
    assert ask(api, "route", "set", "m", "--unit", "key", "--cameras", "100").stderr == ""
    assert "takes 100 cameras" in ask(api, "route", "set", "m", "--unit", "key").stderr
    assert ask(api, "route", "set", "m", "--unit", "key_block", "--cameras", "8").stderr == ""


def test_unknown_versions(api):
    run = ask(api, "route", "set", "m", "v9=1")
    assert (run.returncode, run.stderr) == (1, "serin: route: model 'm' has no version 'v9'\n")
    run = ask(api, "route", "set", "m", "v9=1", "--unit", "key")
    assert run.returncode == 1 and "m has no version v9" in run.stderr
    run = ask(api, "route", "set", "m", "--rule", "X-A:v9")
    assert run.returncode == 1 and "v9" in run.stderr
    assert all(seen[0] != "PUT" for seen in api.seen)


@pytest.mark.parametrize("arguments, words", [
    (["route", "show"], ["'show'", "get nor set"]),
    (["route", "set"], ["needs a model"]),
    (["route", "set", "m"], ["nothing to set"]),
    (["route", "set", "m", "v1"], ["TAG=WEIGHT"]),
    (["route", "set", "m", "v1=1.5"], ["'1.5'", "0 to 1000000"]),
    (["route", "set", "m", "v1=1000001"], ["'1000001'"]),
    (["route", "set", "m", "v1=-1"], ["'-1'"]),
    (["route", "set", "m", "v1=1", "v1=2"], ["v1 is given two weights"]),
    (["route", "set", "M!", "v1=1"], ["M!"]),
    (["route", "set", "m", "--key", "X-Camera"], ["header:NAME"]),
    (["route", "set", "m", "--mirror", "v2=101"], ["0 to 100 percent"]),
    (["route", "set", "m", "--mirror", "v2"], ["TAG=PERCENT"]),
    (["route", "set", "m", "--rule", "X-A=1"], ["HEADER=VALUE:TAG"]),
    (["route", "get", "m", "--unit", "key"], ["get changes nothing"]),
    (["route", "get", "m", "n"], ["'n'"]),
    (["route", "get", "-x"], ["-x"]),
    (["deploy", "m"], ["m"]),
    (["deploy", "m:v1", "--replicas", "17"], ["'17'"]),
    (["undeploy", "m"], ["m"]),
    (["stream", "--dir", "d", "--model", "../x"], ["../x"]),
])
def test_wrong_words_never_reach_the_server(api, arguments, words):
    run = serin(*arguments, env={"SERIN_ADMIN": api.address})
    assert run.returncode == 2 and run.stdout == "" and run.stderr.count("\n") == 1
    for word in words:
        assert word in run.stderr
    assert api.seen == []


def test_deploy(api):
    run = ask(api, "deploy", "m:v2", "--canary", "--replicas", "3")
    assert run.returncode == 0 and "m:v2 is ready" in run.stdout and "99.0000 %" in run.stdout
    assert ask(api, "deploy", "m:v2", "--url", "http://10.0.0.7:8000", "--confirm").returncode == 0
    first, second = [json.loads(seen[3]) for seen in api.seen]
    assert first == {"name": "m:v2", "replicas": 3, "stable": False, "confirm": False}
    assert second == {"name": "m:v2", "url": "http://10.0.0.7:8000", "stable": True, "confirm": True}
    assert {seen[:2] for seen in api.seen} == {("POST", "/api/v1/deploy")}


def test_undeploy(api):
    run = ask(api, "undeploy", "m:v2")
    assert (run.returncode, run.stdout) == (0, "m:v2 is stopping: its workers end what they have begun\n")
    run = ask(api, "undeploy", "m:v1")
    assert (run.returncode, run.stdout, run.stderr) == (1, "", "serin: undeploy: m:v1 is stable\n")
    assert [seen[:2] for seen in api.seen] == [("DELETE", "/api/v1/serving/m:v2"), ("DELETE", "/api/v1/serving/m:v1")]


def test_status(api):
    run = ask(api, "status")
    assert run.returncode == 0
    lines = run.stdout.split("\n")
    assert lines[0] == "serin 0.1.0, up 1 h 02 min 03 s, gateway 127.0.0.1:8080"
    assert lines[3].split() == ["m", "v1", "(stable)", "99", "%", "1/1", "0", "-", "0", "2.5", "0", "0", "closed", "onednn-bf16"]
    assert lines[4].split() == ["v2", "1", "%", "1/2", "3", "-", "5", "2.5", "8", "7", "open", "-"]
    assert lines[5] == "! m:v2 replica 1 is backoff: out of memory (3 restarts)"
    assert json.loads(ask(api, "status", "-o", "json").stdout) == status_of()


@pytest.mark.parametrize("verdict, proves, proven_step, proven_margin, words", [
    ("unknown", .3, None, None, "unknown"), ("no harm", .3, 3, .3, "no harm"), ("no harm", .4, 2, .4, "within +40 pt"),
    ("unknown", None, 3, .3, "proven in step 3"), ("unknown", None, 2, .4, "within +40 pt in step 2"), ("harm", None, 2, .4, "harm")])
def test_a_guard_tells_what_was_proven_of_it(verdict, proves, proven_step, proven_margin, words):
    """Behind a promotion nothing is asked for: less than the margin was called proven, beside bounds that said otherwise."""
    guard = {"guard": "lost", "metric": "lost", "unit": "share", "relative": False, "slice": "", "verdict": verdict, "on_harm": "ask",
             "margin": .3, "proves": proves, "proven_step": proven_step, "proven_margin": proven_margin, "stable": .1, "canary": .2,
             "estimate": .1, "lower": -.08, "upper": .3, "log_e_harm": 0, "log_e_harm_needed": 3}
    with serve(lambda *_: (200, {"id": "m-1", "phase": "Promoted", "guards": [guard]})) as server:
        line, = [line for line in ask(server, "rollout", "get", "m").stdout.split("\n") if line.startswith("  lost ")]
    assert re.search(rf" -8 pt \.\. \+30 pt +\+30 pt  {re.escape(words)} *$", line), line


def test_status_of_nothing():
    with serve(lambda *_: (200, {**status_of(), "models": []})) as server:
        assert "serin deploy" in ask(server, "status").stdout


def test_watch_shows_rates():
    looks = iter([status_of((1000, 10)), status_of((3000, 10)), status_of((0, 10))])

    def answer(*_):
        look = next(looks, None)
        return (200, look) if look else (503, {"error": "it is over"})

    with serve(answer) as server:
        run = ask(server, "status", "--watch", "--every", ".01")
    assert (run.returncode, run.stderr) == (1, "serin: status: it is over\n")
    rates = [re.search(r"99 % +1/1 +0 +(\S+)", table).group(1) for table in run.stdout.split("MODEL")[1:]]
    assert rates[0] == "-" and float(rates[1]) > 0 and rates[2] == "-"  # it was started again in between
    assert "\x1b" not in run.stdout


def test_nobody_there():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{held.getsockname()[1]}"
        for arguments in (["status"], ["route", "get"], ["route", "set", "m", "a=1"], ["deploy", "m:v1"], ["undeploy", "m:v1"]):
            run = serin(*arguments, "--admin", address)
            assert run.returncode == 1 and run.stdout == ""
            assert run.stderr == f"serin: {arguments[0]}: no serin serve at {address}: cannot connect: connection refused\n"
        run = serin("stream", "--dir", PICTURES, "--model", "m", "--to", f"http://{address}")
        assert run.returncode == 1 and "no gateway there" in run.stderr and "connection refused" in run.stderr


@pytest.mark.parametrize("answer, words", [
    ((200, b"<html>"), ["no JSON"]),
    ((502, b"Bad gateway"), ["502 Bad Gateway", "without a reason"]),
    ((200, b"[1, 2]"), ["admin API"]),
    ((200, b""), ["admin API"]),
    ((400, {"error": "no\x1b[2Jway"}), ["no?[2Jway"]),
    ((200, {"model": "m", "salted": 1}), ["salted"]),
])
@pytest.mark.parametrize("arguments", [["status"], ["route", "get", "m"], ["route", "set", "m", "v1=1"], ["deploy", "m:v1"]])
def test_other_servers(arguments, answer, words):
    with serve(lambda *_: answer) as server:
        run = ask(server, *arguments)
    assert run.returncode == 1 and run.stdout == "" and run.stderr.count("\n") == 1
    if arguments != ["status"] or words != ["salted"]:
        for word in words:
            assert word in run.stderr


def test_server_that_hangs_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def hang_up():
            connection = listener.accept()[0]
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        run = serin("status", "--admin", f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert run.returncode == 1 and run.stderr.startswith("serin: status: ") and run.stderr.count("\n") == 1


def test_strange_names_reach_the_server_escaped(api):
    run = ask(api, "route", "get", "a/../b c")
    assert run.returncode == 1
    assert api.seen[0][1] == "/api/v1/routes/a%2F..%2Fb%20c"


# ---- stream ----


@pytest.fixture
def frames(tmp_path):
    """Four frames, each its own bytes: nothing may look into them."""
    folder = tmp_path / "day"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.jpg").write_bytes(b"frame %d" % i)
    return folder


def play(server, folder, *arguments, **options):
    rate = () if "--fps" in arguments else ("--fps", "500")
    return serin("stream", "--dir", folder, "--model", "m", "--to", f"http://{server.address}", *rate, *arguments, **options)


def test_stream_plays_all_of_the_footage(frames):
    with serve(lambda *_: (200, {}, {"X-Serin-Version": "v1"})) as server:
        run = play(server, frames, "--cameras", "3", "--in-flight", "64", "--json")
    assert run.returncode == 0 and run.stderr == ""
    summary = json.loads(run.stdout)
    assert [summary[key] for key in ("sent", "answered", "errors", "dropped", "fallbacks", "cameras_switched")] == [12, 12, 0, 0, 0, 0]
    assert summary["versions"] == {"v1": 12} and summary["latency_ms"]["p95"] > 0 and summary["first_error"] is None
    assert {seen[:2] for seen in server.seen} == {("POST", "/v1/predict/m")}
    shown = {camera: sorted(seen[3] for seen in server.seen if seen[2]["X-Camera"] == camera) for camera in ("c1", "c2", "c3")}
    assert shown == {camera: [b"frame 0", b"frame 1", b"frame 2", b"frame 3"] for camera in shown}
    assert all(seen[2]["Content-Type"] == "image/jpeg" for seen in server.seen)


def test_stream_begins_at_other_places(frames):
    with serve(lambda *_: (200, {})) as server:
        assert play(server, frames, "--cameras", "4", "--fps", "10", "--seconds", ".1").returncode == 0
    assert {seen[2]["X-Camera"]: seen[3] for seen in server.seen} == {f"c{i + 1}": b"frame %d" % i for i in range(4)}


def test_stream_counts_versions_fallbacks_and_sides(frames):
    count = {}

    def answer(_, __, headers, ___):
        camera = headers["X-Camera"]
        count[camera] = count.get(camera, 0) + 1
        if camera == "c1":  # of the canary, which fails once
            return 200, {}, {"X-Serin-Version": "v1", "X-Serin-Fallback": "v2"} if count[camera] == 2 else {"X-Serin-Version": "v2"}
        return 200, {}, {"X-Serin-Version": "v2" if camera == "c2" and count[camera] == 3 else "v1"}

    with serve(answer) as server:
        run = play(server, frames, "--cameras", "4", "--in-flight", "64")
    assert run.returncode == 0
    assert "4 cameras sent 16 frames" in run.stdout and "16 answers" in run.stdout and "0 errors, 0 dropped" in run.stdout
    assert "v1 75.00 % (12)" in run.stdout and "v2 25.00 % (4)" in run.stdout
    assert "1 fallbacks; 1 of 4 cameras changed versions" in run.stdout


@pytest.mark.parametrize("error", ["too busy", {"code": "overloaded", "message": "too busy"}])
def test_stream_counts_errors(frames, error):
    def answer(_, __, headers, ___):
        return (503, {"error": error}) if headers["X-Camera"] == "c2" else (200, {})

    with serve(answer) as server:
        run = play(server, frames, "--cameras", "2", "--in-flight", "64", "--json")
    assert run.returncode == 1 and json.loads(run.stdout)["errors"] == 4 and json.loads(run.stdout)["answered"] == 4
    assert run.stderr == "serin: stream: 4 errors, the first: camera c2: 503 Service Unavailable: too busy\n"


# ---- labels ----


@pytest.fixture
def labelled(tmp_path):
    """Two pictures of 64 x 64 pixels, one of them labelled."""
    images, labels = tmp_path / "images" / "day", tmp_path / "labels" / "day"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for name in ("a", "b"):
        shutil.copy(PICTURES / "shapes-64x64.png", images / f"{name}.png")
    (labels / "a.txt").write_text("1 0.5 0.5 0.25 0.5\n0 0.25 0.25 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("path: .\nval: images/day\nnames:\n  0: cat\n  1: dog\n")
    return tmp_path


TRUTH = {"boxes": [{"name": "dog", "box": {"x1": 24, "y1": 16, "x2": 40, "y2": 48}},
                   {"name": "cat", "box": {"x1": 0, "y1": 0, "x2": 32, "y2": 32}}]}


def play_labels(folder, *arguments, status=202, labels="auto"):
    """Plays, and gives the run, the ids of labelled frames, and the feedback by its path."""
    count = itertools.count()
    labelled_ids = set()

    def answer(_, path, __, body):
        if path.startswith("/v1/feedback/"):
            return status, {"error": "no room"} if status != 202 else {}
        name = f"id-{next(count)}"
        labelled_ids.add(name)
        return 200, {}, {"X-Request-Id": name}

    with serve(answer) as server:
        run = play(server, folder / "images" / "day", "--labels", labels, "--data", folder / "data.yaml", "--cameras", "2",
                   "--in-flight", "64", "--label-delay", ".02", "--json", *arguments)
    told = {seen[1].rpartition("/")[2]: seen for seen in server.seen if "feedback" in seen[1]}
    return run, labelled_ids, told


def test_stream_posts_labels(labelled):
    run, ids, told = play_labels(labelled, "--label-share", "1")
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert (summary["sent"], summary["labels"], summary["label_errors"]) == (4, 2, 0)
    assert len(told) == 2 and told.keys() < ids
    for method, _, headers, body in told.values():
        assert (method, headers["Content-Type"], json.loads(body)) == ("POST", "application/json", TRUTH)


def test_stream_finds_labels_in_a_folder(labelled):
    (labelled / "labels" / "day" / "b.txt").write_text("")  # looked at, and there is nothing
    run, _, told = play_labels(labelled, "--label-share", "1", labels=labelled / "labels" / "day")
    assert run.returncode == 0, run.stderr
    assert sorted(len(json.loads(seen[3])["boxes"]) for seen in told.values()) == [0, 0, 2, 2]


def test_stream_labels_a_share(labelled):
    run, _, told = play_labels(labelled, "--label-share", ".25", "--seconds", ".4", "--loop", "--fps", "500")
    summary = json.loads(run.stdout)
    assert summary["label_errors"] == 0 and summary["labels"] == len(told)
    assert abs(summary["labels"] - summary["answered"] / 2 * .25) <= 2 + summary["answered"] * .02


def test_stream_says_when_labels_are_not_taken(labelled):
    run, _, _ = play_labels(labelled, "--label-share", "1", status=503)
    assert run.returncode == 1 and json.loads(run.stdout)["label_errors"] == 2
    assert run.stderr == "serin: stream: 2 errors, the first: a label: 503 Service Unavailable: no room\n"


@pytest.mark.parametrize("change,words", [
    (lambda at: (at / "labels" / "day" / "a.txt").write_text("7 .5 .5 .1 .1\n"), ["a.txt:1"]),
    (lambda at: (at / "labels" / "day" / "a.txt").write_text("0 5 5 1 1\n"), ["a.txt:1", "0 to 1"]),
    (lambda at: (at / "labels" / "day" / "a.txt").unlink(), ["no label file"]),
    (lambda at: (at / "data.yaml").write_text("path: .\nval: images/day\n"), ["names"]),
    (lambda at: (at / "data.yaml").unlink(), ["data.yaml"]),
    (lambda at: (at / "images" / "day" / "a.png").write_bytes(b"no picture"), ["a.png"])])
def test_stream_says_what_is_wrong_with_labels(labelled, change, words):
    change(labelled)
    run, _, _ = play_labels(labelled)
    assert run.returncode == 1 and not run.stdout and all(word in run.stderr for word in words), run.stderr


def test_stream_needs_names_for_labels(labelled):
    run = serin("stream", "--dir", labelled / "images" / "day", "--model", "m", "--labels", "auto")
    assert run.returncode == 2 and "--data" in run.stderr


def test_late_answers_do_not_delay_frames_and_too_many_are_dropped(frames):
    over = threading.Event()

    def answer(*_):
        over.wait(TIMEOUT_S)  # longer than anybody waits
        return 200, {}

    with serve(answer) as server:
        run = play(server, frames, "--fps", "400", "--cameras", "2", "--in-flight", "2", "--seconds", ".2", "--loop",
                   "--timeout-ms", "2000", "--json")
        over.set()
    summary = json.loads(run.stdout)
    assert run.returncode == 1 and "no whole answer in" in run.stderr
    assert [summary[key] for key in ("sent", "answered", "errors", "dropped")] == [4, 0, 4, 156]
    assert sorted(seen[2]["X-Camera"] for seen in server.seen) == ["c1", "c1", "c2", "c2"]


def test_dark_stretches(frames, tmp_path):
    dark = tmp_path / "dark"
    dark.mkdir()
    (dark / "night.png").write_bytes(b"night")

    def shown(share):
        with serve(lambda *_: (200, {})) as server:
            assert play(server, frames, "--cameras", "20", "--in-flight", "64", "--dark", dark, "--dark-share", share).returncode == 0
        cameras = {}
        for _, _, headers, body in server.seen:
            cameras.setdefault(headers["X-Camera"], set()).add(body == b"night")
        assert all(len(kinds) == 1 for kinds in cameras.values())  # a whole stretch
        return sum(kinds == {True} for kinds in cameras.values())

    assert shown("0") == 0 and shown("1") == 20 and 3 <= shown(".2") <= 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_in_order(frames, number):
    enough = threading.Event()

    def answer(*_):
        if len(server.seen) >= 20:
            enough.set()
        return 200, {}, {"X-Serin-Version": "v1"}

    with serve(answer) as server:
        with subprocess.Popen([BIN, "stream", "--dir", frames, "--model", "m", "--to", f"http://{server.address}", "--loop",
                               "--fps", "50", "--json"], stdout=subprocess.PIPE, text=True) as run:
            assert enough.wait(TIMEOUT_S)
            run.send_signal(number)
            out, _ = run.communicate(timeout=TIMEOUT_S)
    summary = json.loads(out)
    assert run.returncode == 0 and summary["answered"] == summary["sent"] == len(server.seen) and summary["errors"] == 0


def test_live_line_on_a_terminal(frames):
    leader, follower = pty.openpty()
    with serve(lambda *_: (200, {}, {"X-Serin-Version": "v1"})) as server:
        with subprocess.Popen([BIN, "stream", "--dir", frames, "--model", "m", "--to", f"http://{server.address}", "--loop",
                               "--json"], stdout=subprocess.PIPE, stderr=follower, env={**os.environ, "TERM": "xterm"}) as run:
            os.close(follower)
            shown = b""
            while b"v1 100.0 %" not in shown:
                shown += os.read(leader, 1000)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=TIMEOUT_S)
    os.close(leader)
    assert run.returncode == 0 and b"answers/s" in shown and b"p95" in shown and b"0 errors" in shown


# ---- the real one ----


def test_on_a_running_serve(tmp_path, frames):
    """Two fake model servers behind the program: what a person does in the course of a release."""
    stable = Fake()
    canary = Fake(lambda asked: answer(500) if b"frame 3" in asked.body else answer())
    with serving(tmp_path) as running, contextlib.ExitStack() as fakes:
        fakes.callback(stable.stop)
        fakes.callback(canary.stop)
        env = {"SERIN_ADMIN": f"127.0.0.1:{running.admin}"}
        to = f"http://127.0.0.1:{running.port}"

        def words(*arguments, code=0):
            run = serin(*arguments, env=env)
            assert run.returncode == code, run.stderr
            return run.stdout if code == 0 else run.stderr

        assert "serin deploy" in words("status") and "serin deploy" in words("route", "get")
        words("deploy", "m:v1", "--url", stable.url)
        words("deploy", "m:v2", "--url", canary.url, "--canary")
        assert re.search(r"v2 +50 +50\.0000 %", words("route", "set", "m", "v2=50", "v1=50"))
        summary = json.loads(words("stream", "--dir", frames, "--model", "m", "--to", to, "--fps", "200", "--cameras", "10",
                                   "--in-flight", "64", "--json"))
        assert summary["answered"] == 40 and summary["errors"] == 0
        assert set(summary["versions"]) == {"v1", "v2"} and summary["cameras_switched"] > 0
        assert summary["fallbacks"] == sum(b"frame 3" in asked.body for asked in canary.asked)
        status = json.loads(words("status", "-o", "json"))["models"][0]
        assert status["stable"] == "v1" and sum(v["counters"]["fallbacks"] for v in status["versions"]) == summary["fallbacks"]
        assert re.search(r"v1 \(stable\) +50 % +1/1 ", words("status"))
        assert "by key (header X-Camera)" in words("route", "set", "m", "--key", "header:X-Camera")
        summary = json.loads(words("stream", "--dir", frames, "--model", "m", "--to", to, "--fps", "200", "--cameras", "10",
                                   "--in-flight", "64", "--json"))
        assert summary["errors"] == summary["cameras_switched"] == 0
        assert "has weight 50" in words("undeploy", "m:v2", code=1)
        words("route", "set", "m", "v2=0")
        assert words("undeploy", "m:v2") == "m:v2 is stopping: its workers end what they have begun\n"
        assert "v2" not in words("route", "get", "m")
        assert "no version 'v2'" in words("route", "set", "m", "v2=1", code=1)


def test_footage_that_cannot_be_played(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        run = serin("stream", "--dir", folder, "--model", "m", "--to", "http://127.0.0.1:1")
        assert run.returncode == 1 and str(folder) in run.stderr
