"""Clocks that are set, and clocks that leap, under a whole serin serve: what a rollout, a route and a log make of it.

SPDX-License-Identifier: Apache-2.0

The wall's clock is set by hours, as NTP does it; both leap, as they do for a container that was paused. A process that
really stands still is stopped and let go on.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import threading

import pytest
from conftest import serin
from faults_fixture import needs_faults, serving_faulty
from serve_fixture import answer, until
from test_access import bearer, make_token
from test_rollout import STANDS, Rollouts, plan, step
from test_tls import Authority, ask, context_for, tls_options

HOUR = 3600
SET = (5 * HOUR, -3 * HOUR, 40 * 24 * HOUR, -400 * 24 * HOUR, 0)  # seconds ahead of the true time, one after another


def calm(models, found, before):
    """Nothing was decided, nobody failed, and the step has had no more time than it was watched."""
    assert (found["phase"], found["step"], found["decision"]) == (before["phase"], before["step"], before["decision"])
    assert found["t_s"] < before["t_s"] + 120
    for tag in ("v1", "v2"):
        counted = models.counters(tag)
        assert counted["failures"] == counted["errors"] == counted["timeouts"] == 0, (tag, counted)


def events_of(serve):
    """The lines of the events log."""
    return (serve.folder / "events").read_text()


@needs_faults
def test_the_wall_clock_is_set_in_mid_rollout(tmp_path):
    """By hours and by a year, to and fro: the step goes on as if nothing were, and all is on disk in its order."""
    with serving_faulty(tmp_path, "--drain-seconds", "2") as serve:
        models = Rollouts(serve, "street").two()
        models.start(plan(step(20, time="600s", max={"time": "30m"}), step(50)))
        before = models.reach("Progressing")
        with models.traffic() as traffic:
            for number, seconds in enumerate(SET):
                serve.faults.set_wall(seconds)
                traffic.more(200)
                calm(models, models.get(), before)
                models.say("pause", f"clock {number}")
                until(lambda: f"clock {number}" in events_of(serve), "a line in the log")  # who writes it waits by no wall
                models.say("resume")
                before = models.get()
            serve.faults.set_wall(-2 * HOUR)
            models.say("promote-full")
            serve.faults.set_wall(9 * HOUR)  # neither the analysis nor the time to undo
            traffic.more(200)
            assert models.get()["phase"] == "Promoted" and models.get()["undo_left_s"] > 3000
            models.say("undo")
        assert not traffic.errors and models.weight() == 0
        history = models.history()
        times = [decision["time_ms"] for decision in history]
        assert times != sorted(times)  # the clock's word is kept as it was given
        assert [decision["number"] for decision in history] == list(range(1, len(history) + 1))
        assert [decision["event"] for decision in history][-2:] == ["promote-full", "undo"]
        changes = [change["number"] for change in serve.api("GET", "changes")]
        assert changes == sorted(changes, reverse=True)
        found = serin("rollout", "replay", "street", "--data-dir", tmp_path / "data")
        assert found.returncode == 0, found.stdout
        serve.kill()
        serve.start()
        assert [decision["number"] for decision in models.history()] == [decision["number"] for decision in history]
        models.remove()


@needs_faults
def test_a_leap_of_all_clocks_is_no_time(tmp_path):
    """Two hours are gone in a moment: no step ends, no version is found guilty, and the time to undo is left."""
    with serving_faulty(tmp_path, "--drain-seconds", "2") as serve:
        models = Rollouts(serve, "street").two()
        models.start(plan(step(20, evidence=10, time="30m", max={"time": "1h"}), step(50)))
        models.reach("Progressing")
        with models.traffic() as traffic:
            for _ in range(3):
                before = models.get()
                serve.faults.leap(2 * HOUR)
                traffic.more(200)
                until(lambda: models.get()["t_s"] > before["t_s"] + 1, "a second that is watched")
                found = models.get()
                assert (found["phase"], found["decision"]) == ("Progressing", before["decision"]), found
                assert found["t_s"] < before["t_s"] + 120
            models.say("promote-full")
            serve.faults.leap(2 * HOUR)
            traffic.more(200)
            assert models.get()["phase"] == "Promoted"
            models.say("undo")
        assert not traffic.errors and not traffic.broken
        assert all(models.counters(tag)["errors"] == 0 for tag in ("v1", "v2"))
        assert [decision["event"] for decision in models.history()] == ["start", "ready", "promote-full", "undo"]
        models.remove()


@needs_faults
def test_a_program_that_stood_still_blames_no_version(tmp_path):
    """As docker pause leaves it: the answers lie there when it goes on, and the time of each is long over."""
    asked, said = threading.Semaphore(0), threading.Event()

    def slow(_):
        asked.release()
        said.wait(60)
        return answer()

    with serving_faulty(tmp_path, "--drain-seconds", "2", "--gateway-threads", "1") as serve:
        models = Rollouts(serve, "street").two()
        models.start(STANDS)
        models.reach("Progressing")
        models.say("promote-full")
        assert serve.client().predict("street").version == "v2"  # it has succeeded once, and may be asked by all at once
        models.canary.behave = slow
        found = []
        clients = [threading.Thread(target=lambda: found.append(serve.ask("POST", "/v1/predict/street", b"x")))
                   for _ in range(12)]  # more than the breaker lets fail
        for client in clients:
            client.start()
        for _ in clients:
            assert asked.acquire(timeout=60)
        os.kill(serve.process.pid, signal.SIGSTOP)
        said.set()  # they answer now
        serve.faults.leap(HOUR)
        os.kill(serve.process.pid, signal.SIGCONT)
        for client in clients:
            client.join(60)
        assert [(one.status, one.version) for one in found] == [(200, "v2")] * 12
        assert models.counters("v2")["timeouts"] == 0 and serve.versions("street")["v2"]["breaker"] == "closed"
        assert models.get()["phase"] == "Promoted"
        models.say("undo")
        models.remove()


@needs_faults
@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl program makes certificates here")
def test_tokens_stay_sessions_end_and_certificates_are_over(tmp_path):
    """A token has no end. A session ends an hour after its last call, whatever the wall says. A certificate is the wall's."""
    made = Authority(tmp_path, "root")
    made.server, made.client = made.sign("server"), made.sign("client")  # of two days
    context = context_for(made, made.client)

    def left():
        _, found = ask(serve.admin, context, "GET", "/metrics", headers=bearer(admin))
        return float(re.search(rb"^serin_certificate_left_seconds (\S+)$", found, re.MULTILINE)[1])

    with serving_faulty(tmp_path, *tls_options(made, "--set", f"tls_client_ca={made.root}")) as serve:
        admin = make_token(tmp_path, "ann", "--role", "admin")
        assert 0 < left() <= 2 * 24 * HOUR
        serve.faults.set_wall(3 * 24 * HOUR)
        with pytest.raises(OSError):  # the client's is over, too
            ask(serve.admin, context, "GET", "/api/v1/status")
        serve.faults.set_wall(0)
        assert left() > 0

    plain = tmp_path / "plain"
    plain.mkdir()
    with serving_faulty(plain) as serve:
        admin = make_token(plain, "ann", "--role", "admin")
        status = serve.call("POST", "/api/v1/login", {"token": admin})
        cookie = {"Cookie": status.headers["Set-Cookie"].split(";")[0]}
        for seconds in SET:
            serve.faults.set_wall(seconds)
            assert serve.call("GET", "/api/v1/status", headers=cookie).status == 200
            assert serve.call("GET", "/api/v1/status", headers=bearer(admin)).status == 200
        serve.faults.leap(2 * HOUR)
        assert serve.call("GET", "/api/v1/status", headers=cookie).status == 401
        assert serve.call("GET", "/api/v1/status", headers=bearer(admin)).status == 200


@needs_faults
def test_blocks_are_the_walls(tmp_path):
    """A camera's version is a matter of the wall's day alone, however often that was set."""
    with serving_faulty(tmp_path, "--drain-seconds", "2") as serve:
        models = Rollouts(serve, "street").two()
        models.start(plan(step(50, time="600s"), unit={"key": "X-Camera", "block": "1d"}))
        models.reach("Progressing")

        def by_camera():
            with contextlib.closing(serve.client()) as client:
                return [client.predict("street", headers={"X-Camera": f"c{i}"}).version for i in range(64)]

        serve.faults.set_wall(-12 * HOUR)  # a day may end while this runs, but not three of them
        days = {}
        for day in (0, 1, 0, -1, 1, 0, -1):
            serve.faults.set_wall(day * 24 * HOUR)
            assert days.setdefault(day, first := by_camera()) == first
        assert len({tuple(versions) for versions in days.values()}) == 3
        assert models.get()["phase"] == "Progressing"
        models.say("abort")
        models.remove()
