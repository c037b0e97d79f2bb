"""A browser for tests: Debian's Chromium, led by playwright-core over a pipe of JSON lines.

SPDX-License-Identifier: Apache-2.0

`tools/setup.sh peers` fetches playwright-core and axe-core. SERIN_SHOTS names a folder for the screenshots; else they go with
the test's own.
"""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
CHROMIUM, NODE = shutil.which("chromium"), shutil.which("node")


def packages():
    """The folder that has them, or None."""
    cache = os.environ.get("SERIN_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "serin")
    for folder in sorted(pathlib.Path(cache).glob("browser-*")):
        if (folder / "complete").exists():
            return folder
    return None


needs_browser = pytest.mark.skipif(not (CHROMIUM and NODE and packages()),
                                   reason="no chromium, node, or playwright-core (tools/setup.sh peers)")


class Browser:
    """One page at a time. Each verb of driver.mjs is a method, with the names of its parameters."""

    def __init__(self, shots):
        self.shots = pathlib.Path(os.environ.get("SERIN_SHOTS") or shots)
        self.process = subprocess.Popen([NODE, HERE / "driver.mjs", packages(), CHROMIUM], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __getattr__(self, verb):
        return lambda **given: self.do(verb, **given)

    def do(self, verb, **given):
        """Tells the driver, and gives its answer."""
        self.process.stdin.write(json.dumps({"verb": verb, **given}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        assert "error" not in answer, f"{verb} {given}: {answer['error']}"
        return answer["result"]

    def keep(self, name):
        """A picture of the page, to be looked at."""
        self.shots.mkdir(parents=True, exist_ok=True)
        self.do("shot", path=str(self.shots / f"{name}.png"))

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
