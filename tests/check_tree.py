#!/usr/bin/env python3
"""The rules of CONTRIBUTING.md that a script can check: arrows between layers, file lengths, words, headings.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A layer may include its own headers and those of the layers named here.
LAYERS = {
    "base": set(),
    "image": {"base"},
    "engine": {"base"},
    "yolo": {"base", "image", "engine"},
    "http": {"base"},
    "version": {"base"},
    "store": {"base", "version"},
    "runtime": {"base", "http"},
    "worker": {"base", "http", "image", "engine", "yolo", "version"},
    "gateway": {"base", "http", "version"},
    "judge": {"base"},
    "rollout": {"base", "judge", "gateway"},
    "admin": {"base", "http", "version", "store", "runtime", "gateway"},
    "serve": {"base", "http", "version", "store", "runtime", "gateway", "judge", "rollout", "admin", "yolo"},
    "cli": {"base", "image", "engine", "yolo", "http", "version", "store", "worker", "gateway", "judge", "rollout", "serve"},
}
LONGEST, LONG_ALLOWED = 1500, 800
BANNED_WORDS = re.compile(r"(?i)not " r"implemented|\bFIX" r"ME\b|\bTO" r"DO\b|registry\.npm" r"js|pypi\." r"org|deb\.debian\." r"org")
BANNED_CALLS = re.compile(r"\b(strcpy|strcat|sprintf|gets|strtok|atoi|atof|exit)\s*\(")
INCLUDE = re.compile(r'^#include "([a-z]+)/', re.M)


def tracked(*patterns):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", *patterns], capture_output=True, text=True, check=False)
    return [ROOT / name for name in listed.stdout.split("\n") if name]


def check_source(path, faults):
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    lines = text.count("\n")
    if lines > LONGEST:
        faults.append(f"{name}: {lines} lines, the limit is {LONGEST}")
    opening = text[:800]
    if not text.startswith("/*") or "SPDX-License-Identifier: Apache-2.0" not in opening:
        faults.append(f"{name}: does not open with its purpose and the licence line")
    parts = name.parts
    if parts[0] != "src":
        return
    if len(parts) == 3 and parts[1] in LAYERS:
        for layer in INCLUDE.findall(text):
            if layer in LAYERS and layer != parts[1] and layer not in LAYERS[parts[1]]:
                faults.append(f"{name}: {parts[1]} includes {layer}, which lies beside or above it")
        if parts[1] != "cli" and not path.stem.endswith("_test"):
            code = re.sub(r"/\*.*?\*/|\"(\\.|[^\"\\])*\"", "", text, flags=re.S)
            for call in BANNED_CALLS.findall(code):
                faults.append(f"{name}: calls {call}")
    if name.as_posix() == "src/main.c" and lines > 100:
        faults.append(f"{name}: {lines} lines; main tells the story in under 100")


def main():
    faults = []
    sources = tracked("*.c", "*.h")
    if not sources:
        print("no git checkout: nothing to check")
        return 77
    for path in sources:
        if path.exists():
            check_source(path, faults)
    for path in tracked():
        if not path.exists() or path.suffix in {".onnx", ".jpg", ".png", ".webp", ".bmp"} or path.stat().st_size > 1 << 20:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if BANNED_WORDS.search(line):
                faults.append(f"{path.relative_to(ROOT)}:{number}: a word that must not stay: {line.strip()[:80]}")
    long_files = [path for path in sources if path.exists() and path.read_text(encoding="utf-8").count("\n") > LONG_ALLOWED]
    if len(long_files) * 20 > len(sources):
        faults.append(f"{len(long_files)} of {len(sources)} files pass {LONG_ALLOWED} lines: hardly any may")
    for fault in faults:
        print(fault)
    print(f"checked {len(sources)} C files: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
