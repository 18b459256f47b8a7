"""All that can be refused before TensorFlow is loaded: environment, run directory, memory, checkpoint."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqn_tf import checkpoint, memory, presets
from dqn_tf.cli import TrainingFlags
from dqn_tf.config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.errors import UserError
from dqn_tf.rundir import RunDirectory, changed


class Plan(NamedTuple):
    """A run that nothing known beforehand stands in the way of."""

    config: DQNConfig
    spaces: Spaces
    run_dir: RunDirectory
    export_dir: Path
    checkpoint: checkpoint.Checkpoint | None  # where to go on from
    on_checkpoint_error: str


def prepare(flags: TrainingFlags) -> Plan | None:
    """Plans a new run or the rest of an old one; None if that one is already complete. Raises UserError."""
    if flags.resume:
        run_dir = RunDirectory.open(flags.resume)
        recorded, spaces, export_dir = run_dir.read_config()
        config, differences = changed(recorded, flags.overrides)
        for sentence in differences:
            print(f"Changed for the rest of the run: {sentence}.")
        done = run_dir.read_evaluation()
        if done is not None and done["env_steps"] >= config.total_steps:
            print(f"{flags.resume} is already complete: {done['env_steps']:,} of {config.total_steps:,} steps. "
                  "Give a larger --total_steps to train it further.")
            return None
        _require_same_spaces(spaces, registry.spaces(config.env, config))
        found = _read_checkpoint(run_dir, flags.refill_replay)
    else:
        config = presets.configure(flags.overrides.get("env", DQNConfig.env), _drawn_seed() | flags.overrides)
        spaces, found = registry.spaces(config.env, config), None
        export_dir, run_dir = Path("saved_models") / registry.directory_name(config.env), None
    if config.engine == "graph":
        registry.require_native(config.env)
    if "replay_memory" in flags.overrides and "replay_capacity" in flags.overrides:
        raise UserError("--replay_memory and --replay_capacity say the same thing: give one of them.")
    config = memory.sized(config, spaces)
    export_dir = Path(flags.export_dir or export_dir)
    _require_writable(export_dir)
    print(memory.require(config, spaces))
    run_dir = run_dir or RunDirectory.create(flags.run_dir, config)  # the last step: a refused run leaves nothing behind
    return Plan(config, spaces, run_dir, export_dir, found, flags.on_checkpoint_error)


def _drawn_seed() -> dict[str, int]:
    return {"seed": int(np.random.SeedSequence().generate_state(1)[0])}


def _read_checkpoint(run_dir: RunDirectory, refill_replay: bool) -> checkpoint.Checkpoint:
    found = checkpoint.load_latest(run_dir.checkpoints)
    if found.files["replay.npz"] is None and not refill_replay:
        raise UserError(f"{found.path / 'replay.npz'} is missing. Put it back, or add --refill_replay to collect new experience with "
                        "the restored policy before learning goes on.")
    return found


def _require_same_spaces(before: Spaces, now: Spaces) -> None:
    old, new = before.to_dict(), now.to_dict()
    differences = [f"{name} was {old[name]} and is now {new[name]}" for name in old if old[name] != new[name]]
    if differences:
        raise UserError("The environment is not the one that the run was started with: " + "; ".join(differences) + ".")


def _require_writable(export_dir: Path) -> None:
    existing = next(path for path in (export_dir, *export_dir.parents, Path(".")) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"--export_dir={export_dir} cannot be written: {existing} is not a directory that may be written to.")
