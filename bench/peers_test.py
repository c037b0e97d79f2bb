"""What the comparison with other servers stands on: the open loop, and the check that they give the same boxes.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import contextlib
import math
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import open_loop  # noqa: E402
from same_boxes import different  # noqa: E402

RATE, SECONDS, SEED = 200, .5, 3
ANSWER = b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n%s\r\n{}"


def arrivals():
    """How many requests the generator's own draw gives."""
    draw, at, count = random.Random(SEED), 0., 0
    while (at := at + draw.expovariate(RATE)) < SECONDS:
        draw.randrange(1)
        count += 1
    return count


def run(answer, ask):
    """What ask(port) gives beside a server whose answer(number of the request) is awaited for the bytes to send; and what came there."""
    seen = {"requests": 0, "connections": 0}

    async def serve(reader, writer):
        seen["connections"] += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"Content-Length: 4" in head and await reader.readexactly(4) == b"body"
                seen["requests"] += 1
                writer.write(await answer(seen["requests"]))
        writer.close()

    async def both():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        given = await ask(server.sockets[0].getsockname()[1])
        server.close()
        return given

    return asyncio.run(both()), seen


def load_it(port):
    return open_loop.run_open(port, "/", [b"body"], RATE, SECONDS, SEED)


def test_requests_leave_though_none_is_answered():
    wanted, go = arrivals(), asyncio.Event()

    async def hold(number):  # a closed loop would wait for ever
        if number == wanted:
            go.set()
        await go.wait()
        return ANSWER % (200, b"")

    load, seen = run(hold, load_it)
    assert wanted > 50 and seen == {"requests": wanted, "connections": wanted}
    assert load.good == len(load.latencies_ms) == len(load.lateness_ms) == wanted and not load.failures


def test_latency_counts_from_when_a_request_was_due():
    async def answer(_):
        return ANSWER % (200, b"")

    async def late(port):
        load = open_loop.Load()
        await open_loop.one(open_loop.Connections(port, "/"), b"body", time.monotonic() - 5, load)
        return load

    load, _ = run(answer, late)
    assert min(load.latencies_ms + load.lateness_ms) >= 5000


def test_what_is_never_answered_counts_as_never(monkeypatch):
    monkeypatch.setattr(open_loop, "GRACE_S", .1)

    async def odd(number):
        await asyncio.sleep(0 if number % 2 else 60)
        return ANSWER % (200, b"")

    load, seen = run(odd, load_it)
    never = sum(math.isinf(latency) for latency in load.latencies_ms)
    assert never == seen["requests"] // 2 == sum(load.failures.values())
    assert open_loop.percentile(load.latencies_ms, 99) == math.inf


def test_refusals_are_failures():
    async def refuse(number):
        return ANSWER % (503 if number <= 3 else 200, b"")

    load, _ = run(refuse, load_it)
    assert load.failures == {"status 503": 3} and load.good == arrivals() - 3


def test_connections_are_kept_until_the_server_closes_them():
    async def answer(number):
        return ANSWER % (200, b"Connection: close\r\n" if number == 2 else b"")

    async def in_turn(port):
        connections = open_loop.Connections(port, "/")
        return [(await connections.ask(b"body"))[2] for _ in range(4)]

    assert run(answer, in_turn) == ([b"{}"] * 4, {"requests": 4, "connections": 2})


def test_percentiles_are_of_the_nearest_rank():
    assert [open_loop.percentile(list(range(1, 101)), percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert open_loop.percentile([7], 50) == 7 and open_loop.percentile([], 50) == math.inf


def found(confidence=.9, name="person", **box):
    return {"name": name, "confidence": confidence, "box": {"x1": 10, "y1": 10, "x2": 110, "y2": 210, **box}}


def test_boxes_that_differ_are_seen():
    assert different([found(), found(x1=300, x2=400)], [found(x1=300, x2=400, confidence=.905), found(y2=211)]) == 0
    for other in (found(x2=115), found(confidence=.92), found(name="dog")):
        assert different([found()], [other]) == 2
    assert different([found()], []) == different([], [found()]) == different([found()], [found(), found()]) == 1
    assert different([found(confidence=.255)], []) == 0
