"""serin serve and clients that nobody here wrote: a browser's fetch, perf_analyzer, wrk. Each is skipped where it is missing.

SPDX-License-Identifier: Apache-2.0

perf_analyzer is Triton's, in $PATH or at $PERF_ANALYZER: the Python package tritonclient 2.41 for Linux carries it, and it needs
libb64-0d and libcudart.so.12 (nvidia-cuda-runtime-cu12). The browser is Debian's chromium; what a page saw, it posts to the
server that it came from. tritonclient and ultralytics are in test_worker.py, curl in test_serve.py.
"""
import contextlib
import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import threading

import pytest
from conftest import PICTURES
from serve_fixture import DEADLINE_S, Models, needs_workers, push_two, serving, with_workers

JPEG = (PICTURES / "shapes-97x211.jpg").read_bytes()
PERF_ANALYZER = os.environ.get("PERF_ANALYZER") or shutil.which("perf_analyzer")
CHROMIUM = shutil.which("chromium")
# Without these it looks for its maker's hosts.
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")

pytestmark = needs_workers


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    return push_two(tmp_path_factory.mktemp("pushed") / "data")


@contextlib.contextmanager
def tiny(pushed, folder, *options):
    """tiny:v1 is stable, tiny:v2 has half of the requests."""
    with with_workers(pushed, folder, *options) as serve:
        serve.deploy("tiny:v1", stable=True)
        serve.deploy("tiny:v2")
        serve.weights("tiny", v1=1, v2=1)
        yield serve


def answered(serve):
    """How many requests each version answered; none may have gone wrong."""
    counters = {tag: serve.counters("tiny", tag) for tag in ("v1", "v2")}
    for counted in counters.values():
        assert counted["errors"] == counted["client_errors"] == counted["failures"] == counted["fallbacks"] == 0
    return [counted["answered"] for counted in counters.values()]


# ---- a browser ----

PAGE = """<!doctype html><title>asks</title><script>
async function ask(url, options) {
    try {
        const got = await fetch(url, options);
        const body = await got.text();
        return {status: got.status, version: got.headers.get("x-serin-version"), timing: got.headers.get("server-timing"),
                id: got.headers.get("x-request-id"), body};
    } catch (error) {
        return {error: String(error)};
    }
}
async function run() {
    const picture = await (await fetch("/picture")).blob();
    const form = new FormData();
    form.append("file", picture, "a.jpg");
    const url = GATEWAY + "/v1/predict/tiny";
    const seen = {
        raw: await ask(url, {method: "POST", body: picture, headers: {"X-Camera": "seven", "X-Request-Id": "of-a-page"}}),
        form: await ask(url, {method: "POST", body: form}),
        wrong: await ask(url, {method: "POST", body: "no picture"}),
        health: await ask(GATEWAY + "/v2/health/ready"),
    };
    await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
}
run();
</script>"""


class Site(http.server.ThreadingHTTPServer):
    """Where the page comes from, and what it tells of its fetches."""
    daemon_threads = True

    def __init__(self):
        self.page, self.told = b"", queue.Queue()
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.origin = f"http://localhost:{self.server_address[1]}"


class SiteHandler(http.server.BaseHTTPRequestHandler):
    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/picture":
            self.answer("image/jpeg", JPEG)
        else:
            self.answer("text/html", self.server.page if self.path == "/" else b"")

    def do_POST(self):
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer("text/plain", b"")

    def log_message(self, *_):
        pass


def fetched(site, gateway, folder):
    """What a page of the site gets of the gateway."""
    site.page = PAGE.replace("GATEWAY", json.dumps(gateway)).encode()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": .01})
    thread.start()
    try:
        with open(folder / "chromium", "wb") as log, subprocess.Popen(
                [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-port=0", site.origin + "/"],
                stdout=log, stderr=log) as browser:
            try:
                return site.told.get(timeout=DEADLINE_S)
            finally:
                browser.terminate()
    finally:
        site.shutdown()
        thread.join()


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
@pytest.mark.parametrize("allowed", (True, False), ids=("allowed", "not allowed"))
def test_a_page_of_another_origin(pushed, tmp_path, allowed):
    """localhost and 127.0.0.1 are two origins, and so are two ports."""
    with Site() as site, tiny(pushed, tmp_path, "--cors-origins",
                              f"https://a.example {site.origin if allowed else 'http://localhost'}") as serve:
        seen = fetched(site, f"http://127.0.0.1:{serve.port}", tmp_path)
        if not allowed:
            assert all("TypeError" in one["error"] for one in seen.values()), seen
            assert answered(serve) == [0, 0]
            return
        for one in (seen["raw"], seen["form"]):
            assert one["status"] == 200 and one["version"] in ("v1", "v2") and "inference" in one["timing"], one
            found = json.loads(one["body"])
            assert found["model"] == "tiny" and found["version"] == one["version"]
            assert found["images"][0]["shape"] == [211, 97]
        assert seen["raw"]["id"] == json.loads(seen["raw"]["body"])["request_id"] == "of-a-page"
        assert seen["wrong"]["status"] == 415 and json.loads(seen["wrong"]["body"])["error"]
        assert (seen["health"]["status"], json.loads(seen["health"]["body"])) == (200, {"ready": True})


# ---- load ----

@pytest.mark.skipif(not PERF_ANALYZER, reason="perf_analyzer is not installed")
@pytest.mark.parametrize("options", (["--shape", "images:3,64,64"], ["-b", "2", "--shape", "images:3,32,96"],
                                     ["--shape", "images:3,32,32", "--input-data", "zero",  # its random numbers hold NaN,
                                      "--input-tensor-format", "json", "--output-tensor-format", "json"]),  # which is no JSON
                         ids=("binary", "batch", "json"))
def test_perf_analyzer(pushed, tmp_path, options):
    with tiny(pushed, tmp_path) as serve:
        run = subprocess.run([PERF_ANALYZER, "-m", "tiny", "-u", f"127.0.0.1:{serve.port}", "-i", "http", *options,
                              "--concurrency-range", "1:3", "--measurement-interval", "100", "--max-trials", "3",
                              "--stability-percentage", "999"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=False)
        assert run.returncode == 0 and "rror" not in run.stdout, run.stdout
        asked = [int(count) for count in re.findall(r"\n    Request count: (\d+)", run.stdout)]
        of_server = re.findall(r"Successful request count: (\d+)\n +Avg request latency: \d+ usec \(overhead .*compute infer \d+",
                               run.stdout)
        assert len(asked) == len(of_server) == 3 and min(asked) > 0, run.stdout
        assert all(count > 0 for count in answered(serve)) and sum(answered(serve)) >= sum(asked)


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_wrk(pushed, tmp_path):
    """What wrk counts, the versions have answered, but for those under way at its end."""
    script = tmp_path / "post.lua"
    script.write_text(f"""wrk.method = "POST"
wrk.headers["Content-Type"] = "image/jpeg"
local file = io.open("{PICTURES / 'shapes-97x211.jpg'}", "rb")
wrk.body = file:read("*a")
done = function(summary)
    local e = summary.errors
    print("counted", summary.requests, e.connect, e.read, e.write, e.status, e.timeout)
end
""")
    with tiny(pushed, tmp_path) as serve:
        run = subprocess.run(["wrk", "-t", "1", "-c", "8", "-d", "1", "-s", script, f"http://127.0.0.1:{serve.port}/v1/predict/tiny"],
                             stdout=subprocess.PIPE, text=True, timeout=DEADLINE_S, check=True)
        requests, *errors = map(int, re.search(r"counted\s+(.*)", run.stdout)[1].split())
        assert requests > 0 and errors == [0] * 5, run.stdout
        counted = [serve.counters("tiny", tag) for tag in ("v1", "v2")]
        assert all(one["answered"] > 0 for one in counted)
        assert all(one["errors"] == one["client_errors"] == one["failures"] == 0 for one in counted)
        assert 0 <= sum(one["answered"] for one in counted) - requests <= 8


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(pushed, tmp_path):
    """Each of its ways to send a picture finds the same boxes."""
    picture = PICTURES / "shapes-640x480.jpg"
    with tiny(pushed, tmp_path) as serve:
        boxes = []
        for way in (["--data-binary", f"@{picture}"], ["-F", f"file=@{picture}"], ["-0", "--data-binary", f"@{picture}"],
                    ["-X", "POST", "-T", picture], ["-X", "POST", "-T", "-"], ["-H", "Expect: 100-continue", "-F", f"image=@{picture}"]):
            with open(picture, "rb") as stdin:
                run = subprocess.run(["curl", "-sS", "--fail", *way, f"http://127.0.0.1:{serve.port}/v1/predict/tiny"],
                                     stdin=stdin, stdout=subprocess.PIPE, timeout=DEADLINE_S, check=True)
            boxes.append([image["results"] for image in json.loads(run.stdout)["images"]])
        assert len(boxes[0]) == 1 and boxes[0][0] and boxes == boxes[:1] * len(boxes)
        assert sum(answered(serve)) == len(boxes)
