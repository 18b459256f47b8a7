"""The experiments: a line for each row of the table. To add one, add a line.

Settings are those of the preset but for what is named here. They were chosen by short runs with the
seeds 100 and 101; those that are reported are 1 to 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.text import maze, rewrite

SEEDS = range(1, 6)


class Aim(NamedTuple):
    """What the mean over the seeds is to reach: of the return, or of the share of successes."""

    measure: str  # "return" or "success"
    least: float
    seconds: int  # of CPU, for one run


class Experiment(NamedTuple):
    """One row: what is trained with which settings, and what it should reach, None if nothing."""

    name: str
    title: str
    env: str
    env_kwargs: dict[str, Any]
    settings: dict[str, Any]
    aim: Aim | None
    seeds: range = SEEDS


MINUTES_3, MINUTES_5 = 180, 300
# A command is one step here and not three, so gamma is about the cube of that of tokens, and one
# step leads from one choice to the next. Three would hold two commands by chance, which nothing
# corrects: far from the goal hardly any difference was left, and a run in five never arrived from
# some dead end. Any command may be tried, so no language model is needed.
MAZE_OF_COMMANDS = {"gamma": 0.9, "v_min": -12.0, "n_step": 1, "data": ()}
OFFLINE_MAZE = {
    "offline_updates": 12_000,
    "pretrain_updates": 0,
    "total_steps": 0,
}

EXPERIMENTS = [
    Experiment(
        "maze_token",
        "TextMaze, tokens, online",
        maze.ENV_ID,
        {},
        {},
        Aim("return", -7.0, MINUTES_5),
    ),
    Experiment(
        "maze_choice",
        "TextMaze, commands, online",
        maze.ENV_ID,
        {"level": "choice"},
        MAZE_OF_COMMANDS,
        Aim("return", -7.0, MINUTES_5),
    ),
    Experiment(
        "maze_offline",
        "TextMaze, tokens, offline from random commands",
        maze.ENV_ID,
        {},
        OFFLINE_MAZE,
        Aim("return", -7.5, MINUTES_5),
    ),
    *(
        Experiment(
            f"rewrite_{task}",
            f"Rewrite, {task}, paid by the token",
            rewrite.ENV_ID,
            {} if task == "reverse" else {"task": task},
            {},
            Aim("success", 0.99, MINUTES_3),
        )
        for task in ("reverse", "copy", "count")
    ),
    Experiment(
        "rewrite_end",
        "Rewrite, reverse, paid at the end",
        rewrite.ENV_ID,
        {"reward": "end"},
        {"gamma": 1.0, "v_max": 1.0},
        None,
    ),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of one run; `overrides` come last. Raises UserError.

    It is scored at its end, over all starts, and not before.
    """
    values: dict[str, Any] = {
        "env_kwargs": experiment.env_kwargs,
        "seed": seed,
        "evaluation_period_env_steps": 0,
    }
    return presets.configure(experiment.env, values | experiment.settings | overrides)
