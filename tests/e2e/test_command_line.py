"""The command line itself: help, errors, exit codes, the manual page, output that cannot be written.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from conftest import BIN, MINIATURE, ROOT, TIMEOUT_S, serin

VERBS = re.findall(r"&cli_(\w+)", (ROOT / "src" / "main.c").read_text())
PAGE = ROOT / "docs" / "man" / "serin.1"


def test_overview_lists_every_verb():
    run = serin("--help")
    assert run.returncode == 0 and run.stderr == ""
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S", run.stdout, re.M)
    assert serin("help").stdout == serin("-h").stdout == run.stdout


def test_no_verb_is_a_usage_error():
    run = serin()
    assert run.returncode == 2 and run.stdout == "" and "Usage" in run.stderr


def test_version():
    run = serin("--version")
    assert run.returncode == 0
    assert re.fullmatch(r"serin \d+\.\d+\.\d+\n", run.stdout)


@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches(verb):
    run = serin(verb, "--help")
    assert run.returncode == 0 and run.stderr == ""
    assert run.stdout.startswith(f"serin {verb} - ")
    assert "Usage: serin " + verb in run.stdout
    assert re.search(rf"^    serin {verb}\b", run.stdout.split("Examples:")[1], re.M)
    assert serin("help", verb).stdout == run.stdout
    # It fits a terminal of 80 columns, but for commands, which must stay in one piece.
    assert all(len(line) <= 80 or line.startswith("    ") for line in run.stdout.split("\n"))


def test_defaults_are_said_in_help():
    text = " ".join(serin("predict", "--help").stdout.split())
    assert "(default .25)" in text and "(default .7)" in text and "(default 300)" in text


@pytest.mark.parametrize("arguments, words", [
    (["predcit"], ["'predcit'", "'predict'"]),
    (["zzzzzzzz"], ["'zzzzzzzz'", "serin --help"]),
    (["help", "evla"], ["'eval'"]),
    (["--verbose"], ["a verb comes first"]),
    (["predict", "--cnof", ".3", "a.jpg"], ["--cnof", "--conf"]),
    (["predict", "-conf", ".3", "a.jpg"], ["-conf", "--conf"]),
    (["predict", "--model", "m.onnx"], ["IMAGE|DIR|FRAMES..."]),
    (["predict", "a.jpg"], ["--model M.onnx is required"]),
    (["predict", "--model"], ["--model needs a value"]),
    (["predict", "--model", "m", "--conf", "1.5", "a.jpg"], ["'1.5'", "from 0 to 1"]),
    (["predict", "--model", "m", "--conf", "0x1", "a.jpg"], ["'0x1' is not a number", "from 0 to 1"]),
    (["predict", "--model", "m", "--max-det", "0", "a.jpg"], ["'0'", "from 1 to"]),
    (["predict", "--model", "m", "--imgsz", "640x480", "a.jpg"], ["'640x480'", "HEIGHT,WIDTH"]),
    (["predict", "--model", "m", "--rect", "maybe", "a.jpg"], ["auto|on|off"]),
    (["predict", "--model", "m", "--json=yes", "a.jpg"], ["--json takes no value"]),
    (["predict", "--model", "m", "--conf", ".3", "--conf=.4", "a.jpg"], ["--conf is given twice"]),
    (["predict", "--model", "m", "--model", "m", "a.jpg"], ["--model is given twice"]),
    (["inspect"], ["M.onnx|NAME:TAG is missing"]),
    (["inspect", "a", "b"], ["'b'"]),
    (["inspect", "--model", "a", "b"], ["it takes one"]),
    (["bench", "--model", "m", "stray"], ["'stray'"]),
])
def test_wrong_command_lines(arguments, words):
    run = serin(*arguments)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.startswith("serin: ") and run.stderr.count("\n") == 1
    for word in words:
        assert word in run.stderr


def test_names_cannot_drive_the_terminal():
    run = serin("\x1b[2Jx\ny")
    assert run.returncode == 2
    assert "\x1b" not in run.stderr and run.stderr.count("\n") == 1


def test_manual_page_is_the_committed_one():
    assert serin("--man").stdout == PAGE.read_text(encoding="utf-8"), "run: build/serin --man > docs/man/serin.1"


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_manual_page_has_no_errors():
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", PAGE], capture_output=True, text=True, check=False)
    assert lint.returncode == 0 and lint.stdout == ""
    text = subprocess.run(["mandoc", "-T", "ascii", PAGE], capture_output=True, text=True, check=True).stdout
    text = re.sub(r".\x08", "", text)
    for verb in VERBS:
        for option in re.findall(r"^  (--[a-z-]+)", serin(verb, "--help").stdout, re.M):
            assert option in text


def test_full_disk_is_an_error():
    with open("/dev/full", "w", encoding="ascii") as full:
        run = serin("--help", stdout=full)
    assert run.returncode == 1
    assert run.stderr == "serin: cannot write the output: No space left on device\n"


def test_reader_that_went_away_ends_the_program_quietly(model, picture):
    reading, writing = os.pipe()
    os.close(reading)
    run = serin("predict", "--model", model, picture, picture, stdout=writing)
    os.close(writing)
    assert run.returncode == 1 and run.stderr == ""


def test_closed_stdout_is_an_error():
    run = subprocess.run(["sh", "-c", f"'{BIN}' --version >&-"], capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "cannot write the output" in run.stderr


def test_closed_stdout_is_an_error_where_files_are_opened(model, picture, tmp_path):
    # The model or a saved picture took its number once, and got the lines printed into it.
    run = subprocess.run(["sh", "-c", '"$@" >&- <&-', "-", BIN, "predict", "--model", model, "--save", tmp_path / "out", picture],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "cannot write the output" in run.stderr
    run = subprocess.run(["sh", "-c", '"$@" <&-', "-", BIN, "predict", "--model", model, "-"],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "stdin: " in run.stderr


def test_threads_wait_without_spinning():
    """OpenMP reads the environment before main begins, so it has to be there; what the caller says holds."""
    for said, wanted in ((None, b"passive"), ("active", b"active")):
        environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
        environment.update({"OMP_WAIT_POLICY": said} if said else {})
        with subprocess.Popen([BIN, "predict", "--model", MINIATURE / "detect.onnx", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as run:
            deadline = time.monotonic() + TIMEOUT_S
            seen = b""
            while b"OMP_WAIT_POLICY=" not in seen and run.poll() is None and time.monotonic() < deadline:
                seen = pathlib.Path(f"/proc/{run.pid}/environ").read_bytes()
            run.kill()
        assert b"OMP_WAIT_POLICY=" + wanted in seen.split(b"\0")
