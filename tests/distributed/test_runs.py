"""Runs with workers: the same weights for any number, killed and resumed with another one."""

import contextlib
import importlib.util
import os
import re
import signal
from pathlib import Path

import pytest

from benchmarks.distributed import process_tree
from command_server import refusal, run, start
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.training import collecting
from small_runs import SMALL, report, resume_run, small_run

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="the extra `distributed` is not installed")

RUN = {
    "env": "remote_worlds:World-v0",
    "env_kwargs": '{"masked": true}',
    "num_envs": 4,
    "shard_envs": 2,
    "warmup_env_steps": 80,
    "n_step": 3,
    "prioritized": True,
    "export_dir": None,
}


LOOPBACK = ("0100007F", "00000000000000000000000001000000")  # ends of 127.0.0.1, and ::1


def sha256(directory):
    return report(directory)["weights_sha256"]


def listening(pid):
    """The addresses, as Linux writes them, that a process and those it started listen on."""
    sockets = set()
    for process in process_tree.tree(pid):
        with contextlib.suppress(OSError):  # ended or closed meanwhile
            for file in Path(f"/proc/{process.pid}/fd").iterdir():
                sockets.add(os.readlink(file))
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                addresses.append(fields[1].partition(":")[0])
    return addresses


def those_that_wait(number, pid):
    """Of Ray's two servers below a process, those that a signal does not reach."""
    found = []
    for process in process_tree.tree(pid):
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        is_blocked = int(fields["SigBlk"], 16) >> (number - 1) & 1
        if fields["Name"].strip() in ("raylet", "gcs_server") and is_blocked:
            found.append(process.pid)
    return found


@needs_ray
def test_the_same_weights_with_workers_killed_and_resumed_without(tmp_path):
    """The driver is killed, resumed with one worker and stopped, and ends the run alone."""
    alone, remote = tmp_path / "alone", tmp_path / "remote"
    alone.mkdir()
    remote.mkdir()
    status, text = run(small_run(alone, **RUN, lag=1), alone)
    assert status == 0, text
    assert "4 environments in 2 shards of 2 in this process, acting 1 block" in text
    command = start(small_run(remote, **RUN, workers=2), remote)
    command.wait_for(text="greedy return")
    if Path("/proc/net/tcp").exists():
        addresses = listening(command.pid)
        assert addresses and all(each.endswith(LOOPBACK) for each in addresses), addresses
        assert len(those_that_wait(signal.SIGHUP, command.pid)) == 2, "a closed terminal is ours"
    command.kill(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    ready = r"Workers: 2 on .*, started in .* s, \d+ MiB each at most, without TensorFlow"
    assert re.search(ready, command.text), command.text
    command = start(resume_run(remote, workers=1), remote)
    command.wait_for(text="greedy return")
    command.kill(signal.SIGTERM)
    assert command.wait() == 143, command.text
    assert "--workers was 2 and is now 1" in command.text
    status, text = run(resume_run(remote, workers=0), remote)
    assert status == 0, text
    assert sha256(remote) == sha256(alone)


def test_there_is_work_for_as_many_workers_as_the_page_types():
    text = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")
    commands = re.findall(r"--num_envs=(\d+)(?: --shard_envs=(\d+))? --workers=(\d+)", text)
    assert len(commands) >= 2
    for command in commands:
        num_envs, shard_envs, workers = (int(word or 0) for word in command)
        config = DQNConfig(num_envs=num_envs, shard_envs=shard_envs, workers=workers, lag=1)
        collecting.require_work(config)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"workers": 3}, "--workers=3: --num_envs=4 in shards of 2 gives work to 2."),
        ({"workers": 1, "lag": 0}, "leave out --lag=0"),
        ({"workers": 1, "ray_address": "127.0.0.1:1"}, "127.0.0.1:1: nothing answers there"),
    ],
)
@needs_ray
def test_what_cannot_be_is_said_before_anything_is_made(flags, sentence, tmp_path):
    assert sentence in refusal(small_run(tmp_path, **RUN | flags), tmp_path)
    assert not (tmp_path / "run").exists()


@needs_ray
def test_a_network_that_numpy_cannot_compute(tmp_path):
    tokens = {"env": "dqn_tf/TextMaze-v0", "network": "gru", "replay_unit": "transition"}
    flags = SMALL | {"workers": 1, "num_envs": 4, "hidden_units": None} | tokens
    text = refusal(small_run(tmp_path, **flags), tmp_path)
    assert "--workers=1: workers act in NumPy" in text and "torso GRU" in text
