"""Rollouts from outside the process: what is released, what is taken off, what people say, and kill -9.

SPDX-License-Identifier: Apache-2.0

The versions are small servers of this file's own, so that each can be as wrong as a test wants; plans are tiny. Nothing
sleeps: traffic runs until what is waited for has come.
"""
import contextlib
import fcntl
import http.client
import itertools
import json
import math
import os
import pty
import random
import re
import sqlite3
import struct
import termios
import threading
import time

import pytest
import yaml
from conftest import ROOT, serin
from serve_fixture import DEADLINE_S, Client, Fake, Models, Serve, answer, serving, until

SOAK = bool(os.environ.get("SERIN_SOAK"))

# Nothing but time and evidence is asked: errors go back and hold nothing up.
ERRORS = {"metric": "error_rate", "margin": 1, "required": False}


def step(weight, evidence=20, time="0.2s", **more):
    return {"weight": f"{weight}%", "min": {"evidence": evidence, "time": time}, **more}


def plan(*steps, guards=None, **more):
    return {"guards": [ERRORS] if guards is None else guards, "steps": [*steps, {"weight": "100%"}],
            "after": {"analysis": "60s", "undo": "1h"}, **more}


QUICK = plan(step(20), step(50))
STANDS = plan(step(20, time="600s"), step(50))  # stays in its first step unless somebody says something


def seen(*objects, light=.5):
    """An answer with boxes, as a worker writes it: (name, confidence, x1, y1, x2, y2)."""
    results = [{"name": name, "class": 0, "confidence": confidence, "box": dict(zip(("x1", "y1", "x2", "y2"), box))}
               for name, confidence, *box in objects]
    return answer(body=json.dumps({"images": [{"results": results, "light": light}]}).encode())


PERSON = ("person", .9, 10, 10, 60, 110)


class Traffic:
    """Clients that ask as fast as they are answered, until the end of the with."""

    def __init__(self, serve, model, clients=2, on_answer=None, port=None, headers=None, body=b"a picture"):
        self.body = body
        self.port, self.model, self.on_answer = port or serve.port, model, on_answer
        self.headers = headers  # of the next request, where it is called
        self.over, self.lock = threading.Event(), threading.Lock()
        self.by_version, self.errors, self.broken, self.count = {}, [], None, 0
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def _ask(self):
        client = Client(self.port)
        try:
            while not self.over.is_set():
                found = client.predict(self.model, self.body, self.headers and self.headers())
                with self.lock:
                    self.count += 1
                    self.by_version[found.version] = self.by_version.get(found.version, 0) + 1
                    if found.status != 200:
                        self.errors.append((found.status, found.body))
                if self.on_answer:
                    self.on_answer(found)
        except Exception as broken:  # the connection, where the program was killed
            self.broken = broken
        finally:
            client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(DEADLINE_S)

    def more(self, count):
        """Until so many more were answered."""
        target = self.count + count
        until(lambda: self.count >= target or self.broken, f"{count} answers")
        assert not self.broken, self.broken


class Rollouts(Models):
    """A model of fakes with rollouts."""

    def two(self, stable=None, canary=None):
        self.stable = self.add("v1", stable, stable=True)
        self.canary = self.add("v2", canary)
        return self

    def start(self, of=QUICK, tag="v2", **more):
        return self.serve.api("POST", "rollouts", {"name": f"{self.name}:{tag}", "plan": json.dumps(of), **more})

    def get(self):
        return self.serve.api("GET", f"rollouts/{self.name}")

    def say(self, verb, why=None):
        return self.serve.api("POST", f"rollouts/{self.name}/{verb}", {"why": why} if why else {})

    def refused(self, verb):
        """A verb that is not possible: the sentence."""
        found = self.serve.call("POST", f"/api/v1/rollouts/{self.name}/{verb}", {})
        assert found.status == 409, (found.status, found.body)
        return found.json()["error"]

    def history(self, rollout=None):
        return self.serve.api("GET", f"rollouts/{rollout or self.name}/history")

    def reach(self, phase, step_number=None):
        return until(lambda: (found := self.get())["phase"] == phase and (not step_number or found["step"] == step_number
                                                                         and found["step_begun"]) and found,
                     f"{phase}: {self.get()}")

    def weight(self):
        route = self.serve.api("GET", f"routes/{self.name}")
        weights = {version["tag"]: version["weight"] for version in route["versions"]}
        return weights["v2"] / sum(weights.values())

    def traffic(self, **more):
        return Traffic(self.serve, self.name, **more)

    def remove(self):
        if any(r["model"] == self.name and not r["ended"] for r in self.serve.api("GET", "rollouts")):
            found = self.get()
            self.say("undo" if found["phase"] == "Promoted" else "abort")
        super().remove()


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("rollouts"), "--drain-seconds", "2") as found:
        yield found


@contextlib.contextmanager
def killable(folder, *names):
    """A program of the test's own, to be killed and started again; and a model with two versions for each name."""
    serve, every = Serve(folder, "--drain-seconds", "2"), []
    try:
        serve.start()
        for name in names:
            every.append(Rollouts(serve, name).two())
        yield serve, *every
    finally:
        serve.kill()
        for models in every:
            for fake in models.fakes:
                fake.stop()


@pytest.fixture
def models(serve, request):
    made = Rollouts(serve, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:36].strip("-"))
    yield made
    made.remove()


def events(history):
    return [decision["event"] for decision in history]


# ---- forward ----


def test_a_good_version_is_promoted(models):
    models.two()
    started = models.start()
    assert started["phase"] == "Pending" and started["share_percent"] == 0 and started["attempt"] == 1
    with models.traffic() as traffic:
        found = models.reach("Promoted")
        assert models.weight() == 1 and found["share_percent"] == 100
        before = models.stable.count
        traffic.more(20)
        assert models.stable.count == before
    assert not traffic.errors and traffic.by_version["v2"] > 40
    history = models.history()
    assert events(history) == ["start", "ready", "proven", "ready", "proven", "ready"]
    assert [decision["number"] for decision in history] == list(range(history[0]["number"], history[0]["number"] + 6))
    assert {decision["author"] for decision in history[1:]} == {"controller", "judge"}
    for decision in history:
        if decision["event"] == "proven":
            assert "units of the canary" in decision["why"] and decision["numbers"]["guards"]


def test_a_step_waits_for_its_evidence(models):
    """However long it takes: one request short is not proven."""
    models.two()
    models.start(plan(step(100 / 3, evidence=30, time="0s")))
    models.reach("Progressing")
    client = models.serve.client()
    given = 0
    while models.get()["phase"] == "Progressing":
        given += client.predict(models.name).version == "v2"
        assert given < 1000  # the judge looks every 50 ms, later on a busy machine: how many more come meanwhile tells nothing
    client.close()
    assert given >= 30 and models.get()["phase"] in ("Pending", "Promoted")


def test_a_proven_step_tells_what_is_left_of_its_least_time(models):
    models.two()
    models.start(plan(step(50, evidence=5, time="600s"), step(60)))
    with models.traffic() as traffic:
        traffic.more(50)
        found = until(lambda: (now := models.get())["answer"] == "pass" and now["waiting"].startswith("waits") and now,
                      "the proof")
    assert re.match(r"waits for its minimum time: 10 min left; no guard has to be proven here, with ", found["waiting"]), found
    assert 500 < found["left_s"] <= 600
    shown = rollout(models, "get", models.name).stdout
    assert "now       waits for its minimum time: " in shown and "left      about 10 min" in shown


def test_labels_by_feedback_prove(models):
    """No step goes on without labels, where the plan asks for them."""
    models.two(lambda asked: seen(PERSON), lambda asked: seen(PERSON))
    ids = []
    models.start(plan(step(50), guards=[{"metric": "missed", "margin": .3}]))
    with models.traffic(on_answer=lambda found: ids.append(found.headers["X-Request-Id"])) as traffic:
        traffic.more(200)
        found = until(lambda: (now := models.get())["waiting"] != "the step has just begun" and now, "a look of the judge")
        assert found["phase"] == "Progressing" and "missed" in found["waiting"] and "labelled" in found["waiting"]
        truth = {"boxes": [{"name": "person", "box": {"x1": 10, "y1": 10, "x2": 60, "y2": 110}}]}
        client = models.serve.client()
        while models.get()["phase"] == "Progressing":
            assert client.ask("POST", f"/v1/feedback/{ids.pop()}", json.dumps(truth)).status == 202
        client.close()
        models.reach("Promoted")


def test_labels_of_mirrored_frames_leave_the_others_nothing_to_be_compared_with(models):
    """Both miss every other object. All of stable's frames are mirrored, so that frames of one version alone are the
    canary's: its misses there stood against a guess of stable's, and took a version off that was the same."""
    models.two(lambda asked: seen(PERSON), lambda asked: seen(PERSON))
    ids = []
    models.start(plan(step(50, time="600s", mirror="100%"), guards=[{"metric": "missed", "margin": .03}]))
    truth = {"boxes": [{"name": "person", "box": dict(zip(("x1", "y1", "x2", "y2"), box))}
                       for box in ((10, 10, 60, 110), (200, 10, 250, 110))]}
    with models.traffic(on_answer=lambda found: ids.append(found.headers["X-Request-Id"])) as traffic:
        models.reach("Progressing", 1)
        client = models.serve.client()
        for given in range(3000):  # which frames have both answers is drawn: how many labels it takes differs
            until(lambda: ids, "an answer")
            assert client.ask("POST", f"/v1/feedback/{ids.pop(0)}", json.dumps(truth)).status == 202
            if given < 250 or given % 50:
                continue
            found = models.get()
            missed, = [guard for guard in found["guards"] if guard["metric"] == "missed"]
            if found["phase"] != "Progressing" or (missed["verdict"] != "unknown" and found["labels"]["counted"] >= 250):
                break
        client.close()
    assert found["phase"] == "Progressing", found["why"]
    assert missed["verdict"] == "no harm" and missed["lower"] < .001, missed
    assert not traffic.errors


def test_labels_by_feedback_take_a_blind_version_off(models):
    """It answers well and fast, and does not see what is there in the dark. By day it does."""
    def by_light(misses):
        count = itertools.count()
        return lambda asked: (seen(PERSON, light=.5) if next(count) % 2 else
                              seen(*([] if misses else [PERSON]), light=.1))

    models.two(by_light(False), by_light(True))
    slices = [{"light": {"values": 3, "required": True, "min_share": "10%"}}]
    models.start(plan(step(50, time="600s"), slices=slices,
                      guards=[{"metric": "missed", "margin": .2, "slices": ["light"]}]))
    ids = []
    with models.traffic(on_answer=lambda found: ids.append(found.headers["X-Request-Id"])) as traffic:
        client = models.serve.client()
        truth = {"boxes": [{"name": "person", "box": {"x1": 10, "y1": 10, "x2": 60, "y2": 110}}]}
        models.reach("Progressing")
        traffic.more(50)
        while models.get()["phase"] == "Progressing":
            until(lambda: ids, "an answer")
            assert client.ask("POST", f"/v1/feedback/{ids.pop()}", json.dumps(truth)).status == 202
        client.close()
    found = models.reach("RolledBack")
    assert "missed rose" in found["why"] and "light=bright" not in found["why"], found["why"]
    assert not traffic.errors


# ---- back ----


def test_a_version_that_only_fails_is_off_within_ten_of_its_requests(models):
    models.two(canary=lambda asked: answer(500))
    models.start(STANDS)
    with models.traffic() as traffic:
        found = models.reach("RolledBack")
        traffic.more(100)
    assert models.canary.count <= 10 and models.weight() == 0
    assert not traffic.errors and traffic.by_version == {"v1": traffic.count}
    # The breaker needs eight in a row; where these come slowly the judge may be first.
    last = models.history()[-1]
    assert (last["author"], "in a row" in found["why"]) in (("breaker", True), ("judge", False)), last
    assert found["possible"] == ["retry"]


def test_errors_are_found_by_their_guard(models):
    """One of five: never enough in a row for the breaker."""
    count = itertools.count(1)
    models.two(canary=lambda asked: answer(500) if next(count) % 5 == 0 else answer())
    models.start(plan(step(50, time="600s")))
    with models.traffic() as traffic:
        found = models.reach("RolledBack")
        before = models.canary.count
        traffic.more(300)
        assert models.canary.count <= before + 2  # those on their way when it was asked
    assert not traffic.errors and models.weight() == 0
    last = models.history()[-1]
    assert (last["author"], last["event"]) == ("judge", "harm") and last["why"] == found["why"]
    assert "error_rate rose from none to " in last["why"] and last["numbers"]["guard"] == "error_rate"


def test_a_stable_that_cannot_keep_up_is_no_wrong_split(models):
    """Draws are counted when they are made: what the canary has answered and stable has not is no wrong split."""
    goes_on, alike = threading.Event(), seen(PERSON)
    models.two(lambda asked: goes_on.wait(DEADLINE_S) and alike, lambda asked: alike)
    models.put(timeout_ms=60000)
    models.start(STANDS)
    models.reach("Progressing", 1)

    with models.traffic(clients=100) as traffic:
        try:
            until(lambda: models.stable.count == 100, "all clients to wait for stable")
            answered = models.canary.count
            found = until(lambda: (now := models.get())["sample_ratio"]["seen"] and
                          (abs(now["sample_ratio"]["seen"] - answered / (answered + 100)) < 1e-6 or
                           now["phase"] != "Progressing") and now, "a look at all of them")
        finally:
            goes_on.set()
        assert found["phase"] == "Progressing" and not found["sample_ratio"]["alarm"], found["judged"]
        assert abs(found["sample_ratio"]["expected"] - .2) < 1e-6
        traffic.more(300)
    assert not traffic.errors and models.get()["phase"] == "Progressing"


def test_an_answer_that_waits_for_its_copy_tells_when_it_was_drawn(models):
    """By block: what was asked in one must not stand for the next."""
    goes_on, alike = threading.Event(), seen(PERSON)
    models.two(lambda asked: alike, lambda asked: goes_on.wait(DEADLINE_S) and alike)
    models.put(timeout_ms=60000)
    models.start(plan({"mirror": "100%", "min": {"time": "600s"}}, unit={"key": "X-Camera", "block": "1d"}))
    models.reach("Progressing", 1)
    records, = (models.serve.folder / "data" / "rollouts").glob(f"{models.name}-*/1.ndjson")
    with contextlib.closing(models.serve.client()) as client:
        assert client.predict(models.name, headers={"X-Camera": "c1"}).status == 200
    answered = time.monotonic()
    until(lambda: models.canary.count == 1 and time.monotonic() > answered + .05, "a copy that is late")
    goes_on.set()
    line, = until(lambda: [line for line in records.read_text().splitlines() if '"status":200' in line], "its record")
    assert json.loads(line)["age"] >= json.loads(line)["latency_ms"]["total"] / 1000 + .049


def test_harm_of_an_advisory_guard_is_noted(models):
    count = itertools.count(1)
    models.two(canary=lambda asked: answer(500) if next(count) % 5 == 0 else answer())
    models.start(plan(step(50, time="600s"), guards=[{**ERRORS, "action": "note"}]))
    with models.traffic() as traffic:
        until(lambda: [guard for guard in models.get()["guards"] if guard["verdict"] == "harm"], "harm")
        assert models.get()["phase"] == "Progressing"
        assert re.search(r"\n  error_rate .* noted *\n", rollout(models, "get", models.name).stdout)
    assert not traffic.errors


def test_lies_are_found_by_their_guard(models):
    """Status 200, valid JSON, and no answer: one of five, so that the breaker stays out of it."""
    count = itertools.count(1)
    models.two(canary=lambda asked: answer(body=b'{"error": "I am sick"}') if next(count) % 5 == 0 else answer())
    models.start(plan(step(50, time="600s")))
    with models.traffic() as traffic:
        models.reach("RolledBack")
    assert not traffic.errors and "error_rate rose" in models.history()[-1]["why"]


def test_answers_that_tell_nothing_are_errors_of_their_arm(models):
    """Of stable, too, though what it says passes."""
    models.two(stable=lambda asked: answer(body=b'{"error": "I am sick"}'))
    models.start(STANDS)

    def error_rate():
        return [guard for guard in models.get().get("guards", []) if guard["metric"] == "error_rate"]

    with models.traffic() as traffic:
        models.reach("Progressing")
        found = until(lambda: [guard for guard in error_rate() if guard["canary_count"] > 50], "50 answers")[0]
    assert (found["stable"], found["canary"]) == (1, 0)
    assert not traffic.errors and traffic.by_version["v1"]


def test_harm_that_is_found_after_the_promotion_undoes_it(models):
    bad = threading.Event()
    models.two(canary=lambda asked: answer(500) if bad.is_set() else answer())
    models.start()
    with models.traffic() as traffic:
        models.reach("Promoted")
        bad.set()
        models.reach("Undone")
        traffic.more(20)
    assert not traffic.errors and models.weight() == 0


# ---- a person's word ----


def test_pause_and_resume(models):
    models.two()
    models.start(plan(step(20, time="0.5s")))
    models.reach("Progressing")  # and there it stays without traffic
    assert models.say("pause", "lunch")["phase"] == "Paused"
    assert models.weight() == pytest.approx(.2)
    with models.traffic() as traffic:
        traffic.more(400)
        found = models.get()
        assert found["phase"] == "Paused" and found["why"] == "lunch" and models.weight() == pytest.approx(.2)
        assert found["possible"] == ["resume", "promote", "promote-full", "abort"]
        assert "not possible" in models.refused("pause")
        models.say("resume")
        models.reach("Promoted")
    assert not traffic.errors


def test_pause_of_the_plan(models):
    models.two()
    models.start(plan(step(20, pause=True), step(50)))
    with models.traffic() as traffic:
        assert models.reach("Paused")["step"] == 2
        traffic.more(200)
        assert models.get()["phase"] == "Paused"
        models.say("promote")
        models.reach("Promoted")


def test_promote_skips_the_step_and_full_skips_all(models):
    models.two()
    models.start(plan(*[step(10 * i, time="600s") for i in range(1, 5)]))
    with models.traffic() as traffic:
        for number, share in enumerate((.1, .2, .3), 1):
            models.reach("Progressing", number)
            assert models.weight() == pytest.approx(share)
            models.say("promote")
        models.reach("Progressing", 4)
        assert models.say("promote-full", "I am sure")["phase"] == "Promoted"
        assert models.weight() == 1
        before = models.stable.count
        traffic.more(20)
        assert models.stable.count <= before + 2
    assert not traffic.errors
    last = models.history()[-1]
    assert (last["event"], last["why"]) == ("promote-full", "I am sure") and " from 127.0.0.1" in last["author"]


def test_abort_and_retry(models):
    models.two()
    first = models.start(STANDS)
    with models.traffic() as traffic:
        models.reach("Progressing")
        traffic.more(100)
        assert models.say("abort", "changed my mind")["phase"] == "Aborted"
        before = models.canary.count
        traffic.more(100)
        assert models.canary.count <= before + 2 and models.weight() == 0
        assert models.refused("promote")
        until_then = models.canary.count
        again = models.say("retry")
        assert again["id"] == first["id"] and again["attempt"] == 2 and again["phase"] == "Pending"
        found = models.reach("Progressing", 1)
        assert until_then > 0 and found["t_s"] < 60  # no evidence is kept
        assert all(guard["canary_count"] <= models.canary.count - until_then for guard in found["guards"])
    assert not traffic.errors


def test_undo_after_the_promotion_is_instant(models):
    models.two()
    models.start()
    with models.traffic() as traffic:
        assert models.reach("Promoted")["undo_left_s"] > 3000
        models.say("undo", "it is Friday")
        with contextlib.closing(models.serve.client()) as client:  # the very next request
            assert {client.predict(models.name).version for _ in range(20)} == {"v1"}
    assert models.get()["phase"] == "Undone" and not traffic.errors
    assert "not possible" in models.refused("undo")


def test_a_newer_version_supersedes_at_a_persons_word(models):
    models.two()
    third = models.add("v3")
    first = models.start(STANDS)
    found = models.serve.call("POST", "/api/v1/rollouts", {"name": f"{models.name}:v3", "plan": ""})
    assert found.status == 409 and first["id"] in found.json()["error"] and "supersede" in found.json()["error"]
    second = models.start(QUICK, "v3", supersede=True, why="v2 was a mistake")
    for method, verb in (("GET", ""), ("POST", "/retry")):
        found = models.serve.call(method, f"/api/v1/rollouts/{first['id']}{verb}")
        assert found.status == 404 and f"{first['id']} has ended, and is not the newest rollout of {models.name}" in found.json()["error"]
    ended = models.history(first["id"])[-1]
    assert second["id"] != first["id"] and ended["state"]["phase"] == "Aborted"
    assert ended["why"] == "a newer version takes its place: v2 was a mistake"
    with models.traffic() as traffic:
        models.reach("Promoted")
        until(lambda: third.count > 20, "requests to the third")
    assert not traffic.errors and traffic.by_version.get("v2", 0) == 0
    third_route = models.serve.api("GET", f"routes/{models.name}")
    assert {v["tag"]: v["weight"] for v in third_route["versions"] if v["weight"]}.keys() == {"v3"}


def test_what_is_promoted_is_not_started_again_and_can_still_be_undone(models):
    models.two()
    models.start(QUICK)
    models.say("promote-full")
    models.reach("Promoted")
    found = models.serve.call("POST", "/api/v1/rollouts", {"name": f"{models.name}:v2", "plan": "", "supersede": True})
    assert found.status == 409 and f"has promoted {models.name}:v2 already" in found.json()["error"], found.body
    assert models.get()["phase"] == "Promoted"
    assert models.say("undo")["phase"] == "Undone"


def test_nobody_else_changes_the_route_meanwhile(models):
    models.two()
    models.start(STANDS)
    models.reach("Progressing")
    for method, path, body in (("PATCH", f"routes/{models.name}/weights", {"v1": 0, "v2": 100}),
                               ("DELETE", f"serving/{models.name}:v2", None), ("DELETE", f"serving/{models.name}:v1", None),
                               ("DELETE", f"routes/{models.name}", None)):
        found = models.serve.call(method, "/api/v1/" + path, body)
        assert found.status == 409 and models.get()["id"] in found.json()["error"], (method, path, found.body)
    assert models.weight() == pytest.approx(.2)


# ---- waiting ----


def test_inconclusive_by_time(models):
    models.two()
    models.start(plan(step(20, evidence=10**9, max={"time": "1s"})))
    with models.traffic() as traffic:
        found = models.reach("Inconclusive")
        assert "most time, 1 s" in found["why"] and models.weight() == pytest.approx(.2)
        assert models.history()[-1]["author"] == "clock"
        models.say("promote", "I have looked")
        models.reach("Promoted")
    assert not traffic.errors


def test_without_traffic_it_holds_and_says_so(models):
    models.two()
    models.start(plan(step(20)))
    models.reach("Progressing")
    found = until(lambda: (now := models.get())["t_s"] > 1 and now, "a second")  # five times its least time
    assert found["phase"] == "Progressing" and "0 of the 20 requests" in found["waiting"]
    assert models.canary.count == 0


ALWAYS = "{zone: Europe/Berlin, windows: [{days: mon-sun}]}"


def test_a_freeze_holds_every_rollout_of_its_model_but_not_a_person(models):
    models.two()
    freeze = f"freezes/{models.name}"
    models.serve.api("PUT", freeze, {"calendar": ALWAYS})
    models.start(plan(step(20), step(50, time="600s")))
    with models.traffic() as traffic:
        found = until(lambda: "frozen" in (now := models.get())["waiting"] and now, "the freeze")
        assert found["waiting"].endswith("is frozen, until it is lifted"), found
        assert models.serve.api("GET", "freezes")[0]["until_ms"] is None
        traffic.more(200)
        assert models.get()["phase"] == "Pending" and models.canary.count == 0
        models.say("promote", "gate 4 is blind")  # in spite of it
        last = models.history()[-1]
        assert last["why"] == "in spite of the freeze (until it is lifted): gate 4 is blind"
        models.reach("Pending", None)
        until(lambda: "frozen" in models.get()["waiting"], "the freeze before the next step")
        models.serve.api("DELETE", freeze)
        models.reach("Progressing", 2)
        models.serve.api("PUT", freeze, {"calendar": ALWAYS})
        assert models.say("abort")["phase"] == "Aborted"  # back is always possible
        assert models.say("retry")["phase"] == "Pending"
        until(lambda: "frozen" in models.get()["waiting"], "the freeze of the next attempt")
    models.serve.api("DELETE", freeze)
    assert models.serve.call("DELETE", "/api/v1/" + freeze).status == 404
    assert not traffic.errors
    changes = [change["what"] for change in models.serve.api("GET", "changes")]
    assert changes.count(f"freeze {models.name}") == 2 and "freeze removed" in changes


def test_freeze_calendars_are_set_by_command_and_outlive_a_kill(tmp_path):
    example = ROOT / "examples" / "freeze.yaml"
    with serving(tmp_path) as serve:
        models = Rollouts(serve, "street-person").two()

        def freeze(*words):
            return serin("freeze", *words, "--admin", f"127.0.0.1:{serve.admin}")

        assert "no freeze calendars" in freeze("list").stdout
        found = freeze("set", "nobody", ALWAYS)
        assert found.returncode == 1 and "no model 'nobody'" in found.stderr
        found = freeze("set", "street-person", "{zone: Europe/Berlln, windows: [{days: fri}]}")
        assert found.returncode == 1 and "there is no time zone 'Europe/Berlln'" in found.stderr
        wrong = tmp_path / "wrong.yaml"
        wrong.write_text("zone: UTC\nwindows: [{dyas: fri}]\n")
        found = freeze("set", "street-person", wrong)
        assert found.returncode == 1 and f"{wrong}: line 2: unknown key 'dyas'" in found.stderr
        found = freeze("set", "street-person", "{windows: [{}]}")
        assert found.returncode == 1 and "a window needs days, or from and to" in found.stderr
        assert serve.call("PUT", "/api/v1/freezes/street-person", {"calendar": "windows: []"}).status == 400
        assert freeze("set", "street-person", example).returncode == 0
        told, = json.loads(freeze("list", "-o", "json").stdout)
        assert (told["model"], told["calendar"]) == ("street-person", example.read_text())
        assert freeze("set", "street-person", ALWAYS).stdout == "street-person  frozen until it is lifted\n"
        serve.kill()
        serve.start()
        assert freeze("list").stdout == "street-person  frozen until it is lifted\n"
        assert serve.api("GET", "freezes")[0]["until_ms"] is None
        assert freeze("set", "street-person", "windows: [{from: 2000-01-01, to: 2040-12-31}]").returncode == 1  # a file
        assert freeze("set", "street-person", "{windows: [{from: 2000-01-01, to: 2040-12-31}]}").returncode == 0
        assert "frozen until Tue 2041-01-01 00:00 UTC, in " in freeze("list").stdout
        assert freeze("remove", "street-person").returncode == 0
        assert freeze("remove", "street-person").returncode == 1
        assert freeze("dance").returncode == 2
        models.remove()


class Hook(Fake):
    """A web hook: says is what it answers, None: nothing, ever."""

    def __init__(self, says=204):
        self.says, self.bodies = says, []
        super().__init__(self._told)

    def _told(self, asked):
        self.bodies.append((json.loads(asked.body), asked))
        if self.says is None:
            self.ended.wait(DEADLINE_S)
            return None
        return answer(self.says, b"not before noon" if self.says >= 400 else b"", kind=b"text/plain")


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.stop()


def test_a_gate_says_no_and_then_yes(models, hook):
    models.two()
    hook.says = 403
    models.start(plan(step(20), webhooks=[{"url": f"{hook.url}/secret?key=secret", "on": ["gate"]}]))
    with models.traffic() as traffic:
        found = until(lambda: "not before noon" in (now := models.get())["waiting"] and now, "the gate's word")
        assert found["waiting"] == f"for the gate {hook.url}, which says no: not before noon"  # viewers may see it
        traffic.more(100)
        assert models.get()["phase"] == "Pending" and models.canary.count == 0
        hook.says = 204
        models.say("pause")
        models.say("resume")  # asks again at once, and not in half a minute
        models.reach("Promoted")
    assert not traffic.errors
    assert all(body["event"] == "gate" and body["model"] == models.name for body, _ in hook.bodies)


def test_a_gate_that_hangs_holds_and_holds_up_nothing_else(models, hook):
    models.two()
    hook.says = None
    models.start(plan(step(20), webhooks=[{"url": hook.url, "on": ["gate"], "timeout": "1s"}]))
    with models.traffic() as traffic:
        until(lambda: hook.bodies, "the question")
        until(lambda: "says no" in models.get()["waiting"], "the end of its time")
        assert models.get()["phase"] == "Pending" and models.canary.count == 0
        assert models.say("abort")["phase"] == "Aborted"
    assert not traffic.errors


def test_webhooks_are_told(models, hook):
    models.two()
    models.start(plan(step(20), webhooks=[{"url": hook.url, "on": ["started", "step", "promoted", "ended"]}]))
    with models.traffic():
        models.reach("Promoted")
    models.say("undo")
    until(lambda: len(hook.bodies) >= 4, "four words")
    told = sorted((body["decision"], body["event"], body["phase"]) for body, _ in hook.bodies)
    assert [phase for _, _, phase in told] == ["Pending", "Progressing", "Promoted", "Undone"]


def test_a_version_that_is_never_ready_gets_nothing(models):
    models.two()
    models.canary.stop()
    until(lambda: models.serve.versions(models.name)["v2"]["ready"] == 0, "what the health checks find", 30)
    models.start()
    with models.traffic() as traffic:
        until(lambda: "to be ready" in models.get()["waiting"], "why it waits")
        traffic.more(100)
        assert models.get()["phase"] == "Pending" and models.weight() == 0
        assert "ready" in models.refused("promote-full")
        assert models.say("abort")["phase"] == "Aborted"
    assert traffic.by_version == {"v1": traffic.count} and not traffic.errors


# ---- what cannot be started ----


@pytest.mark.parametrize("body, status, words", [
    ({"name": "{m}:v2", "plan": "setps: []"}, 400, "did you mean 'steps'"),
    ({"name": "{m}:v9", "plan": ""}, 404, "deploy it first"),
    ({"name": "{m}:v1", "plan": ""}, 409, "stable version already"),
    ({"name": "nobody:v1", "plan": ""}, 404, "nobody"),
    ({"name": "{m}:v2", "plan": 7}, 400, ""),
    ({"plan": ""}, 400, "")])
def test_what_cannot_be_started_says_why(models, body, status, words):
    models.two()
    body = {key: value.replace("{m}", models.name) if isinstance(value, str) else value for key, value in body.items()}
    found = models.serve.call("POST", "/api/v1/rollouts", body)
    assert found.status == status and words in found.json()["error"], found.body
    assert models.serve.call("GET", f"/api/v1/rollouts/{models.name}").status == 404


# ---- the command ----


def rollout(models, *words, **more):
    return serin("rollout", *words, "--admin", f"127.0.0.1:{models.serve.admin}", **more)


def test_the_command(models, tmp_path):
    """start to history, as a person would; JSON and YAML are the same."""
    models.two()
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(STANDS))
    third = Fake()
    models.fakes.append(third)
    models.tags.append("v3")
    started = rollout(models, "start", f"{models.name}:v3", "--url", third.url, "--plan", path, "--why", "gate 4 ü")
    assert started.returncode == 0 and "Pending" in started.stdout and "gate 4 ü" in started.stdout, started.stderr
    begun = models.history()[0]
    assert (begun["event"], begun["why"], begun["state"]["why"]) == ("start", "gate 4 ü", "gate 4 ü")
    assert " from 127.0.0.1:" in begun["author"]
    with models.traffic():
        models.reach("Progressing")
        once = rollout(models, "status", models.name)
        assert once.returncode == 1 and "not promoted yet" in once.stderr
        named = rollout(models, "list", models.name)
        assert named.returncode == 2 and "takes no name" in named.stderr
        assert rollout(models, "replay", models.name, "-o", "json").returncode == 2
        late = rollout(models, "status", models.name, "--timeout", ".1")
        assert late.returncode == 1 and "not ended after 0.1 s" in late.stderr
        assert rollout(models, "pause", models.name, "--why", "it is noon").returncode == 0
        one = rollout(models, "get", models.name)
        assert one.returncode == 0 and "Paused" in one.stdout and "it is noon" in one.stdout
        assert "resume or promote goes on" in one.stdout
        as_json, as_yaml = (rollout(models, "get", models.name, "-o", kind).stdout for kind in ("json", "yaml"))
        assert '"alpha": 0.05,' in as_json and "\nalpha: 0.05\n" in as_yaml  # and not .050000000000000003
        moving = ("t_s", "guards", "alpha_spent", "left_s", "judged", "sample_ratio", "waiting", "answer", "guard", "no_traffic")
        same = [{key: value for key, value in found.items() if key not in moving}
                for found in (json.loads(as_json), yaml.safe_load(as_yaml))]
        assert same[0] == same[1] and same[0]["phase"] == "Paused"
        assert models.name in rollout(models, "list").stdout
        assert rollout(models, "resume", models.name).returncode == 0
        assert rollout(models, "promote", models.name, "--full").returncode == 0
        done = rollout(models, "status", models.name, "--timeout", "60")
        assert done.returncode == 0 and "Promoted" in done.stdout
        assert rollout(models, "undo", models.name, "--why", "smells").returncode == 0
    looks = [rollout(models, "watch", models.name, "-o", kind).stdout for kind in ("json", "yaml")]
    assert [json.loads(line)["phase"] for line in looks[0].splitlines()] == ["Undone"]
    assert [look["phase"] for look in yaml.safe_load_all(looks[1])] == ["Undone"]
    gone = rollout(models, "status", models.name, "--timeout", "60")
    assert gone.returncode == 1 and "taken back" in gone.stderr
    told = [rollout(models, "history", models.name, "-o", kind).stdout for kind in ("json", "yaml")]
    assert json.loads(told[0]) == yaml.safe_load(told[1])
    path = f"rollouts/{models.name}/history"  # in pages, too
    whole, newest = models.history(), models.serve.api("GET", path + "?limit=2")
    assert newest == whole[-2:] and len(whole) > 4
    assert models.serve.api("GET", f"{path}?limit=3&before={newest[0]['number']}") == whole[-5:-2]
    assert models.serve.api("GET", f"{path}?before={whole[0]['number']}") == []
    for query in ("limit=0", "limit=1001", "limit=x", "before=-1", "before=99999999999999999999"):
        assert models.serve.call("GET", f"/api/v1/{path}?{query}").status == 400, query
    lines = rollout(models, "history", models.name).stdout
    assert "gate 4 ü" in lines and "smells" in lines and "it is noon" in lines and "Undone" in lines and "from 127.0.0.1" in lines
    refused = rollout(models, "pause", models.name)
    assert refused.returncode == 1 and "not possible" in refused.stderr
    for words in (("get", "nobody"), ("history", "nobody-9"), ("abort", "nobody"), ("repair", "nobody")):
        found = rollout(models, *words)
        assert found.returncode == 1 and f"'{words[1]}' is no rollout, and no model that has one: 'serin rollout list'" in found.stderr
    for words, why in ((("get",), "takes a rollout's id, or a model's name"), (("dance", models.name), "'dance' is not known"),
                       (("start", "no name"), "no name"), (("get", models.name, "--why", "x"), "has nothing to do with --why"),
                       (("abort", models.name, "--plan", path), "--plan"), (("watch", models.name, "--timeout", "1"), "--timeout")):
        found = rollout(models, *words)
        assert found.returncode == 2 and why in found.stderr, found.stderr


def test_a_terminal_of_80_columns_gets_lines_that_fit(models):
    models.two()
    models.start(plan(step(20, time="600s"), guards=["error_rate", "latency_p50", "missed", "memory"]))
    with models.traffic() as traffic:
        models.reach("Progressing")
        traffic.more(50)
        shown, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        with open(shown, "rb", buffering=0) as screen:
            with open(terminal, "wb", buffering=0) as out:
                rollout(models, "get", models.name, stdout=out)
                text = screen.read(65536).decode()
    lines = re.sub("\x1b\\[[0-9;]*m", "", text).splitlines()
    assert "SURELY WITHIN" in text and max(map(len, lines)) <= 80, lines
    assert any("CHANGE" in line for line in rollout(models, "get", models.name).stdout.splitlines())  # a pipe gets all


def test_a_long_history_is_read_in_pages(models):
    models.two()
    models.start(STANDS)
    for _ in range(55):
        models.say("pause")
        models.say("resume")
    newest = rollout(models, "history", models.name, "-o", "json")
    assert newest.returncode == 0 and len(json.loads(newest.stdout)) == 100
    assert "the newest 100 decisions; --all shows those before" in newest.stderr
    every = rollout(models, "history", "--all", models.name, "-o", "json")
    assert every.returncode == 0 and every.stderr == ""
    numbers = [decision["number"] for decision in json.loads(every.stdout)]
    assert len(numbers) > 110 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert events(json.loads(every.stdout))[0] == "start" and json.loads(every.stdout)[-100:] == json.loads(newest.stdout)


# ---- kill -9 ----


def test_a_rollout_that_is_stuck_takes_no_other_canary_off(tmp_path):
    """After a kill one canary does not come back: its model is stable's, and the other's trial goes on."""
    with killable(tmp_path, "stuck", "sound") as (serve, *both):
        for models in both:
            models.start(STANDS)
            models.reach("Progressing")
        serve.kill()
        both[0].canary.stop()
        serve.start()
        for models in both:
            until(lambda: serve.versions(models.name)["v1"]["ready"], "stable")
        with both[0].traffic() as stuck, both[1].traffic() as sound:
            until(lambda: sound.by_version.get("v2", 0) > 20 or sound.broken, "the other canary's answers")
            stuck.more(100)
        assert not stuck.errors and not sound.errors and not stuck.broken and not sound.broken
        assert stuck.by_version == {"v1": stuck.count}
        assert both[0].counters("v2")["unheld"] > 0 and both[1].counters("v2")["answered"] > 20
        assert serve.end() == 0


def test_a_pause_outlives_a_kill(tmp_path):
    with killable(tmp_path, "paused") as (serve, models):
        models.start(plan(step(20, time="0.2s"), step(50)))
        models.reach("Progressing")
        models.say("pause", "lunch")
        for _ in range(2):
            serve.kill()
            serve.start()
            until(lambda: serve.versions("paused")["v2"]["ready"], "the canary")
            with models.traffic() as traffic:  # proof enough, but for the pause
                until(lambda: traffic.by_version.get("v2", 0) > 30 or traffic.broken, "the canary's answers")
            found = models.get()
            assert (found["phase"], found["why"], found["step"]) == ("Paused", "lunch", 1) and not traffic.broken
            assert models.weight() == pytest.approx(.2)
        models.say("resume")
        with models.traffic() as traffic:
            models.reach("Promoted")
        assert not traffic.errors and serve.end() == 0


def test_a_locked_state_file_takes_no_step_and_goes_back(models, serve):
    """Somebody's sqlite3 holds the lock for writing: stable takes over at once, and it is written afterwards."""
    bad = threading.Event()
    models.two(canary=lambda asked: answer(500) if bad.is_set() else answer())
    models.start(STANDS)
    with models.traffic() as traffic:
        models.reach("Progressing")
        until(lambda: traffic.by_version.get("v2"), "the canary's answers")
        with contextlib.closing(sqlite3.connect(serve.folder / "data" / "state.db", isolation_level=None)) as state:
            state.execute("BEGIN IMMEDIATE")
            refused = models.serve.call("POST", f"/api/v1/rollouts/{models.name}/promote", {})
            assert refused.status == 500 and "locked" in refused.json()["error"], refused.body
            assert models.get()["phase"] == "Progressing" and models.weight() == pytest.approx(.2)
            bad.set()
            until(lambda: "be written" in models.get()["waiting"], "the way back, which waits for the lock")
            before = models.canary.count
            traffic.more(200)
            assert models.canary.count == before and models.get()["phase"] == "Progressing"
            unstored, = [model["unstored"] for model in serve.api("GET", "status")["models"] if model["model"] == models.name]
            told = serin("status", "--admin", f"127.0.0.1:{serve.admin}").stdout
            assert "its rollout goes back" in unstored and f"! {models.name}: {unstored}" in told
            assert "\nserin_unstored_models 1\n" in serve.call("GET", "/metrics").body.decode()
            state.execute("ROLLBACK")
        models.reach("RolledBack")
        assert "\nserin_unstored_models 0\n" in serve.call("GET", "/metrics").body.decode()
    assert not traffic.errors and models.weight() == 0
    assert [one["event"] for one in models.history()] == ["start", "ready", "harm"]


def test_a_locked_state_file_holds_up_nobody(tmp_path):
    """Three rollouts go back and cannot be written, over and over: the control port answers, and a fourth goes on."""
    bad = threading.Event()
    with serving(tmp_path, "--drain-seconds", "2") as serve, contextlib.ExitStack() as held:
        models = [Rollouts(serve, name) for name in ("one", "two", "three", "sound")]
        for each in models:
            each.two(canary=lambda asked, name=each.name: answer(500) if bad.is_set() and name != "sound" else answer())
            each.start(STANDS)
            each.reach("Progressing")
        traffic = [held.enter_context(each.traffic(clients=1)) for each in models]
        until(lambda: all(each.by_version.get("v2") for each in traffic), "the canaries' answers")
        state = held.enter_context(contextlib.closing(sqlite3.connect(tmp_path / "data" / "state.db", isolation_level=None)))
        state.execute("BEGIN IMMEDIATE")
        bad.set()
        until(lambda: all("be written" in each.get()["waiting"] for each in models[:3]), "three ways back, which wait")
        counted = models[3].counters("v2")
        asked = itertools.count()
        until(lambda: models[3].get()["phase"] == "Progressing" and next(asked) >= 300, "300 answers of the control port")
        found = models[3].counters("v2")
        assert found["answered"] > counted["answered"] and found["unheld"] == counted["unheld"]
        state.execute("ROLLBACK")
        for each in models[:3]:
            each.reach("RolledBack")
        assert not any(each.errors or each.broken for each in traffic)
        for each in models:
            each.remove()


def test_an_undo_after_the_analysis_does_not_wait_for_the_disk(models, serve):
    """Nobody watches any more; stable has everything all the same, before it is written."""
    models.two()
    models.start({**plan(step(50)), "after": {"analysis": "0s", "undo": "1h"}})
    with models.traffic() as traffic:
        models.reach("Promoted")
        with contextlib.closing(sqlite3.connect(serve.folder / "data" / "state.db", isolation_level=None)) as state:
            state.execute("BEGIN IMMEDIATE")
            said = models.serve.call("POST", f"/api/v1/rollouts/{models.name}/undo", {})
            assert said.status == 500 and "stable has taken over" in said.json()["error"], said.body
            with contextlib.closing(serve.client()) as client:
                assert {client.predict(models.name).version for _ in range(50)} == {"v1"}
            state.execute("ROLLBACK")
        models.reach("Undone")
    assert not traffic.errors and models.weight() == 0


def wished(state, steps):
    """The share that a state asks for: of the step in force."""
    if state["phase"] in ("Promoted", "Completed"):
        return 1
    number = state["step"] - (not state["step_begun"])
    ended = state["phase"] in ("RolledBack", "Aborted", "Undone")
    return 0 if ended or number < 0 else steps[number]


def test_kill_loses_nothing(tmp_path):
    """At any moment: it goes on in the same step with the same share, and no decision is lost or made twice."""
    kills = 500 if SOAK else 5
    shares = [.05 * i for i in range(1, 12)] + [1]
    of = plan(*[step(100 * share, evidence=10, time="0.05s") for share in shares[:-1]],
              after={"analysis": "0s", "undo": "1h"})
    draw = random.Random(7)
    history, over, resumed = [], [], 0
    with killable(tmp_path, "street") as (serve, models):
        models.start(of)
        for kill in range(kills):
            with models.traffic() as traffic:
                traffic.more(draw.randrange(120))
                if again := models.get()["phase"] == "Promoted":
                    models.say("undo")
                    over += models.history()
                    models.start(of)
                    history = []
                before = models.history()
                traffic.more(draw.randrange(30))
                serve.kill()
            assert isinstance(traffic.broken, (OSError, http.client.HTTPException)) and not traffic.errors
            assert before[:len(history)] == history, f"kill {kill}: another past"
            serve.start()
            after = models.history()
            assert after[:len(before)] == before, f"kill {kill}: a decision is lost"
            lived = [decision["state"] for decision in after[max(0, len(history) - 1):]]
            check_exposure(traffic, 1 if again else max(wished(state, shares) for state in lived), f"kill {kill}")
            weight = models.weight()
            now = models.history()
            assert any(weight == pytest.approx(wished(decision["state"], shares)) for decision in now[len(after) - 1:])
            resumed += after[-1]["state"]["phase"] == "Progressing"
            history = now
        with models.traffic() as traffic:
            models.reach("Promoted")
        check_decisions(over + models.history())
        assert not traffic.errors and resumed > kills / 4
        assert serve.end() == 0
        assert (tmp_path / "stderr").read_text() == ""


def check_exposure(traffic, most, what):
    """No life gives the canary more than the largest share that was in force in it, by six standard deviations."""
    expected = most * traffic.count
    assert traffic.by_version.get("v2", 0) <= expected + 6 * math.sqrt(expected * (1 - most)) + 2, (what, traffic.by_version)


def check_decisions(decisions):
    """Numbers without a gap, and each step begins and is proven once."""
    assert [decision["number"] for decision in decisions] == list(range(1, len(decisions) + 1))
    steps = [(decision["rollout"], decision["state"]["attempt"], decision["event"], decision["state"]["step"])
             for decision in decisions if decision["event"] in ("ready", "proven")]
    assert len(set(steps)) == len(steps)


@pytest.mark.parametrize("change, concerns_all", [("UPDATE decision SET why = why || '.' WHERE number = 2", False),
                                                  ("UPDATE decision SET time_ms = time_ms + 1 WHERE number = 1", False),
                                                  ("UPDATE rollout SET plan = replace(plan, 'margin: 1,', 'margin: 0.9,') "
                                                   "WHERE id = 'hurt-1'", False),
                                                  ("DELETE FROM decision WHERE number = 2", True)])
def test_a_damaged_log_holds_up_its_rollouts_and_no_traffic(tmp_path, change, concerns_all):
    with killable(tmp_path, "hurt", "whole") as (serve, hurt, whole):
        for models in (hurt, whole):
            models.start(STANDS)
            models.reach("Progressing")
        serve.kill()
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "state.db")) as state:
            assert state.execute(change).rowcount == 1
            state.commit()
        replayed = serin("rollout", "replay", "hurt", "--data-dir", tmp_path / "data")
        assert replayed.returncode == 1 and ("hurt-1" in replayed.stderr or "missing" in replayed.stderr), replayed.stderr
        assert ("the plan of hurt-1 is not the one that it was started with" in replayed.stderr) == ("plan" in change)
        serve.start()
        for models in (hurt, whole):
            until(lambda: serve.versions(models.name)["v1"]["ready"], "stable")
        with hurt.traffic() as traffic:  # of a canary that nobody watches
            traffic.more(100)
        assert not traffic.errors and traffic.by_version == {"v1": traffic.count}
        found = serve.call("GET", "/api/v1/rollouts/hurt")
        assert found.status == 409 and "hurt-1" in found.json()["error"] and "serin rollout repair hurt" in found.json()["error"]
        for method, path, body in (("POST", "rollouts", {"name": "hurt:v2", "plan": ""}), ("PATCH", "routes/hurt/weights", {"v2": 5})):
            found = serve.call(method, "/api/v1/" + path, body)
            assert found.status == 409 and "serin rollout repair hurt" in found.json()["error"], (path, found.body)
        assert serve.call("GET", "/api/v1/rollouts/whole").status == (409 if concerns_all else 200)
        damaged = {model["model"]: model.get("damage") for model in serve.api("GET", "status")["models"]}
        assert "hurt-1" in damaged["hurt"] and bool(damaged["whole"]) == concerns_all
        assert f"\nserin_decision_log_damaged_models {1 + concerns_all}\n" in serve.call("GET", "/metrics").body.decode()
        until(lambda: "reading the log of decisions" in (tmp_path / "events").read_text(), "a line in the log")
        told = serin("status", "--admin", f"127.0.0.1:{serve.admin}").stdout
        assert "! hurt: the log of decisions is damaged: " in told
        assert hurt.history()  # it can be looked at

        mended = serin("rollout", "repair", "hurt", "--why", "row 2 is from the backup", "--admin", f"127.0.0.1:{serve.admin}")
        assert mended.returncode == 0 and "Aborted" in mended.stdout, mended.stderr
        last = hurt.history()[-1]
        assert (last["event"], last["why"]) == ("repair", "row 2 is from the backup") and last["numbers"]["accepted"]
        assert hurt.weight() == 0 and hurt.get()["phase"] == "Aborted"
        if concerns_all:  # the row after the missing one is the other model's
            assert rollout(whole, "repair", "whole").returncode == 0
        else:
            assert whole.get()["phase"] == "Progressing"
        assert serve.call("POST", "/api/v1/rollouts/hurt/repair", {}).status == 409  # nothing is damaged any more
        hurt.say("retry")
        hurt.reach("Progressing")
        serve.kill()
        serve.start()  # what was accepted stays so
        assert hurt.reach("Progressing")["attempt"] == 2
        assert serve.end() == 0
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "state.db")) as state:
            assert state.execute("UPDATE decision SET why = 'nothing' WHERE number = 1").rowcount == 1
            state.commit()
        serve.start()  # but not what is changed later
        assert serve.call("GET", "/api/v1/rollouts/hurt").status == 409
        assert serve.end() == 0
