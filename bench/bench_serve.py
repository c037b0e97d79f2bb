#!/usr/bin/env python3
"""serin serve as a whole: its pictures a second beside the engine alone, its memory, and what a mirror costs.

    bench_serve.py BUILD [path] [memory] [mirror]      all three where none is named
    BENCH_ROUNDS=5 BENCH_SECONDS=3                     needs wrk for path and mirror; 77 where it is absent

path    Pictures a second of wrk -> serin serve -> workers, and of `serin bench` (the library's loop over the same JPEGs, from memory):
        same cores (this process's first two, everything on them), same engine threads, batch 1; once one picture at a time on all
        cores, once as many pictures as cores side by side (as many replicas). Limit: 95 %. Beside it the CPU time that a picture
        takes, which a busy machine disturbs less.
memory  256 uploads of 2 MB, of which the upstream and a mirror have taken every byte and answered none: by how much the peak of the
        gateway's resident memory exceeds that before, divided by the bodies' bytes. Limit: 1.5.
mirror  p99 of clients with no mirror, with one to a port where nobody listens, and with one that takes 2 s; between its requests each
        client waits for a time of its own (exponential, 20 ms in the mean), or all would come at once, round after round.
        Limits: 1.10 x the p99 without, and no error.

Rounds are interleaved and medians compared.
SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT.parent / "shared" / "data"))
UPLOADS, UPLOAD_BYTES = 256, 2_000_000
below = []


def verdict(what, value, limit, least):
    good = value >= limit if least else value <= limit
    if not good:
        below.append(what)
    print(f"  {what}: {value:.3f} ({'at least' if least else 'at most'} {limit}) {'ok' if good else 'MISSED'}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from children(int(child))


def cpu_seconds(pid):
    """Of a process and those below it."""
    total = 0
    for one in [pid, *children(pid)]:
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def memory_of(pid, field):
    found = re.search(rf"^{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024


class Serve:
    def __init__(self, folder, *options):
        data = folder / "data"
        self.process = subprocess.Popen([BUILD / "serin", "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--admin",
                                         "127.0.0.1:0", "--log", folder / "log.ndjson", "--access-log", folder / "access.ndjson",
                                         *options], stdout=subprocess.PIPE, text=True)
        found = re.search(r"serving on [\d.]+:(\d+), admin on [\d.]+:(\d+)", self.process.stdout.readline())
        self.port, self.admin = int(found[1]), int(found[2])
        self.pid = self.process.pid

    def call(self, method, path, **body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}/api/v1/{path}", json.dumps(body).encode() if body else None,
                                         method=method)
        try:
            return json.loads(urllib.request.urlopen(request, timeout=120).read())
        except urllib.error.HTTPError as refusal:
            raise SystemExit(f"{method} {path}: {refusal.read().decode()}") from refusal

    def deploy(self, name, **more):
        self.call("POST", "deploy", name=name, **more)

    def mirror(self, tag):
        route = self.call("GET", "routes/m")
        route["mirrors"] = [{"tag": tag, "per_million": 1_000_000}] if tag else []
        self.call("PUT", "routes/m", **route)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def wrk(port, connections, script, seconds=SECONDS, name="m"):
    """Requests a second, p99 in ms, their number; ends where one was not answered with 200."""
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", "-s", script,
                           f"http://127.0.0.1:{port}/v1/predict/{name}"], capture_output=True, text=True, check=True)
    wrong = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", done.stdout)
    if wrong:
        sys.exit(f"{wrong[0]} at port {port}")
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    count = int(re.search(r"(\d+) requests in", done.stdout)[1])
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]),
            float(value) * {"us": .001, "ms": 1, "s": 1000}[unit], count)


# ---- the whole path ----

def bench_path(folder):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    cores = len(os.sched_getaffinity(0))
    model = DATA / "models" / "yolov8n.onnx"
    model = model if model.exists() else ROOT / "examples/models/street-person/v1.1.0.onnx"
    pictures = sorted((ROOT / "examples/footage/images/day").glob("*.jpg"))
    script = folder / "pictures.lua"
    script.write_text("local bodies = {}\nfor _, path in ipairs({" + ",".join(f'"{path}"' for path in pictures) + "}) do\n"
                      '  local file = io.open(path, "rb"); bodies[#bodies + 1] = file:read("*a"); file:close()\nend\n'
                      "local at = 0\nfunction request()\n  at = at % #bodies + 1\n"
                      '  return wrk.format("POST", nil, {["Content-Type"] = "image/jpeg"}, bodies[at])\nend\n')
    ways = {"one at a time": ("m", cores, 1), "side by side": ("n", 1, cores)}
    for name, threads, _ in ways.values():
        subprocess.run([BUILD / "serin", "push", f"{name}:v1", "--model", model, "--data-dir", folder / "data", "--set",
                        "max_batch=1", "--set", f"threads={threads}"], check=True, stdout=subprocess.DEVNULL)
    serve = Serve(folder, "--gateway-threads", "1")
    for name, _, at_once in ways.values():
        serve.deploy(f"{name}:v1", replicas=at_once)
        wrk(serve.port, 8, script, 1, name)
    alone, served = {way: [] for way in ways}, {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, (name, threads, at_once) in ways.items():
            done = subprocess.run([BUILD / "serin", "bench", "--model", model, "--images", pictures[0].parent, "--seconds",
                                   str(SECONDS), "--threads", str(threads), "--concurrency", str(at_once), "--json"],
                                  capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            alone[way].append((found["images_per_second"], 1000 / found["images_per_cpu_second"]))
            before = cpu_seconds(serve.pid)
            rate, _, count = wrk(serve.port, 8, script, name=name)
            served[way].append((rate, (cpu_seconds(serve.pid) - before) * 1000 / count))
    serve.stop()
    print(f"\nwhole path: {model.name} on {cores} cores, medians of {ROUNDS} rounds of {SECONDS} s")
    for way, (_, threads, at_once) in ways.items():
        both = list(zip(served[way], alone[way]))
        middle = [statistics.median(values) for values in zip(*(s + a for s, a in both))]
        print(f"  {at_once} x {threads} threads: engine alone {middle[2]:.1f} img/s and {middle[3]:.2f} ms CPU a picture, "
              f"serve {middle[0]:.1f} img/s and {middle[1]:.2f} ms")
        verdict(f"{way}: serve / alone, pictures a second", statistics.median(s[0] / a[0] for s, a in both), .95, True)
        print(f"  {way}: CPU of a picture, serve / alone: {statistics.median(s[1] / a[1] for s, a in both):.3f}")


# ---- memory ----

class Holder:
    """A server that takes whole requests and answers when it is let go."""

    def __init__(self):
        self.count, self.go = 0, asyncio.Event()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                left = int(found[1]) if found else 0
                while left:
                    left -= len(await reader.read(min(left, 65536)))
                if found and int(found[1]):
                    self.count += 1
                    await self.go.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def upload(port, body):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/predict/m HTTP/1.1\r\nHost: m\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body))
    writer.write(body)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1])


async def measure_memory(folder):
    stable, copies = Holder(), Holder()
    serve = Serve(folder, "--mirrors-in-flight", str(UPLOADS))
    stable_url, copies_url = await stable.start(), await copies.start()
    for name, url in (("m:v1", stable_url), ("m:v2", copies_url)):
        await asyncio.to_thread(serve.deploy, name, url=url, stable=name == "m:v1", confirm=True)  # they tell of no model
    await asyncio.to_thread(serve.mirror, "v2")
    route = await asyncio.to_thread(serve.call, "GET", "routes/m")
    await asyncio.to_thread(lambda: serve.call("PUT", "routes/m", **{**route, "timeout_ms": 60000}))
    before = memory_of(serve.pid, "VmRSS")
    body = bytes(UPLOAD_BYTES)
    uploads = [asyncio.create_task(upload(serve.port, body)) for _ in range(UPLOADS)]
    while stable.count < UPLOADS:
        await asyncio.sleep(.05)
    await asyncio.sleep(1)  # the copies that are not dropped
    peak, mirrored = memory_of(serve.pid, "VmHWM"), copies.count
    stable.go.set()
    copies.go.set()
    statuses = await asyncio.gather(*uploads)
    await asyncio.to_thread(serve.stop)
    return (peak - before) / (UPLOADS * UPLOAD_BYTES), mirrored, statuses


def bench_memory(folder):
    growth, mirrored, statuses = asyncio.run(measure_memory(folder))
    print(f"\nmemory: {UPLOADS} uploads of {UPLOAD_BYTES / 1e6:g} MB in flight, {mirrored} of them mirrored, "
          f"{sum(status == 200 for status in statuses)} answered with 200")
    verdict("growth of the resident peak / bytes of the bodies", growth, 1.5, False)
    if any(status != 200 for status in statuses):
        below.append("uploads answered")


# ---- what a mirror costs ----

def bench_mirror(folder):
    echo, sleepy, dead = free_port(), free_port(), free_port()
    helpers = [subprocess.Popen([BUILD / "tests/http_echo", f"127.0.0.1:{echo}", "1024"], stdout=subprocess.DEVNULL),
               subprocess.Popen([BUILD / "tests/http_echo", f"127.0.0.1:{sleepy}", "slow=2000"], stdout=subprocess.DEVNULL)]
    listener = socket.create_server(("127.0.0.1", dead))  # ready once, and dead afterwards
    script = folder / "steady.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = string.rep("x", 50000)\nwrk.headers["Content-Type"] = "image/jpeg"\n'
                      "function delay() return math.min(200, math.floor(.5 - 20 * math.log(1 - math.random()))) end\n")
    serve = Serve(folder)
    try:
        answer_once(listener)
        for tag, port in (("v1", echo), ("v2-dead", dead), ("v3-slow", sleepy)):
            # Confirmed: a dead and a slow server tell nothing of a model that could be compared.
            serve.deploy(f"m:{tag}", url=f"http://127.0.0.1:{port}", stable=tag == "v1", confirm=True)
        listener.close()
        p99, rates = {"none": [], "none, once more": [], "v2-dead": [], "v3-slow": []}, []
        for _ in range(3 * ROUNDS):  # a p99 of half a millisecond jumps
            for tag in random.sample(list(p99), len(p99)):
                serve.mirror(tag if tag.startswith("v") else None)
                rate, worst, _ = wrk(serve.port, 16, script)
                p99[tag].append(worst)
                rates.append(rate)
    finally:
        serve.stop()
        for helper in helpers:
            helper.kill()
            helper.wait()
    least = statistics.median(p99["none"])
    print(f"\nmirror: POST of 50 KB at {statistics.median(rates):.0f} a second, p99 without one {least:.2f} ms, "
          f"medians of {3 * ROUNDS} rounds of {SECONDS} s, no error; the same without a mirror once more: "
          f"{statistics.median(p99['none, once more']) / least:.3f}")
    for tag in ("v2-dead", "v3-slow"):
        verdict(f"p99 with a mirror to {tag} / without", statistics.median(p99[tag]) / least, 1.1, False)


def answer_once(listener):
    """Answers whoever asks until the listener is closed, from a thread."""
    import threading  # pylint: disable=import-outside-toplevel

    def run():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    threading.Thread(target=run, daemon=True).start()


def main():
    wanted = sys.argv[2:] or ["path", "memory", "mirror"]
    if not shutil.which("wrk") and set(wanted) & {"path", "mirror"}:
        print("bench_serve.py: skipped, not installed: wrk", file=sys.stderr)
        sys.exit(77)
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder:
            {"path": bench_path, "memory": bench_memory, "mirror": bench_mirror}[name](pathlib.Path(folder))
    print(f"\n{len(below)} missed; machines are noisy: repeat before believing")


if __name__ == "__main__":
    main()
