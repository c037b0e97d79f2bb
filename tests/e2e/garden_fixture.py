"""The home garden: HTTP servers of other people, as origins behind the gateway, each with a log of the requests it saw.

SPDX-License-Identifier: Apache-2.0

ORIGINS has a function for each that gives its command line; is_installed() tells whether it is there. All log a line a request:
id, method, target, bytes of the body (those of programs) or its declared length (those of servers with a log format, which
then show a smuggled request as a line of its own; "?" where they do not tell). Servers that log once the answer is away have
one thread, so that their lines keep the order of the requests. What lies in garden/ are the programs.
"""
import contextlib
import functools
import getpass
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

from serve_fixture import until

GARDEN = pathlib.Path(__file__).resolve().parent / "garden"
DEBIAN_PYTHON = "/usr/bin/python3"  # the one that Debian's python3-* packages are for
SBIN = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/usr/local/go/bin"}


def which(name):
    return shutil.which(name, path=SBIN["PATH"])


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def www(folder):
    """Files for servers of files: they say that they are ready."""
    (folder / "www" / "v2" / "health").mkdir(parents=True)
    (folder / "www" / "v2" / "health" / "ready").write_text("{}")
    return folder / "www"


def nginx(folder, port, log):
    return [which("nginx"), "-e", str(folder / "errors"), "-c", write(folder, "nginx.conf", f"""
daemon off; master_process off; pid {folder}/pid; worker_processes 1;
events {{ worker_connections 256; }}
http {{
    log_format garden escape=none "$http_x_request_id\\t$request_method\\t$request_uri\\t$http_content_length";
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        access_log {log} garden;
        default_type application/json;
        location / {{ return 200 "{{}}"; }}
    }}
}}""")]


def apache(folder, port, log):
    return [which("apache2"), "-X", "-f", write(folder, "apache.conf", f"""
ServerRoot /usr/lib/apache2
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule alias_module modules/mod_alias.so
ServerName garden
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/errors
ServerLimit 1
ThreadsPerChild 1
MaxRequestWorkers 1
DocumentRoot {www(folder)}
AllowEncodedSlashes NoDecode
LogFormat "%{{X-Request-Id}}i\\t%r\\t%{{Content-Length}}i" garden
CustomLog {log} garden
""")]


def lighttpd(folder, port, log):
    return [which("lighttpd"), "-D", "-f", write(folder, "lighttpd.conf", f"""
server.modules = ("mod_accesslog")
server.document-root = "{www(folder)}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/errors"
accesslog.filename = "{log}"
accesslog.format = "%{{X-Request-Id}}i\\t%r\\t%{{Content-Length}}i"
""")]


def haproxy(folder, port, log):
    return ["/bin/sh", "-c", f"exec '{which('haproxy')}' -db -f \"$0\" >>'{log}'", write(folder, "haproxy.cfg", f"""
global
    log stdout format raw local0 info
    maxconn 200
    nbthread 1
defaults
    mode http
    timeout client 60s
    timeout connect 5s
    timeout server 60s
frontend garden
    bind 127.0.0.1:{port}
    log global
    option dontlognull
    capture request header X-Request-Id len 64
    capture request header Content-Length len 20
    log-format "%[capture.req.hdr(0)]\\t%[capture.req.method]\\t%[capture.req.uri]\\t%[capture.req.hdr(1)]"
    http-request return status 200 content-type application/json string "{{}}"
""")]


def h2o(folder, port, log):
    return [which("h2o"), "-c", write(folder, "h2o.conf", f"""
listen: {{host: 127.0.0.1, port: {port}}}
num-threads: 1
user: {getpass.getuser()}
access-log: {{path: "{log}", format: "%{{x-request-id}}i\\t%r\\t?", escape: json}}
hosts: {{default: {{paths: {{"/": {{file.dir: "{www(folder)}"}}}}}}}}
""")]


def caddy(folder, port, log):
    return [which("caddy"), "run", "--adapter", "caddyfile", "--config", write(folder, "Caddyfile", f"""{{
    admin off
    auto_https off
    storage file_system {folder}/caddy
}}
http://127.0.0.1:{port} {{
    log {{
        output file {log}
        format json
    }}
    header Content-Type application/json
    respond "{{}}"
}}
""")]


def node(folder, port, log):
    return [which("node"), str(GARDEN / "origin.js"), str(port), str(log)]


def go(folder, port, log):
    subprocess.run([which("go"), "build", "-o", folder / "origin", GARDEN / "origin.go"], check=True,
                   env={**SBIN, "GO111MODULE": "off", "GOFLAGS": ""})
    return [str(folder / "origin"), str(port), str(log)]


def java(folder, port, log):
    return [which("java"), "-Dsun.net.httpserver.nodelay=true", str(GARDEN / "Origin.java"), str(port), str(log)]


def puma(folder, port, log):
    return ["/usr/bin/env", f"GARDEN_LOG={log}", which("puma"), "-q", "-e", "production", "-t", "2:2",
                              "-b", f"tcp://127.0.0.1:{port}", str(GARDEN / "origin.ru")]


def microhttpd(folder, port, log):
    subprocess.run(["cc", "-O1", "-o", folder / "origin", GARDEN / "origin.c", "-lmicrohttpd"], check=True)
    return [str(folder / "origin"), str(port), str(log)]


def python(kind):
    return lambda folder, port, log: [DEBIAN_PYTHON, str(GARDEN / "origins.py"), kind, str(port), str(log)]


PYTHONS = ("http.server", "h11", "waitress", "werkzeug", "cheroot", "gunicorn", "uvicorn", "tornado", "aiohttp", "twisted")
ORIGINS = {one.__name__: one for one in (nginx, apache, lighttpd, haproxy, h2o, caddy, node, go, java, puma, microhttpd)}
ORIGINS.update({kind: python(kind) for kind in PYTHONS})
COMMANDS = {"apache": "apache2", "java": "javac", "microhttpd": "cc"}  # where the command's name is another


@functools.cache
def is_installed(name):
    if name in PYTHONS:
        return os.path.exists(DEBIAN_PYTHON) and subprocess.run([DEBIAN_PYTHON, "-c", f"import {name}"], stderr=subprocess.DEVNULL,
                                                                check=False).returncode == 0
    return which(COMMANDS.get(name, name)) is not None and (name != "microhttpd" or os.path.exists("/usr/include/microhttpd.h"))


def unescaped(text):
    """Apache, lighttpd and h2o write what is not printable as escapes."""
    return re.sub(r"\\(?:x([0-9a-fA-F]{2})|(.))", lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def parsed(line):
    """(id, method, path, bytes of the body; -1 unknown) of a line in an origin's log."""
    if line.startswith("{"):  # caddy
        asked = json.loads(line).get("request", {})
        fields = {name: "".join(values[:1]) for name, values in asked["headers"].items()}
        identity, method, target, size = fields.get("X-Request-Id", ""), asked["method"], asked["uri"], fields.get("Content-Length")
    else:
        parts = line.split("\t")
        if len(parts) == 3:  # the whole request line
            parts = [parts[0], *unescaped(parts[1]).split(" ")[:2], parts[2]] if " " in parts[1] else [parts[0], parts[1], "", parts[2]]
        identity, method, target, size = parts
    return identity, method, target.split("?")[0], -1 if size == "?" else int(size) if size and size.isdigit() else 0


class Origin:
    """One of them, running. lines(): what it has seen."""

    def __init__(self, name, folder):
        self.name, self.folder, self.log = name, folder, folder / "seen"
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.command, self.process = ORIGINS[name](folder, self.port, self.log), None

    def start(self):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=SBIN, cwd=self.folder)
        until(self._listens, f"{self.name} listening; it said: {(self.folder / 'output').read_text(errors='replace')}")
        return self

    def _listens(self):
        assert self.process.poll() is None, (self.name, (self.folder / "output").read_text(errors="replace"))
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False

    def seen(self):
        text = self.log.read_text(encoding="latin-1") if self.log.exists() else ""
        found = [parsed(line) for line in text[:text.rfind("\n") + 1].splitlines() if line]
        return [one for one in found if one[2] != "/v2/health/ready"]  # which the gateway asks for itself

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
