"""Faults of checkpoints (faults.md), as the command's user sees them.

How single files are read: test_checkpoint.py.
"""

import json
import os
import subprocess

import numpy as np
import pytest

from checkpoints import Canary, remade
from command_server import refusal, run
from dqn_tf.run_files import checkpoint
from small_runs import SMALL, finished_run, report, resume_run, small_run, stopped_run


@pytest.mark.parametrize(
    ("name", "content"), [("state.npz", b"short"), ("manifest.json", b""), ("best.npz", None)]
)
def test_a_damaged_checkpoint_costs_an_interval_and_no_more(tmp_path, name, content):
    file = stopped_run(tmp_path) / "checkpoints" / "256" / name
    file.write_bytes(content) if content is not None else file.unlink()
    # TensorFlow's state file means nothing here
    (file.parent.parent / "checkpoint").write_bytes(b"garbage")
    if name != "state.npz":  # one of them all the way
        (tmp_path / "export").write_text(
            "a file, so that the command ends before TensorFlow is built", encoding="utf-8"
        )
        status, text = run(resume_run(tmp_path), tmp_path)
        assert status == 1 and f"warning: {file}" in text, text
        return
    status, text = run(resume_run(tmp_path), tmp_path)
    assert (
        status == 0
        and f"warning: {file} is damaged. Trying the checkpoint before it." in text
        and "from step 200" in text
    ), text
    assert report(tmp_path)["weights_sha256"] == report(finished_run())["weights_sha256"]


def test_when_none_is_left_nothing_is_begun_afresh(tmp_path):
    for path in (stopped_run(tmp_path) / "checkpoints").iterdir():
        (path / "manifest.json").write_bytes(b"")
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    assert "None of the 2 checkpoints" in refusal(resume_run(tmp_path), tmp_path)
    assert before == {
        path: path.read_bytes()
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_malicious_replay_runs_nothing(tmp_path):
    directory = stopped_run(tmp_path) / "checkpoints" / "256"
    np.savez(directory / "replay.npz", observation=np.array([Canary(tmp_path / "canary")], object))
    listing = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))["files"]
    remade(
        directory,
        files=listing
        | {
            "replay.npz": {
                "sha256": checkpoint._sha256(directory / "replay.npz"),
                "bytes": (directory / "replay.npz").stat().st_size,
            }
        },
    )
    assert "replay.npz is refused" in refusal(resume_run(tmp_path), tmp_path)
    assert not (tmp_path / "canary").exists()


def test_a_lost_replay_is_refilled_only_if_asked_and_without_a_burst_of_updates(tmp_path):
    directory = stopped_run(tmp_path) / "checkpoints" / "256"
    (directory / "replay.npz").unlink()
    sentence = refusal(resume_run(tmp_path), tmp_path)
    assert f"{directory / 'replay.npz'} is missing" in sentence and "--refill_replay" in sentence
    before = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))["state"][
        "engine"
    ]["updates"]
    status, text = run(resume_run(tmp_path, "--refill_replay"), tmp_path)
    assert status == 0, text
    learning_steps = 400 - 256 - SMALL["warmup_env_steps"]
    assert report(tmp_path)["updates"] == before + learning_steps // 2, (
        "one update in two steps, once the warm-up is collected anew"
    )
    rows = checkpoint.load_latest(tmp_path / "run" / "checkpoints").replay
    assert len(rows["action"]) == 400 - 256


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 72 KiB where the checkpoints go: two of them, or a bit more."""
    disk = tmp_path / "run" / "checkpoints"
    disk.mkdir(parents=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=72k", "none", str(disk)],
        check=False,
        capture_output=True,
    ).returncode:
        pytest.skip("only root can mount a small disk; test_checkpoint.py has the case without")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_the_run_or_does_not_by_flag(tmp_path, small_disk):
    sentence = refusal(small_run(tmp_path), tmp_path)
    kept = checkpoint.steps(small_disk)
    assert (
        "cannot be written to" in sentence
        and "No space left on device" in sentence
        and "--on_checkpoint_error=continue" in sentence
    )
    assert kept and f"The last checkpoint is of step {kept[-1]}" in sentence
    assert sorted(os.listdir(small_disk)) == sorted(map(str, kept)), (
        "half a checkpoint was left behind"
    )
    assert checkpoint.load_latest(small_disk).state["engine"]["env_step"] == kept[-1]
    status, text = run(resume_run(tmp_path, on_checkpoint_error="continue"), tmp_path)
    assert status == 0 and "No space left on device. Training goes on." in text, text
    assert report(tmp_path)["weights_sha256"] == report(finished_run())["weights_sha256"]
