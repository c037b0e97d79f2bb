"""TLS on both ports and towards servers given by URL: who is let in, what garbage does, new certificates without an end.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import http.client
import json
import pathlib
import random
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import serin
from serve_fixture import DEADLINE_S, Fake, Serve, answer, serving, until

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl program makes certificates here")


def openssl(*arguments):
    found = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False, timeout=DEADLINE_S)
    assert found.returncode == 0, found.stderr.decode()


class Authority:
    """A root and what it signs."""

    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder)
        self.root, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj",
                f"/CN={name}", "-keyout", self.key, "-out", self.root)

    def sign(self, name, names="IP:127.0.0.1,DNS:localhost", days=2, algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """Certificate and key; it has ended where days are negative."""
        request, certificate, key = (self.folder / f"{name}.{end}" for end in ("csr", "crt", "key"))
        (self.folder / "names").write_text(f"subjectAltName={names}\n")
        openssl("req", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", self.folder / "names", "-out", certificate)
        return certificate, key


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    made = Authority(folder, "root")
    made.server = made.sign("server")
    made.client = made.sign("client")
    made.other = Authority(folder, "stranger")
    made.others_client = made.other.sign("strangers-client")
    return made


def tls_options(made, *more):
    return ("--gateway-threads", "1", "--set", f"tls_certificate={made.server[0]}", "--set", f"tls_key={made.server[1]}", *more)


def context_for(made, client=None, **limits):
    context = ssl.create_default_context(cafile=made.root)
    if client:
        context.load_cert_chain(*client)
    for name, value in limits.items():
        setattr(context, name, value)
    return context


def ask(port, context, method, path, body=None, headers=None):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=context)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        found = connection.getresponse()
        return found.status, found.read()


def test_both_ports_speak_tls(made, tmp_path):
    context = context_for(made)
    with serving(tmp_path, *tls_options(made)) as serve:
        fake = Fake(lambda asked: answer(body=json.dumps({"got": len(asked.body), "x": "y" * len(asked.body)}).encode()))
        status, found = ask(serve.admin, context, "POST", "/api/v1/deploy",
                            json.dumps({"name": "m:v1", "url": fake.url, "stable": True}))
        assert status == 200, found
        for size in (0, 1, 16384, 16385, 300000, 5000000):
            status, found = ask(serve.port, context, "POST", "/v1/predict/m", b"p" * size)
            assert status == 200 and json.loads(found)["got"] == size
        fake.stop()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for port in (serve.port, serve.admin):
                limited = context_for(made, minimum_version=version, maximum_version=version)
                limited.set_alpn_protocols(["h2", "http/1.1"])
                with socket.create_connection(("127.0.0.1", port)) as plain, \
                        limited.wrap_socket(plain, server_hostname="localhost") as peer:
                    assert peer.version() == version.name.replace("_", ".") and peer.selected_alpn_protocol() == "http/1.1"
                    assert "GCM" in peer.cipher()[0] or "CHACHA20" in peer.cipher()[0]
        old = context_for(made)
        with pytest.warns(DeprecationWarning):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(OSError):
            ask(serve.admin, old, "GET", "/api/v1/status")
        where = ("--admin", f"https://127.0.0.1:{serve.admin}")
        assert serin("status", *where, env={"SERIN_CA": str(made.root)}).returncode == 0
        found = serin("status", *where, env={"SERIN_CA": str(made.other.root)})
        assert found.returncode == 1 and "not trusted" in found.stderr, found.stderr
        found = serin("status", "--admin", f"127.0.0.1:{serve.admin}")
        assert found.returncode == 1


def test_the_cookie_is_kept_from_plain_connections(made, tmp_path):
    with serving(tmp_path, *tls_options(made)) as serve:
        secret = serin("token", "create", "ann", "--role", "admin", "--data-dir", tmp_path / "data").stdout.strip()
        connection = http.client.HTTPSConnection("127.0.0.1", serve.admin, timeout=DEADLINE_S, context=context_for(made))
        connection.request("POST", "/api/v1/login", json.dumps({"token": secret}))
        found = connection.getresponse()
        assert found.status == 200 and found.headers["Set-Cookie"].endswith("; Secure")
        connection.close()


def test_other_machines_reach_it_with_tls_and_a_token_only(made, tmp_path):
    options = tls_options(made)
    found = serin("serve", "--data-dir", tmp_path / "data", "--admin", "0.0.0.0:0", "--check", *options)
    assert found.returncode != 0 and "without a token" in found.stderr
    serin("token", "create", "ann", "--role", "admin", "--data-dir", tmp_path / "data")
    found = serin("serve", "--data-dir", tmp_path / "data", "--admin", "0.0.0.0:0", "--check", *options)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("optional", [False, True])
def test_clients_show_certificates(made, tmp_path, optional):
    more = ("--set", f"tls_client_ca={made.root}", "--set", f"tls_client_optional={int(optional)}")
    with serving(tmp_path, *tls_options(made, *more)) as serve:
        for port in (serve.port, serve.admin):
            assert ask(port, context_for(made, made.client), "GET", "/v2/health/live")[0] in (200, 404)
            with pytest.raises(OSError):
                ask(port, context_for(made, made.others_client), "GET", "/v2/health/live")
            if optional:
                assert ask(port, context_for(made), "GET", "/v2/health/live")[0] in (200, 404)
            else:
                with pytest.raises(OSError):
                    ask(port, context_for(made), "GET", "/v2/health/live")


def test_verbs_show_a_certificate(made, tmp_path):
    """From files of its own, and from one that holds both; without one, or with a stranger's, the sentence says which."""
    both = tmp_path / "both.pem"
    both.write_bytes(made.client[0].read_bytes() + made.client[1].read_bytes())

    def status(serve, **given):
        return serin("status", "--admin", f"https://127.0.0.1:{serve.admin}",
                     env={"SERIN_CA": str(made.root), **{name: str(path) for name, path in given.items()}})
    with serving(tmp_path, *tls_options(made, "--set", f"tls_client_ca={made.root}")) as serve:
        for given in ({"SERIN_CERT": made.client[0], "SERIN_KEY": made.client[1]}, {"SERIN_CERT": both}, {"SERIN_CERT": both, "SERIN_KEY": ""}):
            found = status(serve, **given)
            assert found.returncode == 0, found.stderr
        for given, sentence in (
                ({}, "SERIN_CERT"),
                ({"SERIN_CERT": made.others_client[0], "SERIN_KEY": made.others_client[1]}, "unknown ca"),
                ({"SERIN_CERT": made.client[0]}, f"{made.client[0]}: no key of the certificate"),
                ({"SERIN_CERT": made.client[0], "SERIN_KEY": made.server[1]}, "key values mismatch"),
                ({"SERIN_CERT": tmp_path / "none.pem"}, "none.pem: no certificate can be read from it: No such file"),
                ({"SERIN_KEY": made.client[1]}, "$SERIN_CERT does not say of which certificate")):
            found = status(serve, **given)
            assert found.returncode == 1 and sentence in found.stderr, (given, found.stderr)
            assert "PRIVATE" not in found.stderr


@pytest.mark.parametrize("wrong, sentence", [
    ("certificate", "No such file"), ("key", "key"), ("other key", "key values mismatch"),
    ("garbage", "no certificate can be read"), ("alone", "go together")])
def test_wrong_files_are_told_at_the_start(made, tmp_path, wrong, sentence):
    certificate, key = made.server
    if wrong == "certificate":
        certificate = tmp_path / "none"
    elif wrong == "key":
        key = tmp_path / "none"
    elif wrong == "other key":
        key = made.client[1]
    elif wrong == "garbage":
        certificate = tmp_path / "garbage"
        certificate.write_bytes(b"\0\1\2" * 100)
    elif wrong == "alone":
        key = ""
    for more in ((), ("--check",)):
        found = serin("serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                      "--set", f"tls_certificate={certificate}", "--set", f"tls_key={key}", *more)
        assert found.returncode != 0 and sentence in found.stderr, found.stderr


@pytest.mark.parametrize("optional", [False, True])
def test_a_certificate_is_no_token(made, tmp_path, optional):
    """It opens the door and gives no role; one that has ended opens nothing, also where none is needed."""
    ended = made.sign("ended-client", days=-1)
    more = ("--set", f"tls_client_ca={made.root}", "--set", f"tls_client_optional={int(optional)}")
    with serving(tmp_path, *tls_options(made, *more)) as serve:
        assert ask(serve.admin, context_for(made, made.client), "GET", "/api/v1/status")[0] == 200
        secret = serin("token", "create", "ann", "--role", "viewer", "--data-dir", tmp_path / "data")
        assert secret.returncode != 0  # the first one is an admin's
        secret = serin("token", "create", "ann", "--role", "admin", "--data-dir", tmp_path / "data").stdout.strip()
        for method, path in (("GET", "/api/v1/status"), ("POST", "/api/v1/reload"), ("GET", "/api/v1/tokens"), ("GET", "/metrics")):
            assert ask(serve.admin, context_for(made, made.client), method, path)[0] == 401
            assert ask(serve.admin, context_for(made, made.client), method, path,
                       headers={"Authorization": f"Bearer {secret}"})[0] == 200
        for port in (serve.port, serve.admin):
            with pytest.raises(OSError):
                ask(port, context_for(made, ended), "GET", "/v2/health/live")


def s_client(port, *options):
    """What openssl's own client says, and whether the handshake came to its end."""
    found = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options], input=b"", stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False, timeout=DEADLINE_S)
    text = found.stdout.decode("utf-8", "replace")
    return text, "Cipher is (NONE)" not in text and "Cipher is " in text


def test_what_is_spoken_and_what_is_not(made, tmp_path):
    """As testssl.sh asks: old protocols, ciphers without forward secrecy or authentication, renegotiation, compression."""
    rsa = made.sign("rsa", algorithm=("rsa:2048",))  # with which ciphers without forward secrecy would be possible
    weak = ("AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES128-SHA256", "NULL-SHA256",
            "DHE-RSA-AES128-SHA", "ADH-AES128-GCM-SHA256", "CAMELLIA128-SHA", "ARIA128-GCM-SHA256", "PSK-AES128-GCM-SHA256", "AES128-CCM8")
    options = ("--gateway-threads", "1", "--set", f"tls_certificate={rsa[0]}", "--set", f"tls_key={rsa[1]}")
    with serving(tmp_path, *options) as serve:
        for port in (serve.port, serve.admin):
            for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
                text, spoken = s_client(port, version)
                assert spoken and f"New, {name}" in text and "Compression: NONE" in text, text
            for version in ("-tls1", "-tls1_1"):
                text, spoken = s_client(port, version, "-cipher", "ALL:@SECLEVEL=0")
                assert not spoken and "protocol version" in text, text
            text, spoken = s_client(port, "-tls1_2", "-cipher", ":".join(weak) + ":@SECLEVEL=0")
            assert not spoken and "handshake failure" in text, text
            for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
                text, spoken = s_client(port, "-tls1_2", "-cipher", f"{':'.join(weak)}:{cipher}:@SECLEVEL=0")
                assert spoken and f"Cipher is {cipher}" in text, text
            text, _ = s_client(port, "-alpn", "h2")
            assert "no application protocol" in text, text
        assert ask(serve.admin, context_for(made), "GET", "/api/v1/status")[0] == 200


# ---- new certificates ----

def test_reloads_under_load_lose_nothing(made, tmp_path):
    """Eight clients with a connection for each request, and two that keep theirs, through twenty changes of the certificate."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    pairs = [made.server, made.sign("another")]
    failures, asked, ended = [], [0], threading.Event()

    def swap(pair):
        for source, target in zip(pair, (certificate, key)):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").rename(target)

    def client(port, path, keeps):
        context, connection = context_for(made), None
        while not ended.is_set():
            try:
                if not connection or not keeps:
                    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=context)
                connection.request("GET", path)
                found = connection.getresponse()
                found.read()
                if found.status != 200:
                    failures.append(found.status)
                if not keeps:
                    connection.close()
                asked[0] += 1
            except OSError as error:
                failures.append(error)
                return

    swap(pairs[0])
    options = ("--set", f"tls_certificate={certificate}", "--set", f"tls_key={key}")
    with serving(tmp_path, "--gateway-threads", "2", *options) as serve:
        threads = [threading.Thread(target=client, args=(port, path, keeps))
                   for port, path in ((serve.port, "/v2/health/live"), (serve.admin, "/api/v1/session"))
                   for keeps in (False, False, False, False, True)]
        for thread in threads:
            thread.start()
        serials = set()
        for turn in range(20):
            swap(pairs[turn % 2])
            before = asked[0]
            status, found = ask(serve.admin, context_for(made), "POST", "/api/v1/reload")
            assert status == 200, found
            serials.add(shown(serve.port, made))
            until(lambda: asked[0] > before + 20 or failures, "requests under each certificate")  # pylint: disable=cell-var-from-loop
        ended.set()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert not failures and len(serials) == 2


def test_what_is_wrong_with_a_certificate_is_said(made, tmp_path):
    """Ended, for another name, signed by nobody known: to verbs, and of a version's server."""
    ended, elsewhere = made.sign("ended", days=-1), made.sign("elsewhere-2", "DNS:elsewhere.example")
    for pair, root, why in ((ended, made.root, "expired"), (elsewhere, made.root, "mismatch"),
                            (made.server, made.other.root, "not trusted")):
        (tmp_path / why).mkdir()
        with serving(tmp_path / why, "--gateway-threads", "1", "--set", f"tls_certificate={pair[0]}", "--set", f"tls_key={pair[1]}") as serve:
            found = serin("status", "--admin", f"https://127.0.0.1:{serve.admin}", env={"SERIN_CA": str(root)})
            assert found.returncode == 1 and why in found.stderr, found.stderr
            told, log = "ended 1.0 days ago" if pair is ended else "ends in 2.0 days", tmp_path / why / "events"
            until(lambda: told in log.read_text(), "the log's line")  # pylint: disable=cell-var-from-loop
    fake = TlsFake(*ended)
    (tmp_path / "upstream").mkdir()
    with serving(tmp_path / "upstream", "--gateway-threads", "1", "--set", f"upstream_ca={made.root}", "--set", "url_wait_seconds=1") as serve:
        found = serve.call("POST", "/api/v1/deploy", {"name": "m:v1", "url": fake.url, "stable": True})
        assert found.status == 409 and "expired" in found.json()["error"], found.body
    fake.stop()


def shown(port, made):
    """The serial number of the certificate."""
    with socket.create_connection(("127.0.0.1", port)) as plain, \
            context_for(made).wrap_socket(plain, server_hostname="localhost") as peer:
        return peer.getpeercert()["serialNumber"]


@pytest.mark.parametrize("how", ["reload", "hangup", "takeover"])
def test_new_certificates_without_losing_a_connection(made, tmp_path, how):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    shutil.copy(made.server[0], certificate)
    shutil.copy(made.server[1], key)
    options = ("--set", f"tls_certificate={certificate}", "--set", f"tls_key={key}")
    with serving(tmp_path, "--gateway-threads", "2", *options) as serve:
        before = shown(serve.port, made)
        kept = http.client.HTTPSConnection("127.0.0.1", serve.port, timeout=DEADLINE_S, context=context_for(made))
        kept.request("GET", "/v2/health/live")
        assert kept.getresponse().read() is not None
        certificate.write_text("half of a file")
        where = ("--admin", f"https://127.0.0.1:{serve.admin}")
        found = serin("reload", *where, env={"SERIN_CA": str(made.root)})
        assert found.returncode == 1 and "c.pem" in found.stderr, found.stderr
        assert shown(serve.port, made) == before
        renewed = made.sign(f"renewed-{how}")
        shutil.copy(renewed[0], certificate)
        shutil.copy(renewed[1], key)
        if how == "reload":
            found = serin("reload", *where, env={"SERIN_CA": str(made.root)})
            assert found.returncode == 0, found.stderr
        elif how == "hangup":
            serve.process.send_signal(signal.SIGHUP)
        else:
            serve.take_over()
        until(lambda: shown(serve.port, made) != before, "the new certificate")
        assert shown(serve.port, made) == shown(serve.admin, made)
        if how != "takeover":  # whose elder has ended when take_over returns
            kept.request("GET", "/v2/health/live")
            assert kept.getresponse().status == 200
        kept.close()


# ---- what is no TLS ----

def raw(port, data, end=True):
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as peer:
        got = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            peer.sendall(data)
            if end:
                peer.shutdown(socket.SHUT_WR)
            while more := peer.recv(65536):
                got += more
        return got


def test_plain_text_gets_a_clean_end(made, tmp_path):
    with serving(tmp_path, *tls_options(made)) as serve:
        for port in (serve.port, serve.admin):
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                got = b""
                while more := peer.recv(65536):  # an end, not a reset
                    got += more
                assert len(got) < 16 and not got.startswith(b"HTTP")
        assert ask(serve.admin, context_for(made), "GET", "/api/v1/status")[0] == 200


def test_garbage_ends_its_own_connection_only(made, tmp_path):
    """Bytes at random, and a good hello with some bytes changed, cut off at each length."""
    chance = random.Random(7)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context_for(made).wrap_bio(into, out, server_hostname="localhost").do_handshake()
    hello = out.read()
    with serving(tmp_path, *tls_options(made)) as serve:
        for port in (serve.port, serve.admin):
            for _ in range(60):
                raw(port, chance.randbytes(chance.randrange(1, 2000)))
            for _ in range(100):
                changed = bytearray(hello)
                for _ in range(chance.randrange(1, 8)):
                    changed[chance.randrange(len(changed))] = chance.randrange(256)
                raw(port, bytes(changed[:chance.randrange(1, len(changed) + 1)]))
            raw(port, hello + chance.randbytes(500))
        assert ask(serve.admin, context_for(made), "GET", "/api/v1/status")[0] == 200
        assert ask(serve.port, context_for(made), "GET", "/v2/health/live")[0] == 200


def test_records_in_the_smallest_pieces(made, tmp_path):
    """Each byte of a handshake and of pipelined requests by itself."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context_for(made).wrap_bio(into, out, server_hostname="localhost")
    with serving(tmp_path, *tls_options(made)) as serve, \
            socket.create_connection(("127.0.0.1", serve.port), timeout=DEADLINE_S) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def flush():
            for byte in out.read():
                plain.sendall(bytes([byte]))

        while True:
            try:
                peer.do_handshake()
                break
            except ssl.SSLWantReadError:
                flush()
                into.write(plain.recv(65536))
        request = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
        peer.write(request * 3)
        flush()
        got = b""
        while got.count(b"HTTP/1.1 200") < 3:
            try:
                got += peer.read(65536)
            except ssl.SSLWantReadError:
                into.write(plain.recv(65536))


def test_pipelined_requests_larger_than_any_buffer(made, tmp_path):
    """More requests ahead than the server keeps: it stops reading in the middle of a record, and goes on there."""
    with serving(tmp_path, *tls_options(made)) as serve, \
            socket.create_connection(("127.0.0.1", serve.port), timeout=DEADLINE_S) as plain, \
            context_for(made).wrap_socket(plain, server_hostname="localhost") as peer:
        request = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX-Fill: " + b"x" * 500 + b"\r\n\r\n"
        count = 2000
        left, got = memoryview(request * count), b""
        peer.setblocking(False)  # in one thread: two of them may not use a connection of OpenSSL
        while got.count(b"HTTP/1.1 200") < count:
            try:
                while left:
                    left = left[peer.send(left):]
            except ssl.SSLWantWriteError:
                pass
            try:
                more = peer.recv(65536)
                assert more, got[-1000:]
                got += more
            except ssl.SSLWantReadError:
                assert any(select.select([peer], [peer] if left else [], [], DEADLINE_S)), got[-1000:]
        assert not left


# ---- towards servers ----

class TlsFake(Fake):
    """A model server behind TLS."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__()
        self.url = self.url.replace("http://", "https://")

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            super()._serve(self.context.wrap_socket(connection, server_side=True))


def test_versions_at_https_urls(made, tmp_path):
    good, stranger = TlsFake(*made.server), TlsFake(*made.others_client)
    other_name = TlsFake(*made.sign("elsewhere", "DNS:elsewhere.example"))
    with serving(tmp_path, "--gateway-threads", "1", "--set", f"upstream_ca={made.root}", "--set", "url_wait_seconds=1") as serve:
        serve.deploy("m:v1", good.url, stable=True)
        for size in (1, 20000, 3000000):
            found = serve.ask("POST", "/v1/predict/m", b"p" * size)
            assert found.status == 200 and len(good.asked[-1].body) == size
        for fake, why in ((stranger, "not trusted"), (other_name, "mismatch")):
            found = serve.call("POST", "/api/v1/deploy", {"name": "m:v2", "url": fake.url, "stable": False})
            assert found.status != 200 and why in found.json()["error"], found.body
            assert not fake.asked
    for fake in (good, stranger, other_name):
        fake.stop()


def test_slow_handshakes_are_cut_off_by_the_time_for_heads(made, tmp_path):
    """In full in `make soak`'s time; else that they do not keep others out."""
    with serving(tmp_path, *tls_options(made)) as serve, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", serve.admin))) for _ in range(200)]
        for peer in slow:
            peer.sendall(b"\x16\x03\x01")
        assert ask(serve.admin, context_for(made), "GET", "/api/v1/status")[0] == 200
        slow[0].settimeout(DEADLINE_S)
        assert slow[0].recv(100) == b""
