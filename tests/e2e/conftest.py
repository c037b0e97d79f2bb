"""What the end-to-end tests share: running build/serin, the models, and pictures made on the spot.

SPDX-License-Identifier: Apache-2.0

SERIN_BIN names the program; `meson test` sets it. Only the standard library and pytest are needed.
"""
import os
import pathlib
import struct
import subprocess
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("SERIN_BIN", ROOT / "build" / "serin"))
MINIATURE = ROOT / "examples" / "models" / "miniature"
PICTURES = MINIATURE / "images"
TASKS = ("detect", "segment", "pose", "classify", "obb")
TIMEOUT_S = 300  # far beyond any test; a hang becomes a failure


def serin(*arguments, stdin=None, env=None, **options):
    """Runs the program with its output as text; nothing is checked. On a slow day no line tells how far it is."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([BIN, *map(str, arguments)], input=stdin, timeout=TIMEOUT_S, text=True, check=False,
                          env={**os.environ, "SERIN_PROGRESS": "off", **(env or {})}, **options)


def png_bytes(width, height, pixel):
    """An 8-bit RGB PNG; pixel(x, y) gives (r, g, b)."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.fixture(scope="session")
def model():
    """The smallest detector."""
    return MINIATURE / "detect.onnx"


@pytest.fixture(scope="session")
def picture():
    """A JPEG of 640 x 480 in which the detector finds something."""
    return PICTURES / "shapes-640x480.jpg"


@pytest.fixture
def folder(tmp_path):
    """Two good pictures, two bad ones, and a file that is none."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    jpeg = (PICTURES / "shapes-97x211.jpg").read_bytes()
    (pictures / "a-good.jpg").write_bytes(jpeg)
    (pictures / "b-cut.jpg").write_bytes(jpeg[:300])
    (pictures / "c-text.png").write_text("this is no picture")
    (pictures / "d-good.PNG").write_bytes(png_bytes(60, 40, lambda x, y: (x * 4, y * 6, 90)))
    (pictures / "notes.txt").write_text("not to be looked at")
    return pictures
