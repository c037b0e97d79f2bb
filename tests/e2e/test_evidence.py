"""What of the traffic reaches the judge: headers and hours as slices, copies that come to nothing, answers in tensors.

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import itertools
import json
import re
import threading
import zoneinfo

import pytest
from conftest import serin
from serve_fixture import DEADLINE_S, answer, until
from test_rollout import ERRORS, PERSON, models, plan, seen, serve, step  # noqa: F401: fixtures among them


def slices(models, metric="error_rate"):
    """Those that its guard has been judged by, with the canary's evidence."""
    return {guard["slice"]: guard["canary_count"] for guard in models.get()["guards"] if guard["metric"] == metric}


# ---- slices ----


def test_headers_are_slices(models):
    """Of answers and of labels that come later; a long value is cut."""
    lines = itertools.cycle(["a", "a", "b" * 100, "", "c"])
    models.two(lambda asked: seen(PERSON), lambda asked: seen(PERSON))
    of = [{**ERRORS, "slices": ["X-Line"]},
          {"metric": "missed", "required": False, "slices": ["X-Line", "X-Never-Sent"]}]
    models.start(plan(step(50, time="600s"), guards=of, slices=[{"X-Line": {"values": 8}}, "X-Never-Sent"]))
    ids = []
    with models.traffic(clients=1, headers=lambda: {"X-Line": next(lines)},
                        on_answer=lambda found: ids.append(found.headers["X-Request-Id"])) as traffic:
        models.reach("Progressing")
        wanted = {"", "X-Line=a", f"X-Line={'b' * 40}~100", "X-Line=c"}
        until(lambda: set(slices(models)) == wanted and min(slices(models).values()) > 5, "all values")
        client = models.serve.client()
        while not set(slices(models, "missed")) == wanted:
            until(lambda: ids, "an answer")
            assert client.ask("POST", f"/v1/feedback/{ids.pop()}", '{"boxes": []}').status == 202
            assert client.ask("POST", f"/v1/feedback/{ids.pop(0)}", json.dumps(
                {"boxes": [{"name": "person", "box": {"x1": 10, "y1": 10, "x2": 60, "y2": 110}}]})).status == 202
        client.close()
    assert not traffic.errors


def test_headers_are_told_after_a_restart(models):
    """The plan is read again from the disk, and the gateway told of it."""
    models.two()
    models.start(plan(step(50, time="600s"), guards=[{**ERRORS, "slices": ["X-Line"]}], slices=["X-Line"]))
    models.reach("Progressing")
    models.serve.kill()
    models.serve.start()
    until(lambda: models.serve.client().predict(models.name).status == 200, "its readiness")
    with models.traffic(headers=lambda: {"X-Line": "seven"}):
        until(lambda: slices(models).get("X-Line=seven"), "the slice")


def test_hours_are_those_of_the_plans_zone(models):
    def local_hour():
        return f"hour={datetime.datetime.now(zoneinfo.ZoneInfo('Asia/Kolkata')):%H}"

    models.two()
    models.start(plan(step(50, time="600s"), guards=[{**ERRORS, "slices": ["hour"]}], slices=["hour"],
                      zone="Asia/Kolkata"))
    hours = {local_hour()}
    with models.traffic():
        models.reach("Progressing")
        found = until(lambda: set(slices(models)) - {""}, "an hour")
    assert found <= hours | {local_hour()}


# ---- copies ----

MIRROR = {"mirror": "100%", "noise": "10%", "min": {"time": "0.2s"}}


def late(asked):
    threading.Event().wait(DEADLINE_S)


@pytest.mark.parametrize("behave", [
    lambda asked: answer(500), lambda asked: answer(404), lambda asked: answer(body=b'{"error": "I am sick"}'),
    lambda asked: None, late,
], ids=["error", "refusal", "garbage", "silence", "late"])
def test_a_version_that_fails_all_copies_gets_no_request(models, behave):
    models.two(lambda asked: seen(PERSON), behave)
    models.put(timeout_ms=1000)
    models.start(plan(MIRROR, step(50), guards=["mirror_error_rate"]))
    count = itertools.count()  # of cameras, of which each counts once a second
    with models.traffic(headers=lambda: {"X-Camera": f"c{next(count) % 50}"}) as traffic:
        found = models.reach("RolledBack")
    assert "mirror_error_rate rose: 100 % against stable's " in found["why"]
    assert [decision["event"] for decision in models.history()] == ["start", "ready", "harm"]
    assert set(traffic.by_version) == {"v1"} and not traffic.errors


def test_a_copy_that_lacks_a_credential_is_no_failure(models):
    models.two(lambda asked: seen(PERSON), lambda asked: answer(401))
    models.start(plan(MIRROR, step(50), guards=["mirror_error_rate"]))
    with models.traffic() as traffic:
        models.reach("Progressing")
        until(lambda: models.canary.count > 200, "copies")
        found = until(lambda: "begun" not in (now := models.get())["waiting"] and now, "a look of the judge")
    assert found["phase"] == "Progressing" and slices(models, "mirror_error_rate") == {"": 0}
    assert "no good answer of the canary has been seen" in found["judged"] and not traffic.errors
    assert re.search(r"; 0 of \d+ copies were answered, the last: status 401, and copies carry no credentials$", found["waiting"])


def test_failed_copies_are_shown_where_no_guard_is_on_them(models):
    models.two(lambda asked: seen(PERSON), lambda asked: answer(500))
    models.start(plan(MIRROR, step(50, time="600s"), guards=["golden_map"]))
    with models.traffic() as traffic:
        found = until(lambda: (now := models.get())["copies"]["failed"] > 50 and "begun" not in now["waiting"]
                      and now, "copies that fail")
        assert found["copies"]["answered"] == 0 and found["copies"]["failure"] == "status 500"
        assert re.match(r"no good answer of the canary has been seen in this step yet; 0 of \d+ copies were answered, "
                        r"the last: status 500$", found["waiting"]), found["waiting"]
        admin = ("--admin", f"127.0.0.1:{models.serve.admin}")
        assert re.search(r"\n  copies    0 of \d+ were answered in this step; the last that failed: status 500\n",
                         serin("rollout", "get", models.name, *admin).stdout)
        assert re.search(r" \d+ \(\d+ failed\) ", serin("status", *admin).stdout)
        models.canary.behave = lambda asked: seen(PERSON)  # it is mended
        models.reach("Progressing", 2)
    assert not traffic.errors


def test_a_mirror_step_of_tensors_ends(models):
    """There are no boxes to compare: that it answers is all that a copy can tell."""
    body = json.dumps({"model_name": models.name, "model_version": "1", "outputs": [
        {"name": "output0", "datatype": "FP32", "shape": [1], "data": [1]}]}).encode()
    models.two(lambda asked: answer(body=body), lambda asked: answer(body=body))
    models.start(plan(MIRROR, step(50, time="600s"), guards=["mirror_error_rate", "gained"]))
    client, count = models.serve.client(), itertools.count()

    def infer():  # from many cameras, of which each counts once a second
        headers = {"Content-Type": "application/json", "X-Camera": f"c{next(count) % 200}"}
        assert client.ask("POST", f"/v2/models/{models.name}/infer", b'{"inputs": []}', headers).status == 200
        return models.get()["step"] == 2

    until(infer, "step 2")
    client.close()
    assert slices(models, "gained") == {"": 0}
