"""The example program, from the build and against what `meson install` puts in place.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shlex
import shutil
import subprocess

import pytest
from conftest import MINIATURE, PICTURES, ROOT, TASKS

BUILD = pathlib.Path(os.environ.get("SERIN_BUILD", ROOT / "build"))
EXAMPLE = BUILD / "examples" / "predict"
PICTURE = PICTURES / "figures-320x240.png"


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("task", TASKS)
def test_example_reads_every_task(task):
    ran = run(EXAMPLE, MINIATURE / f"{task}.onnx", PICTURE)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""


def test_example_reports_errors():
    assert run(EXAMPLE).returncode == 1
    ran = run(EXAMPLE, MINIATURE / "detect.onnx", "/nonexistent.jpg")
    assert ran.returncode == 1 and "/nonexistent.jpg" in ran.stderr


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="pkg-config is not installed")
def test_example_builds_against_the_installed_library(tmp_path):
    installed = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", tmp_path, "--quiet")
    assert installed.returncode == 0, installed.stderr
    description = next(tmp_path.rglob("serin.pc"))
    env = {**os.environ, "PKG_CONFIG_PATH": str(description.parent), "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    flags = run("pkg-config", "--cflags", "--libs", "serin", env=env)
    assert flags.returncode == 0, flags.stderr
    libraries = [str(next(tmp_path.rglob("libserin.so")).parent)]
    if "SERIN_ORT_LIB" in os.environ:
        libraries.append(os.environ["SERIN_ORT_LIB"])
    built = run("cc", "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", ROOT / "examples" / "c" / "predict.c", "-o",
                tmp_path / "predict", *shlex.split(flags.stdout), *[f"-Wl,-rpath-link,{path}" for path in libraries])
    assert built.returncode == 0, built.stderr
    ran = run(tmp_path / "predict", MINIATURE / "detect.onnx", PICTURES / "shapes-640x480.jpg",
              env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})
    assert ran.returncode == 0, ran.stderr
    assert "box" in ran.stdout
