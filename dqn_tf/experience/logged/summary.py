"""Says in words what logged data holds, before anything is learned from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokens import numbered
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.sources import ENV

MOST_ACTIONS = 20  # with a share of their own
SAMPLED_ROWS = 10_000  # of which distinct observations are counted


def summarize(episodes: LoggedEpisodes, spaces: Spaces, names: Sequence[str] = ()) -> str:
    """Return some lines: steps, returns, actions, coverage, and what cannot be learned from.

    `names` are the actions', where they have any.
    """
    lengths = episodes.lengths
    source = f"--data={ENV}" if episodes.source == ENV else episodes.source
    lines = [
        f"{source}: {_count(episodes.count, 'episode')},"
        f" {_count(len(episodes), 'step')} ({_spread(lengths)} an episode)",
        f"  returns: {_quartiles(episodes.returns)}",
        f"  actions: {_actions(episodes, spaces, names)}",
        f"  coverage: {_coverage(episodes, spaces, names)}",
        f"  ends: {_ends(episodes)}",
    ]
    if episodes.propensity is not None:
        least = float(episodes.propensity.min())
        lines.append(f"  propensities: {least:.3g} to {float(episodes.propensity.max()):.3g}")
    lines += [f"  not learned from: {reason}" for reason in _unlearnable(episodes)]
    lines += [f"  {note}" for note in episodes.notes]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _spread(lengths: np.ndarray) -> str:
    low, high = int(lengths.min()), int(lengths.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _quartiles(returns: np.ndarray) -> str:
    low, first, median, third, high = np.quantile(returns, [0, 0.25, 0.5, 0.75, 1])
    return (
        f"mean {returns.mean():.4g}, quartiles {first:.4g}, {median:.4g}, {third:.4g}, from"
        f" {low:.4g} to {high:.4g}"
    )


def _name(action: int, spaces: Spaces, names: Sequence[str]) -> str:
    """Return the environment's own number of an action, and its name if it has one."""
    number = action + spaces.action_start
    return numbered(number, names[action]) if names else str(number)


def _actions(episodes: LoggedEpisodes, spaces: Spaces, names: Sequence[str]) -> str:
    """Return each action's share of the steps."""
    shares = episodes.action_shares(spaces.actions)
    order = np.arange(spaces.actions)
    left_out = ""
    if spaces.actions > MOST_ACTIONS:
        order = np.argsort(-shares, kind="stable")[:MOST_ACTIONS]
        left_out = f", and {_count(spaces.actions - MOST_ACTIONS, 'other')}"
    told = [f"{_name(action, spaces, names)}: {shares[action]:.1%}" for action in order.tolist()]
    return ", ".join(told) + left_out


def _coverage(episodes: LoggedEpisodes, spaces: Spaces, names: Sequence[str]) -> str:
    """Say what was never tried: actions, and how often an observation is met again.

    Values of actions that the data never shows in a situation are guesses of the network.
    """
    missing = np.flatnonzero(episodes.action_shares(spaces.actions) == 0)
    told = "every action was taken"
    if len(missing):
        listed = ", ".join(
            _name(action, spaces, names) for action in missing[:MOST_ACTIONS].tolist()
        )
        more = ", ..." if len(missing) > MOST_ACTIONS else ""
        told = f"{_count(len(missing), 'action')} never taken ({listed}{more})"
    if spaces.categories and not spaces.vocabulary:
        return f"{told}; {_pairs(episodes, spaces)}"
    return f"{told}; {_distinct(episodes)}"


def _pairs(episodes: LoggedEpisodes, spaces: Spaces) -> str:
    """Count the pairs of a Discrete observation and an action that were tried."""
    state = episodes.observation - spaces.category_start
    pairs = np.unique(state * spaces.actions + episodes.action)
    states = len(np.unique(pairs // spaces.actions))
    return (
        f"{states:,} of {spaces.categories:,} observations seen, {len(pairs):,} of"
        f" {spaces.categories * spaces.actions:,} pairs of observation and action tried"
    )


def _distinct(episodes: LoggedEpisodes) -> str:
    """Count the distinct observations among some rows, evenly spaced."""
    stride = -(-len(episodes) // SAMPLED_ROWS)
    sample = episodes.observation[::stride]
    distinct = len({row.tobytes() for row in sample})
    of_how_many = "" if stride == 1 else f" of {len(sample):,} looked at"
    return f"{distinct / len(sample):.1%} of the observations{of_how_many} are distinct"


def _ends(episodes: LoggedEpisodes) -> str:
    terminated = int(episodes.terminated[episodes.last_rows].sum())
    cut = episodes.count - terminated
    return f"{terminated:,} terminated, {cut:,} cut"


def _unlearnable(episodes: LoggedEpisodes) -> list[str]:
    count = int((~episodes.has_next).sum())
    if not count:
        return []
    noun = "the last step of an episode" if count == 1 else f"the last steps of {count:,} episodes"
    return [f"{noun}: cut, and the observation after it is not known"]
