"""A running serin serve, and model servers that misbehave on purpose, for the tests of the gateway.

SPDX-License-Identifier: Apache-2.0

Nothing here sleeps to wait for something: until() asks again until a deadline that is far beyond any test.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import BIN, MINIATURE, serin

DEADLINE_S = 60
JSON = b"application/json"


def until(ask, what, deadline_s=DEADLINE_S):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + deadline_s
    while True:
        found = ask()
        if found:
            return found
        assert time.monotonic() < end, f"it never came: {what}"
        threading.Event().wait(.01)


SEEN = b'{"images": [{"results": []}], "from": "fake"}'  # what a prediction of one picture without objects is answered with


def answer(status=200, body=SEEN, kind=JSON, extra=b""):
    """The bytes of a whole answer."""
    return (b"HTTP/1.1 %d Because\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n"
            % (status, kind, extra, len(body))) + body


class Asked:
    """One request as a model server got it."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target = lines[0].split(" ")[:2]
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.body = body

    def get(self, name):
        """The value of a field; None where it is not there or there twice."""
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        return found[0] if len(found) == 1 else None


class Fake:
    """A model server: behave(asked) gives the answer's bytes, or a list of them, sent with pauses of 50 ms; None closes
    without a word. close: after each answer. Health checks are answered well, apart from the others and not counted,
    unless well is cleared. declare(asked) answers what admission asks; without it the fake does not speak of itself."""

    def __init__(self, behave=None, close=False, declare=None):
        self.behave = behave or (lambda asked: answer())
        self.declare = declare or (lambda asked: answer(404, b""))
        self.admission = []  # what it asked for
        self.checks = 0
        self.well = threading.Event()
        self.well.set()
        self.deaf = threading.Event()  # health checks of processes that come now hang
        self.hearing = set()
        self.close = close
        self.ended = threading.Event()
        self.asked, self.count = [], 0
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        """As if the process had died: connections are gone, and the port refuses."""
        self.ended.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while not self.ended.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while not self.ended.is_set():
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = stream.readline()
                    if not line:
                        return
                    head += line
                found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                asked = Asked(head, stream.read(int(found[1])) if found else b"")
                if asked.get("User-Agent") == "serin-health":
                    self.checks += 1
                    if self.deaf.is_set() and connection not in self.hearing:
                        self.ended.wait(.2)
                        return
                    self.hearing.add(connection)
                    connection.sendall(answer() if self.well.is_set() else answer(400, b""))
                    continue
                if asked.get("User-Agent") == "serin-admission":
                    self.admission.append(f"{asked.method} {asked.target}")
                    says = self.declare(asked)
                else:
                    with self.lock:
                        self.count += 1
                        self.asked = self.asked[-99:] + [asked]
                    says = self.behave(asked)
                if says is None:
                    return
                for part in says if isinstance(says, list) else [says]:
                    connection.sendall(part)
                    if isinstance(says, list) and self.ended.wait(.05):
                        return
                if self.close:
                    return
        with self.lock:
            self.connections.discard(connection)


class Answer:
    """What a client got."""

    def __init__(self, found):
        self.status, self.headers, self.body = found.status, found.headers, found.read()
        self.version = self.headers["X-Serin-Version"]
        self.fallback = self.headers["X-Serin-Fallback"]

    def json(self):
        return json.loads(self.body)


class Client:
    """One kept connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        return Answer(self.connection.getresponse())

    def predict(self, model, body=b"a picture", headers=None, query=""):
        return self.ask("POST", f"/v1/predict/{model}{query}", body, {"Content-Type": "image/jpeg", **(headers or {})})

    def close(self):
        self.connection.close()


class Serve:
    """The program on a data folder, ports of its own choice."""

    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.options = options
        self.access_log = self.folder / "access"
        self.admin_address = "127.0.0.1:0"
        self.environment = {}
        self.process = None

    def spawn(self, *more):
        """Another process of the program on the folder."""
        with open(self.folder / "stderr", "ab") as stderr:
            return subprocess.Popen(
                [BIN, "serve", "--data-dir", self.folder / "data", "--listen", "127.0.0.1:0", "--admin", self.admin_address,
                 "--log", self.folder / "events", "--access-log", self.access_log, *self.options, *more],
                stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **self.environment})

    def wait_for(self, process):
        """Until it serves; its ports."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            assert waiting.select(DEADLINE_S), "serin serve says nothing"
        line = process.stdout.readline().decode()
        found = re.fullmatch(r"serving on 127\.0\.0\.1:(\d+), admin on 127\.0\.0\.1:(\d+)\n", line)
        assert found, (line, (self.folder / "stderr").read_text())
        return int(found[1]), int(found[2])

    def start(self):
        self.process = self.spawn()
        self.port, self.admin = self.wait_for(self.process)
        return self

    def take_over(self, *more):
        """A new process in the place of the one that runs, which must end well."""
        heir, elder = self.spawn("--takeover", *more), self.process
        self.process = heir
        try:
            assert self.wait_for(heir) == (self.port, self.admin)
            assert elder.wait(DEADLINE_S) == 0
        finally:
            elder.kill()
            elder.wait(DEADLINE_S)
            elder.stdout.close()

    def client(self):
        return Client(self.port)

    def ask(self, *arguments, **more):
        """On a connection of its own."""
        with contextlib.closing(self.client()) as client:
            return client.ask(*arguments, **more)

    def call(self, method, path, body=None, headers=None):
        """The control API, as it answers."""
        with contextlib.closing(Client(self.admin)) as client:
            return client.ask(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body),
                              headers)

    def api(self, method, path, body=None):
        """The control API, where it must agree."""
        found = self.call(method, "/api/v1/" + path, body)
        assert found.status == 200, found.body
        return found.json()

    def deploy(self, name, url="", stable=False, replicas=1):
        return self.api("POST", "deploy", {"name": name, "url": url, "stable": stable, "replicas": replicas})

    def weights(self, model, **weights):
        return self.api("PATCH", f"routes/{model}/weights", weights)

    def put(self, model, **changes):
        """The route with some of its fields replaced."""
        return self.api("PUT", f"routes/{model}", {**self.api("GET", f"routes/{model}"), **changes})

    def versions(self, model):
        """What the status tells of a model's versions, by tag."""
        found = [m for m in self.api("GET", "status")["models"] if m["model"] == model]
        return {version["tag"]: version for version in found[0]["versions"]}

    def counters(self, model, tag):
        return self.versions(model)[tag]["counters"]

    def workers(self):
        """Processes whose parent is the program."""
        return children(self.process.pid)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        if self.process:
            self.process.stdout.close()


def children(pid):
    with contextlib.suppress(OSError):
        return [int(child) for task in os.listdir(f"/proc/{pid}/task")
                for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return []


@contextlib.contextmanager
def serving(folder, *options):
    """A started program, that must end well when it is asked to."""
    serve = Serve(folder, *options)
    try:
        yield serve.start()
        if serve.process.poll() is None:
            assert (ended := serve.end()) == 0, (ended, (serve.folder / "stderr").read_text())
        assert (serve.folder / "stderr").read_text() == ""  # no word of a sanitizer
    finally:
        serve.kill()


class Models:
    """A model of fakes on a running program: stable and canary, taken away again at the end."""

    def __init__(self, serve, name):
        self.serve, self.name = serve, name
        self.fakes, self.tags = [], []

    def add(self, tag, behave=None, stable=False, **options):
        fake = behave if isinstance(behave, Fake) else Fake(behave, **options)
        self.fakes.append(fake)
        self.serve.deploy(f"{self.name}:{tag}", fake.url, stable)
        self.tags.append(tag)
        return fake

    def weights(self, **weights):
        return self.serve.weights(self.name, **weights)

    def put(self, **changes):
        return self.serve.put(self.name, **changes)

    def counters(self, tag):
        return self.serve.counters(self.name, tag)

    def remove(self):
        self.serve.api("DELETE", f"routes/{self.name}")
        for tag in self.tags:
            self.serve.api("DELETE", f"serving/{self.name}:{tag}")
        for fake in self.fakes:
            fake.stop()


# ---- workers ----

# A worker's sandbox keeps ThreadSanitizer from its list of suppressions.
needs_workers = pytest.mark.skipif("thread" in os.environ.get("SERIN_CC", ""), reason="no workers under ThreadSanitizer")


def push_two(folder):
    """A store with one model as two versions, tiny:v1 and tiny:v2."""
    for tag in ("v1", "v2"):
        found = serin("push", f"tiny:{tag}", "--model", MINIATURE / "detect.onnx", "--data-dir", folder)
        assert found.returncode == 0, found.stderr
    return folder


def with_workers(pushed, folder, *options):
    """A program on a copy of that store."""
    shutil.copytree(pushed, folder / "data", symlinks=True)
    return serving(folder, "--worker-threads", "1", "--gateway-threads", "1", *options)
