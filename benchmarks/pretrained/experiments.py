"""The experiments: a line for each row of the table. To add one, add a line.

Settings were chosen by runs with the seeds 100 and 101 on validation wordings; the seeds that are
reported are 1 to 5, and the test wordings are used for these alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import helpdesk

SEEDS = range(1, 6)
FILES = {"en": "examples/helpdesk_many.json", "zh": "examples/helpdesk_many_zh.json"}
LEAST_TEST, LEAST_TRAIN = 0.60, 0.87
SECONDS = 600  # of a whole run, on two cores


class Experiment(NamedTuple):
    """One row: what learns Helpdesk in which language, and whether it has the issue's aims."""

    name: str
    title: str
    language: str
    settings: dict[str, Any]
    has_aims: bool = False
    seeds: range = SEEDS


CHINESE = "顾客写道：\n{text}\n换句话说，顾客写道：\n{text}\n问题出在"
SMOLLM = {"language_model": "smollm2", "language_layers": 24}
# The network of tokens reads whole dialogues, and the vocabulary is that of all wordings.
TRANSFORMER = {"network": "transformer", "width": 64, "layers": 2, "learning_rate": 1e-3}

EXPERIMENTS = [
    Experiment("smollm2", "SmolLM2, read again", "en", SMOLLM, True),
    Experiment("smollm2_once", "SmolLM2, read once", "en", SMOLLM | {"language_prompt": "{text}"}),
    Experiment(
        "smollm2_plain",
        "SmolLM2, read again, without noise and dropout",
        "en",
        SMOLLM | {"feature_noise": 0.0, "dropout": 0.0},
    ),
    Experiment("bag", "bag of words", "en", {}),
    Experiment("transformer", "Transformer of its own", "en", TRANSFORMER),
    Experiment(
        "smollm2_zh",
        "SmolLM2, read again",
        "zh",
        SMOLLM | {"language_prompt": CHINESE, "message_tokens": 64},
    ),
    Experiment("bag_zh", "bag of characters", "zh", {}),
    Experiment("transformer_zh", "Transformer of its own, of characters", "zh", TRANSFORMER),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of one run; `overrides` come last. Raises UserError.

    It is scored at its end, and not before.
    """
    values: dict[str, Any] = {
        "env_kwargs": {"language": experiment.language, "wordings": FILES[experiment.language]},
        "seed": seed,
        "evaluation_period_env_steps": 0,
    }
    return presets.configure(helpdesk.ENV_ID, values | experiment.settings | overrides)
