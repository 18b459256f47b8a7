"""Features of observations that a linear model is good with: a table, or random waves."""

import dataclasses
import math
from typing import Protocol

import numpy as np

from dqn_tf.envs.spaces import Spaces

MOST_ENTRIES = 3200  # of a table: one for each observation and action
MOST_FEATURES = 1200  # of all actions together, otherwise
# Of the waves, how long they are in standard deviations of an observation's numbers, and how many.
# Two models, since nobody knows which one is right: long waves smooth, short ones follow.
WAVES = ((2.0, 200), (4.0, 100))
SEED = 0
MOST_NUMBERS = 256  # of an observation that are looked at; larger ones are thinned


class Features(Protocol):
    """Maps observations [N, *shape] to features [N, K] float64.

    Attributes:
      count: K.
      is_table: whether each feature stands for one observation.
      is_thinned: whether only some of an observation's numbers are used.
    """

    @property
    def count(self) -> int: ...

    @property
    def is_table(self) -> bool: ...

    @property
    def is_thinned(self) -> bool: ...

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the features [N, K]."""
        ...


@dataclasses.dataclass(frozen=True)
class Table:
    """One feature for each value of a Discrete observation: 1 at the observation's own."""

    count: int
    start: int
    is_table: bool = True
    is_thinned: bool = False

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the features [N, K]."""
        return np.eye(self.count)[observation - self.start]

    def counts(self, observation: np.ndarray, action: np.ndarray, actions: int) -> np.ndarray:
        """Return how often each action was taken at each observation, [K, A] int64."""
        entry = (observation - self.start) * actions + action
        return np.bincount(entry, minlength=self.count * actions).reshape(self.count, actions)


class Waves:
    """A constant, the standardised numbers themselves, and cosines of random directions.

    The cosines approximate a Gaussian kernel (Rahimi and Recht 2007, "Random features for
    large-scale kernel machines"). Directions are always the same.
    """

    is_table = False

    def __init__(
        self, observation: np.ndarray, width: float, most_waves: int, most_features: int
    ) -> None:
        """Take mean and deviation from observations [M, *shape].

        The waves have the length `width`, in deviations.
        """
        most_numbers = max(1, min(MOST_NUMBERS, most_features // 2))
        self._step = -(-_flat(observation[:1]).shape[1] // most_numbers)
        self.is_thinned = self._step > 1
        sample = self._thin(observation[:: max(1, len(observation) // 20_000)])
        self._mean = sample.mean(axis=0)
        deviation = sample.std(axis=0)
        self._scale = np.where(deviation > 1e-12, deviation, 1.0)
        numbers = sample.shape[1]
        waves = max(1, min(most_waves, most_features - numbers))
        generator = np.random.default_rng(SEED)
        # further apart where there are more numbers, so that the waves stay as smooth
        width *= np.sqrt(max(1.0, numbers / 4))
        self._directions = generator.normal(0.0, 1.0 / width, (numbers, waves))
        self._phases = generator.uniform(0.0, 2.0 * np.pi, waves)
        self.count = 1 + numbers + waves

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the features [N, K]."""
        standard = (self._thin(observation) - self._mean) / self._scale
        waves = np.cos(standard @ self._directions + self._phases)
        waves *= np.sqrt(2.0 / len(self._phases))
        return np.concatenate([np.ones((len(standard), 1)), standard, waves], axis=1)

    def _thin(self, observation: np.ndarray) -> np.ndarray:
        """Return the numbers of observations [N, *shape] as [N, D]: every so many-th, if many."""
        return _flat(observation)[:, :: self._step].astype(np.float64)


def _flat(observation: np.ndarray) -> np.ndarray:
    """Return observations [N, *shape] as [N, D]; N may be 0."""
    return observation.reshape(len(observation), math.prod(observation.shape[1:]))


def make_features(observation: np.ndarray, spaces: Spaces) -> list[Features]:
    """Return the features for observations [M, *shape]: a table where they are few numbers.

    Otherwise two kinds, the finer one first.
    """
    is_small = 0 < spaces.categories * spaces.actions <= MOST_ENTRIES
    if is_small and not spaces.vocabulary:
        return [Table(spaces.categories, spaces.category_start)]
    # no more than the rows can tell apart
    most = min(MOST_FEATURES, max(20, len(observation) // 10)) // spaces.actions
    return [Waves(observation, width, waves, max(2, most)) for width, waves in WAVES]
