"""What a row of the replay is, `--replay_unit`: a transition, or a whole episode."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import EPISODE
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import transitions, whole_episodes
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep
from dqn_tf.experience.whole_episodes import WholeEpisodes


class RowMaker(Protocol):
    """Turns steps into rows of the replay, and keeps those of which a row is not yet whole."""

    def add(self, steps: Steps) -> dict[str, np.ndarray]:
        """Return the rows that `steps` [T, N] finish, in the order of time."""

    def forget(self, envs: Sequence[int]) -> None:
        """Make no row of what is kept of these environments: other steps follow than were due."""

    def state(self) -> dict[str, np.ndarray]:
        """Return what is kept, for a checkpoint."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""


def holds_episodes(config: DQNConfig) -> bool:
    """Tell whether a row is a whole episode."""
    return config.replay_unit == EPISODE


def unit_tokens(config: DQNConfig) -> int:
    """Return the tokens of what a network reads in a step: of a message, or one."""
    return 1 + config.message_tokens if config.message_torso == "gru" else 1


def row_columns(config: DQNConfig, spaces: Spaces) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of one row of each column.

    Raises UserError for spaces whose observations cannot be whole episodes, where they are to be.
    """
    if holds_episodes(config):
        return whole_episodes.episode_columns(spaces)
    return transitions.columns(spaces)


def make_row_maker(config: DQNConfig, spaces: Spaces) -> RowMaker:
    """Return what makes rows of the configured unit of the steps of `num_envs` environments."""
    values = (config.n_step, config.gamma, config.num_envs, spaces)
    if holds_episodes(config):
        return WholeEpisodes(*values, unit_tokens(config))
    return NStep(*values)
