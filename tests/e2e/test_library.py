"""The example program, from the build and against what `meson install` puts in place.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where `meson install` put everything; and the environment without what points at the build folder."""
    place = tmp_path_factory.mktemp("installed")
    done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", place, "--quiet")
    assert done.returncode == 0, done.stderr
    env = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return place, env


def check_runtime(place, file, env):
    """The loader finds ONNX Runtime beside the installed library, not in the cache that the build linked against."""
    if "SERIN_ORT_LIB" not in os.environ:
        return  # the system's ONNX Runtime
    listed = run("ldd", file, env=env)
    found = re.search(r"^\s*libonnxruntime\S* => (\S+)", listed.stdout, re.M)
    assert found, listed.stdout + listed.stderr
    assert pathlib.Path(found[1]).resolve().is_relative_to(place.resolve()), found[0]


def test_installed_program_stands_alone(installed):
    place, env = installed
    program = next(path for path in place.rglob("serin") if path.parent.name == "bin")
    check_runtime(place, program, env)
    ran = run(program, "predict", "--model", MINIATURE / "detect.onnx", PICTURES / "shapes-640x480.jpg", env=env)
    assert ran.returncode == 0, ran.stderr
    assert "shapes-640x480.jpg" in ran.stdout
    if "SERIN_ORT_LIB" in os.environ:
        licence = next(place.rglob("LICENSE.onnxruntime"))
        assert (licence.parent / "libonnxruntime.so.1").is_file()
        assert (licence.parent / "ThirdPartyNotices.onnxruntime.txt").is_file()


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="pkg-config is not installed")
def test_example_builds_against_the_installed_library(installed, tmp_path):
    place, env = installed
    description = next(place.rglob("serin.pc"))
    flags = run("pkg-config", "--cflags", "--libs", "serin",
                env={**env, "PKG_CONFIG_PATH": str(description.parent), "PKG_CONFIG_SYSROOT_DIR": str(place)})
    assert flags.returncode == 0, flags.stderr
    library = next(place.rglob("libserin.so"))
    check_runtime(place, library, env)
    compiler = shlex.split(os.environ.get("SERIN_CC", "cc"))
    built = run(*compiler, "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", ROOT / "examples" / "c" / "predict.c",
                "-o", tmp_path / "predict", *shlex.split(flags.stdout), f"-Wl,-rpath,{library.parent}", env=env)
    assert built.returncode == 0, built.stderr
    ran = run(tmp_path / "predict", MINIATURE / "detect.onnx", PICTURES / "shapes-640x480.jpg", env=env)
    assert ran.returncode == 0, ran.stderr
    assert "box" in ran.stdout
