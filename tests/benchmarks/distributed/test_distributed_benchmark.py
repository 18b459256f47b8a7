"""benchmarks.distributed: the slow environment, what is read from /proc, one run, and the page."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from benchmark_helpers import ROOT, help_without
from benchmarks.common import experiments_command
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append, read
from benchmarks.distributed import __main__ as command
from benchmarks.distributed import experiments, page, process_tree, records, run_one, slow_env
from benchmarks.distributed.experiments import BY_NAME
from benchmarks.distributed.returns import EPISODES, TargetClock
from dqn_tf.config import presets
from dqn_tf.support.errors import UserError

RESULT = {
    "timed_steps": 1000,
    "timed_seconds": 5.0,
    "start_seconds": 3.0,
    "worker_rss_mib": 110.0,
    "worker_pss_mib": 64.0,
    "learner_rss_mib": 500.0,
    "target_seconds": None,
    "target_steps": None,
    "score": None,
    "curve": "",
    "seconds": 20.0,
    "cpu_seconds": 10.0,
    "updates": 9,
    "env_steps": 90,
    "versions": "ray 2.60.0",
}
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


def row(name: str, seed: int = 1, **values) -> records.Row:
    """A run as the command would record it."""
    config = experiments.configure(BY_NAME[name], seed, {})
    return records.row(name, config, RESULT | values)


@pytest.mark.parametrize("kind", slow_env.KINDS)
def test_the_slow_environment_is_cartpole_that_takes_its_time(kind):
    slow = gym.make(experiments.SLOW_ENV, milliseconds=20, kind=kind)
    plain = gym.make("CartPole-v1")
    assert slow.spec.max_episode_steps == plain.spec.max_episode_steps
    np.testing.assert_array_equal(slow.reset(seed=3)[0], plain.reset(seed=3)[0])
    wall, cpu = time.perf_counter(), time.thread_time()
    for action in (0, 1, 1):
        for mine, theirs in zip(slow.step(action), plain.step(action), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert time.perf_counter() - wall >= 0.06
    assert (time.thread_time() - cpu >= 0.06) == (kind == slow_env.COMPUTE)


@needs_proc
def test_workers_are_found_among_the_processes_of_ray():
    code = "import sys; sum(range(3_000_000)); print('ready', flush=True); sys.stdin.read()"
    with contextlib.ExitStack() as stack:
        names = ("ray::Worker.collect", "ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [name, "-c", code],
                    executable=sys.executable,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for name in names
        ]
        for child in children:
            child.stdout.readline()
        worker = children[0].pid
        assert process_tree.actors(os.getpid()) == [worker]
        assert {each.pid for each in children} < {
            each.pid for each in process_tree.tree(os.getpid())
        }
        memory = process_tree.memory(worker)
        assert 3 < memory.pss <= memory.rss < 200
        assert process_tree.cpu_seconds(worker) > 0
        assert process_tree.cpu_seconds(os.getpid()) >= process_tree.cpu_seconds(worker)
        for child in children:
            child.stdin.close()
    assert process_tree.actors(os.getpid()) == [] and process_tree.memory(worker) is None


def test_the_clock_stops_when_the_newest_episodes_reach_the_target():
    clock = TargetClock(10.0)
    clock.begin()
    clock.add([20.0] * (EPISODES - 1), 100)
    assert clock.seconds is None, "too few episodes"
    clock.add([0.0] * 50, 200)
    assert clock.env_step == 200 and clock.seconds >= 0, "the mean is just 10"
    clock.add([20.0] * EPISODES, 300)
    assert clock.env_step == 200
    assert TargetClock(0.0).env_step is None


def test_help_and_mistakes_come_without_tensorflow():
    assert "--measures" in help_without("distributed", "tensorflow", "keras", "scipy", "ray")
    for words, sentence in (
        (["--workers=3"], "--workers is for train.py"),
        (["--measures=speed"], "'speed' is none of"),
        (["--experiments=lag_2"], "'lag_2' is none of"),
    ):
        with pytest.raises(UserError, match=sentence):
            command.parse(["distributed", *words])


def test_rllib_is_left_out_without_its_interpreter(monkeypatch):
    options = command.parse(["distributed", "--measures=rllib"])
    for python, systems in (("", ["dqn_tf"]), ("/opt/rllib/bin/python", ["dqn_tf", "rllib"])):
        monkeypatch.setenv(experiments.RLLIB_PYTHON, python)
        jobs = list(experiments.jobs(options))
        assert [job.order["system"] for job in jobs] == systems * 3, "in turns"


def test_one_run_is_timed():
    config = presets.configure(
        experiments.SLOW_ENV,
        experiments.WORK
        | {
            "env_kwargs": {"milliseconds": 0.1},
            "num_envs": 8,
            "shard_envs": 4,
            "lag": 1,
            "hidden_units": (8,),
            "batch_size": 16,
            "warmup_env_steps": 80,
            "updates_per_block": 8,
            "total_steps": 640,
            "seed": 1,
        },
    )
    order = {"config": config.to_dict(), "timed_from": 320, "target": 1.0, "tests": False}
    result = run_one.run(order)
    assert result["timed_steps"] == 320 and 0 < result["timed_seconds"] <= result["seconds"]
    assert result["env_steps"] == 640 and result["updates"] > 0 and result["start_seconds"] > 0
    assert result["worker_rss_mib"] is None and result["score"] is None


def test_a_run_that_is_recorded_is_not_done_again(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def worker_of(family):
        yield lambda order: RESULT | {"timed_seconds": 2.0}

    monkeypatch.setattr(experiments_command, "worker_of", worker_of)
    words = [f"--results_dir={tmp_path}", f"--page={tmp_path / 'page.md'}", "--measures=highway"]
    options = command.parse(["distributed", *words])
    command.main(options)
    monkeypatch.setattr(experiments_command, "worker_of", None)
    command.main(options)
    rows = read(tmp_path / records.FILE, records.Row)
    assert [each.experiment for each in rows] == ["highway_1", "highway_2"]
    assert "two workers at least 1.7 times one **missed**, 1.00" in (
        tmp_path / "page.md"
    ).read_text(encoding="utf-8")


def test_the_page_says_what_is_met_and_missed(tmp_path):
    assert page.render(tmp_path).count("Not measured yet") == len(experiments.MEASURES)
    for each in (
        row("sleep_5_1"),
        row("sleep_5_8", timed_seconds=0.7),
        row("sleep_5_16", timed_seconds=0.5),
        row("sleep_5_16", seed=2, timed_seconds=0.333),
        row("sleep_5_32", timed_seconds=1.0),
        row("sleep_20_1")._replace(config_hash="another"),
        row("cartpole_lag_0", timed_seconds=1.0),
        row("cartpole_2", timed_seconds=4.0),
        row("highway_2", curve="2000:10.5 4000:21.25"),
        row("against_dqn_tf", target_seconds=9.0, target_steps=9000, updates=1000, env_steps=4640),
        row("against_rllib"),
        row("lag_0", score=480.0),
        row("lag_1", score=490.0),
        row("lag_0", seed=2, score=500.0),
        row("lag_1", seed=2, score=500.0),
    ):
        append(tmp_path / records.FILE, each)
    text = page.render(tmp_path)
    assert "**met**, 0.78 with 16." in text, "32 workers are not asked for"
    assert "| 5 ms, waiting | 16 | 2,502 [2,000, 3,003] | 0.78 |" in text
    assert "20 ms" not in text
    assert "| `--workers=2` | 250 | 0.25 | 3.0 | 110, 64 | 10 | 1 |" in text
    assert "by step: 2,000: 10.5, 4,000: 21.2" in text
    assert "| dqn_tf | 200 | 9.0 [9.0, 9.0] | 9,000 [9,000, 9,000] | 4.00 |" in text
    assert "| RLlib | 200 | none of 1 | none of 1 |" in text
    assert re.search(r"Lag 1 less lag 0, seed by seed: \+5\.0 \[\S+, \S+\] over 2 seeds", text)
    assert "Not measured yet" not in text


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'distributed')}\n", (
        "python -m benchmarks.distributed --render_only"
    )
