"""Virtual environments for what serin is compared with, made from PyPI with pinned versions and kept under $SERIN_CACHE (~/.cache/serin).

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import subprocess
import sys

CACHE = pathlib.Path(os.environ.get("SERIN_CACHE", pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "serin")).expanduser()


def install(name, packages):
    """The Python of an environment with these packages, or None with a line that says why not."""
    home = CACHE / f"peer-{name}"
    wanted = "\n".join(packages)
    done = home / "serin-installed.txt"
    if done.exists() and done.read_text() == wanted:
        return home / "bin" / "python"
    print(f"installing {name} from PyPI ...", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", home], [home / "bin/python", "-m", "pip", "install", "-q", *packages]):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            print(f"{name} is left out, it could not be installed: {(ended.stderr or ended.stdout).strip().splitlines()[-1]}")
            return None
    done.write_text(wanted)
    return home / "bin" / "python"
