"""Makes the configured engines: one for each run that is trained at once."""

import dataclasses
from collections.abc import Callable, Sequence

import gymnasium as gym
import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.graph.engine import GraphEngine
from dqn_tf.engines.graph.engine import run_block as run_graph_block
from dqn_tf.engines.graph.environments import native
from dqn_tf.engines.graph.program import GraphProgram
from dqn_tf.engines.host import HostEngine
from dqn_tf.envs.registry import EnvMaker
from dqn_tf.experience.collector import Collector, make_collector
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.support.closing import closed_on_error
from dqn_tf.support.errors import UserError


def make_engines(
    configs: Sequence[DQNConfig],
    agents: Sequence[DQN],
    make_env: Callable[[], gym.Env],
    logged: Sequence[SharedEpisodes] = (),
) -> list[Engine]:
    """Make the engines of new runs, which differ in nothing but their seeds.

    Their environments come from `make_env` or, for `--engine=graph`, are the native twins. Host
    engines learn from `logged` episodes too. Several runs share one program, which only the graph
    engine has.
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
    explores = generators["exploration"]
    if config.workers:
        if isinstance(make_env, EnvMaker):
            make_env.close()  # one environment at a time: the collector looks at one of its own
        collector = make_remote_collector(config, agent.online, explores)
    else:
        collector = make_collector(config, make_env, q_function, explores)
    with closed_on_error() as opened:
        opened.callback(collector.close)
        return HostEngine(config, agent, q_function, collector, generators, logged)


def make_remote_collector(
    config: DQNConfig, network: QNetwork, generator: np.random.Generator
) -> Collector:
    """Make the collector of a run with workers. Raises UserError."""
    # its modules need Ray
    from dqn_tf.distributed.collector import RayCollector

    plan = network.plan()
    if plan is None:
        name = type(network.torso).__name__
        raise UserError(
            f"--workers={config.workers}: workers act in NumPy, without TensorFlow, and the"
            f" network of the torso {name} cannot be computed so. Leave out --workers; --lag=1"
            " works with it in this process."
        )
    return RayCollector(config, plan, network.flat_weights, generator)


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
