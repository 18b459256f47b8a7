"""Environments whose chances Gymnasium names, as arrays: the best policy, and what any policy gets.

With a time limit the best policy knows how many steps are left; without one, it takes as many as it
likes, up to the limit of an evaluation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.evaluation.episodes import MAX_EPISODE_STEPS


class Table(NamedTuple):
    """The transitions of an environment with states 0 to S - 1; state S is the end.

    Attributes:
      chances, rewards: of each outcome, [S + 1, A, K].
      next_states: of each outcome, [S + 1, A, K].
      start: the chance of each state to be the first, [S].
      steps: that an episode may last.
      is_limited: whether the environment itself ends it after them.
      masks: which actions are legal in each state, [S, A] bool; None where all are.
    """

    chances: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    start: np.ndarray
    steps: int
    is_limited: bool
    masks: np.ndarray | None

    def optimum(self) -> float:
        """Return the mean return of the best policy, by value iteration."""
        values = np.zeros(len(self.chances))
        for _ in range(self.steps):
            values = self._after(values).max(-1)
        return self._mean(values)

    def return_of(self, actions: np.ndarray) -> float:
        """Return the mean return of choosing `actions` [S], an action for each state."""
        places = np.arange(len(actions)), actions
        values = np.zeros(len(self.chances))
        for _ in range(self.steps):
            values[:-1] = self._after(values)[places]
        return self._mean(values)

    def return_at_random(self) -> float:
        """Return the mean return of drawing actions, without a limit until the end."""
        if not self.is_limited:
            return self._mean(self._drawn_for_ever())
        values = np.zeros(len(self.chances))
        for _ in range(self.steps):
            values = self._after(values).mean(-1)
        return self._mean(values)

    def _after(self, values: np.ndarray) -> np.ndarray:
        """Return the value [S + 1, A] of each action, from those [S + 1] of what comes next."""
        return (self.chances * (self.rewards + values[self.next_states])).sum(-1)

    def _mean(self, values: np.ndarray) -> float:
        return float(self.start @ values[:-1])

    def _drawn_for_ever(self) -> np.ndarray:
        """Return the values [S + 1] of drawing actions until the end: v = r + P v."""
        states, actions, _ = self.chances.shape
        moves = np.zeros((states, states))
        for state, action, outcome in np.argwhere(self.chances):
            place = state, action, outcome
            moves[state, self.next_states[place]] += self.chances[place] / actions
        gained = (self.chances * self.rewards).sum(-1).mean(-1)
        return np.linalg.solve(np.eye(states) - moves, gained)


def table_of(env_id: str, env_kwargs: dict[str, Any]) -> Table:
    """Read the transitions of an environment that names them `P`."""
    env = gym.make(env_id, **env_kwargs)
    assert env.spec is not None
    limit = env.spec.max_episode_steps
    model: Any = env.unwrapped
    chances, rewards, next_states = _transitions(model.P)
    steps = limit or MAX_EPISODE_STEPS
    start = model.initial_state_distrib
    mask_of = getattr(model, "action_mask", None)
    masks = None
    if mask_of is not None:
        masks = np.array([mask_of(state) for state in range(len(model.P))], bool)
    env.close()
    return Table(chances, rewards, next_states, start, steps, bool(limit), masks)


def _transitions(model: dict[int, dict[int, list[Any]]]) -> tuple[np.ndarray, ...]:
    """Return chances, rewards and next states [S + 1, A, K]; state S is the end."""
    states, actions = len(model), len(model[0])
    outcomes = max(len(model[state][action]) for state in model for action in model[state])
    shape = (states + 1, actions, outcomes)
    chances, rewards = np.zeros(shape), np.zeros(shape)
    next_states = np.full(shape, states)
    for state in range(states):
        for action in range(actions):
            for number, (chance, after, reward, is_end) in enumerate(model[state][action]):
                place = state, action, number
                chances[place], rewards[place] = chance, reward
                next_states[place] = states if is_end else after
    return chances, rewards, next_states
