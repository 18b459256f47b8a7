"""CartPole, many episodes at once, by a policy with random actions whose probability is known."""

import hashlib
from typing import NamedTuple

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.experience.logged.episodes import LoggedEpisodes

TIME_LIMIT = 500  # of CartPole-v1
FOREVER = 10**9


class _Played(NamedTuple):
    """Episodes side by side, [E, T]; `is_running` says which steps there are."""

    observation: np.ndarray
    action: np.ndarray
    propensity: np.ndarray
    is_running: np.ndarray
    has_fallen: np.ndarray  # [E]
    final_observation: np.ndarray  # [E, 4]


def log(policy: ActFunction, epsilon: float, episodes: int, seed: int) -> LoggedEpisodes:
    """Return episodes of CartPole-v1, with the propensities of all actions."""
    played = _play(policy, epsilon, episodes, seed, TIME_LIMIT)
    rows = played.is_running
    lengths = rows.sum(axis=1)
    starts = np.concatenate([[0], lengths.cumsum()])
    terminated = np.zeros(starts[-1], bool)
    terminated[starts[1:] - 1] = played.has_fallen
    return LoggedEpisodes(
        observation=played.observation[rows],
        action=played.action[rows].astype(np.int32),
        reward=np.ones(starts[-1], np.float32),
        terminated=terminated,
        starts=starts,
        final_observation=played.final_observation,
        has_final=np.ones(episodes, bool),
        action_mask=None,
        final_mask=None,
        propensity=played.propensity[rows],
        digest=hashlib.sha256(f"{epsilon} {episodes} {seed}".encode()).hexdigest(),
        source=f"CartPole-v1 with epsilon {epsilon:g}",
    )


def discounted_returns(
    policy: ActFunction, epsilon: float, gamma: float, episodes: int, seed: int
) -> np.ndarray:
    """Return discounted returns [E] of episodes that no time limit cuts.

    It plays the steps that make all but a ten-thousandth of the longest possible sum.
    """
    steps = int(np.ceil(np.log(1e-4) / np.log(gamma)))
    played = _play(policy, epsilon, episodes, seed, steps)
    return (gamma ** np.arange(played.is_running.shape[1]) * played.is_running).sum(axis=1)


def _play(policy: ActFunction, epsilon: float, episodes: int, seed: int, steps: int) -> _Played:
    generator = np.random.default_rng(seed)
    env = CartPoleVectorEnv(num_envs=episodes, max_episode_steps=FOREVER)
    observation, _ = env.reset(seed=int(generator.integers(2**31)))
    is_running = np.ones(episodes, bool)
    has_fallen = np.zeros(episodes, bool)
    final = observation.copy()
    columns = []
    for _ in range(steps):
        greedy = policy(observation, None)
        explores = generator.random(episodes) < epsilon
        action = np.where(explores, generator.integers(0, 2, episodes), greedy)
        propensity = np.where(action == greedy, 1.0 - epsilon / 2, epsilon / 2)
        columns.append((observation.copy(), action, propensity, is_running.copy()))
        observation, _, falls, _, _ = env.step(action)
        final[is_running] = observation[is_running]
        has_fallen |= is_running & falls
        is_running &= ~falls
        if not is_running.any():
            break
    env.close()
    stacked = [np.stack(column, axis=1) for column in zip(*columns, strict=True)]
    observed, actions, propensities, running = stacked
    return _Played(observed, actions, propensities, running, has_fallen, final)
