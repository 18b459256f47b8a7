"""One run: learns on training wordings, and plays greedily with those of all three splits."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.library import evaluate
from dqn_tf.training import trainer

SPLITS = ("train", "validation", "test")
EPISODES = 2_000  # of each split, the same for all runs


def run(config: DQNConfig) -> dict[str, Any]:
    """Learn once; return scores of the last weights and costs by column of the record.

    `seconds` and `cpu_seconds` are those of the whole run, the first reading of the texts included.
    Raises UserError if learning breaks.
    """
    start, cpu_start = time.monotonic(), time.process_time()
    (trained,) = trainer.make_runs([config])
    try:
        trainer.run_blocks([trained])
        trained.engine.sync_agent()
        costs = {
            "seconds": time.monotonic() - start,
            "cpu_seconds": time.process_time() - cpu_start,
        }
        scores = {}
        for split in SPLITS:
            told = dataclasses.replace(config, env_kwargs=config.env_kwargs | {"split": split})
            scores[split] = evaluate(trained.agent, told, episodes=EPISODES).mean
    finally:
        trained.close()
    learning = trained.agent.online.trainable_variables
    weights = sum(int(np.prod(variable.shape)) for variable in learning)
    return (
        scores
        | costs
        | {
            "weights": weights,
            "updates": trained.engine.updates,
            "env_steps": trained.engine.env_step,
        }
    )
