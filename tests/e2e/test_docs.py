"""Everything runnable in the documents, run: the README's tutorial line by line, and the pages of docs/.

SPDX-License-Identifier: Apache-2.0
"""
import re
import shutil
import socket
import subprocess

import pytest
from conftest import ROOT, serin
from docs_fixture import Page, Shell, installed  # noqa: F401
from serve_fixture import needs_workers

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [ENGLISH, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
KINDS = {"console", "yaml", "json", "text", "c", "mermaid"}

# How much of the README's tutorial has been done where a page begins: its headings up to this number.
BEGINS_AFTER = {"rollouts.md": 3, "serving.md": 2, "security.md": 2, "operations.md": 2}


def free_ports(count):
    """Ports that were free a moment ago."""
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in found]
    for probe in found:
        probe.close()
    return ports


@pytest.fixture
def shell(tmp_path, installed):  # noqa: F811
    data, control = free_ports(2)
    found = Shell(tmp_path, installed, {"data": data, "control": control})
    yield found
    found.end()


def tutorial(last):
    """The README's blocks under the numbered headings up to this one."""
    page = Page(ENGLISH)
    return page, [block for block in page.blocks if (step := re.match(r"(\d+)\. ", block.heading)) and int(step[1]) <= last]


@needs_workers
def test_the_readme(shell):
    page = Page(ENGLISH)
    shell.run_blocks(page, page.blocks)


RUNNABLE = [path for path in PAGES if path != ENGLISH and any(b.kind == "console" and b.reason is None for b in Page(path).blocks)]


@needs_workers
@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.stem)
def test_a_page(path, shell):
    shell.run_blocks(*tutorial(BEGINS_AFTER.get(path.name, 0)))
    page = Page(path)
    shell.run_blocks(page, page.blocks)


@pytest.mark.parametrize("path", [*PAGES, CHINESE], ids=lambda path: path.name)
def test_blocks_say_what_they_are(path):
    page = Page(path)
    for block in page.blocks:
        where = f"{path.name}:{block.line}"
        assert block.kind in KINDS, f"{where}: a block is one of {sorted(KINDS)}"
        assert block.kind == "console" or not re.search(r"^\$ |^ *serin ", block.text, re.M), f"{where}: commands are console"
        if block.kind == "console" and block.reason is None:
            assert block.commands(), f"{where}: no command"
        if block.reason is not None:
            assert len(block.reason) > 5, f"{where}: say why it is not run"
    before = ""
    for number, line in page.prose:
        assert not (re.match(r"    (\$ |serin )", line) and before == ""), f"{path.name}:{number}: an indented block is run by nobody"
        before = line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_yaml_is_what_the_program_takes(path, tmp_path):
    """A plan, or where its first line says so a file for serin serve --config."""
    for block in Page(path).blocks:
        if block.kind == "yaml":
            file = tmp_path / "file.yaml"
            file.write_text(block.text)
            run = (serin("serve", "--check", "--config", file, "--data-dir", tmp_path / "data")
                   if block.lines[0].startswith("# serin.yaml") else serin("lint", file))
            assert run.returncode == 0, f"{path.name}:{block.line}: {run.stderr}"


@pytest.mark.parametrize("path", [*PAGES, CHINESE], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", text):
        if target and "://" not in target:
            assert (path.parent / target).exists(), f"{path.name}: {target} is not there"


def anchor(heading):
    """As the usual Markdown renderers name it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [*PAGES, CHINESE], ids=lambda path: path.name)
def test_links_into_pages_meet_a_heading(path):
    for target, name in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            page = Page(path.parent / target if target else path)
            assert name in [anchor(heading) for _, heading in page.headings], f"{path.name}: no heading for {target}#{name}"


def test_options_in_the_pages_exist():
    """Each --option that a page tells of belongs to the program, or to a program that is named beside it."""
    known = set(re.findall(r"^\.It (?:Fl \w , )?Fl -([a-z-]+)", serin("--man").stdout, re.M))
    known |= {"help", "version", "man"}
    for path in PAGES:
        page = Page(path)
        texts = [(n, code) for n, line in page.prose for code in re.findall(r"`([^`]*)`", line) if code.startswith(("serin ", "--"))]
        texts += [(b.line, command) for b in page.blocks if b.kind == "console" for command, _ in b.commands()
                  if command.startswith("serin ")]
        for number, code in texts:
            for option in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", code):
                assert option in known, f"{path.name}:{number}: serin has no option --{option}"


def test_the_languages_are_in_step():
    """The same headings in depth and order, and the same blocks to the letter."""
    english, chinese = Page(ENGLISH), Page(CHINESE)
    assert [depth for depth, _ in english.headings] == [depth for depth, _ in chinese.headings]
    plain = [[block.kind, [line for line in block.lines if block.reason is None or not line.startswith("# not run")]]
             for block in english.blocks]
    assert plain == [[block.kind, [line for line in block.lines if block.reason is None or not line.startswith("# not run")]]
                     for block in chinese.blocks]
    tables = [[line.count("|") for _, line in page.prose if line.startswith("|")] for page in (english, chinese)]
    assert tables[0] == tables[1]
    links = [sorted(re.findall(r"\]\(([^)#]*)", page.path.read_text(encoding="utf-8"))) for page in (english, chinese)]
    assert [x for x in links[0] if x != "README.zh-CN.md"] == [x for x in links[1] if x != "README.md"]


def literals():
    """All text of the program's strings, adjacent ones joined, with ... for each conversion."""
    texts = []
    for path in (ROOT / "src").rglob("*.[ch]"):
        if not path.stem.endswith("_test"):
            code = re.sub(r'"\s*\n?\s*"', "", path.read_text(encoding="utf-8"))
            texts += re.findall(r'"((?:[^"\\\n]|\\.)*)"', code)
    return "\n".join(texts)


def test_the_sentences_under_trouble_are_the_programs():
    """What the first column quotes can be found by who reads it in a log: each piece between "..." is in the program."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    program, quoted = literals(), 0
    for row in re.findall(r"^\| (.*?) \|", text[text.index("## Trouble"):], re.M):
        for sentence in re.findall(r"`([^`]*)`", row):
            pieces = [piece.strip(" '():,;") for piece in sentence.split("...")]
            for piece in pieces:
                assert len(piece) < 4 or piece in program, f"'{piece}' of '{sentence}' is not in the program"
            quoted += 1
    assert quoted > 30


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_service_is_what_systemd_takes(tmp_path, installed):  # noqa: F811
    unit = (ROOT / "deploy" / "serin@.service").read_text()
    assert "/usr/local/bin/serin serve" in unit
    (tmp_path / "serin@a.service").write_text(  # its manual page is not where systemd looks for it
        unit.replace("/usr/local/bin/serin", str(installed)).replace("Documentation=man:serin(1)\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "serin@a.service"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "serin@a" not in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_manual_page_renders_without_a_warning():
    done = subprocess.run(["groff", "-ww", "-mdoc", "-Tutf8", "-z", ROOT / "docs" / "man" / "serin.1"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and done.stderr == ""
