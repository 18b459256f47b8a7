"""One run, and one that begins with its weights; played with and without new answers."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.choices.experiments import FIVE, FOUR
from benchmarks.scores.run_one import trained_run
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import helpdesk
from dqn_tf.evaluation.library import evaluate
from dqn_tf.export.library import export_policy

EPISODES = 1_000  # of each score, on the same seeds for all runs


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Do an order, {"config"} or {"config", "after"}; return what `train` returns of each.

    Raises UserError if learning breaks.
    """
    with tempfile.TemporaryDirectory() as directory:
        export = Path(directory) / "export"
        first = DQNConfig.from_dict(order["config"])
        results = {"config": train(first, export if "after" in order else None)}
        if "after" in order:
            after = DQNConfig.from_dict(order["after"])
            after = dataclasses.replace(after, initial_weights=str(export))
            results["after"] = train(after, None)
    return results


def train(config: DQNConfig, export: Path | None) -> dict[str, Any]:
    """Train once; return scores of the last weights and costs by column of the record.

    The agent is exported to `export`, if it is given.
    """
    with trained_run(config) as (trained, costs):
        scores = _scores(trained.agent, config)
        if export is not None:
            export_policy(trained.agent, export)
        return scores | {"episodes": EPISODES, **costs.columns(trained)}


def _scores(agent: DQN, config: DQNConfig) -> dict[str, float | None]:
    """Return mean greedy returns: on the run's own environment, with four and with five pairs."""
    scores: dict[str, float | None] = {"score_four": None, "score_five": None}
    if config.env == helpdesk.ENV_ID and config.choices == "texts":
        for name, arguments in (("score_four", FOUR), ("score_five", FIVE)):
            scores[name] = _mean(agent, dataclasses.replace(config, env_kwargs=arguments))
        own = "score_five" if config.env_kwargs == FIVE else "score_four"
        return scores | {"score": scores[own]}
    return scores | {"score": _mean(agent, config)}


def _mean(agent: DQN, config: DQNConfig) -> float:
    return evaluate(agent, config, episodes=EPISODES).mean
