"""dqn_tf at a benchmark's setting: what its engines do, without evaluation, checkpoints and files."""

import dataclasses
from typing import Any

from benchmarks.speed.settings import Setting
from benchmarks.speed.stopwatch import Stopwatch
from dqn_tf.config.dqn_config import DQNConfig, is_atari


def host(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """The host engine with the blocks that it has by default, or the setting's own if those are
    larger.
    """
    return measure(
        configure(
            setting, seed, updates_per_block=max(DQNConfig.updates_per_block, setting.updates)
        ),
        setting,
        watch,
    )


def textbook(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """The host engine with one update per compiled call."""
    return measure(configure(setting, seed, updates_per_block=1), setting, watch)


def graph(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """The graph engine."""
    return measure(configure(setting, seed, engine="graph"), setting, watch)


def configure(setting: Setting, seed: int, **changes: Any) -> DQNConfig:
    """The setting in dqn_tf's words, and `changes`."""
    protocol = {"sticky_actions": 0.0} if is_atari(setting.env) else {}
    return DQNConfig(
        **protocol
        | {
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
        }
        | changes
    )


def measure(config: DQNConfig, setting: Setting, watch: Stopwatch) -> float:
    """Run to the last step; return the bytes that the replay takes per transition."""
    from dqn_tf.support import tensorflow_loading

    tensorflow_loading.load_tensorflow()
    from dqn_tf.engines import factory  # all libraries are loaded before the watch starts

    watch.imported()
    engines, unfilled = build(config, setting.num_seeds), setting.filled
    first = engines[0]
    while first.env_step < config.total_steps:
        if unfilled and first.env_step >= config.warmup_env_steps:
            for engine in engines:
                fill(engine.replay)
            unfilled = False
        factory.run_block(engines)
        watch.at(first.env_step)
    rows = first.replay.rows()
    for engine in engines:
        engine.close()
    return sum(column.nbytes for column in rows.values()) / len(first.replay)


def build(config: DQNConfig, num_seeds: int = 1) -> list[Any]:
    """The configured engine of each seed from the config's on, on environments and an agent of its
    own.
    """
    from dqn_tf.agent.dqn import DQN
    from dqn_tf.engines.factory import make_engines
    from dqn_tf.envs import registry

    configs = [
        dataclasses.replace(config, seed=config.seed + number) for number in range(num_seeds)
    ]
    agents = [DQN(each, registry.spaces(each)) for each in configs]
    for agent in agents:
        agent.compile()
    return make_engines(configs, agents, registry.maker(config))


def fill(replay: Any) -> None:
    """Fill the replay with copies of the rows that are there."""
    import numpy as np

    places = np.arange(replay.capacity) % len(replay)
    replay.restore(
        {name: column[places] for name, column in replay.rows().items()},
        {"added": replay.capacity, "capacity": replay.capacity},
    )
