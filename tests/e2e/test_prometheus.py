"""deploy/ against the real thing: Debian's Prometheus scrapes a release that is being judged.

SPDX-License-Identifier: Apache-2.0
"""
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.parse

import pytest
import yaml
from conftest import BIN, ROOT, serin
from serve_fixture import DEADLINE_S, Client, needs_workers, serving, until

DEPLOY = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "serin.json"
FOOTAGE = ROOT / "examples" / "footage"
MODEL = "street-person"

# Stands in its first step, in which there is everything to see: both arms, copies, labels, guards and slices.
PLAN = {"slices": [{"light": {"values": 3}}],
        "guards": [{"metric": "missed", "margin": .1}, {"metric": "error_rate", "margin": 2},
                   {"metric": "latency_p50", "margin": 5}, {"metric": "lost", "margin": .5, "action": "note"}],
        "steps": [{"weight": "40%", "mirror": "40%", "min": {"time": "1h"}}, {"weight": "100%"}],
        "after": {"analysis": "60s", "undo": "1h"}}


def program(name):
    """Where continuous integration runs, Prometheus must be there."""
    found = shutil.which(name)
    if not found and not os.environ.get("SERIN_GARDEN"):
        pytest.skip(f"{name} is not installed: tools/setup.sh test, or Debian's package prometheus")
    assert found, f"{name} is not installed"
    return found


def promtool(*words):
    found = subprocess.run([program("promtool"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False)
    assert found.returncode == 0, found.stdout
    return found.stdout


# ---- the files ----

def rules():
    return {rule["alert"]: rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
            for rule in group["rules"]}


def test_each_alert_fires_and_does_not():
    promtool("check", "config", str(DEPLOY / "prometheus.yml"))
    promtool("test", "rules", str(DEPLOY / "alerts_test.yml"))
    tests = [one for test in yaml.safe_load((DEPLOY / "alerts_test.yml").read_text())["tests"]
             for one in test["alert_rule_test"]]
    for name, rule in rules().items():
        expected = [one["exp_alerts"] for one in tests if one["alertname"] == name]
        assert any(expected) and not all(expected), f"{name} must be seen to fire, and not to"
        assert rule["labels"]["severity"] in ("page", "look") and len(rule["annotations"]["summary"]) > 30


def metrics_in(expression):
    return set(re.findall(r"\b((?:serin|process)_[a-z_]+)", expression))


def queries():
    """Of each panel of the dashboard, as Grafana would send them with all models chosen."""
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    assert len(panels) > 25 and len({panel["id"] for panel in panels}) == len(panels)
    return [(panel["title"], target["expr"].replace("$model", ".*").replace("$__rate_interval", "20s"))
            for panel in panels for target in panel["targets"]]


def test_what_is_asked_for_is_told():
    """No rule and no panel asks for a name that the program has not."""
    told = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "monitoring.md").read_text(), re.MULTILINE))
    for says in [rule["expr"] for rule in rules().values()] + [query for _, query in queries()]:
        names = {re.sub("_(bucket|sum|count)$", "", name) if name not in told else name for name in metrics_in(says)}
        assert names <= told, names - told


# ---- a release ----

class Prometheus:
    """With the configuration of deploy/, but for the address and the pace."""

    def __init__(self, folder, admin):
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(DEPLOY / "alerts.yml")]
        assert [one["job_name"] for one in config["scrape_configs"]] == ["serin"]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{admin}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(folder / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log)

    def get(self, path, **query):
        try:
            client = Client(self.port)
            found = client.ask("GET", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")
        except OSError:
            assert self.process.poll() is None
            return None
        finally:
            client.close()
        assert found.status == 200, found.body
        return found.json()["data"]

    def query(self, expression):
        found = self.get("query", query=expression)
        return [(one["metric"], float(one["value"][1])) for one in found["result"]] if found else []

    def one(self, expression):
        """The value of the one series; None where there is none yet."""
        found = self.query(expression)
        assert len(found) < 2, found
        return found[0][1] if found else None

    def end(self):
        self.process.terminate()
        assert self.process.wait(DEADLINE_S) == 0


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The program, with a rollout in its first step, footage that plays, labels that come; and Prometheus."""
    folder = tmp_path_factory.mktemp("release")
    program("prometheus")
    for tag in ("v1.0.0", "v1.1.0"):
        found = serin("push", f"{MODEL}:{tag}", "--model", ROOT / "examples" / "models" / MODEL / f"{tag}.onnx",
                      "--data-dir", folder / "data")
        assert found.returncode == 0, found.stderr
    (folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    with serving(folder, "--worker-threads", "1", "--gateway-threads", "2") as serve:
        serve.deploy(f"{MODEL}:v1.0.0", stable=True)
        with open(folder / "stream.json", "wb") as out:
            stream = subprocess.Popen(
                [BIN, "stream", "--to", f"http://127.0.0.1:{serve.port}", "--model", MODEL, "--dir", FOOTAGE / "images/day",
                 "--cameras", "4", "--fps", "3", "--loop", "--labels", "auto", "--data", FOOTAGE / "data.yaml",
                 "--label-share", ".5", "--label-delay", ".5", "--json"], stdout=out)
        prometheus = None
        try:
            found = serin("rollout", "start", f"{MODEL}:v1.1.0", "--plan", folder / "plan.yaml", "--admin",
                          f"127.0.0.1:{serve.admin}")
            assert found.returncode == 0, found.stderr
            prometheus = Prometheus(folder, serve.admin)
            yield serve, prometheus, stream
            prometheus.end()
        finally:
            for process in (stream, prometheus and prometheus.process):
                if process and process.poll() is None:
                    process.kill()
                    process.wait(DEADLINE_S)


def rollout_of(serve):
    return json.loads(serin("rollout", "get", MODEL, "-o", "json", "--admin", f"127.0.0.1:{serve.admin}").stdout)


@needs_workers
def test_no_panel_is_empty(release):
    """Each query of the dashboard gives numbers while a release is judged."""
    serve, prometheus, _ = release
    until(lambda: any(one["metric"] == "missed" and one["canary_count"] for one in rollout_of(serve)["guards"]),
          "labels are judged", 120)

    def empty():
        return [title for title, query in queries()
                if not any(math.isfinite(value) for _, value in prometheus.query(query))]
    until(lambda: not empty(), "all panels have numbers", 120)
    loud = {metric["alertname"] for metric, _ in prometheus.query('ALERTS{alertstate="firing",severity="page"}')}
    assert not loud


@needs_workers
def test_numbers_are_those_of_the_program(release):
    """Step, shares, evidence: what Prometheus has is what `serin rollout get` says."""
    serve, prometheus, stream = release
    stream.send_signal(signal.SIGINT)  # then the numbers stand still
    assert stream.wait(DEADLINE_S) == 0
    at = f'{{model="{MODEL}",version="v1.1.0"}}'

    def still():
        rollout = rollout_of(serve)
        pairs = [(prometheus.one(f"serin_rollout_step{at}"), rollout["step"]),
                 (prometheus.one(f"serin_rollout_share{at}"), rollout["share_percent"] / 100),
                 (prometheus.one(f"serin_rollout_alpha_spent{at}"), rollout["alpha_spent"]),
                 (prometheus.one(f'serin_rollout_phase{{phase="{rollout["phase"]}"}}'), 1)]
        whole = [guard for guard in rollout["guards"] if not guard["slice"]]
        assert len(whole) == 4
        for guard in whole:
            name = f'{{guard="{guard["guard"]}"}}'
            for told, says in (("log_e_harm", "log_e_harm"), ("log_e_no_harm", "log_e_no_harm"), ("estimate", "estimate"),
                               ("units", "canary_count"), ("margin", "margin")):
                if guard[says] is not None:
                    pairs.append((prometheus.one(f"serin_guard_{told}{name}"), guard[says]))
        return all(told is not None and told == pytest.approx(says, rel=1e-6, abs=1e-9) for told, says in pairs) and pairs
    pairs = until(still, "Prometheus and the program say the same", 60)
    assert len(pairs) > 15
    assert any(told > .01 for told, _ in pairs[4:])

    weights = {version["tag"]: version["weight"] for version in serve.versions(MODEL).values()}
    for tag, weight in weights.items():
        assert prometheus.one(f'serin_route_share{{version="{tag}"}}') == pytest.approx(weight / sum(weights.values()))
        counters = serve.counters(MODEL, tag)
        assert prometheus.one(f'serin_requests_total{{version="{tag}"}}') == counters["requests"] > 0
        assert prometheus.one(f'sum(serin_answers_total{{version="{tag}"}})') == counters["requests"]
        assert prometheus.one(f'serin_detections_total{{version="{tag}"}}') > 0
