"""The experiments: a line for each row of the tables.

All settings were chosen by short runs with the seed 100; those that are reported are 1 to 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import helpdesk, title_rec

SEEDS = range(1, 6)
FIVE_PAIRS = "examples/helpdesk_five_pairs.json"  # the sentences of dqn_tf, and one more pair
FOUR = {"vocabulary": FIVE_PAIRS}
FIVE = {"wordings": FIVE_PAIRS, "vocabulary": FIVE_PAIRS}
BEGUN = "the weights of the first run"  # in a record, in place of a path


class Experiment(NamedTuple):
    """One run and, with `after`, a second one that begins with its weights."""

    name: str
    title: str
    env: str
    env_kwargs: dict[str, Any]
    settings: dict[str, Any]
    after: dict[str, Any] | None = None
    seeds: range = SEEDS


TEXTS = {"choices": "texts", "max_choices": 16}
WORD_SUM = {
    "network": "benchmarks.choices.word_sum:WordSum",
    "hidden_units": (64,),
    "width": 64,
    "num_envs": 16,
    "batch_size": 64,
    "gamma": 1.0,
    "double": True,
    "learning_rate": 1e-3,
    "learning_rate_end": 1e-5,
    "env_steps_per_update": 8.0,
    "target_update_period_env_steps": 400,
    "replay_capacity": 50_000,
    "epsilon_end": 0.2,
}
HELPDESK = WORD_SUM | {"total_steps": 28_000, "epsilon_decay_env_steps": 14_000}
SHORT = {
    "total_steps": 2_000,
    "warmup_env_steps": 200,
    "env_steps_per_update": 1.0,
    "epsilon_start": 0.8,
    "epsilon_end": 0.1,
    "epsilon_decay_env_steps": 1_800,
    "target_update_period_env_steps": 100,
}
# Readers leave now and then: the squared error is exact on means, and Huber's is not.
READER = WORD_SUM | {
    "network": "benchmarks.choices.phrases:Phrases",
    "width": 32,
    "num_envs": 32,
    "batch_size": 128,
    "loss": "mse",
    "total_steps": 60_000,
    "env_steps_per_update": 16.0,
    "target_update_period_env_steps": 640,
    "epsilon_decay_env_steps": 20_000,
    "epsilon_end": 0.1,
    "replay_capacity": 100_000,
}

EXPERIMENTS = [
    Experiment("texts", "choices as texts", helpdesk.ENV_ID, FOUR, HELPDESK | TEXTS, SHORT),
    Experiment("numbered", "numbered answers", helpdesk.ENV_ID, FOUR, HELPDESK),
    Experiment("from_nothing", "choices as texts", helpdesk.ENV_ID, FIVE, HELPDESK | SHORT | TEXTS),
    Experiment(
        "titles_texts",
        "titles as texts",
        title_rec.ENV_ID,
        {"order": "shuffled"},
        READER | {"choices": "texts"},
    ),
    Experiment(
        "titles_numbered", "numbered titles", title_rec.ENV_ID, {"order": "shuffled"}, READER
    ),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of one run; `overrides` come last. Raises UserError.

    No preset has a part in it: both heads have the same settings, whatever is best for one of them.
    """
    values: dict[str, Any] = {
        "env": experiment.env,
        "env_kwargs": experiment.env_kwargs,
        "seed": seed,
        "evaluation_period_env_steps": 0,
    }
    return DQNConfig(**values | experiment.settings | overrides)


def configure_after(
    experiment: Experiment, seed: int, overrides: dict[str, Any], weights: str = BEGUN
) -> DQNConfig:
    """Build the configuration of the run that goes on with more answers, from `weights`."""
    values = {"env_kwargs": FIVE, "initial_weights": weights}
    return configure(experiment, seed, (experiment.after or {}) | values | overrides)
