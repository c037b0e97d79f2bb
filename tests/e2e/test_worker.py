"""serin worker over TCP and unix sockets: predictions, the inference protocol, limits, overload, drain.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import base64
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from conftest import BIN, MINIATURE, PICTURES, TASKS, TIMEOUT_S, png_bytes, serin

NAME, TAG = "mini", "v1.0.0-cpu"
# Makes one picture cost the engine about a hundred times the usual: what follows waits for it.
SLOW = "imgsz=1280"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Worker:
    """A worker process and how to talk to it."""

    def __init__(self, *options, model=MINIATURE / "detect.onnx", listen="127.0.0.1:0", name=f"{NAME}:{TAG}"):
        self.process = subprocess.Popen([BIN, "worker", "--model", model, "--name", name, "--listen", listen,
                                         *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.process.kill()
            pytest.fail(f"no worker: {line!r} {self.process.communicate()[1]}")
        self.address = line.removeprefix("listening on ").strip()

    def connect(self):
        if self.address.startswith("unix:"):
            return UnixConnection(self.address.removeprefix("unix:"))
        return http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)

    def call(self, method, path, body=None, **headers):
        """Status, fields and body (JSON as objects) of one request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            content = answer.read()
            if answer.headers.get("Content-Type") == "application/json":
                content = json.loads(content)
            return answer.status, answer.headers, content
        finally:
            connection.close()

    def predict(self, picture, query="", **headers):
        return self.call("POST", f"/v1/predict/{NAME}?{query}", picture, **headers)

    def statistics(self):
        return self.call("GET", "/v1/stats")[2]

    def wait_for_queue(self, length):
        while self.statistics()["queue"]["length"] < length:
            assert self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        """Exit code and the log."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


@contextlib.contextmanager
def running(*options, **more):
    worker = Worker(*options, **more)
    try:
        yield worker
        code, log = worker.stop()
        assert code == 0, log
        assert [line["event"] for line in log] == ["engine", "ready", "draining", "stopped"]
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.communicate()


@pytest.fixture(scope="module")
def worker():
    with running("--max-body-mib", 4, "--max-megapixels", 2) as one:
        yield one


@pytest.fixture(scope="module")
def jpeg():
    return (PICTURES / "shapes-640x480.jpg").read_bytes()


def form(*parts):
    """A body as curl -F and requests write it, and its content type. A part: name, content[, file name]."""
    boundary, body = "------------------------8ad1f2b35c3f7e1b", b""
    for name, content, *file_name in parts:
        named = f'; filename="{file_name[0]}"\r\nContent-Type: image/jpeg' if file_name else ""
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n').encode()
        body += (content if isinstance(content, bytes) else content.encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def found_by_predict(model, picture, *options):
    run = serin("predict", "--model", model, "--json", *options, picture)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("task", TASKS)
def test_results_are_those_of_predict(task):
    model = MINIATURE / f"{task}.onnx"
    with running("--conf", ".05", model=model) as one:
        for picture in sorted(PICTURES.iterdir()):
            expected = found_by_predict(model, picture, "--conf", ".05")
            status, _, answer = one.predict(picture.read_bytes())
            assert status == 200
            image, = answer["images"]
            assert image["shape"] == expected["shape"] and image["results"] == expected["results"]


def test_one_picture(worker, jpeg):
    status, fields, answer = worker.call("POST", "/v1/predict", jpeg, Content_Type="image/jpeg", X_Request_Id="camera-7")
    assert status == 200
    assert fields["X-Request-Id"] == "camera-7" and fields["X-Serin-Version"] == TAG
    assert re.fullmatch(r"decode;dur=[\d.]+, queue;dur=[\d.]+, inference;dur=[\d.]+, post;dur=[\d.]+",
                        fields["Server-Timing"])
    assert list(answer) == ["model", "version", "request_id", "images"]
    assert (answer["model"], answer["version"], answer["request_id"]) == (NAME, TAG, "camera-7")
    image, = answer["images"]
    assert list(image) == ["shape", "speed", "light", "sharpness", "results"]
    assert list(image["speed"]) == ["preprocess", "inference", "postprocess"]
    assert 0 < image["light"] < 1 and image["sharpness"] > 0


@pytest.mark.parametrize("given", ["", "has blank", "x" * 200, "ctrl\tx"])
def test_a_request_id_is_made_where_none_is_usable(worker, jpeg, given):
    fields = worker.predict(jpeg, X_Request_Id=given)[1]
    assert re.fullmatch("[0-9a-f]{32}", fields["X-Request-Id"])


def test_light_follows_the_picture(worker):
    lights = [worker.predict(png_bytes(64, 48, lambda x, y, v=value: (v, v, v)))[2]["images"][0]["light"]
              for value in (0, 51, 255)]
    assert lights == [0.0, 0.2, 1.0]


def test_parameters_in_query_and_form(worker, jpeg):
    detect = MINIATURE / "detect.onnx"
    everything = found_by_predict(detect, PICTURES / "shapes-640x480.jpg", "--conf", ".1", "--imgsz", "128,320",
                                  "--classes", "triangle,1", "--max-det", "2")["results"]
    assert len(everything) == 2
    query = "conf=.1&imgsz=128%2C320&classes=triangle,1&max_det=2&camera=3"
    assert worker.predict(jpeg, query)[2]["images"][0]["results"] == everything
    body, kind = form(("conf", ".1"), ("imgsz", "[128, 320]"), ("classes", "triangle, 1"), ("file", jpeg, "a.jpg"),
                      ("max_det", "2"), ("camera", "3"))
    assert worker.predict(body, "conf=.9", Content_Type=kind)[2]["images"][0]["results"] == everything


@pytest.mark.parametrize("query", ["conf=2", "iou=x", "imgsz=0", "imgsz=4000", "classes=unicorn", "max_det=0", "conf=",
                                   "conf=%00", "conf=.9%zz", "conf=.9%00zzz", "conf=.9&conf=.1", "confidence=.9", "conf", "conv=.3", "img=640", "conf=0x1"])
def test_bad_parameters(worker, jpeg, query):
    status, _, answer = worker.predict(jpeg, query)
    assert status == 400 and answer["error"]["code"] == "invalid" and query.split("=")[0] in answer["error"]["message"]


@pytest.mark.parametrize("field, reason", [((("conf", ".9"), ("conf", ".1")), "the form has conf twice"),
                                           ((("confidence", ".9"),), "did you mean 'conf'?"),
                                           ((("conf", ".9\0zzz"),), "conf in the form is not a text")])
def test_bad_form_fields(worker, jpeg, field, reason):
    body, kind = form(*field, ("file", jpeg, "a.jpg"))
    status, _, answer = worker.predict(body, Content_Type=kind)
    assert status == 400 and reason in answer["error"]["message"]


@pytest.mark.parametrize("fields", [{"X_Priority": "x"}, {"X_Priority": "11"}, {"X_Request_Timeout_Ms": "-1"},
                                    {"X_Request_Timeout_Ms": "1.5"}, {"X_Request_Timeout_Ms": "9" * 20}])
def test_bad_header_fields(worker, jpeg, fields):
    status, _, answer = worker.predict(jpeg, **fields)
    assert status == 400 and "X-" in answer["error"]["message"]


def test_several_pictures_and_bad_ones_among_them(worker, jpeg):
    png = png_bytes(40, 30, lambda x, y: (x, y, 9))
    body, kind = form(("file", jpeg, "a.jpg"), ("image", jpeg[:200], "cut.jpg"), ("image", png, "b.png"),
                      ("file", "no picture", "c.txt"))
    status, _, answer = worker.predict(body, Content_Type=kind)
    assert status == 200
    first, second, third, fourth = answer["images"]
    assert first["shape"] == [480, 640] and first["results"] and third["shape"] == [30, 40]
    assert second["error"]["code"] == "corrupt" and fourth["error"]["code"] == "unsupported"


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl(worker):
    picture = PICTURES / "shapes-640x480.jpg"
    run = subprocess.run(["curl", "-s", "-S", "-F", f"file=@{picture}", "-F", f"image=@{picture}", "-F", "conf=.5",
                          f"http://{worker.address}/v1/predict/{NAME}"], capture_output=True, check=True)
    one, two = json.loads(run.stdout)["images"]
    assert one["results"] == two["results"] and all(result["confidence"] > 0.5 for result in one["results"])


@pytest.mark.parametrize("body, status, code", [
    (b"", 400, "invalid"), (b"\xff\xd8\xff\xe0 cut", 400, "corrupt"), (b"GIF89a" + b"\0" * 20, 415, "unsupported"),
    (b"plain text", 415, "unsupported"), (png_bytes(2001, 1000, lambda x, y: (0, 0, 0)), 413, "limit")])
def test_a_bad_picture_alone(worker, body, status, code):
    got, fields, answer = worker.predict(body)
    assert (got, answer["error"]["code"]) == (status, code) and answer["error"]["message"]
    assert answer["request_id"] == fields["X-Request-Id"] and fields["X-Serin-Version"] == TAG


def test_bad_forms(worker, jpeg):
    body, kind = form(("conf", ".5"))
    status, _, answer = worker.predict(body, Content_Type=kind)
    assert status == 400 and "'file' or 'image'" in answer["error"]["message"]
    assert worker.predict(jpeg, Content_Type="multipart/form-data")[0] == 400
    assert worker.predict(body[:40], Content_Type=kind)[0] == 400
    body, kind = form(*[("file", jpeg, "x.jpg")] * 65)
    assert worker.predict(body, Content_Type=kind)[0] == 413


def test_body_limit(worker):
    assert worker.predict(b"x" * ((4 << 20) + 1))[0] == 413
    assert worker.predict(b"x" * (4 << 20))[0] == 415


def test_encoded_bodies_are_refused(worker, jpeg):
    assert worker.predict(jpeg, Content_Encoding="gzip")[0] == 415
    assert worker.predict(jpeg, Content_Encoding="identity")[0] == 200


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/", 404), ("GET", "/v1", 404), ("GET", "/v3/models/mini", 404), ("POST", "/v1/predict/other", 404),
    ("POST", "/v1/predict/mini/more", 404), ("GET", "/v1/predict", 405), ("POST", "/v2", 405), ("GET", "/v2/x", 404),
    ("GET", "/v2/models/other", 400), ("GET", "/v2/models/mini/versions/2", 404), ("GET", "/v2/models/mini/what", 404),
    ("GET", "/v2/models/mini/infer", 405), ("DELETE", "/v2/models/mini", 405), ("GET", "/v2/repository/index", 405),
    ("POST", "/v1/predict/mini:v9", 404), ("GET", "/v2/models/mini/versions/1/ready/more", 404),
    ("GET", "/v2/models/%zz", 404), ("GET", "/v2/" + "x/" * 40, 404)])
def test_paths_that_are_not_there(worker, method, path, status):
    got, fields, answer = worker.call(method, path)
    assert got == status and "error" in answer
    assert got != 405 or fields["Allow"]


def test_a_model_may_be_called_with_its_tag(worker, jpeg):
    assert worker.call("POST", f"/v1/predict/{NAME}:{TAG}", jpeg)[0] == 200


# ---- the Open Inference Protocol ----

def test_health_and_documents(worker):
    assert worker.call("GET", "/v2/health/live")[::2] == (200, b"")
    for path in ("/v2/health/ready", "/v2/models/mini/ready", "/v2/models/mini/versions/1/ready",
                 f"/v2/models/mini/versions/{TAG}/ready"):
        assert worker.call("GET", path)[::2] == (200, {"ready": True})
    assert "binary_tensor_data" in worker.call("GET", "/v2")[2]["extensions"]
    assert worker.call("GET", "/v2/models/mini")[2] == {
        "name": NAME, "versions": ["1", TAG], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 3, -1, -1]}],
        "outputs": [{"name": "output0", "datatype": "FP32", "shape": [-1, 7, -1]}]}
    config = worker.call("GET", f"/v2/models/mini/versions/{TAG}/config")[2]
    assert config["max_batch_size"] == 8
    assert config["input"] == [{"name": "images", "data_type": "TYPE_FP32", "dims": [3, -1, -1]}]
    metadata = ast.literal_eval(config["parameters"]["metadata"]["string_value"])
    assert metadata["names"] == {0: "circle", 1: "square", 2: "triangle"}
    assert (metadata["stride"], metadata["task"], metadata["imgsz"]) == (32, "detect", [160, 160])
    assert worker.call("POST", "/v2/repository/index", b"{}")[2] == [{"name": NAME, "version": "1", "state": "READY"}]
    statistics, = worker.call("GET", "/v2/models/stats")[2]["model_stats"]
    assert statistics["name"] == NAME and statistics["version"] == "1"


def infer(worker, request, tail=b"", path="/v2/models/mini/infer"):
    """Answer's JSON, and the bytes behind it."""
    text = json.dumps(request).encode()
    fields = {"Inference_Header_Content_Length": str(len(text))} if tail else {}
    status, answered, content = worker.call("POST", path, text + tail, **fields)
    if isinstance(content, dict):
        return status, content, b""
    size = int(answered["Inference-Header-Content-Length"])
    return status, json.loads(content[:size]), content[size:]


def tensor_input(batch=1, side=64, **more):
    return {"name": "images", "datatype": "FP32", "shape": [batch, 3, side, side], **more}


def test_tensors_as_json_and_as_bytes_are_the_same(worker):
    values = [(i * 37 % 101) / 128 for i in range(3 * 64 * 64)]  # exact in binary
    raw = struct.pack(f"<{len(values)}f", *values)
    status, plain, _ = infer(worker, {"id": "a", "inputs": [tensor_input(data=values)]})
    assert status == 200 and (plain["id"], plain["model_name"], plain["model_version"]) == ("a", NAME, TAG)
    output, = plain["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("output0", "FP32", [1, 7, 84])
    sized = tensor_input(parameters={"binary_data_size": len(raw)})
    status, mixed, tail = infer(worker, {"inputs": [sized], "outputs": [{"name": "output0",
                                                                         "parameters": {"binary_data": True}}]}, raw)
    assert status == 200 and "id" not in mixed
    assert mixed["outputs"][0]["parameters"]["binary_data_size"] == len(tail) == 4 * 7 * 84
    assert list(struct.unpack(f"<{7 * 84}f", tail)) == [struct.unpack("<f", struct.pack("<f", v))[0]
                                                        for v in output["data"]]
    # A batch of two holds each picture's numbers.
    status, both, tail2 = infer(worker, {"inputs": [tensor_input(2, parameters={"binary_data_size": 2 * len(raw)})],
                                         "parameters": {"binary_data_output": True}}, raw + bytes(len(raw)),
                                f"/v2/models/mini/versions/{TAG}/infer")
    assert status == 200 and both["outputs"][0]["shape"] == [2, 7, 84] and len(tail2) == 2 * len(tail)
    first = struct.unpack(f"<{7 * 84}f", tail2[:len(tail)])
    assert first == pytest.approx(struct.unpack(f"<{7 * 84}f", tail), rel=1e-4, abs=1e-4)


def test_raw_requests(worker):
    raw = bytes(4 * 3 * 160 * 160)
    status, fields, content = worker.call("POST", "/v2/models/mini/infer", raw, Inference_Header_Content_Length="0")
    assert status == 200
    size = int(fields["Inference-Header-Content-Length"])
    assert json.loads(content[:size])["outputs"][0]["parameters"]["binary_data_size"] == len(content) - size


def test_pictures_in_the_protocol(worker, jpeg):
    expected = worker.predict(jpeg, "conf=.5")[2]["images"][0]["results"]
    elements = b"".join(struct.pack("<I", len(one)) + one for one in (jpeg, b"junk"))
    given = {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(elements)}}
    status, answer, _ = infer(worker, {"parameters": {"conf": 0.5}, "inputs": [given]}, elements)
    output, = answer["outputs"]
    assert status == 200 and (output["name"], output["datatype"], output["shape"]) == ("detections", "BYTES", [2])
    assert json.loads(output["data"][0]) == expected
    assert json.loads(output["data"][1])["error"]["code"] == "unsupported"
    given = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(jpeg).decode()]}
    status, answer, _ = infer(worker, {"parameters": {"conf": 0.5}, "inputs": [given]})
    assert status == 200 and json.loads(answer["outputs"][0]["data"][0]) == expected
    status, answer, _ = infer(worker, {"inputs": [{**given, "data": ["anVuaw=="]}]})
    assert status == 501 and answer["error"].startswith("image is text")


@pytest.mark.parametrize("request_, part", [
    ({}, "0 inputs"), ({"inputs": [tensor_input(data=[1, 2])]}, "2 values, the shape says 12288"),
    ({"inputs": [tensor_input(9, data=[])]}, "batch of 9"), ({"inputs": [tensor_input(1, 63, data=[])]}, "multiple of 32"),
    ({"inputs": [tensor_input(1, 4096, data=[])]}, "to 1280"),
    ({"inputs": [tensor_input(data=[0] * 12288)], "outputs": [{"name": "x"}]}, "'x'"),
    ({"inputs": [tensor_input(data=[0] * 12288)], "parameters": {"priority": 99}}, "priority")])
def test_bad_inference_requests(worker, request_, part):
    status, answer, _ = infer(worker, request_)
    assert status == 400 and part in answer["error"]


def test_damaged_inference_requests(worker):
    for body, header in ((b"", None), (b"{", None), (b"\0" * 100, None), (b"{}", "9"), (b"{}", "x"), (b"x", "0")):
        fields = {"Inference_Header_Content_Length": header} if header else {}
        status, _, answer = worker.call("POST", "/v2/models/mini/infer", body, **fields)
        assert status == 400 and isinstance(answer["error"], str)


# ---- load ----

def test_a_unix_socket(tmp_path, jpeg):
    path = tmp_path / "w.sock"
    with running(listen=f"unix:{path}") as one:
        assert one.address == f"unix:{path}"
        assert one.predict(jpeg)[0] == 200
        connection = one.connect()
        for _ in range(3):  # one connection, kept
            connection.request("POST", "/v1/predict", jpeg)
            assert len(json.loads(connection.getresponse().read())["images"]) == 1
        connection.close()


@pytest.mark.parametrize("provider", ["cpu", "onednn"])
def test_pictures_that_wait_share_a_batch(jpeg, provider):
    with running("--provider", provider, "--max-batch", 4, "--max-delay-us", 5000000) as one:
        body, kind = form(*[("file", jpeg, "x.jpg")] * 4)
        status, _, answer = one.predict(body, Content_Type=kind)
        alone = one.call("POST", f"/v1/predict/{NAME}", jpeg, X_Request_Timeout_Ms="3000")[2]  # not delayed past that
        assert status == 200
        assert [size for size, _ in one.statistics()["batches"]["sizes"]] == [1, 4]
        for image in answer["images"]:
            assert [r["name"] for r in image["results"]] == [r["name"] for r in alone["images"][0]["results"]]


def test_threads_are_one_picture_s_or_divided_among_many(jpeg):
    with running("--provider", "onednn", "--threads", 2) as one:
        alone = one.predict(jpeg)[2]["images"][0]["results"]
        assert one.statistics()["threads"] == {"limit": 2, "busy": 0, "shares": [[2, 1]]}
        body, kind = form(*[("file", jpeg, "x.jpg")] * 8)
        status, _, answer = one.predict(body, Content_Type=kind)
        assert status == 200 and len(answer["images"]) == 8
        for image in answer["images"]:
            assert [result["name"] for result in image["results"]] == [result["name"] for result in alone]
            assert [result["confidence"] for result in image["results"]] == pytest.approx([result["confidence"] for result in alone], abs=2e-5)
        statistics = one.statistics()
        shares = dict(statistics["threads"]["shares"])
        assert shares[1] >= 1 and sum(shares.values()) == 9 and statistics["threads"]["busy"] == 0
        assert statistics["batches"]["sizes"] == [[1, 9]]  # side by side, not together
        assert one.call("GET", f"/v2/models/{NAME}/config")[2]["instance_group"][0]["count"] == 2


def test_pictures_as_bytes_beside_tensors_of_floats(worker, jpeg):
    """oneDNN's engine takes pictures as bytes where the network's input is fp32; a client's tensors stay floats."""
    raw = struct.pack(f"<{3 * 64 * 64}f", *[(i * 37 % 101) / 128 for i in range(3 * 64 * 64)])
    request = {"inputs": [tensor_input(parameters={"binary_data_size": len(raw)})], "parameters": {"binary_data_output": True}}
    _, _, wanted = infer(worker, request, raw)
    boxes = worker.predict(jpeg)[2]["images"][0]["results"]
    with running("--provider", "onednn") as one:
        for _ in range(2):
            found = one.predict(jpeg)[2]["images"][0]["results"]
            assert [box["name"] for box in found] == [box["name"] for box in boxes]
            assert [box["confidence"] for box in found] == pytest.approx([box["confidence"] for box in boxes], abs=1e-4)
            status, _, tail = infer(one, request, raw)
            assert status == 200
            assert struct.unpack(f"<{7 * 84}f", tail) == pytest.approx(struct.unpack(f"<{7 * 84}f", wanted), rel=1e-3, abs=1e-3)


def test_overload_sheds_and_loses_nothing(jpeg):
    with running("--max-queue", 4, "--max-batch", 1, "--threads", 1) as one:
        gate = threading.Barrier(200)

        def ask(_):
            gate.wait()
            return one.predict(jpeg, SLOW)

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            answers = list(pool.map(ask, range(200)))
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 503}
        for status, fields, answer in answers:
            if status == 503:
                assert 1 <= int(fields["Retry-After"]) <= 60 and answer["error"]["code"] == "overloaded"
            else:
                assert answer["images"][0]["results"]
        counted = one.statistics()
        assert counted["images"]["succeeded"] == statuses.count(200)
        assert counted["images"]["refused"] == statuses.count(503)
        assert counted["queue"]["length"] == 0 and counted["memory"]["buffered_bytes"] == 0
        assert one.predict(jpeg)[0] == 200


def test_a_request_larger_than_the_queue_is_refused(jpeg):
    with running("--max-queue", 2) as one:
        body, kind = form(*[("file", jpeg, "x.jpg")] * 3)
        status, fields, _ = one.predict(body, Content_Type=kind)
        assert status == 503 and fields["Retry-After"]


@contextlib.contextmanager
def busy(one, jpeg, count, **headers):
    """count slow requests, of which all but those in the engine wait."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        before = one.statistics()["images"]["accepted"]
        futures = [pool.submit(one.predict, jpeg, SLOW, **headers) for _ in range(count)]
        one.wait_for_queue(count - 2)
        while one.statistics()["images"]["accepted"] < before + count:  # the last ones may not have connected yet
            assert one.process.poll() is None
        yield futures


def test_deadlines_end_what_waits(jpeg):
    with running("--max-batch", 1, "--threads", 1) as one:
        with busy(one, jpeg, 6) as futures:
            status, _, answer = one.predict(jpeg, X_Request_Timeout_Ms="1", X_Priority="9")
            assert status == 504 and answer["error"]["code"] == "timeout"
            given = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(jpeg).decode()]}
            status, answer, _ = infer(one, {"parameters": {"timeout": 1000, "priority": 9}, "inputs": [given]})
            assert status == 503 and "time ran out" in answer["error"]
            assert not all(future.done() for future in futures)  # they were answered at their time, not at their turn
        assert all(future.result()[0] == 200 for future in futures)
        counted = one.statistics()["images"]
        assert (counted["expired"], counted["succeeded"]) == (2, 6)


def test_the_urgent_overtake(jpeg):
    with running("--max-batch", 1, "--threads", 1) as one:
        with busy(one, jpeg, 8, X_Priority="9") as futures:
            assert one.predict(jpeg, X_Priority="1")[0] == 200
            assert sum(not future.done() for future in futures) >= 3
        assert all(future.result()[0] == 200 for future in futures)


def test_in_a_full_queue_the_urgent_displace_the_others(jpeg):
    with running("--max-queue", 6, "--max-batch", 1, "--threads", 1) as one:
        body, kind = form(*[("file", jpeg, "x.jpg")] * 4)  # the two that are being decoded keep their places
        with busy(one, jpeg, 6) as futures:
            status, _, answer = one.predict(body, Content_Type=kind, X_Priority="1")
            assert status == 200 and len(answer["images"]) == 4
        answers = [future.result() for future in futures]
        displaced = [(fields, answer) for status, fields, answer in answers if status == 503]
        assert displaced and all(status in (200, 503) for status, _, _ in answers)
        for fields, answer in displaced:
            assert 1 <= int(fields["Retry-After"]) <= 60 and "more urgent goes first" in answer["error"]["message"]
        counted = one.statistics()["images"]
        assert counted["displaced"] == len(displaced) and counted["succeeded"] == 10 - len(displaced)
        assert counted["refused"] == 0


def test_a_client_that_goes_away_costs_no_inference(jpeg):
    with running("--max-batch", 1, "--threads", 1) as one:
        with busy(one, jpeg, 5) as futures:
            connection = one.connect()
            connection.request("POST", "/v1/predict", jpeg, {"X-Priority": "9"})
            one.wait_for_queue(2)
            connection.close()
        assert all(future.result()[0] == 200 for future in futures)
        while (counted := one.statistics())["queue"]["length"] or counted["images"]["accepted"] < 6:
            pass
        assert counted["images"]["succeeded"] + counted["images"]["cancelled"] == 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(jpeg, number):
    one = Worker("--max-batch", 2, "--threads", 1)
    with busy(one, jpeg, 6) as futures:
        idle = one.connect()
        idle.connect()
        code, log = one.stop(number)
    assert code == 0 and [line["event"] for line in log] == ["engine", "ready", "draining", "stopped"]
    assert all(future.result()[0] == 200 and future.result()[2]["images"][0]["results"] for future in futures)
    with pytest.raises(OSError):
        one.call("GET", "/v2/health/live")
    idle.close()


def test_statistics_count(jpeg):
    with running() as one:
        for _ in range(3):
            one.predict(jpeg)
        one.predict(b"junk")
        counted = one.statistics()
        assert counted["requests"] == {"total": 4, "answered_2xx": 3, "answered_4xx": 1, "answered_5xx": 0}
        assert (counted["images"]["succeeded"], counted["images"]["failed"]) == (3, 1)
        for stage in counted["stages"].values():
            assert stage["count"] == 3 == sum(count for _, count in stage["buckets"])
        assert counted["batches"]["sizes"] == [[1, 3]] and counted["memory"]["resident_bytes"] > 1 << 20
        triton, = one.call("GET", "/v2/models/mini/versions/1/stats")[2]["model_stats"]
        assert triton["inference_count"] == 3 == triton["execution_count"]
        assert triton["inference_stats"]["compute_infer"]["count"] == 3
        assert triton["inference_stats"]["fail"]["count"] == 1


def test_what_runs_the_network_is_said():
    with running("--provider", "auto", model=MINIATURE / "detect-nms.onnx") as one:
        counted = one.statistics()
        assert counted["provider"] != "auto"
        assert counted["provider"] != "cpu" or "the operator NonZero is not known here" in counted["provider_why"]


@pytest.mark.parametrize("options, part", [
    (["--name", "Upper:v1"], "Upper"), (["--listen", "nowhere"], "nowhere"), (["--listen", "unix:/no/such/dir/s"], "unix"),
    (["--imgsz", "99999"], "imgsz"), (["--model", "/no/such.onnx"], "/no/such.onnx")])
def test_a_worker_that_cannot_start_says_why(options, part):
    good = {"--model": MINIATURE / "detect.onnx", "--name": "mini:v1", "--listen": "127.0.0.1:0"}
    run = serin("worker", *itertools.chain(*{**good, options[0]: options[1]}.items()))
    assert run.returncode in (1, 2) and run.stdout == ""
    assert run.stderr.startswith("serin: worker: ") and part in run.stderr and run.stderr.count("\n") == 1


# ---- clients that others wrote ----

def test_tritonclient(worker, jpeg):
    client_module = pytest.importorskip("tritonclient.http")
    import numpy
    client = client_module.InferenceServerClient(worker.address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(NAME, "1")
    assert client.get_model_metadata(NAME)["name"] == NAME and client.get_model_config(NAME)["name"] == NAME
    values = numpy.random.default_rng(1).random((2, 3, 96, 64), numpy.float32)
    answers = []
    for binary in (True, False):
        given = client_module.InferInput("images", values.shape, "FP32")
        given.set_data_from_numpy(values, binary_data=binary)
        wanted = client_module.InferRequestedOutput("output0", binary_data=not binary)
        answers.append(client.infer(NAME, [given], outputs=[wanted], request_id="9").as_numpy("output0"))
    assert answers[0].shape == (2, 7, 126) and (answers[0] == answers[1]).all()
    given = client_module.InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(numpy.array([jpeg], dtype=object))
    answer = client.infer(NAME, [given], priority=1, timeout=60000000, parameters={"conf": 0.5})
    assert json.loads(answer.as_numpy("detections")[0])[0]["confidence"] > 0.5


def test_ultralytics_as_a_client(worker):
    pytest.importorskip("tritonclient.http")
    ultralytics = pytest.importorskip("ultralytics")
    picture = str(PICTURES / "shapes-640x480.jpg")
    remote = ultralytics.YOLO(f"http://{worker.address}/{NAME}", task="detect")(picture, imgsz=160, verbose=False)[0]
    expected = found_by_predict(MINIATURE / "detect.onnx", picture)["results"]
    found = json.loads(remote.to_json())
    assert [one["name"] for one in found] == [one["name"] for one in expected]
    for one, other in zip(found, expected):
        assert one["box"] == pytest.approx(other["box"], abs=0.01)
