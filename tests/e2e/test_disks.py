"""Disks that are full, read-only, slow or gone while a rollout runs: traffic goes on, the way back is open, people are told.

SPDX-License-Identifier: Apache-2.0

And kill -9 before every single change of a file: what comes back is what the log of decisions says.
"""
import contextlib
import errno
import http.client
import os
import re
import shutil
import threading

import pytest
from conftest import serin
from faults_fixture import FaultyServe, needs_faults, serving_faulty
from serve_fixture import until
from test_rollout import STANDS, Rollouts, plan, step, wished

SOAK = bool(os.environ.get("SERIN_SOAK"))
pytestmark = needs_faults


def metric(serve, name):
    return float(re.search(rf"^{name} (\S+)$", serve.call("GET", "/metrics").body.decode(), re.MULTILINE)[1])


def only_stable(serve, model, count=50):
    with contextlib.closing(serve.client()) as client:
        return {client.predict(model).version for _ in range(count)} == {"v1"}


@pytest.mark.parametrize("fault", (errno.ENOSPC, errno.EROFS), ids=("full", "read-only"))
def test_nothing_can_be_written(tmp_path, fault):
    """No step forward, every way back; and it is stored once it can be."""
    with serving_faulty(tmp_path, "--drain-seconds", "2") as serve:
        both = [Rollouts(serve, name).two() for name in ("climbs", "aborted")]
        for models in both:
            models.start(plan(step(20, time="0s"), step(50)) if models.name == "climbs" else STANDS)
        climbs, aborted = both
        aborted.reach("Progressing")
        climbs.reach("Progressing")
        with climbs.traffic() as traffic, aborted.traffic() as other:
            serve.faults.disk_errno = fault
            until(lambda: "be written" in climbs.get()["waiting"], "what it waits for")
            decisions = climbs.get()["decision"]
            said = serve.call("POST", "/api/v1/rollouts/aborted/abort", {"why": "a full disk"})
            assert said.status == 500 and "stable has taken over" in said.json()["error"], said.body
            assert only_stable(serve, "aborted")
            assert metric(serve, "serin_unstored_models") == 1
            traffic.more(200)
            other.more(200)
            assert climbs.get()["decision"] == decisions  # no step forward
            assert serve.call("POST", "/api/v1/rollouts", {"name": "aborted:v2", "plan": ""}).status >= 409
            until(lambda: "stable takes over at once" in (tmp_path / "events").read_text(), "a line in the log")
            serve.faults.disk_errno = 0
            aborted.reach("Aborted")
            climbs.reach("Promoted")
        assert not traffic.errors and not other.errors and metric(serve, "serin_unstored_models") == 0
        assert [one["event"] for one in aborted.history()] == ["start", "ready", "abort"]
        assert len((tmp_path / "events").read_text().splitlines()) < 60  # what is tried again is not told again
        serve.kill()
        serve.start()
        until(lambda: serve.versions("aborted")["v1"]["ready"], "stable")
        assert aborted.get()["phase"] == "Aborted" and aborted.weight() == 0 and climbs.weight() == 1
        climbs.say("undo")
        for models in both:
            models.remove()


def test_a_slow_disk_holds_no_way_back(tmp_path):
    """Each sync takes seconds: before the first has ended stable has everything."""
    with serving_faulty(tmp_path, "--drain-seconds", "2") as serve:
        models = Rollouts(serve, "street").two()
        models.start(STANDS)
        models.reach("Progressing")
        with models.traffic() as traffic:
            traffic.more(50)
            serve.faults.sync_ms = 2500
            before, said = serve.faults.syncs, []
            person = threading.Thread(target=lambda: said.append(serve.call("POST", "/api/v1/rollouts/street/abort", {})))
            person.start()
            until(lambda: serve.faults.syncs > before, "the first sync")
            assert only_stable(serve, "street") and not said
            person.join(60)
            assert said[0].status == 200 and said[0].json()["phase"] == "Aborted"
            serve.faults.sync_ms = 0
        assert not traffic.errors
        until(lambda: "the disk is slow" in (tmp_path / "events").read_text(), "a line in the log")
        models.remove()


def test_the_data_folder_is_deleted(tmp_path):
    """What is open is written as ever, and lost. So it is said, no rollout goes forward on it, and the way back is open."""
    with serving_faulty(tmp_path, "--drain-seconds", "2") as serve:
        models = Rollouts(serve, "street").two()
        models.start(STANDS)
        models.reach("Progressing")
        with models.traffic() as traffic:
            traffic.more(50)
            shutil.rmtree(tmp_path / "data")
            refused = serve.call("POST", "/api/v1/rollouts/street/promote", {})
            assert refused.status == 500 and "deleted or replaced" in refused.json()["error"], refused.body
            assert models.get()["phase"] == "Progressing"
            until(lambda: "state.db was deleted or replaced" in (tmp_path / "events").read_text(), "a line in the log")
            assert metric(serve, "serin_unstored_models") == 1
            told = serin("status", "--admin", f"127.0.0.1:{serve.admin}").stdout
            assert "! street: the state file was deleted or replaced" in told
            said = serve.call("POST", "/api/v1/rollouts/street/abort", {})
            assert said.status == 500 and "stable has taken over" in said.json()["error"], said.body
            assert only_stable(serve, "street")
            traffic.more(200)
        assert not traffic.errors
        for fake in models.fakes:
            fake.stop()


# ---- kill -9 ----

def test_a_kill_before_every_change_of_a_file(tmp_path):
    """The way of a step, killed at each of its writes in turn: then the route is what the last decision on disk asks for."""
    shares = [.2, .5, 1]
    of = plan(step(20, evidence=5, time="0s"), step(50, evidence=5, time="0s"), after={"analysis": "0s", "undo": "1h"})
    kills, by_hand = 200 if SOAK else 60, 0
    serve = FaultyServe(tmp_path, "--drain-seconds", "2")
    models = Rollouts(serve, "street")

    def goes_on(traffic):
        nonlocal by_hand
        with contextlib.suppress(OSError, http.client.HTTPException):  # it is killed while it is asked
            if models.get()["ended"]:
                models.start(of)
            elif models.get()["phase"] == "Promoted":
                models.say("undo")
                by_hand += 1
        return traffic.broken

    try:
        serve.start()
        models.two().start(of)
        for kill in range(kills):
            with models.traffic(clients=1) as traffic:
                serve.faults.disk_calls = 0
                serve.faults.kill_at = 1 + kill % 30  # each place of a step, and of what follows on it
                until(lambda: goes_on(traffic), "the kill")
            assert not traffic.errors and serve.faults.disk_calls == serve.faults.kill_at
            serve.process.wait(60)
            serve.faults.kill_at = 0
            serve.process.stdout.close()
            serve.start()
            after = models.history()
            weight = models.weight()
            states = [decision["state"] for decision in models.history()[len(after) - 1:]]  # it may be a step further by now
            assert any(weight == pytest.approx(wished(state, shares)) for state in states), (kill, weight, states)
        assert by_hand > 0
        found = serin("rollout", "replay", "street", "--data-dir", tmp_path / "data")
        assert found.returncode == 0, found.stdout
        assert serve.end() == 0 and (tmp_path / "stderr").read_text() == ""
    finally:
        serve.kill()
        for fake in models.fakes:
            fake.stop()
