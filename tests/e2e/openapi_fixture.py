"""docs/openapi.yaml, as tests hold the program against it.

SPDX-License-Identifier: Apache-2.0

What stands for a whole family of answers there (`4XX`: refused before it was looked at) means these statuses and no others.
"""
import functools
import json
import re

import jsonschema
import yaml
from conftest import ROOT

REFUSED = ("400", "405", "408", "413", "414", "417", "431")
CONTROL = ("/api/", "/metrics", "/openapi")


@functools.cache
def document():
    text = (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def resolved(node):
    """A reference's target; anything else is itself."""
    while isinstance(node, dict) and "$ref" in node:
        target = document()
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    return node


def is_control(path):
    return path.startswith(CONTROL)


def calls():
    """(method, path, operation) of all."""
    return [(method.upper(), path, operation) for path, item in document()["paths"].items()
            for method, operation in item.items() if method not in ("parameters", "servers")]


def role_of(operation):
    """The least role; None: anybody."""
    roles = {role for way in operation["security"] for role in way.get("token", [])}
    assert len(roles) <= 1
    return roles.pop() if roles else None


def tables():
    """(method, path, role) of each row in the sources' own tables of calls; the role is None on the data port."""
    rows = []
    for source in ("admin/api.c", "gateway/own.c", "worker/service.c"):
        text = (ROOT / "src" / source).read_text(encoding="utf-8")
        rows += re.findall(r'\{"(GET|PUT|POST|PATCH|DELETE)", "(/[^"]*)"(?:, ROLE_(\w+))?', text)
    return [(method, path, {"": None, "NOBODY": None}.get(role, role.lower())) for method, path, role in rows]


def pattern_of(path):
    """The path with "*" for each parameter, as the tables write it."""
    return re.sub(r"\{[^}]+\}", "*", path)


@functools.cache
def validator(text):
    # The schema beside the components that it refers to: one document, so that every reference is local.
    return jsonschema.Draft202012Validator({**json.loads(text), "components": document()["components"]})


def faults(schema, value):
    """Sentences; none where the value is as the schema says."""
    return [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:300]}"
            for fault in validator(json.dumps(schema)).iter_errors(value)]


def find(method, path):
    """The operation for a request's path; None: the document has none."""
    path = path.split("?")[0]
    found = [(known, item) for known, item in document()["paths"].items()
             if re.fullmatch(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(known)), path)]
    found.sort(key=lambda one: one[0].count("{"))  # a fixed path goes before one with a parameter
    for known, item in found:
        if method.lower() in item:
            return item[method.lower()]
    return None


def check_answer(operation, status, kind, body):
    """That an answer is declared: its status, the type of its content, its body. kind: Content-Type or None."""
    responses = operation["responses"]
    declared = responses.get(str(status)) or (responses.get("4XX") if str(status) in REFUSED else None)
    assert declared, f"{operation['operationId']}: {status} is not declared: {body[:300]}"
    declared = resolved(declared)
    content = declared.get("content", {})
    kind = (kind or "").split(";")[0].strip()
    assert kind in content, f"{operation['operationId']}: {status} with {kind or 'no type'}, declared are {list(content)}"
    if kind == "application/json":
        wrong = faults(content[kind]["schema"], json.loads(body))
        assert not wrong, f"{operation['operationId']}: {status}: {wrong[:3]} in {body[:500]}"


