"""serin eval, inspect and bench.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import shutil

import pytest
from conftest import MINIATURE, PICTURES, ROOT, TASKS, serin

STREET = ROOT / "examples" / "models" / "street-person" / "v1.0.0.onnx"
FOOTAGE = ROOT / "examples" / "footage"


@pytest.mark.parametrize("task", TASKS)
def test_inspect_says_what_a_model_is(task):
    path = MINIATURE / f"{task}.onnx"
    run = serin("inspect", "--json", path)
    assert run.returncode == 0 and run.stderr == ""
    found = json.loads(run.stdout)
    assert found["task"] == task
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["size_bytes"] == path.stat().st_size
    assert found["classes"] and found["inputs"][0]["shape"][-1] in (None, found["imgsz"][1])
    assert found["metadata"]["task"] == task
    assert found["parameters"] > 1000 and found["nan_weights"] == 0
    assert found["operators"]["Conv"] > 10
    people = serin("inspect", path)
    assert people.returncode == 0
    for word in (found["sha256"], task, found["classes"][0], "parameters"):
        assert word in people.stdout
    assert serin("inspect", "--model", path).stdout == people.stdout


def test_inspect_warns_of_what_hurts():
    codes = {warning["code"] for warning in json.loads(serin("inspect", "--json", MINIATURE / "pose.onnx").stdout)["warnings"]}
    assert "fixed_batch" in codes
    assert "will hurt:" in serin("inspect", MINIATURE / "pose.onnx").stdout


def test_inspect_of_what_is_no_model(tmp_path):
    fake = tmp_path / "fake.onnx"
    fake.write_bytes(b"no model at all")
    run = serin("inspect", "--json", fake)
    assert run.returncode == 1 and run.stderr.startswith("serin: ")
    found = json.loads(run.stdout)
    assert found["error"] and found["sha256"] == hashlib.sha256(b"no model at all").hexdigest()
    assert serin("inspect", tmp_path / "none.onnx").returncode == 1


@pytest.mark.parametrize("name, reason", [("none.onnx", "No such file"), (".", "not a regular file"), ("m:v1", "no versions yet")])
def test_inspect_of_what_cannot_be_read_has_json(tmp_path, name, reason):
    # It printed nothing, where a file that is no model gave an object.
    run = serin("inspect", "--json", name, "--data-dir", "store", cwd=tmp_path)
    assert run.returncode == 1 and run.stderr.startswith("serin: ")
    found = json.loads(run.stdout)
    assert found["file"] == name and reason in found["error"] and found["error"] in run.stderr
    assert found["sha256"] is None and found["size_bytes"] is None and found["warnings"] == []


@pytest.mark.skipif(not STREET.exists() or not FOOTAGE.exists(), reason="the street model is not there")
def test_eval_measures_the_street_model(tmp_path):
    run = serin("eval", "--model", STREET, "--data", FOOTAGE / "day.yaml", "--json")
    assert run.returncode == 0 and run.stderr == ""
    found = json.loads(run.stdout)
    for key in ("images", "instances", "map50_95", "map50", "map75", "small", "medium", "large", "precision", "recall", "f1",
                "per_class", "ultralytics", "speed"):
        assert key in found
    assert found["images"] == len(list((FOOTAGE / "images" / "day").iterdir()))
    assert 0 < found["map50_95"] < found["map50"] <= 1
    assert found["per_class"][0]["name"] == "person"
    assert found["per_class"][0]["map50_95"] == found["map50_95"]  # the only class is the mean
    people = serin("eval", "--model", STREET, "--data", FOOTAGE / "day.yaml")
    assert people.returncode == 0
    assert f"{found['map50_95']:.4f}" in people.stdout and "person" in people.stdout


def test_eval_without_labels_measures_nothing(tmp_path, model, picture):
    # A table of dashes and the exit code 0 once, where the folder of labels was missing.
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "data.yaml").write_text("val: images\nnames: [circle, square, triangle]\n")
    run = serin("eval", "--json", "--model", model, "--data", tmp_path / "data.yaml")
    assert run.returncode == 1 and "not one labelled object on its 1 picture" in run.stderr
    assert json.loads(run.stdout)["instances"] == 0


@pytest.fixture
def labelled(tmp_path, picture):
    """Two good pictures with a square each, and a data.yaml that calls the classes as the smallest detector does."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for name in ("a", "c"):
        shutil.copy(picture, tmp_path / "images" / f"{name}.jpg")
        (tmp_path / "labels" / f"{name}.txt").write_text("1 .5 .5 .2 .2\n")
    (tmp_path / "data.yaml").write_text("val: images\nnames: [circle, square, triangle]\n")
    return tmp_path / "data.yaml"


def test_eval_goes_on_after_a_damaged_picture(model, labelled):
    # One damaged picture ended the evaluation.
    whole = serin("eval", "--json", "--model", model, "--data", labelled)
    assert whole.returncode == 0 and whole.stderr == ""
    (labelled.parent / "images" / "b.jpg").write_text("no picture")
    (labelled.parent / "labels" / "b.txt").write_text("1 .5 .5 .2 .2\n")
    run = serin("eval", "--json", "--model", model, "--data", labelled)
    assert run.returncode == 1
    first, second = run.stderr.splitlines()
    assert "/images/b.jpg" in first and second == "serin: eval: 1 of 3 pictures failed; the figures are of the others"
    before, after = json.loads(whole.stdout), json.loads(run.stdout)
    assert (before["images"], before["images_failed"], after["images"], after["images_failed"]) == (2, 0, 2, 1)
    for key in ("instances", "map50_95", "precision", "recall", "ultralytics", "per_class"):
        assert before[key] == after[key]
    assert serin("eval", "--model", model, "--data", labelled).returncode == 1


def test_eval_says_where_classes_are_matched_by_number(model, labelled):
    # In silence, whatever the order of the names.
    assert json.loads(serin("eval", "--json", "--model", model, "--data", labelled).stdout)["classes_by_name"] is True
    labelled.write_text("val: images\nnames: [kreis, dreieck, quadrat]\n")
    run = serin("eval", "--json", "--model", model, "--data", labelled)
    assert run.returncode == 0 and json.loads(run.stdout)["classes_by_name"] is False
    assert "matched by number" in run.stderr and run.stderr.count("\n") == 1


def test_eval_without_data(tmp_path, model):
    run = serin("eval", "--model", model, "--data", tmp_path / "none.yaml")
    assert run.returncode == 1 and "none.yaml" in run.stderr
    (tmp_path / "bad.yaml").write_text("names: [a\n")
    assert serin("eval", "--model", model, "--data", tmp_path / "bad.yaml").returncode == 1


@pytest.mark.parametrize("options", [[], ["--batch", "3"], ["--concurrency", "2", "--threads", "1"], ["--images", PICTURES]])
def test_bench_splits_by_stage(model, options):
    run = serin("bench", "--model", model, "--seconds", ".05", "--json", *options)
    assert run.returncode == 0 and run.stderr == ""
    found = json.loads(run.stdout)
    assert found["images"] > 0 and found["images_per_second"] > 0 and found["images_per_cpu_second"] > 0
    assert list(found["stages_ms"]) == ["decode", "preprocess", "inference", "postprocess", "whole"]
    for stage in found["stages_ms"].values():
        assert 0 <= stage["p50"] <= stage["p90"] <= stage["p99"] <= stage["max"]
    if "--batch" in options:
        assert found["images"] % 3 == 0


def test_bench_for_people_and_with_bad_pictures(model, folder, tmp_path):
    run = serin("bench", "--model", model, "--seconds", ".05")
    assert run.returncode == 0 and "img/s" in run.stdout and "p99" in run.stdout
    run = serin("bench", "--model", model, "--seconds", ".05", "--images", folder)
    assert run.returncode == 1 and "img/s" in run.stdout  # the first bad picture ended it once
    first, second, third = run.stderr.splitlines()
    assert "b-cut.jpg" in first and "c-text.png" in second and third.startswith("serin: bench: 2 pictures of ")
    found = json.loads(serin("bench", "--json", "--model", model, "--seconds", ".05", "--images", folder).stdout)
    assert found["images"] > 0 and found["images_failed"] == 2
    run = serin("bench", "--model", model, "--seconds", ".05", "--images", folder / "b-cut.jpg")
    assert run.returncode == 1 and run.stdout == "" and "not one of 1 pictures can be decoded" in run.stderr
    shutil.rmtree(folder)
    assert serin("bench", "--model", model, "--images", folder).returncode == 1
