"""serin serve looks after its replicas: who has not answered ready gets nothing, who stops answering is left out.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import signal
import subprocess
import threading

import pytest
from serve_fixture import Fake, Models, needs_workers, push_two, serving, until, with_workers

FAST = ("--set", "health_interval_ms=20", "--set", "health_timeout_ms=200", "--set", "url_wait_seconds=60")


@pytest.fixture
def serve(tmp_path):
    with serving(tmp_path, "--drain-seconds", "2", *FAST) as found:
        yield found


def deploying(serve, name, url):
    """A deploy in a thread of its own, and where its answer will be."""
    found = []
    thread = threading.Thread(target=lambda: found.append(
        serve.call("POST", "/api/v1/deploy", {"name": name, "url": url})))
    thread.start()
    return thread, found


def health(models, tag):
    return [replica["health"] for replica in models.serve.versions(models.name)[tag]["replicas"]]


def test_a_deploy_waits_for_a_server_that_is_not_ready(serve):
    fake = Fake()
    fake.well.clear()
    thread, found = deploying(serve, "m:a", fake.url)
    until(lambda: fake.checks > 1, "a check")
    # The second of a name is told; another name is not held up.
    again = serve.call("POST", "/api/v1/deploy", {"name": "m:a", "url": fake.url})
    assert again.status == 409 and "already" in again.json()["error"]
    other = Fake()
    serve.deploy("n:a", other.url, stable=True)
    assert serve.ask("POST", "/v1/predict/m").status == 404 and not found
    fake.well.set()
    thread.join()
    assert found[0].status == 200 and serve.client().predict("m").version == "a"
    other.stop()
    fake.stop()


def test_ctrl_c_at_a_deploy_says_that_the_server_goes_on(serve):
    fake = Fake()
    fake.well.clear()
    command = [os.environ["SERIN_BIN"], "deploy", "m:a", "--url", fake.url, "--admin", f"127.0.0.1:{serve.admin}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as deploy:
        until(lambda: fake.checks > 1, "a check")
        deploy.send_signal(signal.SIGINT)
        said = deploy.communicate(timeout=60)[1]
    assert deploy.returncode == -signal.SIGINT
    assert "the server goes on with what it was asked for; 'serin status'" in said
    fake.well.set()
    until(lambda: serve.api("GET", "routes"), "the version's route")
    fake.stop()


def test_a_deploy_of_a_dead_server_names_it(tmp_path):
    dead = Fake()
    dead.stop()
    with serving(tmp_path, *FAST[:-1], "url_wait_seconds=0.2") as serve:
        found = serve.call("POST", "/api/v1/deploy", {"name": "m:a", "url": dead.url})
        assert found.status == 409 and dead.url in found.json()["error"] and "refused" in found.json()["error"]
        assert serve.api("GET", "routes") == [] and serve.api("GET", "changes") == []
        assert serve.call("DELETE", "/api/v1/serving/m:a").status == 404


def test_who_stops_answering_is_left_out_and_comes_back(serve):
    models = Models(serve, "m")
    models.add("a", stable=True)
    canary = models.add("b")
    models.weights(a=0, b=1)
    canary.well.clear()
    until(lambda: health(models, "b") == ["down"], "the canary's fall")
    with contextlib.closing(serve.client()) as client:
        before = canary.count
        for _ in range(20):  # it would still answer: nobody asks it, and no client has waited for that
            found = client.predict("m")
            assert (found.status, found.version, found.fallback) == (200, "a", "b")
        assert canary.count == before
        assert 'serin_replicas_down{model="m",version="b"} 1\n' in serve.call("GET", "/metrics").body.decode()
        assert "400" in serve.versions("m")["b"]["replicas"][0]["why"] and serve.versions("m")["b"]["ready"] == 0
        canary.well.set()
        until(lambda: health(models, "b") == ["up"], "its rise")
        serve.deploy("m:b", canary.url)  # closes the breaker that the fallbacks had opened
        models.weights(a=0, b=1)
        assert client.predict("m").version == "b"
    models.weights(a=1, b=0)
    models.remove()


def test_stable_is_tried_although_its_checks_fail(serve):
    """Nobody stands behind it, and requests may go well where checks do not."""
    models = Models(serve, "m")
    stable = models.add("a", stable=True)
    assert serve.ask("GET", "/v2/health/ready").status == 200
    stable.well.clear()
    until(lambda: health(models, "a") == ["down"], "its fall")
    until(lambda: serve.ask("GET", "/v2/health/ready").status == 503, "the gateway's own answer")
    assert serve.client().predict("m").status == 200
    stable.well.set()
    until(lambda: serve.ask("GET", "/v2/health/ready").status == 200, "its rise")
    models.remove()


def test_a_server_that_is_down_at_the_start_does_not_hold_it_up(serve):
    models = Models(serve, "m")
    stable = models.add("a", stable=True)
    stable.stop()
    assert serve.end() == 0
    serve.start()
    assert health(models, "a") == ["unknown"] and "refused" in serve.versions("m")["a"]["replicas"][0]["why"]
    assert serve.client().predict("m").status == 503


@needs_workers
def test_a_worker_that_hangs_is_killed_and_started_again(tmp_path):
    """One that has stopped does not crash, so nothing but its silence tells."""
    (tmp_path / "store").mkdir()
    options = ("--set", "health_interval_ms=20", "--set", "health_timeout_ms=1000", "--set", "health_restart_seconds=1")
    with with_workers(push_two(tmp_path / "store"), tmp_path, *options) as serve:
        serve.deploy("tiny:v1", stable=True)
        before = serve.versions("tiny")["v1"]["replicas"][0]
        assert (before["restarts"], before["health"]) == (0, "up")
        os.kill(before["pid"], signal.SIGSTOP)

        def back():
            now = serve.versions("tiny")["v1"]["replicas"][0]
            return now if now["restarts"] >= 1 and now["state"] == "ready" else None

        now = until(back, "another process")
        assert now["pid"] not in (0, before["pid"]) and now["health"] == "up"
        until(lambda: "was killed: it no longer answered its health checks" in (serve.folder / "events").read_text(),
              "a line in the log")


def test_somebodys_server_is_never_killed(tmp_path):
    """It is down for longer than a worker may be, and goes on being asked."""
    with serving(tmp_path, *FAST, "--set", "health_restart_seconds=0.05") as serve:
        models = Models(serve, "m")
        stable = models.add("a", stable=True)
        stable.well.clear()
        until(lambda: health(models, "a") == ["down"], "its fall")
        checks = stable.checks
        until(lambda: stable.checks > checks + 10, "more checks")
        assert serve.versions("m")["a"]["replicas"][0]["restarts"] == 0
        stable.well.set()
        until(lambda: health(models, "a") == ["up"], "its rise")
        models.remove()


@pytest.mark.parametrize("behind", ["/prefix", "/?a=b", "#part", "?a=b", "//"])
def test_an_url_with_more_than_a_host_is_refused(serve, behind):
    fake = Fake()
    found = serve.call("POST", "/api/v1/deploy", {"name": "m:a", "url": fake.url + behind})
    assert found.status == 400 and f"'{behind}' behind its host and port" in found.json()["error"]
    fake.stop()
