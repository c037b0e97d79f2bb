"""Frames on which two versions differ: what is kept and what is not, who may see it, what people say of it, and its end.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import itertools
import json
import re
import sqlite3
import stat

import pytest
import yaml
from conftest import MINIATURE, serin
from serve_fixture import Fake, Models, Serve, answer, serving, until

GUARDS = [{"metric": "error_rate", "margin": 1, "required": False}, {"metric": "choices", "margin": .1, "required": False}]
JPEG = b"\xff\xd8\xff\xe0" + b"what a camera saw "
numbers = itertools.count(1)


def plan(**more):
    """A mirror of everything, for ever; each camera keeps its version, so that cameras are told apart."""
    return yaml.dump({"guards": GUARDS, "unit": {"key": "X-Camera"}, "after": {"analysis": "60s", "undo": "1h"},
                      "steps": [{"mirror": "100%", "min": {"time": "1h"}}, {"weight": "100%"}], **more})


def seen(boxes):
    """An answer with boxes: (name, confidence, x1, y1, x2, y2), of a picture of 200 x 100."""
    results = [{"name": name, "class": 0, "confidence": confidence, "box": dict(zip(("x1", "y1", "x2", "y2"), box))}
               for name, confidence, *box in boxes]
    return answer(body=json.dumps({"images": [{"shape": [100, 200], "light": .5, "results": results}]}).encode())


PERSON = ("person", .9, 20, 10, 60, 90)


class Release:
    """A rollout whose versions say of a picture what its first line tells: "stable=..." and "canary=..." as JSON."""

    def __init__(self, serve, name, **more):
        self.serve, self.model = serve, Models(serve, name)
        self.model.add("v1", lambda asked: self.behave(asked, 0), stable=True)
        self.model.add("v2", lambda asked: self.behave(asked, 1))
        self.id = serve.api("POST", "rollouts", {"name": f"{name}:v2", "plan": plan(**more)})["id"]
        until(lambda: self.report()["step_begun"], "the mirror")

    @staticmethod
    def behave(asked, arm):
        return seen(json.loads(re.search(rb"boxes:(.*)", asked.body)[1])[arm])

    def report(self):
        return self.serve.api("GET", f"rollouts/{self.id}")

    def frame(self, stable, canary, camera=None, wrap=lambda body: (body, {"Content-Type": "image/jpeg"})):
        """A client's picture, of a camera of its own where none is named; the picture."""
        body = JPEG + b"boxes:" + json.dumps([stable, canary]).encode() + b"\n%d" % next(numbers)
        pairs = self.pairs()
        sent, fields = wrap(body)
        found = self.serve.ask("POST", f"/v1/predict/{self.model.name}", sent,
                               {**fields, "X-Camera": camera or f"camera-{next(numbers)}"})
        assert found.status == 200 and found.version == "v1"
        until(lambda: self.pairs() > pairs, "a pair")
        return body

    def pairs(self):
        text = self.serve.call("GET", "/metrics").body.decode()
        return int(re.search(r"^serin_judge_pairs_total (\d+)", text, re.M)[1])

    def list(self, query=""):
        return self.serve.api("GET", f"rollouts/{self.id}/frames{query}")

    def frames(self):
        return self.list()["frames"]

    def judge(self, number, right, wanted=200):
        found = self.serve.call("POST", f"/api/v1/frames/{number}/judge", {"right": right})
        assert found.status == wanted, found.body
        return found.json()

    def guard(self, report=None):
        return next(one for one in (report or self.report())["guards"] if one["guard"] == "choices" and not one["slice"])

    def picture(self, number):
        return self.serve.call("GET", f"/api/v1/frames/{number}/picture")

    def on_disk(self, what):
        """The files of the program that have these bytes."""
        return sorted(path.name for path in self.serve.folder.rglob("*") if path.is_file() and what in path.read_bytes())

    def end(self):
        if not self.report()["ended"]:
            self.serve.api("POST", f"rollouts/{self.id}/abort")
        self.model.remove()


@pytest.fixture
def serve(tmp_path):
    with serving(tmp_path, "--gateway-threads", "1") as found:
        yield found


def test_no_picture_is_kept_unless_a_plan_says_so(serve):
    release = Release(serve, "quiet")
    release.frame([PERSON], [])
    found = release.list()
    assert (found["keep"], found["kept"], found["frames"]) == (0, 0, [])
    assert release.on_disk(b"what a camera saw") == []
    assert release.report()["frames"]["keep"] == 0
    release.end()


def test_the_most_different_frames_are_kept_as_they_came(serve):
    release = Release(serve, "kept", frames={"keep": 3})
    release.frame([PERSON], [PERSON])  # they agree
    small = release.frame([("dog", .3, 0, 0, 50, 50)], [])
    large = release.frame([PERSON, ("car", .8, 100, 0, 200, 100)], [("person", .7, 22, 12, 62, 92)])
    middle = release.frame([], [("dog", .6, -5, 0, 50, 50)])
    largest = release.frame([PERSON], [("dog", .9, 20, 10, 60, 90)])  # another class: neither has what the other has
    frames = release.frames()
    assert [frame["difference"] for frame in frames] == [1.8, .8, .6]
    assert [release.picture(frame["number"]).body for frame in frames] == [largest, large, middle]
    assert frames[1]["boxes"] == {
        "stable": [{"name": "person", "confidence": .9, "alone": False, "box": [.1, .1, .3, .9]},
                   {"name": "car", "confidence": .8, "alone": True, "box": [.5, 0, 1, 1]}],
        "canary": [{"name": "person", "confidence": .7, "alone": False, "box": [.11, .12, .31, .92]}]}
    assert frames[2]["boxes"]["canary"][0]["box"] == [0, 0, .25, .5]  # within the picture
    assert (frames[0]["width"], frames[0]["height"], frames[0]["type"]) == (200, 100, "image/jpeg")
    assert "light=bright" in frames[0]["slices"] and frames[0]["camera"].startswith("camera-")
    assert release.on_disk(small) == []  # it has gone, and is not in what is free either
    assert set(release.on_disk(large)) == {"frames.db"}
    assert [frame["difference"] for frame in release.list("?from=1&limit=1")["frames"]] == [.8]
    for query in ("?limit=0", "?limit=201", "?from=-1", "?open=2", "?from=x"):
        assert serve.call("GET", f"/api/v1/rollouts/{release.id}/frames{query}").status == 400, query
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in (serve.folder / "data").glob("frames*")} == {
        name: 0o600 for name in ("frames.db", "frames.db-journal")}
    found = release.picture(frames[0]["number"])
    assert (found.headers["Content-Type"], found.headers["X-Content-Type-Options"], found.headers["Content-Security-Policy"]) == (
        "image/jpeg", "nosniff", "default-src 'none'; sandbox")
    for number in ("0", "999", "x", "1x", "-1", "99999999999999999999"):
        assert release.picture(number).status == 404, number
    for where in ("events", "access"):
        assert b"what a camera saw" not in (serve.folder / where).read_bytes()
    release.end()


def test_a_form_is_taken_apart_and_other_things_are_no_pictures(serve):
    release = Release(serve, "forms", frames={"keep": 9})

    def form(body):
        return (b"--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x\r\nContent-Disposition: form-data; "
                b"name=\"file\"; filename=\"a.jpg\"\r\n\r\n" + body + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"})

    picture = release.frame([PERSON], [], wrap=form)
    release.frame([PERSON], [], wrap=lambda body: (b"<html>" + body, {"Content-Type": "text/html"}))
    release.frame([PERSON], [], wrap=lambda body: (form(body)[0], {"Content-Type": "multipart/form-data; boundary=y"}))
    assert [release.picture(frame["number"]).body for frame in release.frames()] == [picture]
    release.end()


def test_a_camera_that_sees_the_same_thing_again_keeps_it_once(serve):
    release = Release(serve, "fair", frames={"keep": 3})
    for confidence in (.5, .9, .7):
        release.frame([("person", confidence, 20, 10, 60, 90)], [], camera="loud")
    release.frame([("person", .1, 20, 10, 60, 90)], [], camera="quiet")
    assert [(frame["camera"], frame["difference"]) for frame in release.frames()] == [("loud", .9), ("quiet", .1)]
    release.end()


def test_what_people_say_goes_to_the_judge_once(tmp_path):
    serve = Serve(tmp_path, "--gateway-threads", "1")
    try:
        serve.start()
        release = Release(serve, "said", frames={"keep": 9})
        for confidence in (.9, .8, .7, .6):
            release.frame([("person", confidence, 20, 10, 60, 90)], [])
        first, second, third, fourth = (frame["number"] for frame in release.frames())
        assert (release.report()["frames"]["kept"], release.report()["frames"]["open"]) == (4, 4)
        assert release.guard()["canary_count"] == 0 and release.guard()["left_choices"] > 20
        release.judge(first, "stable")
        assert release.judge(first, "canary")["state"] == "given"  # he had hit the wrong key
        release.judge(second, "both")
        assert [(frame["number"], frame["state"], frame["right"]) for frame in release.frames()] == [
            (first, "counted", "canary"), (second, "given", "both"), (third, "open", None), (fourth, "open", None)]
        assert "has said 'canary' of frame" in release.judge(first, "stable", 409)["error"]
        release.judge(third, "maybe", 400)
        release.judge(999, "both", 404)
        assert serve.call("POST", f"/api/v1/frames/{third}/judge", {"wrong": "stable"}).status == 400
        assert [frame["number"] for frame in release.list("?open=1")["frames"]] == [third, fourth]
        release.judge(third, "canary")  # the second counts now, and tells nothing apart
        until(lambda: release.guard()["canary_count"] == 1, "the judge")
        serve.process.kill()  # the third waits to be counted
        serve.process.wait()
        serve.process.stdout.close()
        serve.start()
        until(lambda: release.guard()["canary_count"] == 2, "the answer that was not counted yet")
        assert [frame["state"] for frame in release.frames()] == ["counted", "counted", "counted", "open"]
        lines = [json.loads(line) for line in (serve.folder / f"data/rollouts/{release.id}/1.ndjson").read_text().split("\n") if "choice" in line]
        assert [line["choice"] for line in lines] == ["canary", "both", "canary"]
        assert lines[0]["slice"]["light"] == "bright"
        said = [change for change in serve.api("GET", "changes") if change["what"] == "frame judged"]
        assert said[-1]["detail"] == f"frame {first}: stable" and "127.0.0.1" in said[-1]["author"] and len(said) == 4
        assert serin("rollout", "replay", release.id, "--data-dir", serve.folder / "data").returncode == 0
        release.end()
        release.judge(fourth, "stable")  # it has ended: it is kept with the frame, and tells the judge nothing
        assert serve.end() == 0
    finally:
        serve.kill()


def test_a_frame_that_is_judged_and_labelled_counts_once(serve):
    """Whichever comes first; and nobody is asked for what feedback has told."""
    release = Release(serve, "once", frames={"keep": 9})
    truth = json.dumps({"boxes": [{"name": "person", "box": dict(zip(("x1", "y1", "x2", "y2"), PERSON[2:]))}]})
    requests = []
    for confidence in (.9, .8, .7):
        release.frame([("person", confidence, 20, 10, 60, 90)], [])
        requests.append(release.model.fakes[0].asked[-1].get("X-Request-Id"))
    first, second, third = release.frames()
    assert [frame["request_id"] for frame in (first, second, third)] == requests
    release.judge(first["number"], "stable")
    release.judge(second["number"], "canary")  # and so the first counts
    until(lambda: release.report()["labels"]["counted"] == 1, "the first")
    assert serve.ask("POST", f"/v1/feedback/{requests[0]}", truth).status == 202
    until(lambda: release.report()["labels"]["repeated"] == 1, "its label")
    assert serve.ask("POST", f"/v1/feedback/{requests[1]}", truth).status == 202  # before the choice is counted
    assert serve.ask("POST", f"/v1/feedback/{requests[2]}", '{"right": "both"}').status == 202
    until(lambda: release.list()["open"] == 0, "that nobody is asked")
    assert [(frame["state"], frame["right"], frame["author"]) for frame in release.frames()][2] == ("counted", None, "feedback")
    assert "feedback has told what is right of frame" in release.judge(third["number"], "stable", 409)["error"]
    assert release.report()["labels"]["counted"] == 3
    until(lambda: release.report()["labels"]["repeated"] == 2, "the second's choice, after its label")
    lines = [line for line in map(json.loads, (serve.folder / f"data/rollouts/{release.id}/1.ndjson").read_text().splitlines())
             if "choice" in line or "label" in line]
    assert ["choice" in line for line in lines] == [True, False, True]
    release.end()


def test_a_person_who_says_that_stable_is_right_takes_the_version_off(serve):
    release = Release(serve, "bad", frames={"keep": 60})
    for _ in range(40):
        release.frame([PERSON], [])
    numbers_of = [frame["number"] for frame in release.list("?limit=60")["frames"]]
    left = release.guard()["left_choices"]
    for number in numbers_of[:7]:
        release.judge(number, "stable")
    until(lambda: release.guard()["left_choices"] < left, "a forecast that has heard of them")  # evidence is counted by the second
    for number in numbers_of[7:]:
        release.judge(number, "stable")
        if release.report()["ended"]:
            break
    until(lambda: release.report()["phase"] == "RolledBack", "the way back")
    assert "choices" in release.report()["why"]
    counted = sum(frame["state"] == "counted" for frame in release.frames())
    assert 5 < counted < 40
    release.end()


def test_frames_are_deleted_by_a_word_with_their_version_and_in_time(tmp_path):
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        release = Release(serve, "gone", frames={"keep": 9, "retention": "1h"})
        pictures = [release.frame([PERSON], []) for _ in range(4)]
        numbers_of = {release.picture(frame["number"]).body: frame["number"] for frame in release.frames()}
        assert serve.call("DELETE", f"/api/v1/frames/{numbers_of[pictures[0]]}").status == 200
        assert release.on_disk(pictures[0]) == [] and release.on_disk(pictures[1]) != []
        with contextlib.closing(sqlite3.connect(tmp_path / "data/frames.db", timeout=30)) as store:
            assert store.execute("SELECT min(expires_ms - time_ms), max(expires_ms - time_ms) FROM frame").fetchone() == (3600000, 3600000)
            store.execute("UPDATE frame SET expires_ms = 1 WHERE number = ?", (numbers_of[pictures[1]],))
            store.commit()
        until(lambda: release.list()["kept"] == 2, "the end of its time")
        assert release.on_disk(pictures[1]) == []
        found = serin("rm", "gone:v3", "--data-dir", tmp_path / "data")  # no such version
        assert found.returncode == 1 and release.list()["kept"] == 2
        found = serin("frames", "rm", release.id, "--admin", f"127.0.0.1:{serve.admin}")
        assert found.returncode == 0 and release.list()["kept"] == 0, found.stderr
        assert release.on_disk(b"what a camera saw") == []
        assert [change["detail"] for change in serve.api("GET", "changes") if change["what"] == "frames deleted"] == [
            f"{release.id}: 2", f"frame {numbers_of[pictures[0]]}"]
        release.end()


def test_frames_go_with_their_version(tmp_path):
    found = serin("push", "leaving:v2", "--model", MINIATURE / "detect.onnx", "--data-dir", tmp_path / "data")
    assert found.returncode == 0, found.stderr
    with serving(tmp_path, "--gateway-threads", "1") as serve:
        release = Release(serve, "leaving", frames={"keep": 9})
        picture = release.frame([PERSON], [])
        release.end()
        assert release.on_disk(picture) == ["frames.db"]
    found = serin("rm", "leaving:v2", "--data-dir", tmp_path / "data")
    assert found.returncode == 0, found.stderr
    assert release.on_disk(picture) == []


def test_the_command_line(serve, tmp_path):
    release = Release(serve, "words", frames={"keep": 9})
    picture = release.frame([PERSON], [])
    admin = ("--admin", f"127.0.0.1:{serve.admin}")
    number = str(release.frames()[0]["number"])
    found = serin("frames", "list", "words", *admin)
    assert found.returncode == 0 and f"{release.id}: v2 against v1, 1 of at most 9 frames, 1 not judged" in found.stdout
    assert json.loads(serin("frames", "list", release.id, "-o", "json", *admin).stdout) == release.list()
    found = serin("frames", "show", number, "--save", tmp_path / "frame.jpg", *admin)
    assert found.returncode == 0 and "stable  person 0.90  alone" in found.stdout
    assert (tmp_path / "frame.jpg").read_bytes() == picture and stat.S_IMODE((tmp_path / "frame.jpg").stat().st_mode) == 0o600
    assert serin("frames", "show", number, "--save", tmp_path / "frame.jpg", *admin).returncode == 1  # nothing is written over
    found = serin("frames", "judge", number, "canary", *admin)
    assert found.returncode == 0 and "canary" in found.stdout and "It counts in ten seconds" in found.stdout
    assert serin("frames", "judge", number, "perhaps", *admin).returncode == 2
    assert serin("frames", "show", "77", *admin).returncode == 1
    release.end()


def test_only_operators_see_pictures(serve):
    release = Release(serve, "private", frames={"keep": 9})
    release.frame([PERSON], [])
    number = release.frames()[0]["number"]
    admin = {"Authorization": "Bearer " + serve.api("POST", "tokens", {"name": "root", "role": "admin"})["token"]}
    viewer, operator = ({"Authorization": "Bearer " + serve.call("POST", "/api/v1/tokens", {"name": role, "role": role}, admin).json()["token"]}
                        for role in ("viewer", "operator"))
    for path in (f"frames/{number}/picture", f"frames/{number}", f"rollouts/{release.id}/frames"):
        assert [serve.call("GET", f"/api/v1/{path}", None, fields).status for fields in ({}, viewer, operator)] == [401, 403, 200], path
    said = serve.call("POST", f"/api/v1/frames/{number}/judge", {"right": "both"}, operator).json()
    assert said["author"].startswith("operator from 127.0.0.1")
    for method, path in (("DELETE", f"routes/{release.model.name}"),):
        serve.call("POST", f"/api/v1/rollouts/{release.id}/abort", None, admin)
        assert serve.call(method, f"/api/v1/{path}", None, admin).status == 200
