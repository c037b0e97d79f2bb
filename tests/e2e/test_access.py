"""Who may do what: tokens, the way they are given, addresses that others can reach, and what strangers send.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import socket
import time

import pytest
from conftest import serin
from serve_fixture import DEADLINE_S, Models, serving, until


def make_token(folder, name, *options):
    found = serin("token", "create", name, *options, "--data-dir", folder / "data")
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def events(serve):
    return [json.loads(line) for line in (serve.folder / "events").read_text().splitlines()]


@pytest.fixture(name="serve")
def _serve(tmp_path):
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        yield serve


def test_tokens_come_into_force_and_go_while_it_runs(serve):
    assert serve.call("GET", "/api/v1/status").status == 200
    admin = make_token(serve.folder, "ann", "--role", "admin")
    assert serve.call("GET", "/api/v1/status").status == 401
    assert serve.call("GET", "/api/v1/status", headers=bearer(admin)).status == 200
    viewer = make_token(serve.folder, "bob", "--role", "viewer")
    assert serve.call("POST", "/api/v1/reload", headers=bearer(viewer)).status == 403
    found = serve.call("POST", "/api/v1/tokens", {"name": "carl", "role": "operator"}, bearer(admin))
    assert found.status == 200
    operator = found.json()["token"]
    assert serve.call("DELETE", "/api/v1/tokens/bob", headers=bearer(operator)).status == 403
    assert serve.call("DELETE", "/api/v1/tokens/bob", headers=bearer(admin)).status == 200
    assert serve.call("GET", "/api/v1/status", headers=bearer(viewer)).status == 401
    assert serin("token", "revoke", "carl", "--data-dir", serve.folder / "data").returncode == 0
    assert serve.call("GET", "/api/v1/status", headers=bearer(operator)).status == 401
    changes = serve.call("GET", "/api/v1/changes", headers=bearer(admin)).json()
    text = json.dumps(changes)
    assert [change["what"] for change in changes[:5]] == ["token revoked", "token revoked", "token", "token", "token"]
    assert changes[2]["author"].startswith("ann from 127.0.0.1:") and changes[2]["detail"] == "carl role=operator"
    assert changes[0]["author"].startswith("cli ")
    until(lambda: "revoking a token" in (serve.folder / "events").read_text(), "the log's lines")
    log = (serve.folder / "events").read_text()
    assert "refusing a call" in log and "403 POST /api/v1/reload" in log and "'bob' is a token for a viewer" in log
    last = serve.call("DELETE", "/api/v1/tokens/ann", headers=bearer(admin))
    assert last.status == 409 and "'ann' is the last token of the admin port" in last.json()["error"]
    found = serin("token", "revoke", "ann", "--data-dir", serve.folder / "data")
    assert found.returncode == 1 and "anybody on this machine asks" in found.stderr and "--force" in found.stderr
    assert serve.call("GET", "/api/v1/status").status == 401
    assert serin("token", "revoke", "ann", "--force", "--data-dir", serve.folder / "data").returncode == 0
    assert serve.call("GET", "/api/v1/status").status == 200
    for secret in (admin, viewer, operator):
        assert secret[6:] not in text and secret[6:] not in log


def test_verbs_take_their_token_from_the_environment_or_a_file(serve, tmp_path):
    secret = make_token(serve.folder, "ann", "--role", "admin")
    where = ("--admin", f"127.0.0.1:{serve.admin}")
    bare = {"SERIN_TOKEN": "", "XDG_CONFIG_HOME": str(tmp_path / "none")}
    found = serin("status", *where, env=bare)
    assert found.returncode == 1 and "a token is needed" in found.stderr and "SERIN_TOKEN" in found.stderr
    assert serin("status", *where, env={"SERIN_TOKEN": secret}).returncode == 0
    path = tmp_path / "token"
    path.write_text(secret + "\n")
    path.chmod(0o644)
    found = serin("status", *where, env={**bare, "SERIN_TOKEN_FILE": str(path)})
    assert found.returncode == 1 and "0644" in found.stderr and secret not in found.stderr
    path.chmod(0o600)
    assert serin("status", *where, env={**bare, "SERIN_TOKEN_FILE": str(path)}).returncode == 0
    (tmp_path / "config" / "serin").mkdir(parents=True)
    path.rename(tmp_path / "config" / "serin" / "token")
    assert serin("reload", *where, env={**bare, "XDG_CONFIG_HOME": str(tmp_path / "config")}).returncode in (0, 1)
    assert serin("status", *where, env={**bare, "XDG_CONFIG_HOME": str(tmp_path / "config")}).returncode == 0
    found = serin("status", *where, env={**bare, "SERIN_TOKEN": "a\r\nX-Evil: 1"})
    assert found.returncode == 1 and "a\n" not in found.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_elsewhere_than_on_this_machine_takes_a_token(tmp_path, address):
    data = tmp_path / "data"
    for more in ((), ("--check",)):
        found = serin("serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--admin", address, *more)
        assert found.returncode != 0 and "without a token" in found.stderr, found.stderr
        assert not (data / "state.db").exists()
    make_token(tmp_path, "gate", "--model", "m")  # opens no admin port
    found = serin("serve", "--data-dir", data, "--admin", address, "--check")
    assert found.returncode != 0 and "without a token" in found.stderr, found.stderr
    make_token(tmp_path, "ann", "--role", "admin")
    found = serin("serve", "--data-dir", data, "--admin", address, "--check")
    assert found.returncode != 0 and "in plain text" in found.stderr, found.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "127.8.9.10:0", "unix:/tmp/serin-check.sock"])
def test_on_this_machine_none_is_needed(tmp_path, address):
    found = serin("serve", "--data-dir", tmp_path, "--admin", address, "--check")
    assert found.returncode == 0, found.stderr


# ---- keys of the data port ----

def test_a_model_can_ask_for_a_key(serve):
    fakes = Models(serve, "m")
    stable = fakes.add("v1", stable=True)
    shadow = fakes.add("v2")
    fakes.put(mirrors=[{"tag": "v2", "per_million": 1000000}])
    key, other = make_token(serve.folder, "gate", "--model", "m"), make_token(serve.folder, "yard", "--model", "n")
    where = ("--admin", f"127.0.0.1:{serve.admin}")
    assert serve.ask("POST", "/v1/predict/m", b"p").status == 200
    found = serin("route", "set", "m", "--need-key", "yes", *where)
    assert found.returncode == 0 and "needs an API key" in found.stdout, found.stderr
    wrong = ({}, bearer(other), bearer(key[:-1]), bearer(key + "0"), {"X-Api-Key": ""}, {"Authorization": f"Basic {key}"},
             {"Cookie": f"X-Api-Key={key}"})
    count = len(stable.asked)
    for headers in wrong:
        for method, path in (("POST", "/v1/predict/m"), ("GET", "/v2/models/m"), ("POST", "/v2/models/m/versions/v1/infer")):
            found = serve.ask(method, path, b"p" if method == "POST" else None, headers)
            assert found.status == 401 and found.headers["WWW-Authenticate"].startswith("Bearer"), (headers, found.body)
    assert len(stable.asked) == count
    until(lambda: serve.ask("POST", "/v1/predict/m", b"p", bearer(key)).status == 200, "the key is in force")
    for headers, kept in ((bearer(key), None), ({"X-Api-Key": key}, None),
                          ({"X-Api-Key": key, "Authorization": "Bearer the-versions-own"}, "Bearer the-versions-own")):
        assert serve.ask("POST", "/v1/predict/m", b"p", headers).status == 200
        assert stable.asked[-1].get("X-Api-Key") is None and stable.asked[-1].get("Authorization") == kept
    until(lambda: len(shadow.asked) >= 4, "the copies")
    assert serve.ask("GET", "/v2/health/ready").status == 200
    for fake in (stable, shadow):
        for asked in fake.asked:
            assert key not in str(asked.fields)
    for name in ("access", "events"):
        assert key not in (serve.folder / name).read_text() and "the-versions-own" not in (serve.folder / name).read_text()
    assert serin("token", "revoke", "gate", "--data-dir", serve.folder / "data").returncode == 0
    until(lambda: serve.ask("POST", "/v1/predict/m", b"p", bearer(key)).status == 401, "the key is revoked")
    assert serin("route", "set", "m", "--need-key", "no", *where).returncode == 0
    assert serve.ask("POST", "/v1/predict/m", b"p").status == 200
    assert serve.call("GET", "/api/v1/status").status == 200  # keys of the data port lock no admin port
    fakes.remove()


# ---- what strangers send ----

def raw(port, data, patience_s=DEADLINE_S):
    """What comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(data)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while more := peer.recv(65536):
                got += more
        return got


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/api/v1/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                                  "/api/v1/routes/..%2f..%2fetc%2fpasswd", "/api/v1/routes/%00", "//etc/passwd",
                                  "/vendor/../../etc/passwd", "/vendor/..%2f..%2fetc%2fpasswd", "/app.js%00", "/app.js/..", "/%2fapp.js",
                                  "/index.html%2f..%2fstate.db", "/api/v1/rollouts/..%2f..%2fstate.db", "/static/..%5c..%5cstate.db"])
def test_paths_lead_nowhere(serve, path):
    got = raw(serve.admin, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert got.split(b" ")[1] in (b"400", b"404"), got
    assert b"root:" not in got and b"SQLite" not in got


@pytest.mark.parametrize("head", [
    b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Serin-Author: a\rSet-Cookie: x=1\r\n\r\n",
    b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Serin-Author: a\0b\r\n\r\n",
    b"GET /api/v1/status\r\nX: 1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
])
def test_heads_that_could_be_read_in_two_ways_are_refused(serve, head):
    got = raw(serve.admin, head)
    assert got.startswith(b"HTTP/1.1 400 ") and b"Set-Cookie: x" not in got, got


def test_what_is_said_of_an_author_stays_one_line(serve):
    """Decoded path segments and names go into logs and answers."""
    got = serve.call("DELETE", "/api/v1/routes/a%0d%0aSet-Cookie:%20x=1", headers={"X-Serin-Author": "a\tb\xff"})
    assert got.status in (200, 404) and "x=1" not in str(got.headers)
    assert serve.call("GET", "/api/v1/status").status == 200
    events(serve)  # each line is JSON


def test_bodies_are_bounded_before_they_are_read(serve):
    for declared in (b"1048577", b"99999999999999999999"):
        got = raw(serve.admin, b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + declared + b"\r\n\r\n")
        assert got.split(b" ")[1] in (b"400", b"413"), got
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    got = raw(serve.admin, b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 20)
    assert got.startswith(b"HTTP/1.1 413 "), got
    got = raw(serve.admin, b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000000 + b"\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 431 "), got[:100]
    deep = b"[" * 100000
    got = raw(serve.admin, b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(deep) + deep)
    assert got.startswith(b"HTTP/1.1 400 "), got[:100]


# What a slow client sends and then no more, on the control port and on the data port; what it is ended with, b"": without a word.
SLOW = {
    "head": (b"GET /api/v1/st", b"GET /v2/health/li", b"HTTP/1.1 408 "),
    "body": (b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
             b"POST /v1/feedback/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{", b"HTTP/1.1 408 "),
    "chunk": (b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{",
              b"POST /v1/predict/m HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{", b"HTTP/1.1 408 "),
    "answer": (b"GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200, b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20000, b""),
}


@pytest.mark.parametrize("port", ["control", "data"])
@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_do_not_keep_others_out(serve, kind, port):
    """Nearly as many as the control port takes: the others are answered meanwhile, and in the long form they are ended."""
    sent, end = SLOW[kind][0 if port == "control" else 1], SLOW[kind][2]
    where = serve.admin if port == "control" else serve.port
    with contextlib.ExitStack() as stack:
        slow = []
        for _ in range(10 if kind == "answer" else 250):
            peer = stack.enter_context(socket.socket())
            if kind == "answer":  # one that takes little before it stops
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(("127.0.0.1", where))
            peer.settimeout(1)
            with contextlib.suppress(TimeoutError):
                peer.sendall(sent)
            slow.append(peer)
        for _ in range(20):
            assert serve.call("GET", "/api/v1/status").status == 200 and serve.ask("GET", "/v2/health/live").status == 200
        if not os.environ.get("SERIN_SOAK"):
            return
        for peer in slow:
            peer.settimeout(2 * DEADLINE_S)
            if kind == "answer":
                until(lambda: is_ended(peer), "the end of one that does not read", 2 * DEADLINE_S)  # pylint: disable=cell-var-from-loop
            else:
                assert peer.recv(65536).startswith(end)


def is_ended(peer):
    """Whether the other side has let go: the state of the socket, without reading from it. 1: established (linux/tcp_states.h)."""
    return peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1


def test_one_address_cannot_guess_for_long(serve):
    make_token(serve.folder, "ann", "--role", "admin")
    found = [serve.call("POST", "/api/v1/login", {"token": f"serin_{i}"}).status for i in range(8)]
    assert found[0] == 401 and found[-1] == 429
    until(lambda: any(event["message"].startswith("refused from 127.0.0.1") for event in events(serve)), "the log's line")
