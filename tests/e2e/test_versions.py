"""The store of versions: serin push, versions, inspect NAME:TAG, rm, and skopeo reading what they wrote.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import MINIATURE, ROOT, serin

DETECT = MINIATURE / "detect.onnx"
V1 = "street-person:v1.0.0-cpu"
STREET = ROOT / "examples" / "models" / "street-person" / "v1.0.0.onnx"
FOOTAGE = ROOT / "examples" / "footage"
DATA = pathlib.Path(os.environ.get("SERIN_TEST_DATA", ROOT / ".." / "shared" / "data"))
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "model\u00e8",
    "Results": [
        {"Target": "a", "Vulnerabilities": [{"Severity": "HIGH"}, {"Severity": "LOW"}, {"Severity": "odd"}]},
        {"Target": "b", "Secrets": [{"Severity": "CRITICAL"}],
         "Misconfigurations": [{"Severity": "HIGH", "Status": "FAIL"}, {"Severity": "HIGH", "Status": "PASS"}]},
        {"Target": "c", "Vulnerabilities": None},
    ],
}


@pytest.fixture
def store(tmp_path):
    """A run of a verb on a store of its own."""
    def run(*arguments, **options):
        return serin(*arguments, "--data-dir", tmp_path / "store", **options)

    run.path = tmp_path / "store"
    return run


def pushed(run):
    assert run.returncode == 0 and run.stderr == "", run.stderr
    return json.loads(run.stdout)


def test_push_makes_an_oci_layout(store):
    found = pushed(store("push", V1, "--model", DETECT, "--set", "conf=.3", "--set", "max_queue=16", "--json",
                         env={"SOURCE_DATE_EPOCH": "1700000000"}))
    assert found["name"] == V1 and found["model"] == "street-person" and found["tag"] == "v1.0.0-cpu"
    assert found["settings"] == {"conf": 0.3, "max_queue": 16}
    assert found["created"] == "2023-11-14T22:13:20Z"
    assert found["task"] == "detect" and found["architecture"] == "yolov8" and found["precision"] == "fp32"
    assert found["classes"] == json.loads(serin("inspect", "--json", DETECT).stdout)["classes"]
    assert found["inputs"][0].startswith("fp32[") and found["outputs"][0].startswith("fp32[")
    assert found["eval"] is None and found["scan"] is None and found["in_use"] is False
    assert found["model_digest"] == "sha256:" + hashlib.sha256(DETECT.read_bytes()).hexdigest()
    assert found["model_bytes"] == DETECT.stat().st_size

    assert json.loads((store.path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((store.path / "index.json").read_text())
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]] == [V1]
    blobs = {"sha256:" + path.name: path.read_bytes() for path in (store.path / "blobs" / "sha256").iterdir()}
    for digest, content in blobs.items():
        assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert index["manifests"][0]["digest"] == found["digest"]
    assert index["manifests"][0]["size"] == len(blobs[found["digest"]])
    manifest = json.loads(blobs.pop(found["digest"]))
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    layers = manifest["layers"]
    assert [layer["annotations"]["org.cncf.model.filepath"] for layer in layers] == ["model.onnx", "serin.json"]
    assert layers[0]["mediaType"] == "application/vnd.cncf.model.weight.v1.raw"
    config = json.loads(blobs[manifest["config"]["digest"]])
    assert config["config"] == {"architecture": "yolov8", "format": "onnx", "precision": "fp32"}
    assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"] for layer in layers]}
    for descriptor in [manifest["config"], *layers]:
        assert descriptor["size"] == len(blobs.pop(descriptor["digest"]))
    assert not blobs  # nothing besides
    assert not list((store.path / "tmp").iterdir())


def test_identity_is_the_content_alone(store, tmp_path):
    copy = tmp_path / "another-name.onnx"
    shutil.copy(DETECT, copy)
    first = pushed(store("push", "m:v1.0.0-rc.1", "--model", DETECT, "--set", "iou=.5", "--set", "conf=.3", "--json",
                         env={"SOURCE_DATE_EPOCH": "1"}))
    second = pushed(store("push", "m:v1.0.0", "--model", copy, "--set", "conf=0.30", "--set", "iou=0.5", "--json",
                          env={"SOURCE_DATE_EPOCH": "2"}))
    assert first["digest"] == second["digest"] and first["created"] != second["created"]
    again = pushed(store("push", "m:v1.0.0-rc.1", "--model", DETECT, "--set", "iou=.5", "--set", "conf=.3", "--json",
                         env={"SOURCE_DATE_EPOCH": "3"}))
    assert again == first
    other = pushed(store("push", "m:v1.0.1", "--model", DETECT, "--set", "iou=.5", "--json"))
    assert other["digest"] != first["digest"]


def test_a_tag_never_moves(store):
    first = pushed(store("push", V1, "--model", DETECT, "--json"))
    before = (store.path / "index.json").read_bytes()
    for change in (["--model", DETECT, "--set", "conf=.3"], ["--model", MINIATURE / "detect-fp16.onnx"]):
        run = store("push", V1, *change)
        assert run.returncode == 1 and "a tag never moves" in run.stderr
        assert first["digest"] in run.stderr and run.stderr.count("sha256:") == 2
    assert (store.path / "index.json").read_bytes() == before
    assert not list((store.path / "tmp").iterdir())


@pytest.mark.parametrize("arguments, code, words", [
    (["Person:v1"], 2, "upper case"),
    (["person"], 2, "MODEL:TAG"),
    (["m:v1.02.0"], 2, "leading zero"),
    (["m:v1", "--set", "cnof=.3"], 2, "did you mean 'conf'?"),
    (["m:v1", "--set", "frobnicate=1"], 2, "there is no setting 'frobnicate'; there are conf, "),
    (["m:v1", "--set", "conf"], 2, "KEY=VALUE"),
    (["m:v1", "--set", "provider=abacus"], 2, "'abacus', it is one of cpu|cuda|tensorrt|auto|onednn|onednn-bf16"),
    (["m:v1", "--set", "provider="], 2, "it is one of cpu|"),
    (["m:v1", "--set", "providre=cpu"], 2, "did you mean 'provider'?"),
    (["m:v1", "--set", "conf=high"], 2, "from 0 to 1"),
    (["m:v1", "--set", "conf=1.01"], 2, "from 0 to 1"),
    (["m:v1", "--set", "conf=nan"], 2, "from 0 to 1"),
    (["m:v1", "--set", "conf=0x1"], 2, "from 0 to 1"),
    (["m:v1", "--set", "max_det=1.5"], 2, "whole number from 1 to 30000"),
    (["m:v1", "--set", "conf=.1", "--set", "conf=.2"], 2, "given twice"),
    (["m:v1", "--set", ""], 2, "--set needs a value"),
    (["m:v1", *(["--set", "conf=.1"] * 33)], 2, "32 times"),
    (["m:v1", "--set", "imgsz=320"], 1, "size is fixed"),
    (["m:v1", "--set", "max_batch=8"], 1, "batch is fixed at 1"),
    (["m:v1", "--scan", "none.json"], 1, "none.json"),
    (["m:v1", "--eval", "none.yaml"], 1, "none.yaml"),
])
def test_what_is_refused(store, arguments, code, words):
    run = store("push", "--model", MINIATURE / "pose.onnx", *arguments)
    assert run.returncode == code and run.stdout == "" and words in run.stderr
    assert run.stderr.startswith("serin: push: ") and run.stderr.count("\n") == 1
    assert not (store.path / "index.json").exists()  # a refused push makes no store


def test_a_model_that_cannot_run_is_not_stored(store, tmp_path):
    fake = tmp_path / "fake.onnx"
    fake.write_bytes(b"no model at all")
    run = store("push", "m:v1", "--model", fake)
    assert run.returncode == 1 and "fake.onnx" in run.stderr
    run = store("push", "m:v1", "--model", tmp_path / "none.onnx")
    assert run.returncode == 1 and "none.onnx" in run.stderr
    assert not store.path.exists()


def test_scan_is_summed_up_and_kept(store, tmp_path):
    report = tmp_path / "trivy.json"
    report.write_text(json.dumps(TRIVY))
    found = pushed(store("push", V1, "--model", DETECT, "--scan", report, "--json"))
    assert found["scan"] == {"scanner": "trivy", "target": "model\u00e8", "critical": 1, "high": 2, "medium": 0, "low": 1,
                             "unknown": 1, "vulnerabilities": 3, "secrets": 1, "misconfigurations": 1}
    manifest = json.loads((store.path / "blobs" / "sha256" / found["digest"][7:]).read_text())
    kept = [layer for layer in manifest["layers"] if layer["annotations"]["org.cncf.model.filepath"] == "scan.json"]
    assert (store.path / "blobs" / "sha256" / kept[0]["digest"][7:]).read_bytes() == report.read_bytes()
    assert "1/2" in store("versions").stdout
    assert "1 critical, 2 high" in store("inspect", V1).stdout


@pytest.mark.parametrize("report, words", [
    ("{", "no JSON"),
    ("[]", "no object"),
    ("{}", "SchemaVersion"),
    ('{"SchemaVersion": 1}', "SchemaVersion"),
    ('{"SchemaVersion": 2, "Results": {}}', "Results"),
    ('{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [3]}]}', "result 0"),
])
def test_what_is_no_scan_report(store, tmp_path, report, words):
    (tmp_path / "trivy.json").write_text(report)
    run = store("push", V1, "--model", DETECT, "--scan", tmp_path / "trivy.json")
    assert run.returncode == 1 and words in run.stderr and "trivy.json" in run.stderr


@pytest.mark.skipif(not STREET.exists() or not FOOTAGE.exists(), reason="the street model is not there")
def test_evaluation_is_that_of_eval(store):
    found = pushed(store("push", V1, "--model", STREET, "--eval", FOOTAGE / "day.yaml", "--json"))
    expected = json.loads(serin("eval", "--model", STREET, "--data", FOOTAGE / "day.yaml", "--json").stdout)
    del expected["speed"]  # differs from run to run, and a digest must not
    assert found["eval"].pop("data_digest").startswith("sha256:")  # of the pictures and labels
    assert found["eval"] == expected
    assert f"{expected['map50_95']:.4f}" in store("versions").stdout
    assert pushed(store("push", "m:v1", "--model", STREET, "--eval", FOOTAGE / "day.yaml", "--json"))["digest"] == found["digest"]


def test_evaluation_is_of_every_picture(store, tmp_path, model, picture):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(picture.read_bytes())
    (tmp_path / "images" / "b.jpg").write_text("no picture")
    (tmp_path / "labels" / "a.txt").write_text("1 .5 .5 .2 .2\n")
    (tmp_path / "data.yaml").write_text("val: images\nnames: [circle, square, triangle]\n")
    run = store("push", "m:v1", "--model", model, "--eval", tmp_path / "data.yaml")
    assert run.returncode == 1 and "b.jpg" in run.stderr and "1 of 2 pictures cannot be read" in run.stderr
    assert store("inspect", "m:v1").returncode == 1


def test_versions_are_in_the_order_of_semver(store):
    assert pushed(store("versions", "--json")) == []
    assert not store.path.exists()  # looking makes nothing
    names = ["a:v2.0.0", "m:nightly", "m:v0.9.0", "m:v0.10.0-rc.2", "m:v0.10.0-rc.11", "m:v0.10.0", "m:v0.10.0-cpu"]
    for name in reversed(names):
        pushed(store("push", name, "--model", DETECT, "--json"))
    listed = pushed(store("versions", "--json"))
    assert [version["name"] for version in listed] == names
    assert [version["name"] for version in pushed(store("versions", "m", "--json"))] == names[1:]
    table = store("versions", "m").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["version", *names[1:]]
    assert store("versions", "-o", "json").stdout == store("versions", "--json").stdout
    assert pushed(store("versions", "other", "--json")) == []
    assert store("versions", "Other").returncode == 2
    # By digest: the newest tag of that content.
    assert pushed(store("inspect", "m@" + listed[0]["digest"], "--json"))["name"] == "m:v0.10.0-cpu"


def test_inspect_looks_versions_up(store, tmp_path):
    found = pushed(store("push", V1, "--model", DETECT, "--json"))
    assert pushed(store("inspect", V1, "--json")) == found
    people = store("inspect", V1)
    assert people.returncode == 0
    for word in (V1, found["digest"], found["model_digest"], "detect", found["classes"][0]):
        assert word in people.stdout
    run = store("inspect", "street-person:v1.0.1-cpu")
    assert run.returncode == 1 and f"did you mean {V1}?" in run.stderr
    assert serin("inspect", V1, "--data-dir", tmp_path / "none").returncode == 1
    # A file of that name is a file.
    shutil.copy(DETECT, tmp_path / "m:v1")
    assert pushed(serin("inspect", "m:v1", "--json", cwd=tmp_path))["file"] == "m:v1"


@pytest.mark.parametrize("which", ["model.onnx", "serin.json", "config", "manifest"])
def test_damage_is_found(store, which):
    found = pushed(store("push", V1, "--model", DETECT, "--json"))
    blobs = store.path / "blobs" / "sha256"
    manifest = json.loads((blobs / found["digest"][7:]).read_text())
    digests = {layer["annotations"]["org.cncf.model.filepath"]: layer["digest"] for layer in manifest["layers"]}
    digests |= {"config": manifest["config"]["digest"], "manifest": found["digest"]}
    path = blobs / digests[which][7:]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    run = store("inspect", V1)
    assert run.returncode == 1 and "damaged" in run.stderr and digests[which][7:] in run.stderr
    # Pushing the content again mends it.
    pushed(store("push", V1, "--model", DETECT, "--json"))
    assert store("inspect", V1).returncode == 0


def test_one_damaged_version_does_not_hide_the_others(store):
    found = pushed(store("push", V1, "--model", DETECT, "--json"))
    pushed(store("push", "m:v1", "--model", MINIATURE / "pose.onnx", "--json"))
    (store.path / "blobs" / "sha256" / found["digest"][7:]).unlink()
    run = store("versions", "--json")
    assert run.returncode == 1
    listed = json.loads(run.stdout)
    assert [version["name"] for version in listed] == ["m:v1", V1]
    assert "problem" not in listed[0] and listed[1]["problem"]
    assert "damaged: " in store("versions").stdout
    assert store("rm", V1).returncode == 0
    assert store("versions").returncode == 0


def test_rm_takes_what_nobody_else_needs(store):
    pushed(store("push", "m:v1.0.0-rc.1", "--model", DETECT, "--json"))
    pushed(store("push", "m:v1.0.0", "--model", DETECT, "--json"))
    pushed(store("push", "m:v1.0.1", "--model", DETECT, "--set", "conf=.5", "--json"))
    run = store("rm", "m:v1.0.0-rc.1")
    assert run.returncode == 0 and re.fullmatch("m:v1.0.0-rc.1 removed  sha256:[0-9a-f]{64}\n", run.stdout)
    assert store("inspect", "m:v1.0.0").returncode == 0
    assert store("rm", "m:v1.0.0").returncode == 0
    assert store("inspect", "m:v1.0.1").returncode == 0
    assert len(list((store.path / "blobs" / "sha256").iterdir())) == 4
    run = store("rm", "m:v1.0.0", "m:v1.0.1")
    assert run.returncode == 1 and "there is no version m:v1.0.0" in run.stderr
    assert run.stdout.startswith("m:v1.0.1 removed  sha256:") and run.stdout.count("\n") == 1
    assert not list((store.path / "blobs" / "sha256").iterdir())
    assert store("rm", "M:v1").returncode == 2
    # The tag is free again.
    pushed(store("push", "m:v1.0.0", "--model", DETECT, "--set", "conf=.4", "--json"))


def test_rm_refuses_what_is_in_use(store):
    pushed(store("push", V1, "--model", DETECT, "--json"))
    mark = store.path / "state" / "in-use" / V1
    mark.parent.mkdir(parents=True)
    mark.touch()
    run = store("rm", V1)
    assert run.returncode == 1 and "is in use" in run.stderr and str(mark) in run.stderr
    assert pushed(store("versions", "--json"))[0]["in_use"] is True
    mark.unlink()
    assert store("rm", V1).returncode == 0


def test_where_the_store_is(tmp_path):
    home = {"HOME": str(tmp_path / "home"), "XDG_DATA_HOME": "", "SERIN_DATA_DIR": ""}
    for changes, place in (({}, "home/.local/share/serin"), ({"XDG_DATA_HOME": str(tmp_path / "xdg")}, "xdg/serin"),
                           ({"SERIN_DATA_DIR": str(tmp_path / "data")}, "data")):
        pushed(serin("push", "m:v1", "--model", DETECT, "--json", env={**home, **changes}))
        assert (tmp_path / place / "oci-layout").exists()
    run = serin("push", "m:v1", "--model", DETECT, env={**home, "HOME": ""})
    assert run.returncode == 1 and "--data-dir" in run.stderr


def test_names_in_a_store_cannot_drive_the_terminal(store, tmp_path):
    report = tmp_path / "trivy.json"
    report.write_text(json.dumps({"SchemaVersion": 2, "ArtifactName": "\x1b[2J"}))
    pushed(store("push", V1, "--model", DETECT, "--scan", report, "--json"))
    for run in (store("versions"), store("inspect", V1), store("versions", "--json")):
        assert run.returncode == 0 and "\x1b" not in run.stdout


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_reads_every_version(store, tmp_path):
    names = [V1, "yolo-v8:v2.1.0-gpu-cu118", "yolo-v8:detect-v3", "m:v1.0.0-rc.1-cpu-amx"]
    for number, name in enumerate(names):
        settings = ("--set", "provider=auto", "--set", f"max_queue={number + 1}")
        found = pushed(store("push", name, "--model", DETECT, *settings, "--json"))
        run = subprocess.run(["skopeo", "inspect", "--raw", f"oci:{store.path}:{name}"], capture_output=True, check=False)
        assert run.returncode == 0, run.stderr
        assert "sha256:" + hashlib.sha256(run.stdout).hexdigest() == found["digest"]
    # Out to another layout, and back into a store of ours under the same digest.
    other = tmp_path / "other"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{store.path}:{V1}", f"oci:{other}:{V1}"],
                   check=True)
    there = pushed(serin("inspect", V1, "--json", "--data-dir", other))
    here = pushed(store("inspect", V1, "--json"))
    assert there["digest"] == here["digest"] and there["settings"] == here["settings"]


def test_diff_tells_what_a_release_changes(store, tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps({"SchemaVersion": 2, "Results": [{"Target": "lib", "Vulnerabilities": [
        {"VulnerabilityID": "CVE-1", "PkgName": "zlib", "Severity": "HIGH"},
        {"VulnerabilityID": "CVE-2", "PkgName": "zlib", "Severity": "LOW"}]}]}))
    new.write_text(json.dumps({"SchemaVersion": 2, "Results": [{"Target": "lib", "Vulnerabilities": [
        {"VulnerabilityID": "CVE-2", "PkgName": "zlib", "Severity": "LOW"},
        {"VulnerabilityID": "CVE-2", "PkgName": "png\u001b", "Severity": "CRITICAL"}]}]}))
    pushed(store("push", "m:v1", "--model", DETECT, "--set", "conf=.3", "--scan", old, "--json"))
    pushed(store("push", "m:v2", "--model", MINIATURE / "detect-fp16.onnx", "--set", "max_det=7", "--scan", new, "--json"))
    found = json.loads(store("diff", "m:v1", "m:v2", "-o", "json").stdout)
    assert found["from"] == "m:v1" and found["to"] == "m:v2" and found["same"] is False
    fields = {field["name"]: (field["from"], field["to"]) for field in found["fields"]}
    assert fields["conf"] == (.3, None) and fields["max_det"] == (None, 7) and fields["precision"] == ("fp32", "fp16")
    assert fields["model_bytes"] == (DETECT.stat().st_size, (MINIATURE / "detect-fp16.onnx").stat().st_size)
    assert "task" not in fields and found["classes"] == {"added": [], "removed": [], "reordered": False}
    assert found["scan"]["gone"] == [{"id": "CVE-1", "severity": "HIGH", "target": "lib", "package": "zlib"}]
    assert [finding["package"] for finding in found["scan"]["new"]] == ["png\u001b"]
    assert found["evaluation"] is None
    text = store("diff", "m:v1", "m:v2").stdout
    assert "conf             0.3 -> -\n" in text and "precision        fp32 -> fp16\n" in text
    assert "gone finding     HIGH CVE-1 lib zlib\n" in text and "new finding      CRITICAL CVE-2 lib png?\n" in text
    same = store("diff", "m:v1", "m:v1")
    assert same.returncode == 0 and same.stdout == "the same content\n"
    missing = store("diff", "m:v1", "m:v3")
    assert missing.returncode == 1 and "there is no version m:v3" in missing.stderr


def test_the_provider_is_part_of_a_version(store):
    plain = pushed(store("push", "m:v1", "--model", DETECT, "--json"))
    found = pushed(store("push", "m:v2", "--model", DETECT, "--set", "provider=onednn", "--json"))
    assert plain["settings"] == {} and found["settings"] == {"provider": "onednn"}
    assert found["digest"] != plain["digest"] and found["model_digest"] == plain["model_digest"]
    assert "settings     provider=onednn\n" in store("inspect", "m:v2").stdout
    assert "provider         cpu -> onednn\n" in store("diff", "m:v1", "m:v2").stdout
    fields = {field["name"]: (field["from"], field["to"])
              for field in json.loads(store("diff", "m:v2", "m:v1", "-o", "json").stdout)["fields"]}
    assert fields["provider"] == ("onednn", "cpu")


def test_what_no_machine_can_run_so_is_not_stored(store):
    run = store("push", "m:v1", "--model", MINIATURE / "detect-nms.onnx", "--set", "provider=onednn")
    assert run.returncode == 1 and "'/NonZero': the operator NonZero is not known here" in run.stderr
    run = store("push", "m:v1", "--model", MINIATURE / "detect-nms.onnx", "--set", "provider=auto")
    assert run.returncode == 0 and run.stderr == ""


@pytest.mark.parametrize("tag, model, options, words", [
    ("v1.0.0-cpu-bf16", DETECT, [], "the tag v1.0.0-cpu-bf16 says bf16, and the version runs with provider cpu: is --set "
                                    "provider=onednn-bf16 missing?"),
    ("v1.0.0-cpu-int8", DETECT, [], "the tag v1.0.0-cpu-int8 says int8, and no layer of the model is quantised"),
    ("v1.0.0-cpu", DETECT, ["provider=onednn-bf16"], "its tag v1.0.0-cpu does not say so: v1.0.0-cpu-bf16 would"),
    ("v1.0.0-cpu", DETECT, ["provider=onednn"], ""),
    ("v1.0.0-cpu-amx-bf16", DETECT, ["provider=onednn-bf16"], ""),
    ("v1.0.0-cpu-fp32", DETECT, ["provider=onednn-bf16"], "does not say so: v1.0.0-cpu-bf16 would"),
    ("v1.0.0-gpu-cu118", DETECT, ["provider=onednn-bf16"], "says gpu-cu118, and the version runs on the CPU (provider "
                                                           "onednn-bf16): v1.0.0-cpu-bf16 would say so"),
    ("v1.0.0-cpu-fp16", DETECT, [], "says fp16, and the model is fp32: is it the right file?"),
    ("v1.0.0-cpu-fp16", MINIATURE / "detect-fp16.onnx", [], ""),
])
def test_the_tag_says_the_precision(store, tag, model, options, words):
    """A machine without bf16, which lets fp32 stand in: a sentence of its own."""
    settings = [word for option in options for word in ("--set", option)]
    run = store("push", f"m:{tag}", "--model", model, *settings)
    said = [line for line in run.stderr.split("\n")[:-1] if "is tried with onednn" not in line]
    assert run.returncode == 0 and len(said) == bool(words), run.stderr
    assert not words or words in said[0]


def test_a_model_for_another_machine_is_tried_with_what_is_nearest(store):
    run = store("push", "m:v1.0.0-cpu-bf16", "--model", DETECT, "--set", "provider=onednn-bf16", "--json",
                env={"DNNL_MAX_CPU_ISA": "AVX2"})
    assert run.returncode == 0 and json.loads(run.stdout)["settings"] == {"provider": "onednn-bf16"}
    assert run.stderr == ("serin: push: the version is tried with onednn, since this machine cannot run it as it will be "
                          "served (onednn-bf16): this processor has no instructions for bf16 (AVX512_BF16 or AMX): the "
                          "provider onednn runs the network in fp32\n")


def test_diff_sorts_classes_by_what_they_lose(store, tmp_path):
    """One detection a picture is left to the second version: who loses most is the one with most objects."""
    data = FOOTAGE / "day.yaml"
    pushed(store("push", "m:v1", "--model", STREET, "--eval", data, "--json"))
    pushed(store("push", "m:v2", "--model", STREET, "--eval", data, "--set", "max_det=1", "--json"))
    found = json.loads(store("diff", "m:v1", "m:v2", "-o", "json").stdout)["evaluation"]
    assert found["name"] == "mAP50-95" and found["same_data"] is True and found["to"] < found["from"]
    changes = [change["change"] for change in found["classes"]]
    assert changes == sorted(changes) and changes[0] == pytest.approx(found["to"] - found["from"])
    text = store("diff", "m:v1", "m:v2").stdout
    assert f"  {changes[0]:+.4f}  person: " in text and "not known" not in text
    pushed(store("push", "m:v3", "--model", STREET, "--eval", FOOTAGE / "dark.yaml", "--json"))
    assert json.loads(store("diff", "m:v1", "m:v3", "-o", "json").stdout)["evaluation"]["same_data"] is False
    assert "(not known to be of the same pictures and labels)" in store("diff", "m:v1", "m:v3").stdout


def test_diff_shows_the_ends_of_a_long_list_of_classes(store, tmp_path):
    model = DATA / "models" / "yolov8n.onnx"
    if not model.exists():
        pytest.skip("no model of many classes: ../shared/data")
    names = json.loads(serin("inspect", "--json", model).stdout)["classes"]
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    shutil.copy(sorted((FOOTAGE / "images" / "day").glob("*.jpg"))[0], tmp_path / "images" / "a.jpg")
    (tmp_path / "labels" / "a.txt").write_text("".join(f"{number} .5 .5 .2 .2\n" for number in range(20)))
    data = tmp_path / "data.yaml"
    data.write_text(json.dumps({"path": ".", "val": "images", "names": dict(enumerate(names))}))
    for version, most in (("m:v1", 10), ("m:v2", 20)):
        pushed(store("push", version, "--model", model, "--eval", data, "--set", f"max_det={most}", "--json"))
    assert len(json.loads(store("diff", "m:v1", "m:v2", "-o", "json").stdout)["evaluation"]["classes"]) == 20
    lines = [line for line in store("diff", "m:v1", "m:v2").stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == 16 and lines[10] == "  (5 classes from +0.0000 to +0.0000: -o json)", lines


def test_versions_name_the_folder_they_looked_in(store):
    assert f"{store.path} holds no versions yet (there is no such folder)" in store("versions").stderr
    store.path.mkdir()
    run = store("versions", "other")
    assert run.returncode == 0 and f"{store.path} holds no versions yet: 'serin push'" in run.stderr
    store.path.rmdir()
    store.path.write_text("")
    for verb in (["versions"], ["rm", V1], ["push", V1, "--model", DETECT]):
        run = store(*verb)
        assert run.returncode == 1 and f"{store.path} is no folder" in run.stderr and not run.stdout
