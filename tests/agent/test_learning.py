"""Does it learn? Environments whose optimal values are known, through the whole engine."""

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.config import seeding
from dqn_tf.evaluation.episodes import evaluate
from environments import CHAIN_STATES, Chain, chain_q_star


def test_value_iteration_is_right_where_it_can_be_seen():
    np.testing.assert_allclose(
        chain_q_star(0.5),
        [[1 / 32, 1 / 16], [1 / 32, 1 / 8], [1 / 16, 1 / 4], [1 / 8, 1 / 2], [1 / 4, 1]],
    )


@pytest.mark.parametrize(
    ("num_envs", "limit", "hidden_units", "loss"), [(1, None, (), "huber"), (4, 3, (32,), "mse")]
)
def test_chain_learns_q_star(num_envs, limit, hidden_units, loss):
    """With a time limit far too short to reach the end from most states, too:

    no value may depend on it.
    """
    config = oracles.make_config(
        num_envs=num_envs,
        gamma=0.9,
        hidden_units=hidden_units,
        loss=loss,
        batch_size=32,
        total_steps=4_000,
        warmup_env_steps=400,
        replay_capacity=5_000,
        epsilon_end=1.0,
        updates_per_block=50,
        learning_rate=1e-2,
        learning_rate_end=1e-4,
        target_update_period_env_steps=40,
    )
    engine = oracles.run(
        oracles.make_engine(config, lambda: TimeLimit(Chain(), limit) if limit else Chain())
    )
    oracles.close(engine.agent(tf.range(CHAIN_STATES, dtype=tf.int64)), chain_q_star(0.9), 1e-2)


def test_truncation_bootstraps():
    oracles.check_truncation_bootstraps()


def test_frozen_lake_reaches_its_goal():
    def make() -> gym.Env:
        return gym.make("FrozenLake-v1", is_slippery=False)

    config = oracles.make_config(
        num_envs=4,
        gamma=0.95,
        hidden_units=(32,),
        batch_size=32,
        total_steps=10_000,
        warmup_env_steps=500,
        replay_capacity=10_000,
        epsilon_end=0.1,
        epsilon_decay_env_steps=6_000,
        env_steps_per_update=4.0,
        updates_per_block=25,
        learning_rate=3e-3,
        target_update_period_env_steps=200,
    )
    engine = oracles.run(oracles.make_engine(config, make))
    seeds = seeding.episode_seeds(config.seed, seeding.TEST, 5)
    result = evaluate(
        lambda observation, mask: engine.q_function.q_values(observation).argmax(axis=1),
        make,
        seeds,
    )
    assert result.returns.tolist() == [1.0] * 5
    assert result.lengths.tolist() == [6] * 5, "the shortest way"
