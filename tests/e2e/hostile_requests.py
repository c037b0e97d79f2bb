"""Requests that servers have been known to read in different ways, for a gateway and what is behind it.

SPDX-License-Identifier: Apache-2.0

classics(path) are the ways to smuggle that have names: CL.TE, TE.CL, TE.0, 0.CL, TE.TE, obs-fold, bare LF and CR, chunk sizes
and extensions, trailers, Expect, hop-by-hop fields, targets. Each hides a request for path + "/hidden". corpora(path) are the
collections of others in the shared test data (Http11Probe, h2o's fuzz corpus), turned towards path.
"""
import json
import os
import re
import tarfile

from conftest import ROOT

DATA = os.environ.get("SERIN_TEST_DATA", ROOT / ".." / "shared" / "data")

CODINGS = (
    "Transfer-Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:chunked", "Transfer-Encoding: chunked ", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: CHUNKED", "transfer-encoding: chunked", "TRANSFER-ENCODING: chunked",
    "Transfer_Encoding: chunked", "Transfer Encoding: chunked", " Transfer-Encoding: chunked", "X: x\n Transfer-Encoding: chunked",
    "X: x\nTransfer-Encoding: chunked", "X: x\rTransfer-Encoding: chunked", "Transfer-Encoding:\n chunked", "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x00", "\x00Transfer-Encoding: chunked", "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding:", "Transfer-Encoding: \xffchunked",
    "Transfer-Encoding: c\u0068unked\x7f", "Content-Encoding: chunked", "TE: chunked", "X-Transfer-Encoding: chunked",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "Trailer: Content-Length\r\nTransfer-Encoding: chunked",
)

# What stands for the number that is the body's length.
LENGTHS = (
    "Content-Length: N", "Content-Length: +N", "Content-Length: -N", "Content-Length: 0N", "Content-Length: 0xN", "Content-Length: N ",
    "Content-Length: N,N", "Content-Length: N, N", "Content-Length: N\r\nContent-Length: N", "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: N", "Content-Length : N", "Content-Length\t: N", "Content_Length: N", "Content Length: N",
    "Content-Length:N", "Content-Length:\tN", "Content-Length: \x0bN", "Content-Length: N\x00", "Content-Length: N.0", "Content-Length: Ne0",
    "Content-Length: N;x", "Content-Length: \"N\"", "Content-Length:\n N", "Content-Length:\r\n N", "X: x\nContent-Length: N",
    "X: x\rContent-Length: N", " Content-Length: N", "Content-Length: 18446744073709551616", "Content-Length: 18446744073709551617",
    "Content-Length: 4294967296", "Content-Length: 9223372036854775808", "Content-Length:", "Content-Length: ", "Content-Length: N N",
    "content-length: N", "X-Content-Length: N", "Connection: Content-Length\r\nContent-Length: N", "Content-Length: 1_0", "Content-Length: \xb2",
)

CHUNKS = (  # bodies; {h} is the hidden request, {n} its length in hexadecimal digits
    "{n}\r\n{h}\r\n0\r\n\r\n", "0\r\n\r\n{h}", "{n};a=b\r\n{h}\r\n0\r\n\r\n", "{n};a=\"b\r\n\"\r\n{h}\r\n0\r\n\r\n", "{n};\r\n{h}\r\n0\r\n\r\n",
    "{n};\n{h}\r\n0\r\n\r\n", "{n};a\nb\r\n{h}\r\n0\r\n\r\n", "{n};a\rb\r\n{h}\r\n0\r\n\r\n", "{n} \r\n{h}\r\n0\r\n\r\n", " {n}\r\n{h}\r\n0\r\n\r\n",
    "{n}\t;a\r\n{h}\r\n0\r\n\r\n", "0{n}\r\n{h}\r\n0\r\n\r\n", "0x{n}\r\n{h}\r\n0\r\n\r\n", "+{n}\r\n{h}\r\n0\r\n\r\n", "-{n}\r\n{h}\r\n0\r\n\r\n",
    "{n}\n{h}\r\n0\r\n\r\n", "{n}\r{h}\r\n0\r\n\r\n", "{n}\r\n{h}\n0\r\n\r\n", "{n}\r\n{h}0\r\n\r\n", "{n}\r\n{h}xx0\r\n\r\n",
    "{n}\r\n{h}\r\n0\n\n", "{n}\r\n{h}\r\n0\r\n\n", "{n}\r\n{h}\r\n0\r\n\rX", "{n}\r\n{h}\r\n00000\r\n\r\n", "{n}\r\n{h}\r\n0;a=b\r\n\r\n",
    "1{n}00000000000000\r\n{h}\r\n0\r\n\r\n", "10000000000000000{n}\r\n{h}\r\n0\r\n\r\n", "ffffffffffffffff\r\n{h}\r\n0\r\n\r\n",
    "\r\n{n}\r\n{h}\r\n0\r\n\r\n", "{n}\r\n{h}\r\n\r\n0\r\n\r\n", "g\r\n{h}\r\n0\r\n\r\n", "{n}_\r\n{h}\r\n0\r\n\r\n",
    "{n}\r\n{h}\r\n0\r\nContent-Length: 5\r\n\r\n", "{n}\r\n{h}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "{n}\r\n{h}\r\n0\r\nHost: b\r\n\r\n",
    "{n}\r\n{h}\r\n0\r\nA: b\r\n c\r\n\r\n", "{n}\r\n{h}\r\n0\r\nA\r\n\r\n", "{n}\r\n{h}\r\n0\r\nA : b\r\n\r\n", "{n}\r\n{h}\r\n0\r\n{h}",
    "0\r\nA: b\n\r\n{h}", "{n};\x00\r\n{h}\r\n0\r\n\r\n", "{n};\xff\r\n{h}\r\n0\r\n\r\n", "5\r\nhello\r\n{n}\r\n{h}\r\n0\r\n\r\n",
)

EXPECTS = ("100-continue", "100-Continue", "y 100-continue", "100-continue, 100-continue", "100-continue\r\nExpect: x", "x", "")

HEADS = (  # {p}: the path
    "GET {p} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET {p} HTTP/1.1\r\nHost : a\r\n\r\n", "GET {p} HTTP/1.1\r\n Host: a\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\n\tX: y\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nX: y\r\n z: Content-Length: 5\r\n\r\n",
    "GET {p} HTTP/1.1\nHost: a\n\n", "GET {p} HTTP/1.1\r\nHost: a\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\n\n", "GET {p} HTTP/1.1\rHost: a\r\r",
    "\r\nGET {p} HTTP/1.1\r\nHost: a\r\n\r\n", "\nGET {p} HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n\r\nGET {p} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET  {p} HTTP/1.1\r\nHost: a\r\n\r\n", "GET\t{p}\tHTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}  HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p} HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET {p} HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p} X HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}\r\nHost: a\r\n\r\n", "GET {p} HTTP/1.2\r\nHost: a\r\n\r\n",
    "GET {p} HTTP/2.0\r\nHost: a\r\n\r\n", "GET {p} HTTP/0.9\r\nHost: a\r\n\r\n", "GET {p} HTTP/01.1\r\nHost: a\r\n\r\n", "GET {p} http/1.1\r\nHost: a\r\n\r\n",
    "GET {p} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "GET {p} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "get {p} HTTP/1.1\r\nHost: a\r\n\r\n", "G=T {p} HTTP/1.1\r\nHost: a\r\n\r\n", "FOO {p} HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD {p} HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS {p} HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE {p} HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "DELETE {p} HTTP/1.1\r\nHost: a\r\n\r\n", "PUT {p} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "GET http://a{p} HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b{p} HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a@b{p} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /{p} HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}/../x HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}/%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET {p}?a=b HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}%00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}%0d%0aX:y HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET {p}\xff HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}\\x HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}\"x HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p};x=y HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET {p}%2fx HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p}%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nX\xe9: y\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nConnection: Host, X-Request-Id\r\nX-Request-Id: mine\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\nX-Original-URL: {p}/hidden\r\nX-Rewrite-URL: {p}/hidden\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nX-Request-Id: one\r\nX-Request-Id: two\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a b\r\n\r\n", "GET {p} HTTP/1.1\r\nHost:\r\n\r\n",
    "GET {p} HTTP/1.1\r\nHost: a\r\nX: " + "y" * 7000 + "\r\n\r\n", "GET {p} HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 90 + "\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


def classics(path):
    """(name, bytes) of each."""
    hidden = f"GET {path}/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    chunk = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"
    made = []

    def add(name, text):
        made.append((f"{name} {len(made)}", text.encode("latin-1")))

    for coding in CODINGS:
        for method in ("POST", "GET"):
            head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n{coding}\r\n"
            for order in ("CL.TE", "TE.CL"):
                body = "0\r\n\r\n" + hidden if order == "CL.TE" else chunk
                size = len(body) if order == "CL.TE" else len(f"{len(hidden):x}\r\n")
                add(f"{order} {method}", f"{head}Content-Length: {size}\r\n\r\n{body}")
            add(f"TE.0 {method}", f"{head}\r\n{chunk}")
        add("TE 1.0", f"POST {path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n{coding}\r\n\r\n{chunk}")
        add("TE.0 OPTIONS", f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n{chunk}")
    for length in LENGTHS:
        for method in ("POST", "GET", "HEAD", "OPTIONS", "DELETE"):
            add(f"0.CL {method}", f"{method} {path} HTTP/1.1\r\nHost: a\r\n{re.sub('N(?![a-z])|N(?=e)', str(len(hidden)), length)}\r\n\r\n{hidden}")
    for body in CHUNKS:
        body = body.format(h=hidden, n=f"{len(hidden):x}")
        add("chunks", f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    for expect in EXPECTS:
        for framing, body in (("Content-Length: %d" % len(hidden), hidden), ("Transfer-Encoding: chunked", chunk), ("X: y", hidden)):
            for method in ("POST", "GET"):
                add("Expect", f"{method} {path} HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\n{framing}\r\n\r\n{body}")
    for head in HEADS:
        add("head", head.replace("{p}", path))
    return made


def turned(data, path):
    """The same bytes, but asking for path on an acceptable host, so that what else is wrong with them comes to bear."""
    data = re.sub(rb"\A([!-~]+) [!-~]+ (HTTP/1\.[01]\r?\n)", lambda found: found[1] + b" " + path.encode() + b" " + found[2], data)
    data = re.sub(rb"(?im)^host:[^\n]*\n", b"", data, count=1)
    return re.sub(rb"\A([^\n]*HTTP/1\.[01])(\r?\n)", rb"\1\2Host: a\2", data)


def corpora(path, every=1):
    """(name, bytes) of those that are there, of h2o's each every-th."""
    probe, corpus = os.path.join(DATA, "http11probe.json"), os.path.join(DATA, "http1-corpus.tar.gz")
    made = []
    if os.path.exists(probe):
        with open(probe, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        made += [(case["id"], turned(case["raw_request"].encode("latin-1", "replace"), path)) for case in cases]
    if os.path.exists(corpus):
        with tarfile.open(corpus) as archive:
            members = sorted((one for one in archive if one.isfile()), key=lambda one: one.name)[::every]
            made += [(one.name, turned(archive.extractfile(one).read().replace(b"\n--MARK--\n", b""), path)) for one in members]
    return made
