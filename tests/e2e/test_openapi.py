"""docs/openapi.yaml against the program: the same calls with the same roles as in the sources' tables.

SPDX-License-Identifier: Apache-2.0
"""
import openapi_fixture as openapi

# Of the worker's own rows the gateway passes on those that name a model.
PASSED_ON = ("/v1/predict/*", "/v2/models/*")


def test_every_call_is_documented_and_no_other():
    rows = [(method, path) for method, path, _ in openapi.tables()
            if not path.startswith(("/v1", "/v2")) or path.startswith(PASSED_ON) or path in ("/v2", "/v2/repository/index")
            or path.startswith("/v2/health")]
    documented = [(method, openapi.pattern_of(path)) for method, path, _ in openapi.calls()]
    assert len(rows) > 40 and len(documented) == len(set(documented))
    assert set(rows) | {("POST", "/v1/feedback/*"), ("GET", "/openapi.yaml")} == set(documented)


def test_every_call_takes_the_role_that_is_documented():
    wanted = {(method, path): role for method, path, role in openapi.tables() if openapi.is_control(path)}
    assert len(wanted) > 30
    for method, path, operation in openapi.calls():
        if not openapi.is_control(path):
            continue
        role = openapi.role_of(operation)
        assert wanted.get((method, openapi.pattern_of(path))) == role, (method, path)
        ways = operation["security"]
        assert ways == ([] if role is None else [{"token": [role]}, {"session": [role]}]), (method, path)
        if role:
            assert {"401", "403"} <= set(operation["responses"]), (method, path)


def test_the_document_is_whole():
    """References lead somewhere, parameters are those of the paths, everything has an example or its schema does."""
    names = set()
    for method, path, operation in openapi.calls():
        item = openapi.document()["paths"][path]
        given = [openapi.resolved(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
        assert {one["name"] for one in given if one["in"] == "path"} == set(openapi.re.findall(r"\{([^}]+)\}", path)), path
        assert operation["operationId"] not in names and operation["summary"] and operation["tags"], (method, path)
        names.add(operation["operationId"])
        ports = [server["url"] for server in item.get("servers", openapi.document()["servers"])]
        assert ports == ["http://127.0.0.1:8081" if openapi.is_control(path) else "http://127.0.0.1:8080"], path
        for status, answer in operation["responses"].items():
            content = openapi.resolved(answer).get("content", {})
            for kind, one in content.items():
                if kind == "application/json" and "example" in one:
                    assert not openapi.faults(one["schema"], one["example"]), (path, status)
    for name, schema in openapi.document()["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert not openapi.faults(schema, example), name
