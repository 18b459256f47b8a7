"""Plays an environment at random and notes what it did.

Facts only: `advice` says what to make of them.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv, close_all
from dqn_tf.envs.spaces import Spaces, known_spaces
from dqn_tf.support.closing import closed_on_error
from dqn_tf.support.errors import UserError

PATIENCE_SECONDS = 10.0  # of each of the two kinds of play
COMPARED_STEPS = 200  # of the episodes that are played again to see whether they repeat


@dataclasses.dataclass(frozen=True)
class Facts:
    """What an environment did under uniformly random legal actions.

    Attributes:
      spaces: as the agent sees them.
      spaces_text: observation and action space as Gymnasium writes them.
      time_limit: of the environment's registration, in steps; None without one.
      repeats: whether the same seed and actions gave the same episode, in a second copy too.
      seed_matters: whether different seeds and the same actions gave different episodes. False is
        no fault.
      steps: environment steps played.
      terminated, truncated: number of episodes that ended so (both at once counts as terminated).
      lengths: of the episodes that ended, [E] steps.
      rewards: of every step, [steps] float64.
      low, high: smallest and largest number of all observations; 0 where they are categories.
      outside: an observation that its Box does not allow, in words; "" if there was none.
      varying: share of the observation's entries that ever changed.
      steps_per_second: speed of one environment.
      statistics: names of wrappers that keep statistics over episodes.
      alone: why no second instance could be made beside the first; "" if one could.
      closing: what close() raised, in a sentence; "" if nothing.
      names: the environment's own, by "action_meanings" and "tokens", as far as it has any.
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
    statistics: Sequence[str] = ()
    alone: str = ""
    closing: str = ""
    names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)


class Moment(NamedTuple):
    """What an environment returned from a reset (no reward, no end) or from a step."""

    observation: np.ndarray
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False

    def equals(self, other: "Moment") -> bool:
        """Tell whether two moments are the same; NaN is the same as NaN."""
        is_float = self.observation.dtype.kind == "f"
        return (
            np.array_equal(self.observation, other.observation, equal_nan=is_float)
            and self[1:] == other[1:]
        )


def inspect(config: DQNConfig, max_steps: int, check: Callable[[], None] = lambda: None) -> Facts:
    """Play the configured environment for at most `max_steps` steps or ten seconds.

    Raises UserError where the environment breaks what its spaces say.
    """
    make_env = registry.maker(config)
    spaces = known_spaces(make_env)  # before the first instance is taken
    first = CheckedEnv(make_env(), "The environment", spaces)
    envs = [first]
    alone = ""
    try:
        envs.append(CheckedEnv(make_env(), "A second environment", spaces))
    except UserError as error:
        alone = str(error)
    with closed_on_error() as opened:
        opened.callback(close_all, envs)
        facts = _examine(envs, config.seed or 0, max_steps, check)
    closing = next(filter(None, [env.close() for env in envs]), "")
    return dataclasses.replace(facts, alone=alone, closing=closing, names=first.names)


def _examine(
    envs: Sequence[CheckedEnv], seed: int, max_steps: int, check: Callable[[], None]
) -> Facts:
    first = envs[0]
    episode = _first_steps(first, seed, COMPARED_STEPS, check, PATIENCE_SECONDS)
    steps = len(episode) - 1  # of a slow environment they are fewer
    repetitions = [_first_steps(env, seed, steps, check) for env in envs]
    other_seed = _first_steps(first, seed + 1, steps, check)
    return Facts(
        spaces=dataclasses.replace(first.spaces, masked=bool(first.is_masked)),
        spaces_text=" ".join(f"{first.env.observation_space}, {first.env.action_space}".split()),
        time_limit=first.time_limit,
        repeats=all(_are_equal(episode, repetition) for repetition in repetitions),
        seed_matters=not _are_equal(episode, other_seed),
        statistics=first.running_statistics,
        **_play(first, max_steps, seed, check),
    )


def _random_action(env: CheckedEnv, generator: np.random.Generator) -> int:
    if env.mask is None:
        return int(generator.integers(env.spaces.actions)) + env.spaces.action_start
    return int(generator.choice(env.mask.nonzero()[0])) + env.spaces.action_start


def _first_steps(
    env: CheckedEnv,
    seed: int,
    steps: int,
    check: Callable[[], None],
    patience: float = math.inf,
) -> list[Moment]:
    """Return the reset and the first steps of an episode, under always the same actions.

    There are at most `steps`, and no further ones after `patience` seconds.
    """
    generator = np.random.default_rng(0)
    moments = [Moment(env.reset(seed))]
    until = time.perf_counter() + patience
    for _ in range(steps):
        check()
        if time.perf_counter() > until:
            break
        observation, reward, terminated, truncated = env.step(_random_action(env, generator))
        moments.append(Moment(observation, reward, terminated, truncated))
        if terminated or truncated:
            break
    return moments


def _are_equal(episode: Sequence[Moment], other: Sequence[Moment]) -> bool:
    if len(episode) != len(other):
        return False
    return all(moment.equals(twin) for moment, twin in zip(episode, other, strict=True))


def _play(env: CheckedEnv, max_steps: int, seed: int, check: Callable[[], None]) -> dict[str, Any]:
    """Play whole episodes at random; return the facts that follow from them, by name."""
    generator = np.random.default_rng(seed)
    rewards: list[float] = []
    lengths: list[int] = []
    terminated_episodes = 0
    outside = ""
    seconds_in_steps = 0.0
    observation = env.reset(seed)
    length = 0
    first = observation.copy()
    low = observation.copy()
    high = observation.copy()
    until = time.perf_counter() + PATIENCE_SECONDS
    while len(rewards) < max_steps and not (rewards and time.perf_counter() > until):
        check()
        action = _random_action(env, generator)
        start = time.perf_counter()
        observation, reward, terminated, truncated = env.step(action)
        seconds_in_steps += time.perf_counter() - start
        length += 1
        rewards.append(reward)
        outside = outside or _beyond_bounds(env, observation)
        np.minimum(low, observation, out=low)
        np.maximum(high, observation, out=high)
        if terminated or truncated:
            terminated_episodes += terminated
            lengths.append(length)
            observation = env.reset(seed + len(lengths))
            length = 0
    has_categories = bool(env.spaces.categories)
    return {
        "steps": len(rewards),
        "terminated": terminated_episodes,
        "truncated": len(lengths) - terminated_episodes,
        "lengths": np.array(lengths, np.int64),
        "rewards": np.array(rewards),
        "low": 0.0 if has_categories else float(low.min()),
        "high": 0.0 if has_categories else float(high.max()),
        "outside": outside,
        "varying": float(((low != first) | (high != first)).mean()),
        "steps_per_second": len(rewards) / max(seconds_in_steps, 1e-9),
    }


def _beyond_bounds(env: CheckedEnv, observation: np.ndarray) -> str:
    """Describe the first number that the environment's Box does not allow; "" if there is none."""
    space = env.env.observation_space
    if isinstance(space, gym.spaces.Dict):
        space = space["observation"]
    if not isinstance(space, gym.spaces.Box):
        return ""  # categories were checked as they came
    # The observation was rounded to float32, and a bound of float64 may lie beside its number.
    with np.errstate(over="ignore"):
        low, high = (bound.astype(observation.dtype) for bound in (space.low, space.high))
    beyond = (observation < low) | (observation > high)
    if not beyond.any():
        return ""
    index = tuple(np.argwhere(beyond)[0].tolist())
    return (
        f"{observation[index]:g} at index {list(index)}, where the space says {space.low[index]:g}"
        f" to {space.high[index]:g}"
    )
