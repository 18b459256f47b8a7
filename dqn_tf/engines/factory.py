"""Makes the configured engines: one for each run that is trained at once."""

import dataclasses
from collections.abc import Callable, Sequence

import gymnasium as gym

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.graph.engine import GraphEngine
from dqn_tf.engines.graph.engine import run_block as run_graph_block
from dqn_tf.engines.graph.environments import native
from dqn_tf.engines.graph.program import GraphProgram
from dqn_tf.engines.host import HostEngine
from dqn_tf.experience.collector import make_collector
from dqn_tf.experience.logged.shares import SharedEpisodes


def make_engines(
    configs: Sequence[DQNConfig],
    agents: Sequence[DQN],
    make_env: Callable[[], gym.Env],
    logged: Sequence[SharedEpisodes] = (),
) -> list[Engine]:
    """Make the engines of new runs, which differ in nothing but their seeds.

    Their environments come from `make_env` or, for `--engine=graph`, are the native twins. Host
    engines learn from `logged` episodes too. Several
    runs share one program, which only the graph engine has.
    """
    configs = [_seeded(config, agent) for config, agent in zip(configs, agents, strict=True)]
    if configs[0].engine == "host":
        return [
            make_host_engine(config, agent, make_env, logged)
            for config, agent in zip(configs, agents, strict=True)
        ]
    return make_graph_engines(configs, agents)


def make_host_engine(
    config: DQNConfig,
    agent: DQN,
    make_env: Callable[[], gym.Env],
    logged: Sequence[SharedEpisodes] = (),
) -> HostEngine:
    """Make the host engine of one run, with the configured collector."""
    config = _seeded(config, agent)
    generators = seeding.generators(config.seed or 0)
    q_function = make_q_function(agent)
    collector = make_collector(config, make_env, q_function, generators["exploration"])
    return HostEngine(config, agent, q_function, collector, generators, logged)


def _seeded(config: DQNConfig, agent: DQN) -> DQNConfig:
    """Return the configuration with the agent's seed, where it has none of its own."""
    if config.seed is not None:
        return config
    return dataclasses.replace(config, seed=agent.settings.seed)


def make_graph_engines(configs: Sequence[DQNConfig], agents: Sequence[DQN]) -> list[Engine]:
    """Make the graph engines of runs that share one program."""
    first = configs[0]
    if len(agents) == 1:
        stacked = agents[0]
    else:
        stacked = DQN(first, agents[0].spaces, num_agents=len(agents))
        stacked.compile()
    program = GraphProgram(first, stacked, native(first.env))
    return [
        GraphEngine(config, agent, seeding.generators(config.seed or 0), program, number)
        for number, (config, agent) in enumerate(zip(configs, agents, strict=True))
    ]


def run_block(engines: Sequence[Engine]) -> list[Block]:
    """Run the next block of engines that `make_engines` made together."""
    graph_engines = [engine for engine in engines if isinstance(engine, GraphEngine)]
    if graph_engines:
        return run_graph_block(graph_engines)
    return [engine.run_block() for engine in engines]
