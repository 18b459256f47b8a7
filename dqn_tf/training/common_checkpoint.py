"""The newest checkpoints from which the runs of several seeds can go on together."""

import math
from collections.abc import Sequence
from pathlib import Path

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.run_files.checkpoint import REPLAY, Checkpoint, load_latest
from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError


def read(
    run_dirs: Sequence[RunDirectory],
    configs: Sequence[DQNConfig],
    directory: Path,
    refills: bool,
) -> list[Checkpoint]:
    """Read the newest checkpoint of each run, all at one step.

    A crash may have come between the checkpoints of two seeds. Where one has lost its replay, all
    begin anew with theirs, since they are filled at one time: `refills` allows it. `directory` is
    what is resumed, `configs` are the runs' own. Raises UserError.
    """
    checkpoints = [_read(run_dir, refills) for run_dir in run_dirs]
    _require_trained_together(run_dirs, configs, checkpoints, directory)
    while len({checkpoint.step for checkpoint in checkpoints}) > 1:
        step = min(checkpoint.step for checkpoint in checkpoints)
        for number, run_dir in enumerate(run_dirs):
            if checkpoints[number].step > step:
                print(
                    f"{run_dir.path} goes back from step {checkpoints[number].step:,} to where all"
                    " seeds have a checkpoint."
                )
                checkpoints[number] = _read(run_dir, refills, at_most=step)
    if any(checkpoint.replay is None for checkpoint in checkpoints):
        return [_without_replay(checkpoint) for checkpoint in checkpoints]
    return checkpoints


def require_steps_to_refill(config: DQNConfig, checkpoint: Checkpoint) -> None:
    """Raise UserError where a run would end before its replay is filled anew."""
    left = config.total_steps - checkpoint.state["engine"]["env_step"]
    if 0 < left <= config.warmup_env_steps:
        raise UserError(
            f"--refill_replay collects --warmup_env_steps={config.warmup_env_steps} steps before"
            f" learning goes on, and only {left:,} are left: give a larger --total_steps or a"
            " smaller --warmup_env_steps."
        )


def _require_trained_together(
    run_dirs: Sequence[RunDirectory],
    configs: Sequence[DQNConfig],
    checkpoints: Sequence[Checkpoint],
    directory: Path,
) -> None:
    """Raise UserError if a run is further than the others than a crash could have left it.

    One that was trained on by itself would lose what it learned since.
    """
    steps = [checkpoint.step for checkpoint in checkpoints]
    if len(set(steps)) <= 1:
        return
    ahead, behind = steps.index(max(steps)), steps.index(min(steps))
    config = configs[behind]
    block = config.block_steps * config.num_envs + config.most_logged_updates
    is_of_a_crash = steps[ahead] - steps[behind] <= config.checkpoint_period_env_steps + block
    if is_of_a_crash and len({config.length for config in configs}) == 1:
        return
    path = command_line.typed_path(run_dirs[behind].path)
    raise UserError(
        f"--resume={directory}: {run_dirs[ahead].path} is at step {steps[ahead]:,} and"
        f" {run_dirs[behind].path} at {steps[behind]:,}. Together they would go on from the"
        f" smaller one; resume each by itself instead, such as --resume={path}"
    )


def _read(run_dir: RunDirectory, refills: bool, at_most: float = math.inf) -> Checkpoint:
    saved = load_latest(run_dir.checkpoints, at_most=at_most)
    if saved.replay is None and not refills:
        raise UserError(
            f"{saved.path / REPLAY} is missing. Put it back, or add --refill_replay to"
            " collect new experience with the restored policy before learning goes on."
        )
    return saved


def _without_replay(checkpoint: Checkpoint) -> Checkpoint:
    if checkpoint.replay is not None:
        checkpoint.replay.close()
    return checkpoint._replace(replay=None)
