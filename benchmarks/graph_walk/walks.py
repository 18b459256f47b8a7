"""What the baselines learn from: the walks that arrive, or all of them with their returns."""

import dataclasses

import numpy as np

from benchmarks.graph_walk.experiments import ALL, RETURNS, SUCCESSES
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.held_out import part

LOST = -15.0
COPIES = 40  # of each walk that arrives, so that none is lost where some are held out


def changed(episodes: LoggedEpisodes, kind: str) -> LoggedEpisodes:
    """Return the walks of a kind: see `experiments.Experiment`."""
    assert kind in (ALL, SUCCESSES, RETURNS), kind
    if kind == ALL:
        return episodes
    last = episodes.starts[1:] - 1
    arrived = episodes.terminated[last].astype(bool)
    if kind == SUCCESSES:
        return part(episodes, np.repeat(np.flatnonzero(arrived), COPIES))
    reward, terminated = episodes.reward.copy(), episodes.terminated.copy()
    lost = last[~arrived]
    reward[lost] = LOST + episodes.lengths[~arrived] - 1  # so that all of a walk's sum to LOST
    terminated[lost] = True
    return dataclasses.replace(episodes, reward=reward, terminated=terminated)
