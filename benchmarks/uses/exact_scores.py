"""The mean return of a trained agent, from all chances of its environment: nothing is played.

An agent is how it acts: a function of observations [N, *shape] and masks of legal actions [N, A],
None where there are none, to actions [N].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.uses.blackjack import HANDS, Hand, mean_return
from benchmarks.uses.tables import table_of
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.placement import exact
from dqn_tf.envs.placement.job_placement import JobPlacement
from dqn_tf.envs.placement.jobs import Kind
from dqn_tf.evaluation.episodes import ActFunction


def of_table(act: ActFunction, env_id: str, env_kwargs: dict[str, Any]) -> float:
    """Return the mean in an environment that names its transitions, by policy evaluation."""
    table = table_of(env_id, env_kwargs)
    states = np.arange(len(table.start))
    return table.return_of(act(states, table.masks))


def of_blackjack(act: ActFunction) -> float:
    """Return the mean in Blackjack-v1."""
    env: Any = registry.maker(DQNConfig(env="Blackjack-v1"))()
    vectors = np.array([env.observation(tuple(hand)) for hand in HANDS])
    env.close()
    hits = dict(zip(HANDS, act(vectors, None).tolist(), strict=True))

    def choose(hand: Hand, stick: float, hit: float) -> float:
        return hit if hits[hand] else stick

    return mean_return(choose)


def of_placement(act: ActFunction, sizes: dict[str, Any]) -> float:
    """Return the mean in JobPlacement, of few and small machines: all states are followed."""
    env = JobPlacement(**sizes)

    def choose(kind: Kind, state: exact.State, left: int) -> int:
        env.job, env.machines, env.left = kind, list(state), left
        (action,) = act(env.observation()[np.newaxis], env.mask()[np.newaxis])
        return int(action)

    return exact.policy_return(choose, **sizes)
