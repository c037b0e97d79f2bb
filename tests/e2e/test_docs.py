"""Everything runnable in the documents, run: the README's tutorial line by line, and the pages of docs/.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from check_tree import LAYERS  # noqa: E402
from conftest import ROOT, serin  # noqa: E402
from docs_fixture import Page, Shell, installed  # noqa: E402, F401
from serve_fixture import Models, needs_workers, serving  # noqa: E402

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = [ENGLISH, *(path for folder in ("docs", "deploy", "examples", "tests", "tools") for path in sorted((ROOT / folder).rglob("*.md"))),
         ROOT / "CONTRIBUTING.md"]
KINDS = {"console", "yaml", "json", "text", "c", "mermaid"}

# How much of the README's tutorial has been done where a page begins: its headings up to this number.
BEGINS_AFTER = {"precision.md": 1, "rollouts.md": 3, "serving.md": 2, "security.md": 2, "operations.md": 2}


def name_of(path):
    return str(path.relative_to(ROOT))


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
@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_a_page(path, shell):
    shell.run_blocks(*tutorial(BEGINS_AFTER.get(path.name, 0)))
    page = Page(path)
    shell.run_blocks(page, page.blocks)


@pytest.mark.parametrize("path", [*PAGES, CHINESE], ids=name_of)
def test_blocks_say_what_they_are(path):
    page = Page(path)
    for block in page.blocks:
        where = f"{name_of(path)}:{block.line}"
        assert block.kind in KINDS, f"{where}: a block is one of {sorted(KINDS)}"
        assert block.kind == "console" or not re.search(r"^\$ |^ *serin ", block.text, re.M), f"{where}: commands are console"
        if block.kind == "console" and block.reason is None:
            assert block.commands(), f"{where}: no command"
        if block.reason is not None:
            assert len(block.reason) > 5, f"{where}: say why it is not run"
    before = ""
    for number, line in page.prose:
        assert not (re.match(r"    (\$ |serin )", line) and before == ""), f"{name_of(path)}:{number}: an indented block is run by nobody"
        before = line


def test_yaml_is_what_the_program_takes(tmp_path):
    """A plan; or, as its first key tells, a freeze calendar; or, as its first line says, a file for serin serve --config."""
    file, kinds = tmp_path / "file.yaml", set()
    with serving(tmp_path) as serve:
        model = Models(serve, "m")
        model.add("v1", stable=True)
        for path in PAGES:
            for block in Page(path).blocks:
                if block.kind != "yaml":
                    continue
                file.write_text(block.text)
                first = block.lines[0]
                if first.startswith("# serin.yaml"):
                    run = serin("serve", "--check", "--config", file, "--data-dir", tmp_path / "new")
                elif first.startswith("zone:"):
                    run = serin("freeze", "set", "m", file, "--admin", f"127.0.0.1:{serve.admin}")
                else:
                    run = serin("lint", file)
                kinds.add(run.args[1])
                assert run.returncode == 0, f"{name_of(path)}:{block.line}: {run.stderr}"
        model.remove()
    assert {"lint", "freeze"} <= kinds


@pytest.mark.parametrize("path", [*PAGES, CHINESE], ids=name_of)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", text):
        if target and "://" not in target:
            assert (path.parent / target).exists(), f"{name_of(path)}: {target} is not there"


def anchor(heading):
    """As the usual Markdown renderers name it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [*PAGES, CHINESE], ids=name_of)
def test_links_into_pages_meet_a_heading(path):
    for target, name in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            page = Page(path.parent / target if target else path)
            assert name in [anchor(heading) for _, heading in page.headings], f"{name_of(path)}: no heading for {target}#{name}"


def test_options_in_the_pages_exist():
    """Each --option that a page tells of belongs to the program."""
    known = set(re.findall(r"^\.It (?:Fl \w , )?Fl -([a-z-]+)", serin("--man").stdout, re.M))
    known |= {"help", "version", "man"}
    for path in PAGES:
        page = Page(path)
        own = path.is_relative_to(ROOT / "docs") or path in (ENGLISH, ROOT / "CONTRIBUTING.md")  # not scripts' options
        texts = [(n, code) for n, line in page.prose for code in re.findall(r"`([^`]*)`", line) if code.startswith(("serin ", "--") if own else "serin ")]
        texts += [(b.line, command) for b in page.blocks if b.kind == "console" for command, _ in b.commands()
                  if command.startswith("serin ")]
        for number, code in texts:
            for option in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", code):
                assert option in known, f"{name_of(path)}:{number}: serin has no option --{option}"


def test_the_table_of_layers_is_the_one_that_is_checked():
    text = (ROOT / "docs" / "internals" / "design.md").read_text(encoding="utf-8")
    told = {name: set(filter(None, may.replace(",", " ").split()))
            for name, may in re.findall(r"^\| `src/(\w+)/` \| .* \| ?([a-z, ]*) \|$", text, re.M)}
    assert told == LAYERS


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


def test_the_schema_is_the_present_one():
    told = re.search(r"`PRAGMA user_version`, now (\d+)", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))
    assert told[1] == re.search(r"#define SCHEMA_VERSION\s+(\d+)", (ROOT / "src" / "store" / "state.c").read_text())[1]


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
