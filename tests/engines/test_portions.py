import math

import pytest

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.graph import portions
from dqn_tf.engines.graph.portions import most_portions, steps_of_call
from dqn_tf.training.run import crossed

SETTINGS = [
    {},
    {"num_envs": 10, "env_steps_per_update": 10.0},
    {"num_envs": 3, "env_steps_per_update": 2.5, "updates_per_block": 7},
    {"updates_per_block": 300, "log_period_env_steps": 7_000},
    {"evaluation_period_env_steps": 700, "checkpoint_period_env_steps": 1_100},
    {"evaluation_period_env_steps": 0, "checkpoint_period_env_steps": 10**9},
    {"log_period_env_steps": 1},
    {"log_period_env_steps": 10**6, "env_steps_per_update": 1.0},
]


def calls_of(config: DQNConfig) -> list[tuple[int, int]]:
    """The environment step at which each call begins, and its steps of each environment:

    portion by portion, until something is due or a call is as long as it may be.
    """
    portion = config.block_steps * config.num_envs
    periods = (
        config.evaluation_period_env_steps,
        config.checkpoint_period_env_steps,
        config.log_period_env_steps,
    )
    calls, begin, env_step = [], 0, 0
    while env_step < config.total_steps:
        before, env_step = env_step, env_step + portion
        is_due = any(crossed(period, before, env_step) for period in periods)
        updates = (env_step - begin) // portion * config.most_updates
        is_full = updates + config.most_updates > portions.UPDATES
        if is_due or is_full or env_step >= config.total_steps:
            end = min(env_step, config.total_steps)
            calls.append((begin, math.ceil((end - begin) / config.num_envs)))
            begin = env_step
    return calls


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_calls_end_where_something_is_due(settings):
    config = DQNConfig(env="CartPole-v1", engine="graph", total_steps=30_000, **settings)
    calls = calls_of(config)
    assert [steps_of_call(config, begin) for begin, _ in calls] == [steps for _, steps in calls]
    longest = max(steps for _, steps in calls)
    assert (most_portions(config) - 1) * config.block_steps < longest
    assert longest <= most_portions(config) * config.block_steps
