"""What a run says at its end if it has not reached what it could: what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.typed import setting_flags
from dqn_tf.experience.exploration import epsilon
from dqn_tf.run_files import metrics_file
from dqn_tf.support.command_line import other_command
from dqn_tf.support.digits import return_text

MANY = 0.1  # of the test's episodes
BEYOND = 2.0  # times the largest return that there can be: more than an estimate's error
OUTLIER = 10.0  # times the bend of Huber's loss: of a reward of this size only the sign counts
EPISODES = 20  # at a run's beginning
NEARLY_RANDOM = 0.5  # the least epsilon that is called so
# of Rainbow, those that cost next to no time: by setting, its value without and how it is typed
PARTS = {
    "n_step": (1, "--n_step=3"),
    "double": (False, "--double"),
    "dueling": (False, "--dueling"),
}


class RunOutcome(NamedTuple):
    """What became of a run.

    Attributes:
      test: that of the exported weights, an `Evaluation.summary`.
      first: the returns of the first training episodes.
      first_end: the environment step at which the last of these ended.
      q_selected: the mean Q-value in the last updates; None where there were none.
      largest_reward: in size, of the rows that the replay holds, each the sum over its steps; None
        where it holds none.
    """

    test: dict[str, Any]
    first: Sequence[float]
    q_selected: float | None = None
    largest_reward: float | None = None
    first_end: int = 0


def read_outcome(metrics: Path, test: dict[str, Any], rows: Mapping[str, np.ndarray]) -> RunOutcome:
    """Gather what became of a run from its metrics.csv, its final test and its replay's rows."""
    table = metrics_file.read(metrics)
    episodes = [row for row in table if row.get("episode_return")][:EPISODES]
    q_selected = [float(row["q_selected"]) for row in table if row.get("q_selected")]
    rewards = np.abs(rows.get("reward", ()))
    return RunOutcome(
        test,
        [float(row["episode_return"]) for row in episodes],
        q_selected[-1] if q_selected else None,
        float(rewards.max()) if len(rewards) else None,
        int(episodes[-1]["env_step"]) if episodes else 0,
    )


def what_to_try(
    config: DQNConfig, outcome: RunOutcome, threshold: float | None, time_limit: int | None
) -> list[str]:
    """Return lines for the terminal; none if there is nothing to say.

    Something is said if Q-values are beyond what the rewards can come to, or if the test is below
    the `threshold` from which the environment counts as solved (None if it names none), or no
    better than the returns of the first training episodes, where these were played nearly at
    random. More is said if many of the test's episodes lasted until the environment's `time_limit`
    in steps (None if it has none) and were no better than the others. Nothing is said of a test
    that was itself played nearly at random.
    """
    if outcome.test.get("epsilon", 0.0) >= NEARLY_RANDOM:
        return []
    diverged = _against_divergence(config, outcome)
    if diverged:
        return diverged
    mean, (_, high) = outcome.test["mean"], outcome.test["mean_ci95"]
    if threshold is not None and mean >= threshold:
        return []
    if _is_no_better_than_chance(config, outcome):
        return [
            f"That is no better than its first {EPISODES} episodes, played nearly at random: their"
            f" mean was {return_text(float(np.mean(outcome.first)))}. What to try:",
            f"  {other_command('doctor')} {' '.join(_environment(config))}",
            *_longer(config),
            *_explores_longer(config),
            *_against_outliers(config, outcome),
            *_parts(config, "n_step", "double"),  # a reward that comes late is learned of sooner
        ]
    if threshold is not None and high < threshold:
        return [
            f"The environment calls {threshold:g} solved. What to try:",
            *_against_waiting(config, outcome.test, time_limit),
            *_longer(config),
            *_against_outliers(config, outcome),
            *_parts(config, *PARTS),
        ]
    return []


def _is_no_better_than_chance(config: DQNConfig, outcome: RunOutcome) -> bool:
    """Tell whether the test is no better than first episodes that were played nearly at random."""
    if len(outcome.first) < EPISODES or config.initial_weights or config.logged_updates:
        return False
    # noisy layers have no epsilon, and at first draw nearly anything
    if not config.noisy and epsilon(config, np.full(1, outcome.first_end))[0] < NEARLY_RANDOM:
        return False
    mean: float = outcome.test["mean"]
    return mean <= _most_by_chance(outcome.first)


def _environment(config: DQNConfig) -> list[str]:
    """Return the flags that name the environment."""
    values = {"env": config.env}
    others = {"env_kwargs": config.env_kwargs, "env_wrappers": config.env_wrappers}
    return setting_flags(values | {name: value for name, value in others.items() if value})


def _against_divergence(config: DQNConfig, outcome: RunOutcome) -> list[str]:
    """Return what helps where the mean Q-value is more than any return can be.

    A row's Q-value is the sum R of its k rewards and gamma^k times a later one, so none is larger
    than max |R| / (1 - gamma). Munchausen adds to rewards, and logged ones are not looked at.
    """
    if outcome.q_selected is None or outcome.largest_reward is None:
        return []
    if config.gamma >= 1.0 or config.munchausen or config.data:
        return []
    most = outcome.largest_reward / (1.0 - config.gamma)
    if most == 0.0 or abs(outcome.q_selected) <= BEYOND * most:
        return []
    return [
        f"The Q-values are {_shown(outcome.q_selected)} in the mean, and with rewards of at most"
        f" {outcome.largest_reward:g} in size and --gamma={config.gamma:g} no return is beyond"
        f" {_shown(most)}: learning diverged, or has hardly begun. What to try:",
        f"  --learning_rate={config.learning_rate / 3:.1g}",
        *_parts(config, "double"),
        *_longer(config),
    ]


def _against_waiting(config: DQNConfig, test: dict[str, Any], time_limit: int | None) -> list[str]:
    """Return what helps an agent that lets the time run out rather than risk an end.

    To wait costs little where what comes later hardly counts; and whoever has seldom seen a good
    end in training does not look for one.
    """
    episodes, waiting = test["episodes"], test["longest_episodes"]
    if time_limit is None or test["max_length"] != time_limit or waiting < MANY * episodes:
        return []
    mean = test["longest_mean"]
    if mean > test["mean"]:
        return []
    typed = []
    if config.gamma < 1.0 - 1.0 / time_limit:
        typed.append(f"--gamma={(1.0 + config.gamma) / 2.0:g}")
    typed += _more_exploration(config)
    if not typed:
        return []
    return [
        f"  {' '.join(typed)}  ({waiting} of {episodes} test episodes ran into the time limit of"
        f" {time_limit:,} steps, with a mean return of {return_text(mean)}: it waits)"
    ]


def _against_outliers(config: DQNConfig, outcome: RunOutcome) -> list[str]:
    """Return what helps where rewards are far larger than the error at which Huber's loss bends.

    Beyond the bend every error pulls alike, so a Q-value settles between mean and median of what
    comes: a large reward that comes in few of many states that look alike is hardly learned. What
    is rare takes its time with a wider bend, too.
    """
    if config.loss != "huber" or config.distribution != "none" or outcome.largest_reward is None:
        return []
    largest, bend, steps = outcome.largest_reward, config.huber_delta, _more_steps(config)
    if largest < OUTLIER * bend or not steps:
        return []
    ratio = float(f"{largest / bend / 3:.1g}")
    typed = [f"--total_steps={steps}", f"--huber_delta={bend * ratio:g}"]
    if config.max_gradient_norm:  # gradients grow with the bend
        typed.append(f"--max_gradient_norm={config.max_gradient_norm * ratio:g}")
    return [
        f"  {' '.join(typed)}  (rewards are up to {largest:.3g} in size, and beyond an error of"
        f" {bend:g} Huber's loss counts all alike: what comes seldom is hardly learned)"
    ]


def _has_decay(config: DQNConfig) -> bool:
    """Tell whether epsilon falls as the flags of its decay say."""
    return not config.noisy and config.epsilon_schedule in ("linear", "exponential")


def _more_exploration(config: DQNConfig) -> list[str]:
    """Return a flag; none where epsilon does not depend on one."""
    half = config.total_steps // 2
    if not _has_decay(config) or config.epsilon_end == 1.0 or not config.total_steps:
        return []
    if config.epsilon_decay_env_steps < half:
        return [f"--epsilon_decay_env_steps={half}"]
    more = min(2 * config.epsilon_end, 1.0) or DQNConfig.epsilon_end
    return [f"--epsilon_end={more:g}"]


def _most_by_chance(returns: Sequence[float]) -> float:
    """Return a mean that those who play like these hardly exceed: two standard errors above."""
    return float(np.mean(returns) + 2 * np.std(returns, ddof=1) / np.sqrt(len(returns)))


def _longer(config: DQNConfig) -> list[str]:
    steps = _more_steps(config)
    return [f"  --total_steps={steps}"] if steps else []


def _more_steps(config: DQNConfig) -> int:
    """Return how many steps to train: twice as many, but no fewer than train.py takes by itself.

    Where the environment's preset has more for long runs, they are as long. It is 0 for a run on
    logged data alone: twice its steps are none.
    """
    if not config.total_steps:
        return 0
    known = [2 * config.total_steps, presets.configure(config.env).total_steps]
    preset = presets.find(config.env)
    if preset and preset.long_run:
        known.append(preset.long_run.total_steps)
    return max(known)


def _explores_longer(config: DQNConfig) -> list[str]:
    """Return how twice the exploration is typed, or that of half of the run if this is more.

    Nothing where the run ended before its exploration did.
    """
    steps = config.epsilon_decay_env_steps
    if not _has_decay(config) or not 0 < steps < config.total_steps:
        return []
    return [f"  --epsilon_decay_env_steps={max(2 * steps, config.total_steps // 2)}"]


def _parts(config: DQNConfig, *names: str) -> list[str]:
    """Return how those of these parts of Rainbow are typed that the run could have and has not."""
    typed = [
        PARTS[name][1]
        for name in names
        if getattr(config, name) == PARTS[name][0] and not (name == "double" and config.munchausen)
    ]
    return [f"  {' '.join(typed)}"] if typed else []


def _shown(value: float) -> str:
    """Return a Q-value in a few digits, and a large one without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"
