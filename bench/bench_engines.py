#!/usr/bin/env python3
"""One network in several engines, turn by turn: ONNX Runtime, OpenVINO and serin's own, and the convolutions alone. Then trained networks on
photographs, whole and asked for what is found above a score.

    bench_engines.py BUILD [NETWORK ...]       all where none is named: yolov8n yolov8s yolov8n-seg yolov8n-pose yolov8n-cls yolov8n-obb
    BENCH_SHORT=1                              yolov8n, one picture, one core: a minute
    BENCH_OUT=FILE                             every figure as lines of JSON, too
    BENCH_MODELS=DIR                           with NETWORK-dynamic.onnx and, quantized, NETWORK-int8.onnx; default $SERIN_CACHE/bench-models

What is not there is taken from $SERIN_TEST_DATA/models, quantized with `serin quantize` on pictures of $SERIN_TEST_DATA/coco128, or left out
by name; 77 where nothing is left. OpenVINO lies in a virtual
environment under $SERIN_CACHE (default ~/.cache/serin), made from PyPI where it is not there yet; without it its columns are empty.
What is measured is told in docs/benchmarks.md. Processor time is of all threads of a program, so neighbours count little in it, and each
engine has its turn in each round, so that what disturbs the machine disturbs all.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import peer_environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
NETWORKS = {"yolov8n": 640, "yolov8s": 640, "yolov8n-seg": 640, "yolov8n-pose": 640, "yolov8n-cls": 224, "yolov8n-obb": 640}  # pixels
SHORT = bool(os.environ.get("BENCH_SHORT"))
OUT = os.environ.get("BENCH_OUT")
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT.parent / "shared" / "data"))
MODELS = pathlib.Path(os.environ.get("BENCH_MODELS", peer_environment.CACHE / "bench-models"))
SECONDS, FEWEST, MOST = (6, 3, 15) if SHORT else (8, 3, 25)  # of a case, and rounds of it
OPENVINO = ["openvino==2026.4.1", "numpy==2.4.6"]

FLOAT = {"turns": ["cpu", "onednn", "onednn-bf16", "floor-fp32", "floor-bf16", "floor-int8"], "openvino": ["openvino-fp32", "openvino-bf16"]}
INT8 = {"turns": ["cpu", "onednn"], "openvino": ["openvino-int8"]}
# Precision: the heads of its columns, and who is in them.
COLUMNS = {
    "fp32": {"ONNX Runtime": "cpu", "OpenVINO": "openvino-fp32", "serin": "onednn", "convolutions": "floor-fp32"},
    "bf16": {"OpenVINO": "openvino-bf16", "serin": "onednn-bf16", "convolutions": "floor-bf16"},
    "int8": {"ONNX Runtime": "int8 cpu", "OpenVINO": "openvino-int8", "serin": "int8 onednn", "convolutions": "floor-int8"},
}

# On photographs: what is found above .25 is what `serin serve` asks for where nobody says another score.
TRAINED = ["yolov8n", "yolov8s", "yolov8n-seg"]
FOUND = {"ONNX Runtime fp32": "cpu", **{f"serin {precision}{text}": name + conf for precision, name in (
    ("fp32", "onednn"), ("bf16", "onednn-bf16"), ("int8", "int8 onednn")) for text, conf in (("", ""), (", found", ":.25"))}}
MOST_PHOTOGRAPHS = 32


class Program:
    """One that runs a network when it is told to (bench/engine_turns.c has the protocol)."""

    def __init__(self, command, cores, prefix=""):
        self.ready, self.without, self.gflop = {}, [], 0.0
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
                                        preexec_fn=lambda: os.sched_setaffinity(0, cores))
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "go":
                return
            if word == "ready":
                self.ready[prefix + rest] = rest
            elif word == "gflop":
                self.gflop = float(rest)
            else:
                self.without.append(prefix + rest)
        self.without.append(f"{pathlib.Path(str(command[0])).name} ended with {self.process.wait()}")

    def turn(self, name):
        """Milliseconds of processor, and of the clock."""
        self.process.stdin.write(self.ready[name] + "\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def progress(text):
    print(text, file=sys.stderr, flush=True)


def find(name, forms):
    for folder in (MODELS, DATA / "models"):
        for form in forms:
            if (folder / f"{name}{form}.onnx").exists():
                return folder / f"{name}{form}.onnx"
    return None


def quantize(network, source, name):
    """Makes NAME.onnx where it is missing; a line that says why not."""
    pictures = DATA / "coco128" / "images"
    if find(name, ("",)) or not source:
        return []
    if not pictures.exists():
        return [f"{network}: no file quantized, and no {pictures} to do it with"]
    progress(f"quantizing {network} ...")
    MODELS.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run([BUILD / "serin", "quantize", "--model", source, "--data", pictures, "--images", "16", "--imgsz",
                            str(NETWORKS.get(network, 640)), "--output", MODELS / f"{name}.onnx"], capture_output=True, text=True, check=False)
    return [f"{network}: not quantized: {ended.stderr.strip().splitlines()[-1]}"] if ended.returncode else []


def start(python, network, batch, cores):
    """The programs for a network, and what is missing."""
    forms = ("-dynamic",) if batch > 1 else ("-dynamic", "")
    programs, missing = [], []
    for path, contenders, prefix in ((find(network, forms), FLOAT, ""), (find(network, ("-int8",)), INT8, "int8 ")):
        if not path:
            if not prefix:
                missing.append(f"{network}: no file{' with a free batch' if batch > 1 else ''}")
            continue
        rest = [len(cores), batch, NETWORKS.get(network, 640), path]
        programs.append(Program([BUILD / "bench" / "engine_turns", *rest, *contenders["turns"]], cores, prefix))
        if python:
            programs.append(Program([python, ROOT / "bench" / "peers" / "openvino_turns.py", *rest, *contenders["openvino"]], cores))
    return programs, missing + [why for program in programs for why in program.without]


def start_photographs(network, cores):
    """The programs for a trained network on photographs."""
    source, photographs = DATA / "models" / f"{network}.onnx", sorted((DATA / "coco128" / "images").glob("*.jpg"))[:MOST_PHOTOGRAPHS]
    if not source.exists() or not photographs:
        return [], [f"{network} on photographs: no {source if photographs else DATA / 'coco128'}"]
    missing, programs = quantize(network, source, f"{network}-trained-int8"), []
    for path, prefix in ((source, ""), (MODELS / f"{network}-trained-int8.onnx", "int8 ")):
        names = [name.removeprefix("int8 ") for name in FOUND.values() if name.startswith("int8 ") == bool(prefix)]
        if path.exists():
            programs.append(Program([BUILD / "bench" / "engine_turns", len(cores), 1, NETWORKS[network], path, *names, "--", *photographs], cores, prefix))
    return programs, missing + [why for program in programs for why in program.without]


def measure(programs, batch):
    """Of each contender the turns of every round, (processor, clock) in milliseconds of a picture."""
    turns = [(program, name) for program in programs for name in program.ready]
    for program, name in turns:
        program.turn(name)
    once = sum(program.turn(name)[1] for program, name in turns) / 1e3
    measured = {name: [] for _, name in turns}
    for _ in range(max(FEWEST, min(MOST, int(SECONDS / once)))):
        for program, name in turns:
            measured[name].append(tuple(ms / batch for ms in program.turn(name)))
    return measured


def median(measured, name, which):
    return statistics.median(turn[which] for turn in measured[name]) if name in measured else None


def times(measured, slow, fast, which):
    """How many times faster: the median over the rounds, in each of which the two were neighbours."""
    if slow not in measured or fast not in measured:
        return None
    return statistics.median(one[which] / other[which] for one, other in zip(measured[slow], measured[fast]))


def cell(number, digits=1):
    return "-" if number is None else f"{number:.{digits}f}"


def print_table(title, heads, rows):
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n| --- | {' | '.join('--:' for _ in heads[1:])} |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def report(cases, cores):
    """Tables for one number of cores. With one, processor and clock are the same but for the neighbours."""
    heads = ["network", "batch", *(f"{head} {precision}" for precision, columns in COLUMNS.items() for head in columns)]
    on = f"{cores} core{'s' if cores > 1 else ''}"
    for which, what in enumerate(("Milliseconds of processor", "Milliseconds of the clock")):
        print_table(f"{what} of a picture, {on}:", heads, [
            [case["network"], str(case["batch"]),
             *(cell(median(case["measured"], name, which)) for columns in COLUMNS.values() for name in columns.values())]
            for case in cases])
    rows = []
    for case in cases:
        row = [case["network"], str(case["batch"]), cell(case["gflop"])]
        for columns in COLUMNS.values():
            ms = median(case["measured"], columns["serin"], 1 if cores > 1 else 0)
            row += [cell(1e3 * case["gflop"] / ms if ms else None, 0)]
            row += [cell(times(case["measured"], slow, columns["serin"], 0), 2)
                    for slow in ("cpu", columns["OpenVINO"], columns["convolutions"])]
        rows.append(row)
    print_table(f"serin, {on}: GFLOP/s, and how many times its processor time ONNX Runtime takes in fp32, OpenVINO and the convolutions alone in "
                "the same precision:", ["network", "batch", "GFLOP"] +
                [f"{precision} {head}" for precision in COLUMNS for head in ("GFLOP/s", "ONNX Runtime", "OpenVINO", "convolutions")], rows)


def report_photographs(cases):
    print_table(f"Milliseconds of processor of a photograph, one core; found: only what has a score above .25:", ["network", *FOUND], [
        [case["network"], *(cell(median(case["measured"], name, 0)) for name in FOUND.values())] for case in cases])
    print_table("How many times that ONNX Runtime takes in fp32:", ["network", *list(FOUND)[1:]], [
        [case["network"], *(cell(times(case["measured"], "cpu", name, 0), 2) for name in list(FOUND.values())[1:])] for case in cases])


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main():
    usable = sorted(os.sched_getaffinity(0))
    networks = sys.argv[2:] or list(NETWORKS)[:1 if SHORT else None]
    python = peer_environment.install("openvino", OPENVINO)
    missing, cases, photographs = [], [], []
    for network in networks:
        missing += quantize(network, find(network, ("-dynamic", "")), f"{network}-int8")
    for cores in (1,) if SHORT or len(usable) < 2 else (1, 2):
        for network in networks:
            for batch in (1,) if SHORT else (1, 8):
                programs, lacks = start(python, network, batch, set(usable[-cores:]))
                missing += lacks
                gflop = max((program.gflop for program in programs), default=0.0) / batch
                if gflop:
                    progress(f"{network}, batch {batch}, {cores} core{'s' if cores > 1 else ''} ...")
                    cases.append({"network": network, "batch": batch, "cores": cores, "gflop": gflop, "measured": measure(programs, batch)})
                for program in programs:
                    program.stop()
    for network in (name for name in networks if name in TRAINED):
        programs, lacks = start_photographs(network, set(usable[-1:]))
        missing += lacks
        if programs:
            progress(f"{network} on photographs ...")
            photographs.append({"network": network, "photographs": True, "measured": measure(programs, 1)})
        for program in programs:
            program.stop()
    for why in dict.fromkeys(missing):
        print(f"left out: {why}")
    if not cases:
        print(f"bench_engines.py: skipped, neither {MODELS} nor {DATA / 'models'} has a network; make some with "
              "bench/peers/export_yolos.py", file=sys.stderr)
        sys.exit(77)
    print(f"\n{cpu_name()}; OpenVINO {OPENVINO[0].partition('==')[2] if python else 'is not there'}; load {os.getloadavg()[0]:.1f} at the end")
    for cores in sorted({case["cores"] for case in cases}):
        report([case for case in cases if case["cores"] == cores], cores)
    if photographs:
        report_photographs(photographs)
    if OUT:
        pathlib.Path(OUT).write_text("".join(json.dumps(case) + "\n" for case in cases + photographs))


main()
