#!/usr/bin/env python3
"""What a camera costs: processor time, memory and disk of a running release, for docs/operations.md.

    bench_sizing.py BUILD [MODEL.onnx ...]     default: the street-person example, and yolov8n of the test data where it is there
    BENCH_SECONDS=20                           how long each model is asked

Footage is played to a stable version and a canary that share the traffic in halves, every frame mirrored once in five, half of the
frames labelled: all that a rollout writes is written. Processor time is the processes' own (user and system), so a busy machine disturbs
it little; memory is resident, the peak of each process.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
SERIN = BUILD / "serin"
SECONDS = int(os.environ.get("BENCH_SECONDS", "20"))
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT.parent / "shared" / "data"))
FOOTAGE = ROOT / "examples" / "footage"
CAMERAS, FPS = 4, 5
TICKS = os.sysconf("SC_CLK_TCK")

# It never ends by itself: what is wanted is its steady state.
PLAN = """
slices: [{light: {values: 3}}]
guards:
  - {metric: missed, margin: 0.9, slices: [light]}
  - {metric: wrong, margin: 0.9, slices: [light]}
  - {metric: error_rate, margin: 9}
  - {metric: latency_p95, margin: 99}
steps:
  - {weight: 50%, mirror: 20%, min: {time: 1d}}
  - {weight: 100%}
"""


def processor_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mb(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().split("\n")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def children(pid):
    return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def bytes_of(*paths):
    """Of files, and of all that is in folders."""
    found = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.stat().st_size for file in found if file.is_file())


def measure(model, folder):
    data = folder / "data"
    serve = subprocess.Popen([SERIN, "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log",
                              folder / "events", "--access-log", folder / "access"], stdout=subprocess.PIPE, text=True)
    try:
        words = serve.stdout.readline().split()
        env = {**os.environ, "SERIN_DATA_DIR": str(data), "SERIN_ADMIN": words[5]}

        def run(*words):
            return subprocess.run([SERIN, *words], env=env, check=True, capture_output=True, text=True).stdout

        idle_mb = peak_mb(serve.pid)
        for tag in ("v1.0.0", "v1.0.1"):
            run("push", f"m:{tag}", "--model", model, "--set", f"conf={.25 if tag == 'v1.0.0' else .26}")
        (folder / "plan.yaml").write_text(PLAN)
        run("deploy", "m:v1.0.0")
        run("rollout", "start", "m:v1.0.1", "--plan", folder / "plan.yaml")
        while json.loads(run("rollout", "get", "m", "-o", "json"))["phase"] == "Pending":
            pass
        workers = [pid for pid in children(serve.pid)]
        before = [processor_s(serve.pid), sum(map(processor_s, workers))]
        played = json.loads(run("stream", "--to", "http://" + words[2].rstrip(","), "--model", "m", "--dir", str(FOOTAGE / "images/day"),
                                "--cameras", str(CAMERAS), "--fps", str(FPS), "--seconds", str(SECONDS), "--loop", "--labels", "auto",
                                "--data", str(FOOTAGE / "data.yaml"), "--label-share", ".5", "--label-delay", "1", "--json"))
        after = [processor_s(serve.pid), sum(map(processor_s, workers))]
        count = played["answered"]
        print(f"{model.name}: {model.stat().st_size / 1e6:.1f} MB, {count} answers, {played['errors']} errors, {played['labels']} labels")
        print(f"  memory      serve {idle_mb:.0f} MB empty, {peak_mb(serve.pid):.0f} MB now; a worker "
              f"{max(map(peak_mb, workers)):.0f} MB")
        print(f"  processor   a request: serve {1e3 * (after[0] - before[0]) / count:.2f} ms, workers {1e3 * (after[1] - before[1]) / count:.1f} ms "
              f"(1.2 pictures, with the copies)")
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.wait(60)
    # Now everything is written, and each database is one file.
    per_request = {what: bytes_of(path) / count for what, path in
                   (("access log", folder / "access"), ("records", data / "rollouts"), ("answers.db", data / "answers.db"))}
    print("  disk        a request: " + ", ".join(f"{what} {size:.0f} bytes" for what, size in per_request.items())
          + f"; state.db {bytes_of(data / 'state.db') / 1e3:.0f} KB, blobs {bytes_of(data / 'blobs') / 1e6:.1f} MB for two versions")


def main():
    models = [pathlib.Path(name) for name in sys.argv[2:]] or [
        path for path in (ROOT / "examples/models/street-person/v1.0.0.onnx", DATA / "models/yolov8n.onnx") if path.exists()]
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            measure(model, pathlib.Path(folder))


if __name__ == "__main__":
    main()
