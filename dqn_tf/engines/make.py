"""The configured engine."""

from collections.abc import Callable

import gymnasium as gym

from dqn_tf import seeding
from dqn_tf.agent import DQN
from dqn_tf.config import DQNConfig
from dqn_tf.engines.engine import Engine
from dqn_tf.engines.graph import GraphEngine
from dqn_tf.engines.host import HostEngine
from dqn_tf.envs.atari import AtariVector, is_atari
from dqn_tf.envs.native import native
from dqn_tf.envs.vector import SeededVectorEnv


def make_engine(config: DQNConfig, agent: DQN, make_env: Callable[[], gym.Env]) -> Engine:
    """A new run's engine, on environments from `make_env` or, for `--engine=graph`, on their native twins."""
    generators = seeding.generators(config.seed)
    if config.engine == "graph":
        return GraphEngine(config, agent, native(config.env), generators)
    kind = AtariVector if is_atari(config.env) else SeededVectorEnv
    return HostEngine(config, agent, kind(make_env, config.num_envs, config.seed), generators)
