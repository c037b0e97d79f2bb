#!/usr/bin/env python3
"""make bench: what Serin promises about speed and memory, as ratios to a peer or a limit, in one interleaved run.

    bench.py BUILD      (peers: the python3 in $SERIN_PEER_PYTHON, default python3, with OpenCV, NumPy, torchvision where it has them)

Each round runs ours and then the peer; the medians of the rounds are compared. The model is yolov8n from $SERIN_TEST_DATA or
../shared/data where it is, else the largest of examples/.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PEER = os.environ.get("SERIN_PEER_PYTHON", "python3")
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT.parent / "shared" / "data"))
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

rows = []


def run_json(*command):
    """The JSON lines that a command prints; none where it is skipped."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=ONE_THREAD, check=False)
    if done.returncode not in (0, 77):
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def add(what, ours, peer_name, peer, unit):
    """A row: good where ours is at most the peer's or the limit's."""
    rows.append((what, f"{ours:.3g} {unit}", peer_name, f"{peer:.3g} {unit}" if peer else "not installed",
                 f"{peer / ours:.2f}x" if peer else "-", "" if not peer else "ok" if ours <= peer else "BELOW"))


def median_of(samples):
    return statistics.median(samples) if samples else None


def bench_decode_and_letterbox(picture):
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours += [row["decode_letterbox_ms"] for row in run_json(BUILD / "bench/bench_letterbox", picture)
                 if "decode_letterbox_ms" in row]
        peer += [row["decode_letterbox_ms"] for row in run_json(PEER, ROOT / "bench/peer_opencv.py", picture)
                 if "decode_letterbox_ms" in row]
    add("decode + letterbox, JPEG 1920x1080 -> 640x640 fp32", median_of(ours), "OpenCV + NumPy", median_of(peer), "ms")


def bench_suppression():
    boxes = BUILD / "bench" / "boxes.f32"
    ours, peers = {}, {}
    for _ in range(ROUNDS):
        for row in run_json(BUILD / "bench/bench_nms", boxes):
            ours.setdefault(row["name"], []).append(row["median_ms"])
        for row in run_json(PEER, ROOT / "bench/peer_nms.py", boxes):
            peers.setdefault(row["name"], []).append(row["median_ms"])
    upright = median_of(ours["nms_upright"])
    add("suppression among 8400 boxes", upright, "limit", 1.0, "ms")
    for name in ("numpy", "torchvision"):
        add("suppression among 8400 boxes", upright, name, median_of(peers.get(name)), "ms")
    add("rotated suppression among 8400 boxes", median_of(ours["nms_rotated"]), "limit", 1.0, "ms")


def bench_share_of_inference(model, picture):
    shares, inference = [], []
    for _ in range(ROUNDS):
        stages = run_json(BUILD / "serin", "bench", "--model", model, "--images", picture, "--seconds", "3", "--threads", "1",
                          "--json")[0]["stages_ms"]
        rest = sum(stages[stage]["p50"] for stage in ("preprocess", "postprocess"))
        decode = stages["decode"]["p50"]
        inference.append(stages["inference"]["p50"])
        shares.append((100 * rest / inference[-1], 100 * (rest + decode) / inference[-1]))
    name = f"{model.stem}, one thread ({median_of(inference):.1f} ms)"
    add(f"letterbox + post, share of inference: {name}", median_of([s[0] for s in shares]), "limit", 10.0, "%")
    add(f"decode too, share of inference: {name}", median_of([s[1] for s in shares]), "limit", 10.0, "%")


def bench_memory(model, pictures):
    """Peak of a fresh process: getrusage of the one child that is waited for here."""
    code = ("import resource, subprocess, sys; "
            "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    done = subprocess.run([sys.executable, "-c", code, BUILD / "serin", "predict", "--model", model, *pictures],
                          capture_output=True, text=True, check=True)
    peak_mb = int(done.stdout) / 1024
    limit_mb = model.stat().st_size * 4 / 1e6 + 100
    add(f"peak memory of predict, {model.name}", peak_mb, "limit: model x 4 + 100 MB", limit_mb, "MB")


def bench_statistics():
    rounds = {}
    for _ in range(ROUNDS):
        for row in run_json(BUILD / "bench/bench_statistics"):
            rounds.setdefault(row["name"], []).append(row["median_ns"] / 1000)
    for name in ("mixture_counts_log_e", "mixture_counts_log_e_one_sided", "boundary_mean_add"):  # what may run once a request
        add(f"CPU time of {name}", median_of(rounds[name]), "limit", 2.0, "us")


def bench_judge():
    """What a request costs in all, its share of the looks in it, with 20 guards and 1,000 cameras."""
    rounds = {}
    for _ in range(ROUNDS):
        for row in run_json(BUILD / "bench/bench_judge"):
            rounds.setdefault(row["name"], []).append(row)
    for name, samples in rounds.items():
        if not name.startswith("judge"):
            continue
        add(f"CPU time of a request: {name}", median_of([row["us"] for row in samples]), "limit", 2.0, "us")
        add(f"memory of the process: {name}", median_of([row["process_mb"] for row in samples]), "limit", 50, "MB")


def main():
    shared = DATA / "models"
    frames = sorted((ROOT / "examples/footage/images/day").glob("*.jpg"))
    models = [shared / "yolov8n.onnx"] if shared.exists() else [ROOT / "examples/models/street-person/v1.1.0.onnx"]
    picture = BUILD / "bench" / "1080p.jpg"
    subprocess.run([BUILD / "bench/make_picture", frames[0], picture], check=True)
    bench_decode_and_letterbox(picture)
    bench_suppression()
    bench_statistics()
    bench_judge()
    photo = DATA / "photos" / "bus.jpg"
    bench_share_of_inference(models[0], photo if photo.exists() else frames[0])
    if shared.exists():
        models += [shared / "yolov8n-seg.onnx", shared / "yolov8s.onnx"]
    for model in models:
        bench_memory(model, [photo if photo.exists() else frames[0], *frames[:4]])
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    below = [row for row in rows if row[5] == "BELOW"]
    print(f"\n{len(rows)} measured, {len(below)} below the peer or over the limit; machines are noisy: repeat before believing")


if __name__ == "__main__":
    main()
