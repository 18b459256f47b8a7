"""Plays an environment at random and writes down what it did:

facts only; what to make of them is the doctor's.
"""

import dataclasses
import time
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

PATIENCE_SECONDS = 10.0
REPLAYED_STEPS = 200


@dataclasses.dataclass(frozen=True)
class Facts:
    """What was seen of an environment under uniformly random legal actions.

    Attributes:
      spaces: as the agent sees them.
      spaces_text: observation and action space as Gymnasium writes them.
      time_limit: of the environment's registration, in steps; None without one.
      repeats: whether the same seed and actions gave the same episode, in a second copy too.
      seed_matters: whether episodes of different seeds and the same actions differed; False is no fault.
      steps: environment steps played.
      terminated, truncated: how many episodes ended so (both at once counts as terminated).
      lengths: of the episodes that ended, [E] steps.
      rewards: of every step, [steps] float64.
      low, high: smallest and largest number of all observations; 0 where they are categories.
      outside: an observation that its Box does not allow, in words; "" if there was none.
      varying: share of the observation's entries that ever changed.
      steps_per_second: speed of one environment.
    """

    spaces: Spaces
    spaces_text: str
    time_limit: int | None
    repeats: bool
    seed_matters: bool
    steps: int
    terminated: int
    truncated: int
    lengths: np.ndarray
    rewards: np.ndarray
    low: float
    high: float
    outside: str
    varying: float
    steps_per_second: float


def inspect(config: DQNConfig, most_steps: int) -> Facts:
    """Plays at most `most_steps` steps or ten seconds.

    Raises UserError where the environment breaks what its spaces say.
    """
    seed = config.seed or 0
    make = registry.maker(config)
    first, second = (CheckedEnv(make(), "The environment") for _ in range(2))
    try:
        same = [_episode(env, seed) for env in (first, first, second)]
        other = _episode(first, seed + 1)
        played = _play(first, most_steps, seed)
        return Facts(
            spaces=dataclasses.replace(first.spaces, masked=first.mask is not None),
            spaces_text=" ".join(
                f"{first.env.observation_space}, {first.env.action_space}".split()
            ),
            time_limit=first.env.spec.max_episode_steps if first.env.spec else None,
            repeats=all(_equal(same[0], episode) for episode in same[1:]),
            seed_matters=not _equal(same[0], other),
            **played,
        )
    finally:
        first.env.close()
        second.env.close()


def _action(env: CheckedEnv, generator: np.random.Generator) -> int:
    legal = np.arange(env.spaces.actions) if env.mask is None else env.mask.nonzero()[0]
    return int(generator.choice(legal)) + env.spaces.action_start


def _episode(env: CheckedEnv, seed: int) -> list[tuple]:
    """The first steps of an episode: observations, rewards and ends."""
    generator = np.random.default_rng(0)
    seen: list[tuple] = [(env.reset(seed).copy(),)]
    for _ in range(REPLAYED_STEPS):
        observation, *rest = env.step(_action(env, generator))
        seen.append((observation.copy(), *rest))
        if rest[1] or rest[2]:
            break
    return seen


def _equal(one: list[tuple], other: list[tuple]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a[0], b[0], equal_nan=a[0].dtype.kind == "f") and a[1:] == b[1:]
        for a, b in zip(one, other, strict=True)
    )


def _play(env: CheckedEnv, most_steps: int, seed: int) -> dict[str, Any]:
    generator, start, spent = np.random.default_rng(seed), time.perf_counter(), 0.0
    rewards, lengths, ends, outside = [], [], [0, 0], ""
    observation, length = env.reset(seed), 0
    begin, low, high = observation.copy(), observation.copy(), observation.copy()
    while len(rewards) < most_steps and time.perf_counter() - start < PATIENCE_SECONDS:
        action, before = _action(env, generator), time.perf_counter()
        observation, reward, terminated, truncated = env.step(action)
        spent += time.perf_counter() - before
        length += 1
        rewards.append(reward)
        _require_finite(observation, reward, len(rewards))
        outside = outside or _outside(env, observation)
        np.minimum(low, observation, out=low)
        np.maximum(high, observation, out=high)
        if terminated or truncated:
            ends[0 if terminated else 1] += 1
            lengths.append(length)
            observation, length = env.reset(seed + len(lengths)), 0
    categories = env.spaces.categories
    return {
        "steps": len(rewards),
        "terminated": ends[0],
        "truncated": ends[1],
        "lengths": np.array(lengths, np.int64),
        "rewards": np.array(rewards),
        "low": 0.0 if categories else float(low.min()),
        "high": 0.0 if categories else float(high.max()),
        "outside": outside,
        "varying": float(((low != begin) | (high != begin)).mean()),
        "steps_per_second": len(rewards) / max(spent, 1e-9),
    }


def _require_finite(observation: np.ndarray, reward: float, step: int) -> None:
    if not np.isfinite(reward) or (
        observation.dtype.kind == "f" and not np.isfinite(observation).all()
    ):
        what = "the reward" if not np.isfinite(reward) else "an observation"
        raise UserError(
            f"In step {step} of random play, {what} is NaN or infinite: both must be finite."
        )


def _outside(env: CheckedEnv, observation: np.ndarray) -> str:
    space = env.env.observation_space
    space = space["observation"] if isinstance(space, gym.spaces.Dict) else space
    if not isinstance(space, gym.spaces.Box):
        return ""  # categories were checked as they came
    beyond = (observation < space.low) | (observation > space.high)
    if not beyond.any():
        return ""
    index = tuple(np.argwhere(beyond)[0].tolist())
    return (
        f"{observation[index]:g} at index {list(index)}, where the space says {space.low[index]:g}"
        f" to {space.high[index]:g}"
    )
