"""Whose a route is: a rollout's while it lasts, and people's after it; and the way back is open always.

SPDX-License-Identifier: Apache-2.0
"""
from serve_fixture import Models, serving, until
from test_takeover import knock

PLAN = "steps: [{weight: 50%}, {weight: 100%}]\n"


def begin(serve):
    """A rollout of m from a to b, at half of the requests."""
    models = Models(serve, "m")
    fakes = [models.add("v1", stable=True), models.add("v2")]
    serve.api("POST", "rollouts", {"name": "m:v2", "plan": PLAN})
    until(lambda: weights(serve)["v2"] > 0, "the first step")
    return models, fakes


def weights(serve):
    return {version["tag"]: version["weight"] for version in serve.api("GET", "routes/m")["versions"]}


def test_a_restart_takes_back_nothing_that_people_did_after_the_rollout(tmp_path):
    with serving(tmp_path) as serve:
        models, fakes = begin(serve)
        serve.api("POST", "rollouts/m/abort", {"why": "a test"})
        assert weights(serve)["v2"] == 0
        models.weights(v1=30, v2=70)
        serve.kill()
        serve.start()
        until(lambda: serve.client().predict("m").status == 200, "its readiness")
        assert serve.api("GET", "rollouts")  # they are taken up
        assert weights(serve) == {"v1": 30, "v2": 70}
        models.remove()


def test_a_rollout_goes_back_while_another_process_takes_over(tmp_path):
    with serving(tmp_path, "--set", "health_interval_ms=20") as serve:
        models, fakes = begin(serve)
        fakes[1].deaf.set()
        heir, elder = knock(serve), serve.process
        serve.api("POST", "rollouts/m/abort", {"why": "a test"})
        assert weights(serve)["v2"] == 0
        assert all(serve.client().predict("m").headers["X-Serin-Version"] == "v1" for _ in range(20))
        fakes[1].deaf.clear()
        serve.process = heir
        assert serve.wait_for(heir) == (serve.port, serve.admin)
        assert elder.wait(60) == 0
        elder.stdout.close()
        until(lambda: serve.call("GET", "/api/v1/rollouts").status == 200, "the rollouts in its hands")
        assert weights(serve)["v2"] == 0
        assert all(serve.client().predict("m").headers["X-Serin-Version"] == "v1" for _ in range(20))
        models.remove()
