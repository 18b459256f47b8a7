"""Every random number of a run, derived from its one seed.

Nothing seeds a global generator. A run's seed gives named generators (`generators`) and one seed
per episode (`episode_seed`). Episodes of training, of periodic evaluation, of the final test and
of recorded data can never share a seed: each stream has its own remainder modulo 4.
"""

import dataclasses
import random
from collections.abc import Sequence

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig

# an environment has the generator of its seed alone
ACTIONS = 1
# streams of episode seeds: to learn, to choose the best weights, to report, to record logged data
TRAINING, SELECTION, TEST, RECORDED = 0, 1, 2, 3
GENERATORS = ("exploration", "replay", "weights")


def generators(seed: int) -> dict[str, np.random.Generator]:
    """Return independent generators by name, spawned from the run's seed."""
    children = np.random.SeedSequence(seed).spawn(len(GENERATORS))
    named = zip(GENERATORS, children, strict=True)
    return {name: np.random.default_rng(child) for name, child in named}


def with_seed(config: DQNConfig) -> DQNConfig:
    """Return the configuration, with a seed drawn where it has none.

    It is drawn from Python's own generator, as Keras draws the seeds of layers that have none. So
    `tf.keras.utils.set_random_seed` decides it.
    """
    if config.seed is not None:
        return config
    return dataclasses.replace(config, seed=random.getrandbits(32))


def episode_seed(seed: int, stream: int, *position: int) -> int:
    """Return the reset seed of one episode, in [0, 2**31), which every environment accepts.

    `position` is (environment index, episode index) in training and (episode index,) elsewhere.
    The seed depends on nothing else, so an episode can be played again without a saved environment.
    """
    word = np.random.SeedSequence((seed, stream, *position)).generate_state(1)[0]
    return (int(word >> 1) & ~0b11) | stream  # the last two bits are the stream's


def action_generator(seed: int) -> np.random.Generator:
    """Return the generator of an evaluation episode's random actions, by the episode's seed."""
    return np.random.default_rng((seed, ACTIONS))


def episode_seeds(seed: int, stream: int, episodes: int, first: int = 0) -> Sequence[int]:
    """Return the seeds of `episodes` evaluation episodes, from number `first` on."""
    return [episode_seed(seed, stream, episode) for episode in range(first, first + episodes)]
