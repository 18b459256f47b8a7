"""Keeps whole logged episodes apart, to measure on them what was learned from the others."""

import dataclasses
import hashlib

import numpy as np

from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.support.errors import UserError

SHARE = 0.05
MOST = 500  # episodes
SEED = 0  # of every run: two seeds are measured on the same episodes, and a resumed run is, too


def hold_out(
    episodes: LoggedEpisodes, share: float = SHARE, most: int = MOST
) -> tuple[LoggedEpisodes, LoggedEpisodes]:
    """Return the episodes to learn from and those held out, each in their order.

    A `share` of the episodes is held out, at least one and at most so many. Which ones depends on
    nothing but their number. The digest of each part is made of that of the whole. Raises UserError
    for a single episode.
    """
    require_several(episodes)
    kept, apart = _divided(episodes.count, share, most)
    return part(episodes, kept), part(episodes, apart)


def _divided(
    episodes: int, share: float = SHARE, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the episodes to learn from and of those held out, in order."""
    count = min(max(1, round(share * episodes)), most, episodes - 1)
    order = np.random.default_rng(SEED).permutation(episodes)
    return np.sort(order[count:]), np.sort(order[:count])


def require_learnable(episodes: LoggedEpisodes, holds_out: bool = False) -> None:
    """Raise UserError if there is no step to learn from, or none that is not held out."""
    steps = episodes.learnable_lengths
    if not steps.any():
        raise UserError(
            f"--data={episodes.source}: each episode is one step, which is cut, and the observation"
            " after it is not known (final_observation): there is nothing to learn from. If the"
            " episodes ended there, they need terminated."
        )
    if not holds_out:
        return
    require_several(episodes)
    kept, apart = _divided(episodes.count)
    if not steps[kept].any():
        raise UserError(
            f"--data={episodes.source}: {len(apart)} of its {episodes.count} episodes are held out"
            " (--pretrain_updates), and each other one is one step, which is cut, and the"
            " observation after it is not known (final_observation): there is nothing to learn"
            " from. Give more episodes, or --offline_updates instead."
        )


def require_several(episodes: LoggedEpisodes) -> None:
    """Raise UserError for a single episode, of which none could be held out."""
    if episodes.count < 2:
        raise UserError(
            f"--data={episodes.source}: it holds a single episode, and one is held out to measure"
            " what was learned from the others (--pretrain_updates). Give at least two."
        )


def part(episodes: LoggedEpisodes, numbers: np.ndarray) -> LoggedEpisodes:
    """Return some of the episodes, by their numbers in order, as copies."""
    rows, starts = episodes.first_rows(numbers, episodes.lengths[numbers])
    digest = hashlib.sha256(episodes.digest.encode())
    digest.update(numbers.astype("<i8").tobytes())
    mask, final_mask = episodes.action_mask, episodes.final_mask
    propensity = episodes.propensity
    return dataclasses.replace(
        episodes,
        observation=episodes.observation[rows],
        action=episodes.action[rows],
        reward=episodes.reward[rows],
        terminated=episodes.terminated[rows],
        starts=starts,
        final_observation=episodes.final_observation[numbers],
        has_final=episodes.has_final[numbers],
        action_mask=None if mask is None else mask[rows],
        final_mask=None if final_mask is None else final_mask[numbers],
        propensity=None if propensity is None else propensity[rows],
        digest=digest.hexdigest(),
    )
