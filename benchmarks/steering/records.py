"""The record of the experiment: one CSV, one row for each way of each finished run."""

from typing import Any, NamedTuple

from benchmarks.common import run_records
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One way to act in one run. `config_hash` is the same for all seeds."""

    experiment: str  # the way
    seed: int
    config_hash: str
    new_reward: float  # complaints that were not learned from
    new_held_out: float
    new_kl: float  # nats a reply
    new_perplexity: float  # of the replies' tokens under the model
    seen_reward: float
    seen_held_out: float
    seen_kl: float
    seen_perplexity: float
    tokens: float  # written for a reply that is served, those of rejected ones among them
    replies: int  # of both groups' scores
    learning_replies: int
    learning_tokens: int  # that the model read
    learning_cpu_seconds: float
    updates: int
    env_steps: int  # tokens written for learning
    seconds: float  # of the whole run, all ways
    cpu_seconds: float
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    machine: str
    date: str
    example: str  # a reply to the first new complaint
    settings: str


def row(way: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one way, from its part of what `run_one.run` returned."""
    columns = run_records.columns(config, result)
    own: dict[str, Any] = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in result.items()
        if name not in columns
    }
    return Row(experiment=way, **own, **columns)
