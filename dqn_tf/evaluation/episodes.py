"""Honest scores:

greedy episodes on a separate environment, one given seed each, with a mean and an interval.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.support.errors import UserError

PARALLEL = 32  # environments stepped together, so that one call of the policy serves all of them
# 30 minutes of an Atari game; an episode that goes on for ever is cut here and counted
MOST_STEPS = 27_000
RESAMPLES = 10_000
# episodes that must differ for a verdict: with 5, all would fall one way by luck 6 % of the time
# (sign test)
DECIDING = 6


Policy = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Returns and lengths of episodes in the order of their seeds; `capped` of them reached the
    step limit.
    """

    seeds: list[int]
    returns: np.ndarray
    lengths: np.ndarray
    capped: int

    def summary(self) -> dict[str, Any]:
        """Mean, standard deviation, IQM, both 95 % intervals, extremes and lengths, ready for JSON."""
        return {
            "episodes": len(self.seeds),
            "mean": float(self.returns.mean()),
            "mean_ci95": bootstrap(self.returns, np.mean),
            "std": float(self.returns.std(ddof=1)) if len(self.returns) > 1 else 0.0,
            "iqm": float(iqm(self.returns)),
            "iqm_ci95": bootstrap(self.returns, iqm),
            "min": float(self.returns.min()),
            "max": float(self.returns.max()),
            "mean_length": float(self.lengths.mean()),
            "min_length": int(self.lengths.min()),
            "max_length": int(self.lengths.max()),
            "capped_episodes": self.capped,
        }


def evaluate(
    policy: Policy,
    make: Callable[[], gym.Env],
    seeds: Sequence[int],
    most_steps: int = MOST_STEPS,
    check: Callable[[], None] = lambda: None,
    parallel: int = PARALLEL,
) -> Evaluation:
    """Plays one episode per seed and returns what they brought.

    `policy` maps observations [N, *shape], in `Spaces.observation_dtype`, and the masks of legal
    actions [N, A] bool (None where the environment gives none) to the environment's own actions
    [N]. It sees only running episodes, so a result does not depend on how many are played together.
    `check` is called before each step and may raise. Raises UserError when an environment raises,
    or returns what its own spaces do not allow.
    """
    if len(seeds) == 0:
        raise UserError("An evaluation needs at least one episode.")
    waiting, finished = list(enumerate(seeds))[::-1], {}
    players = [_Player(make(), most_steps) for _ in range(min(parallel, len(seeds)))]
    try:
        for player in players:
            player.start(*waiting.pop())
        running = players
        while running:
            check()
            masks = (
                None
                if running[0].env.mask is None
                else np.stack([player.env.mask for player in running])
            )
            actions = np.asarray(
                policy(np.stack([player.observation for player in running]), masks)
            ).tolist()
            for player, action in zip(running, actions, strict=True):
                player.begin_step(action)
            going_on = []
            for player, action in zip(running, actions, strict=True):
                player.step(action)
                if player.ended or player.capped:
                    finished[player.episode] = (player.total, player.steps, player.capped)
                    if not waiting:
                        continue
                    player.start(*waiting.pop())
                going_on.append(player)
            running = going_on
    finally:
        for player in players:
            player.env.env.close()
    returns, lengths, capped = zip(
        *(finished[episode] for episode in range(len(seeds))), strict=True
    )
    return Evaluation(list(seeds), np.array(returns), np.array(lengths), sum(capped))


class _Player:
    """One environment and the episode that it plays."""

    def __init__(self, env: gym.Env, most_steps: int) -> None:
        self.env, self._most_steps, self._begin_step = (
            CheckedEnv(env, "The environment"),
            most_steps,
            getattr(env, "begin_step", None),
        )

    def start(self, episode: int, seed: int) -> None:
        """Resets the environment with this episode's seed."""
        self.episode, self.seed, self.steps, self.total, self.ended, self.capped = (
            episode,
            seed,
            0,
            0.0,
            False,
            False,
        )
        self.observation = self.env.reset(seed)

    def begin_step(self, action: int) -> None:
        """Begins a step where the environment can do it in a thread of its own, so that several are
        stepped at once.
        """
        if self._begin_step is not None:
            self._begin_step(action)

    def step(self, action: int) -> None:
        """Takes one step; `ended` and `capped` then say whether the episode is over."""
        self.steps += 1
        self.observation, reward, terminated, truncated = self.env.step(action)
        if not math.isfinite(reward):
            raise UserError(
                f"The environment returned the reward {reward}: it must be one finite number (step"
                f" {self.steps} of the episode reset with seed {self.seed})."
            )
        self.total += reward
        self.ended = terminated or truncated
        self.capped = not self.ended and self.steps >= self._most_steps


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """One evaluation of several that were played after each other."""
    return Evaluation(
        [seed for part in parts for seed in part.seeds],
        np.concatenate([part.returns for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        sum(part.capped for part in parts),
    )


def iqm(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Interquartile mean:

    the mean without the lowest and the highest ⌊n/4⌋ values (Agarwal et al. 2021, as rliable has
    it).
    """
    from scipy import stats  # takes over a second to import: not before a score is needed

    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap(values: np.ndarray, statistic: Callable[..., np.ndarray]) -> list[float]:
    """95 % percentile bootstrap interval of a statistic of independent values [n]; [v, v] for a
    single one.

    `statistic(resamples [R, n], axis=1)` gives [R]. The resamples are always the same for the same
    n.
    """
    from scipy import stats

    if len(values) == 1:
        return [float(values[0])] * 2
    interval = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, 2**20 // len(values)),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return [float(interval.low), float(interval.high)]


def compare(first: Evaluation, second: Evaluation) -> dict[str, Any]:
    """Second minus first, episode by episode on the same seeds: mean difference, its interval, and
    a verdict in words.

    Wins and losses are the second's. A verdict needs an interval without 0 and at least DECIDING
    episodes that differ: below that the bootstrap is too sure of itself. Raises UserError if the
    seeds differ.
    """
    if first.seeds != second.seeds:
        raise UserError("A paired comparison needs both models to have played the same seeds.")
    difference = second.returns - first.returns
    low, high = bootstrap(difference, np.mean)
    mean, count, differing = float(difference.mean()), len(difference), int((difference != 0).sum())
    if (low > 0 or high < 0) and differing >= DECIDING:
        name, sign = ("B", 1) if low > 0 else ("A", -1)
        bounds = sorted((sign * low, sign * high))
        verdict = f"{name} is better by {sign * mean:.1f} [{bounds[0]:.1f}, {bounds[1]:.1f}]"
    else:
        verdict = f"no difference shown by {count} episode{'s' * (count > 1)}"
    return {
        "mean_difference": mean,
        "ci95": [low, high],
        "wins": int((difference > 0).sum()),
        "ties": count - differing,
        "losses": int((difference < 0).sum()),
        "verdict": verdict,
    }
