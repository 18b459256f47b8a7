"""What a run's replay holds at first: `--initial_replay`, that of another run.

Its rows, their priorities and their count are taken. With `--replay_eviction=reservoir` the replay
then is a uniform sample of what both runs have seen. A resumed run goes on from its own checkpoint.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import RESERVOIR
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.eviction import require_room_as_before
from dqn_tf.experience.mixed_replay import MixedReplay
from dqn_tf.support.errors import UserError
from dqn_tf.training import earlier_run
from dqn_tf.training.earlier_run import EarlierRun

if TYPE_CHECKING:
    from dqn_tf.engines.engine import Engine

# settings that are part of what a row says, or of which rows there are
OF_ROWS = ("replay_unit", "n_step", "gamma", "replay_eviction", "prioritized")
OF_PRIORITIES = ("priority_alpha",)


def require_fit(config: DQNConfig, spaces: Spaces) -> None:
    """Raise UserError unless the replay of a run can begin with that of another."""
    if not config.initial_replay:
        return
    if not config.total_steps:
        raise UserError(
            f"--initial_replay={config.initial_replay}: rows are drawn from the replay beside the"
            " steps of a run, and --total_steps=0 takes none. Leave one out."
        )
    origin = find(config.initial_replay)
    if spaces.stack:
        raise UserError(
            f"--initial_replay={config.initial_replay}: rows of stacked pictures share frames with"
            " the episodes that the other run was playing, so they cannot be taken over. Leave it"
            " out."
        )
    differences = _settings(origin.config, config)
    differences += earlier_run.differing(origin.spaces.to_dict(), spaces.to_dict())
    before, now = (registry.names(each).get("tokens") for each in (origin.config, config))
    differences += earlier_run.parted_tokens(before, now)
    earlier_run.require_none(differences, "initial_replay", config.initial_replay)
    if config.replay_eviction == RESERVOIR:
        state = origin.latest.state["engine"]["replay"]
        room = config.replay_capacity
        require_room_as_before(room, int(state["added"]), int(state["capacity"]))


def begin_with(engine: Engine, config: DQNConfig) -> None:
    """Fill the replay with the rows of another run, where the configuration names one.

    Raises UserError if they cannot be read.
    """
    if not config.initial_replay:
        return
    latest = find(config.initial_replay).latest
    assert latest.replay is not None
    replay = engine.replay
    own = replay.online if isinstance(replay, MixedReplay) else replay
    own.restore(latest.replay, latest.state["engine"]["replay"])  # type: ignore[attr-defined]
    latest.replay.close()


def find(name: str) -> EarlierRun:
    """Read the run that `--initial_replay` names, with its replay. Raises UserError."""
    path = Path(os.path.expanduser(name))
    try:
        earlier_run.require_one(path)
        if not earlier_run.is_run(path):
            raise UserError("there is no run. Give a directory that train.py wrote as --run_dir")
        origin = earlier_run.read(path)
        if origin.latest.replay is None:
            raise UserError(f"the replay of {origin.latest.path} is missing. Put it back")
        return origin
    except UserError as error:
        raise UserError(f"--initial_replay={name}: {error}".rstrip(".") + ".") from error


def _settings(before: DQNConfig, now: DQNConfig) -> list[str]:
    """Name the settings of rows that differ."""
    names = (*OF_ROWS, *(OF_PRIORITIES if now.prioritized else ()))
    phrases = earlier_run.differing(
        earlier_run.settings(before, names), earlier_run.settings(now, names)
    )
    if before.engine == "graph":
        phrases.append("--engine=graph filled it")
    return phrases
