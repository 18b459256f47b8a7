"""Every random number of a run, derived from its one seed.

Nothing seeds a global generator. A run's seed gives named generators (`generators`) and one seed
per episode (`episode_seed`). Episodes of training, of periodic evaluation and of the final test
can never share a seed: each stream has its own remainder modulo 4.
"""

from collections.abc import Sequence

import numpy as np

# streams of episode seeds: to learn, to choose the best weights, to report
TRAINING, SELECTION, TEST = 0, 1, 2
GENERATORS = ("exploration", "replay", "weights")


def generators(seed: int) -> dict[str, np.random.Generator]:
    """Return independent generators by name, spawned from the run's seed."""
    children = np.random.SeedSequence(seed).spawn(len(GENERATORS))
    named = zip(GENERATORS, children, strict=True)
    return {name: np.random.default_rng(child) for name, child in named}


def episode_seed(seed: int, stream: int, *position: int) -> int:
    """Return the reset seed of one episode, in [0, 2**31), which every environment accepts.

    `position` is (environment index, episode index) in training and (episode index,) elsewhere.
    The seed depends on nothing else, so an episode can be played again without a saved environment.
    """
    word = np.random.SeedSequence((seed, stream, *position)).generate_state(1)[0]
    return int(word >> 1) & ~3 | stream


def episode_seeds(seed: int, stream: int, episodes: int) -> Sequence[int]:
    """Return the seeds of `episodes` evaluation episodes."""
    return [episode_seed(seed, stream, episode) for episode in range(episodes)]
