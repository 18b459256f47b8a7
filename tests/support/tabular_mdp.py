"""A small Markov decision process whose values are known, and logged episodes of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.off_policy.target import TargetProbabilities
from dqn_tf.experience.logged.episodes import LoggedEpisodes

START = 5  # what the first state is called: numbers of a Discrete space need not begin with 0


@dataclasses.dataclass(frozen=True)
class TabularMDP:
    """S states, A actions.

    `move` [S, A, S + 1] are probabilities, the last state being the end; `reward` [S, A, S + 1]
    belongs to the moves, `start` [S] to the first state, and `legal` [S, A] to the actions.
    """

    move: np.ndarray
    reward: np.ndarray
    start: np.ndarray
    legal: np.ndarray

    @property
    def spaces(self) -> Spaces:
        """Spaces of its environment."""
        states, actions = self.legal.shape
        masked = not self.legal.all()
        return Spaces((), "int64", actions, states, START, masked=masked)

    def value(self, policy: np.ndarray, gamma: float) -> float:
        """The exact value of a policy [S, A], by linear algebra."""
        states = len(self.start)
        after = np.einsum("sa,sat->st", policy, self.move)[:, :states]
        reward = np.einsum("sa,sat,sat->s", policy, self.move, self.reward)
        return float(self.start @ np.linalg.solve(np.eye(states) - gamma * after, reward))

    def log(
        self, behaviour: np.ndarray, episodes: int, seed: int, limit: int = 200
    ) -> LoggedEpisodes:
        """Episodes of the behaviour [S, A], cut after `limit` steps."""
        generator = np.random.default_rng(seed)
        states = len(self.start)
        state = _draw(np.tile(self.start, (episodes, 1)), generator)
        columns = []
        is_running = np.ones(episodes, bool)
        for _ in range(limit):
            now = np.minimum(state, states - 1)
            action = _draw(behaviour[now], generator)
            after = _draw(self.move[now, action], generator)
            reward = self.reward[now, action, after]
            columns.append((now, action, reward, is_running, behaviour[now, action]))
            state = np.where(is_running, after, state)
            is_running = is_running & (after < states)
        observed, action, reward, runs, propensity = (
            np.stack(column, axis=1) for column in zip(*columns, strict=True)
        )
        starts = np.concatenate([[0], runs.sum(axis=1).cumsum()])
        terminated = np.zeros(starts[-1], bool)
        terminated[starts[1:] - 1] = ~is_running
        final = np.where(is_running, state, 0)
        masks = {}
        if not self.legal.all():
            masks = {"action_mask": self.legal[observed[runs]], "final_mask": self.legal[final]}
        return logged(
            observed[runs],
            action[runs],
            reward[runs],
            terminated,
            starts,
            final,
            is_running,
            propensity=propensity[runs],
            **masks,
        )


def small_mdp(seed: int = 3, masked: bool = False) -> TabularMDP:
    """Four states, two actions; every step may be the last. Masked, a state has one action only."""
    generator = np.random.default_rng(seed)
    move = generator.dirichlet(np.ones(5), (4, 2))
    move[..., 4] += 0.15
    move /= move.sum(axis=2, keepdims=True)
    legal = np.ones((4, 2), bool)
    legal[2, 1] = not masked
    reward = generator.normal(1.0, 1.0, (4, 2, 5))
    return TabularMDP(move, reward, generator.dirichlet(np.ones(4)), legal)


def random_policy(mdp: TabularMDP, seed: int) -> np.ndarray:
    """A policy [S, A] that takes every legal action with at least a quarter's probability."""
    policy = 0.5 + np.random.default_rng(seed).random(mdp.legal.shape)
    policy *= mdp.legal
    return policy / policy.sum(axis=1, keepdims=True)


def asked(policy: np.ndarray, episodes: LoggedEpisodes) -> TargetProbabilities:
    """The probabilities of a policy [S, A] wherever the episodes have been."""
    return TargetProbabilities(
        policy[episodes.observation - START], policy[episodes.final_observation - START]
    )


def logged(
    state: np.ndarray,
    action: np.ndarray,
    reward: np.ndarray,
    terminated: np.ndarray,
    starts: np.ndarray,
    final: np.ndarray,
    has_final: np.ndarray,
    **others: np.ndarray,
) -> LoggedEpisodes:
    """Episodes of states from 0 on."""
    columns = dict.fromkeys(("action_mask", "final_mask", "propensity")) | others
    return LoggedEpisodes(
        observation=np.asarray(state) + START,
        action=np.asarray(action, np.int32),
        reward=np.asarray(reward, np.float32),
        terminated=np.asarray(terminated, bool),
        starts=np.asarray(starts, np.int64),
        final_observation=np.asarray(final) + START,
        has_final=np.asarray(has_final, bool),
        digest="",
        source="tabular",
        **columns,
    )


def _draw(probability: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One number for each row of probabilities [N, K]."""
    passed = probability.cumsum(axis=1) < generator.random((len(probability), 1))
    return np.minimum(passed.sum(axis=1), probability.shape[1] - 1)
