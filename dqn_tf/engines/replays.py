"""Makes the configured replay: the run's own, and its mixture with logged data."""

from collections.abc import Sequence

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import memory_plan
from dqn_tf.experience.eviction import make_eviction
from dqn_tf.experience.frames import Frames, ring_size
from dqn_tf.experience.logged.episode_replay import LoggedEpisodeReplay
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.replay import LoggedReplay, LoggedRows
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.experience.mixed_replay import MixedReplay, shared_counts
from dqn_tf.experience.priorities import Priorities
from dqn_tf.experience.replay import PrioritizedReplay, UniformReplay
from dqn_tf.experience.replay_unit import holds_episodes, unit_tokens
from dqn_tf.support.errors import UserError


def make_frames(config: DQNConfig, spaces: Spaces) -> Frames | None:
    """Make the place for frames of stacked observations; None where observations are no stacks."""
    if not spaces.stack:
        return None
    size = ring_size(memory_plan.capacity(config), config.num_envs, config.n_step, spaces)
    return Frames(size, config.num_envs, spaces)


def make_replay(
    config: DQNConfig,
    columns: dict[str, tuple[tuple[int, ...], str]],
    generator: np.random.Generator,
    frames: Frames | None = None,
    padding: int | None = None,
) -> UniformReplay:
    """Make the configured replay of rows with these columns (`replay_unit.row_columns`).

    `padding` is that of the spaces; it is needed where the rows are whole episodes.
    """
    if not holds_episodes(config):
        padding = None
    else:
        assert padding is not None, "rows of whole episodes need the padding"
    capacity = memory_plan.capacity(config)
    eviction = make_eviction(config, capacity, generator)
    if config.prioritized:
        alpha = config.priority_alpha
        return PrioritizedReplay(
            capacity,
            columns,
            generator,
            alpha,
            frames=frames,
            padding=padding,
            eviction=eviction,
        )
    return UniformReplay(capacity, columns, generator, frames, padding, eviction)


def mix(config: DQNConfig, online: UniformReplay, logged: Sequence[SharedEpisodes]) -> MixedReplay:
    """Make the replay that draws from logged episodes too, each with its share of a batch.

    Raises UserError where a share is no whole row.
    """
    counts, online_counts = logged_counts(config, logged)
    parts = [_logged_part(config, online, source.episodes) for source in logged]
    own_rows = config.batch_size - round(config.data_share * config.batch_size)
    return MixedReplay(online, parts, counts, (own_rows, *online_counts))


def logged_counts(
    config: DQNConfig, logged: Sequence[SharedEpisodes]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the rows of each source in a batch before the first environment step, and after it.

    Raises UserError where a share is no whole row.
    """
    logged_rows = round(config.data_share * config.batch_size)
    counts = _counts(config.batch_size if config.logged_updates else 0, logged)
    return counts, _counts(logged_rows if config.total_steps else 0, logged)


def _logged_part(config: DQNConfig, online: UniformReplay, episodes: LoggedEpisodes) -> LoggedRows:
    """Make the replay of one source: of its transitions, or of its episodes as whole rows."""
    places = episodes.count if holds_episodes(config) else len(episodes)
    priorities = Priorities(places, config.priority_alpha) if config.prioritized else None
    windows = (config.n_step, config.gamma)
    if not holds_episodes(config):
        return LoggedReplay(episodes, *windows, online.generator, priorities)
    assert online.padding is not None
    unit = unit_tokens(config)
    return LoggedEpisodeReplay(
        episodes, *windows, online.generator, priorities, online.padding, unit
    )


def _counts(rows: int, logged: Sequence[SharedEpisodes]) -> tuple[int, ...]:
    """Divide so many rows of a batch among the sources."""
    shares = [source.share for source in logged]
    counts = shared_counts(rows, shares)
    if rows and min(counts) == 0:
        source = logged[counts.index(0)]
        raise UserError(
            f"--data={source.episodes.source}: its share of {source.share / sum(shares):.2g} of"
            f" {rows} rows of a batch is no whole row. Give it a larger share, such as FILE@0.1, or"
            " a larger --batch_size."
        )
    return counts


def priority_beta(config: DQNConfig, progress: int) -> float:
    """Return the exponent of the importance weights (Schaul et al. 2016, section 3.4).

    It rises linearly to 1 at the run's end.
    """
    start = config.priority_beta_start
    return start + (1.0 - start) * min(1.0, progress / config.length)
