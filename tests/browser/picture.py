#!/usr/bin/env python3
"""picture.py - makes docs/console.png: the console in the midst of a real release of the example models.

SPDX-License-Identifier: Apache-2.0

    SERIN_BIN=build/serin python3 tests/browser/picture.py docs/console.png

Needs what the browser's tests need (tools/setup.sh peers). The release is the README's: v1.1.0 over v1.0.0, on played footage, looked at
when it has come to its fourth step.
"""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
from browser_fixture import Browser  # noqa: E402
from conftest import BIN, ROOT, serin  # noqa: E402
from serve_fixture import serving, until  # noqa: E402

EXAMPLES = ROOT / "examples"
FOOTAGE = EXAMPLES / "footage"
STEP, WAIT_S = 4, 300
MAX_BYTES = 300_000


def command(*words):
    done = serin(*words)
    if done.returncode != 0:
        sys.exit(f"serin {' '.join(map(str, words))}: {done.stderr}")


def main():
    picture = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for tag in ("v1.0.0", "v1.1.0"):
            command("push", f"street-person:{tag}-cpu", "--model", EXAMPLES / "models" / "street-person" / f"{tag}.onnx",
                    "--eval", FOOTAGE / "day.yaml", "--data-dir", folder / "data")
        with serving(folder) as serve:
            serve.deploy("street-person:v1.0.0-cpu", stable=True)
            stream = subprocess.Popen(
                [BIN, "stream", "--to", f"http://127.0.0.1:{serve.port}", "--model", "street-person", "--dir", FOOTAGE / "images/day",
                 "--dark", FOOTAGE / "images/dark", "--dark-share", ".3", "--cameras", "7", "--fps", "3", "--loop", "--labels", "auto",
                 "--data", FOOTAGE / "data.yaml", "--label-share", ".5", "--label-delay", "2"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            browser = Browser(folder)
            try:
                serve.deploy("street-person:v1.1.0-cpu")
                serve.api("POST", "rollouts", {"name": "street-person:v1.1.0-cpu",
                                               "plan": (EXAMPLES / "plans" / "street.yaml").read_text()})
                browser.open(url=f"http://127.0.0.1:{serve.admin}/#/rollouts/street-person",
                             options={"locale": "en-GB", "viewport": {"width": 1200, "height": 900}})
                until(lambda: serve.api("GET", "rollouts/street-person")["step"] >= STEP, "the fourth step", WAIT_S)
                browser.wait(selector=".state", text=f"step {STEP} of 6")
                browser.wait(selector="main", text="left at the present traffic")
                browser.keep("console")
            finally:
                browser.close()
                stream.terminate()
                stream.wait(60)
        picture.write_bytes((folder / "console.png").read_bytes())
    size = picture.stat().st_size
    print(f"{picture}: {size} bytes")
    if size > MAX_BYTES:
        sys.exit(f"more than {MAX_BYTES}")


if __name__ == "__main__":
    main()
