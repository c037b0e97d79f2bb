"""What other people's servers say of a model keeps them out where it is not what stable says.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import shutil

import pytest
from conftest import MINIATURE, ROOT, serin
from serve_fixture import Fake, answer, needs_workers, serving, until

IMAGES = {"name": "images", "datatype": "FP32", "shape": [-1, 3, 640, 640]}
BOXES = {"name": "output0", "datatype": "FP32", "shape": [-1, 6, 8400]}
NAMES = "{'task': 'detect', 'names': {0: 'person', 1: 'car'}}"


def metadata(**changes):
    return {"name": "m", "versions": ["1"], "platform": "onnx", "inputs": [IMAGES], "outputs": [BOXES], **changes}


def config(literal=NAMES):
    return {"name": "m", "parameters": {"metadata": {"string_value": literal}}}


def declaring(about=None, configuration=None):
    """A server that gives these two documents, or bytes in their place."""
    def declare(asked):
        says = (configuration or config()) if asked.target.endswith("/config") else (about or metadata())
        return says if isinstance(says, (bytes, list, type(None))) else answer(200, json.dumps(says).encode())
    return declare


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("declarations"), "--gateway-threads", "1", "--set", "url_wait_seconds=5") as found:
        yield found


class Route:
    """The model m with a stable version that declares itself, on a program."""

    def __init__(self, serve, **options):
        self.serve, self.fakes = serve, []
        self.stable = self.fake(**options)
        assert self.deploy("v1", self.stable, stable=True).status == 200

    def fake(self, **options):
        self.fakes.append(Fake(**{"declare": declaring(), **options}))
        return self.fakes[-1]

    def deploy(self, tag, fake, stable=False, confirm=False):
        return self.serve.call("POST", "/api/v1/deploy",
                               {"name": f"m:{tag}", "url": fake.url, "stable": stable, "confirm": confirm})

    def tags(self):
        return set(self.serve.versions("m"))

    def events(self):
        return (self.serve.folder / "events").read_text()

    def remove(self):
        tags = self.tags()
        self.serve.api("DELETE", "routes/m")
        for tag in tags:
            self.serve.api("DELETE", f"serving/m:{tag}")
        for fake in self.fakes:
            fake.stop()


@pytest.fixture
def route(program):
    found = Route(program)
    yield found
    found.remove()


@pytest.fixture
def silent_route(program):
    found = Route(program, declare=None)
    yield found
    found.remove()


def test_one_that_says_the_same_is_let_in(route):
    assert route.stable.admission == []  # there was nothing to compare it with
    canary = route.fake()
    assert route.deploy("v2", canary).status == 200
    assert canary.admission == ["GET /v2/models/m", "GET /v2/models/m/config"] == route.stable.admission
    assert route.deploy("v2", canary, stable=True).status == 200  # compared again, as it is to be stable
    assert len(canary.admission) == 4
    assert canary.count == route.stable.count == 0  # no request of anybody's went there


@pytest.mark.parametrize(("about", "configuration", "says"), [
    (metadata(inputs=[{**IMAGES, "datatype": "FP16"}]), None,
     "its input 'images' is FP16 [-1,3,640,640], stable's is FP32 [-1,3,640,640]"),
    (metadata(inputs=[{**IMAGES, "shape": [1, 3, 640, 640]}]), None, "its input 'images' is FP32 [1,3,640,640]"),
    (metadata(inputs=[{**IMAGES, "name": "x"}]), None, "it has no input 'images', stable has one"),
    (metadata(outputs=[{**BOXES, "shape": [-1, 5, 8400]}]), None,
     "its output 'output0' is FP32 [-1,5,8400], stable's is FP32 [-1,6,8400]"),
    (None, config("{'task': 'detect', 'names': {0: 'person'}}"), "it has 1 classes, stable has 2"),
    (None, config("{'names': ['car', 'person']}"), "its class 0 is 'car', stable's is 'person'"),
    (None, config("{'task': 'pose'}"), "it does pose, stable does detect"),
])
def test_what_differs_is_refused_and_can_be_confirmed(route, about, configuration, says):
    canary = route.fake(declare=declaring(about, configuration))
    found = route.deploy("v2", canary)
    assert found.status == 409, found.body
    sentence = found.json()["error"]
    assert f"m:v2 at {canary.url}: differs from stable m:v1 at {route.stable.url}: {says}" in sentence, sentence
    assert sentence.endswith("(--confirm)")
    assert route.tags() == {"v1"}
    assert route.deploy("v2", canary, confirm=True).status == 200
    assert route.tags() == {"v1", "v2"}
    until(lambda: any(f"{canary.url}: differs from" in line and "confirmed by" in line
                      for line in route.events().splitlines()), "the log keeps what was confirmed")


@pytest.mark.parametrize(("about", "says"), [
    (answer(404, b""), "answers GET /v2/models/m with status 404: what it takes and gives was not compared"),
    (answer(501, b""), "answers GET /v2/models/m with status 501: what it takes and gives was not compared"),
    (answer(302, b"", extra=b"Location: http://127.0.0.1:1/v2/models/m\r\n"), "with status 302"),
    (answer(500, b""), "with status 500"),
    (answer(200, b"<html>Welcome</html>", b"text/html"), "no JSON: <html>Welcome</html>"),
    (answer(200, b"[" * 100000), "no JSON"),
    (answer(200, b"\x1b[2J\xff\x00"), "no JSON: ?[2J"),
    (answer(200, b'{"name": "m", "inputs": {"images": 1}}'), "it has no list of its inputs"),
    (answer(200, b" " * (2 << 20)), "no answer to GET /v2/models/m"),
    (b"220 mail.example ESMTP\r\n", "no answer to GET /v2/models/m"),
    (metadata(name="other"), "it is of the model 'other', not 'm'"),
    ([b"H"] * 400, "no answer to GET /v2/models/m"),  # a byte each 50 ms
])
def test_one_that_says_nothing_or_garbage_is_refused(route, about, says):
    canary = route.fake(declare=declaring(about))
    found = route.deploy("v2", canary)
    assert found.status == 409, found.body
    sentence = found.json()["error"]
    assert f"m:v2 at {canary.url}: " in sentence and says in sentence, sentence
    assert sentence.endswith("(--confirm)")
    assert route.tags() == {"v1"}


def test_silence_can_be_confirmed(route):
    assert route.deploy("v2", route.fake(declare=None), confirm=True).status == 200


@pytest.mark.parametrize("configuration", [answer(404, b""), {"name": "m"}])
def test_one_that_names_no_classes_is_let_in_with_a_warning(route, configuration):
    canary = route.fake(declare=declaring(None, configuration))
    assert route.deploy("v2", canary).status == 200
    until(lambda: "were not compared with stable's" in route.events(),
          "a warning")


def test_a_stable_version_that_says_nothing_keeps_nobody_out(silent_route):
    canary = silent_route.fake(declare=declaring(answer(200, b"garbage")))
    assert silent_route.deploy("v2", canary).status == 200
    assert canary.admission == []
    until(lambda: f"{silent_route.stable.url}: answers GET /v2/models/m with status 404: what it takes and gives was not compared" in
          silent_route.events(), "a warning")


def test_a_stable_version_that_is_down_takes_a_word(route):
    canary = route.fake()
    route.stable.stop()
    until(lambda: route.serve.versions("m")["v1"]["ready"] == 0, "stable is known to be down")
    found = route.deploy("v2", canary)
    assert found.status == 409 and "stable m:v1 has no replica that is ready" in found.json()["error"]
    assert route.deploy("v2", canary, confirm=True).status == 200


def test_one_that_leaves_meanwhile_is_told_of(route):
    """The deploy ends, and the server with it, while an answer is on its way."""
    def leave(asked):
        route.serve.api("DELETE", "serving/m:v2")
        return answer(404, b"")
    found = route.deploy("v2", route.fake(declare=leave))
    assert found.status == 409 and "undeployed meanwhile" in found.json()["error"]


# ---- our own workers ----

MODEL = ROOT / "examples" / "models" / "street-person" / "v1.0.0.onnx"
PICTURE = ROOT / "examples" / "footage" / "images" / "day" / "day-0580.jpg"


@needs_workers
def test_golden_pictures_go_to_somebodys_server_too(tmp_path):
    """One Serin behind another: the same version elsewhere passes; one that sees nothing, or has other classes, does not."""
    for tag, model, options in (("v1", MODEL, []), ("v2", MODEL, ["--golden", PICTURE]),
                                ("v3", MINIATURE / "detect.onnx", [])):
        found = serin("push", f"street:{tag}", "--model", model, "--data-dir", tmp_path / "data", *options)
        assert found.returncode == 0, found.stderr
    shutil.copytree(tmp_path / "data", tmp_path / "other" / "data", symlinks=True)
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(serving(folder, "--worker-threads", "1", "--gateway-threads", "1"))
                       for folder in (tmp_path, tmp_path / "other"))
        there.deploy("street:v2", stable=True)
        here.deploy("street:v1", stable=True)
        url = f"http://127.0.0.1:{there.port}"
        here.deploy("street:v2", url)
        assert here.versions("street")["v2"]["url"] == url

        document = there.ask("GET", "/v2/models/street").body
        blind = Fake(declare=lambda asked: answer(404, b"") if asked.target.endswith("config") else answer(200, document))
        stack.callback(blind.stop)
        here.api("DELETE", "serving/street:v2")
        found = here.call("POST", "/api/v1/deploy", {"name": "street:v2", "url": blind.url, "stable": False})
        assert found.status == 409 and "golden picture 1 of 1" in found.json()["error"], found.body
        assert [asked.target for asked in blind.asked] == ["/v1/predict/street"]

        there.api("POST", "deploy", {"name": "street:v3", "stable": True, "confirm": True})
        found = here.call("POST", "/api/v1/deploy", {"name": "street:other", "url": url, "stable": False})
        assert found.status == 409 and "differs from stable street:v1: it" in found.json()["error"], found.body

        here.api("POST", "deploy", {"name": "street:other", "url": url, "confirm": True})  # stable is an URL now
        found = here.call("POST", "/api/v1/deploy", {"name": "street:v2", "stable": False})
        assert found.status == 409 and f"differs from stable street:other at {url}: it" in found.json()["error"]
