"""The home garden: whatever a client sends, each origin sees nothing or exactly the requests that our access log shows.

SPDX-License-Identifier: Apache-2.0

The origins are Debian's own servers (garden_fixture.py); those that are not installed are skipped and named. Each hostile
request (hostile_requests.py) goes to each on a connection of its own with a marker request behind it, and behind that what no
parser can take for anything, so that the gateway closes. Then the origin's log and ours are compared: id, method, path and
length of the body of every request, in order.
"""
import collections
import contextlib
import json
import os
import re
import socket
import threading

import pytest
from garden_fixture import ORIGINS, Origin, is_installed
from hostile_requests import classics, corpora
from serve_fixture import DEADLINE_S, serving, until

LONG = bool(os.environ.get("SERIN_SOAK"))
EVERY = 1 if LONG else 8  # of h2o's corpus
AT_LEAST = int(os.environ.get("SERIN_GARDEN", 0))  # origins that must be there; .ci/run installs them and says how many
MAX_BODY = 1_000_000
REFUSED = (400, 411, 413, 417, 431, 499, 500, 501, 502, 503, 504, 505)  # an origin may have seen these, or not


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("garden"), "--drain-seconds", "2", "--max-body-mb", "1", "--gateway-threads", "1") as found:
        yield found


@pytest.fixture
def origin(serve, tmp_path, request):
    if not is_installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    if request.param == "go" and not LONG:
        pytest.skip("Go compiles its library first: only in the long form")
    made = Origin(request.param, tmp_path / "origin")
    try:
        made.start()
        made.model = made.name.replace(".", "-")
        serve.deploy(f"{made.model}:v1", f"http://127.0.0.1:{made.port}", stable=True)
        yield made
        serve.api("DELETE", f"routes/{made.model}")
        serve.api("DELETE", f"serving/{made.model}:v1")
    finally:
        made.stop()


def logged(serve, model):
    """Our access log of a model: (id, method, path, bytes of the body), status of each request, in order."""
    text = (serve.folder / "access").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
    assert not any("dropped" in line.get("message", "") for line in lines)
    # The gateway asks with GET for what a client wants the HEAD of.
    return [((line["http.request.id"], line["http.request.method"].replace("HEAD", "GET"), line["url.path"],
              line["http.request.body.bytes"]), line["http.response.status_code"]) for line in lines if line.get("serin.model") == model]


def send(port, data, marker):
    """Sends all and reads until the gateway closes: whether it answered the marker."""
    lengths = [int(digits) for digits in re.findall(rb"(?i)content.length\s*:\s*(\d{1,7})", data)]
    rest = b"\0" * (min(max(lengths, default=0), MAX_BODY) + 100)  # fills what body is being waited for, and is no request
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client, contextlib.suppress(ConnectionError):
        client.sendall(data + marker + rest + b"\r\n\r\n\0\r\n\r\n")
        client.settimeout(.5)
        while True:
            try:
                piece = client.recv(65536)
            except TimeoutError:  # it waits for a body that is longer than the rest: it may as well end
                client.settimeout(DEADLINE_S)
                client.shutdown(socket.SHUT_WR)
                continue
            if not piece:
                break
            got += piece
    return got


def test_enough_of_them_are_there():
    assert sum(map(is_installed, ORIGINS)) >= AT_LEAST


@pytest.mark.parametrize("origin", ORIGINS, indirect=True)
def test_an_origin_sees_what_our_log_shows(serve, origin):
    path = f"/v2/models/{origin.model}"  # where any path goes through
    inputs = classics(path) + corpora(path, EVERY)
    for i, (_, data) in enumerate(inputs):
        send(serve.port, data, f"GET {path}/marker HTTP/1.1\r\nHost: a\r\nX-Request-Id: marker-{i}\r\n\r\n".encode())
    last = f"GET {path}/last HTTP/1.1\r\nHost: a\r\nX-Request-Id: the-last\r\n\r\n".encode()
    send(serve.port, last, b"")

    def all_there():
        return any(line[0][0] == "the-last" for line in logged(serve, origin.model)) and any(
            line[0] == "the-last" for line in origin.seen())

    until(all_there, "the last line of both logs")
    ours, theirs = logged(serve, origin.model), origin.seen()
    if all(one[3] < 0 for one in theirs):  # it does not tell lengths
        ours = [((*one[:3], -1), status) for one, status in ours]
    must = [one for one, status in ours if status not in REFUSED]
    may = {one for one, status in ours if status in REFUSED}
    nameless = [one for one in theirs if one[0] in ("", "-")]  # it refused before it had read the id
    assert len(nameless) <= len(may) and all(one[2] in ("", "-", path) for one in nameless), nameless
    print(f"{origin.name}: {len(inputs)} inputs, {len(ours)} requests in our log, {len(theirs)} seen by it")
    seen = [one for one in theirs if one not in may and one not in nameless]
    assert all(theirs.count(one) <= 1 for one in may)
    extra, missing = collections.Counter(seen) - collections.Counter(must), collections.Counter(must) - collections.Counter(seen)
    assert not extra and not missing, f"it saw {list(extra.elements())[:5]}, and not {list(missing.elements())[:5]}"
    assert seen == must, "the order is another"
    assert sum(one[2].endswith("/marker") for one in must) > 20
