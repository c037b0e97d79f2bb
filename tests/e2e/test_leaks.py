"""What a process holds after much work is what it held before: descriptors to the last one, memory within some megabytes.

A first round fills what is kept on purpose (pools, arenas, plans, caches). In the long form (SERIN_SOAK) ten times as much.
SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import json
import os
import pathlib
import re
import socket
import struct

import pytest
from conftest import PICTURES
from serve_fixture import needs_workers, push_two, until, with_workers
from test_worker import NAME, Worker, form, tensor_input

TIMES = 10 if os.environ.get("SERIN_SOAK") else 1
PICTURE = (PICTURES / "shapes-640x480.jpg").read_bytes()
SANITIZED = "sanitize" in os.environ.get("SERIN_CC", "")  # their quarantine keeps what was freed


def descriptors(pid):
    """What each open one is, so that a failure says it."""
    found = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(re.sub(r"\d+", "N", os.readlink(entry)))
        except FileNotFoundError:  # closed meanwhile
            continue
    return sorted(found)


def own_bytes(pid):
    """Memory that is the process's alone: no files, no libraries."""
    return int(re.search(r"^RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]) << 10


def expect_no_growth(pid, work, rounds, most_bytes):
    """work(i) for i of rounds, twice over: descriptors are the same after it, and memory grew by at most most_bytes."""
    for i in range(rounds):
        work(i)
    open_before, bytes_before = descriptors(pid), own_bytes(pid)
    for i in range(rounds * TIMES):
        work(i)
    until(lambda: len(descriptors(pid)) <= len(open_before), f"{open_before}, and no more")
    if not SANITIZED:
        grown = own_bytes(pid) - bytes_before
        assert grown <= most_bytes, f"{grown} bytes more, of {bytes_before}, after {rounds * TIMES} rounds"


def hang_up(address, head, body):
    """Sends what it has, and goes."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)


@pytest.mark.parametrize("provider", ["cpu", "onednn"])
def test_a_worker_keeps_nothing_of_its_requests(provider):
    head = f"POST /v1/predict/{NAME} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(PICTURE)}\r\n\r\n"
    pair, pair_type = form(("image", PICTURE, "a.jpg"), ("image", PICTURE[:300], "b.jpg"), ("conf", "0.1"))

    def work(i):
        assert worker.predict(PICTURE, f"imgsz={(64, 96, 128, 160)[i % 4]}")[0] == 200
        assert worker.predict(PICTURE[:500 + i])[0] == 400
        assert worker.predict(PICTURE, "iou=7")[0] == 400
        assert worker.predict(pair, Content_Type=pair_type)[0] == 200
        assert worker.call("GET", f"/nothing{i}")[0] == 404
        assert worker.call("POST", f"/v2/models/{NAME}/infer", tensor_body)[0] == 200
        assert worker.call("POST", f"/v2/models/{NAME}/infer", tensor_body[:-9])[0] == 400
        hang_up(worker.address, head, PICTURE[:1000])
        hang_up(worker.address, head, PICTURE)

    tensor_body = json.dumps({"inputs": [tensor_input(data=[0.5] * (3 * 64 * 64))]}).encode()
    worker = Worker("--provider", provider, "--threads", "1")
    try:
        expect_no_growth(worker.process.pid, work, 100, 3 << 20)
        code, log = worker.stop()
        assert code == 0, log
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.communicate()


@pytest.mark.skipif(SANITIZED, reason="their allocators keep what was freed")
def test_a_worker_gives_back_what_large_requests_took():
    """Eight tensors of 20 MB at once, and then of 5 MB, leave what idle slots of plans may keep, and little else."""
    def ask(side):
        values = bytes(3 * side * side * 4)
        head = json.dumps({"inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 3, side, side],
                                       "parameters": {"binary_data_size": len(values)}}],
                           "parameters": {"binary_data_output": True}}).encode()
        assert worker.call("POST", f"/v2/models/{NAME}/infer", head + values,
                           **{"Inference-Header-Content-Length": str(len(head))})[0] == 200

    worker = Worker("--provider", "onednn", "--threads", "1")
    try:
        before = own_bytes(worker.process.pid)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, [1280] * 8 + [640] * 16))
        until(lambda: own_bytes(worker.process.pid) <= before + (48 << 20),
              f"what it had before, {before} bytes, and 48 MB more at most")
    finally:
        worker.process.kill()
        worker.process.communicate()


@needs_workers
@pytest.mark.skipif(SANITIZED, reason="their allocators keep what was freed")
def test_a_server_gives_back_what_large_bodies_took(tmp_path):
    """Twelve pictures of 14 MB at once, five times over: the heap is trimmed within ten seconds."""
    side = 2200
    head = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + 3 * side * side, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    picture = head + bytes(3 * side * side)
    (tmp_path / "store").mkdir()
    with with_workers(push_two(tmp_path / "store"), tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        before = own_bytes(serve.process.pid)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: serve.ask("POST", "/v1/predict/tiny", picture).status, range(60)))
        assert answers == [200] * 60
        until(lambda: own_bytes(serve.process.pid) <= before + (100 << 20),
              f"what it had before, {before} bytes, and 100 MB more at most, in place of {own_bytes(serve.process.pid)}")


@needs_workers
def test_a_server_keeps_nothing_of_versions_that_came_and_went(tmp_path):
    (tmp_path / "store").mkdir()

    def work(i):
        until(lambda: serve.call("POST", "/api/v1/deploy", {"name": "tiny:v2", "stable": False}).status == 200,
              "the end of the one before")
        serve.weights("tiny", v1=1, v2=1)
        for _ in range(10):
            assert serve.ask("POST", "/v1/predict/tiny", PICTURE).status == 200
        serve.weights("tiny", v1=1, v2=0)
        serve.api("DELETE", "serving/tiny:v2")
        assert serve.call("POST", "/api/v1/reload").status in (200, 204)
        assert serve.call("GET", "/metrics").status == serve.call("GET", "/").status == 200
        assert serve.call("POST", "/api/v1/deploy", {"name": "tiny:v9"}).status == 404

    with with_workers(push_two(tmp_path / "store"), tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        expect_no_growth(serve.process.pid, work, 6, 2 << 20)
