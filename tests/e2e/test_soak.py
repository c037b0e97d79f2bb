"""serin serve under many requests: the split, cameras that keep their side, and weights that change under load.

SPDX-License-Identifier: Apache-2.0

Each test has a short form, and a long one for `make soak` (SERIN_SOAK=1): 100,000 requests over two real versions, 1,000
changes of weight. Counts are held against the exact binomial bounds of binomial_bounds(): a gateway that draws as it should
fails one look in 1e9 (FALSE_ALARM); there are 7 looks. Workers cannot run under ThreadSanitizer: then the two versions are
servers that echo.
"""
import bisect
import concurrent.futures
import contextlib
import fractions
import math
import os
import random
import re
import socket
import subprocess
import threading
import time

import pytest
from conftest import PICTURES, ROOT
from serve_fixture import DEADLINE_S, needs_workers, push_two, serving

LONG = bool(os.environ.get("SERIN_SOAK"))
REQUESTS = 100_000 if LONG else 2_000
CAMERAS = 4_000 if LONG else 250
ASKED_AGAIN = 5 if LONG else 2  # how often each camera asks in a step: LONG is 6 x 4,000 x 5 = 120,000 requests
CHANGES = 1_000 if LONG else 100
STEPS = (1_000, 10_000, 50_000, 200_000, 500_000, 1_000_000)  # per million: .1 % to 100 %
FALSE_ALARM = 1e-9
ECHO = os.environ.get("SERIN_HTTP_ECHO", ROOT / "build" / "tests" / "http_echo")
PICTURE = (PICTURES / "shapes-97x211.jpg").read_bytes()
HAS_WORKERS = not needs_workers.args[0]


def binomial_bounds(count, share, false_alarm=FALSE_ALARM):
    """The narrowest low..high such that a binomial count lies below low, and above high, with at most half of false_alarm
    each. The tails are summed from their far ends, where terms are smallest, so that nothing is lost."""
    def chance(k):
        return math.exp(math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
                        + k * math.log(share) + (count - k) * math.log1p(-share))

    if share in (0, 1):
        return int(count * share), int(count * share)
    low, tail = 0, chance(0)
    while tail <= false_alarm / 2:
        low += 1
        tail += chance(low)
    high, tail = count, chance(count)
    while tail <= false_alarm / 2:
        high -= 1
        tail += chance(high)
    return low, high


@pytest.mark.parametrize("count, per_mille", ((40, 1), (40, 300), (200, 50), (333, 999)))
def test_the_bounds_themselves(count, per_mille):
    """Against sums of whole numbers."""
    share = fractions.Fraction(per_mille, 1000)
    chances = [math.comb(count, k) * share ** k * (1 - share) ** (count - k) for k in range(count + 1)]
    half = fractions.Fraction(1, 2000)
    low, high = binomial_bounds(count, per_mille / 1000, .001)
    assert sum(chances[:low]) <= half < sum(chances[:low + 1])
    assert sum(chances[high + 1:]) <= half < sum(chances[high:])


# ---- the load ----

ECHOED = b'{"images": [{"results": []}]}'  # what an echo gives back is taken for a prediction


class Pipe:
    """A connection that asks several at once, since one at a time the client would be the slowest part."""
    ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", re.DOTALL)

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def ask(self, requests):
        """(status, version, head, body) of each, in order."""
        self.socket.sendall(b"".join(requests))
        return [self._read() for _ in requests]

    def _more(self):
        piece = self.socket.recv(1 << 18)
        assert piece, "the gateway closed a connection"
        self.left += piece

    def _read(self):
        while not (head := self.ANSWER.match(self.left)):
            self._more()
        text = head[0]
        end = head.end() + int(re.search(rb"\r\nContent-Length: (\d+)", text)[1])
        while len(self.left) < end:
            self._more()
        body, self.left = self.left[head.end():end], self.left[end:]
        version = re.search(rb"\r\nX-Serin-Version: ([^\r]*)", text)
        return int(head[1]), version and version[1].decode(), text, body

    def close(self):
        self.socket.close()


def request(model, body, kind="image/jpeg", camera=None, query=""):
    return (f"POST /v1/predict/{model}{query} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            + (f"X-Camera: {camera}\r\n" if camera is not None else "") + "\r\n").encode() + body


def versions_of(port, requests, depth, connections=4):
    """Which version answered each of the requests, all of them well; spread over connections."""
    def part(number):
        found = []
        with contextlib.closing(Pipe(port)) as pipe:
            mine = requests[number::connections]
            for i in range(0, len(mine), depth):
                for status, version, head, body in pipe.ask(mine[i:i + depth]):
                    assert status == 200 and b"X-Serin-Fallback" not in head, (head, body)
                    found.append(version)
        return found

    found = [None] * len(requests)
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        for number, versions in enumerate(pool.map(part, range(connections))):
            found[number::connections] = versions
    return found


@contextlib.contextmanager
def echoes(count):
    """Addresses of so many servers that answer with what they are sent."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(subprocess.Popen([ECHO, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True))
                   for _ in range(count)]
        try:
            yield [f"http://127.0.0.1:{int(server.stdout.readline())}" for server in servers]
        finally:
            for server in servers:
                server.terminate()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A program with tiny:v1, which is stable, and tiny:v2, and the request that both answer."""
    folder = tmp_path_factory.mktemp("soak")
    with contextlib.ExitStack() as stack:
        if HAS_WORKERS:
            push_two(folder / "data")
        urls = ["", ""] if HAS_WORKERS else stack.enter_context(echoes(2))
        serve = stack.enter_context(serving(folder, "--worker-threads", "1", "--drain-seconds", "2"))
        for tag, url in zip(("v1", "v2"), urls):
            serve.deploy(f"tiny:{tag}", url, stable=tag == "v1")
        serve.ask_tiny = lambda camera=None: (request("tiny", PICTURE, camera=camera, query="?imgsz=32") if HAS_WORKERS else
                                              request("tiny", ECHOED, "application/json", camera))
        yield serve


# ---- the tests ----

def test_the_split(two):
    """Each request is drawn by itself."""
    per_million = 100_000
    two.put("tiny", unit="request")
    two.weights("tiny", v1=1_000_000 - per_million, v2=per_million)
    before = {tag: two.counters("tiny", tag) for tag in ("v1", "v2")}
    found = versions_of(two.port, [two.ask_tiny()] * REQUESTS, 2)
    count = found.count("v2")
    low, high = binomial_bounds(REQUESTS, per_million / 1e6)
    print(f"{count} of {REQUESTS} on v2, {low} to {high} are allowed")
    assert low <= count <= high
    for tag, expected in (("v1", REQUESTS - count), ("v2", count)):
        after = two.counters("tiny", tag)
        assert after["requests"] - before[tag]["requests"] == after["answered"] - before[tag]["answered"] == expected
        assert after["errors"] == after["failures"] == after["fallbacks"] == 0


def test_cameras_keep_their_side(two):
    """From .1 % to 100 % and to nothing: within a step no camera changes sides, and from step to step they only join."""
    two.put("tiny", unit="key", key_source="header", key_name="X-Camera", salt=f"{random.getrandbits(64):016x}")
    cameras = [f"camera-{i}" for i in range(CAMERAS)]
    before = set()
    for weight in STEPS:
        two.weights("tiny", v1=1_000_000 - weight, v2=weight)
        order = cameras * ASKED_AGAIN
        random.shuffle(order)  # so that each camera comes over several connections
        sides = {}
        for camera, version in zip(order, versions_of(two.port, [two.ask_tiny(camera) for camera in order], 2)):
            assert sides.setdefault(camera, version) == version, f"{camera} changed sides at {weight} per million"
        now = {camera for camera, version in sides.items() if version == "v2"}
        low, high = binomial_bounds(CAMERAS, weight / 1e6)
        print(f"{len(now)} of {CAMERAS} cameras on v2 at {weight / 1e4} %, {low} to {high} are allowed")
        assert low <= len(now) <= high and before <= now
        before = now
    two.weights("tiny", v1=1_000_000, v2=0)
    assert set(versions_of(two.port, [two.ask_tiny(camera) for camera in cameras], 2)) == {"v1"}


def test_weights_change_under_load(tmp_path):
    """Of three versions some have weight 0, others each time. A request may be served by a version only if a table with weight
    for it can have been in force between its first byte sent and its answer: one whose change was asked for before the answer
    came, and whose successor was not acknowledged before the request was sent."""
    tags, depth = ("a", "b", "c"), 4
    tables, seen, ended = [(0.0, 0.0, {"a"})], [], threading.Event()  # asked for, acknowledged, tags with weight

    def load(number):
        mine, i = [], 0
        with contextlib.closing(Pipe(serve.port)) as pipe:
            while not ended.is_set():
                bodies = [b'{"images": [{"results": []}], "of": %d, "number": %d}' % (number, i + j) for j in range(depth)]
                sent = time.monotonic()
                answers = pipe.ask([request("m", body, "application/json") for body in bodies])
                received = time.monotonic()
                for body, (status, version, head, got) in zip(bodies, answers):
                    assert status == 200 and b"X-Serin-Fallback" not in head, (head, got)
                    assert got == body, "the answer is another request's"
                    mine.append((sent, received, version))
                i += depth
        return mine

    def change():
        draw = random.Random(1)
        try:
            with contextlib.closing(Pipe(serve.port)) as pipe:
                for _ in range(CHANGES):
                    weights = {tag: draw.choice((0, 0, 1, 1000)) for tag in tags}
                    weights[draw.choice(tags)] = 7
                    asked = time.monotonic()
                    serve.weights("m", **weights)
                    tables.append((asked, time.monotonic(), {tag for tag in tags if weights[tag]}))
                    for status, version, head, _ in pipe.ask([request("m", ECHOED, "application/json")] * 3):
                        assert status == 200 and weights[version] > 0, (weights, head)  # the next request of all
        finally:
            ended.set()

    with echoes(3) as urls, serving(tmp_path, "--drain-seconds", "2") as serve:
        for tag, url in zip(tags, urls):
            serve.deploy(f"m:{tag}", url, stable=tag == "a")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load, number) for number in range(3)]
            pool.submit(change).result()
            seen = [one for each in loads for one in each.result()]
        counters = [serve.counters("m", tag) for tag in tags]
    strict = 0
    asked_at = [asked for asked, _, _ in tables]
    replaced_at = [acknowledged for _, acknowledged, _ in tables[1:]] + [math.inf]
    for sent, received, version in seen:
        possible = range(bisect.bisect_left(replaced_at, sent), bisect.bisect_right(asked_at, received))
        allowed = set().union(*(tables[i][2] for i in possible))
        assert version in allowed, f"{version} had no weight: {[tables[i] for i in possible]}, {sent} to {received}"
        strict += len(allowed) < len(tags)
    print(f"{CHANGES} changes under {len(seen)} requests, {strict} of which met a version that had no weight all the time")
    assert strict > 0
    assert all(one["errors"] == one["failures"] == one["fallbacks"] == one["aborted"] == 0 for one in counters)
    assert sum(one["answered"] for one in counters) == len(seen) + 3 * CHANGES
