"""The experiments: a line for each row of the table. To add one, add a line.

What is learned is that of `benchmarks.pretrained`; the seeds that are reported are not those of its
search. Where an update takes seconds there are fewer seeds and updates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import helpdesk

WORDINGS = "examples/helpdesk_many.json"
EARLIER = "a run with head"  # in a record, in place of a path


class Experiment(NamedTuple):
    """One row: what learns, and from how many dialogues its scores are."""

    name: str
    title: str
    settings: dict[str, Any]
    seeds: range
    episodes: int = 2_000  # of each score


EXPERIMENTS = [
    Experiment("head", "head: the layers above the model", {}, range(1, 4)),
    Experiment(
        "lora",
        "lora: from there, changes of the last 4 layers too",
        {"fine_tune": "lora", "initial_weights": EARLIER, "total_steps": 5_000},
        range(1, 2),
        500,
    ),
    Experiment(
        "all",
        "all: from there, the whole model too",
        {"fine_tune": "all", "initial_weights": EARLIER, "total_steps": 800},
        range(1, 2),
        200,
    ),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of a run, or of its second part; `overrides` come last.

    It is scored at its end, and not before. Raises UserError.
    """
    values: dict[str, Any] = {
        "env_kwargs": {"language": "en", "wordings": WORDINGS},
        "seed": seed,
        "language_model": "smollm2",
        "language_layers": 24,
        "evaluation_period_env_steps": 0,
    }
    return presets.configure(helpdesk.ENV_ID, values | experiment.settings | overrides)


def order(experiment: Experiment, config: DQNConfig) -> dict[str, Any]:
    """Return what the worker is told: a configuration, and that of a run before it, or None."""
    first = None
    if config.initial_weights:
        first = configure(BY_NAME["head"], config.seed or 0, {}).to_dict()
    return {"config": config.to_dict(), "first": first, "episodes": experiment.episodes}
