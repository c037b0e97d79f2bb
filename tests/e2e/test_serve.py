"""serin serve from outside: which version gets a request, what passes through, the control API, workers, and its ends.

SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading

import pytest
from conftest import BIN, MINIATURE, PICTURES, serin
from serve_fixture import SEEN, Models, Serve, answer, needs_workers, push_two, serving, until, with_workers

PICTURE = (PICTURES / "shapes-97x211.jpg").read_bytes()


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Without workers of its own: model servers are fakes."""
    with serving(tmp_path_factory.mktemp("serve"), "--drain-seconds", "2", "--max-body-mb", "4",
                 "--cors-origins", "http://a") as found:
        yield found


@pytest.fixture
def models(serve, request):
    made = Models(serve, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-"))
    yield made
    made.remove()


@pytest.fixture
def two(models):
    """a is stable; b has no weight yet."""
    models.add("a", stable=True)
    models.add("b")
    return models


def in_threads(count, work):
    """Runs work(number) in so many threads; what one raises is raised."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def seen(serve, model, count, **more):
    """How many of so many requests on one connection each version answered."""
    found = {}
    with contextlib.closing(serve.client()) as client:
        for _ in range(count):
            got = client.predict(model, **more)
            assert got.status == 200, got.body
            found[got.version] = found.get(got.version, 0) + 1
    return found


# ---- shares ----

def test_split_follows_the_weights(serve, two):
    count, share = 1500, .2
    two.weights(a=800, b=200)
    found = sum(got.get("b", 0) for got in in_threads(2, lambda _: seen(serve, two.name, count // 2)))
    assert abs(found - count * share) < 4 * math.sqrt(count * share * (1 - share))
    assert two.counters("b")["requests"] == found and two.counters("a")["requests"] == count - found
    assert [fake.count for fake in two.fakes] == [count - found, found]


def test_a_change_is_in_force_for_the_next_request(serve, two):
    with contextlib.closing(serve.client()) as one, contextlib.closing(serve.client()) as other:
        for i in range(50):
            tag = "ab"[i % 2]
            two.weights(**{"a": 0, "b": 0, tag: 1})
            assert one.predict(two.name).version == tag and other.predict(two.name).version == tag


def test_weights_change_under_load(serve, two):
    """No request fails, and none is served by a version whose weight was 0 before it began."""
    now, ended, wrong = ["a"], threading.Event(), []

    def load(_):
        with contextlib.closing(serve.client()) as client:
            while not ended.is_set():
                before = set(now)  # a change puts both there, then makes it, then takes the old one away
                found = client.predict(two.name)
                if found.status != 200 or found.fallback or found.version not in before | set(now):
                    wrong.append((before, found.status, found.version, found.body))

    def change():
        try:
            for i in range(200):
                old, new = "ab"[i % 2], "ba"[i % 2]
                now[:] = [old, new]
                two.weights(**{old: 0, new: 1})
                now[:] = [new]
        finally:
            ended.set()

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        loads = [pool.submit(load, i) for i in range(2)]
        pool.submit(change).result()
        for one in loads:
            one.result()
    assert not wrong
    assert two.counters("a")["errors"] == two.counters("b")["errors"] == 0
    assert two.counters("a")["answered"] > 20 and two.counters("b")["answered"] > 20


@pytest.mark.parametrize("source", ("header", "cookie", "query"))
def test_a_camera_keeps_its_side(serve, two, source):
    """Raising the weight only ever moves cameras to the version whose weight rises."""
    def ask(client, camera):
        if source == "query":
            return client.predict(two.name, query=f"?lang=en&cam={camera}").version
        field = {"header": {"cam": camera}, "cookie": {"Cookie": f"a=b; cam={camera}; c=d"}}[source]
        return client.predict(two.name, headers=field).version

    two.put(unit="key", key_source=source, key_name="cam")
    cameras, before = [f"camera-{i}" for i in range(60)], set()
    with contextlib.closing(serve.client()) as one, contextlib.closing(serve.client()) as other:
        for per_mille in (1, 50, 200, 500, 1000):
            two.weights(a=1000 - per_mille, b=per_mille)
            now = {camera for camera in cameras if ask(one, camera) == "b"}
            assert before <= now
            for camera in cameras[:20]:
                assert (ask(other, camera) == "b") == (camera in now)
            before = now
    assert before == set(cameras)


def test_blocks_of_a_camera_stay_together(serve, two):
    two.put(unit="key_block", key_source="header", key_name="X-Camera", block_seconds=604800)
    two.weights(a=1, b=1)
    for camera in "abcd":
        assert len(seen(serve, two.name, 10, headers={"X-Camera": camera})) == 1
    assert len(seen(serve, two.name, 60)) == 2  # without a key it is drawn


def test_rules_go_before_weights(serve, two):
    two.put(rules=[{"header": "X-Tester", "value": "", "tag": "b"}, {"header": "X-Site", "value": "north", "tag": "b"}])
    assert seen(serve, two.name, 20) == {"a": 20}
    assert seen(serve, two.name, 5, headers={"x-tester": "anybody"}) == {"b": 5}
    assert seen(serve, two.name, 5, headers={"X-Site": "north"}) == {"b": 5}
    assert seen(serve, two.name, 5, headers={"X-Site": "south"}) == {"a": 5}


def test_the_path_may_name_the_version(serve, two):
    for tag in "ab":
        found = serve.ask("POST", f"/v2/models/{two.name}/versions/{tag}/infer", b"{}")
        assert (found.status, found.version) == (200, tag)
    assert two.fakes[1].asked[-1].target == f"/v2/models/{two.name}/versions/b/infer"


def test_documents_are_of_one_version(serve, two):
    """Metadata of one version and statistics of another confuse clients (perf_analyzer gives up)."""
    two.weights(a=0, b=1)
    two.put(mirrors=[{"tag": "b", "per_million": 1000000}])
    for path in ("", "/config", "/stats", "/ready", "/versions/1/stats"):
        for method in ("GET", "HEAD"):
            assert serve.ask(method, f"/v2/models/{two.name}{path}").version == "a"
    assert serve.ask("POST", f"/v1/predict/{two.name}", b"{}").version == "b"
    assert [fake.count for fake in two.fakes] == [10, 1]


def test_no_weight_and_no_model(serve, two):
    found = serve.call("PATCH", f"/api/v1/routes/{two.name}/weights", {"a": 0})
    assert found.status == 409 and "no version" in found.json()["error"] and "would have weight" in found.json()["error"]
    assert serve.client().predict(two.name).status == 200
    found = serve.client().predict("nobody")
    assert found.status == 404 and found.json()["error"]["code"] == "not_found"
    assert "nobody" in found.json()["error"]["message"] and found.json()["request_id"] == found.headers["X-Request-Id"]
    found = serve.ask("POST", "/v2/models/nobody/infer", b"{}")
    assert found.status == 404 and "nobody" in found.json()["error"] and list(found.json()) == ["error"]
    found = serve.ask("GET", "/index.html")
    assert found.status == 404 and "/v1/predict/MODEL" in found.json()["error"]


def test_a_path_with_dot_segments_goes_nowhere(serve, two):
    for path in (f"/v2/models/{two.name}/../../repository/models/x/unload", f"/v2/models/{two.name}/%2e%2E/x",
                 f"/v1/predict/{two.name}/."):
        before = sum(len(fake.asked) for fake in two.fakes)
        assert serve.ask("POST", path, b"{}").status == 400
        assert sum(len(fake.asked) for fake in two.fakes) == before


@pytest.mark.parametrize("method", ("PUT", "DELETE", "PATCH", "TRACE", "get", "POSTT", "FOO"))
def test_other_methods_reach_nobody(serve, two, method):
    """gunicorn takes "get" for GET, and TRACE gives back what a client may not see."""
    found = serve.ask(method, f"/v1/predict/{two.name}")
    assert found.status == 405 and found.headers["Allow"] == "POST" and "takes POST" in found.json()["error"]["message"]
    assert [fake.count for fake in two.fakes] == [0, 0]


def test_a_route_is_put_twice_and_changed_once(serve, two):
    """Who asks again because the answer was lost is not refused, and nothing has a second revision."""
    path, route = f"/api/v1/routes/{two.name}", serve.api("GET", f"routes/{two.name}")
    wanted = {**route, "timeout_ms": 4321}
    first = serve.call("PUT", path, wanted)
    changes = serve.api("GET", "changes")
    again = serve.call("PUT", path, wanted)
    assert first.status == again.status == 200 and first.json() == again.json()
    assert first.json()["revision"] == route["revision"] + 1 and serve.api("GET", "changes") == changes


def test_two_people_at_one_route(serve, two):
    """If-Match has the ETag of what one has seen; who comes second is told, and has changed nothing."""
    path = f"/api/v1/routes/{two.name}"
    seen = serve.call("GET", path).headers["ETag"]
    assert seen == f'"{serve.api("GET", f"routes/{two.name}")["revision"]}"'
    found = serve.call("PATCH", path + "/weights", {"a": 41}, {"If-Match": seen})
    assert found.status == 200 and found.headers["ETag"] != seen
    now = serve.call("GET", path).body
    for method, where, body in (("PATCH", path + "/weights", {"a": 42}), ("PUT", path, {**json.loads(now), "timeout_ms": 7}),
                                ("DELETE", path, None)):
        refused = serve.call(method, where, body, {"If-Match": seen})
        assert refused.status == 412 and "revision" in refused.json()["error"], refused.body
    assert serve.call("GET", path).body == now
    assert serve.call("PATCH", path + "/weights", {"a": 43}, {"If-Match": f'"1000", {found.headers["ETag"]}'}).status == 200
    assert serve.call("PATCH", path + "/weights", {"a": 44}, {"If-Match": "*"}).status == 200
    assert serve.call("DELETE", "/api/v1/routes/nobody", None, {"If-Match": "*"}).status == 412


@pytest.mark.parametrize("kind, status", [("text/plain", 415), ("multipart/form-data; boundary=x", 415), ("application/xml", 415),
                                          ("application/json; charset=utf-8", 200), ("APPLICATION/JSON", 200),
                                          ("application/x-www-form-urlencoded", 200)])
def test_bodies_that_say_to_be_no_json_are_refused(serve, two, kind, status):
    """What curl -d says of every body is no such word."""
    assert serve.call("PATCH", f"/api/v1/routes/{two.name}/weights", {"a": 17}, {"Content-Type": kind}).status == status


def test_options_tell_the_methods(serve, two):
    for path, methods in (("/api/v1/routes", "GET, HEAD, OPTIONS"), (f"/api/v1/routes/{two.name}/weights", "PATCH, OPTIONS"),
                          ("/api/v1/rollouts", "GET, HEAD, POST, OPTIONS")):
        found = serve.call("OPTIONS", path)
        assert (found.status, found.headers["Allow"], found.body) == (204, methods, b"")
        assert found.headers["Access-Control-Allow-Origin"] is None
    for path, methods in (("/v2/health/ready", "GET, HEAD, OPTIONS"), ("/v2/repository/index", "POST, OPTIONS"),
                          (f"/v1/predict/{two.name}", "POST, OPTIONS"), (f"/v2/models/{two.name}/infer", "POST, OPTIONS")):
        found = serve.ask("OPTIONS", path)
        assert (found.status, found.headers["Allow"], found.body) == (204, methods, b"")


def test_head_is_get_without_its_body(serve, two):
    for path in ("/api/v1/status", "/api/v1/routes", f"/api/v1/routes/{two.name}", "/api/v1/changes", "/metrics", "/", "/openapi.yaml"):
        got, head = serve.call("GET", path), serve.call("HEAD", path)
        assert (got.status, head.status, head.body) == (200, 200, b"") and head.headers["Content-Type"] == got.headers["Content-Type"]
        assert path in ("/api/v1/status", "/metrics") or head.headers["Content-Length"] == got.headers["Content-Length"]
    for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
        got, head = serve.ask("GET", path), serve.ask("HEAD", path)
        assert (got.status, head.status, head.body) == (200, 200, b"")
        assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_changes_are_not_taken_from_web_pages(serve, two):
    """A page in somebody's browser may send these without a preflight, or under a name of its own for this address."""
    path, body = f"/api/v1/routes/{two.name}/weights", {"a": 99}
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example:8081"}):
        assert serve.call("PATCH", path, body, headers).status == 403
    assert serve.call("PATCH", path, body, {"Host": "localhost:1"}).status == 200


def test_a_version_is_taken_off_while_another_is_down(serve, two):
    """Only what rises must be ready: the route with a stable version that is gone can still lose its canary."""
    route = serve.api("GET", f"routes/{two.name}")
    other = {**route, "timeout_ms": route["timeout_ms"] + 1}
    assert serve.call("PUT", f"/api/v1/routes/{two.name}", {**other, "revision": route["revision"] + 7}).status == 409
    salt = route.pop("salt")  # another one would move every camera: left out, it stays
    assert serve.api("PUT", f"routes/{two.name}", {**route, "revision": 0})["salt"] == salt
    two.weights(a=50, b=50)
    assert serve.api("PATCH", f"routes/{two.name}/weights", {"b": 0})["versions"][1]["weight"] == 0


# ---- mirrors ----

def test_a_mirror_gets_the_same_bytes_and_no_credentials(serve, two):
    body = os.urandom(2_000_000)
    two.put(mirrors=[{"tag": "b", "per_million": 1000000}])
    with contextlib.closing(serve.client()) as client:
        for i in range(3):
            found = client.predict(two.name, body, {"Authorization": "Bearer secret", "Cookie": "session=1",
                                                    "X-Request-Id": f"request-{i}", "X-Camera": "seven"})
            assert (found.status, found.version) == (200, "a")
    stable, mirror = two.fakes
    until(lambda: mirror.count == 3, "the copies")
    copies = sorted(mirror.asked, key=lambda asked: asked.get("X-Request-Id"))  # they may overtake one another
    for one, copy in zip(stable.asked, copies):
        assert hashlib.sha256(one.body).digest() == hashlib.sha256(copy.body).digest() == hashlib.sha256(body).digest()
        assert one.get("X-Request-Id") == copy.get("X-Request-Id") is not None
        assert one.get("X-Camera") == copy.get("X-Camera") == "seven"
        assert one.get("Authorization") == "Bearer secret" and one.get("Cookie") == "session=1"
        assert copy.get("Authorization") is None and copy.get("Cookie") is None and copy.get("X-Serin-Mirror") == "1"
        assert one.get("X-Serin-Mirror") is None
    counted = until(lambda: (found := two.counters("b"))["mirrored"] == 3 and found, "the count")
    assert counted["requests"] == counted["answered"] == counted["mirror_failures"] == 0


def test_copies_of_requests_without_an_answer_are_sent(serve, models):
    """Clients come first, but not for ever: stable answers here when the copies of all are there."""
    mirror = models.add("b")
    models.add("a", lambda asked: until(lambda: mirror.count >= 8, "the copies") and answer(), stable=True)
    models.put(mirrors=[{"tag": "b", "per_million": 1000000}])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(serve.ask, "POST", f"/v1/predict/{models.name}", b"x") for _ in range(8)]
        assert {one.result().status for one in answers} == {200}
    assert mirror.count == 8


# ---- what passes through ----

def test_heads_on_their_way(serve, models):
    fake = models.add("a", lambda asked: answer(extra=b"X-From: model\r\nX-Serin-Version: wrong\r\nConnection: X-Gone\r\n"
                                                b"X-Gone: 1\r\nAccess-Control-Allow-Origin: http://b\r\n"), stable=True)
    found = serve.ask("POST", f"/v1/predict/{models.name}?x=%20y", b"abc",
                      {"X-Request-Id": "mine", "Connection": "X-Private", "X-Private": "1", "Via": "1.0 other",
                       "X-Forwarded-For": "1.2.3.4", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                       "Proxy-Authorization": "Basic eA==", "Origin": "http://a"})
    asked = fake.asked[-1]
    assert (asked.method, asked.target, asked.body) == ("POST", f"/v1/predict/{models.name}?x=%20y", b"abc")
    assert asked.get("Host") == fake.url[7:] and asked.get("Via") == "1.1 serin"
    assert asked.get("X-Forwarded-For") == "127.0.0.1" and asked.get("X-Request-Id") == "mine"
    assert asked.get("traceparent", ).startswith("00-0af7651916cd43dd")
    assert asked.get("X-Private") is None and asked.get("Proxy-Authorization") is None
    assert found.headers["X-Request-Id"] == "mine" and found.headers["X-From"] == "model"
    assert found.headers.get_all("X-Serin-Version") == ["a"] and found.headers["X-Gone"] is None
    assert found.headers.get_all("Access-Control-Allow-Origin") == ["http://a"] and found.headers["Vary"] == "Origin"
    assert "X-Serin-Version" in found.headers["Access-Control-Expose-Headers"]
    for strange in ("", "a b", "x" * 200, 'a"b'):
        given = serve.client().predict(models.name, headers={"X-Request-Id": strange}).headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_preflight(serve):
    found = serve.ask("OPTIONS", "/v1/predict/any", None,
                      {"Origin": "http://a", "Access-Control-Request-Method": "POST"})
    assert found.status == 204 and found.headers["Access-Control-Allow-Origin"] == "http://a"
    assert "POST" in found.headers["Access-Control-Allow-Methods"]


def test_a_method_that_is_not_taken_is_told_which_is(serve):
    found = serve.ask("GET", "/v1/feedback/some-id")
    assert found.status == 405 and found.headers["Allow"] == "POST"
    found = serve.call("PUT", "/api/v1/routes")
    assert found.status == 405 and found.headers["Allow"] == "GET, HEAD, OPTIONS"
    found = serve.call("POST", "/api/v1/routes/m")
    assert found.status == 405 and set(found.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}


def test_pages_of_other_origins_cost_nothing(serve, two):
    """Neither with a preflight nor without: no version sees what they send."""
    path = f"/v1/predict/{two.name}"
    for origin in ("http://b", "null", "http://a.evil", "http://a http://b"):
        for method, more in (("OPTIONS", {"Access-Control-Request-Method": "POST"}), ("POST", {}), ("GET", {})):
            found = serve.ask(method, path, None, {"Origin": origin, **more})
            assert found.status == 403 and found.headers["Access-Control-Allow-Origin"] is None
            assert "cors_origins" in found.json()["error"]["message"]
    assert [fake.count for fake in two.fakes] == [0, 0]
    for origin in (f"http://127.0.0.1:{serve.port}", f"https://127.0.0.1:{serve.port}"):  # its own, plain or behind TLS
        assert serve.ask("POST", path, b"", {"Origin": origin}).status == 200


def test_too_large_and_bad_requests(serve, two):
    with socket.create_connection(("127.0.0.1", serve.port)) as client:
        client.sendall(f"POST /v1/predict/{two.name} HTTP/1.1\r\nHost: a\r\nContent-Length: 4000001\r\n\r\n".encode())
        assert client.makefile("rb").readline() == b"HTTP/1.1 413 Content Too Large\r\n"
    for bad in (b"GET / HTTP/1.1\r\n\r\n", b"NO WAY\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", serve.port)) as client:
            client.sendall(bad)
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")  # read to its end: it was closed
    assert [fake.count for fake in two.fakes] == [0, 0]


def test_access_log_and_counters_agree(serve, models):
    models.add("a", lambda asked: answer(500 if asked.body == b"bad" else 200), stable=True)
    with contextlib.closing(serve.client()) as client:
        for i in range(20):
            client.predict(models.name, b"bad" if i % 4 == 0 else b"good", {"X-Request-Id": f"line-{i}"})

    def lines():
        text = (serve.folder / "access").read_text()
        found = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
        # Other tests of this program go at full speed, where lines may be dropped; at this rate each of ours is there.
        return [line for line in found if line.get("serin.model") == models.name]

    found = until(lambda: len(lines()) >= 20 and lines(), "the lines")
    assert [line["http.request.id"] for line in found] == [f"line-{i}" for i in range(20)]
    assert all(line["serin.version"] == line["serin.assigned"] == "a" for line in found)
    counted = models.counters("a")
    assert counted["requests"] == 20
    assert counted["errors"] == sum(line["http.response.status_code"] == 500 for line in found) == 5
    assert counted["request_bytes"] == sum(line["http.request.body.bytes"] for line in found) == 5 * 3 + 15 * 4
    assert counted["answer_bytes"] == sum(line["http.response.body.bytes"] for line in found)


def test_every_answer_has_one_line_and_what_a_page_needs(serve, two):
    """Whoever gave it: a version, the gateway, or its server before anybody was asked."""
    page = "Origin: http://a\r\nX-Request-Id: ID\r\n"
    cases = [  # request line, the rest of the head, status, whether its head could be read
        (f"GET /v2/models/{two.name}/stats?token=secret HTTP/1.1", page, 200, True),
        ("GET /v2/health/live HTTP/1.1", page, 200, True),
        ("GET /v2 HTTP/1.1", page, 200, True),
        ("OPTIONS /v1/predict/any HTTP/1.1", page + "Access-Control-Request-Method: POST\r\n", 204, True),
        ("GET /nowhere HTTP/1.1", page, 404, True),
        ("POST /v1/predict/nobody HTTP/1.1", page, 404, True),
        (f"GET /v2/models/{two.name}/versions/none HTTP/1.1", page, 404, True),
        ("GET /a/../b HTTP/1.1", page, 400, True),
        ("PUT /v1/predict/any HTTP/1.1", page, 405, True),
        (f"OPTIONS /v1/predict/{two.name} HTTP/1.1", page, 204, True),  # no preflight; a version would say 200
        ("GET /v1/feedback/some-id HTTP/1.1", page, 405, True),
        (f"POST /v1/predict/{two.name} HTTP/1.1", page + "Content-Length: 4000001\r\n", 413, True),
        ("POST /expects HTTP/1.1", page + "Content-Length: 1\r\nExpect: wonders\r\n", 417, True),
        ("POST /chunks HTTP/1.1", page + "Transfer-Encoding: chunked\r\n\r\nzz", 400, True),
        ("GET /foreign HTTP/1.1", "Origin: http://b\r\nX-Request-Id: ID\r\n", 403, True),
        ("GET /bad?token=secret HTTP/1.1", page + "Bad Field: 1\r\n", 400, False),
        ("GET /new HTTP/7.0", page, 505, False),
        ("secret HTTP/1.1", "", 400, False),
        ("\x16\x03\x01 /secret", "", 400, False),
    ]
    for i, (line, fields, status, readable) in enumerate(cases):
        with socket.create_connection(("127.0.0.1", serve.port)) as client:
            client.sendall(f"{line}\r\nHost: h\r\nConnection: close\r\n{fields}\r\n".replace("ID", f"every-{i}").encode("latin-1"))
            head = client.makefile("rb").read().split(b"\r\n\r\n")[0].decode()
        assert head.startswith(f"HTTP/1.1 {status} "), (line, head)
        given = re.findall(r"\r\nX-Request-Id: (\S+)", head)
        assert len(given) == 1 and (given[0] == f"every-{i}" if readable else re.fullmatch("[0-9a-f]{32}", given[0]))
        allowed = readable and "http://a" in fields
        assert ("Access-Control-Allow-Origin: http://a" in head) == allowed, (line, head)

        def lines():
            text = (serve.folder / "access").read_text()
            assert "secret" not in text
            return [json.loads(one) for one in text[:text.rfind("\n") + 1].splitlines()
                    if given[0] in one]

        found = until(lines, f"the line of {line}")
        assert len(found) == 1 and found[0]["http.response.status_code"] == status
        path = re.fullmatch(r"[A-Z]+ (/[^ ?]*)\S* HTTP/\S+", line)
        assert found[0].get("url.path") == (path[1] if path else None), found
        assert found[0].get("http.request.method") == (line.split()[0] if path else None)
        assert ("error.message" in found[0]) == (status >= 400)
    # Nothing comes behind: the last line was written after all the others.
    ids = [json.loads(one).get("http.request.id") for one in (serve.folder / "access").read_text().splitlines()]
    assert max(ids.count(f"every-{i}") for i in range(len(cases))) == 1


# ---- the control API ----

@pytest.mark.parametrize("method, path, body, status, says", [
    ("POST", "deploy", b"{", 400, "not JSON"),
    ("POST", "deploy", {"name": "x:y", "replica": 2}, 400, "replica"),
    ("POST", "deploy", {"name": "x:y", "replicas": 4294967297}, 400, "4294967297 replicas"),
    ("POST", "deploy", {"name": "x:y", "replicas": 17}, 400, "17 replicas"),
    ("POST", "deploy", {"name": "x:y"}, 404, "x:y"),
    ("POST", "deploy", {"name": "no colon"}, 400, "no colon"),
    ("POST", "deploy", {"name": "x:y", "url": "http://"}, 400, "http://"),
    ("POST", "deploy", {"name": "x:y", "url": "ftp://a/"}, 400, "ftp://a/"),
    ("DELETE", "serving/x:y", None, 404, "not served"),
    ("GET", "routes/nobody", None, 404, "nobody"),
    ("DELETE", "routes/nobody", None, 404, "nobody"),
    ("PATCH", "routes/nobody/weights", {"a": 1}, 404, "nobody"),
    ("PATCH", "routes/MODEL/weights", {"c": 1}, 404, "'c'"),
    ("PATCH", "routes/MODEL/weights", {"a": -1}, 400, "whole number"),
    ("PATCH", "routes/MODEL/weights", {"a": 1.5}, 400, "whole number"),
    ("PATCH", "routes/MODEL/weights", b'{"a": 1, "a": 2}', 400, "duplicate"),
    ("PATCH", "routes/MODEL/weights", [], 400, "an object"),
    ("PUT", "routes/MODEL", b"not JSON", 400, "JSON"),
    ("PUT", "routes/MODEL", {"model": "other"}, 400, "other"),
    ("PUT", "routes/MODEL", {"model": "MODEL", "weigths": []}, 400, "weigths"),
    ("PUT", "routes/MODEL", {"model": "MODEL", "versions": [{"tag": "zz", "weight": 1}]}, 409, "zz"),
    ("PUT", "routes/MODEL", {"model": "MODEL", "versions": [{"tag": "a", "weight": 1}], "stable": "zz"}, 400, "zz"),
    ("PUT", "routes/MODEL", {"model": "MODEL"}, 400, "no version"),
    ("PUT", "routes/MODEL", {"model": "MODEL", "versions": [{"tag": 'a"b', "weight": 1}]}, 400, "tag 'a\"b'"),
    ("PUT", "routes/a%2Fb", {"model": "a/b", "versions": [{"tag": "a", "weight": 1}]}, 400, "model name 'a/b'"),
    ("GET", "changes?limit=0", None, 400, "limit"),
    ("GET", "nothing", None, 404, "no such path"),
    ("GET", "route", None, 404, "/api/v1/routes"),
    ("POST", "status", None, 405, "takes GET"),
])
def test_control_api_says_what_is_wrong(serve, models, method, path, body, status, says):
    models.add("a", stable=True)
    before = serve.api("GET", "routes")
    if isinstance(body, dict):
        body = {key: models.name if value == "MODEL" else value for key, value in body.items()}
    found = serve.call(method, "/api/v1/" + path.replace("MODEL", models.name), body)
    assert (found.status, says in found.json()["error"]) == (status, True), found.body
    assert serve.api("GET", "routes") == before


def test_a_version_with_weight_stays(serve, two):
    for tag in "ab":
        two.weights(a=1, b=1)
        found = serve.call("DELETE", f"/api/v1/serving/{two.name}:{tag}")
        assert found.status == 409 and "weight" in found.json()["error"]
    two.weights(a=0, b=1)
    found = serve.call("DELETE", f"/api/v1/serving/{two.name}:a")
    assert found.status == 409 and "stable" in found.json()["error"]


@pytest.mark.parametrize("named, says", [
    ({"mirrors": [{"tag": "b", "per_million": 1000}]}, "--mirror none"),
    ({"rules": [{"header": "X-Try", "value": "", "tag": "b"}]}, "--rule none"),
])
def test_a_version_that_the_route_names_says_how_it_is_taken_off(serve, two, named, says):
    two.weights(a=1, b=0)
    two.put(**named)
    found = serve.call("DELETE", f"/api/v1/serving/{two.name}:b")
    assert found.status == 409 and f"serin route set {two.name} {says}" in found.json()["error"], found.body
    verb, value = says.split()
    assert serin("route", "set", two.name, verb, value, "--admin", f"127.0.0.1:{serve.admin}").returncode == 0
    serve.deploy(f"{two.name}:c", two.fakes[0].url)
    two.tags.append("c")
    two.put(**{key: [{**one, "tag": "c"} for one in value] for key, value in named.items()})
    assert serve.call("DELETE", f"/api/v1/serving/{two.name}:c").status == 409
    two.put(mirrors=[], rules=[])


@pytest.mark.parametrize("key, value, says", [
    ("log", "absent/events", "log: "), ("log", ".", "is a folder"), ("access_log", "file/access", "access_log: "),
    ("data_dir", "file", "data_dir: "), ("data_dir", "file/below", "data_dir: "),
])
def test_check_says_what_cannot_be_opened(tmp_path, key, value, says):
    (tmp_path / "file").write_text("")
    good = {"data_dir": "new/data", "log": "events", "access_log": "file"}
    for changes, code in (({}, 0), ({key: value}, 2)):
        options = [f"--set={name}={tmp_path / path}" for name, path in {**good, **changes}.items()]
        found = serin("serve", "--check", *options)
        assert found.returncode == code, found.stderr
        assert code == 0 or says in found.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["file"]  # nothing was made


def test_changes_are_in_the_journal(serve, two):
    serve.call("PATCH", f"/api/v1/routes/{two.name}/weights", {"b": 5}, {"X-Serin-Author": "ann\tb"})
    newest = serve.api("GET", "changes?limit=1")
    assert len(newest) == 1 and newest[0]["author"].startswith("ann?b from 127.0.0.1:")
    assert '"weight":5' in newest[0]["detail"].replace(" ", "")


def test_health_and_index(serve, two):
    assert serve.ask("GET", "/v2/health/live").json() == {"live": True}
    assert serve.ask("GET", "/v2/health/ready").status == 200
    assert serve.ask("GET", "/v2").json()["name"] == "serin"
    listed = serve.ask("POST", "/v2/repository/index").json()
    assert {"name": two.name, "version": "b", "state": "READY", "reason": ""} in listed


def test_two_programs_on_one_folder_or_port_are_refused(serve, tmp_path):
    found = serin("serve", "--data-dir", serve.folder / "data", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert found.returncode == 1 and "in use by another serin serve" in found.stderr
    found = serin("serve", "--data-dir", tmp_path / "other", "--listen", f"127.0.0.1:{serve.port}", "--admin",
                  "127.0.0.1:0")
    assert found.returncode == 1 and "address already in use" in found.stderr.lower()


# ---- workers of its own ----

@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """A store with one model as two versions; copied for each program."""
    return push_two(tmp_path_factory.mktemp("pushed") / "data")


@needs_workers
def test_workers_serve_and_are_replaced(pushed, tmp_path):
    with with_workers(pushed, tmp_path) as serve:
        assert serve.deploy("tiny:v1", replicas=2)["stable"] == "v1"
        assert serve.deploy("tiny:v2")["versions"] == [{"tag": "v1", "weight": 100, "drain_weight": 0},
                                                       {"tag": "v2", "weight": 0, "drain_weight": 0}]
        one = serve.client().predict("tiny", PICTURE)
        assert (one.status, one.version) == (200, "v1")
        other = serve.ask("GET", "/v2/models/tiny/versions/v2")
        assert (other.status, other.version) == (200, "v2") and other.json()["name"] == "tiny"
        length = len(serve.ask("GET", "/v2/models/tiny").body)
        bare = serve.ask("HEAD", "/v2/models/tiny")
        assert (bare.status, bare.body, bare.headers["Content-Length"]) == (200, b"", str(length))
        assert serve.client().predict("tiny", b"no picture").status in (400, 415, 422)

        # A worker of the canary dies, then one of stable: no client sees it, and both come back.
        serve.weights("tiny", v1=50, v2=50)
        for tag in ("v2", "v1"):
            pid = serve.versions("tiny")[tag]["replicas"][0]["pid"]
            ended = threading.Event()

            def load(_):
                count = 0
                with contextlib.closing(serve.client()) as client:
                    while not ended.is_set() or count < 30:
                        found = client.predict("tiny", PICTURE)
                        assert found.status == 200 and found.json()["images"], found.body
                        count += 1
                return count

            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                loads = [pool.submit(load, i) for i in range(2)]
                try:
                    os.kill(pid, signal.SIGKILL)
                    until(lambda: serve.versions("tiny")[tag]["replicas"][0]["pid"] not in (0, pid), "a new process")
                    until(lambda: serve.versions("tiny")[tag]["replicas"][0]["state"] == "ready", "its readiness")
                finally:
                    ended.set()
                assert all(one.result() >= 30 for one in loads)
        for tag in ("v1", "v2"):
            assert serve.counters("tiny", tag)["errors"] == 0


@needs_workers
def test_killed_and_started_again(pushed, tmp_path):
    with with_workers(pushed, tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        serve.deploy("tiny:v2")
        serve.weights("tiny", v1=70, v2=30)
        serve.put("tiny", unit="key", key_name="X-Camera", salt="0123456789abcdef")
        routes, workers = serve.api("GET", "routes"), serve.workers()
        assert len(workers) >= 2
        serve.kill()
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the workers' end")
        serve.start()
        assert serve.api("GET", "routes") == routes
        assert serve.client().predict("tiny", PICTURE).status == 200
        until(lambda: all(version["ready"] == 1 for version in serve.versions("tiny").values()), "both")
        workers = serve.workers()
        assert serve.end() == 0
        assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)


def test_going_back_does_not_wait_for_the_disk(tmp_path):
    """Who cannot write can still take a version off; who gives one more weight cannot."""
    def stored(serve):
        with contextlib.closing(sqlite3.connect(serve.folder / "data" / "state.db")) as state:
            route = json.loads(state.execute("SELECT json FROM route").fetchone()[0])
        return {version["tag"]: version["weight"] for version in route["versions"]}

    with serving(tmp_path) as serve:
        models = Models(serve, "m")
        models.add("a", stable=True)
        models.add("b")
        models.weights(a=90, b=10)
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else writes until this ends
            refused = serve.call("PATCH", "/api/v1/routes/m/weights", {"b": 11})
            assert refused.status == 500 and "in force" not in refused.json()["error"]
            refused = serve.call("PATCH", "/api/v1/routes/m/weights", {"a": 90, "b": 0})
            assert refused.status == 500 and "in force as asked, but not stored" in refused.json()["error"]
            again = serve.call("PATCH", "/api/v1/routes/m/weights", {"a": 90, "b": 0})  # not yet what was asked for
            assert again.status == 500
            with contextlib.closing(serve.client()) as client:
                assert all(client.predict("m").version == "a" for _ in range(100))
            assert {tag: version["weight"] for tag, version in serve.versions("m").items()} == {"a": 90, "b": 0}
            heir = serin("serve", "--takeover", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0",
                         "--admin", "127.0.0.1:0")
            assert heir.returncode == 1 and "could not be written" in heir.stderr
            other.execute("ROLLBACK")
        assert stored(serve) in ({"a": 90, "b": 10}, {"a": 90, "b": 0})
        until(lambda: stored(serve) == {"a": 90, "b": 0}, "the route on disk")
        serve.kill()
        serve.start()
        assert {tag: version["weight"] for tag, version in serve.versions("m").items()} == {"a": 90, "b": 0}
        models.remove()


def test_nobody_who_reads_stdout_is_no_error(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    for stdout in (writing, None):  # a pipe without a reader; closed
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" >&-' if stdout is None else 'exec "$@"', "-", BIN, "serve", "--data-dir", tmp_path / "data",
             "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", tmp_path / "events"], stdout=stdout)
        seen = tmp_path / "events"
        until(lambda: seen.exists() and "nobody reads stdout" in seen.read_text(), "the start")
        process.terminate()
        assert process.wait(60) == 0
        seen.unlink()
    os.close(writing)


@needs_workers
def test_deploy_of_a_broken_worker_is_an_error(pushed, tmp_path):
    """The model's file is damaged after the push: nothing of it is served, and the rest goes on."""
    with with_workers(pushed, tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        found = serin("push", "tiny:v3", "--model", MINIATURE / "detect-fp16.onnx", "--data-dir", tmp_path / "data")
        assert found.returncode == 0, found.stderr
        digest = hashlib.sha256((MINIATURE / "detect-fp16.onnx").read_bytes()).hexdigest()
        blob = tmp_path / "data" / "blobs" / "sha256" / digest
        blob.chmod(0o644)
        blob.write_bytes(blob.read_bytes()[:1000])
        found = serve.call("POST", "/api/v1/deploy", {"name": "tiny:v3", "stable": False})
        assert found.status >= 400 and found.json()["error"]
        assert [version["tag"] for version in serve.api("GET", "routes/tiny")["versions"]] == ["v1"]
        assert serve.client().predict("tiny", PICTURE).status == 200


# ---- the end ----

def test_requests_in_flight_end_well(tmp_path):
    """SIGTERM while requests are under way: each gets its answer, and the program ends with 0."""
    release = threading.Event()

    def slow(asked):
        release.wait(60)
        return answer(body=b'{"for": "%s"}' % asked.body)

    with serving(tmp_path, "--drain-seconds", "60") as serve:
        models = Models(serve, "slow")
        fake = models.add("a", slow, stable=True)
        models.put(timeout_ms=600000)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(serve.client().predict, "slow", b"%d" % i) for i in range(8)]
            until(lambda: fake.count == 8, "the requests")
            serve.process.send_signal(signal.SIGTERM)

            def refused():
                try:
                    socket.create_connection(("127.0.0.1", serve.port)).close()
                except ConnectionRefusedError:
                    return True
                except ConnectionResetError:  # it met the listener in its last moment
                    pass
                return False

            until(refused, "the listener's end")
            release.set()
            found = [one.result() for one in asked]
        assert [(one.status, one.json()) for one in found] == [(200, {"for": str(i)}) for i in range(8)]
        assert serve.process.wait(60) == 0
        fake.stop()


def test_an_end_under_load(tmp_path):
    """Each client connects anew for each request: it is answered, or finds nobody listening."""
    with serving(tmp_path, "--drain-seconds", "60") as serve:
        models = Models(serve, "m")
        fake = models.add("a", stable=True)
        many, lost = threading.Event(), []

        def load(_):
            count = 0
            while True:
                try:
                    with contextlib.closing(serve.client()) as client:
                        assert client.predict("m").status == 200
                except ConnectionRefusedError:
                    return count
                except OSError as error:
                    lost.append(error)
                count += 1
                if count == 40:
                    many.set()

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            loads = [pool.submit(load, i) for i in range(6)]
            assert many.wait(60)
            assert serve.end() == 0
            assert sum(one.result() for one in loads) >= 40
        # Between the last look at a listener and its end there are microseconds in which the kernel takes one more.
        assert len(lost) <= 1, lost
        fake.stop()


def test_an_end_is_not_waited_for_without_end(tmp_path):
    with serving(tmp_path, "--drain-seconds", "0.2") as serve:
        models = Models(serve, "stuck")
        fake = models.add("a", lambda asked: [b""] * 10000, stable=True)
        with socket.create_connection(("127.0.0.1", serve.port)) as client:
            client.sendall(b"POST /v1/predict/stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            until(lambda: fake.count == 1, "the request")
            assert serve.end() == 0
        fake.stop()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(serve, two, tmp_path):
    picture = tmp_path / "picture"
    picture.write_bytes(os.urandom(1_500_000))
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
        run = subprocess.run(["curl", "-sS", "--fail", "-i", *more, "--data-binary", f"@{picture}",
                              f"http://127.0.0.1:{serve.port}/v1/predict/{two.name}"],
                             stdout=subprocess.PIPE, timeout=60, check=True)
        assert b"X-Serin-Version: a\r\n" in run.stdout and run.stdout.endswith(SEEN)
        assert two.fakes[0].asked[-1].body == picture.read_bytes()
