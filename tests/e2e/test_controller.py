"""A rollout over the ends of its program: taken over, killed, and judged again from what it left on disk.

SPDX-License-Identifier: Apache-2.0
"""
import json

from conftest import serin
from serve_fixture import Models, answer, serving, until
from test_takeover import Load

BOX = {"name": "person", "class": 0, "confidence": .9, "box": {"x1": 1, "y1": 1, "x2": 9, "y2": 9}}
BODY = json.dumps({"images": [{"shape": [10, 10], "results": [BOX], "light": .5}]}).encode()
PLAN = """
slices: []
guards: [{metric: error_rate, margin: 0.5, required: false}]
steps:
  - {weight: 50%%, min: {evidence: %d, time: 0s}}
  - {weight: 100%%}
after: {analysis: 1h, undo: 1h}
"""


def begin(serve, evidence, bodies=(BODY, BODY)):
    """A rollout of m from v1 to v2, that has a step of 50 %."""
    models = Models(serve, "m")
    fakes = [models.add(tag, lambda asked, body=body: answer(body=body), stable=tag == "v1")
             for tag, body in zip(("v1", "v2"), bodies)]
    serve.api("POST", "rollouts", {"name": "m:v2", "plan": PLAN % evidence})
    until(lambda: get(serve)["phase"] == "Progressing", "the first step")
    return models, fakes


def get(serve):
    """The rollout, once this process has it in its hands."""
    until(lambda: serve.call("GET", "/api/v1/rollouts/m").status == 200, "the rollout")
    return serve.api("GET", "rollouts/m")


def replay(tmp_path, *more):
    return serin("rollout", "replay", "m", "--data-dir", tmp_path / "data", *more)


def end(serve, models):
    serve.api("POST", "rollouts/m/abort", {"why": "the test is over"})
    models.remove()


def test_a_takeover_in_mid_rollout_stays_in_the_step(tmp_path):
    with serving(tmp_path, "--drain-seconds", "20") as serve:
        models, (_, canary) = begin(serve, 10**9)
        before = get(serve)
        with Load(serve, "m", 4) as load:
            for _ in range(3):
                load.more()
                routes = serve.api("GET", "routes")
                serve.take_over()
                after = get(serve)
                assert serve.api("GET", "routes") == routes
                assert [after[key] for key in ("phase", "step", "decision", "attempt", "share_percent")] == \
                       [before[key] for key in ("phase", "step", "decision", "attempt", "share_percent")]
                count = canary.count
                until(lambda: canary.count > count + 5, "requests of the canary")
        assert not load.lost
        assert len(serve.api("GET", "rollouts/m/history")) == 2
        end(serve, models)
        found = replay(tmp_path)
        assert found.returncode == 0, found.stdout


def test_a_kill_in_mid_rollout_stays_in_the_step(tmp_path):
    with serving(tmp_path) as serve:
        models, (_, canary) = begin(serve, 10**9)
        for _ in range(3):
            before = get(serve)
            for _ in range(40):
                assert serve.client().predict("m").status == 200
            serve.kill()
            serve.start()
            until(lambda: serve.client().predict("m").status == 200, "its readiness")
            after = get(serve)
            assert (after["phase"], after["step"], after["decision"]) == ("Progressing", 1, before["decision"])
            count = canary.count
            until(lambda: serve.client().predict("m").status == 200 and canary.count > count, "the canary")
        end(serve, models)
        found = replay(tmp_path)
        assert found.returncode == 0, found.stdout


def test_what_a_version_tells_absurdly_can_be_read_after_a_kill(tmp_path):
    """Scores in percent, and a time that nothing takes, made a line that no later start could read."""
    picture = {"shape": [10, 10], "results": [{**BOX, "confidence": 87}], "speed": {"inference": 1e12}, "queue_ms": 1e300}
    with serving(tmp_path) as serve:
        models, (_, canary) = begin(serve, 10**9, (BODY, json.dumps({"images": [picture]}).encode()))
        file, = (tmp_path / "data" / "rollouts").glob("m-*/1.ndjson")
        until(lambda: serve.client().predict("m").status == 200 and b'"canary","share":0.5,"status":200' in file.read_bytes(),
              "a record of the canary")
        serve.kill()
        serve.start()
        after = get(serve)
        assert (after["phase"], after["step"]) == ("Progressing", 1)
        count = canary.count
        until(lambda: serve.client().predict("m").status == 200 and canary.count > count, "the canary again")
        end(serve, models)
        found = replay(tmp_path)
        assert found.returncode == 0, found.stdout


def test_replay_tells_what_was_changed(tmp_path):
    with serving(tmp_path) as serve:
        models, _ = begin(serve, 30)
        with Load(serve, "m", 2):
            until(lambda: get(serve)["phase"] != "Progressing", "the end of the step")
            assert (ended := until(lambda: (now := get(serve))["phase"] != "Pending" and now, "what it leads to"))[
                "phase"] == "Promoted", ended
        found = replay(tmp_path)  # while it serves
        assert found.returncode == 0, found.stdout
        assert "proven" in found.stdout and "by judge" in found.stdout
        other = tmp_path / "other.yaml"
        other.write_text(PLAN % 10**9)
        found = replay(tmp_path, "--plan", other)
        assert found.returncode == 0 and "passes the step" not in found.stdout.split("step 2 begins")[0]
        serve.api("POST", "rollouts/m/undo", {})
        models.remove()
    assert replay(tmp_path).returncode == 0  # and when it does not
    file, = (tmp_path / "data" / "rollouts").glob("m-*/1.ndjson")
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"arm":"stable"', b'"arm":"canary"', 1))
    found = replay(tmp_path)
    assert found.returncode == 1 and "not those that it was taken from" in found.stdout
    file.write_bytes(whole[:len(whole) // 4])
    found = replay(tmp_path)
    assert found.returncode == 1 and "records, " in found.stdout
    file.write_bytes(whole)
    assert replay(tmp_path).returncode == 0
    found = serin("rollout", "replay", "nobody", "--data-dir", tmp_path / "data")
    assert found.returncode == 1 and "no rollout 'nobody'" in found.stderr
