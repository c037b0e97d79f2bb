"""serin predict, for people and for programs, with pictures good and bad.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import pty
import re
import resource
import struct

import pytest
from conftest import MINIATURE, PICTURES, TASKS, png_bytes, serin

FIELDS = {
    "detect": {"name", "class", "confidence", "box"},
    "segment": {"name", "class", "confidence", "box", "segments"},
    "pose": {"name", "class", "confidence", "box", "keypoints"},
    "classify": {"name", "class", "confidence"},
    "obb": {"name", "class", "confidence", "box"},
}


def lines(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gives_json(task):
    run = serin("predict", "--model", MINIATURE / f"{task}.onnx", "--json", "--conf", ".05", PICTURES)
    assert run.returncode == 0 and run.stderr == ""
    objects = lines(run)
    files = sorted(path.name for path in PICTURES.iterdir())
    assert [os.path.basename(one["image"]) for one in objects] == files
    for one in objects:
        assert list(one) == ["image", "shape", "speed", "results"]
        assert list(one["speed"]) == ["preprocess", "inference", "postprocess"]
        assert all(value >= 0 for value in one["speed"].values())
        height, width = map(int, reversed(re.search(r"(\d+)x(\d+)", one["image"]).groups()))
        assert one["shape"] == [height, width]
        for result in one["results"]:
            assert set(result) == FIELDS[task]
            assert 0 <= result["confidence"] <= 1
    assert any(one["results"] for one in objects)


def test_people_get_a_line_a_picture_and_a_summary(model, picture):
    run = serin("predict", "--model", model, picture, PICTURES / "star-80x80.png")
    assert run.returncode == 0 and run.stderr == ""
    first, second, summary = run.stdout.splitlines()
    assert re.fullmatch(re.escape(str(picture)) + r"  640x480  .+  \([\d.]+ ms decode, [\d.]+ pre, [\d.]+ inference, "
                        r"[\d.]+ post\)", first)
    assert "star-80x80.png  80x80  " in second
    assert re.match(r"2 pictures; mean [\d.]+ ms decode, .* img/s$", summary)


def test_words_and_json_agree(model, picture):
    results = lines(serin("predict", "--model", model, "--json", picture))[0]["results"]
    text = serin("predict", "--model", model, picture).stdout.splitlines()[0].split("  ")[2]
    assert sum(int(number) for number in re.findall(r"\d+", text)) == len(results)
    assert all(result["name"] in text for result in results)


def test_bad_pictures_do_not_stop_the_others(model, folder):
    run = serin("predict", "--model", model, "--json", folder)
    assert run.returncode == 1
    objects = lines(run)
    assert [os.path.basename(one["image"]) for one in objects] == ["a-good.jpg", "b-cut.jpg", "c-text.png", "d-good.PNG"]
    assert ["error" in one for one in objects] == [False, True, True, False]
    assert objects[1]["error"]["code"] == "corrupt" and objects[2]["error"]["code"] == "unsupported"
    complaints = run.stderr.splitlines()
    assert "b-cut.jpg" in complaints[0] and "c-text.png" in complaints[1]
    assert complaints[2] == "serin: 2 of 4 pictures failed"
    people = serin("predict", "--model", model, folder)
    assert people.returncode == 1
    assert people.stdout.splitlines()[-1].startswith("2 pictures, 2 failed; ")


def test_missing_and_unreadable_files(model, picture, tmp_path):
    missing, odd = tmp_path / "missing.jpg", tmp_path / "fifo.jpg"
    os.mkfifo(odd)
    run = serin("predict", "--model", model, "--json", missing, odd, picture)
    assert run.returncode == 1
    first, second, third = lines(run)
    assert first["error"]["code"] == "not_found" and second["error"]["code"] == "invalid" and "results" in third
    assert run.stderr.splitlines()[0] == f"serin: {missing}: No such file or directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_file_without_permission(model, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png_bytes(8, 8, lambda x, y: (0, 0, 0)))
    secret.chmod(0)
    run = serin("predict", "--model", model, secret)
    assert run.returncode == 1 and "Permission denied" in run.stderr


@pytest.mark.parametrize("name", ["Straße – кот 猫.png", "a b.png", "-dash.png", "100%d.png", "x\x1b[2J\n.png"])
def test_odd_file_names(model, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(png_bytes(40, 30, lambda x, y: (200, 100, 50)))
    run = serin("predict", "--model", model, "--json", "--save", "out", "--", name, cwd=tmp_path)
    assert run.returncode == 0 and run.stderr == ""
    assert lines(run)[0]["image"] == name
    assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    people = serin("predict", "--model", model, "--", name, cwd=tmp_path)
    assert people.returncode == 0 and "\x1b" not in people.stdout and people.stdout.count("\n") == 2


def test_a_file_that_looks_like_an_option_is_pointed_out(model, tmp_path):
    (tmp_path / "-dash.png").write_bytes(png_bytes(8, 8, lambda x, y: (0, 0, 0)))
    run = serin("predict", "--model", model, "-dash.png", cwd=tmp_path)
    assert run.returncode == 2 and "write ./-dash.png" in run.stderr


def test_nothing_to_do_is_an_error(model, tmp_path):
    run = serin("predict", "--model", model, tmp_path)
    assert run.returncode == 1 and "holds no pictures" in run.stderr
    run = serin("predict", "--model", model, tmp_path / "%04d.jpg")
    assert run.returncode == 1 and "no file has a name of this pattern" in run.stderr
    run = serin("predict", "--model", model, "-", stdin="\n")
    assert run.returncode == 1 and "no pictures" in run.stderr


def test_frames_patterns_and_lists(model, tmp_path):
    for number in (10, 9, 2):
        (tmp_path / f"{number:04d}.png").write_bytes(png_bytes(16, 16, lambda x, y: (9, 9, 9)))
    expected = [f"{tmp_path}/{number:04d}.png" for number in (2, 9, 10)]
    for source, stdin in ((tmp_path / "%04d.png", None), (tmp_path / "*.png", None), (tmp_path, None),
                          ("-", "\n".join(expected))):
        run = serin("predict", "--model", model, "--json", source, stdin=stdin)
        assert run.returncode == 0
        assert [one["image"] for one in lines(run)] == expected


def test_confidence_and_classes_filter(model):
    def found(*options):
        run = serin("predict", "--model", model, "--json", *options, PICTURES)
        assert run.returncode == 0
        return [result for one in lines(run) for result in one["results"]]

    everything = found("--conf", ".1")
    assert len(everything) > 1
    assert all(result["confidence"] > 0.5 for result in found("--conf", ".5"))
    name = everything[0]["name"]
    only = found("--conf", ".1", "--classes", name)
    assert only and {result["name"] for result in only} == {name}
    assert only == found("--conf", ".1", "--classes", str(everything[0]["class"]))
    assert max(len(one["results"]) for one in lines(
        serin("predict", "--model", model, "--json", "--conf", ".01", "--max-det", "1", PICTURES))) == 1


def test_unknown_class_is_a_usage_error(model, picture):
    run = serin("predict", "--model", model, "--classes", "unicorn", picture)
    assert run.returncode == 2 and "unicorn" in run.stderr
    run = serin("predict", "--model", model, "--classes", "99", picture)
    assert run.returncode == 2 and "99" in run.stderr


@pytest.mark.parametrize("options", [["--imgsz", "320"], ["--rect", "on"]])
def test_options_that_the_model_cannot_follow_end_the_run(options):
    """A fixed model is told once, not for each picture."""
    run = serin("predict", "--model", MINIATURE / "pose.onnx", "--json", *options, PICTURES)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.startswith("serin: predict: ") and run.stderr.count("\n") == 1 and "160 x 160" in run.stderr


@pytest.mark.parametrize("content, hint", [
    (b"PK\x03\x04" + b"\0" * 60, "export it with"),  # a PyTorch checkpoint is a ZIP
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    (b"\xff\xd8\xff\xe0" + b"\0" * 60, "a picture"),
])
def test_a_file_that_is_something_else_is_called_so(tmp_path, picture, content, hint):
    fake = tmp_path / "best.onnx"
    fake.write_bytes(content)
    for arguments in (("predict", "--model", fake, picture), ("inspect", fake)):
        run = serin(*arguments)
        assert run.returncode == 1 and hint in run.stderr


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" + b"\xff" * 100])
def test_a_file_that_is_no_model(tmp_path, picture, content):
    fake = tmp_path / "fake.onnx"
    fake.write_bytes(content)
    run = serin("predict", "--model", fake, picture)
    assert run.returncode == 1 and run.stdout == "" and run.stderr.startswith("serin: ")
    assert serin("predict", "--model", tmp_path / "none.onnx", picture).returncode == 1


def jpeg_size(content):
    """Width and height from the frame header of a JPEG."""
    at = 2
    while content[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + struct.unpack(">H", content[at + 2:at + 4])[0]
    height, width = struct.unpack(">HH", content[at + 5:at + 9])
    return width, height


@pytest.mark.parametrize("task", TASKS)
def test_saved_pictures(task, tmp_path):
    out = tmp_path / "deep" / "out"
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in PICTURES.iterdir()}
    run = serin("predict", "--model", MINIATURE / f"{task}.onnx", "--conf", ".05", "--save", out, PICTURES)
    assert run.returncode == 0 and run.stderr == ""
    assert {path.name for path in out.iterdir()} == set(before)
    for path in PICTURES.iterdir():
        saved = (out / path.name).read_bytes()
        width, height = map(int, re.search(r"(\d+)x(\d+)", path.name).groups())
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before[path.name]
        if path.suffix == ".jpg":
            assert saved[:3] == b"\xff\xd8\xff" and jpeg_size(saved) == (width, height)
        else:
            assert saved[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", saved[16:24]) == (width, height)
    again = serin("predict", "--model", MINIATURE / f"{task}.onnx", out)
    assert again.returncode == 0  # they decode


def test_saving_draws(model, picture, tmp_path):
    """The same picture without any detection comes out otherwise."""
    assert serin("predict", "--model", model, "--save", tmp_path / "with", "--conf", ".2", picture).returncode == 0
    assert serin("predict", "--model", model, "--save", tmp_path / "without", "--conf", "1", picture).returncode == 0
    assert (tmp_path / "with" / picture.name).read_bytes() != (tmp_path / "without" / picture.name).read_bytes()


def test_saving_never_overwrites_a_source(model, tmp_path):
    source = tmp_path / "x.png"
    source.write_bytes(png_bytes(20, 20, lambda x, y: (1, 2, 3)))
    before = source.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path)
    for target in (".", tmp_path, "link", "./link/"):
        run = serin("predict", "--model", model, "--save", target, "x.png", cwd=tmp_path)
        assert run.returncode == 1 and "would be overwritten" in run.stderr
    assert source.read_bytes() == before


def test_saving_never_overwrites_what_a_link_leads_to(model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "links").mkdir()
    original = tmp_path / "out" / "x.png"
    original.write_bytes(png_bytes(20, 20, lambda x, y: (1, 2, 3)))
    before = original.read_bytes()
    (tmp_path / "links" / "x.png").symlink_to(original)
    run = serin("predict", "--model", model, "--save", "out", "links", cwd=tmp_path)
    assert run.returncode == 1 and "would be overwritten" in run.stderr
    assert original.read_bytes() == before


def test_saved_pictures_obey_the_umask(model, tmp_path):
    # They were readable for everybody, whatever the umask said.
    (tmp_path / "x.png").write_bytes(png_bytes(20, 20, lambda x, y: (1, 2, 3)))
    for umask, mode in ((0o077, 0o600), (0o002, 0o664)):
        assert serin("predict", "--model", model, "--save", "out", "x.png", cwd=tmp_path, umask=umask).returncode == 0
        assert (tmp_path / "out" / "x.png").stat().st_mode & 0o777 == mode
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.png"]


def test_names_of_255_bytes_are_saved(model, tmp_path):
    name = "x" * 251 + ".png"
    (tmp_path / name).write_bytes(png_bytes(20, 20, lambda x, y: (1, 2, 3)))
    run = serin("predict", "--model", model, "--save", "out", name, cwd=tmp_path)
    assert run.returncode == 0 and (tmp_path / "out" / name).exists(), run.stderr


def test_saving_refuses_names_that_meet_by_their_extension(model, tmp_path):
    for name in ("x.bmp", "x.bmp.png"):
        (tmp_path / name).write_bytes(png_bytes(20, 20, lambda x, y: (1, 2, 3)))
    run = serin("predict", "--model", model, "--save", "out", "x.bmp", "x.bmp.png", cwd=tmp_path)
    assert run.returncode == 1 and "would both become out/x.bmp.png" in run.stderr


def test_a_failed_picture_is_named_once(model, tmp_path):
    long = "/".join([str(tmp_path), "d" * 200, "e" * 200, "x.png"])
    for name in ("odd\r.png", "\x1b.png", long):
        run = serin("predict", "--model", model, name, cwd=tmp_path)
        assert run.returncode == 1
        assert run.stderr.count(".png") == 1 and run.stderr.endswith(": No such file or directory\n")


def test_saving_refuses_two_sources_of_one_name(model, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(png_bytes(20, 20, lambda x, y: (1, 2, 3)))
    run = serin("predict", "--model", model, "--save", "out", "a/x.png", "b/x.png", cwd=tmp_path)
    assert run.returncode == 1 and "would both become out/x.png" in run.stderr


def test_saving_where_it_cannot(model, picture, tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", tmp_path / "file" / "deeper", "/proc/serin"):
        run = serin("predict", "--model", model, "--save", target, picture)
        assert run.returncode == 1 and "--save" in run.stderr


def test_a_folder_to_save_in_is_tried_before_the_first_picture(model, picture, tmp_path):
    # Every picture was predicted, and failed when it was to be saved.
    run = serin("predict", "--model", model, "--save", "/proc", picture, PICTURES / "star-80x80.png")
    assert run.returncode == 1 and run.stdout == "" and run.stderr.count("\n") == 1
    assert run.stderr.startswith("serin: predict: --save: no file can be made in /proc: ")
    # Nothing is made where the model cannot be opened.
    assert serin("predict", "--model", tmp_path / "none.onnx", "--save", tmp_path / "out", picture).returncode == 1
    assert not (tmp_path / "out").exists()
    assert serin("predict", "--model", model, "--save", tmp_path / "out", picture).returncode == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [picture.name]


def test_a_limit_on_file_sizes_is_an_error_of_the_picture(model, tmp_path):
    # SIGXFSZ ended the program at the first picture.
    for name, side in (("large.png", 300), ("small.png", 4)):
        (tmp_path / name).write_bytes(png_bytes(side, side, lambda x, y: (x * y % 251, x * 7 % 253, y * 3 % 256)))
    run = serin("predict", "--model", model, "--json", "--save", "out", "large.png", "small.png", cwd=tmp_path,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)))
    assert run.returncode == 1
    first, second = lines(run)
    assert first["error"]["code"] == "io" and "out/large.png: File too large" in first["error"]["message"]
    assert "results" in second
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_pattern_in_a_folder_without_permission(model, tmp_path):
    (tmp_path / "np").mkdir(mode=0)
    run = serin("predict", "--model", model, "np/*.jpg", cwd=tmp_path)
    assert run.returncode == 1 and "np: Permission denied" in run.stderr


def test_a_list_with_lines_that_end_in_cr_lf(model, picture):
    run = serin("predict", "--model", model, "--json", "-", stdin=f"{picture}\r\n")
    assert run.returncode == 0 and [one["image"] for one in lines(run)] == [str(picture)]


@pytest.mark.parametrize("verb", [("predict", "x.jpg"), ("eval", "--data", "x.yaml"), ("bench",)])
def test_a_thousand_threads_are_refused(model, verb):
    limit = max(16, 4 * len(os.sched_getaffinity(0)))
    if limit >= 1000:
        pytest.skip("this machine may have them")
    run = serin(*verb, "--model", model, "--threads", "1000")
    assert run.returncode == 2 and run.stdout == ""
    assert re.fullmatch(rf"serin: 1000 threads: 0 to {limit} are possible with \d+ usable processors?\n", run.stderr)


def run_on_terminal(*arguments, env):
    """stderr is a terminal, stdout is not. Returns the exit code, stdout and what the terminal got."""
    control, terminal = pty.openpty()
    try:
        run = serin(*arguments, stderr=terminal, env=env)
    finally:
        os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(control, 65536):
            shown += chunk
    except OSError:  # the end of a pseudo-terminal
        pass
    os.close(control)
    return run.returncode, run.stdout, shown.decode()


def test_progress_on_a_terminal(model):
    code, out, shown = run_on_terminal("predict", "--model", model, "--json", PICTURES,
                                       env={"SERIN_PROGRESS": "on", "TERM": "xterm"})
    total = len(list(PICTURES.iterdir()))
    assert code == 0 and len(out.splitlines()) == total and "\x1b" not in out
    assert re.search(rf"\r\[#*\.*\] \d+/{total} +\d+%  [\d.]+ img/s  ETA [\d:-]+", shown)
    assert shown.endswith("\r\x1b[K")  # cleared at the end


@pytest.mark.parametrize("env", [{"SERIN_PROGRESS": "off", "TERM": "xterm"}, {"SERIN_PROGRESS": "on", "TERM": "dumb"}])
def test_no_progress_where_it_is_not_wanted(model, env):
    code, _, shown = run_on_terminal("predict", "--model", model, PICTURES, env=env)
    assert code == 0 and shown == ""


def test_no_progress_in_a_file(model):
    run = serin("predict", "--model", model, PICTURES, env={"SERIN_PROGRESS": "on"})
    assert run.stderr == ""


def test_no_telemetry_of_onnx_runtime(model, picture, tmp_path):
    """It would run blkid in a shell (which is not in an ordinary user's PATH) and keep a device id in the home folder."""
    home, tools = tmp_path / "home", tmp_path / "tools"
    home.mkdir()
    tools.mkdir()
    for name in ("blkid", "hostname"):
        (tools / name).write_text(f"#!/bin/sh\n: >>{tmp_path}/was-run\n")
        (tools / name).chmod(0o755)
    clean = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    run = serin("predict", "--model", model, picture, env={**clean, "PATH": str(tools) + ":/usr/bin:/bin"})
    assert run.returncode == 0 and run.stderr == ""
    assert list(home.iterdir()) == []
    assert not (tmp_path / "was-run").exists()


def test_auto_says_what_it_took(picture):
    """Nobody could tell what made the boxes."""
    run = serin("predict", "--model", MINIATURE / "detect-nms.onnx", "--provider", "auto", "--json", picture)
    assert run.returncode == 0 and run.stderr.count("\n") == 1
    assert re.match("serin: provider auto took (tensorrt|cuda|cpu, because .*operator NonZero)", run.stderr)
    assert serin("predict", "--model", MINIATURE / "detect-nms.onnx", picture).stderr == ""
