"""An open-loop load generator: requests leave when they are due, whether or not the answers before them have come.

wrk and most others are closed loops: a slow answer holds back the requests behind it, which are then not measured at all (coordinated
omission, Gil Tene). Here arrivals are drawn beforehand, as a Poisson process of a given rate and seed (independent cameras and clients),
each request is sent at its time on a connection that is idle, else on a new one, and its latency counts from the time at which it was
due. So a server that falls behind shows all of the queue that it makes. What is not answered when the time is up counts as never.

    open_loop(port, path, bodies, rate, seconds, seed)  -> Load
    closed_loop(port, path, bodies, connections, seconds) -> Load     as many as it can: throughput only

One process and thread; good for some hundreds of requests a second. Load.late_p99_ms says how late it was itself.
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import math
import random
import re
import time

IDLE_S = 2  # a connection that was idle for longer is not used again: servers close them (uvicorn after 5 s)
GRACE_S = 10  # for answers after the last request was due
MOST_CONNECTIONS = 512


class Load:
    """What came of it. latencies_ms has inf for what was not answered with 200."""

    def __init__(self):
        self.latencies_ms, self.lateness_ms, self.answers = [], [], []
        self.failures, self.seconds = {}, 0.

    def fail(self, why):
        self.failures[why] = self.failures.get(why, 0) + 1
        self.latencies_ms.append(math.inf)

    @property
    def good(self):
        return len(self.latencies_ms) - sum(self.failures.values())

    @property
    def late_p99_ms(self):
        return percentile(self.lateness_ms, 99)


def percentile(values, percent):
    """Nearest rank; inf where there is none."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)] if values else math.inf


class Connections:
    def __init__(self, port, path):
        self.port, self.idle, self.open = port, [], 0
        self.head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n".encode()

    async def ask(self, body):
        """The status, the head and the body of the answer."""
        while self.idle:
            reader, writer, since = self.idle.pop()
            if time.monotonic() - since < IDLE_S and not reader.at_eof():
                break
            self.close(writer)
        else:
            if self.open >= MOST_CONNECTIONS:
                raise ConnectionError(f"{MOST_CONNECTIONS} connections are busy")
            self.open += 1
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
            except BaseException:
                self.open -= 1
                raise
        try:
            writer.write(self.head % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
            if not length:
                raise ConnectionError("an answer without Content-Length")
            text = await reader.readexactly(int(length[1]))
        except BaseException:
            self.close(writer)
            raise
        if re.search(rb"(?i)\nconnection: *close", head):
            self.close(writer)
        else:
            self.idle.append((reader, writer, time.monotonic()))
        return int(head.split(None, 2)[1]), head, text

    def close(self, writer):
        self.open -= 1
        writer.close()

    def close_all(self):
        for _, writer, _ in self.idle:
            self.close(writer)


async def one(connections, body, due, load):
    load.lateness_ms.append((time.monotonic() - due) * 1000)
    try:
        status, head, text = await connections.ask(body)
    except asyncio.CancelledError:
        load.fail("no answer in time")
        return
    except (OSError, asyncio.IncompleteReadError) as error:
        load.fail(f"{type(error).__name__}: {error}")
        return
    if status == 200:
        load.latencies_ms.append((time.monotonic() - due) * 1000)
        load.answers.append((head, text))
    else:
        load.fail(f"status {status}")


async def run_open(port, path, bodies, rate, seconds, seed):
    draw, load, connections, tasks = random.Random(seed), Load(), Connections(port, path), []
    start, at = time.monotonic() + .05, 0.
    while (at := at + draw.expovariate(rate)) < seconds:
        body = bodies[draw.randrange(len(bodies))]
        await asyncio.sleep(max(0, start + at - time.monotonic()))
        tasks.append(asyncio.create_task(one(connections, body, start + at, load)))
    if tasks:
        _, waiting = await asyncio.wait(tasks, timeout=GRACE_S)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*tasks)
    load.seconds = seconds
    connections.close_all()
    return load


async def run_closed(port, path, bodies, count, seconds):
    load, connections, next_body = Load(), Connections(port, path), 0
    start = time.monotonic()

    async def client():
        nonlocal next_body
        while (now := time.monotonic()) - start < seconds:
            next_body += 1
            await one(connections, bodies[next_body % len(bodies)], now, load)

    await asyncio.gather(*(client() for _ in range(count)))
    load.seconds = time.monotonic() - start
    connections.close_all()
    return load


def open_loop(port, path, bodies, rate, seconds, seed):
    return asyncio.run(run_open(port, path, bodies, rate, seconds, seed))


def closed_loop(port, path, bodies, connections, seconds):
    return asyncio.run(run_closed(port, path, bodies, connections, seconds))
