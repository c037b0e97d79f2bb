"""serin serve with model servers that fail: while stable lives, no client sees an error of the version on trial.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import re
import socket
import threading

import pytest
from serve_fixture import Fake, JSON, SEEN, Models, answer, serving, until

FAILURES = 8  # in a row, after which a version is taken off: GATEWAY_BREAKER_FAILURES


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("faults"), "--drain-seconds", "2") as found:
        yield found


@pytest.fixture
def models(serve, request):
    """A model of the test's own."""
    made = Models(serve, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-"))
    yield made
    made.remove()


def stable_and_canary(models, behave, timeout_ms=100, **options):
    """Everybody is assigned to the canary; stable is there to help."""
    models.add("stable", stable=True)
    canary = models.add("canary", behave, **options)
    models.put(canary_timeout_ms=timeout_ms)
    models.weights(stable=0, canary=100)
    return canary


FAULTS = {
    "connection refused": None,
    "hangs": lambda asked: [b""] * 1000,
    "hangs in the middle": lambda asked: [answer()[:-5]] + [b""] * 1000,
    "answers 500": lambda asked: answer(500),
    "answers 503": lambda asked: answer(503),
    "JSON is broken": lambda asked: answer(body=b'{"detections": ['),
    "JSON has a tail": lambda asked: answer(body=b"{} {}"),
    "JSON is empty": lambda asked: answer(body=b""),
    "JSON is empty and so is its type": lambda asked: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "JSON is large and broken": lambda asked: answer(body=b'{"boxes": [' + b"1.5, " * (1 << 18) + b"oops]}"),
    "large JSON before tensors is broken": lambda asked: answer(
        kind=b"application/octet-stream", body=b"[" + b"7, " * (1 << 19) + b"\x01\x02",
        extra=b"Inference-Header-Content-Length: %d\r\n" % (1 + 3 * (1 << 19))),
    "other type": lambda asked: answer(kind=b"text/html", body=b"<p>It works!"),
    "no type": lambda asked: answer().replace(b"Content-Type", b"X-Type"),
    "tensors without JSON": lambda asked: answer(kind=b"application/octet-stream", body=b"\x01\x02",
                                                 extra=b"Inference-Header-Content-Length: 2\r\n"),
    "tensors shorter than said": lambda asked: answer(kind=b"application/octet-stream", body=b"{}",
                                                      extra=b"Inference-Header-Content-Length: 20\r\n"),
    "no HTTP": lambda asked: b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "two lengths": lambda asked: answer(extra=b"Content-Length: 3\r\n"),
    "chunks are broken": lambda asked: b"HTTP/1.1 200 OK\r\nContent-Type: " + JSON
                                       + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "closes without a word": lambda asked: None,
    "closes in the head": lambda asked: [b"HTTP/1.1 200 OK\r\nContent-"],
    "closes in the body": lambda asked: answer()[:-5],
    "slow byte by byte": lambda asked: [bytes([byte]) for byte in answer()],
    "head without end": lambda asked: b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 4000,
}
CLOSES = ("closes in the head", "closes in the body")


@pytest.mark.parametrize("fault", FAULTS)
def test_stable_answers_what_the_canary_fails(serve, models, fault):
    late = "hangs" in fault or "slow" in fault
    canary = stable_and_canary(models, FAULTS[fault], timeout_ms=100 if late else 60000, close=fault in CLOSES)
    if fault == "connection refused":
        canary.stop()
    with contextlib.closing(serve.client()) as client:
        for _ in range(30):
            found = client.predict(models.name)
            assert (found.status, found.version, found.fallback) == (200, "stable", "canary"), found.body
            assert found.body == SEEN
    counted = models.counters("canary")
    assert counted["requests"] == 30 and counted["errors"] == 0 and counted["answered"] == 0
    assert counted["failures"] == FAILURES and counted["skipped"] == 30 - FAILURES and counted["fallbacks"] == 30
    assert counted["timeouts"] == (FAILURES if late else 0)
    assert canary.count <= FAILURES  # it may be too slow to see what was given up
    stable = models.counters("stable")
    assert stable["requests"] == 0 and stable["rescued"] == 30 and stable["answered"] == 30 and stable["failures"] == 0
    assert serve.versions(models.name)["canary"]["breaker"] == "open"


def seen(*pictures, **members):
    """An answer to a prediction; of one picture without objects where none are given."""
    return json.dumps({**members, "images": list(pictures) or [{"results": []}]}).encode()


def outputs(**members):
    """An answer of the Open Inference Protocol."""
    return json.dumps({"outputs": [{"name": "output0", "datatype": "FP32", "shape": [1], "data": [0.5]}],
                       **members}).encode()


NO_PICTURE = {"error": {"code": "corrupt", "message": "no picture"}}
FORM = (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n'
        b'--x\r\nContent-Disposition: form-data; name="conf"\r\n\r\n.5\r\n'
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nb\r\n--x--\r\n')

# Bodies with status 200 that are no answer to one picture. MODEL is the model's name.
PREDICTION_LIES = {
    "an error": b'{"error":"I am sick"}',
    "an empty object": b"{}",
    "an empty array": b"[]",
    "an array": b'[{"images": [{"results": []}]}]',
    "no pictures": seen().replace(b'{"results": []}', b""),
    "pictures are an object": b'{"images": {"a": {"results": []}}}',
    "pictures are null": b'{"images": null}',
    "a picture is a number": b'{"images": [1]}',
    "a picture is an array": b'{"images": [[{"results": []}]]}',
    "a picture says nothing": seen({"shape": [1, 1]}),
    "results are a text": seen({"results": "none"}),
    "results are an object": seen({"results": {}}),
    "results are null": seen({"results": None}),
    "results and an error": seen({"results": [], **NO_PICTURE}),
    "an error for each": seen(NO_PICTURE),
    "an error that is a text": seen({"error": "sick"}),
    "two pictures for one": seen({"results": []}, {"results": []}),
    "another model's name": seen(model="another"),
    "the model's name and more": seen(model="MODEL-2"),
    "the model is a number": seen(model=7),
    "pictures twice": b'{"images": [{"results": []}], "images": []}',
    "pictures twice, once in disguise": b'{"images": [{"results": []}], "im\\u0061ges": []}',
    "the model's name twice": b'{"model": "MODEL", "model": "another", "images": [{"results": []}]}',
    "results twice": b'{"images": [{"results": [], "results": "none"}]}',
    "tensors": outputs(),
}
INFERENCE_LIES = {
    "an error": b'{"error":"I am sick"}',
    "an empty object": b"{}",
    "an empty array": b"[]",
    "no outputs": b'{"outputs": []}',
    "outputs are an object": b'{"outputs": {}}',
    "an output without a name": b'{"outputs": [{"datatype": "FP32", "shape": [1], "data": [1]}]}',
    "an output without a shape": b'{"outputs": [{"name": "a", "datatype": "FP32", "data": [1]}]}',
    "an output is a number": b'{"outputs": [1]}',
    "another model's name": outputs(model_name="another"),
    "outputs twice": outputs()[:-1] + b', "outputs": []}',
    "pictures": seen(),
}


def ask(serve, models, path="v1", body=b"a picture", kind="image/jpeg"):
    path = {"v1": f"/v1/predict/{models.name}", "v2": f"/v2/models/{models.name}/infer"}[path]
    return serve.ask("POST", path, body, {"Content-Type": kind})


@pytest.mark.parametrize("protocol, lie", [("v1", lie) for lie in PREDICTION_LIES]
                         + [("v2", lie) for lie in INFERENCE_LIES])
def test_canary_lies(serve, models, protocol, lie):
    """Status 200 and valid JSON, and no answer to what was asked."""
    body = (PREDICTION_LIES if protocol == "v1" else INFERENCE_LIES)[lie].replace(b"MODEL", models.name.encode())
    right = SEEN if protocol == "v1" else outputs()
    models.add("stable", lambda asked: answer(body=right), stable=True)
    models.add("canary", lambda asked: answer(body=body))
    models.weights(stable=0, canary=100)
    for _ in range(FAILURES + 1):
        found = ask(serve, models, protocol)
        assert (found.status, found.version, found.fallback, found.body) == (200, "stable", "canary", right)
    counted = models.counters("canary")
    assert (counted["failures"], counted["answered"], counted["errors"]) == (FAILURES, 0, 0)
    assert serve.versions(models.name)["canary"]["breaker"] == "open"


@pytest.mark.parametrize("status", (201, 202, 204, 206))
@pytest.mark.parametrize("protocol", ("v1", "v2"))
def test_other_status_of_success_is_no_answer(serve, models, status, protocol):
    right = SEEN if protocol == "v1" else outputs()
    models.add("stable", lambda asked: answer(body=right), stable=True)
    models.add("canary", lambda asked: answer(status, b"" if status == 204 else right))
    models.weights(stable=0, canary=100)
    found = ask(serve, models, protocol)
    assert (found.status, found.version, found.body) == (200, "stable", right)
    assert models.counters("canary")["failures"] == 1


@pytest.mark.parametrize("pictures, good", [
    (({"results": []}, {"results": [{}]}), True),
    (({"results": []}, NO_PICTURE), True),
    (({"results": []},), False),
    (({"results": []},) * 3, False),
    ((NO_PICTURE, NO_PICTURE), False),
])
def test_form_is_answered_picture_by_picture(serve, models, pictures, good):
    """Of a form with two pictures and a parameter."""
    stable_and_canary(models, lambda asked: answer(body=seen(*pictures, model=models.name)), timeout_ms=60000)
    found = ask(serve, models, body=FORM, kind="multipart/form-data; boundary=x")
    assert (found.status, found.version) == (200, "canary" if good else "stable")
    assert models.counters("canary")["failures"] == (0 if good else 1)


def test_answers_of_other_servers_pass(serve, models):
    """No more is asked for than the protocols do; other paths are not looked into."""
    says = {"body": b""}
    stable_and_canary(models, lambda asked: answer(**says), timeout_ms=60000)
    tensors = json.dumps({"model_name": models.name, "outputs": [
        {"name": "a", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}]}).encode()
    for protocol, says in (
            ("v1", {"body": seen()}), ("v1", {"body": seen(model=models.name, more={"images": 1, "error": None})}),
            ("v2", {"body": outputs()}), ("v2", {"body": outputs(model_name=models.name, model_version="1", id="7")}),
            ("v2", {"body": tensors + b"\0\1\2\3", "kind": b"application/octet-stream",
                    "extra": b"Inference-Header-Content-Length: %d\r\n" % len(tensors)})):
        found = ask(serve, models, protocol)
        assert (found.status, found.version, found.body) == (200, "canary", says["body"])
    says = {"body": b'{"text_output": "a duck"}'}
    found = serve.ask("POST", f"/v2/models/{models.name}/generate", b"{}")
    assert (found.version, found.body) == ("canary", says["body"])
    assert models.counters("canary")["failures"] == 0


def test_large_answers_pass(serve, models):
    """All of an answer is looked at, and one that is well is passed on whole."""
    large = b'{"images": [{"results": [' + b"1.5, " * (1 << 20) + b"2]}]}"
    stable_and_canary(models, lambda asked: answer(body=large), timeout_ms=60000)
    found = serve.client().predict(models.name)
    assert (found.status, found.version, found.body) == (200, "canary", large)


def test_trial_brings_the_canary_back(serve, models):
    broken = threading.Event()
    broken.set()
    canary = stable_and_canary(models, lambda asked: answer(500) if broken.is_set() else answer())
    with contextlib.closing(serve.client()) as client:
        for _ in range(FAILURES + 1):
            assert client.predict(models.name).status == 200
        assert canary.count == FAILURES
        broken.clear()
        until(lambda: client.predict(models.name).version == "canary", "a trial", 30)
        assert client.predict(models.name).version == "canary"
    assert serve.versions(models.name)["canary"]["breaker"] == "closed"
    counted = models.counters("canary")
    assert counted["failures"] == FAILURES and counted["errors"] == 0


def test_deploying_again_closes_the_breaker(serve, models):
    broken = threading.Event()
    broken.set()
    canary = stable_and_canary(models, lambda asked: answer(500) if broken.is_set() else answer())
    with contextlib.closing(serve.client()) as client:
        for _ in range(FAILURES):
            client.predict(models.name)
        broken.clear()
        serve.deploy(f"{models.name}:canary", canary.url)
        assert client.predict(models.name).version == "canary"


def test_two_answers_do_not_reach_the_next_client(serve, models):
    """What comes behind an answer belongs to nobody."""
    stable_and_canary(models, lambda asked: answer(body=seen(**{"for": asked.body.decode()}))
                      + answer(body=seen(**{"for": "the wrong one"})))
    with contextlib.closing(serve.client()) as client:
        for i in range(20):
            found = client.predict(models.name, f"picture {i}".encode())
            assert found.status == 200 and (found.version == "stable" or found.json()["for"] == f"picture {i}")


def test_refusal_is_checked_with_stable(serve, models):
    """Stable can do it, so the fault is the canary's."""
    canary = stable_and_canary(models, lambda asked: answer(400))
    with contextlib.closing(serve.client()) as client:
        for _ in range(20):
            found = client.predict(models.name)
            assert (found.status, found.version) == (200, "stable")
    assert canary.count == FAILURES
    assert models.counters("canary")["failures"] == FAILURES and models.counters("canary")["errors"] == 0


def test_refusal_that_stable_confirms_is_the_clients(serve, models):
    models.add("stable", lambda asked: answer(422, b'{"error": "no picture"}'), stable=True)
    canary = models.add("canary", lambda asked: answer(400))
    models.weights(stable=0, canary=100)
    with contextlib.closing(serve.client()) as client:
        for _ in range(20):
            found = client.predict(models.name)
            assert (found.status, found.body) == (422, b'{"error": "no picture"}')
    assert canary.count == 20
    counted = models.counters("canary")
    assert counted["failures"] == 0 and counted["errors"] == 0
    assert serve.versions(models.name)["canary"]["breaker"] == "closed"


def test_refusal_stands_where_stable_cannot_tell(serve, models):
    """The canary's 4xx is an answer; an error of a stable that is down would be none."""
    stable = models.add("stable", lambda asked: answer(500), stable=True)
    models.add("canary", lambda asked: answer(415, b'{"error": "no picture"}', extra=b"X-Mine: 1\r\n"))
    models.weights(stable=0, canary=100)
    for ends in (lambda: None, stable.stop):
        ends()
        found = serve.client().predict(models.name)
        assert (found.status, found.body, found.headers["X-Mine"]) == (415, b'{"error": "no picture"}', "1")
        assert (found.version, found.fallback) == ("canary", None)
    counted = models.counters("canary")
    assert (counted["answered"], counted["client_errors"]) == (2, 2)
    assert counted["errors"] == counted["failures"] == counted["fallbacks"] == 0
    assert models.counters("stable")["answered"] == 0
    assert serve.versions(models.name)["canary"]["breaker"] == "closed"


def test_named_version_is_not_replaced(serve, models):
    models.add("stable", stable=True)
    models.add("canary", lambda asked: answer(500, b'{"error": "mine"}'))
    found = serve.ask("POST", f"/v2/models/{models.name}/versions/canary/infer", b"{}")
    assert (found.status, found.version, found.fallback) == (500, "canary", None)
    assert found.json() == {"error": "mine"}
    assert serve.ask("POST", f"/v2/models/{models.name}/versions/other/infer", b"{}").status == 404


def test_stable_down_is_said(serve, models):
    models.add("stable", stable=True).stop()
    for _ in range(3):
        found = serve.client().predict(models.name)
        assert found.status == 502 and found.headers["Content-Type"] == "application/json"
        assert found.json()["error"]["code"] == "bad_gateway" and len(found.json()["error"]["message"]) > 10
        assert found.json()["request_id"] == found.headers["X-Request-Id"]
    assert models.counters("stable")["errors"] == 3


def test_error_of_stable_is_passed_on(serve, models):
    models.add("stable", lambda asked: answer(500, b'{"error": "out of memory"}'), stable=True)
    found = serve.client().predict(models.name)
    assert found.status == 500 and found.json() == {"error": "out of memory"}


def test_canary_without_replica_and_stable_down(serve, models):
    fakes = [models.add("stable", stable=True), models.add("canary")]
    for fake in fakes:
        fake.stop()
    models.weights(stable=0, canary=100)
    found = serve.client().predict(models.name)
    assert found.status in (502, 503) and found.json()["error"]
    assert models.counters("canary")["errors"] == 1


def test_dead_and_slow_mirrors_cost_nothing(serve, models):
    models.add("stable", stable=True)
    models.add("dead").stop()
    slow = models.add("slow", lambda asked: [b""] * 1000)
    models.put(mirrors=[{"tag": "dead", "per_million": 1000000}, {"tag": "slow", "per_million": 1000000}],
               timeout_ms=600000)
    with contextlib.closing(serve.client()) as client:
        for _ in range(200):
            found = client.predict(models.name)
            assert (found.status, found.version) == (200, "stable")
    for tag in ("dead", "slow"):
        counted = models.counters(tag)
        assert counted["requests"] == 0 and counted["errors"] == 0
        assert counted["mirrored"] + counted["mirror_dropped"] == 200
    assert until(lambda: models.counters("dead")["mirror_failures"] == models.counters("dead")["mirrored"], "failures")
    assert 0 < models.counters("slow")["mirror_dropped"] < 200  # its room is bounded
    stable = models.counters("stable")
    assert stable["requests"] == stable["answered"] == 200 and stable["failures"] == stable["errors"] == 0
    slow.stop()


def test_leaving_clients_are_counted_and_harm_nobody(serve, models):
    models.add("stable", lambda asked: [b""] * 1000 if asked.body == b"wait" else answer(), stable=True)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", serve.port)) as client:
            client.sendall(f"POST /v1/predict/{models.name} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nwait".encode())
            until(lambda: models.fakes[0].count > models.counters("stable")["aborted"], "the request")
        assert serve.client().predict(models.name).status == 200
    until(lambda: models.counters("stable")["aborted"] == 5, "the count")
    assert models.counters("stable")["failures"] == 0


def test_load_on_a_failing_canary(serve, models):
    """Several clients at once: still no error, and the breaker's count is the version's own, whoever saw it."""
    models.add("stable", stable=True)
    models.add("canary", lambda asked: answer(500))
    models.weights(stable=50, canary=50)
    wrong = []

    def load():
        with contextlib.closing(serve.client()) as client:
            for _ in range(100):
                found = client.predict(models.name)
                if found.status != 200 or found.version != "stable":
                    wrong.append(found.body)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert FAILURES <= models.counters("canary")["failures"] <= 10


CLIENTS = 64


def test_clients_at_once_on_a_canary_that_only_fails(tmp_path):
    """However many ask at once, over however many threads: it is off within ten."""
    released = threading.Event()

    def fail_when_released(asked):
        assert released.wait(60)
        return answer(500)

    with serving(tmp_path, "--gateway-threads", "4") as serve:
        models = Models(serve, "many")
        stable = models.add("stable", stable=True)
        canary = models.add("canary", fail_when_released)
        models.weights(stable=0, canary=100)
        found = []

        def ask():
            with contextlib.closing(serve.client()) as client:
                for _ in range(3):
                    found.append(client.predict(models.name))

        threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        until(lambda: stable.count >= CLIENTS - 10, "the answers of stable")
        released.set()
        for thread in threads:
            thread.join()
        assert {(a.status, a.version, a.fallback) for a in found} == {(200, "stable", "canary")}
        counted = models.counters("canary")
        assert FAILURES <= canary.count <= 10 and counted["failures"] == canary.count
        assert counted["skipped"] == 3 * CLIENTS - canary.count
        assert serve.versions(models.name)["canary"]["breaker"] == "open"
        models.remove()


def test_idle_connections_shut_nobody_out(tmp_path):
    """One address with many of them: the longest idle ones go, and it is said."""
    with serving(tmp_path, "--gateway-threads", "1", "--set", "max_connections=8") as serve, contextlib.ExitStack() as held:
        models = Models(serve, "crowd")
        models.add("stable", stable=True)
        for _ in range(40):
            held.enter_context(socket.create_connection(("127.0.0.1", serve.port)))
        with contextlib.closing(serve.client()) as client:
            assert client.predict("crowd").status == 200
            metrics = serve.call("GET", "/metrics").body.decode()
            found = {line.split()[0]: int(line.split()[1]) for line in metrics.splitlines()
                     if line.startswith("serin_connections_")}
            assert found["serin_connections_open"] == 8 and found["serin_connections_evicted_total"] >= 33
            assert found["serin_connections_refused_total"] == 0
            assert client.predict("crowd").status == 200
        until(lambda: "max_connections: 8" in (tmp_path / "events").read_text(), "a line in the log")
        models.remove()
