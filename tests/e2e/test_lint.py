"""serin lint, the plans in examples/plans, and docs/plans.md.

SPDX-License-Identifier: Apache-2.0
"""
import json
import re
import shlex

import pytest
from conftest import ROOT, serin

PLANS = sorted((ROOT / "examples" / "plans").glob("*.yaml"))


MANY = ["camera", "light", "class", "X-A", "X-B", "X-C"]


def test_there_are_plans():
    assert {plan.stem for plan in PLANS} >= {"careful", "eight-cameras", "labels", "street"}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_examples_are_clean_as_their_comment_says(path):
    command = re.search(r"^#   serin (lint .*)$", path.read_text(), re.M).group(1)
    words = shlex.split(command)
    assert words[-1] == f"examples/plans/{path.name}"
    run = serin(*words[:-1], "-o", "json", path)
    assert run.returncode == 0 and run.stderr == ""
    report = json.loads(run.stdout)
    assert report["warnings"] == []
    assert all(need["possible"] for need in report["needs"] if need["required"])
    people = serin(*words[:-1], path)
    assert people.returncode == 0 and "to promotion" in people.stdout and "warning" not in people.stdout


def longest(report):
    """Seconds until promotion: the longest of what each step requires."""
    steps = {}
    for need in report["needs"]:
        if need["required"] and need["time_s"] is not None:
            steps[need["step"]] = max(steps.get(need["step"], 0), need["time_s"])
    return sum(steps.values())


def test_the_street_story_fits_into_its_time():
    run = serin("lint", "--rate", "35", "--labels", "17", "-o", "json", ROOT / "examples" / "plans" / "street.yaml")
    assert 20 < longest(json.loads(run.stdout)) < 90


def test_the_default_plan_can_be_edited(tmp_path):
    printed = serin("lint", "--default")
    assert printed.returncode == 0
    written, empty = tmp_path / "default.yaml", tmp_path / "empty.yaml"
    written.write_text(printed.stdout)
    empty.write_text("")
    assert serin("lint", written, "-o", "json").stdout == serin("lint", empty, "-o", "json").stdout != ""


def test_the_document_has_the_default_plan():
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "plans.md").read_text(), re.S).group(1)
    assert block == serin("lint", "--default").stdout


@pytest.mark.parametrize("text, sentence", [
    ("alpha: 5%\nsetps: []\n", "line 2: unknown key 'setps', did you mean 'steps'?"),
    ("guards: [mised]\n", "line 1: unknown metric 'mised', did you mean 'missed'?"),
    ("freeze: {zone: UTC}\n", "line 1: a freeze calendar is the model's"),
    ("zone: Europe/Berlln\n", "there is no time zone 'Europe/Berlln'"),
    ("steps: [\n", "line 2: "),
    ("slices: [" + ", ".join(f"{{{name}: {{values: 4096}}}}" for name in MANY) + "]\n"
     "guards: [" + ", ".join(f"{{metric: missed, name: g{i}, slices: [{', '.join(MANY)}]}}" for i in range(8))
     + "]\n", "guards by values of slices are"),
    ("slices: [X-A, X-B, X-C, X-D]\n", "slices by 4 headers, the limit is 3"),
])
def test_a_wrong_plan_is_an_error_with_its_place(tmp_path, text, sentence):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    run = serin("lint", path)
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.startswith("serin: lint: ") and sentence in run.stderr


def test_a_plan_from_a_pipe():
    text = (ROOT / "examples" / "plans" / "street.yaml").read_text()
    whole = serin("lint", ROOT / "examples" / "plans" / "street.yaml")
    for name in ("-", "/dev/stdin"):
        run = serin("lint", name, stdin=text)
        assert (run.returncode, run.stdout, run.stderr) == (0, whole.stdout, ""), name
    run = serin("lint", "-", stdin="guards: 7\nstips: 8\n")
    assert run.returncode == 1 and run.stderr.startswith("serin: lint: stdin: line ")
    run = serin("lint", "-", stdin="#" * (1 << 20))
    assert run.returncode == 1 and "stdin has more than 262144 bytes, the limit" in run.stderr
    run = serin("lint", "/dev/zero")
    assert run.returncode == 1 and "/dev/zero is not a regular file" in run.stderr


def test_no_labels_is_told():
    run = serin("lint", "--rate", "30", ROOT / "examples" / "plans" / "labels.yaml")
    assert run.returncode == 0
    assert "warning: step 2: 'missed' needs labels for" in run.stdout


def test_a_plan_or_the_default():
    assert serin("lint").returncode == 2
    assert serin("lint", "--default", PLANS[0]).returncode == 2
    assert serin("lint", ROOT / "absent.yaml").returncode == 1
