"""Traces: what a collector of OpenTelemetry gets, and what one that is dead or hangs costs.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import re
import threading
import time

import pytest
from conftest import PICTURES, serin
from serve_fixture import Fake, Models, answer, needs_workers, push_two, serving, until, with_workers

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SERVER, CLIENT, INTERNAL = 2, 3, 1
TOLD = b"Server-Timing: decode;dur=.02, queue;dur=.01, inference;dur=.04, post;dur=.005\r\nX-Serin-Work: pictures=1, batch=4\r\n"


def value_of(one):
    (kind, value), = one.items()
    return int(value) if kind == "intValue" else value


class Span:
    def __init__(self, one):
        assert set(one) <= {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano",
                            "attributes", "status"}
        assert re.fullmatch("[0-9a-f]{32}", one["traceId"]) and re.fullmatch("[0-9a-f]{16}", one["spanId"])
        self.trace, self.id, self.parent = one["traceId"], one["spanId"], one.get("parentSpanId")
        self.name, self.kind, self.status = one["name"], one["kind"], one.get("status", {})
        assert isinstance(one["startTimeUnixNano"], str)  # as 64-bit integers are in OTLP's JSON
        self.start, self.end = int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"])
        self.attributes = {each["key"]: value_of(each["value"]) for each in one["attributes"]}
        assert len(self.attributes) == len(one["attributes"]) and self.start <= self.end


class Collector(Fake):
    """Checks what it gets as strictly as the protocol asks."""

    def __init__(self):
        self.spans, self.resources, self.wrong = [], [], []
        super().__init__(self.take)

    def take(self, asked):
        try:
            assert (asked.method, asked.target) == ("POST", "/v1/traces") and asked.get("Content-Type") == "application/json"
            body = json.loads(asked.body)
            (resource,) = body["resourceSpans"]
            (scope,) = resource["scopeSpans"]
            self.resources.append({one["key"]: value_of(one["value"]) for one in resource["resource"]["attributes"]})
            self.spans += [Span(one) for one in scope["spans"]]
        except Exception as wrong:  # told by the test's own thread
            self.wrong.append(repr(wrong))
        return answer(200, b"{}")

    def of(self, trace):
        assert not self.wrong, self.wrong
        return [span for span in self.spans if span.trace == trace]


@contextlib.contextmanager
def collected(folder, *options, **more):
    collector = Collector()
    with serving(folder, "--trace-endpoint", f"{collector.url}/v1/traces", *options) as serve:
        models = Models(serve, "m")
        yield serve, models, collector
    collector.stop()


def check_tree(spans, parent=None):
    """One root, every other's parent is there, children lie within their parents."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    roots = [span for span in spans if span.parent not in by_id]
    assert len(roots) == 1 and roots[0].parent == parent and roots[0].kind == SERVER
    for span in spans:
        if span is not roots[0]:
            above = by_id[span.parent]
            assert above.start <= span.start and span.end <= above.end, (span.name, above.name)
    return roots[0]


def test_a_request_as_a_tree(tmp_path):
    with collected(tmp_path, "--trace-sample", "0") as (serve, models, collector):
        fake = models.add("a", lambda asked: answer(extra=TOLD), stable=True)
        began = time.time_ns()
        found = serve.ask("POST", "/v1/predict/m?conf=.5", b"12345",
                          {"traceparent": PARENT, "tracestate": "a=b", "X-Request-Id": "mine"})
        ended = time.time_ns()
        assert found.status == 200
        serve.ask("POST", "/v1/predict/m", b"1")  # drawn: 0 of all
        serve.ask("POST", "/v1/predict/m", b"1", {"traceparent": PARENT[:-1] + "0"})  # the client does not want it
        until(lambda: collector.spans or collector.wrong, "the spans")
        spans = collector.of(PARENT[3:35])
        assert len(spans) == len(collector.spans) == 6
        root = check_tree(spans, PARENT[36:52])
        assert root.name == "POST /v1/predict/{model}" and not root.status
        assert began - 2_000_000 <= root.start and root.end <= ended + 2_000_000
        told = root.attributes
        assert (told["http.request.method"], told["http.route"], told["url.path"], told["url.scheme"]) == \
            ("POST", "/v1/predict/{model}", "/v1/predict/m", "http")
        assert told["client.address"] == "127.0.0.1" and 0 < told["client.port"] < 65536
        assert told["http.response.status_code"] == 200 and told["http.request.body.size"] == 5
        assert (told["serin.model"], told["serin.version"], told["serin.fallback"], told["serin.request_id"]) == \
            ("m", "a", False, "mine")
        once, = [span for span in spans if span.kind == CLIENT]
        assert once.parent == root.id and once.name == "POST"
        assert once.attributes["server.address"] == "127.0.0.1" and f"http://127.0.0.1:{once.attributes['server.port']}" == fake.url
        assert once.attributes["url.full"] == f"{fake.url}/v1/predict/m"
        assert once.attributes["http.response.status_code"] == 200
        stages = sorted((span for span in spans if span.kind == INTERNAL), key=lambda span: span.start)
        assert [(span.name, span.end - span.start) for span in stages] == \
            [("queue", 10_000), ("decode", 20_000), ("inference", 40_000), ("post", 5_000)]
        assert {span.parent for span in stages} == {once.id}
        assert [span for span in stages if span.name == "inference"][0].attributes["serin.batch_size"] == 4
        assert collector.resources[0]["service.name"] == "serin" and collector.resources[0]["process.pid"] == serve.process.pid
        # The version's own spans would be children of the try.
        asked = [one for one in fake.asked if one.get("X-Request-Id") == "mine"][0]
        assert asked.get("traceparent") == f"00-{root.trace}-{once.id}-01" and asked.get("tracestate") == "a=b"
        assert fake.asked[-1].get("traceparent") == PARENT[:-1] + "0"
    access = [json.loads(line) for line in (tmp_path / "access").read_text().splitlines()]
    assert [one.get("trace.id") for one in access] == [PARENT[3:35], None, None]


def test_a_fallback_shows_both_tries(tmp_path):
    with collected(tmp_path, "--trace-sample", "1") as (serve, models, collector):
        models.add("a", lambda asked: answer(extra=TOLD), stable=True)
        models.add("b", lambda asked: answer(500))
        models.weights(a=0, b=1)
        assert serve.ask("POST", "/v1/predict/m", b"1").fallback == "b"
        until(lambda: collector.spans or collector.wrong, "the spans")
        root = check_tree(collector.of(collector.spans[0].trace))
        assert root.attributes["serin.fallback"] and root.attributes["serin.assigned"] == "b" and not root.status
        first, second = sorted((span for span in collector.spans if span.kind == CLIENT), key=lambda span: span.start)
        assert first.attributes["serin.version"] == "b" and first.attributes["error.type"] == "500"
        assert first.status == {"code": 2, "message": "an error of the version"}
        assert second.attributes["serin.version"] == "a" and second.attributes["http.request.resend_count"] == 1
        assert "http.request.resend_count" not in first.attributes and not second.status
        assert first.end <= second.start


def test_errors_and_clients_that_go(tmp_path):
    held, hold = threading.Event(), threading.Event()

    def behave(asked):
        if asked.body == b"hold":
            held.set()
            hold.wait(30)
        return answer(500)
    with collected(tmp_path, "--trace-sample", "1") as (serve, models, collector):
        models.add("a", behave, stable=True)
        assert serve.ask("POST", "/v1/predict/m", b"1").status == 500
        until(lambda: collector.spans or collector.wrong, "the spans")
        root = check_tree(collector.of(collector.spans[0].trace))
        assert root.status["code"] == 2 and root.attributes["error.type"] == "500"
        count = len(collector.spans)
        client = serve.client()
        client.connection.request("POST", "/v1/predict/m", b"hold")
        assert held.wait(60)
        client.close()
        until(lambda: len(collector.spans) > count, "the spans of one whose client has gone")
        root = check_tree(collector.spans[count:])
        assert root.attributes["http.response.status_code"] == 499
        hold.set()


def test_a_collector_is_shown_what_it_asks_for(tmp_path, monkeypatch):
    """Its header fields come from the environment, as OpenTelemetry has them, and are told nowhere else."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20not-this-one")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", " authorization = Bearer%20s3cret%2C%3D%25 ,, x-tenant=cameras=7 ,")
    with collected(tmp_path, "--trace-sample", "1") as (serve, models, collector):
        models.add("a", stable=True)
        assert serve.ask("POST", "/v1/predict/m", b"1").status == 200
        until(lambda: collector.spans or collector.wrong, "the spans")
        asked = collector.asked[0]
        assert asked.get("authorization") == "Bearer s3cret,=%" and asked.get("x-tenant") == "cameras=7"
        told = serve.call("GET", "/metrics").body + serve.call("GET", "/api/v1/status").body + (tmp_path / "events").read_bytes()
        told += serin("serve", "--data-dir", tmp_path / "data", "--trace-endpoint", collector.url, "--dump").stdout.encode()
        assert b"s3cret" not in told


@pytest.mark.parametrize("given, sentence", [
    ("s3cret", "entry 1 does not begin with a header's name and '='"), ("a=b,=s3cret", "entry 2 does not"),
    ("a b=s3cret", "entry 1 does not"), ("a=", "the value of 'a' is empty"), ("a=s3cret%0aX: y", "a byte that no header has"),
    ("a=s3cret%00", "a byte that no header has"), (",".join(["a=s3cret"] * 17), "more than 16 headers"),
    ("a=" + "s3cret" * 1000, "has 6002 bytes, the limit is 4096")])
def test_wrong_fields_for_a_collector_are_told_without_them(tmp_path, given, sentence):
    for more in ((), ("--check",)):
        found = serin("serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                      "--trace-endpoint", "http://127.0.0.1:9", *more, env={"OTEL_EXPORTER_OTLP_HEADERS": given})
        assert found.returncode != 0 and sentence in found.stderr and "$OTEL_EXPORTER_OTLP_HEADERS" in found.stderr, found.stderr
        assert "s3cret" not in found.stderr


@needs_workers
def test_a_worker_of_our_own(tmp_path_factory):
    """Gateway, queue, decode, inference: of a real worker, nested in time."""
    collector = Collector()
    pushed = push_two(tmp_path_factory.mktemp("pushed"))
    with with_workers(pushed, tmp_path_factory.mktemp("serve"), "--trace-endpoint", f"{collector.url}/v1/traces",
                      "--trace-sample", "1") as serve:
        serve.deploy("tiny:v1", stable=True)
        for _ in range(5):
            assert serve.ask("POST", "/v1/predict/tiny", (PICTURES / "shapes-97x211.jpg").read_bytes()).status == 200
        until(lambda: len(collector.spans) >= 30 or collector.wrong, "the spans of five requests")
    for trace in {span.trace for span in collector.spans}:
        spans = collector.of(trace)
        check_tree(spans)
        assert {span.name for span in spans} == {"POST /v1/predict/{model}", "POST", "queue", "decode", "inference", "post"}
        assert all(span.end > span.start for span in spans if span.name in ("decode", "inference"))
        once, = [span for span in spans if span.kind == CLIENT]
        assert once.attributes["server.address"].startswith("/")  # a unix socket
        assert once.attributes["url.full"] == "http://localhost/v1/predict/tiny"
    collector.stop()


@pytest.mark.parametrize("how", ["dead", "hangs", "refuses"])
def test_a_bad_collector_costs_nothing(tmp_path, how):
    """Requests are answered, what cannot be sent is counted and told once, and the program ends."""
    over = threading.Event()
    collector = Fake(lambda asked: over.wait(60) and None if how == "hangs" else answer(503))
    if how == "dead":
        collector.stop()
    with serving(tmp_path, "--trace-endpoint", f"{collector.url}/v1/traces", "--trace-sample", "1") as serve:
        models = Models(serve, "m")
        models.add("a", stable=True)
        client = serve.client()
        for _ in range(1500):  # more than may wait
            assert client.predict("m").status == 200
        client.close()

        def lost():
            return int(re.search(r"^serin_traces_dropped_total (\d+)$", serve.call("GET", "/metrics").body.decode(),
                                 re.MULTILINE)[1])
        until(lambda: lost() > 0, "lost traces are counted")
        assert "serin_traces_sent_total 0\n" in serve.call("GET", "/metrics").body.decode()
        if how != "hangs":
            until(lambda: "the collector takes none" in (tmp_path / "events").read_text(), "it is told")
    assert (tmp_path / "events").read_text().count("the collector takes none") == 1
    over.set()
    collector.stop()


def test_off_by_default(tmp_path):
    with serving(tmp_path) as serve:
        models = Models(serve, "m")
        fake = models.add("a", stable=True)
        assert serve.ask("POST", "/v1/predict/m", b"1", {"traceparent": PARENT}).status == 200
        assert fake.asked[-1].get("traceparent") == PARENT  # it is between the client and the version
    assert "trace.id" not in (tmp_path / "access").read_text()
