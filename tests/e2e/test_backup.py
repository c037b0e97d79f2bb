"""The backup of docs/operations.md, taken in the midst of a release under traffic, and started elsewhere.

SPDX-License-Identifier: Apache-2.0
"""
import shutil
import subprocess

import yaml
from conftest import ROOT, serin
from docs_fixture import Page
from serve_fixture import Models, serving, until
from test_rollout import STANDS, Traffic

PAGE = ROOT / "docs" / "operations.md"


def back_up(folder):
    """The first block under "Backup and restore", as it stands, where the data folder is called data."""
    block = next(block for block in Page(PAGE).blocks if block.heading == "Backup and restore")
    script = "\n".join(command for command, _ in block.commands())
    done = subprocess.run(["bash", "-e", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "backup"


def test_a_backup_in_the_midst_of_a_release(tmp_path):
    (tmp_path / "one").mkdir()
    with serving(tmp_path / "one") as serve:
        model = Models(serve, "cam")
        model.add("v1", stable=True)
        model.add("v2")
        serve.api("POST", "rollouts", {"name": "cam:v2", "plan": yaml.safe_dump(STANDS)})
        with Traffic(serve, "cam") as traffic:
            until(lambda: serve.api("GET", "rollouts/cam")["phase"] == "Progressing", "the first step")
            until(lambda: traffic.count > 300, "traffic")
            # Records go on being written while they are copied; whatever is copied later may hold more, never less.
            (tmp_path / "two").mkdir()
            back_up(tmp_path / "one").rename(tmp_path / "two" / "data")
            route = serve.api("GET", "routes/cam")
            history = serve.api("GET", "rollouts/cam/history")
        replay = serin("rollout", "replay", "cam-1", "--data-dir", tmp_path / "two" / "data")
        assert replay.returncode == 0 and "follow from what is on disk" in replay.stdout, replay.stdout + replay.stderr
        with serving(tmp_path / "two") as restored:
            assert restored.api("GET", "routes/cam") == route
            until(lambda: restored.api("GET", "rollouts/cam")["phase"] == "Progressing", "the same step")
            assert restored.api("GET", "rollouts/cam/history")[:len(history)] == history
            until(lambda: restored.ask("POST", "/v1/predict/cam", b"x", {"Content-Type": "image/jpeg"}).status == 200, "an answer")
            restored.api("POST", "rollouts/cam/abort")
            assert restored.versions("cam")["v2"]["weight"] == 0
            # What an ended rollout rested on may be removed: nothing but its replay needs it.
            shutil.rmtree(tmp_path / "two" / "data" / "rollouts" / "cam-1")
        with serving(tmp_path / "two") as again:
            assert again.api("GET", "rollouts/cam")["phase"] == "Aborted"
            assert again.ask("POST", "/v1/predict/cam", b"x", {"Content-Type": "image/jpeg"}).version == "v1"
            assert serin("rollout", "replay", "cam-1", "--data-dir", tmp_path / "two" / "data").returncode == 1
        serve.api("POST", "rollouts/cam/abort")
        model.remove()
