"""serin quantize: an int8 model of an example, that every engine runs alike.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import pty
import re
import struct

import pytest
from conftest import MINIATURE, ROOT, serin

STREET = ROOT / "examples" / "models" / "street-person" / "v1.1.0.onnx"
FOOTAGE = ROOT / "examples" / "footage"
DAY = FOOTAGE / "images" / "day"


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    """The example in int8, and what was said while it was made."""
    path = tmp_path_factory.mktemp("int8") / "street-int8.onnx"
    run = serin("quantize", "--model", STREET, "--data", FOOTAGE / "day.yaml", "--output", path, "--images", 16,
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


def test_it_says_how_to_serve_it(int8):
    path, said = int8
    assert said.endswith(f"\nto serve it in integers: serin push NAME:TAG --set provider=onednn --model {path}\n")


@pytest.mark.parametrize("tag, provider, words", [
    ("v1.0.0-cpu-int8", None, ["on a CPU (provider cpu) is often slower with it than in fp32: --set provider=onednn computes it"]),
    ("v1.0.0-cpu-int8", "onednn", []),
    ("v1.0.0-cpu-int8", "onednn-bf16", []),
    ("v1.0.0-cpu", "onednn", ["the tag v1.0.0-cpu does not say so: v1.0.0-cpu-int8 would"]),
])
def test_push_says_what_is_fast_and_what_the_tag_leaves_out(int8, tmp_path, tag, provider, words):
    setting = ["--set", f"provider={provider}"] if provider else []
    run = serin("push", f"m:{tag}", "--model", int8[0], "--data-dir", tmp_path, *setting)
    said = [line for line in run.stderr.splitlines() if "is tried with onednn" not in line]
    assert run.returncode == 0 and len(said) == len(words), run.stderr
    assert all(word in line for word, line in zip(words, said, strict=True))


def test_it_is_a_model_like_any_other(int8):
    fp32 = json.loads(serin("inspect", "--json", STREET).stdout)
    run = serin("inspect", "--json", int8[0])
    told = json.loads(run.stdout)
    assert told["quantized"] and not fp32["quantized"]
    assert told["precision"] == "int8" and fp32["precision"] == "fp32"
    assert re.search("^input size .*, int8$", serin("inspect", int8[0]).stdout, re.M)
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


@pytest.mark.parametrize("scale, name", [(0., "0"), (float("nan"), "nan"), (float("inf"), "inf"), (1e-45, "1.4013e-45"),
                                         (-.5, "-0.5")])
def test_a_broken_scale_is_told(int8, tmp_path, scale, name):
    """ONNX Runtime would find nothing and say nothing."""
    path = tmp_path / "broken.onnx"
    model = bytearray(int8[0].read_bytes())
    place = model.index(b"_scale\x4a\x04") + 8  # raw_data of four bytes, behind the name of a tensor's one scale
    model[place:place + 4] = struct.pack("<f", scale)
    path.write_bytes(model)
    run = serin("predict", "--model", path, "--provider", "onednn", DAY)
    assert run.returncode == 1 and run.stdout == ""
    assert f"(QuantizeLinear): scale 1 of 1 is {name}: it has to be finite and above 1.17549e-38" in run.stderr
    warnings = {warning["code"]: warning["message"] for warning in json.loads(serin("inspect", "--json", path).stdout)["warnings"]}
    assert warnings["broken_scales"].startswith("2 of its roundings to 8 bits have a scale")
    assert "broken_scales" not in serin("inspect", "--json", int8[0]).stdout


@pytest.fixture
def place(tmp_path):
    """A folder with a model, two pictures and labels, each of which would be lost if something were written in its place."""
    (tmp_path / "in").mkdir()
    for name in ("day-0580.jpg", "day-0586.jpg"):
        (tmp_path / "in" / name).write_bytes((DAY / name).read_bytes())
    (tmp_path / "own.onnx").write_bytes((MINIATURE / "detect.onnx").read_bytes())
    (tmp_path / "twin.onnx").hardlink_to(tmp_path / "own.onnx")
    (tmp_path / "data.yaml").write_text("path: .\n")
    (tmp_path / "link.onnx").symlink_to("own.onnx")
    (tmp_path / "dangling.onnx").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


def quantize_in(place, output):
    return serin("quantize", "--model", "own.onnx", "--data", "in", "--images", 1, "--output", output, cwd=place)


@pytest.mark.parametrize("output, sentence", [
    ("own.onnx", "is the model itself"),
    ("./in/../own.onnx", "is the model itself"),
    ("twin.onnx", "is the model itself"),
    ("in/day-0586.jpg", "is there and is no model"),
    ("data.yaml", "is there and is no model"),
    ("in", "is no regular file"),
    ("link.onnx", "is no regular file"),
    ("dangling.onnx", "is no regular file"),
    ("fifo", "is no regular file"),
    ("/dev/stdout", "is no regular file"),
    ("/dev/full", "is no regular file"),
    ("-", "is no name of a file"),
    ("own.onnx/out.onnx", "Not a directory"),
])
def test_nothing_is_lost_to_a_mistaken_name(place, output, sentence):
    def files():
        return {path: path.lstat() and (path.read_bytes() if path.is_file() else path.lstat().st_mode)
                for path in place.rglob("*")}

    before = files()
    run = quantize_in(place, output)
    assert run.returncode == 1 and run.stdout == "" and sentence in run.stderr and run.stderr.count("\n") == 1, run.stderr
    assert files() == before


def test_the_name_is_looked_at_before_the_work(place):
    """A model that could not even be read is not complained of."""
    run = serin("quantize", "--model", "nowhere.onnx", "--data", "nowhere", "--output", "data.yaml", cwd=place)
    assert run.returncode == 1 and "data.yaml is there and is no model" in run.stderr and "nowhere" not in run.stderr


def test_the_last_one_is_replaced(place):
    (place / "empty.onnx").touch()
    assert quantize_in(place, "empty.onnx").returncode == 0
    first = (place / "empty.onnx").read_bytes()
    run = serin("quantize", "--model", "own.onnx", "--data", "in", "--images", 2, "--output", "empty.onnx", cwd=place)
    assert run.returncode == 0 and (place / "empty.onnx").read_bytes() != first != b""


def test_the_size_is_rounded_up_as_predict_does(place):
    """The network of strides up to 32 has no input of 67 x 35."""
    files = [place / "one.onnx", place / "two.onnx"]
    for path, size in zip(files, ("67,35", "96,64"), strict=True):
        run = serin("quantize", "--model", STREET, "--data", "in", "--images", 1, "--imgsz", size, "--output", path, cwd=place)
        assert run.returncode == 0, run.stderr
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_size_that_is_fixed_is_not_another(place):
    run = serin("quantize", "--model", MINIATURE / "segment.onnx", "--data", "in", "--imgsz", 320, "--output", "out.onnx",
                cwd=place)
    assert run.returncode == 1 and "but the model's is fixed at" in run.stderr


@pytest.mark.parametrize("count, compared", [(4, 4), (36, 36), (1000, 36), (0, None)])
def test_so_many_labelled_pictures_are_compared(tmp_path, count, compared):
    """Progress on a terminal tells of how many."""
    control, terminal = pty.openpty()
    run = serin("quantize", "--model", STREET, "--data", FOOTAGE / "day.yaml", "--images", 2, "--compare", count, "--output",
                tmp_path / "out.onnx", "--imgsz", 64, stderr=terminal, env={"SERIN_PROGRESS": "on", "TERM": "xterm"})
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(control, 65536):
            shown += chunk
    except OSError:  # the end of a pseudo-terminal
        pass
    os.close(control)
    assert run.returncode == 0 and ("mAP" in run.stdout) == (compared is not None)
    assert b"measuring: [" in shown and re.findall(rb"measuring: \[\S+\] \d+/(\d+)", shown)[0] == b"4"
    for which in (b"fp32", b"int8"):
        totals = set(re.findall(rb"comparing, " + which + rb": \[\S+\] \d+/(\d+)", shown))
        assert totals == ({str(compared).encode()} if compared else set())


def test_a_quantized_model_is_not_quantized_again(int8, tmp_path):
    for model in (int8[0], ROOT / "tests" / "golden" / "left_to_plain.onnx"):
        run = serin("quantize", "--model", model, "--data", DAY, "--output", tmp_path / "out.onnx")
        assert run.returncode == 1
        assert run.stderr == f"serin: quantize: {model} is quantized already: take the fp32 model that it was made of\n"


def test_a_picture_that_is_none_is_named_once(tmp_path):
    (tmp_path / "a.jpg").write_text("a list of pictures")
    for data, sentence in ((tmp_path, f"{tmp_path}/a.jpg: image is text"), (tmp_path / "none", f"{tmp_path}/none: No such file")):
        run = serin("quantize", "--model", STREET, "--data", data, "--output", tmp_path / "out.onnx", "--threads", 1)
        assert run.returncode == 1 and run.stderr.startswith(f"serin: quantize: {sentence}")


def test_a_damaged_picture_is_named_and_left_out(tmp_path):
    """One of many ends nothing, and the file is that of the others; where all are damaged there is none."""
    files = {}
    for name, damaged in (("good", ()), ("some", ("b.jpg", "d.jpg")), ("bad", ("b.jpg", "d.jpg", "a.jpg", "c.jpg"))):
        folder = tmp_path / name
        folder.mkdir()
        for picture, source in zip(("a.jpg", "c.jpg"), sorted(DAY.iterdir()), strict=False):
            (folder / picture).write_bytes(source.read_bytes())
        for picture in damaged:
            (folder / picture).write_bytes((folder / "a.jpg").read_bytes()[:300])
        out = tmp_path / f"{name}.onnx"
        run = serin("quantize", "--model", MINIATURE / "segment.onnx", "--data", folder, "--output", out, "--threads", 1)
        assert run.returncode == bool(damaged) and out.exists() == (name != "bad")
        said = run.stderr.splitlines()
        assert [line.split(": ")[1] for line in said[:len(damaged)]] == sorted(str(folder / picture) for picture in damaged)
        assert "the ranges are those of 2 pictures, which is few" in said[-1] or name == "bad"
        files[name] = out.exists() and out.read_bytes()
        if name == "some":
            assert said[2] == "serin: quantize: 2 of 4 pictures failed; the others were measured"
    assert files["good"] == files["some"]
    assert said[-1] == f"serin: quantize: {folder}: not one of 4 pictures could be read, so nothing was measured"


def test_the_store_says_int8(int8, tmp_path):
    """The type of its input was told, fp32, by push, inspect, diff and the console."""
    for tag, model, provider in (("v1.0.0-cpu", STREET, "cpu"), ("v1.1.0-cpu-int8", int8[0], "onednn")):
        run = serin("push", f"street:{tag}", "--model", model, "--set", f"provider={provider}", "--data-dir", tmp_path)
        assert run.returncode == 0, run.stderr
    assert "(yolov8 head, int8)" in serin("inspect", "street:v1.1.0-cpu-int8", "--data-dir", tmp_path).stdout
    changes = serin("diff", "street:v1.0.0-cpu", "street:v1.1.0-cpu-int8", "--data-dir", tmp_path).stdout
    assert "precision        fp32 -> int8\n" in changes and "provider         cpu -> onednn\n" in changes
