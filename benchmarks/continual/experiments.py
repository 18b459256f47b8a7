"""The methods, a line for each row of the table, and the three tasks.

All settings were chosen by runs with the seed 100; those that are reported are 1 to 5.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import helpdesk

SEEDS = range(1, 6)
DESKS = "examples/desks"
# Desks of two pairs of issues each. Their words are the same tokens, and an action has the same
# number, but answers something else: only the customer's words tell which desk it is.
TASKS = tuple(
    f"{DESKS}/{name}.json"
    for name in ("access_and_cards", "parcels_and_phones", "contracts_and_television")
)
VOCABULARY = f"{DESKS}/all.json"
PAIRS = 2  # of issues, at each desk
EARLIER = "the run before"  # in a record, in place of a path
DIALOGUES = tuple(f"dialogues of task {number}" for number in range(1, len(TASKS)))
SHARE = 0.25  # of forgetting without anything against it: what is aimed at


class Experiment(NamedTuple):
    """One method: what the settings of later tasks have on top.

    Attributes:
      aim: the share of forgetting without anything against it that is aimed at; None without aim.
      against: the method that has nothing against it.
      kept: the title of a second row of the same chains, in which each task is played by the
        weights from right after its training; empty for none.
    """

    name: str
    title: str
    settings: dict[str, Any]
    aim: float | None = SHARE
    seeds: range = SEEDS
    against: str = "none"
    kept: str = ""


COMMON: dict[str, Any] = {
    "network": "benchmarks.choices.word_sum:WordSum",
    "hidden_units": (64,),
    "width": 64,
    "total_steps": 10_000,
    "warmup_env_steps": 500,
    "env_steps_per_update": 4.0,
    "epsilon_start": 1.0,
    "epsilon_decay_env_steps": 5_000,
    "replay_capacity": 10_000,
    "evaluation_period_env_steps": 0,
}
RESERVOIR = {"initial_replay": EARLIER, "replay_eviction": "reservoir"}
# Wordings are those that it learns from, so nothing need keep it from knowing them by heart.
FROZEN: dict[str, Any] = {
    "network": "pretrained",
    "language_model": "smollm2",
    "language_layers": 8,
    "language_prompt": "{text}",
    "feature_noise": 0.0,
    "dropout": 0.0,
}
LOW_RANK = FROZEN | {
    "fine_tune": "lora",
    "lora_layers": 2,
    "env_steps_per_update": 16.0,
    "learning_rate": 1e-3,
}
EXPERIMENTS = [
    Experiment("none", "nothing against it", {}, None),
    Experiment(
        "rehearsal",
        "rehearsal of logged dialogues",
        {"data": DIALOGUES, "data_share": 0.5, "cql_alpha": 0.3},
    ),
    Experiment(
        "reservoir",
        "one reservoir for all tasks",
        RESERVOIR,
    ),
    Experiment("smollm2", "SmolLM2, head, nothing against it", FROZEN, None),
    Experiment(
        "smollm2_reservoir",
        "SmolLM2, head, one reservoir for all tasks",
        FROZEN | RESERVOIR,
        against="smollm2",
    ),
    Experiment(
        "lora",
        "SmolLM2, LoRA, nothing against it",
        LOW_RANK,
        None,
        kept="SmolLM2, LoRA and layers above of each task kept, told which task it is",
    ),
    Experiment(
        "lora_reservoir",
        "SmolLM2, LoRA, one reservoir for all tasks",
        LOW_RANK | RESERVOIR,
        against="lora",
    ),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
EARLIER_RUN = ("initial_weights", "initial_replay")
OF_LATER_TASKS = (*EARLIER_RUN, "data", "data_share", "cql_alpha")


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of the last task; `overrides` come last. Raises UserError."""
    values = {
        "env_kwargs": {"wordings": TASKS[-1], "vocabulary": VOCABULARY},
        "initial_weights": EARLIER,
        "seed": seed,
    }
    return presets.configure(helpdesk.ENV_ID, COMMON | values | experiment.settings | overrides)


def of_task(last: DQNConfig, number: int, earlier: str, dialogues: list[str]) -> DQNConfig:
    """Build the configuration of task `number`, from 0 on, out of that of the last one.

    `earlier` is the run directory of the task before, and `dialogues` are the logged data of all
    earlier tasks. The first task has nothing of what came before it.
    """
    values: dict[str, Any] = {"env_kwargs": last.env_kwargs | {"wordings": TASKS[number]}}
    if number == 0:
        default = DQNConfig()
        values |= {name: getattr(default, name) for name in OF_LATER_TASKS}
        return dataclasses.replace(last, **values)
    values["initial_weights"] = earlier
    if last.initial_replay:
        values["initial_replay"] = earlier
    if last.data:
        values["data"] = tuple(dialogues)
    return dataclasses.replace(last, **values)
