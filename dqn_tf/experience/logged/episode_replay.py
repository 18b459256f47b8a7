"""Replay of logged episodes whose rows are whole episodes, made once."""

from collections.abc import Iterator

import numpy as np

from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.held_out import require_learnable
from dqn_tf.experience.logged.replay import LoggedRows
from dqn_tf.experience.priorities import Priorities
from dqn_tf.experience.replay import Columns, Rows
from dqn_tf.experience.whole_episodes import (
    WAY_OUT,
    EpisodeSteps,
    begins,
    episode_rows,
    told,
    way_out,
)
from dqn_tf.support.errors import UserError

EPISODES_AT_ONCE = 4096  # whose rows are made together


class LoggedEpisodeReplay(LoggedRows):
    """The rows of whole logged episodes (`whole_episodes.episode_rows`).

    They are those that `WholeEpisodes` makes of the same steps. An episode that goes on unseen ends
    before its last step, whose observation is the last that is known. One that has no other step
    gives no row.
    """

    def __init__(
        self,
        episodes: LoggedEpisodes,
        n_step: int,
        gamma: float,
        generator: np.random.Generator,
        priorities: Priorities | None,
        padding: int,
        unit: int = 1,
    ) -> None:
        """Make the rows. Raises UserError if an observation is not the beginning of the next.

        It is by whole units of so many tokens.
        """
        self.columns = logged_rows(episodes, n_step, gamma, padding, unit)
        count = len(self.columns["sequence"])
        super().__init__(episodes, generator, priorities, count)

    def __len__(self) -> int:
        return self._places

    def take(self, drawn: Rows) -> Columns:
        """As described in `LoggedRows`: the columns of `whole_episodes.episode_columns`."""
        places = drawn["place"]
        batch = {name: column.take(places, axis=0) for name, column in self.columns.items()}
        return batch | {name: column for name, column in drawn.items() if name != "place"}


def logged_rows(
    episodes: LoggedEpisodes, n_step: int, gamma: float, padding: int, unit: int = 1
) -> Columns:
    """Return the rows of all episodes that have a step to learn from, in order.

    Raises UserError as `require_growing` does.
    """
    require_growing(episodes, padding, unit)
    parts = [episode_rows(steps, n_step, gamma, padding) for _, steps in _portions(episodes)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def require_growing(episodes: LoggedEpisodes, padding: int, unit: int = 1) -> None:
    """Raise UserError if an observation is not the beginning of the next, or nothing is left.

    It is by whole units of so many tokens.
    """
    require_learnable(episodes)
    for numbers, steps in _portions(episodes):
        _require_growing_steps(episodes, numbers, steps, padding, unit)


def _portions(episodes: LoggedEpisodes) -> Iterator[tuple[np.ndarray, EpisodeSteps]]:
    """Yield the numbers of some episodes, and their steps that can be learned from."""
    known = episodes.learnable_lengths
    chosen = np.flatnonzero(known)
    for begin in range(0, len(chosen), EPISODES_AT_ONCE):
        numbers = chosen[begin : begin + EPISODES_AT_ONCE]
        yield numbers, _steps_of(episodes, numbers, known[numbers])


def _steps_of(episodes: LoggedEpisodes, numbers: np.ndarray, lengths: np.ndarray) -> EpisodeSteps:
    """Return the first steps of some episodes, so many of each."""
    rows, starts = episodes.first_rows(numbers, lengths)
    last_row = episodes.last_rows[numbers]
    has_final = episodes.has_final[numbers]
    last = np.where(
        has_final[:, np.newaxis],
        episodes.final_observation[numbers],
        episodes.observation[last_row],
    )
    mask = last_mask = None
    if episodes.action_mask is not None and episodes.final_mask is not None:
        mask = episodes.action_mask[rows]
        # that of an episode that goes on unseen is known: its last step has it
        is_cut = ~episodes.has_next[numbers, np.newaxis]
        unseen = episodes.action_mask[last_row]
        last_mask = np.where(is_cut, unseen, episodes.final_mask[numbers])
    return EpisodeSteps(
        observation=episodes.observation[rows],
        action=episodes.action[rows],
        reward=episodes.reward[rows],
        terminated=episodes.terminated[rows],
        starts=starts,
        last_observation=last,
        action_mask=mask,
        last_mask=last_mask,
    )


def _require_growing_steps(
    episodes: LoggedEpisodes, numbers: np.ndarray, steps: EpisodeSteps, padding: int, unit: int
) -> None:
    later = steps.last_observation[steps.episode]
    is_beginning = begins(steps.observation, later, padding, unit)
    if not is_beginning.all():
        step = int(is_beginning.argmin())
        number = numbers[steps.episode[step]]
        raise UserError(
            f"--data={episodes.source}: {_named(episodes, number)} has the observation"
            f" {told(steps.observation[step], padding)} and ends with {told(later[step], padding)}."
            f" With --replay_unit=episode an observation must be the beginning of all later ones."
            f" {way_out(unit)}"
        )
    most = steps.observation.shape[1]
    too_long = numbers[steps.lengths > most]
    if len(too_long):
        raise UserError(
            f"--data={episodes.source}: {_named(episodes, too_long[0])} has more than {most} steps,"
            " and with --replay_unit=episode a row has room for as many as an observation has"
            f" tokens. {WAY_OUT}"
        )


def _named(episodes: LoggedEpisodes, number: int) -> str:
    return f"episode {number + 1:,} (its first step is row {episodes.starts[number]:,})"
