"""serin predict --json prints what Ultralytics' Results.to_json() gives: fields, their order, and numbers written the same way.

SPDX-License-Identifier: Apache-2.0

tests/golden_test.c compares the values of every case; here it is the text of the default predictions that counts.
"""
import hashlib
import json
import re

import pytest
from conftest import MINIATURE, PICTURES, ROOT, TASKS, serin

PREDICTIONS = ROOT / "tests" / "golden" / "predictions"


def golden(name):
    return json.loads((PREDICTIONS / f"{name}.json").read_text(encoding="utf-8"))


def agrees(expected, found, tolerance):
    """The same fields in the same order, and values that agree."""
    if isinstance(expected, dict):
        return list(expected) == list(found) and all(
            agrees(value, found[key], 1.1e-4 if key in ("confidence", "visible") else tolerance)
            for key, value in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(found) and all(agrees(a, b, tolerance) for a, b in zip(expected, found))
    if isinstance(expected, float):
        return isinstance(found, float) and abs(expected - found) <= tolerance
    return type(expected) is type(found) and expected == found


@pytest.mark.parametrize("task", TASKS)
def test_json_is_that_of_ultralytics(task):
    size = ["--imgsz", "160"] if task == "detect" else []
    cases = [case for case in golden(task)["cases"] if case["options"] in ({}, {"imgsz": 160}) and "group" not in case]
    assert len(cases) > 10
    run = serin("predict", "--model", MINIATURE / f"{task}.onnx", *size, "--json", *(PICTURES / c["image"] for c in cases))
    assert run.returncode == 0, run.stderr
    printed = run.stdout.splitlines()
    assert len(printed) == len(cases)
    for case, line in zip(cases, printed):
        found = json.loads(line)
        assert found["shape"] == case["shape"]
        assert agrees(case["results"], found["results"], 0.05), (case["image"], case["results"], found["results"])
        # Written as there: no spaces, the shortest digits, and plain decimals where Python's own text has an exponent.
        text = json.dumps(found["results"], separators=(",", ":"), ensure_ascii=False)
        assert line.endswith('"results":' + re.sub(r"(\d)e-05", r"0.0000\1", text) + "}")


@pytest.mark.parametrize("path", sorted(MINIATURE.glob("*.onnx")), ids=lambda path: path.stem)
def test_golden_file_is_of_this_model(path):
    """A model that was exported anew needs its golden file made anew: tests/golden/README.md."""
    assert golden(path.stem)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
