"""Clients that misbehave while a release runs: what they do is theirs, and never the canary's.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import http.client
import json
import resource
import socket
import threading

import pytest
from serve_fixture import answer, serving, until
from test_rollout import PERSON, Rollouts, plan, seen, step

# Whatever is slow, fails or is not drawn as it should be goes back.
STRICT = plan(step(50, evidence=10**9, time="600s"), guards=[
    {"metric": "error_rate", "margin": .02, "required": False},
    {"metric": "latency_p50", "limit": 1000, "required": False}])
SLOW_S = 2  # how long a client takes; half of it is far beyond what a version does, on a busy machine, too


@pytest.fixture(name="serve", scope="module")
def _serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("crowds"), "--drain-seconds", "2", "--gateway-threads", "2") as found:
        yield found


@pytest.fixture(name="models")
def _models(serve, request):
    made = Rollouts(serve, request.node.name.replace("_", "-")[:36].strip("-"))
    yield made
    made.remove()


def heard(models):
    """Of how many of the canary's requests the judge knows."""
    guard, = [guard for guard in models.get()["guards"] if guard["metric"] == "error_rate"]
    return guard["canary_count"]


def latencies(models):
    """The medians that the judge has of both, in ms."""
    return [guard[arm] for guard in models.get()["guards"] if guard["unit"] == "ms" for arm in ("stable", "canary")]


def connect(serve):
    return socket.create_connection(("127.0.0.1", serve.port), timeout=60)


def request(model, size, more=""):
    return f"POST /v1/predict/{model} HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n{more}\r\n".encode()


def read_answer(client):
    """Status and the whole answer of a connection that is kept."""
    with contextlib.closing(http.client.HTTPResponse(client)) as found:
        found.begin()
        found.read()
        return found.status


def at_once(count, work):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


def well(models):
    """Nobody was blamed."""
    found = models.get()
    assert found["phase"] == "Progressing", found["why"]
    rates = [guard[arm] for guard in found["guards"] for arm in ("stable", "canary") if guard["metric"] == "error_rate"]
    assert set(rates) <= {0, None}, rates  # None: not a request yet
    for tag in ("v1", "v2"):
        counted = models.counters(tag)
        assert counted["failures"] == counted["errors"] == counted["timeouts"] == 0, (tag, counted)


def test_slow_senders_and_slow_readers_are_not_slow_versions(models, serve):
    """A picture that comes over seconds, and an answer that nobody reads for one: a version had neither in its hands."""
    large = answer(body=json.dumps({"images": [{"results": []}], "x": "y" * 600_000}).encode())
    models.two(lambda asked: large, lambda asked: large)
    models.start(STRICT)
    models.reach("Progressing")

    def ask_slowly():
        with contextlib.closing(connect(serve)) as client:
            for _ in range(2):
                client.sendall(request(models.name, 4000))
                for _ in range(4):
                    threading.Event().wait(SLOW_S / 4)
                    client.sendall(b"x" * 1000)
                threading.Event().wait(SLOW_S / 2)  # the gateway has it, and nobody reads
                assert read_answer(client) == 200

    at_once(24, ask_slowly)
    until(lambda: heard(models) >= 10, "the judge's evidence")
    assert len(found := latencies(models)) == 2 and max(found) < SLOW_S * 1000 / 2, found
    well(models)


def test_who_leaves_is_no_evidence_of_slowness(models, serve):
    """Clients that send slowly and go away before the answer: the judge hears of the time that the version had."""
    def behave(asked):
        said.wait(60)
        return answer()

    said = threading.Event()
    said.set()
    models.two(behave, behave)
    models.put(timeout_ms=60000, canary_timeout_ms=60000)
    models.start(STRICT)
    models.reach("Progressing")

    def send_and_leave():
        with contextlib.closing(connect(serve)) as client:
            client.sendall(request(models.name, 1001))
            for _ in range(4):
                threading.Event().wait(SLOW_S / 4)
                client.sendall(b"x" * 250)
            before = models.stable.count + models.canary.count
            client.sendall(b"x")
            until(lambda: models.stable.count + models.canary.count > before, "the request")

    def those_who_left():
        file, = (serve.folder / "data" / "rollouts").glob(models.get()["id"] + "/1.ndjson")
        records = [json.loads(line) for line in file.read_text().splitlines()]
        return [record["latency_ms"]["total"] for record in records if record.get("status") == 499]

    with models.traffic(clients=1) as traffic:
        traffic.more(10)
        said.clear()
        at_once(24, send_and_leave)
        until(lambda: len(those_who_left()) == 24, "those who left")
        said.set()
        traffic.more(10)
    assert not traffic.errors
    assert sorted(those_who_left())[12] < SLOW_S * 1000 / 2, those_who_left()
    well(models)


def test_what_is_the_clients_fault_is_nobodys(models, serve):
    """Heads that are too large, bodies that are no picture and refused by both, half-closed connections, nonsense."""
    def behave(asked):
        return answer(422, b'{"error": "no picture"}') if asked.body == b"bad" else seen(PERSON)

    models.two(behave, behave)
    models.start(STRICT)
    models.reach("Progressing")
    with models.traffic() as traffic:
        for number in range(60):
            with contextlib.closing(connect(serve)) as client:  # half-closed is taken for gone, as nginx does
                client.sendall(request(models.name, 3) + b"abc")
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError, http.client.HTTPException):
                    assert read_answer(client) in (200, 499)
            with contextlib.closing(connect(serve)) as client:
                client.sendall(request(models.name, 3) + b"bad")
                assert read_answer(client) == 422
            with contextlib.closing(connect(serve)) as client, contextlib.suppress(OSError, http.client.HTTPException):
                client.sendall(request(models.name, 3, "X-Large: " + "x" * 300_000 + "\r\n"))
                assert read_answer(client) in (400, 431)
            with contextlib.closing(connect(serve)) as client:  # gone in the middle of its body
                client.sendall(request(models.name, 100000) + b"x" * number)
            with contextlib.closing(connect(serve)) as client, contextlib.suppress(OSError):
                client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))
                client.recv(100)
        traffic.more(100)
    assert not traffic.errors and traffic.by_version["v2"] > 20
    well(models)
    assert models.counters("v1")["client_errors"] >= 60  # stable has the last word in all of them


def test_a_crowd_of_idle_and_slow_connections(models, serve):
    """Two thousand that say nothing, and a hundred that say a byte of a head at a time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"{hard} descriptors at most here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    over = threading.Event()

    def dribble(clients):
        head = request(models.name, 10)
        for i in range(len(head) - 2):  # its end never comes
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(head[i:i + 1])
            if over.wait(.02):
                return

    models.two()
    models.start(STRICT)
    models.reach("Progressing")
    with contextlib.ExitStack() as held, models.traffic() as traffic:
        for _ in range(2000):
            held.enter_context(contextlib.closing(connect(serve)))
        slow = [held.enter_context(contextlib.closing(connect(serve))) for _ in range(100)]
        dribbling = threading.Thread(target=dribble, args=(slow,))
        dribbling.start()
        count = models.canary.count
        traffic.more(500)
        until(lambda: models.canary.count > count + 50, "the canary's requests")
        well(models)
        over.set()
        dribbling.join(60)
    assert not traffic.errors and not traffic.broken
    until(lambda: heard(models) > 50, "the judge's evidence")
    well(models)
