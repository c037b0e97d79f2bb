"""What the program tells of itself: metrics.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shutil
import subprocess
import threading

import pytest
from conftest import PICTURES, ROOT
from serve_fixture import Fake, Models, answer, needs_workers, push_two, serving, until, with_workers

PICTURE = (PICTURES / "shapes-97x211.jpg").read_bytes()


def program(name):
    """The path of one of Prometheus' programs; where continuous integration runs, it must be there."""
    found = shutil.which(name)
    if not found and not os.environ.get("SERIN_GARDEN"):
        pytest.skip(f"{name} is not installed: tools/setup.sh test, or Debian's package prometheus")
    assert found, f"{name} is not installed"
    return found


class Page:
    """A scrape, read strictly: each series once, behind its HELP and TYPE, and its metric's series side by side."""

    def __init__(self, text):
        self.text, self.help, self.kind, self.series = text, {}, {}, {}
        name = None
        for line in text.removesuffix("\n").split("\n"):
            if line.startswith("# HELP "):
                name, says = line[7:].split(" ", 1)
                assert name not in self.help, line
                self.help[name] = says
            elif line.startswith("# TYPE "):
                assert line.split()[2] == name and name not in self.kind, line
                self.kind[name] = line.split()[3]
            else:
                found = re.fullmatch(r"([a-z_]+)(?:\{([^{}]*)\})? (NaN|[+-]Inf|-?[0-9.e+-]+)", line)
                assert found, line
                of = re.sub("_(bucket|sum|count)$", "", found[1]) if self.kind[name] == "histogram" else found[1]
                assert of == name, (line, name)
                labels = found[2] or ""
                assert re.sub(r'(^|,)[a-z]+="(?:[^"\\]|\\.)*"', "", labels) == "", line
                key = (found[1], frozenset(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', labels)))
                assert key not in self.series, line
                self.series[key] = float(found[3])

    def get(self, name, **labels):
        return self.series.get((name, frozenset(labels.items())))

    def of(self, name, **labels):
        """Series of that name with these labels and others."""
        return {key: value for key, value in self.series.items()
                if key[0] == name and frozenset(labels.items()) <= key[1]}


def scrape(serve):
    found = serve.call("GET", "/metrics")
    assert found.status == 200 and found.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Page(found.body.decode())


def ask(serve, model, count, status=200):
    client = serve.client()
    for _ in range(count):
        assert client.predict(model).status == status
    client.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture
def models(serve, request):
    made = Models(serve, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-"))
    yield made
    made.remove()


def test_promtool_finds_nothing(serve, models):
    models.add("a", stable=True)
    ask(serve, models.name, 3)
    found = subprocess.run([program("promtool"), "check", "metrics"], input=serve.call("GET", "/metrics").body,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert (found.returncode, found.stdout) == (0, b"")


def test_requests_by_status_and_fallback(serve, models):
    """Each request is in exactly one series, that of the version it was assigned to."""
    hold, held = threading.Event(), threading.Event()

    def a(asked):
        if asked.body == b"held":
            held.set()
            hold.wait(30)
        return answer(400 if asked.body == b"bad" else 200)

    models.add("a", a, stable=True)
    models.add("b", lambda asked: answer(500))
    name = models.name
    ask(serve, name, 4)
    assert serve.client().predict(name, b"bad").status == 400
    models.weights(a=0, b=1)
    ask(serve, name, 3)  # b fails, a answers
    models.weights(a=1, b=0)
    page = scrape(serve)
    told = {(dict(key)["version"], dict(key)["status"], dict(key)["fallback"]): value
            for (_, key), value in page.of("serin_answers_total", model=name).items() if value}
    assert told == {("a", "2xx", "no"): 4, ("a", "4xx", "no"): 1, ("b", "2xx", "yes"): 3}
    for tag, count in (("a", 5), ("b", 3)):
        assert page.get("serin_requests_total", model=name, version=tag) == count
        assert page.get("serin_requests_in_flight", model=name, version=tag) == 0
        assert len(page.of("serin_answers_total", model=name, version=tag)) == 10
    assert page.get("serin_request_duration_seconds_count", model=name, version="a") == 8
    assert page.get("serin_route_weight", model=name, version="a") == 1
    assert page.get("serin_route_share", model=name, version="b") == 0
    assert page.get("serin_route_stable", model=name, version="a") == 1

    # One whose client goes away.
    client = serve.client()
    client.connection.request("POST", f"/v1/predict/{name}", b"held", {"Content-Type": "image/jpeg"})
    assert held.wait(60)
    assert scrape(serve).get("serin_requests_in_flight", model=name, version="a") == 1
    client.close()
    until(lambda: scrape(serve).get("serin_answers_total", model=name, version="a", status="gone", fallback="no") == 1,
          "a client that has gone is counted")
    assert scrape(serve).get("serin_requests_in_flight", model=name, version="a") == 0
    hold.set()


def test_what_workers_tell(serve, models):
    """Stages and counts from the answer's head; a server that tells nothing has no such series."""
    told = b"Server-Timing: decode;dur=1.5, queue;dur=0, inference;dur=30, post;dur=0.1\r\n" \
           b"X-Serin-Work: pictures=2, batch=4, detections=7\r\n"
    models.add("a", lambda asked: answer(extra=told), stable=True)
    models.add("b")
    name = models.name
    ask(serve, name, 5)
    page = scrape(serve)
    at = {"model": name, "version": "a"}
    assert page.get("serin_pictures_total", **at) == 10 and page.get("serin_detections_total", **at) == 35
    assert page.get("serin_stage_duration_seconds_sum", stage="inference", **at) == pytest.approx(.15)
    assert page.get("serin_stage_duration_seconds_bucket", stage="decode", le="0.001", **at) == 0
    assert page.get("serin_stage_duration_seconds_bucket", stage="decode", le="0.002", **at) == 5
    assert page.get("serin_stage_duration_seconds_count", stage="post", **at) == 5
    assert page.get("serin_batch_size_bucket", le="2", **at) == 0
    assert page.get("serin_batch_size_bucket", le="4", **at) == 5
    assert page.get("serin_batch_size_sum", **at) == 20
    assert not page.of("serin_stage_duration_seconds_count", model=name, version="b")
    counts = [value for key, value in sorted(page.of("serin_latency_seconds_bucket", **at).items(),
                                             key=lambda one: float(dict(one[0][1])["le"].replace("+Inf", "inf")))]
    assert counts == sorted(counts) and counts[-1] == 5


@needs_workers
def test_a_worker_of_our_own(tmp_path_factory):
    pushed = push_two(tmp_path_factory.mktemp("pushed"))
    with with_workers(pushed, tmp_path_factory.mktemp("serve")) as serve:
        serve.deploy("tiny:v1", stable=True)
        at = {"model": "tiny", "version": "v1"}
        assert scrape(serve).get("serin_stage_duration_seconds_count", stage="decode", **at) == 0  # from the beginning
        client = serve.client()
        boxes = sum(len(image["results"]) for _ in range(4) for image in client.predict("tiny", PICTURE).json()["images"])
        client.close()
        page = scrape(serve)
        assert page.get("serin_pictures_total", **at) == 4 and page.get("serin_detections_total", **at) == boxes
        assert page.get("serin_batch_size_count", **at) == 4 == page.get("serin_batch_size_sum", **at)
        for stage in ("decode", "queue", "inference", "post"):
            assert page.get("serin_stage_duration_seconds_count", stage=stage, **at) == 4
        stages = sum(page.of("serin_stage_duration_seconds_sum", **at).values())
        assert 0 < stages < page.get("serin_latency_seconds_sum", **at) \
            < page.get("serin_request_duration_seconds_sum", **at)
        replica = dict(at, replica="0")
        assert page.get("serin_replica_up", **replica) == 1
        assert page.get("serin_replica_resident_bytes", **replica) > 1e6
        assert page.get("serin_replica_cpu_seconds_total", **replica) > 0
        assert page.get("serin_memory_limit_bytes", **at) == serve.versions("tiny")["v1"]["memory_limit_bytes"]


def test_the_program_itself(serve):
    page = scrape(serve)
    status = serve.api("GET", "status")
    assert page.get("serin_build_info", version=status["version"]) == 1
    assert 0 <= status["uptime_s"] - page.get("serin_uptime_seconds") + 1 < 60
    pid = serve.process.pid
    assert page.get("process_open_fds") == pytest.approx(len(os.listdir(f"/proc/{pid}/fd")), abs=3)
    assert page.get("process_threads") == len(os.listdir(f"/proc/{pid}/task"))
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    with open("/proc/stat", encoding="ascii") as stat:
        boot = next(int(line.split()[1]) for line in stat if line.startswith("btime"))
    assert page.get("process_start_time_seconds") == \
        pytest.approx(boot + ticks / os.sysconf("SC_CLK_TCK"), abs=2)
    assert scrape(serve).get("process_start_time_seconds") == page.get("process_start_time_seconds")
    assert page.get("serin_log_lines_dropped_total", log="access") == 0
    before = page.get("serin_log_lines_total", log="access")
    assert serve.ask("POST", "/v1/predict/nobody", b"x").status == 404
    assert scrape(serve).get("serin_log_lines_total", log="access") == before + 1


def test_the_document_has_each_name(serve):
    """docs/monitoring.md lists what is told, with the same words."""
    page = scrape(serve)
    told = {name: (page.kind[name], page.help[name].removesuffix(".")) for name in page.help}
    rows = re.findall(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| (.*) \|$",
                      (ROOT / "docs" / "monitoring.md").read_text(), re.MULTILINE)
    assert [name for name, _, _ in rows] == list(told)
    assert {name: (kind, says) for name, kind, says in rows} == told
