"""What the estimators ask of logged steps: to which episode each belongs, and what ends one."""

from __future__ import annotations

import dataclasses

import numpy as np

from dqn_tf.experience.logged.episodes import EpisodeRows, LoggedEpisodes


@dataclasses.dataclass(frozen=True)
class LoggedSteps(EpisodeRows):
    """The steps of E episodes, M rows.

    Attributes:
      reward: [M] float64.
      action: [M] int.
      starts: [E + 1], each episode's first row, and M.
      episode: [M], the number of each row's episode.
      time: [M], of each row within its episode, from 0.
      goes_on: [E] bool, whether there are rewards after the last step. They are known then by the
        value of the final observation.
      is_known: [M] bool, whether it is known what comes after the row. False at the last row of a
        cut episode without a final observation.
      gamma: discount of a step, in (0, 1].
    """

    reward: np.ndarray
    action: np.ndarray
    starts: np.ndarray
    episode: np.ndarray
    time: np.ndarray
    goes_on: np.ndarray
    is_known: np.ndarray
    gamma: float

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def discount(self) -> np.ndarray:
        """The discount of each row's reward, [M] float64."""
        return self.gamma**self.time

    def sums(self, column: np.ndarray) -> np.ndarray:
        """Return the sum over the rows of each episode, [M] → [E]."""
        return np.add.reduceat(column, self.starts[:-1])

    def by_time(self, column: np.ndarray) -> np.ndarray:
        """Return the sum over all episodes of each time, [M] → [T]."""
        return np.bincount(self.time, column)


def make_steps(episodes: LoggedEpisodes, gamma: float) -> LoggedSteps:
    """Return the steps of logged episodes.

    Discounted, a cut episode goes on. With `gamma` 1 the value is the return of an episode as it
    was played, and a cut ends it.
    """
    starts = episodes.starts
    episode = np.repeat(np.arange(episodes.count), episodes.lengths)
    goes_on = ~episodes.terminated[episodes.last_rows] & (gamma < 1.0)
    is_known = np.ones(len(episodes), bool)
    is_known[episodes.last_rows] = ~goes_on | episodes.has_final
    return LoggedSteps(
        reward=episodes.reward.astype(np.float64),
        action=episodes.action,
        starts=starts,
        episode=episode,
        time=np.arange(len(episodes)) - starts[episode],
        goes_on=goes_on,
        is_known=is_known,
        gamma=gamma,
    )
