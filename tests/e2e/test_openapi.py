"""docs/openapi.yaml against the program: the same calls with the same roles as in the sources' tables.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import collections
import contextlib
import http.client
import json

import openapi_fixture as openapi
import openapi_requests as asked
import pytest
from conftest import MINIATURE, serin
from serve_fixture import DEADLINE_S, Client, Models, needs_workers, push_two, serving, until, with_workers

# Of the worker's own rows the gateway passes on those that name a model.
PASSED_ON = ("/v1/predict/*", "/v2/models/*")


def test_every_call_is_documented_and_no_other():
    rows = [(method, path) for method, path, _ in openapi.tables()
            if not path.startswith(("/v1", "/v2")) or path.startswith(PASSED_ON) or path in ("/v2", "/v2/repository/index")
            or path.startswith("/v2/health")]
    documented = [(method, openapi.pattern_of(path)) for method, path, _ in openapi.calls()]
    assert len(rows) > 40 and len(documented) == len(set(documented))
    assert set(rows) | {("POST", "/v1/feedback/*"), ("GET", "/openapi.yaml")} == set(documented)


def test_every_call_takes_the_role_that_is_documented():
    wanted = {(method, path): role for method, path, role in openapi.tables() if openapi.is_control(path)}
    assert len(wanted) > 30
    for method, path, operation in openapi.calls():
        if not openapi.is_control(path):
            continue
        role = openapi.role_of(operation)
        assert wanted.get((method, openapi.pattern_of(path))) == role, (method, path)
        ways = operation["security"]
        assert ways == ([] if role is None else [{"token": [role]}, {"session": [role]}]), (method, path)
        if role:
            assert {"401", "403"} <= set(operation["responses"]), (method, path)


def test_the_document_is_whole():
    """References lead somewhere, parameters are those of the paths, everything has an example or its schema does."""
    names = set()
    for method, path, operation in openapi.calls():
        item = openapi.document()["paths"][path]
        given = [openapi.resolved(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
        assert {one["name"] for one in given if one["in"] == "path"} == set(openapi.re.findall(r"\{([^}]+)\}", path)), path
        assert operation["operationId"] not in names and operation["summary"] and operation["tags"], (method, path)
        names.add(operation["operationId"])
        ports = [server["url"] for server in item.get("servers", openapi.document()["servers"])]
        assert ports == ["http://127.0.0.1:8081" if openapi.is_control(path) else "http://127.0.0.1:8080"], path
        for status, answer in operation["responses"].items():
            content = openapi.resolved(answer).get("content", {})
            for kind, one in content.items():
                if kind == "application/json" and "example" in one:
                    assert not openapi.faults(one["schema"], one["example"]), (path, status)
    for name, schema in openapi.document()["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert not openapi.faults(schema, example), name


# ---- what the program answers ----

NAMES = {"model": "tiny", "name": "tiny:v1", "tag": "v1", "rollout": "tiny", "token": "gone", "request": "cam7-000123"}
ENDLESS = ("events",)  # an answer without an end; it has a test of its own
PICTURE = (MINIATURE / "images" / "shapes-97x211.jpg").read_bytes()
PIXELS = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(PICTURE).decode()]}]}


@contextlib.contextmanager
def released(pushed, folder, *options):
    """A program with workers of two versions, a rollout between them, and an admin's token: (program, its bearer)."""
    with with_workers(pushed, folder, *options) as serve:
        serve.deploy("tiny:v1", stable=True)
        serve.deploy("tiny:v2")
        serve.api("POST", "rollouts", {"name": "tiny:v2"})
        made = serin("token", "create", "ann", "--role", "admin", "--data-dir", folder / "data")
        assert made.returncode == 0, made.stderr
        yield serve, {"Authorization": f"Bearer {made.stdout.strip()}"}


@pytest.fixture(name="pushed", scope="module")
def _pushed(tmp_path_factory):
    return push_two(tmp_path_factory.mktemp("pushed"))


def bodies(serve, bearer):
    """Where the document's example would not do here."""
    route = serve.call("GET", "/api/v1/routes/tiny", None, bearer).json()
    made = {"putRoute": route, "patchWeights": {"v1": 1, "v2": 0}, "deploy": {"name": "tiny:v1", "replicas": 1, "stable": True},
            "startRollout": {"name": "tiny:v2", "plan": "", "supersede": False}, "infer": PIXELS, "inferByVersion": PIXELS,
            "createToken": {"name": "made", "role": "viewer", "model": ""}}
    return {**{name: (json.dumps(body).encode(), "application/json") for name, body in made.items()},
            "predict": (PICTURE, "image/jpeg"), "tryPicture": (PICTURE, "image/jpeg")}


@needs_workers
def test_every_answer_is_a_declared_one(pushed, tmp_path):
    """Thousands of requests, most with one thing wrong: no answer is undeclared, of another type, of another shape, or the
    server's fault; nothing that was sent comes back as a field, or as a file."""
    seen = collections.Counter()
    with released(pushed, tmp_path) as (serve, bearer):
        assert serve.call("POST", "/api/v1/rollouts/tiny/abort", None, bearer).status == 200  # which holds its route until it ends
        for request in asked.requests(NAMES, bodies(serve, bearer)):
            if request.operation["operationId"] in ENDLESS:
                continue
            control = openapi.is_control(request.path)
            with contextlib.closing(Client(serve.admin if control else serve.port)) as client:
                found = client.ask(request.method, request.target(), request.body, {**(bearer if control else {}), **request.fields})
            assert found.status < 500 or (found.status, control) == (501, False), (request.target()[:200], found.status, found.body[:300])
            assert found.headers["Set-Cookie"] is None or not found.headers["Set-Cookie"].startswith("x"), found.headers
            assert found.headers["X"] is None and b"root:" not in found.body, (request.target(), found.headers)
            if found.status == 404 and openapi.find(request.method, request.target()) is not request.operation:
                assert set(found.json()) <= {"error", "request_id"}  # what was sent is another path
            else:
                openapi.check_answer(request.operation, found.status, found.headers["Content-Type"], found.body)
            seen[request.operation["operationId"], found.status // 100] += 1
        assert serve.call("GET", "/api/v1/status", None, bearer).status == 200
    assert sum(seen.values()) > 2000
    assert len({name for name, kind in seen if kind == 2}) > 30  # the requests get somewhere


@needs_workers
def test_other_methods_are_told_which_there_are(pushed, tmp_path):
    with released(pushed, tmp_path) as (serve, bearer):
        for path, item in openapi.document()["paths"].items():
            port, target = (serve.admin, path) if openapi.is_control(path) else (serve.port, path)
            for name, value in NAMES.items():
                target = target.replace("{" + name + "}", value)
            for method in ("GET", "PUT", "POST", "PATCH", "DELETE", "TRACE", "QUERY", "get", "FOO"):
                if method.lower() in item and method != "get":
                    continue
                with contextlib.closing(Client(port)) as client:
                    found = client.ask(method, target, b"{}", bearer if openapi.is_control(path) else {})
                allowed = set((found.headers["Allow"] or "").split(", ")) - {"HEAD", "OPTIONS"}
                taken = {one.upper() for one in item if one not in ("parameters", "servers")}
                assert found.status == 405 and taken <= allowed, (method, path, found.status, allowed)


@needs_workers
def test_without_a_model_nothing_is_the_servers_fault(tmp_path):
    """An empty program: what is absent is 404 or 409, and 503 only where that is what is asked."""
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        for request in asked.requests(NAMES, {"predict": (PICTURE, "image/jpeg"), "tryPicture": (PICTURE, "image/jpeg")}):
            if request.operation["operationId"] in (*ENDLESS, "createToken") or len(request.body or b"") > 10000:
                continue
            with contextlib.closing(Client(serve.admin if openapi.is_control(request.path) else serve.port)) as client:
                found = client.ask(request.method, request.target(), request.body, request.fields)
            assert found.status < 500 or request.path == "/v2/health/ready", (request.target()[:200], found.status, found.body[:300])


def test_events_stay_events(tmp_path):
    """What is asked for cannot add a line of its own."""
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        client = http.client.HTTPConnection("127.0.0.1", serve.admin, timeout=DEADLINE_S)
        with contextlib.closing(client):
            client.request("GET", "/api/v1/events?rollout=x%0a%0aevent:%20evil%0adata:%20%7b%7d%0d%0a")
            found = client.getresponse()
            operation = next(operation for _, _, operation in openapi.calls() if operation["operationId"] == "events")
            assert found.status == 200 and found.headers["Content-Type"] in operation["responses"]["200"]["content"]
            lines = [found.readline().decode().rstrip("\n") for _ in range(24)]
        assert {line.split(":")[0] for line in lines} <= {"", "retry", "id", "event", "data"} and "event: rollout" in lines
        assert not [line for line in lines if "evil" in line and not line.startswith("data: {")]
        for line in lines:
            if line.startswith("data: "):
                json.loads(line[6:])


def test_every_call_of_a_model_takes_its_key(tmp_path):
    """From the document: what may take a key is refused without the model's own one, and reaches no version; the rest is open."""
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        fakes = Models(serve, "tiny")
        fake = fakes.add("v1", stable=True)

        def make(name, *options):
            return serin("token", "create", name, *options, "--data-dir", tmp_path / "data").stdout.strip()

        key, other, gone = make("key", "--model", "tiny"), make("other", "--model", "none"), make("gone", "--model", "tiny")
        assert serin("token", "revoke", "gone", "--data-dir", tmp_path / "data").returncode == 0
        fakes.put(needs_key=True)
        ways = {True: [{"Authorization": f"Bearer {key}"}, {"X-Api-Key": key}],
                False: [{}, {"Authorization": f"Bearer {other}"}, {"X-Api-Key": other}, {"Authorization": f"Bearer {gone}"}, {"X-Api-Key": gone},
                        {"Authorization": f"Basic {key}"}, {"Authorization": key}, {"X-Api-Key": key[:-1]}, {"Cookie": f"X-Api-Key={key}"},
                        {"X-Api-Key": f"{key}, {key}"}, {"Authorization": f"Bearer {other}", "X-Api-Key": gone}]}
        until(lambda: serve.ask("GET", "/v2/models/tiny", None, ways[True][0]).status == 200, "the key is in force")
        kept = 0
        for method, path, operation in openapi.calls():
            if openapi.is_control(path):
                continue
            needs = {"key": []} in operation["security"]
            assert needs == ("{model}" in path or "/feedback/" in path) and ({"apiKey": []} in operation["security"]) == needs, path
            target = path
            for name, value in NAMES.items():
                target = target.replace("{" + name + "}", value)
            for right, all_fields in ways.items():
                for fields in all_fields:
                    before = fake.count
                    found = serve.ask(method, target, b'{"right": "both"}' if method == "POST" else None, fields)
                    assert (found.status == 401) == (needs and not right), (method, target, fields, found.status, found.body)
                    assert not (needs and not right) or fake.count == before
                    if found.status == 401:
                        openapi.check_answer(operation, 401, found.headers["Content-Type"], found.body)
                        assert found.headers["WWW-Authenticate"].startswith("Bearer")
            kept += needs
        assert kept == 12
        for one in fakes.fakes:
            one.stop()
