"""All that can be refused before TensorFlow is loaded:

environment, run directory, memory, checkpoint.
"""

import dataclasses
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import memory_plan
from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.run_directory import RunDirectory, changed, new_path, open_runs
from dqn_tf.support.errors import UserError
from dqn_tf.training.flags import TrainingFlags


class Plan(NamedTuple):
    """A run that nothing known beforehand stands in the way of."""

    config: DQNConfig
    spaces: Spaces
    run_dir: RunDirectory
    # what --resume takes: the run's own, or that which holds the runs of seeds trained at once
    directory: Path
    export_dir: Path
    checkpoint: checkpoint.Checkpoint | None  # where to go on from
    on_checkpoint_error: str


def prepare(flags: TrainingFlags) -> list[Plan]:
    """Plans a new run or the rest of an old one, or those of several seeds; none if all are already
    complete. Raises UserError.
    """
    if "replay_memory" in flags.overrides and "replay_capacity" in flags.overrides:
        raise UserError(
            "--replay_memory and --replay_capacity say the same thing: give one of them."
        )
    plans = _resumed(flags) if flags.resume else _new(flags)
    if plans:
        config = plans[0].config
        if config.engine == "graph":
            registry.require_native(config.env)
        for plan in plans:
            _require_writable(plan.export_dir)
        print(memory_plan.require(config, plans[0].spaces, len(plans)))
    if flags.resume:
        return plans
    # The last step: a refused run leaves nothing behind.
    return [
        plan._replace(run_dir=RunDirectory.create(plan.run_dir.path, plan.config)) for plan in plans
    ]


def _new(flags: TrainingFlags) -> list[Plan]:
    first = presets.configure(
        flags.overrides.get("env", DQNConfig.env), _drawn_seed(flags.num_seeds) | flags.overrides
    )
    spaces, name = registry.spaces(first), registry.directory_name(first.env)
    first = memory_plan.sized(first, spaces)
    run_dir = Path(flags.run_dir or new_path(first, flags.num_seeds))
    if flags.num_seeds == 1:
        export_dir = Path(flags.export_dir or Path("saved_models") / name)
        return [
            Plan(
                first,
                spaces,
                RunDirectory(run_dir),
                run_dir,
                export_dir,
                None,
                flags.on_checkpoint_error,
            )
        ]
    plans = []
    for seed in range(first.seed, first.seed + flags.num_seeds):
        config, own = dataclasses.replace(first, seed=seed), f"seed{seed}"
        export_dir = (
            Path(flags.export_dir) / own if flags.export_dir else run_dir / own / "saved_model"
        )
        plans.append(
            Plan(
                config,
                spaces,
                RunDirectory(run_dir / own),
                run_dir,
                export_dir,
                None,
                flags.on_checkpoint_error,
            )
        )
    return plans


def _resumed(flags: TrainingFlags) -> list[Plan]:
    plans, said = [], []
    for run_dir in open_runs(flags.resume):
        recorded, spaces, export_dir = run_dir.read_config()
        config, differences = changed(recorded, flags.overrides)
        said += [f"Changed for the rest of the run: {sentence}." for sentence in differences]
        done = run_dir.read_evaluation()
        if done is not None and done["env_steps"] >= config.total_steps:
            said.append(
                f"{run_dir.path} is already complete: {done['env_steps']:,} of"
                f" {config.total_steps:,} steps. Give a larger --total_steps to train it further."
            )
            continue
        config = memory_plan.sized(config, spaces)
        _require_same_spaces(spaces, registry.spaces(config))
        plans.append(
            Plan(
                config,
                spaces,
                run_dir,
                Path(flags.resume),
                Path(flags.export_dir or export_dir),
                _read_checkpoint(run_dir, flags),
                flags.on_checkpoint_error,
            )
        )
    for sentence in dict.fromkeys(said):
        print(sentence)
    # Seeds that are trained at once go on from one step: a crash may have come between the
    # checkpoints of two of them.
    while len({plan.checkpoint.step for plan in plans}) > 1:
        step = min(plan.checkpoint.step for plan in plans)
        plans = [
            (
                plan
                if plan.checkpoint.step == step
                else plan._replace(checkpoint=_read_checkpoint(plan.run_dir, flags, step))
            )
            for plan in plans
        ]
    return plans


def _drawn_seed(number: int) -> dict[str, int]:
    # so that those after it are seeds too
    return {"seed": int(np.random.SeedSequence().generate_state(1)[0]) // number}


def _read_checkpoint(
    run_dir: RunDirectory, flags: TrainingFlags, at_most: float = math.inf
) -> checkpoint.Checkpoint:
    found = checkpoint.load_latest(run_dir.checkpoints, at_most=at_most)
    if found.files["replay.npz"] is None and not flags.refill_replay:
        raise UserError(
            f"{found.path / 'replay.npz'} is missing. Put it back, or add --refill_replay to"
            " collect new experience with the restored policy before learning goes on."
        )
    return found


def _require_same_spaces(before: Spaces, now: Spaces) -> None:
    old, new = before.to_dict(), now.to_dict()
    differences = [
        f"{name} was {old[name]} and is now {new[name]}" for name in old if old[name] != new[name]
    ]
    if differences:
        raise UserError(
            "The environment is not the one that the run was started with: "
            + "; ".join(differences)
            + "."
        )


def _require_writable(export_dir: Path) -> None:
    existing = next(path for path in (export_dir, *export_dir.parents, Path(".")) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(
            f"--export_dir={export_dir} cannot be written: {existing} is not a directory that may"
            " be written to."
        )
