"""dqn_tf at a benchmark's setting: training without evaluations, checkpoints and files."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.speed.settings import Setting
from benchmarks.speed.stopwatch import Stopwatch
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import is_atari

if TYPE_CHECKING:
    from dqn_tf.training.run import Run, RunObserver


def host(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train on the host engine, in blocks of the default size or of the setting's if larger."""
    updates = max(DQNConfig.updates_per_block, setting.updates)
    return measure(configure(setting, seed, updates_per_block=updates), setting, watch)


def lagged(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train on the host engine, the updates of a block beside the steps of the next one."""
    updates = max(DQNConfig.updates_per_block, setting.updates)
    return measure(configure(setting, seed, updates_per_block=updates, lag=1), setting, watch)


def textbook(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train on the host engine with one update per compiled call."""
    return measure(configure(setting, seed, updates_per_block=1), setting, watch)


def graph(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train on the graph engine."""
    return measure(configure(setting, seed, engine="graph"), setting, watch)


def configure(setting: Setting, seed: int, **changes: Any) -> DQNConfig:
    """Express the setting in dqn_tf's words, with `changes`."""
    values: dict[str, Any] = {
        "env": setting.env,
        "seed": seed,
        "total_steps": setting.total_steps,
        "num_envs": setting.num_envs,
        "network": setting.network,
        "hidden_units": setting.hidden_units,
        "gamma": setting.gamma,
        "learning_rate": setting.learning_rate,
        "max_gradient_norm": setting.max_gradient_norm,
        "batch_size": setting.batch_size,
        "replay_capacity": setting.replay_capacity,
        "target_update_period_env_steps": setting.target_period,
        "warmup_env_steps": setting.warmup,
        "env_steps_per_update": setting.collect / setting.updates,
        "epsilon_start": setting.epsilon_start,
        "epsilon_end": setting.epsilon_end,
        "epsilon_decay_env_steps": setting.epsilon_decay,
        "evaluation_period_env_steps": 0,
    }
    if is_atari(setting.env):
        values["sticky_actions"] = 0.0
    return DQNConfig(**values | changes)


def measure(config: DQNConfig, setting: Setting, watch: Stopwatch) -> float:
    """Train to the last step; return the bytes that the replay takes per transition."""
    from dqn_tf.support import tensorflow_loading

    tensorflow_loading.load_tensorflow()
    # all libraries are loaded before the watch starts
    from dqn_tf.training import trainer
    from dqn_tf.training.run import Run, RunObserver

    class Watcher(RunObserver):
        """Shows the watch each block, and fills the replays before timing starts."""

        unfilled = setting.filled

        def between_blocks(self, run: Run) -> None:
            if self.unfilled and run.engine.env_step >= config.warmup_env_steps:
                for each_run in runs:
                    fill(each_run.engine.replay)
                self.unfilled = False

        def after_block(self, run: Run, block: object) -> None:
            watch.at(run.engine.env_step)

    watch.imported()
    runs = build(config, setting.num_seeds, [Watcher()])
    trainer.run_blocks(runs)
    replay = runs[0].engine.replay
    row_bytes = sum(column.nbytes for column in replay.rows().values())
    for run in runs:
        run.close()
    return row_bytes / len(replay)


def build(
    config: DQNConfig, num_seeds: int = 1, observers: "Sequence[RunObserver]" = ()
) -> "list[Run]":
    """Build the run of each seed from the config's on, each with an agent of its own."""
    from dqn_tf.training import trainer

    assert config.seed is not None
    seeds = range(config.seed, config.seed + num_seeds)
    configs = [dataclasses.replace(config, seed=seed) for seed in seeds]
    return trainer.make_runs(configs, observers)


def fill(replay: Any) -> None:
    """Fill the replay with copies of the rows that are there."""
    import numpy as np

    places = np.arange(replay.capacity) % len(replay)
    rows = {name: column[places] for name, column in replay.rows().items()}
    replay.restore(rows, {"added": replay.capacity, "capacity": replay.capacity})
