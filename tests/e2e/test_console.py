"""The console over HTTP: its files and how they are served, and the state of things as server-sent events.

SPDX-License-Identifier: Apache-2.0

What a browser makes of them is in tests/browser.
"""
import contextlib
import http.client
import json
import re
import socket

import pytest
from conftest import ROOT
from serve_fixture import DEADLINE_S, Models, serving, until


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("console")) as found:
        model = Models(found, "cam")
        model.add("v1", stable=True)
        model.add("v2")
        yield found


# ---- files ----

def test_every_file_is_served_as_it_is(serve):
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for file in (ROOT / "console").iterdir():
        found = serve.call("GET", f"/{file.name}")
        assert found.status == 200 and found.body == file.read_bytes(), file
        assert found.headers["Content-Type"].split(";")[0] == kinds[file.suffix]
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        policy = found.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; ") and "unsafe" not in policy and "*" not in policy
    assert serve.call("GET", "/").body == (ROOT / "console" / "index.html").read_bytes()
    assert b"MIT" in serve.call("GET", "/vendor/uPlot.LICENSE.txt").body


def test_all_that_a_file_names_is_there(serve):
    """Nothing inline, nothing from elsewhere."""
    for file in (ROOT / "console").iterdir():
        text = file.read_text()
        for path in re.findall(r'(?:src|href)="(/[^"#]+)"|from "(/[^"]+)"', text):
            assert serve.call("GET", "".join(path)).status == 200, (file, path)
        assert not re.search(r"<style|<script(?! type=\"module\" src=)|\sstyle=|\son[a-z]+=\"", text), file
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), file


def test_what_is_known_is_not_sent_again(serve):
    first = serve.call("GET", "/app.js")
    again = serve.call("GET", "/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == first.headers["ETag"]
    assert serve.call("GET", "/app.js", headers={"If-None-Match": '"other"'}).status == 200
    assert first.headers["Cache-Control"] == "no-cache"
    head = serve.call("HEAD", "/app.js")
    assert head.status == 200 and head.body == b"" and int(head.headers["Content-Length"]) == len(first.body)


@pytest.mark.parametrize("path", ("/../meson.build", "/console/../app.js", "/%2e%2e/meson.build", "//app.js", "/app.js/", "/app%2ejs",
                                  "/vendor/", "/vendor/../../src/main.c", "/./app.js", "/app.js%00.html", "/index.html/../app.js"))
def test_no_other_path_is_a_file(serve, path):
    found = serve.call("GET", path)
    assert found.status in (400, 404), found.body


def test_files_are_not_written(serve):
    for method in ("POST", "PUT", "DELETE"):
        assert serve.call(method, "/app.js", b"x").status in (404, 405)


# ---- events ----

class Events:
    """A page that stays open."""

    def __init__(self, serve, query=""):
        self.connection = http.client.HTTPConnection("127.0.0.1", serve.admin, timeout=DEADLINE_S)
        self.connection.request("GET", f"/api/v1/events{query}")
        self.answer = self.connection.getresponse()

    def next(self):
        """(name, data) of the next event."""
        name = None
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream has ended"
            if line.startswith("event: "):
                name = line[7:-1]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])

    def until(self, name, true):
        while True:
            found, data = self.next()
            if found == name and true(data):
                return data

    def close(self):
        self.connection.close()
        self.answer.close()


def test_the_present_state_comes_first(serve):
    with contextlib.closing(Events(serve)) as page:
        assert page.answer.status == 200 and page.answer.headers["Content-Type"] == "text/event-stream"
        assert page.answer.headers["Cache-Control"] == "no-store"
        name, data = page.next()
        assert name == "status" and [model["model"] for model in data["models"]] == ["cam"]
        assert page.next() == ("rollouts", [])


def test_a_change_is_told(serve):
    with contextlib.closing(Events(serve)) as page, contextlib.closing(Events(serve)) as other:
        for weight in (3, 0):
            serve.weights("cam", v2=weight)
            for one in (page, other):
                one.until("status", lambda data, w=weight: data["models"][0]["versions"][1]["weight"] == w)


def test_a_rollout_that_is_not_there_is_said(serve):
    with contextlib.closing(Events(serve, "?rollout=none-7")) as page:
        assert "none-7" in page.until("rollout", lambda data: True)["error"]


def test_pages_are_bounded_and_places_come_back(serve):
    pages = [Events(serve) for _ in range(32)]
    assert all(page.answer.status == 200 for page in pages)
    refused = serve.call("GET", "/api/v1/events")
    assert refused.status == 503 and "32 pages" in refused.json()["error"]
    for page in pages:
        page.close()

    def open_again():
        with contextlib.closing(Events(serve)) as page:
            return page.answer.status == 200
    until(open_again, "a place for a page")


def test_who_does_not_read_keeps_nobody_waiting(serve):
    with socket.create_connection(("127.0.0.1", serve.admin)) as deaf:
        deaf.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.closing(Events(serve)) as page:
            for _ in range(3):
                page.until("status", lambda data: True)


def test_open_pages_do_not_keep_the_program(tmp_path):
    with serving(tmp_path) as serve:
        page = Events(serve)
        page.until("status", lambda data: True)
        assert serve.end() == 0
        page.close()


def test_a_page_of_our_own_may_change_things_and_others_may_not(serve):
    host = f"127.0.0.1:{serve.admin}"
    path, body = "/api/v1/routes/cam/weights", {"v2": 0}
    for origin, status in ((f"http://{host}", 200), ("http://127.0.0.1:1", 403), ("http://evil.example", 403), ("null", 403),
                           (f"http://evil.example@{host}", 403), (f"http://x.{host}", 403), (host, 403)):
        assert serve.call("PATCH", path, body, {"Origin": origin}).status == status, origin
    evil = {"Origin": "http://evil.example", "Host": "evil.example"}  # its DNS may say that it is this address
    assert serve.call("PATCH", path, body, evil).status == 403
