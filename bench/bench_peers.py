#!/usr/bin/env python3
"""A JPEG in, boxes out, over HTTP: serin serve beside the servers that people write in Python, on one core each.

    bench_peers.py BUILD [PEER ...]            all where none is named: fastapi ultralytics litserve mlserver bentoml
    BENCH_ROUNDS=5 BENCH_SECONDS=3             these, the defaults, take about 35 minutes; 1 and 2 show whether all is well in 4
    BENCH_OPEN_SECONDS=9                       three times BENCH_SECONDS by default; with 0 only throughput is measured, in 5 minutes
    BENCH_SERIN="serin serin-bf16 serin-int8"  what of serin stands beside them (there is serin-onednn, too)
    SERIN_TEST_DATA=DIR                        with models/yolov8n.onnx and coco128/images; 77 where they or all peers are absent

What is measured is told in docs/benchmarks.md. Each peer lies in a virtual environment of its own under $SERIN_CACHE (default
~/.cache/serin), made from PyPI where it is not there yet; `ultralytics` brings PyTorch and needs 7 GB, the others 1.5 GB together.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import open_loop
import peer_environment
from same_boxes import different

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
OPEN_SECONDS = int(os.environ.get("BENCH_OPEN_SECONDS", str(3 * SECONDS)))
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT.parent / "shared" / "data"))
MODEL = DATA / "models" / "yolov8n.onnx"
SIZES = ("640x480", "1920x1080")
CONNECTIONS = 4  # of the closed loop: enough that the core never waits for the client
READY_S = 120
MOST_LATE_MS = 5
LOOSE = (.1, .8)  # of lower precisions: how far scores may be apart, and the least IoU
MOST_ALONE = .1  # of their boxes, these may have no counterpart

# The same decoder and engine for all; OpenCV 4 is what serin's decoder is compared with.
LEAN = ["numpy==2.4.6", "opencv-python-headless==4.14.0.94", "onnxruntime==1.32.0"]
LOOP = ["uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"]
PACKAGES = {
    "fastapi": ["fastapi==0.165.0", *LOOP, *LEAN],
    "ultralytics": ["ultralytics==8.4.190", "onnx==1.23.2", "fastapi==0.165.0", *LOOP, *LEAN],
    "litserve": ["litserve==0.2.19", *LOOP, *LEAN],
    "mlserver": ["mlserver==1.7.1", *LOOP, *LEAN],
    "bentoml": ["bentoml==1.4.39", *LOOP, *LEAN],
}
# serin's own: the first is what peers' boxes are compared with. Options of `serin push`; those of int8 serve what `serin quantize` made.
OWN = {"serin": [], "serin-onednn": ["--set", "provider=onednn"], "serin-bf16": ["--set", "provider=onednn-bf16"],
       "serin-int8": ["--set", "provider=onednn"]}
SERIN = os.environ.get("BENCH_SERIN", "serin serin-bf16 serin-int8").split()
SHOWN = {"serin": "serin serve", "serin-onednn": "serin serve, oneDNN fp32", "serin-bf16": "serin serve, oneDNN bf16",
         "serin-int8": "serin serve, oneDNN int8", "fastapi": "FastAPI", "ultralytics": "FastAPI + ultralytics", "litserve": "LitServe",
         "mlserver": "MLServer", "bentoml": "BentoML"}


def progress(text):
    print(text, file=sys.stderr, flush=True)


def skip(why):
    print(f"bench_peers.py: skipped, {why}", file=sys.stderr)
    sys.exit(77)


def version_of(python, package):
    done = subprocess.run([python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip()


# ---- the servers ----

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    yield pid
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def cpu_seconds(pid):
    """User and system time of a process's threads, to the nanosecond (stat has hundredths). None of these servers ends threads meanwhile."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def memory_mb(pid):
    """Resident memory of a tree; what its processes share counts once (PSS)."""
    total = 0
    for one in tree(pid):
        total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE)[1])
    return total / 1024


class Server:
    path = "/predict"

    def __init__(self, name, core, folder, command, environment=None):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, cwd=folder, start_new_session=True,
                                            env={**os.environ, **(environment or {})},
                                            preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:  # what a server left behind in its group
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def cpu_seconds(self):
        return sum(map(cpu_seconds, tree(self.process.pid)))

    def ask(self, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.path}", body, {"Content-Type": "image/jpeg"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return self.boxes(answer.read())

    def wait(self, body):
        """Whether it answers within READY_S; tells its last words where not."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.ask(body)
                return True
            except OSError:
                time.sleep(.2)
        print(f"{SHOWN[self.name]} is left out, it did not answer: {self.log.read_text(errors='replace')[-500:]}")
        return False

    def boxes(self, text):
        return json.loads(text)


class Peer(Server):
    def __init__(self, name, python, core, folder):
        self.port = free_port()
        environment = {"PEER_MODEL": str(MODEL), "PYTHONPATH": str(PEERS), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
                       "BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "true", "YOLO_CONFIG_DIR": str(folder),
                       "PEER_DETECTOR": "ultralytics" if name == "ultralytics" else "lean"}
        script = PEERS / f"serve_{'fastapi' if name == 'ultralytics' else name}.py"
        command = [python, script, self.port, free_port()]
        if name == "bentoml":
            command = [python, "-m", "bentoml", "serve", "serve_bentoml:Yolo", "--working-dir", PEERS, "--host", "127.0.0.1", "--port",
                       self.port]
        super().__init__(name, core, folder, command, environment)


def quantized(folder):
    """The network in int8, calibrated with photographs; None with a line that says why not."""
    target = folder / "yolov8n-int8.onnx"
    progress("serin quantize ...")
    done = subprocess.run([BUILD / "serin", "quantize", "--model", MODEL, "--data", DATA / "coco128" / "images", "--output", target],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{SHOWN['serin-int8']} is left out: {done.stderr.strip()}")
        return None
    return target


class Serin(Server):
    """Everything on: gateway, one worker in its sandbox, access log, metrics."""
    path = "/v1/predict/yolov8n"

    def __init__(self, name, model, core, folder):
        data = folder / name
        data.mkdir()
        self.version = "yolov8n:v1.0.0-cpu" + {"serin-bf16": "-bf16", "serin-int8": "-int8"}.get(name, "")
        subprocess.run([BUILD / "serin", "push", self.version, "--model", model, "--data-dir", data, "--set", "threads=1",
                        "--set", "max_batch=1", "--set", "decode_threads=1", *OWN[name]], check=True, stdout=subprocess.DEVNULL)
        super().__init__(name, core, folder, [BUILD / "serin", "serve", "--data-dir", data, "--listen", "127.0.0.1:0",
                                              "--admin", "127.0.0.1:0", "--gateway-threads", "1", "--log", data / "serin.ndjson",
                                              "--access-log", data / "access.ndjson"])
        found = None
        while not found and self.process.poll() is None:
            found = re.search(r"serving on [\d.]+:(\d+), admin on [\d.]+:(\d+)", self.log.read_text())
            time.sleep(.05)
        if not found:
            raise SystemExit(f"serin serve ended: {self.log.read_text()}")
        self.port, self.admin = int(found[1]), int(found[2])

    def deploy(self):
        """Whether admission lets it: a processor without bf16 is refused."""
        body = json.dumps({"name": self.version}).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.admin}/api/v1/deploy", body), timeout=120).read()
        except urllib.error.HTTPError as refusal:
            print(f"{SHOWN[self.name]} is left out: {refusal.read().decode().strip()}")
            return False
        return True

    def boxes(self, text):
        return json.loads(text)["images"][0]["results"]


# ---- do they give the same answer? ----

def same_answers(servers, pictures):
    """Ends where a peer gives other boxes than serin in fp32 on one of the pictures; lower precisions may differ a little, and by how much is told."""
    wanted = {(size, i): servers[0].ask(body) for size in SIZES for i, body in enumerate(pictures[size])}
    count = sum(map(len, wanted.values()))
    for server in servers[1:]:
        is_lower = server.name in ("serin-bf16", "serin-int8")
        wrong = {key: different(boxes, server.ask(pictures[key[0]][key[1]]), *(LOOSE if is_lower else ()))
                 for key, boxes in wanted.items()}
        alone = sum(wrong.values())
        if is_lower:
            print(f"answers: {SHOWN[server.name]}: {alone} boxes without a counterpart (IoU > {LOOSE[1]}, score within {LOOSE[0]})")
        if alone > (count * MOST_ALONE if is_lower else 0):
            sys.exit(f"{SHOWN[server.name]} gives other boxes on {sum(map(bool, wrong.values()))} of {len(wanted)} pictures: {wrong}")
    print(f"answers: the same {count} boxes on {len(wanted)} pictures from all others (class, IoU > .98, score within .01)")


# ---- measuring ----

def saturate(server, bodies):
    """Pictures a second, CPU milliseconds a picture."""
    before = server.cpu_seconds()
    load = open_loop.closed_loop(server.port, server.path, bodies, CONNECTIONS, SECONDS)
    if load.failures:
        sys.exit(f"{SHOWN[server.name]}: {load.failures}")
    return load.good / load.seconds, (server.cpu_seconds() - before) * 1000 / load.good


def breakdown(serin, bodies):
    """Milliseconds of each stage of a picture, one at a time: what the answers tell, and what is left of the time at the client."""
    processes = list(tree(serin.process.pid))[:2]  # the gateway's, and the worker's below it
    before = [cpu_seconds(pid) for pid in processes]
    load = open_loop.closed_loop(serin.port, serin.path, bodies, 1, SECONDS)
    cpu = [(cpu_seconds(pid) - was) * 1000 / load.good for pid, was in zip(processes, before)]
    rows = []
    for latency, (head, text) in zip(load.latencies_ms, load.answers):
        stages = {name.decode(): float(value) for name, value in re.findall(rb"(\w+);dur=([\d.]+)", head)}
        letterbox = json.loads(text)["images"][0]["speed"]["preprocess"]
        rows.append((stages["decode"] - letterbox, letterbox, stages["inference"], stages["post"],
                     latency - sum(stages.values()) + stages["queue"], latency))
    return [statistics.median(column) for column in zip(*rows)], cpu


def shown_ms(values, percent):
    value = open_loop.percentile(values, percent)
    return ("never" if values else "nobody asked") if value == float("inf") else f"{value:.0f} ms"


def measure_throughput(servers, pictures):
    """Prints it, and returns the median pictures a second of (server, size)."""
    found = {(server, size): [] for server in servers for size in SIZES}
    stages = {server: {size: [] for size in SIZES} for server in servers if server.name in OWN}
    for number in range(ROUNDS):
        for size in SIZES:
            progress(f"closed loop, round {number + 1}, {size}")
            for server in servers:
                found[server, size].append(saturate(server, pictures[size]))
            for server in stages:
                stages[server][size].append(breakdown(server, pictures[size]))
    middle = {key: [statistics.median(column) for column in zip(*values)] for key, values in found.items()}
    print(f"\nthroughput: closed loop of {CONNECTIONS} connections, medians of {ROUNDS} rounds of {SECONDS} s\n")
    print("| server | " + " | ".join(f"{size}: images/s | CPU ms an image" for size in SIZES) + " | memory MB |")
    print("| --- |" + " --: |" * (2 * len(SIZES) + 1))
    for server in servers:
        cells = [f"{value:.1f}" for size in SIZES for value in middle[server, size]]
        print(f"| {SHOWN[server.name]} | {' | '.join(cells)} | {memory_mb(server.process.pid):.0f} |")
    print()
    peers = [server for server in servers if server.name not in OWN]
    for size in SIZES:
        for mine in (server for server in servers if server.name in OWN):
            rounds = [(found[mine, size][i], [found[peer, size][i] for peer in peers]) for i in range(ROUNDS)]
            rate = statistics.median(own[0] / max(other[0] for other in others) for own, others in rounds)
            cpu = statistics.median(min(other[1] for other in others) / own[1] for own, others in rounds)
            print(f"{size}: {SHOWN[mine.name]}: images a second, serin / best peer of a round {rate:.2f}; CPU of an image, best peer / serin "
                  f"{cpu:.2f} (goal 3)")
        for server, rows in stages.items():
            report_stages(size, server, rows[size])
    return {key: values[0] for key, values in middle.items()}


def measure_latency(servers, pictures, throughput):
    for size in SIZES:
        rates = {"half of what serin can do": throughput[servers[0], size] / 2,
                 "all that the best peer can do": max(throughput[peer, size] for peer in servers if peer.name not in OWN)}
        latencies, late, failed = {(server, load): [] for server in servers for load in rates}, [], {}
        for seed in range(ROUNDS):
            for load, rate in rates.items():
                progress(f"open loop, round {seed + 1}, {size}, {rate:.1f} a second")
                for server in servers:
                    done = open_loop.open_loop(server.port, server.path, pictures[size], rate, OPEN_SECONDS, seed)
                    latencies[server, load] += done.latencies_ms
                    late += [done.late_p99_ms] if done.lateness_ms else []
                    for why, count in done.failures.items():
                        failed[server, load, why] = failed.get((server, load, why), 0) + count
        print(f"\nlatency of {size}: open loop, {ROUNDS} rounds of {OPEN_SECONDS} s together\n")
        print("| server | " + " | ".join(f"{rate:.1f} a second, {load}: p50 | p99" for load, rate in rates.items()) + " |")
        print("| --- |" + " --: |" * (2 * len(rates)))
        for server in servers:
            times = [shown_ms(latencies[server, load], percent) for load in rates for percent in (50, 99)]
            print(f"| {SHOWN[server.name]} | {' | '.join(times)} |")
        print()
        for (server, load, why), count in failed.items():
            print(f"{SHOWN[server.name]}, {load}: {count} of {len(latencies[server, load])} failed: {why}")
        print(f"the generator itself was at most {max(late, default=0):.1f} ms late (p99 of its worst run)" +
              ("; the machine was busy with other things: do not believe the latencies" if max(late, default=0) > MOST_LATE_MS else ""))


def report_stages(size, server, rounds):
    names = ("decode JPEG, light", "letterbox", "inference", "boxes, NMS, JSON", "HTTP, gateway, switches", "client sees")
    values = [statistics.median(column) for column in zip(*(stages for stages, _ in rounds))]
    own, worker = (statistics.median(column) for column in zip(*(cpu for _, cpu in rounds)))
    print(f"{size}: {SHOWN[server.name]}, one at a time: " + ", ".join(f"{name} {value:.2f} ms" for name, value in zip(names, values)) +
          f"; CPU of the gateway {own:.2f} ms, of the worker {worker:.2f} ms")


def describe(servers, pythons):
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    print(f"machine: {model[1] if model else platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}; servers on one, "
          "the load on another")
    before = [server.cpu_seconds() for server in servers]
    time.sleep(2)
    print("idle CPU of them all: " + ", ".join(f"{SHOWN[server.name]} {(server.cpu_seconds() - was) / 2:.1%}"
                                               for server, was in zip(servers, before)))
    for name in [server.name for server in servers if server.name not in OWN]:
        python = pythons[name]
        print(f"{SHOWN[name]}: Python {platform.python_version()}, " + ", ".join(
            f"{package} {version_of(python, package)}" for package in (pin.split("==")[0] for pin in PACKAGES[name])))


def main():
    wanted = sys.argv[2:] or list(PACKAGES)
    unknown = [name for name in wanted if name not in PACKAGES] + [name for name in SERIN if name not in OWN]
    if unknown:
        sys.exit(f"no peer {unknown[0]}: {', '.join(PACKAGES)}; serin's own: {', '.join(OWN)}")
    if SERIN[:1] != ["serin"]:
        sys.exit("BENCH_SERIN begins with serin: what the others' boxes are compared with")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        skip("one processor: the load needs another than the servers")
    if not MODEL.exists() or not (DATA / "coco128" / "images").exists():
        skip(f"no models/yolov8n.onnx and coco128/images in {DATA}; SERIN_TEST_DATA says where they are")
    pythons = {name: python for name in wanted if (python := peer_environment.install(name, PACKAGES[name]))}
    if not pythons:
        skip("no peer could be installed from PyPI")
    started = []
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as name:
        folder = pathlib.Path(name)
        subprocess.run([next(iter(pythons.values())), PEERS / "pictures.py", DATA / "coco128" / "images", folder], check=True)
        pictures = {size: [path.read_bytes() for path in sorted((folder / size).iterdir())] for size in SIZES}
        try:
            for own in SERIN:
                model = quantized(folder) if own == "serin-int8" else MODEL
                started += [Serin(own, model, cores[0], folder)] if model else []
            deployed = [server for server in started if server.deploy()]
            peers = [Peer(name, python, cores[0], folder) for name, python in pythons.items()]
            started += peers
            os.sched_setaffinity(0, {cores[1]})
            servers = [server for server in deployed + peers if server.wait(pictures[SIZES[0]][0])]
            if not {server.name for server in servers} & set(PACKAGES) or servers[0].name != "serin":
                sys.exit("nothing to compare")
            describe(servers, pythons)
            for size in SIZES:
                print(f"{len(pictures[size])} pictures of {size}, {sum(map(len, pictures[size])) / len(pictures[size]) / 1000:.0f} KB each")
            same_answers(servers, pictures)
            throughput = measure_throughput(servers, pictures)
            if OPEN_SECONDS:
                measure_latency(servers, pictures, throughput)
        finally:
            for server in started:
                server.stop()
    print("\nmachines are noisy: repeat before believing")


if __name__ == "__main__":
    main()
