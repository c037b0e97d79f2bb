"""Requests made from docs/openapi.yaml: good ones, and each with one thing wrong. The same ones each time.

SPDX-License-Identifier: Apache-2.0
"""
import copy
import json

import openapi_fixture as openapi

# What people and worse put into a path: climbing, control characters, bytes that are no text, too much.
SEGMENTS = ("..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "..%5c..%5cstate.db", "..;", "%00", "a%00b", "a%0d%0aSet-Cookie:%20x=1",
            "%0a", "%ff", "%c3%a9", "%zz", "%", "a%20b", "%22%3cscript%3e", "*", ":", ":v1", "tiny:", "a:b:c", "-", "%25s%25n", "x" * 300, "9" * 40)
WORDS = ("", "0", "-1", "1.5", "1e9", "x", "%00", "%0d%0aX:y", "%ff", "[1,2]", "null", "9" * 30, "y" * 2000)
FIELDS = ("", "0", "-1", "x", "9" * 30, "\xff\xfe", '"', "*", "a, b", "z" * 5000)
VALUES = (None, True, 3, -1, 1.5, 10 ** 15, "", "x", "a\nb", "\x7f", "../..", "w" * 70000, [], [1], {}, {"a": 1}, [[[[]]]])
TEXTS = (b"", b"{", b"[]", b"{}", b"null", b"3", b'"x"', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"a": "\\u0000"}', b'{"a": 1, "a": 2}', b'{"a": 1e999}',
         b"[" * 100000, b'{"a":' * 30000, b"[" + b"0," * 200000 + b"0]", b'{"x": "' + b"y" * 900000 + b'"}', b"{}" * 2, b"NaN", b"\0")
KINDS = ("text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=", "application/json; charset=latin-1", "\xff", "/", "")


class Request:
    """One call of an operation."""

    def __init__(self, method, path, operation, names):
        self.method, self.path, self.operation = method, path, operation
        self.names = names  # of the path's parameters
        self.query, self.fields, self.body = "", {}, None

    def target(self):
        path = self.path
        for name, value in self.names.items():
            path = path.replace("{" + name + "}", value)
        return path + self.query

    def but(self, **changes):
        other = copy.copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        return other


def parameters(path, operation, where):
    item = openapi.document()["paths"][path]
    found = [openapi.resolved(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
    return [one for one in found if one["in"] == where]


def json_example(operation):
    """A body of JSON; None: it takes none."""
    body = openapi.resolved(operation.get("requestBody", {}))
    content = body.get("content", {}).get("application/json")
    if not content:
        return None
    schema = openapi.resolved(content["schema"])
    return content.get("example", schema.get("examples", [{}])[0])


def wrong_bodies(good):
    """Each member in turn missing and of other kinds, and one that nobody knows."""
    for name in good:
        yield {key: value for key, value in good.items() if key != name}
        for value in VALUES:
            yield {**good, name: value}
    yield {**good, "unheard_of": 1}


def requests(names, bodies):
    """All. names: of what exists, for each path parameter; bodies: (bytes, Content-Type) by operationId, where JSON is not taken
    or the example would not do."""
    for method, path, operation in openapi.calls():
        ends = operation["operationId"] in ("removeRoute", "undeploy")  # of nothing that others still need
        here = {one["name"]: "gone" if ends else names.get(one["name"], "1") for one in parameters(path, operation, "path")}
        good = Request(method, path, operation, here)
        example = json_example(operation)
        if operation["operationId"] in bodies:
            good.body, good.fields = bodies[operation["operationId"]][0], {"Content-Type": bodies[operation["operationId"]][1]}
        elif example is not None:
            good.body, good.fields = json.dumps(example).encode(), {"Content-Type": "application/json"}
        yield good
        for name in here:
            for value in SEGMENTS:
                yield good.but(names={**here, name: value})
        for one in parameters(path, operation, "query"):
            for value in WORDS:
                yield good.but(query=f"?{one['name']}={value}")
        for one in parameters(path, operation, "header"):
            for value in FIELDS:
                yield good.but(fields={**good.fields, one["name"]: value})
        yield good.but(query="?" + "&".join(f"q{i}={i}" for i in range(500)))
        if good.body is None:
            yield good.but(body=b"not asked for")
            continue
        for text in TEXTS:
            yield good.but(body=text)
        for kind in KINDS:
            yield good.but(fields={"Content-Type": kind})
        if isinstance(example, dict):
            for body in wrong_bodies(json.loads(good.body) if operation["operationId"] in bodies and good.body[:1] == b"{" else example):
                yield good.but(body=json.dumps(body).encode())
