"""The configured engines: one for each run that is trained at once."""

from collections.abc import Callable, Sequence

import gymnasium as gym

from dqn_tf.agent.dqn import DQN
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig, is_atari
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.graph import engine as graph
from dqn_tf.engines.graph.environments import native
from dqn_tf.engines.graph.program import GraphProgram
from dqn_tf.engines.host import HostEngine
from dqn_tf.envs.atari import AtariVector
from dqn_tf.envs.vector import SeededVectorEnv


def make_engines(
    configs: Sequence[DQNConfig], agents: Sequence[DQN], make_env: Callable[[], gym.Env]
) -> list[Engine]:
    """New runs' engines, on environments from `make_env` or, for `--engine=graph`, on their native
    twins.

    The runs differ in nothing but their seeds. Several of them share one program, which only the
    graph engine has.
    """
    first = configs[0]
    generators = [seeding.generators(config.seed) for config in configs]
    if first.engine == "host":
        kind = AtariVector if is_atari(first.env) else SeededVectorEnv
        return [
            HostEngine(config, agent, kind(make_env, config.num_envs, config.seed), own)
            for config, agent, own in zip(configs, agents, generators, strict=True)
        ]
    together = agents[0] if len(agents) == 1 else DQN(first, agents[0].spaces, num_agents=len(agents))
    if len(agents) > 1:
        together.compile()
    program = GraphProgram(first, together, native(first.env))
    return [
        graph.GraphEngine(config, agent, own, program, number)
        for number, (config, agent, own) in enumerate(zip(configs, agents, generators, strict=True))
    ]


def run_block(engines: Sequence[Engine]) -> list[Block]:
    """The next block of runs that `make_engines` made together."""
    return (
        graph.run_block(engines)
        if isinstance(engines[0], graph.GraphEngine)
        else [engine.run_block() for engine in engines]
    )
