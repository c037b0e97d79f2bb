"""A version in a lower precision, released by evidence: with real workers, footage and labels; and the kept record of one.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import re
import subprocess
import tarfile

import pytest
from conftest import BIN, ROOT, serin
from serve_fixture import serving, until

STREET = ROOT / "examples" / "models" / "street-person" / "v1.1.0.onnx"
FOOTAGE = ROOT / "examples" / "footage"
RECORD = ROOT / "examples" / "precision" / "record.tar.gz"

# A worker's sandbox keeps ThreadSanitizer from its list of suppressions.
pytestmark = pytest.mark.skipif("thread" in os.environ.get("SERIN_CC", ""), reason="no workers under ThreadSanitizer")

# Guards as those of examples/plans/precision.yaml, of margins that a few seconds of footage can prove. How long the model
# takes is judged there and not here: where tests run beside each other it proves nothing.
PLAN = """
slices: []
guards:
  - {metric: missed, margin: 0.1}
  - {metric: wrong, margin: 0.2}
  - {metric: mirror_error_rate, margin: 0.2}
  - {metric: golden_map, margin: 0.02, required: false}
steps:
  - {mirror: 100%, min: {evidence: 0, time: 1s}, prove: {missed: 0.2, wrong: 0.3}}
  - {weight: 50%, mirror: 100%, min: {evidence: 20, time: 1s}}
  - {weight: 100%}
after: {analysis: 1s, undo: 1h}
"""


def push(folder, tag, model, *options):
    run = serin("push", f"street:{tag}", "--model", model, "--eval", FOOTAGE / "day.yaml", "--data-dir", folder / "data",
                *options)
    assert run.returncode == 0 and run.stderr == "", run.stderr


@contextlib.contextmanager
def footage(serve):
    """Cameras that play labelled footage until the end of the with, and get no error."""
    with subprocess.Popen([BIN, "stream", "--to", f"http://127.0.0.1:{serve.port}", "--model", "street", "--dir",
                           FOOTAGE / "images" / "day", "--loop", "--cameras", "12", "--fps", "1", "--labels", "auto", "--data",
                           FOOTAGE / "data.yaml", "--label-share", "1", "--label-delay", "0.2", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as player:
        try:
            yield
        finally:
            player.terminate()
            summary, complaints = player.communicate()
    assert json.loads(summary)["errors"] == 0, complaints


def release(serve, tag):
    """Until the judge has decided; the rollout."""
    admin = ("--admin", f"127.0.0.1:{serve.admin}")
    (serve.folder / "plan.yaml").write_text(PLAN)
    run = serin("rollout", "start", f"street:{tag}", "--plan", serve.folder / "plan.yaml", *admin)
    assert run.returncode == 0, run.stderr
    found = until(lambda: (now := serve.api("GET", "rollouts/street"))["phase"] not in ("Pending", "Progressing") and now,
                  f"a verdict on {tag}", 200)
    proven = [decision for decision in serve.api("GET", f"rollouts/{found['id']}/history") if decision["event"] == "proven"]
    assert proven and {decision["author"] for decision in proven} == {"judge"}
    run = serin("rollout", "replay", found["id"], "--data-dir", serve.folder / "data")
    assert run.returncode == 0 and "follow from what is on disk" in run.stdout, run.stdout + run.stderr
    return found


def engine_of(serve, tag):
    return next(version["engine"]["provider"] for version in serve.api("GET", "status")["models"][0]["versions"]
                if version["tag"] == tag)


def bf16(folder):
    if "no instructions for bf16" in serin("inspect", STREET, "--provider", "onednn-bf16").stderr:
        pytest.skip("this processor has no instructions for bf16")
    push(folder, "v1.1.0-cpu-bf16", STREET, "--set", "provider=onednn-bf16")
    return "v1.1.0-cpu-bf16", "onednn-bf16"


def int8(folder):
    run = serin("quantize", "--model", STREET, "--data", FOOTAGE / "images" / "day", "--images", "24", "-o", folder / "int8.onnx")
    assert run.returncode == 0, run.stderr
    push(folder, "v1.2.0-cpu-int8", folder / "int8.onnx", "--set", "provider=onednn")
    return "v1.2.0-cpu-int8", "onednn"


@pytest.mark.parametrize("make", [bf16, int8])
def test_a_lower_precision_is_released_by_evidence(tmp_path, make):
    push(tmp_path, "v1.0.0-cpu", STREET)
    tag, provider = make(tmp_path)
    with serving(tmp_path, "--worker-threads", "1") as serve:
        serve.deploy("street:v1.0.0-cpu", stable=True)
        with footage(serve):
            found = release(serve, tag)
        assert found["phase"] == "Promoted", found["why"]
        assert engine_of(serve, "v1.0.0-cpu") == "cpu" and engine_of(serve, tag) == provider
        golden = next(guard for guard in found["guards"] if guard["metric"] == "golden_map")
        assert golden["stable"] != golden["canary"]  # each was measured as it is served


# ---- the kept record ----


@pytest.fixture
def record(tmp_path):
    with tarfile.open(RECORD) as archive:
        archive.extractall(tmp_path / "record")
    return tmp_path / "record"


@pytest.mark.parametrize("rollout", ["yolov8n-1", "yolov8n-2"])
def test_the_kept_record_is_judged_as_it_was(record, rollout):
    run = serin("rollout", "replay", rollout, "--data-dir", record)
    assert run.returncode == 0 and re.search(rf"{rollout}: all of its \d+ decisions follow from what is on disk", run.stdout), \
        run.stdout + run.stderr
    assert run.stdout.count(" proven ") == 3 and "harm" not in run.stdout


def test_a_record_that_was_changed_is_found(record):
    lines = record / "rollouts" / "yolov8n-1" / "1.ndjson"
    lines.write_text(lines.read_text().replace('"missed":1', '"missed":0', 1))
    run = serin("rollout", "replay", "yolov8n-1", "--data-dir", record)
    assert run.returncode == 1 and "differ" in run.stdout + run.stderr
