"""schemathesis against the program, by docs/openapi.yaml: no server's fault, nothing undeclared, bodies and fields as declared.

SPDX-License-Identifier: Apache-2.0

It is not among Debian's packages: `pip install schemathesis` in a virtual environment, and its program in SERIN_SCHEMATHESIS
(or on the path). test_openapi.py is what needs none of that. In the long form (SERIN_SOAK) thousands of cases for each role.
"""
import copy
import os
import shutil
import subprocess

import openapi_fixture as openapi
import pytest
import yaml
from conftest import serin
from serve_fixture import needs_workers, push_two, with_workers

PROGRAM = os.environ.get("SERIN_SCHEMATHESIS") or shutil.which("schemathesis")
LONG = bool(os.environ.get("SERIN_SOAK"))
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
          "response_schema_conformance,unsupported_method,use_after_free,ignored_auth")
# What exists, so that calls get somewhere, beside what the schema says.
KNOWN = {"ModelName": ["tiny", "none"], "VersionName": ["tiny:v1", "tiny:v2", "tiny:v3", "none:v1"], "Tag": ["v1", "v2", "1"]}

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no schemathesis: SERIN_SCHEMATHESIS names its program")


def half(control):
    """The document of one port, with the refusals of all calls written out and the names that exist preferred."""
    document = copy.deepcopy(openapi.document())
    for path, item in list(document["paths"].items()):
        if openapi.is_control(path) != control or path.endswith("/events"):  # an answer without an end
            del document["paths"][path]
            continue
        item.pop("servers", None)
        for method, operation in item.items():
            if method != "parameters":
                answers = operation["responses"]
                refused = openapi.resolved(answers.pop("4XX"))
                operation["responses"] = {**{status: refused for status in openapi.REFUSED}, **answers}
    schemas = document["components"]["schemas"]
    for name, values in KNOWN.items():
        schemas[name] = {"anyOf": [{"enum": values}, schemas[name]]}
    rollout = document["components"]["parameters"]["Rollout"]
    rollout["schema"] = {"anyOf": [{"enum": ["tiny", "tiny-1"]}, rollout["schema"]]}
    return document


@needs_workers
@pytest.mark.parametrize("port, role", [("control", None), ("control", "viewer"), ("control", "operator"), ("control", "admin"), ("data", None)])
def test_schemathesis_finds_nothing(tmp_path, port, role):
    control = port == "control"
    (tmp_path / "document.yaml").write_text(yaml.safe_dump(half(control)), encoding="utf-8")
    with with_workers(push_two(tmp_path / "pushed"), tmp_path) as serve:
        serve.deploy("tiny:v1", stable=True)
        serve.deploy("tiny:v2")
        serve.api("POST", "rollouts", {"name": "tiny:v2"})
        more, checks = [], CHECKS
        if role:
            made = [serin("token", "create", name, "--role", name, "--data-dir", tmp_path / "data") for name in ("admin", "operator", "viewer")]
            secret = dict(zip(("admin", "operator", "viewer"), (one.stdout.strip() for one in made)))[role]
            # Its own token is left to it: what it makes and revokes are others.
            more = ["-H", f"Authorization: Bearer {secret}"]
        else:  # where no token is asked for, the first that it made would end the test
            more = ["--exclude-operation-id", "createToken"]
            checks = CHECKS.replace(",ignored_auth", "")
        found = subprocess.run(
            [PROGRAM, "run", tmp_path / "document.yaml", "--url", f"http://127.0.0.1:{serve.admin if control else serve.port}", "--no-color",
             "--checks", checks, "--phases", "examples,coverage,fuzzing,stateful" if LONG else "examples,coverage",
             "--max-examples", "60" if LONG else "5", "--seed", "7", "--continue-on-failure", *more],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500, check=False, text=True)
        assert found.returncode == 0, found.stdout[-8000:]
        assert serve.process.poll() is None
