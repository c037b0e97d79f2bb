"""The HTTP server against the raw requests of Http11Probe, judged by the answers that suite expects.

SPDX-License-Identifier: Apache-2.0

The data lies in ../shared/data or at $SERIN_TEST_DATA (tests are skipped without it). An expectation is a text such as
"400 or close (pass), 2xx (warn)" or "!101"; what it merely warns of is not a pass here. Every case passes.
"""
import json
import os
import re
import signal
import socket
import subprocess

import pytest
from conftest import ROOT

DATA = next((path for path in (os.environ.get("SERIN_TEST_DATA"), ROOT / ".." / "shared" / "data") if path), None)
FILE = os.path.join(DATA, "http11probe.json")
CASES = json.load(open(FILE, encoding="utf-8"))["cases"] if os.path.exists(FILE) else []
ECHO = os.environ.get("SERIN_HTTP_ECHO", ROOT / "build" / "tests" / "http_echo")
PATIENCE_S = 10  # far longer than an answer takes

pytestmark = pytest.mark.skipif(not CASES, reason="http11probe.json is not there")


@pytest.fixture(scope="module")
def port():
    with subprocess.Popen([ECHO, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as server:
        yield int(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0


def split_answer(got, is_head):
    """Status, head and what is behind the first final answer in got; None where it is not whole yet."""
    while True:
        head, end, rest = got.partition(b"\r\n\r\n")
        if not end:
            return None
        status = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r\n]*", head.split(b"\r\n")[0]).group(1))
        if status >= 200:
            break
        got = rest
    length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)(\r|$)", head).group(1))
    if is_head:
        length = 0
    return (status, head, rest[length:]) if len(rest) >= length else None


def restored(case):
    """The request as it was sent: the collection cuts long ones at 8 KB and writes bytes that are not ASCII as '?'."""
    text = case["raw_request"]
    line = "Host: localhost:8080\r\n"
    endings = {
        "MAL-LONG-URL": "A" * 100_000 + " HTTP/1.1\r\n" + line + "\r\n",
        "MAL-MANY-HEADERS": " value\r\n" + "".join(f"X-H-{i}: value\r\n" for i in range(517, 10_000)) + "\r\n",
        "MAL-LONG-HEADER-NAME": "A" * 100_000 + ": value\r\n\r\n",
    }
    if case["id"] == "MAL-URL-OVERLONG-UTF8":
        text = text.replace("??", "\xc0\xaf")
    return (text + endings.get(case["id"], "")).encode("latin-1")


def ask(port, request):
    """What the server says to a request, and whether it then closes: (status or None, closed, rest). A server that waits
    for more than the request is one that passes no case: the test fails in PATIENCE_S."""
    got, answer, is_head = b"", None, request.startswith(b"HEAD ")
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.sendall(request)
        while answer is None:
            piece = client.recv(65536)
            if not piece:
                return None, True, got
            got += piece
            answer = split_answer(got, is_head)
        status, head, rest = answer
        if b"\r\nConnection: close" not in head:
            return status, False, rest
        return status, True, rest + b"".join(iter(lambda: client.recv(65536), b""))


def meets(expected, status, closed):
    """Whether an answer is one of those that the expectation allows without a warning."""
    expected = re.sub(r",? *[^,()]*\(warn\)", "", expected).replace("(pass)", "").strip()
    if expected == "2xx + close":
        return status is not None and status // 100 == 2 and closed
    for word in re.split(r" or |/", expected):
        if word == "close" and status is None and closed:
            return True
        if word == "timeout" and status is None:
            return True
        if word.startswith("!") and status is not None and status != int(word[1:]):
            return True
        if status is not None and (word == str(status) or word == f"{status // 100}xx"):
            return True
    return False


def test_the_judge_itself():
    assert meets("400 or close", 400, True) and meets("400 or close", None, True)
    assert not meets("400 or close", 200, False) and not meets("400 or close", None, False)
    assert not meets("400 or close (pass), 2xx (warn)", 200, False)
    assert meets("400 or close (pass), 2xx (warn)", 400, True)
    assert not meets("!101", 101, False) and meets("!101", 400, True)
    assert not meets("2xx + close", 200, False) and meets("400/405 or 200", 405, True)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_every_case_is_answered_as_expected(port, case):
    status, closed, rest = ask(port, restored(case))
    assert meets(case["expected"], status, closed), f"{case['description']}: {status}, closed: {closed}"
    if status == 400:
        assert closed, "400 and the connection is kept"
    assert rest == b"", "a second answer: part of the request was read as another one"


def test_the_score(port, capsys):
    passed = sum(meets(case["expected"], *ask(port, restored(case))[:2]) for case in CASES)
    with capsys.disabled():
        print(f"\nhttp11probe: {passed} of {len(CASES)}")
    assert passed == len(CASES)
