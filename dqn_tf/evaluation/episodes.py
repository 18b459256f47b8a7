"""Greedy episodes of any policy, each with its own seed, on an environment made for them alone."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.evaluation import statistics
from dqn_tf.support.errors import UserError

# Environments stepped together, so that one call of the policy serves all of them.
MAX_PARALLEL = 32
# 30 minutes of an Atari game; an episode that is still running then is cut and counted.
MAX_EPISODE_STEPS = 27_000

# what evaluate.py plays if it is not told otherwise
DEFAULT_EPISODES = 100
DEFAULT_SEED = 0

# Maps observations [N, *shape] and masks of legal actions [N, A] bool, or None, to actions [N].
ActFunction = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Returns and lengths of episodes, in the order of their seeds.

    `capped` counts the episodes that were cut at the step limit.
    """

    seeds: list[int]
    returns: np.ndarray
    lengths: np.ndarray
    capped: int

    @property
    def mean(self) -> float:
        """The mean return."""
        return float(self.returns.mean())

    @property
    def mean_ci95(self) -> list[float]:
        """The 95 % bootstrap interval of the mean return."""
        return statistics.bootstrap(self.returns, np.mean)

    @property
    def iqm(self) -> float:
        """The interquartile mean of the returns."""
        return float(statistics.iqm(self.returns))

    @property
    def iqm_ci95(self) -> list[float]:
        """The 95 % bootstrap interval of the interquartile mean."""
        return statistics.bootstrap(self.returns, statistics.iqm)

    def __str__(self) -> str:
        low, high = self.mean_ci95
        return f"mean {self.mean:.1f} [{low:.1f}, {high:.1f}] of {len(self.seeds)} episodes"

    def summary(self) -> dict[str, Any]:
        """Return mean, standard deviation, IQM, both 95 % intervals and extremes, JSON-ready."""
        return {
            "episodes": len(self.seeds),
            "mean": self.mean,
            "mean_ci95": self.mean_ci95,
            "std": float(self.returns.std(ddof=1)) if len(self.returns) > 1 else 0.0,
            "iqm": self.iqm,
            "iqm_ci95": self.iqm_ci95,
            "min": float(self.returns.min()),
            "max": float(self.returns.max()),
            "mean_length": float(self.lengths.mean()),
            "min_length": int(self.lengths.min()),
            "max_length": int(self.lengths.max()),
            "capped_episodes": self.capped,
        }


def evaluate(
    policy: ActFunction,
    make: Callable[[], gym.Env],
    seeds: Sequence[int],
    max_episode_steps: int = MAX_EPISODE_STEPS,
    check: Callable[[], None] = lambda: None,
    parallel: int = MAX_PARALLEL,
) -> Evaluation:
    """Play one episode per seed and return their scores.

    `policy` maps observations [N, *shape], in `Spaces.observation_dtype`, and the masks of legal
    actions [N, A] bool (None where the environment gives none) to the environment's own actions
    [N]. It sees only running episodes, so a result does not depend on how many are played together.
    `check` is called before each step and may raise. Raises UserError when an environment raises,
    or returns what its own spaces do not allow.
    """
    if len(seeds) == 0:
        raise UserError("An evaluation needs at least one episode.")
    players = [_Player(make(), max_episode_steps) for _ in range(min(parallel, len(seeds)))]
    try:
        episodes = _play_all(policy, players, seeds, check)
    finally:
        for player in players:
            player.env.env.close()
    return Evaluation(
        list(seeds),
        np.array([episode.total for episode in episodes]),
        np.array([episode.length for episode in episodes]),
        sum(episode.capped for episode in episodes),
    )


def join_evaluations(parts: Sequence[Evaluation]) -> Evaluation:
    """Join evaluations that were played one after the other into one."""
    return Evaluation(
        [seed for part in parts for seed in part.seeds],
        np.concatenate([part.returns for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        sum(part.capped for part in parts),
    )


def compare(first: Evaluation, second: Evaluation) -> dict[str, Any]:
    """Compare two evaluations, A and B, episode by episode: see `statistics.paired_comparison`.

    Raises UserError if they did not play the same seeds.
    """
    if first.seeds != second.seeds:
        raise UserError("A paired comparison needs both models to have played the same seeds.")
    return statistics.paired_comparison(first.returns, second.returns)


@dataclasses.dataclass
class _Episode:
    """The score of one episode so far."""

    seed: int
    total: float = 0.0
    length: int = 0
    capped: bool = False


def _play_all(
    policy: ActFunction,
    players: list["_Player"],
    seeds: Sequence[int],
    check: Callable[[], None],
) -> list[_Episode]:
    """Play one episode per seed; a player that has finished one starts the next."""
    episodes = [_Episode(seed) for seed in seeds]
    waiting = iter(episodes)
    for player in players:
        player.start(next(waiting))
    running = players
    while running:
        check()
        observation = np.stack([player.observation for player in running])  # [N, *shape]
        actions = np.asarray(policy(observation, _masks(running))).tolist()
        for player, action in zip(running, actions, strict=True):
            player.begin_step(action)
        still_running = []
        for player, action in zip(running, actions, strict=True):
            player.step(action)
            if player.is_done:
                episode = next(waiting, None)
                if episode is None:
                    continue
                player.start(episode)
            still_running.append(player)
        running = still_running
    return episodes


def _masks(players: list["_Player"]) -> np.ndarray | None:
    """Return the masks of legal actions [N, A], or None where the environment gives none."""
    if players[0].env.mask is None:
        return None
    return np.array([player.env.mask for player in players])


class _Player:
    """An environment and the episode that it is playing."""

    def __init__(self, env: gym.Env, max_episode_steps: int) -> None:
        self.env = CheckedEnv(env, "The environment")
        self._max_episode_steps = max_episode_steps
        self._begin_step = getattr(env, "begin_step", None)

    def start(self, episode: _Episode) -> None:
        """Reset the environment with the episode's seed."""
        self.episode = episode
        self.is_done = False
        self.observation = self.env.reset(episode.seed)

    def begin_step(self, action: int) -> None:
        """Begin a step in the environment's own thread, if it has one: several then run at once."""
        if self._begin_step is not None:
            self._begin_step(action)

    def step(self, action: int) -> None:
        """Take one step; `is_done` then says whether the episode is over."""
        episode = self.episode
        episode.length += 1
        self.observation, reward, terminated, truncated = self.env.step(action)
        if not math.isfinite(reward):
            raise UserError(
                f"The environment returned the reward {reward}: it must be one finite number (step"
                f" {episode.length} of the episode reset with seed {episode.seed})."
            )
        episode.total += reward
        has_ended = terminated or truncated
        episode.capped = not has_ended and episode.length >= self._max_episode_steps
        self.is_done = has_ended or episode.capped
