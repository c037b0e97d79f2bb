"""The documents as the tests see them: their headings and blocks, and a shell that runs the blocks as they stand.

SPDX-License-Identifier: Apache-2.0

A `console` block is a transcript. A line that begins with "$ " is a command (lines with "> " go on with it), and what follows is what
it shows: each such line must come, in this order, among what it prints; "..." stands for anything. A command ends with 0. A block
whose first line is "# not run: REASON" is not run, and every reader sees why.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import ROOT

BUILD = pathlib.Path(os.environ.get("SERIN_BUILD", ROOT / "build"))
LIMIT_S = 660  # of one command; the longest waits for a rollout, with a limit of its own
NOT_RUN = "# not run: "

# Everything in which a run differs from the page: ports that are surely free, in place of the usual ones. {data} and {control} are
# they; what a command shows is read with the usual ones in their place.
INSTEAD = (
    ("serin serve --log ", "serin serve --listen 127.0.0.1:{data} --admin 127.0.0.1:{control} --log "),
    ("serin stream ", "serin stream --to http://127.0.0.1:{data} "),
    ("127.0.0.1:8080", "127.0.0.1:{data}"),
    ("127.0.0.1:8081", "127.0.0.1:{control}"),
)


class Block:
    """A fenced block: kind ("console"), the line it begins in, its lines, the heading above it."""

    def __init__(self, kind, line, heading):
        self.kind, self.line, self.heading, self.lines = kind, line, heading, []

    @property
    def reason(self):
        """Why it is not run, or None."""
        first = self.lines[0] if self.lines else ""
        return first.removeprefix(NOT_RUN) if first.startswith(NOT_RUN) else None

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    def commands(self):
        """[command, [lines shown]], in order."""
        found = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append([line[2:], []])
            elif line.startswith("> ") and found and not found[-1][1]:
                found[-1][0] += "\n" + line[2:]
            elif line and not line.startswith(NOT_RUN):
                assert found, f"line {self.line}: '{line}' stands before the first command"
                found[-1][1].append(line)
        return found


class Page:
    """A Markdown file: blocks, headings as (depth, text), and the lines of prose with their numbers."""

    def __init__(self, path):
        self.path = path
        self.blocks, self.headings, self.prose = [], [], []
        block = None
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            fence = re.fullmatch(r"\s*```(\S*)", line)
            if fence and block is None:
                block = Block(fence[1], number, self.headings[-1][1] if self.headings else "")
            elif fence:
                self.blocks.append(block)
                block = None
            elif block is not None:
                block.lines.append(line)
            else:
                if heading := re.match(r"(#+) (.*)", line):
                    self.headings.append((len(heading[1]), heading[2]))
                self.prose.append((number, line))
        assert block is None, f"{path.name}:{block.line}: this block does not end"


class Shell:
    """One bash for a page, in an empty folder of its own, with the installed program and the examples, and nothing of the build."""

    def __init__(self, folder, program, ports):
        self.folder, self.ports = folder, ports
        home = folder / "home"
        (home / "serin").mkdir(parents=True)
        shutil.copytree(ROOT / "examples", home / "serin" / "examples")
        env = {"PATH": f"{program.parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "SERIN_PROGRESS": "off",
               "SERIN_ADMIN": f"127.0.0.1:{ports['control']}"}
        env.update((name, value) for name, value in os.environ.items() if name.endswith("SAN_OPTIONS"))
        (folder / "empty").mkdir()
        self.process = subprocess.Popen(["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, cwd=folder / "empty", env=env, start_new_session=True)
        self.count = 0

    def real(self, text):
        for said, done in INSTEAD:
            text = text.replace(said, done.format(**self.ports))
        return text

    def said(self, text):
        return (text.replace(f"127.0.0.1:{self.ports['data']}", "127.0.0.1:8080")
                .replace(f"127.0.0.1:{self.ports['control']}", "127.0.0.1:8081"))

    def run(self, command, shown, where):
        """Runs it and looks whether it shows what the page says."""
        self.count += 1
        out = self.folder / f"{self.count}.out"
        self.process.stdin.write(f"{{ {self.real(command)}\n}} >'{out}' 2>&1 </dev/null; echo ended $?\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        text = out.read_text(errors="replace")
        assert line == "ended 0\n", f"{where}: {command}\n{line}{text}"
        end = time.monotonic() + 60
        while lacks := missing(shown, self.said(text)):
            # What goes on in the background may not have said it yet.
            assert "&" in command and time.monotonic() < end, f"{where}: {command}\nshould show: {lacks}\nbut shows:\n{text}"
            time.sleep(.05)
            text = out.read_text(errors="replace")

    def run_blocks(self, page, blocks):
        for block in blocks:
            if block.kind == "console" and block.reason is None:
                for command, shown in block.commands():
                    self.run(command, shown, f"{page.path.name}:{block.line}")

    def end(self):
        """All that it started ends with it."""
        self.process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                continue
        self.process.stdout.close()


def missing(shown, text):
    """The first line that did not come, or ''."""
    lines = iter(text.split("\n"))
    for wanted in shown:
        pattern = re.compile(".*".join(map(re.escape, re.split(r" ?\.\.\.", wanted))) + r"\s*")
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return ""


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The program, where `make install` puts it in a folder of its own."""
    place = tmp_path_factory.mktemp("installed")
    done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, f"BUILD={BUILD}", f"DESTDIR={place}", "install"],
                          capture_output=True, text=True, check=False, env={**os.environ, "DESTDIR": str(place)})
    assert done.returncode == 0, done.stdout + done.stderr
    return next(path for path in place.rglob("serin") if path.parent.name == "bin")
