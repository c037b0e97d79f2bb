#!/usr/bin/env python3
"""The gateway beside Debian's HAProxy and nginx: same upstream, POST of several sizes, 1 KB back, interleaved rounds.

    bench_gateway.py BUILD      needs haproxy, nginx and wrk; says so and exits with 77 where they are absent
    BENCH_ROUNDS=5 BENCH_SECONDS=1                these, the defaults, take under three minutes

Serin runs with its access log and metrics on. HAProxy and nginx run each at the settings that were best here: two threads or processes,
kept upstream connections, logs off, large buffers, bodies streamed and buffered. Throughput is the median of the rounds; CPU is what the
proxy's processes used for a request. Goals: throughput 1.15 x HAProxy and 1.0 x nginx (2 MB: parity with HAProxy), CPU below both. Each
ratio is of ours to the better setting of the other, with its goal behind it.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "1"))
SIZES = {"0": 0, "50 KB": 50_000, "200 KB": 200_000, "2 MB": 2_000_000}
CONNECTIONS = 32
PATH = "/v1/predict/m"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on {port}")


def cpu_seconds(root_pid):
    """User and system time of a process and its children, by group."""
    total, ticks = 0, os.sysconf("SC_CLK_TCK")
    group = os.getpgid(root_pid)
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


class Bench:
    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start(self, *command):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        self.processes.append(process)
        return process

    def stop(self):
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGKILL)

    def upstream(self):
        port = free_port()
        self.start(BUILD / "tests/http_echo", f"127.0.0.1:{port}", "1024")
        wait_for(port)
        return port

    def serin(self, upstream):
        port, admin = free_port(), free_port()
        process = self.start(BUILD / "serin", "serve", "--data-dir", self.folder / "serin", "--listen", f"127.0.0.1:{port}",
                             "--admin", f"127.0.0.1:{admin}", "--access-log", self.folder / "access.ndjson", "--log",
                             self.folder / "log.ndjson")
        wait_for(admin)
        body = json.dumps({"name": "m:v1.0.0", "url": f"http://127.0.0.1:{upstream}"}).encode()
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{admin}/api/v1/deploy", body), timeout=30).read()
        wait_for(port)
        return port, process.pid

    def haproxy(self, upstream, buffer_bytes):
        port = free_port()
        config = self.folder / f"haproxy-{buffer_bytes}.cfg"
        config.write_text(f"""global
  nbthread 2
  tune.bufsize {buffer_bytes}
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server one 127.0.0.1:{upstream}
""")
        process = self.start("haproxy", "-db", "-f", config)
        wait_for(port)
        return port, process.pid

    def nginx(self, upstream, buffering):
        port = free_port()
        home = self.folder / f"nginx-{buffering}"
        home.mkdir()
        config = home / "nginx.conf"
        config.write_text(f"""daemon off; worker_processes 2; pid {home}/pid; error_log /dev/null crit;
events {{ worker_connections 2000; }}
http {{
  access_log off; client_max_body_size 64m; client_body_buffer_size 4m; client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  keepalive_requests 1000000;
  upstream back {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port} reuseport;
    location / {{ proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering {buffering}; proxy_buffers 8 256k; }} }}
}}
""")
        process = self.start("nginx", "-c", config, "-p", home)
        wait_for(port)
        return port, process.pid


def load(port, size, folder):
    script = folder / f"post-{size}.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\nwrk.headers["Content-Type"] = "image/jpeg"\n')
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script, f"http://127.0.0.1:{port}{PATH}"],
                          capture_output=True, text=True, check=True)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if errors:
        sys.exit(f"{errors.group(0)} at port {port}, {size} bytes")
    count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1)), count


def main():
    missing = [name for name in ("haproxy", "nginx", "wrk") if not shutil.which(name)]
    if missing:
        print(f"bench_gateway.py: skipped, not installed: {', '.join(missing)}", file=sys.stderr)
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as name:
        bench = Bench(pathlib.Path(name))
        try:
            measure(bench)
        finally:
            bench.stop()


def measure(bench):
    upstream = bench.upstream()
    targets = {"direct": (upstream, None), "serin": bench.serin(upstream),
               "haproxy 16K": bench.haproxy(upstream, 16384), "haproxy 256K": bench.haproxy(upstream, 262144),
               "nginx stream": bench.nginx(upstream, "off"), "nginx buffer": bench.nginx(upstream, "on")}
    rates = {(target, size): [] for target in targets for size in SIZES}
    cpu = {key: [] for key in rates}
    for _ in range(ROUNDS):
        for size, count in SIZES.items():
            for target, (port, pid) in targets.items():
                before = cpu_seconds(pid) if pid else 0
                rate, requests = load(port, count, bench.folder)
                rates[target, size].append(rate)
                if pid:
                    cpu[target, size].append((cpu_seconds(pid) - before) / requests * 1e6)
    middle_rate = {key: statistics.median(values) for key, values in rates.items()}
    middle_cpu = {key: statistics.median(values) for key, values in cpu.items() if values}
    missed = 0
    for size in SIZES:
        print(f"\nPOST {size}, {CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s")
        for target in targets:
            used = f"{middle_cpu[target, size]:8.1f} us CPU" if (target, size) in middle_cpu else ""
            print(f"  {target:13} {middle_rate[target, size]:10.0f} req/s  "
                  f"{middle_rate[target, size] / middle_rate['direct', size]:5.2f} of direct  {used}")
        for name, goal in (("haproxy", 1.0 if size == "2 MB" else 1.15), ("nginx", 1.0)):
            settings = [target for target in targets if target.startswith(name)]
            rate = middle_rate["serin", size] / max(middle_rate[target, size] for target in settings)
            used = middle_cpu["serin", size] / min(middle_cpu[target, size] for target in settings)
            missed += (rate < goal) + (used >= 1)
            print(f"  serin / {name:7} throughput {rate:.2f} (goal {goal:.2f}) {'ok   ' if rate >= goal else 'BELOW'}   "
                  f"CPU a request {used:.2f} (goal below 1) {'ok' if used < 1 else 'ABOVE'}")
    print(f"\n{4 * len(SIZES)} ratios, {missed} miss their goal; machines are noisy: repeat before believing")


main()
