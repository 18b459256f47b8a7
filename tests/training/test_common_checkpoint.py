"""Runs of several seeds go on from one step, and none loses what it learned by itself."""

import dataclasses
from pathlib import Path

import pytest

import checkpoints
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.support.errors import UserError
from dqn_tf.training import common_checkpoint

CONFIG = DQNConfig(total_steps=50_000, checkpoint_period_env_steps=1_000)


def runs(directory: Path, *steps: list[int]) -> list[RunDirectory]:
    """Runs with checkpoints at these steps."""
    for seed, of_seed in enumerate(steps):
        for step in of_seed:
            checkpoints.save(directory / f"seed{seed}" / "checkpoints", step)
    return [RunDirectory(directory / f"seed{seed}") for seed in range(len(steps))]


def read(directory: Path, run_dirs: list[RunDirectory], *configs: DQNConfig) -> list[int]:
    configs = configs or (CONFIG,) * len(run_dirs)
    found = common_checkpoint.read(run_dirs, configs, directory, refills=False)
    return [checkpoint.step for checkpoint in found]


def test_after_a_crash_all_go_on_from_the_last_common_step(tmp_path, capsys):
    assert read(tmp_path, runs(tmp_path, [1_000, 2_000], [1_000, 2_000])) == [2_000, 2_000]
    assert capsys.readouterr().out == ""
    assert read(tmp_path, runs(tmp_path, [1_000, 2_000, 3_010], [])) == [2_000, 2_000]
    assert "seed0 goes back from step 3,010 to where all seeds" in capsys.readouterr().out


@pytest.mark.parametrize("ahead", [[38_016, 38_528], [10_560, 38_528]], ids=str)
def test_a_seed_that_was_trained_on_by_itself_keeps_what_it_learned(tmp_path, ahead):
    run_dirs = runs(tmp_path, [10_560], ahead)
    with pytest.raises(UserError) as caught:
        read(tmp_path, run_dirs)
    sentence = str(caught.value)
    assert "seed1 is at step 38,528 and" in sentence and "seed0 at 10,560" in sentence
    assert sentence.endswith(f"resume each by itself instead, such as --resume={run_dirs[0].path}")


def test_one_that_was_made_longer_by_itself_keeps_its_steps(tmp_path):
    run_dirs = runs(tmp_path, [1_500], [1_500, 2_000])
    short, long = (dataclasses.replace(CONFIG, total_steps=steps) for steps in (1_500, 2_000))
    with pytest.raises(UserError, match="seed1 is at step 2,000 and .*seed0 at 1,500"):
        read(tmp_path, run_dirs, short, long)


def test_nothing_to_go_on_with_is_nothing(tmp_path):
    assert read(tmp_path, []) == []
