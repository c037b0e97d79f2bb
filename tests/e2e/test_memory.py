"""A model that asks for more memory than a program may take is refused, and says of what.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib

import pytest
from conftest import MINIATURE, serin
from serve_fixture import needs_workers, push_two, with_workers

HUNGRY = pathlib.Path(__file__).resolve().parent.parent / "hostile" / "models" / "constant-of-shape-1e10.onnx"
PICTURE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "images"
GIB = 1 << 30

pytestmark = pytest.mark.skipif("sanitize" in os.environ.get("SERIN_CC", ""),
                                reason="a sanitizer's shadow is larger than any limit")


@pytest.mark.parametrize("verb", [("push", "hungry:v1", "--model", HUNGRY), ("inspect", HUNGRY),
                                  ("predict", "--model", HUNGRY, PICTURE),
                                  ("eval", "--data", "absent.yaml", "--model", HUNGRY)], ids=lambda verb: verb[0])
def test_a_model_that_wants_all_memory_is_refused(verb, tmp_path):
    """Its tens of gigabytes are refused at 500 MB, with the limit."""
    store = ("--data-dir", tmp_path) if verb[0] == "push" else ()
    found = serin(*verb, *store, "--memory-mb", "500")
    assert found.returncode == 1
    assert "Failed to allocate memory" in found.stderr and "this process may take " in found.stderr
    assert int(found.stderr.split("this process may take ")[1].split(" MB")[0]) < 1500
    assert not list(tmp_path.rglob("*index.json")) or "hungry" not in serin("versions", "--data-dir", tmp_path).stdout


def test_an_abort_for_memory_is_a_sentence():
    """Too little even to begin: whichever part of it gives up, it is with a sentence that names the limit or the model."""
    for megabytes in (1, 4, 16, 64):
        found = serin("inspect", MINIATURE / "detect.onnx", "--threads", "1", "--memory-mb", str(megabytes))
        assert found.returncode in (0, 1), (megabytes, found.returncode, found.stderr)
        assert found.returncode == 0 or found.stderr.strip(), megabytes


@needs_workers
def test_a_worker_has_a_limit_where_its_bundle_says_none(tmp_path):
    (tmp_path / "store").mkdir()
    with with_workers(push_two(tmp_path / "store"), tmp_path) as serve:
        assert serin("push", "tiny:v3", "--model", MINIATURE / "detect.onnx", "--set", "memory_mb=700", "--data-dir",
                     tmp_path / "data").returncode == 0
        serve.deploy("tiny:v1", stable=True)
        serve.deploy("tiny:v3")
        versions = serve.versions("tiny")
        assert versions["v1"]["memory_limit_bytes"] > GIB and versions["v3"]["memory_limit_bytes"] == 700_000_000
