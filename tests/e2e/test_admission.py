"""What keeps a version out of traffic, with its sentence, and what lets it in all the same.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import shutil

import pytest
from conftest import MINIATURE, ROOT, serin
from serve_fixture import serving, until

MODEL = ROOT / "examples" / "models" / "street-person" / "v1.0.0.onnx"
DAY = ROOT / "examples" / "footage" / "images" / "day"
PICTURES = [DAY / "day-0580.jpg", DAY / "day-0622.jpg"]

# A worker's sandbox keeps ThreadSanitizer from its list of suppressions.
pytestmark = pytest.mark.skipif("thread" in os.environ.get("SERIN_CC", ""), reason="no workers under ThreadSanitizer")


def push(data, tag, *options, model=MODEL):
    found = serin("push", f"street:{tag}", "--model", model, "--data-dir", data, *options)
    assert found.returncode == 0, found.stderr


def forge(data, old, new, change):
    """A version new with the golden pictures of old, whose answers went through change."""
    blobs = data / "blobs" / "sha256"
    index = json.loads((data / "index.json").read_text())

    def entry_of(tag):
        return next(e for e in index["manifests"]
                    if e["annotations"]["org.opencontainers.image.ref.name"] == f"street:{tag}")

    def put(content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = json.loads((blobs / entry_of(old)["digest"][7:]).read_text())
    for layer in manifest["layers"]:
        if layer["annotations"]["org.cncf.model.filepath"] == "golden.json":
            golden = json.loads((blobs / layer["digest"][7:]).read_text())
            change(golden["pictures"])
            layer.update(put(json.dumps(golden).encode()))
    entry = json.loads(json.dumps(entry_of(old)))
    entry.update(put(json.dumps(manifest).encode()))
    entry["annotations"]["org.opencontainers.image.ref.name"] = f"street:{new}"
    index["manifests"].append(entry)
    (data / "index.json").write_text(json.dumps(index))


def surer(pictures):
    pictures[1]["results"][0]["confidence"] -= .2


def one_more(pictures):
    pictures[0]["results"].insert(0, {"name": "person", "class": 0, "confidence": .9,
                                      "box": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    data = tmp_path_factory.mktemp("admission") / "data"
    push(data, "v1", "--eval", ROOT / "examples" / "footage" / "day.yaml")
    push(data, "v2-golden", "--golden", PICTURES[0], "--golden", PICTURES[1])
    push(data, "v3-blind", "--set", "max_det=1", "--eval", ROOT / "examples" / "footage" / "day.yaml")
    push(data, "v4-unmeasured", "--set", "conf=.3")
    push(data, "v7-classes", model=MINIATURE / "detect.onnx")
    push(data, "v8-task", model=MINIATURE / "pose.onnx")
    forge(data, "v2-golden", "v5-surer", surer)
    forge(data, "v2-golden", "v6-missing", one_more)
    return data


@pytest.fixture
def serve(store, tmp_path, request):
    shutil.copytree(store, tmp_path / "data", symlinks=True)
    with serving(tmp_path, "--worker-threads", "1", *getattr(request, "param", ())) as found:
        yield found


def deploy(serve, tag, **more):
    """The answer to it, once what was refused before has ended."""
    def ask():
        found = serve.call("POST", "/api/v1/deploy", {"name": f"street:{tag}", "stable": False, **more})
        return None if b"is still stopping" in found.body else found

    return until(ask, f"an end of {tag}")


def refused(serve, tag, *words, **more):
    """It says why, and nothing of it is left."""
    found = deploy(serve, tag, **more)
    assert found.status == 409, (found.status, found.body)
    for word in words:
        assert word in found.json()["error"], found.body
    assert serve.call("GET", "/api/v1/routes/street").status == 404 or tag not in serve.versions("street")


def confirmed(serve, tag, words, **more):
    found = deploy(serve, tag, confirm=True, **more)
    assert found.status == 200, found.body

    def logged():  # another thread writes it
        lines = [line for line in (serve.folder / "events").read_text().split("\n")[:-1] if "confirmed by" in line]
        return any(f"street:{tag}: " in line and words in line for line in lines)

    until(logged, f"a line about {words}")


def test_golden_pictures_are_layers_of_the_bundle(store):
    found = json.loads(serin("inspect", "street:v2-golden", "--data-dir", store, "--json").stdout)
    assert [picture["name"] for picture in found["golden"]["pictures"]] == [path.name for path in PICTURES]
    assert all(picture["results"] for picture in found["golden"]["pictures"])
    blobs = store / "blobs" / "sha256"
    manifest = json.loads((blobs / found["digest"][7:]).read_text())
    layers = {layer["annotations"]["org.cncf.model.filepath"]: layer for layer in manifest["layers"]}
    for number, path in enumerate(PICTURES):
        layer = layers[f"golden/{number:02}"]
        assert layer["digest"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert "golden       day-0580.jpg, day-0622.jpg\n" in serin("inspect", "street:v2-golden", "--data-dir", store).stdout


@pytest.mark.parametrize("golden, words", [
    ([DAY], "36 golden pictures, the limit is 32"),
    ([ROOT / "README.md"], "README.md"),
    ([DAY / "none.jpg"], "none.jpg"),
])
def test_golden_pictures_that_are_none_are_refused(tmp_path, golden, words):
    arguments = [argument for path in golden for argument in ("--golden", path)]
    found = serin("push", "m:v1", "--model", MODEL, "--data-dir", tmp_path / "data", *arguments)
    assert found.returncode == 1 and words in found.stderr
    assert not (tmp_path / "data").exists()


def test_golden_pictures_decide(serve):
    assert deploy(serve, "v2-golden").status == 200
    refused(serve, "v5-surer", "golden picture 2 of 2, day-0622.jpg: person with a score of", "came with a score of",
            "an IoU of 1.00")
    refused(serve, "v6-missing",
            "golden picture 1 of 2, day-0580.jpg: person with a score of 0.900 in 1,2 to 30,40 is missing", "--confirm")
    assert list(serve.versions("street")) == ["v2-golden"]
    confirmed(serve, "v6-missing", "is missing")
    assert set(serve.versions("street")) == {"v2-golden", "v6-missing"}
    assert deploy(serve, "v6-missing", stable=True).status == 200  # once it is let in it is not asked again


def test_clients_of_stable_must_be_able_to_read_it(serve):
    assert deploy(serve, "v1").status == 200
    refused(serve, "v7-classes", "v7-classes has ", ": class 0 is '", "stable's is 'person'", "--confirm")
    refused(serve, "v8-task", "v8-task does pose, stable v1 does detect", "--confirm")
    confirmed(serve, "v7-classes", ": class 0 is '")
    confirmed(serve, "v8-task", "does pose")


def test_accuracy_is_measured_against_stable(serve):
    assert deploy(serve, "v1").status == 200
    refused(serve, "v3-blind", "v3-blind has mAP50-95 of 0.", "stable v1 has 0.", "at most 0.02 less", "--confirm")
    assert deploy(serve, "v4-unmeasured").status == 200  # what was not measured cannot be compared
    confirmed(serve, "v3-blind", "on the same pictures")


def test_a_floor_can_come_with_the_deploy(serve):
    refused(serve, "v1", "v1 has mAP50-95 of 0.", "its floor is 0.99", min_map=.99)
    refused(serve, "v4-unmeasured", "a floor of 0.1 for its accuracy and no evaluation", min_map=.1)
    found = serin("deploy", "street:v1", "--admin", f"127.0.0.1:{serve.admin}", "--min-map", "0.99")
    assert found.returncode == 1 and "its floor is 0.99" in found.stderr
    assert deploy(serve, "v1", min_map=2).status == 400
    found = serin("deploy", "street:elsewhere", "--url", "http://127.0.0.1:9", "--admin", f"127.0.0.1:{serve.admin}", "--min-map", "0.5")
    assert found.returncode == 1 and "has a floor of 0.5 for its accuracy, and no bundle in the store" in found.stderr, found.stderr
    confirmed(serve, "v1", "its floor is 0.99", min_map=.99)


@pytest.mark.parametrize("serve", [("--set", "min_map=0.98")], indirect=True)
def test_a_floor_can_be_configured(serve):
    refused(serve, "v1", "its floor is 0.98")
    assert deploy(serve, "v1", min_map=.1).status == 200  # the deploy knows better


@pytest.mark.parametrize("serve", [("--set", "memory_reserve_mb=100000000")], indirect=True)
def test_memory_cannot_be_confirmed(serve):
    refused(serve, "v1", "1 replicas of v1 need about 106 MB", "100000000 MB stay so")
    refused(serve, "v1", "1 replicas of v1 need about 106 MB", confirm=True)


def test_what_runs_without_weight_is_measured_again(serve):
    """It was let in before another stable, or a floor, had anything against it."""
    assert deploy(serve, "v1").status == 200
    confirmed(serve, "v3-blind", "on the same pictures")
    revision = serve.api("GET", "routes/street")["revision"]
    for more, words in (({}, "at most 0.02 less"), ({"min_map": .99}, "its floor is 0.99")):
        found = deploy(serve, "v3-blind", stable=True, **more)
        assert found.status == 409 and words in found.json()["error"], found.body
    found = deploy(serve, "v1", min_map=.99)  # one that was asked for counts for who has weight, too
    assert found.status == 409 and "its floor is 0.99" in found.json()["error"], found.body
    assert serve.api("GET", "routes/street")["revision"] == revision
    assert deploy(serve, "v3-blind", stable=True, confirm=True).status == 200


def test_a_deploy_that_changes_nothing_makes_no_revision(serve):
    for tag, stable in (("v1", True), ("v4-unmeasured", False)):
        assert deploy(serve, tag, stable=stable).status == 200
        revision, changes = serve.api("GET", "routes/street")["revision"], serve.api("GET", "changes")
        found = deploy(serve, tag, stable=stable)
        assert found.status == 200 and found.json()["revision"] == revision
        assert serve.api("GET", "changes") == changes
        found = deploy(serve, tag, stable=stable, replicas=2)  # is stored, for the next start
        assert found.status == 200 and found.json()["revision"] > revision


def test_a_bundle_says_what_runs_it(serve):
    """Our workers get the provider, and tell what runs the network; a machine that lacks it lets nothing in."""
    for tag, provider, model in [("n1", "onednn", MODEL), ("n2", "auto", MINIATURE / "detect-nms.onnx")]:
        push(serve.folder / "data", tag, "--set", f"provider={provider}", model=model)
        assert deploy(serve, tag, confirm=True).status == 200
    engines = {version["tag"]: version["engine"] for model in serve.api("GET", "status")["models"]
               for version in model["versions"]}
    assert engines["n1"] == {"provider": "onednn", "why": ""}
    if engines["n2"]["provider"] == "cpu":  # no GPU here
        assert "'/NonZero': the operator NonZero is not known here" in engines["n2"]["why"]
        until(lambda: any("street:n2: " in line and "NonZero" in line  # another thread writes it
                          for line in (serve.folder / "events").read_text().split("\n")), "a line of the worker")
        assert "! street:n2 runs with provider cpu: oneDNN cannot run this network" in serin(
            "status", "--admin", f"127.0.0.1:{serve.admin}").stdout
        push(serve.folder / "data", "n3", "--set", "provider=cuda")
        refused(serve, "n3", "CUDA provider")
    assert serve.api("GET", "versions/street:n2")["engine"] == engines["n2"]
    assert serve.api("GET", "versions/street:v1")["engine"] is None  # in the store, and not served


def test_a_bundle_says_how_many_replicas(serve, tmp_path):
    push(tmp_path / "data", "v9-two", "--set", "replicas=2")
    admin = ("--admin", f"127.0.0.1:{serve.admin}")
    assert serin("deploy", "street:v9-two", *admin).returncode == 0
    assert len(serve.versions("street")["v9-two"]["replicas"]) == 2
    assert serin("deploy", "street:v9-two", *admin, "--replicas", "3").returncode == 0
    assert serin("deploy", "street:v9-two", *admin).returncode == 0  # as many as run
    assert len(serve.versions("street")["v9-two"]["replicas"]) == 3
