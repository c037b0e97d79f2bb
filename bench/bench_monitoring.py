#!/usr/bin/env python3
"""What it costs to be watched: a scrape at 100 versions, and the access log, scrapes and the judge's tap for the gateway.

    bench_monitoring.py BUILD      needs wrk for the second half; says so and exits with 77 where it is absent
    BENCH_ROUNDS=5 BENCH_SECONDS=2

Scrape: 10 models of 10 versions, all asked before, so that every series is there; processor time is that of the control thread alone
(/proc/PID/schedstat). Limit: 5 ms.
Gateway: three programs before the same upstream, in turn: without an access log; with one, and a scrape a second; with a rollout of the model
besides, whose canary has 1 %. Processor time is that of the gateway's threads for a request, the part that limits throughput; the log's
writer and the judge have threads of their own, and are told apart. Limit: logging and metrics under 3 %.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "2"))
MODELS, TAGS = 10, 10
SIZES = {"0": 0, "50 KB": 50_000, "200 KB": 200_000}
PLAN = """guards: [{metric: error_rate, margin: 1, required: false}, {metric: latency_p95, margin: 1, required: false}]
steps: [{weight: 1%, min: {time: 1h}}, {weight: 100%}]
"""


class Program:
    """serin serve with an upstream that answers as a worker would."""

    def __init__(self, folder, upstream, *options):
        folder.mkdir()
        self.folder, self.upstream = folder, upstream
        self.process = subprocess.Popen([BUILD / "serin", "serve", "--data-dir", folder / "data", "--listen", "127.0.0.1:0",
                                         "--admin", "127.0.0.1:0", "--log", folder / "log", *options],
                                        stdout=subprocess.PIPE, text=True)
        self.port, self.admin = re.findall(r":(\d+)", self.process.stdout.readline())

    def get(self, path, body=None, method=None, port=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.admin}{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=30) as found:
            return found.read()

    def deploy(self, name, stable):
        self.get("/api/v1/deploy", json.dumps({"name": name, "url": self.upstream, "stable": stable}).encode())

    def gateway_ns(self):
        """Processor time of its threads: (those of the gateway, all of the process)."""
        threads = {int(entry.name): int((entry / "schedstat").read_text().split()[0])
                   for entry in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()}
        return sum(threads[tid] for tid in self.busy), sum(threads.values())

    def find_gateway_threads(self, work):
        """The two threads that a load moves most."""
        def read():
            return {entry.name: int((entry / "schedstat").read_text().split()[0])
                    for entry in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()}
        before = read()
        work()
        after = read()
        self.busy = [int(tid) for tid in sorted(after, key=lambda tid: before.get(tid, 0) - after[tid])[:2]]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def scrape(folder, upstream):
    program = Program(folder / "scrape", upstream)
    try:
        for m in range(MODELS):
            for t in range(TAGS):
                program.deploy(f"model-{m}:v1.{t}.0", t == 0)
                program.get(f"/v2/models/model-{m}/versions/v1.{t}.0/infer", b"{}", port=program.port)
        control = pathlib.Path(f"/proc/{program.process.pid}/schedstat")
        times, rounds = [], 100
        size = len(program.get("/metrics"))
        before = int(control.read_text().split()[0])
        for _ in range(rounds):
            start = time.monotonic()
            page = program.get("/metrics")
            times.append((time.monotonic() - start) * 1e3)
        cpu = (int(control.read_text().split()[0]) - before) / rounds / 1e6
        series = sum(not line.startswith(b"#") for line in page.splitlines())
        print(f"A scrape of {MODELS * TAGS} versions: {series} series, {size / 1e3:.0f} KB")
        print(f"  {cpu:6.2f} ms of processor time (limit 5), {statistics.median(times):.2f} ms at the client, half of them")
    finally:
        program.end()
    return cpu < 5


def load(port, size, folder):
    script = folder / f"post-{size}.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\nwrk.headers["Content-Type"] = "image/jpeg"\n')
    done = subprocess.run(["wrk", "-t1", "-c32", f"-d{SECONDS}s", "-s", script, f"http://127.0.0.1:{port}/v1/predict/m"],
                          capture_output=True, text=True, check=True)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if errors:
        sys.exit(f"{errors.group(0)} of {size} bytes")
    return int(re.search(r"(\d+) requests in", done.stdout).group(1)), \
        float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))


def gateway(folder, upstream):
    programs = {"off": Program(folder / "off", upstream),
                "log, scrapes": Program(folder / "log", upstream, "--access-log", folder / "access-log"),
                "and the tap": Program(folder / "tap", upstream, "--access-log", folder / "access-tap")}
    over = threading.Event()
    try:
        for name, program in programs.items():
            program.deploy("m:v1.0.0", True)
            if name == "and the tap":
                plan = folder / "plan.yaml"
                plan.write_text(PLAN)
                subprocess.run([BUILD / "serin", "rollout", "start", "m:v1.1.0", "--url", upstream, "--plan", plan, "--admin",
                                f"127.0.0.1:{program.admin}"], check=True, stdout=subprocess.DEVNULL)
            program.find_gateway_threads(lambda port=program.port: load(port, 0, folder))

        def watch():
            while not over.wait(1):
                for name, program in programs.items():
                    if name != "off":
                        program.get("/metrics")
        threading.Thread(target=watch, daemon=True).start()
        used = {(name, size): [] for name in programs for size in SIZES}
        rates = {key: [] for key in used}
        for _ in range(ROUNDS):
            for size, count in SIZES.items():
                for name, program in programs.items():
                    before = program.gateway_ns()
                    requests, rate = load(program.port, count, folder)
                    after = program.gateway_ns()
                    used[name, size].append([(b - a) / requests / 1e3 for a, b in zip(before, after)])
                    rates[name, size].append(rate)
        print(f"The gateway, POST by 32 connections, {ROUNDS} rounds of {SECONDS} s in turn; medians of the ratios within a round")
        for size in SIZES:
            for name in programs:
                own = statistics.median(one[0] for one in used[name, size])
                whole = statistics.median(one[1] for one in used[name, size])
                cost = statistics.median(one[0] / off[0] - 1 for one, off in zip(used[name, size], used["off", size]))
                slower = statistics.median(1 - one / off for one, off in zip(rates[name, size], rates["off", size]))
                limit = "" if name != "log, scrapes" else "  limit 3 %" if cost < .03 else "  limit 3 %: MISSED (or a busy machine)"
                print(f"  {size:>6}  {name:13} {own:7.2f} us a request in the gateway's threads ({whole:.2f} in all)"
                      + (f"  {100 * cost:+5.1f} %, throughput {-100 * slower:+5.1f} %{limit}" if name != "off" else ""))
    finally:
        over.set()
        for program in programs.values():
            program.end()


def main():
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as name:
        folder = pathlib.Path(name)
        echo = subprocess.Popen([BUILD / "tests/http_echo", "127.0.0.1:0", "worker"], stdout=subprocess.PIPE, text=True)
        upstream = f"http://127.0.0.1:{echo.stdout.readline().strip()}"
        try:
            good = scrape(folder, upstream)
            if not shutil.which("wrk"):
                print("bench_monitoring.py: the gateway was skipped, wrk is not installed", file=sys.stderr)
                sys.exit(77)
            gateway(folder, upstream)
        finally:
            echo.terminate()
            echo.wait(10)
    sys.exit(0 if good else 1)


main()
