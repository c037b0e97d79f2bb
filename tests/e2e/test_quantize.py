"""serin quantize: an int8 model of an example, that every engine runs alike.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import re

import pytest
from conftest import MINIATURE, ROOT, serin

STREET = ROOT / "examples" / "models" / "street-person" / "v1.1.0.onnx"
FOOTAGE = ROOT / "examples" / "footage"
DAY = FOOTAGE / "images" / "day"


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    """The example in int8, and what was said while it was made."""
    path = tmp_path_factory.mktemp("int8") / "street-int8.onnx"
    run = serin("quantize", "--model", STREET, "--data", FOOTAGE / "day.yaml", "--output", path, "--images", 12,
                "--threads", 1)
    assert run.returncode == 0 and run.stderr == ""
    return path, run.stdout


def boxes(model, provider):
    run = serin("predict", "--model", model, "--provider", provider, "--threads", 1, "--json", DAY)
    assert run.returncode == 0, run.stderr
    return [json.loads(line)["results"] for line in run.stdout.splitlines()]


def test_the_table_says_what_became_of_each_layer(int8):
    path, said = int8
    assert re.match(r"54 of 62 convolutions are int8, with 9\d\.\d % of the weights\n", said)
    assert "fp32  /model.0/conv/Conv: first layer\n" in said
    assert said.count(": last layer\n") == 6
    assert len(re.findall(r"^ +\d+\.\d dB  /model", said, re.M)) == 5
    before, after, points = re.search(r"mAP50-95  fp32 (\S+)  int8 (\S+)  (\S+) points", said).groups()
    assert abs(100 * (float(after) - float(before)) - float(points)) < .02
    assert float(after) > float(before) - .02
    assert path.stat().st_size < .4 * STREET.stat().st_size


def test_both_engines_see_the_same(int8):
    """ONNX Runtime computes the file in floats between rounding, oneDNN in integers."""
    found = differ = 0
    for one, other in zip(boxes(int8[0], "onednn"), boxes(int8[0], "cpu"), strict=True):
        sure = [box for box in one if box["confidence"] > .4]
        found += len(sure)
        for box in sure:
            near = [twin for twin in other if twin["class"] == box["class"]
                    and abs(twin["confidence"] - box["confidence"]) < .1
                    and all(abs(twin["box"][side] - box["box"][side]) < 8 for side in ("x1", "y1", "x2", "y2"))]
            differ += not near
    assert found > 20 and differ <= found // 20


def test_it_is_a_model_like_any_other(int8):
    fp32 = json.loads(serin("inspect", "--json", STREET).stdout)
    run = serin("inspect", "--json", int8[0])
    told = json.loads(run.stdout)
    assert told["quantized"] and not fp32["quantized"]
    assert told["metadata"] == fp32["metadata"]


def test_the_same_pictures_make_the_same_file(int8, tmp_path):
    digests = set()
    for name in ("one", "two"):
        path = tmp_path / f"{name}.onnx"
        run = serin("quantize", "--model", MINIATURE / "segment.onnx", "--data", DAY, "--output", path, "--images", 3)
        assert run.returncode == 0 and "mAP" not in run.stdout
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("change, sentence", [
    ({"--model": MINIATURE / "detect-fp16.onnx"}, "fp16"),
    ({"--data": "nowhere"}, "nowhere"),
    ({"--keep": "/model.1"}, "no layer is called '/model.1'"),
    ({"--output": "no/such/folder/out.onnx"}, "no/such/folder"),
    ({"--model": FOOTAGE / "README.md"}, "README.md"),
])
def test_what_is_wrong_gets_a_sentence(change, sentence, tmp_path):
    arguments = {"--model": MINIATURE / "detect.onnx", "--data": DAY, "--output": tmp_path / "out.onnx", "--images": 1}
    arguments.update(change)
    run = serin("quantize", *(part for pair in arguments.items() for part in pair))
    assert run.returncode != 0 and run.stdout == ""
    assert sentence in run.stderr and run.stderr.count("\n") == 1
    assert not (tmp_path / "out.onnx").exists()


def test_a_quantized_model_is_not_quantized_again(int8, tmp_path):
    run = serin("quantize", "--model", int8[0], "--data", DAY, "--output", tmp_path / "out.onnx")
    assert run.returncode == 1 and "quantized already" in run.stderr
