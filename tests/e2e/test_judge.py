"""serin judge: recorded observations in, verdicts out, and an exit code that a script can use.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import random
import subprocess

SERIN = os.environ["SERIN_BIN"]


def observations(seed, count, share, ratio):
    """Requests at 100 a second with 1 % of errors on stable, and ratio times as many on the canary."""
    draw = random.Random(seed)
    lines = []
    for i in range(count):
        arm = "canary" if draw.random() < share else "stable"
        bad = draw.random() < 0.01 * (ratio if arm == "canary" else 1)
        lines.append(json.dumps({"t": i / 100, "arm": arm, "share": share, "status": 500 if bad else 200,
                                 "latency_ms": {"total": round(30 * draw.lognormvariate(0, 0.3), 3)}}))
    return lines


PLAN = """
guards:
  - {metric: error_rate, margin: 0.5}
  - {metric: latency_p95, margin: 0.1}
steps:
  - {weight: 20%, prove: {error_rate: 1, latency_p95: 0.2}}
  - {weight: 100%}
"""


def judge(tmp_path, lines, *, stdin=False):
    plan, file = tmp_path / "plan.yaml", tmp_path / "observations.ndjson"
    plan.write_text(PLAN)
    text = "\n".join(lines) + "\n"
    file.write_text(text)
    done = subprocess.run([SERIN, "judge", "--plan", plan, "-" if stdin else file], input=text if stdin else None,
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_worse_version_goes_back(tmp_path):
    code, out, errors = judge(tmp_path, observations(1, 20000, 0.2, 5))
    assert code == 3, errors
    assert out[-1]["verdict"] == "rollback" and out[-1]["why"].startswith("error_rate rose: ")
    assert out[-2]["guard"] == "error_rate" and out[-2]["verdict"] == "harm"
    assert out[-2]["bound"][0] >= 0.5 and out[-1]["t"] < 60


def test_an_equal_version_is_promoted(tmp_path):
    lines = observations(2, 40000, 0.2, 1)
    code, out, errors = judge(tmp_path, lines)
    assert code == 0, errors
    assert out[-1]["verdict"] == "promote"
    assert {line["guard"] for line in out if line.get("verdict") == "no harm"} == {"error_rate", "latency_p95"}
    assert judge(tmp_path, lines, stdin=True)[1] == out


def test_too_little_is_held_with_what_is_missing(tmp_path):
    code, out, errors = judge(tmp_path, observations(3, 300, 0.2, 1))
    assert code == 4, errors
    assert out[-1]["verdict"] == "hold" and "is not known to be within" in out[-1]["why"]


def test_looks_of_the_file_are_the_looks_that_are_taken(tmp_path):
    lines = observations(1, 5000, 0.2, 5)
    lines.append('{"t":50,"look":true}')
    code, out, _ = judge(tmp_path, lines)
    assert code == 3 and out[-1]["t"] == 50


def test_a_bad_line_is_named(tmp_path):
    code, out, errors = judge(tmp_path, observations(4, 3, 0.2, 1) + ['{"t":1,"arm":"third","share":0}'])
    assert code == 2 and out == []
    assert "line 4: arm: must be" in errors


def test_what_is_no_observation_gets_no_answer(tmp_path):
    look = '{"t":1,"look":true}'
    for lines, words in (([], "observations.ndjson: no observation"),
                         (["", ""], "observations.ndjson: no observation"),
                         (["\0"], "line 1: not a JSON object"),
                         ([look, look + "\0garbage"], "line 2: not a JSON object"),
                         ([look, '{"t":1,"step":2}'], "line 2: step: 2, and the plan's 2 steps are 0 to 1"),
                         ([look, '{"t":0.5,"look":true}'], "line 2: t: 0.500000 s, and the record before is of 1.000000 s"),
                         (["[" * 200000], "line 1: the line has ")):
        code, out, errors = judge(tmp_path, lines)
        assert (code, out) == (2, []), lines
        assert words in errors, errors


def test_an_answer_that_cannot_be_written_is_a_failure(tmp_path):
    plan, file = tmp_path / "plan.yaml", tmp_path / "observations.ndjson"
    plan.write_text(PLAN)
    for ratio in (1, 5):  # held, and rolled back
        file.write_text("\n".join(observations(1, 20000 if ratio == 5 else 300, 0.2, ratio)))
        with open("/dev/full", "w") as full:
            done = subprocess.run([SERIN, "judge", "--plan", plan, file], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=60, check=False)
        assert done.returncode == 1 and "No space left" in done.stderr
