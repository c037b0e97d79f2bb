"""Labels by feedback: which are refused and why, which are no evidence, and that a person can see it.

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import json
import re

import pytest
from conftest import MINIATURE, serin
from serve_fixture import answer, until
from test_access import bearer, make_token
from test_rollout import Rollouts, models, plan, serve, step  # noqa: F401: fixtures among them

numbers = itertools.count(1)
CIRCLE = {"name": "circle", "box": {"x1": 10, "y1": 10, "x2": 60, "y2": 90}}
MISSED = {"metric": "missed", "margin": .3, "required": False}


def seen(*names):
    """An answer of a picture of 200 x 100."""
    results = [{"name": name, "class": 0, "confidence": .9, "box": CIRCLE["box"]} for name in names]
    return answer(body=json.dumps({"images": [{"shape": [100, 200], "light": .5, "results": results}]}).encode())


def pushed(serve, name):
    """Bundles stand behind the fakes, so that the classes are known: circle, square, triangle."""
    for tag in ("v1", "v2"):
        found = serin("push", f"{name}:{tag}", "--model", MINIATURE / "detect.onnx", "--data-dir", serve.folder / "data")
        assert found.returncode == 0, found.stderr


class Labelled:
    """A rollout that stands in a step of one half, and what was posted of its frames."""

    def __init__(self, models, known=True, mirror=False, keyed=False, **options):
        models.name = f"labels-{next(numbers)}"
        self.serve, self.models, self.headers = models.serve, models, {}
        if known:
            pushed(self.serve, models.name)
        for tag in ("v1", "v2"):
            models.add(tag, lambda asked: seen("circle"), stable=tag == "v1", **options)
        if keyed:
            self.headers = bearer(make_token(self.serve.folder, models.name, "--model", models.name))
            self.serve.put(models.name, needs_key=True)
            until(lambda: self.serve.ask("POST", f"/v1/predict/{models.name}", b"p", self.headers).status == 200, "the key")
        how = {"mirror": "100%", "min": {"time": "600s"}} if mirror else step(50, time="600s")
        models.start(plan(how, guards=[MISSED]))
        models.reach("Progressing")
        self.client = self.serve.client()
        if known:  # the gateway knows the classes a second later
            until(lambda: self.post("x", {"class": 9}, headers=self.headers).status == 400, "the classes")
        else:
            until(lambda: self.labels(), "the tally")

    def request(self):
        """A frame; its request's id, once its answer is kept."""
        told = self.told("serin_judge_requests_total")
        found = self.client.predict(self.models.name, headers=self.headers)
        assert found.status == 200
        until(lambda: self.told("serin_judge_requests_total") > told, "its record")
        return found.headers["X-Request-Id"]

    def post(self, request, *boxes, headers=None):
        return self.client.ask("POST", f"/v1/feedback/{request}", json.dumps({"boxes": [{**CIRCLE, **box} if "class" not in box else
                               {"box": CIRCLE["box"], **box} for box in boxes]}), headers)

    def told(self, metric):
        text = self.serve.call("GET", "/metrics").body.decode()
        return int(re.search(rf"^{metric} (\d+)", text, re.M)[1])

    def labels(self):
        return self.models.get().get("labels")

    def line(self):
        found = serin("rollout", "get", self.models.name, "--admin", f"127.0.0.1:{self.serve.admin}")
        assert found.returncode == 0, found.stderr
        return " ".join(found.stdout.split())

    def logged(self, words):
        until(lambda: re.search(rf"{self.models.name}-1: [^\n]*{re.escape(words)}", (self.serve.folder / "events").read_text()), words)

    def evidence(self):
        """Records that the judge was told."""
        id, attempt = self.models.get()["id"], self.models.get()["attempt"]
        lines = (self.serve.folder / f"data/rollouts/{id}/{attempt}.ndjson").read_text().splitlines()
        return [line for line in map(json.loads, lines) if "label" in line or "choice" in line]


def test_a_class_that_the_model_lacks_is_refused_with_those_that_it_has(models):
    labelled = Labelled(models)
    request = labelled.request()
    for box, sentence in (({"name": "truck"}, "has no class 'truck'"), ({"class": 3}, "has no class 3"),
                          ({"class": 1, "name": "circle"}, "is 'square', not 'circle'")):
        found = labelled.post(request, {}, box)
        assert found.status == 400
        message = found.json()["error"]["message"]
        assert f"boxes[1]: " in message and models.name in message and sentence in message, message
    assert "it has 0 circle, 1 square, 2 triangle" in labelled.post(request, {"name": "truck"}).json()["error"]["message"]
    before = labelled.labels()
    assert labelled.post(request, {"class": 0}).status == 202  # and none of those has taken its place
    until(lambda: labelled.labels()["counted"] == 1, "the label")
    until(lambda: labelled.labels()["refused"] == 4, "those that were refused")
    assert before["counted"] == 0 and "'truck'" in labelled.labels()["why"]
    until(lambda: len(labelled.evidence()) == 1, "its record")
    line = labelled.line()
    assert "labels 1 counted" in line and "4 REFUSED, the last: boxes[0]: " in line and "no class 'truck'" in line
    labelled.logged("does not count: boxes[1]: ")


@pytest.mark.parametrize("box, sentence", [
    ((.1, .2, .3, .4), "lies within one pixel"), ((60, 10, 10, 90), "x1 < x2"), ((10, 10, 10, 90), "x1 < x2"), ((10, 10, 1e300, 90), "the limit is 1e+06"),
    ((-60, 10, -10, 90), "less than half of it lies in the picture")])
def test_boxes_that_are_in_no_picture_are_refused(models, box, sentence):
    labelled = Labelled(models)
    request = labelled.request()
    found = labelled.post(request, {"box": dict(zip(("x1", "y1", "x2", "y2"), box))})
    assert found.status == 400 and sentence in found.json()["error"]["message"]
    until(lambda: labelled.labels()["refused"] == 1, "that it is told")
    assert labelled.labels()["counted"] == 0 and not labelled.evidence()


def test_a_box_beside_the_frame_is_found_when_the_frame_is(models):
    """The gateway knows no frame; who knows it counts what is wrong, and it is no evidence. Both versions tell its size."""
    labelled = Labelled(models, mirror=True)
    first, second = labelled.request(), labelled.request()
    before = labelled.told("serin_judge_refused_total")
    outside = {"x1": 220, "y1": 10, "x2": 260, "y2": 90}
    assert labelled.post(first, {}, {"box": outside}).status == 202
    until(lambda: labelled.labels()["refused"] == 1, "the refusal")
    assert labelled.labels()["why"] == ("boxes[1] from (220, 10) to (260, 90): less than half of it lies in the picture "
                                        "of 200 x 100 px")
    assert labelled.told("serin_judge_refused_total") == before + 1 and not labelled.evidence()
    assert labelled.post(first, {}).status == 202  # a better one may still come
    assert labelled.post(second).status == 202  # nothing is there: that is a truth
    until(lambda: labelled.labels()["counted"] == 2, "the labels")


@pytest.mark.parametrize("mirror", [False, True], ids=["alone", "mirrored"])
@pytest.mark.parametrize("shape", [[1, 1], [200, 100], None], ids=["one-pixel", "swapped", "none"])
def test_a_version_that_tells_another_size_does_not_escape_its_labels(models, shape, mirror):
    """It sees nothing, and each of its labels lies beyond the picture that it tells of."""
    box = {"x1": 110, "y1": 10, "x2": 190, "y2": 90}
    models.name = f"labels-{next(numbers)}"
    pushed(models.serve, models.name)
    picture = {"light": .5, "results": []}
    found = {**picture, "shape": [100, 200], "results": [{"name": "circle", "class": 0, "confidence": .9, "box": box}]}
    models.two(lambda asked: answer(body=json.dumps({"images": [found]}).encode()),
               lambda asked: answer(body=json.dumps({"images": [{**picture, **({"shape": shape} if shape else {})}]}).encode()))
    models.start(plan({"mirror": "100%", "min": {"time": "600s"}} if mirror else step(50, time="600s"), guards=[MISSED]))
    models.reach("Progressing")
    client = models.serve.client()

    def taken_off():
        request = client.predict(models.name).headers["X-Request-Id"]
        said = client.ask("POST", f"/v1/feedback/{request}", json.dumps({"boxes": [{"name": "circle", "box": box}]}))
        assert said.status == 202, said.body
        return models.get()["phase"] == "RolledBack"

    until(taken_off, "that its labels take it off")
    assert "missed rose" in models.get()["why"] and models.get()["labels"]["refused"] == 0


def test_without_known_classes_names_are_taken_and_it_is_said(models):
    labelled = Labelled(models, known=False)
    first, second = labelled.request(), labelled.request()
    assert labelled.post(first, {"name": "anything"}).status == 202
    until(lambda: labelled.labels()["counted"] == 1, "the label")
    found = labelled.post(second, {"class": 0})
    assert found.status == 400 and "what the classes of" in found.json()["error"]["message"]
    assert labelled.labels()["unchecked"] == 1
    assert "1 of them unchecked: what the model's classes are called is not known" in labelled.line()
    labelled.logged("counts unchecked")


def test_classes_that_a_server_tells_are_known(models):
    """Of a stable version without a bundle."""
    names = "{'task': 'detect', 'names': {0: 'circle', 1: 'square'}}"

    def declare(asked):
        if not asked.target.endswith("/config"):
            return answer(404, b"")
        return answer(body=json.dumps({"parameters": {"metadata": {"string_value": names}}}).encode())

    labelled = Labelled(models, known=False, declare=declare)
    request = labelled.request()
    found = until(lambda: (found := labelled.post("nobodys", {"name": "truck"})).status == 400 and found, "the classes")
    assert "has no class 'truck': it has 0 circle, 1 square" in found.json()["error"]["message"]
    assert labelled.post(request, {"class": 0}).status == 202
    until(lambda: labelled.labels()["counted"] == 1, "the label")
    assert labelled.labels()["unchecked"] == 0


def test_requests_that_are_not_kept_are_told(models):
    labelled = Labelled(models)
    before = labelled.labels()["unmatched"]
    assert labelled.post("nobodys", {}).status == 202
    assert labelled.post("nobodys/frame", {}).status == 404
    until(lambda: labelled.labels()["unmatched"] > before, "the count")
    assert "came for requests whose answers are not kept" in labelled.line()


def test_a_frame_counts_once_whoever_speaks_of_it(models):
    """A labeller that posts again, and another one in another form."""
    labelled = Labelled(models, mirror=True)
    request, before = labelled.request(), labelled.told("serin_judge_repeated_total")
    assert labelled.post(request, {}).status == 202
    assert labelled.post(request, {}).status == 202
    assert labelled.client.ask("POST", f"/v1/feedback/{request}", '{"right": "stable"}').status == 202
    until(lambda: labelled.labels()["repeated"] == 2, "the second and the third")
    assert labelled.labels()["counted"] == 1 and labelled.labels()["refused"] == 0
    until(lambda: len(labelled.evidence()) == 1, "one record")
    assert labelled.told("serin_judge_repeated_total") == before + 2


def test_a_choice_of_a_frame_that_one_version_answered_is_refused(models):
    labelled = Labelled(models)
    request = labelled.request()
    assert labelled.client.ask("POST", f"/v1/feedback/{request}", '{"right": "stable"}').status == 202
    until(lambda: labelled.labels()["refused"] == 1, "the refusal")
    assert "nothing to choose" in labelled.labels()["why"]


def test_labels_take_the_key_that_frames_take(models):
    labelled = Labelled(models, keyed=True)
    serve, request = labelled.serve, labelled.request()
    other = make_token(serve.folder, "other-" + models.name, "--model", "another")
    for headers in ({}, bearer(other), {"X-Api-Key": "serin-of-nobody"}):
        found = labelled.post(request, {}, headers=headers)
        assert found.status == 401 and found.headers["WWW-Authenticate"].startswith("Bearer"), found.body
    until(lambda: labelled.labels()["refused"] == 3, "that it is told")
    assert "takes an API key" in labelled.labels()["why"] and labelled.labels()["counted"] == 0
    assert labelled.post(request, {}, headers=labelled.headers).status == 202
    until(lambda: labelled.labels()["counted"] == 1, "the label")
    assert labelled.headers["Authorization"].split()[1] not in (serve.folder / "access").read_text()


def test_who_has_no_key_of_a_frames_model_does_not_label_it(models):
    """The gateway does not know whose frame it was, and another rollout is open to all; who knows, refuses."""
    labelled = Labelled(models, keyed=True)
    serve, request, open_one = labelled.serve, labelled.request(), Rollouts(labelled.serve, "open-one")
    open_one.two()
    open_one.start(plan(step(50, time="600s"), guards=[MISSED]))
    try:
        until(lambda: labelled.post(request, {"name": "truck"}).status == 202, "the other's labels are expected")
        until(lambda: labelled.labels()["why"] == f"it came without an API key of {models.name}", "the refusal")
        assert labelled.labels()["counted"] == 0
        assert labelled.post(request, {}, headers=labelled.headers).status == 202
        until(lambda: labelled.labels()["counted"] == 1, "the label")
    finally:
        open_one.remove()
