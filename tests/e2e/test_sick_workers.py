"""A canary's worker that hangs, or has too little memory, in mid release: no client sees it, it is off, and it is said why.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import struct
import zlib

import pytest
from conftest import MINIATURE, PICTURES, serin
from serve_fixture import needs_workers, push_two, until, with_workers
from test_rollout import Rollouts, plan, step

PICTURE = (PICTURES / "shapes-97x211.jpg").read_bytes()

pytestmark = needs_workers


@pytest.fixture(name="pushed", scope="module")
def _pushed(tmp_path_factory):
    return push_two(tmp_path_factory.mktemp("pushed") / "data")


def black_png(width, height):
    """Few bytes on the way, and three a pixel once it is decoded."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes(height * (1 + 3 * width)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows)
            + chunk(b"IEND", b""))


def releasing(serve, tag):
    """tiny:v1 is stable, and half of the traffic goes to the other."""
    serve.deploy("tiny:v1", stable=True)
    serve.deploy(f"tiny:{tag}")
    serve.put("tiny", canary_timeout_ms=2000, timeout_ms=60000)
    models = Rollouts(serve, "tiny")
    models.start(plan(step(50, evidence=10**9, time="600s")), tag)
    models.reach("Progressing")
    return models


def is_off(serve, models, traffic, tag):
    """The rollout, once it has gone back; and stable has answered everybody."""
    found = models.reach("RolledBack")
    before = traffic.by_version.get("v1", 0)
    until(lambda: traffic.by_version.get("v1", 0) > before + 20 or traffic.broken, "stable's answers")
    assert not traffic.errors and not traffic.broken
    assert serve.counters("tiny", "v1")["errors"] == serve.counters("tiny", tag)["errors"] == 0
    assert serve.versions("tiny")[tag]["weight"] == 0
    return found


def test_a_worker_that_stands_still(pushed, tmp_path):
    """Each of its requests is late, and stable answers it."""
    with with_workers(pushed, tmp_path) as serve:
        models = releasing(serve, "v2")
        pid = serve.versions("tiny")["v2"]["replicas"][0]["pid"]
        with models.traffic(body=PICTURE, clients=4) as traffic:
            until(lambda: traffic.by_version.get("v2", 0) > 10 or traffic.broken, "its answers")
            os.kill(pid, signal.SIGSTOP)
            found = is_off(serve, models, traffic, "v2")
        assert "in a row" in found["why"] or "error_rate rose" in found["why"], found["why"]
        assert serve.counters("tiny", "v2")["timeouts"] > 0
        os.kill(pid, signal.SIGCONT)


def test_a_version_that_is_still_stopping_is_not_deployed_again(pushed, tmp_path):
    with with_workers(pushed, tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        canary = {"name": "tiny:v2", "url": "", "stable": False, "replicas": 1}
        serve.api("POST", "deploy", canary)
        pid = serve.versions("tiny")["v2"]["replicas"][0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        serve.api("DELETE", "serving/tiny:v2")
        again = serve.call("POST", "/api/v1/deploy", canary)
        os.kill(pid, signal.SIGCONT)
        assert again.status == 409 and "tiny:v2 is still stopping: try again in some seconds" in again.json()["error"]
        until(lambda: serve.call("POST", "/api/v1/deploy", canary).status == 200, "its next deploy")


@pytest.mark.skipif("sanitize" in os.environ.get("SERIN_CC", ""), reason="a sanitizer's shadow is larger than any limit")
def test_a_worker_that_has_too_little_memory(pushed, tmp_path):
    """Enough to be let in, and not for the pictures that come: it is killed for it, or refused it; stable answers."""
    with with_workers(pushed, tmp_path) as serve:
        pushing = serin("push", "tiny:v3", "--model", MINIATURE / "detect.onnx", "--set", "memory_mb=110", "--data-dir",
                        tmp_path / "data")
        assert pushing.returncode == 0, pushing.stderr
        models = releasing(serve, "v3")
        with models.traffic(body=black_png(6000, 6000), clients=1) as traffic:  # 108 MB as it is decoded
            until(lambda: serve.counters("tiny", "v3")["failures"] >= 2 or traffic.broken, "two failures of it")
            models.say("abort", "it is too large")
            before = traffic.by_version.get("v1", 0)
            until(lambda: traffic.by_version.get("v1", 0) > before + 2 or traffic.broken, "stable's answers")
        assert not traffic.errors and not traffic.broken and traffic.by_version == {"v1": traffic.count}
        ends = [line for line in (serve.folder / "events").read_text().splitlines() if "tiny:v3#0 is " in line]
        assert all("killed for memory at 104 MiB" in line for line in ends), ends
