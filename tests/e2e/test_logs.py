"""The logs: their fields, who may not be in them, and readers that stand still.

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import json
import os
import pty
import re
import select
import subprocess

import pytest
import yaml
from conftest import BIN, ROOT, serin
from serve_fixture import DEADLINE_S, Fake, Models, Serve, answer, serving, until

# Of the Elastic Common Schema 9 (its field reference), those that are ours, with their types.
ECS = {"@timestamp": "date", "log.level": "keyword", "ecs.version": "keyword", "message": "match_only_text",
       "service.name": "keyword", "service.type": "keyword", "service.version": "keyword", "event.kind": "keyword",
       "event.dataset": "keyword", "event.category": "keyword", "event.type": "keyword", "event.outcome": "keyword",
       "event.duration": "long", "http.request.id": "keyword", "http.request.method": "keyword",
       "http.request.body.bytes": "long", "http.response.status_code": "long", "http.response.body.bytes": "long",
       "url.path": "wildcard", "client.address": "keyword", "trace.id": "keyword", "error.message": "match_only_text"}
ALLOWED = {"event.kind": {"event"}, "event.category": {"web"}, "event.type": {"access"},
           "event.outcome": {"success", "failure", "unknown"}, "log.level": {"info", "warn", "error"},
           "event.dataset": {"serin.serve", "serin.access"}, "service.name": {"serin"}}
ARRAYS = {"event.category", "event.type"}  # as ECS wants them
KINDS = {"long": int, "boolean": bool, "date": str, "keyword": str, "match_only_text": str, "wildcard": str}


def table():
    """Name to type, as src/base/log_fields.h has them."""
    text = (ROOT / "src" / "base" / "log_fields.h").read_text()
    found = re.findall(r'#define LOG_\w+\s+"([^"]+)"\s*/\*\s*(\w+): ', text)
    assert len(found) == len(dict(found)) == text.count("#define LOG_")
    return dict(found)


def check_line(text):
    """One line, strictly; its fields."""
    pairs = json.loads(text, object_pairs_hook=list)
    fields = dict(pairs)
    assert len(fields) == len(pairs), text
    for name, value in fields.items():
        kind = table()[name]
        values = value if name in ARRAYS else [value]
        assert isinstance(values, list) and all(type(one) is KINDS[kind] for one in values), (name, value)
        assert name not in ALLOWED or set(values) <= ALLOWED[name], (name, value)
    for name in ("@timestamp", "log.level", "ecs.version", "service.name", "service.version", "event.dataset", "doing"):
        assert fields[name], (name, text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields["@timestamp"])
    return fields


def lines(path):
    return [check_line(line) for line in path.read_text().splitlines()]


def test_one_table():
    """The header, the documentation and the index template say the same, and what ECS has is as ECS has it."""
    found = table()
    assert {name: kind for name, kind in found.items() if not name.startswith("serin.") and name != "doing"} == ECS
    told = re.findall(r"^\| `([a-z_@.]+)` \| (date|keyword|long|boolean|wildcard|match_only_text) \| .+ \|$",
                      (ROOT / "docs" / "monitoring.md").read_text(), re.MULTILINE)
    assert dict(told) == found and len(told) == len(found)

    def leaves(properties, path=()):
        for name, one in properties.items():
            yield from leaves(one["properties"], (*path, name)) if "properties" in one \
                else [(".".join((*path, name)), one["type"])]
    template = json.loads((ROOT / "deploy" / "elasticsearch" / "index-template.json").read_text())
    assert dict(leaves(template["template"]["mappings"]["properties"])) == {**found, "host.name": "keyword"}


def test_every_field_is_written(tmp_path):
    """Both logs of a life with good and bad requests hold what the table says, and all of it."""
    with serving(tmp_path) as serve:
        models = Models(serve, "m")
        models.add("a", lambda asked: answer(400 if asked.body == b"bad" else 200), stable=True)
        models.add("b", lambda asked: answer(500))
        models.put(mirrors=[{"tag": "b", "per_million": 1000000}])
        client = serve.client()
        began = datetime.datetime.now(datetime.timezone.utc)
        assert client.ask("POST", "/v1/predict/m?conf=.5", b"12345", {"X-Request-Id": "mine", "traceparent":
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}).status == 200
        assert client.predict("m", b"bad").status == 400
        assert client.predict("nobody").status == 404
        models.weights(a=0, b=1)
        assert client.predict("m").fallback == "b"
        client.close()
    access, events = lines(tmp_path / "access"), lines(tmp_path / "events")
    assert len(access) == 4 and events
    first = access[0]
    assert first["http.request.id"] == "mine" and first["url.path"] == "/v1/predict/m" and first["serin.version"] == "a"
    assert first["http.request.body.bytes"] == 5 and first["event.outcome"] == "success"
    assert first["http.response.status_code"] == 200 and first["serin.mirrored"]
    assert 0 < first["event.duration"] < 60e9
    stamp = datetime.datetime.fromisoformat(first["@timestamp"].replace("Z", "+00:00"))
    assert began - datetime.timedelta(milliseconds=2) <= stamp
    assert [one["event.outcome"] for one in access] == ["success", "failure", "failure", "success"]
    assert access[3]["serin.fallback"] and access[3]["error.message"] and access[3]["serin.assigned"] == "b"
    assert {name for one in access for name in one} | {"message"} == set(table()) - {"trace.id"}
    assert {one["doing"] for one in access} == {"answering"} and len({one["doing"] for one in events}) > 1
    assert all(one["message"] for one in events)


def test_shippers_read_what_is_written(tmp_path):
    """Fluentd and Fluent Bit are not here: their files are read as they would, against a real log."""
    folder = ROOT / "deploy"
    bit = yaml.safe_load((folder / "fluent-bit" / "fluent-bit.yaml").read_text())
    parsers = dict(re.findall(r"^ +(\w+) +(\S+)$", (folder / "fluent-bit" / "parsers.conf").read_text(), re.MULTILINE))
    assert bit["service"]["parsers_file"] == "parsers.conf" and parsers["Format"] == "json"
    inputs = {one["tag"]: one for one in bit["pipeline"]["inputs"]}
    assert all(one["name"] == "tail" and one["parser"] == parsers["Name"] for one in inputs.values())
    output = bit["pipeline"]["outputs"][0]
    assert output["name"] == "es" and output["time_key"] == parsers["Time_Key"] == "@timestamp"

    # Fluentd's configuration: sections in sections, a word and its value a line.
    root, stack = [], []
    for line in (folder / "fluentd" / "fluent.conf").read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("</"):
            assert stack.pop()[0] == line[2:-1]
        elif line.startswith("<"):
            name, _, of = line[1:-1].partition(" ")
            made = (name, of, {}, [])
            (stack[-1][3] if stack else root).append(made)
            stack.append(made)
        else:
            word, _, value = line.partition(" ")
            assert word not in stack[-1][2] and value, line
            stack[-1][2][word] = value
    assert not stack
    sources = {one[2]["tag"]: one for one in root if one[0] == "source"}
    assert set(sources) == set(inputs) == {"serin.events", "serin.access"}
    match = next(one for one in root if one[0] == "match")
    assert match[1] == "serin.**" and match[2]["@type"] == "elasticsearch"
    template = json.loads((folder / "elasticsearch" / "index-template.json").read_text())
    for prefix in (match[2]["logstash_prefix"], output["logstash_prefix"]):
        assert re.fullmatch(template["index_patterns"][0].replace("*", ".*"), f"{prefix}-2026.01.31")
    with serving(tmp_path) as serve:
        assert serve.ask("GET", "/v1/predict/nobody").status in (404, 405)
    for tag, source in sources.items():
        parse = next(one for one in source[3] if one[0] == "parse")[2]
        assert source[2]["path"] == inputs[tag]["path"] == f"/var/log/serin/{tag.split('.')[1]}.ndjson"
        assert parse["@type"] == "json" and parse["time_key"] == "@timestamp"
        for one in lines(tmp_path / tag.split(".")[1]):
            for form in (parse["time_format"], parsers["Time_Format"]):  # %L: milliseconds
                datetime.datetime.strptime(one["@timestamp"], form.replace("%L", "%f"))
    paths = re.findall(r"--(?:access-)?log (\S+)", (folder / "fluent-bit" / "fluent-bit.yaml").read_text())
    assert set(paths) == {one["path"] for one in inputs.values()}


SECRET = "f00dfeed5ec2e7"


def test_no_secret_is_logged(tmp_path):
    """What is secret is sent wherever it may be, rightly and wrongly; no log has it, nor a byte of a picture."""
    hook = Fake(lambda asked: answer(500))
    picture = b"\xff\xd8\xff" + SECRET.encode() * 40
    with serving(tmp_path) as serve:
        models = Models(serve, "m")
        models.add("a", lambda asked: answer(401, SECRET.encode(), b"text/plain")
                   if asked.body == b"refuse" else answer(extra=b"X-Secret: " + SECRET.encode() + b"\r\n"), stable=True)
        models.add("b", lambda asked: answer(500, SECRET.encode()))
        client = serve.client()
        for name, value in (("Authorization", f"Bearer {SECRET}"), ("Authorization", f"Basic {SECRET}"),
                            ("X-Api-Key", SECRET), ("Cookie", f"serin_session={SECRET}"), ("X-Camera", SECRET),
                            ("X-Serin-Csrf", SECRET), ("Proxy-Authorization", SECRET)):
            for body in (picture, b"refuse"):
                client.predict("m", body, {name: value})
                client.predict("m", body, {name: value}, query=f"?token={SECRET}&api_key={SECRET}&conf={SECRET}")
                client.predict("nobody", body, {name: value})
            for method, path in (("GET", "status"), ("POST", "deploy"), ("POST", "login"), ("DELETE", f"tokens/x?{SECRET}"),
                                 ("POST", "tokens"), ("PUT", "routes/m"), ("POST", "reload")):
                serve.call(method, f"/api/v1/{path}", {"token": SECRET, "password": SECRET}, {name: value})
        form = (b"--x\r\nContent-Disposition: form-data; name=\"conf\"\r\n\r\n" + SECRET.encode() +
                b"\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + SECRET.encode() +
                b"\"\r\n\r\n" + picture + b"\r\n--x--\r\n")
        client.ask("POST", "/v1/predict/m", form, {"Content-Type": "multipart/form-data; boundary=x"})
        client.ask("POST", f"/v1/feedback/{'0' * 32}", json.dumps({"labels": SECRET}))
        models.weights(a=0, b=1)
        client.predict("m", picture)
        models.weights(a=1, b=0)
        client.close()
        # A webhook whose URL and key are secret, and which fails.
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump({
            "guards": [{"metric": "error_rate", "margin": 1, "required": False}],
            "steps": [{"weight": "50%", "min": {"time": "1h"}}, {"weight": "100%"}],
            "webhooks": [{"url": f"{hook.url}/{SECRET}?key={SECRET}", "on": ["gate"], "timeout": "1s"}]}))
        found = serin("rollout", "start", "m:b", "--url", models.fakes[1].url, "--plan", tmp_path / "plan.yaml",
                      "--admin", f"127.0.0.1:{serve.admin}")
        assert found.returncode == 0, found.stderr
        until(lambda: "calling a webhook" in (tmp_path / "events").read_text(), "the webhook has failed")
        # A token of the program's own, from its making to its use.
        token = json.loads(serve.call("POST", "/api/v1/tokens", {"name": "ann", "role": "admin"}).body)["token"]
        for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {token}x"}):
            serve.call("GET", "/api/v1/status", headers=headers)
            serve.call("POST", "/api/v1/login", {"token": headers["Authorization"][7:]})
        serve.call("DELETE", "/api/v1/tokens/ann", headers={"Authorization": f"Bearer {token}"})
    hook.stop()
    written = b"".join((tmp_path / name).read_bytes() for name in ("access", "events", "stderr"))
    assert b"calling a webhook" in written and hook.url.encode() in written
    for secret in (SECRET, token, token[4:20]):
        at = written.find(secret.encode())
        assert at < 0, written[max(0, at - 300):at + 100]
    lines(tmp_path / "events")
    assert len(lines(tmp_path / "access")) > 40


def test_sampling_keeps_errors_and_fallbacks(tmp_path):
    with serving(tmp_path, "--log-sample", "0") as serve:
        models = Models(serve, "m")
        models.add("a", stable=True)
        models.add("b", lambda asked: answer(500))
        client = serve.client()
        for _ in range(20):
            assert client.predict("m").status == 200
        assert client.predict("nobody").status == 404
        models.weights(a=0, b=1)
        assert client.predict("m").fallback == "b"
        client.close()
    assert [one["http.response.status_code"] for one in lines(tmp_path / "access")] == [404, 200]


@pytest.mark.parametrize("where", ["/dev/full", "fifo"])
def test_a_log_that_takes_nothing(tmp_path, where):
    """Requests are answered all the same, what is lost is counted and told, and the program ends."""
    path = where
    if where == "fifo":
        path = tmp_path / "fifo"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # and never reads

    serve = Serve(tmp_path)
    serve.access_log = path
    try:
        serve.start()
        client = serve.client()
        for _ in range(300):
            assert client.predict("nobody").status == 404
        client.close()
        if where == "/dev/full":
            until(lambda: 'serin_log_lines_dropped_total{log="access"} 300\n' in serve.call("GET", "/metrics").body.decode(),
                  "lost lines are counted")
            until(lambda: any("lines of the access log were lost" in one["message"] for one in lines(tmp_path / "events")),
                  "lost lines are told of")
        assert serve.end() == 0
    finally:
        serve.kill()
        if where == "fifo":
            os.close(reader)


def test_a_pipe_that_nobody_reads(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    found = serin("serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                  "--access-log", tmp_path / "fifo")
    assert found.returncode == 1 and "a pipe that nobody reads" in found.stderr


def test_on_a_terminal(tmp_path):
    """People get lines that they can read; files and pipes get JSON."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BIN, "serve", "--data-dir", tmp_path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                                "--access-log", "-"], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        serve = Serve(tmp_path)
        serve.port = int(re.search(rb"127\.0\.0\.1:(\d+),", process.stdout.readline())[1])
        assert serve.ask("POST", "/v1/predict/nobody", b"x").status == 404
        process.terminate()
        while select.select([ours], [], [], DEADLINE_S)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(ours)
    text = seen.decode().replace("\r\n", "\n")
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} info  POST /v1/predict/nobody 404 in \d+\.\d ms: no model 'nobody'", text,
                     re.MULTILINE), text
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} info  ending: on SIGTERM$", text, re.MULTILINE), text
    assert "{" not in text
