"""Does every improvement, alone and with others, learn what it should, through the whole engine?

The right answer is the fixed point of the switch's own Bellman operator, by value iteration in
float64:

* Double, dueling, prioritised, noisy and distributional DQN and every schedule of epsilon share
  that of plain DQN, Q*; of a distribution, the mean. Both environments are deterministic, so the
  data need only visit everything.
* Munchausen DQN has a soft one of its own.
* n-step targets are not corrected for exploration: the actions within a window are the behaviour's.
  What is learned is E_behaviour[Σ γ^k r + γ^n max Q]. This is Q* only if the behaviour is greedy
  after the window's first action. So these learn from exploring starts, without epsilon, and
  `test_n_step_learns_what_uniform_behaviour_brings` shows the bias that epsilon 1 would bring.
"""

import numpy as np
import pytest
import tensorflow as tf
from gymnasium.wrappers import TimeLimit

from dqn_tf.envs.gridworld import MAX_EPISODE_STEPS, GridWorld
from environments import CHAIN_STATES, Chain, chain_q_star, chain_step
from tabular_runs import (
    ALPHA,
    CLIP,
    COMBINATIONS,
    GAMMA,
    SWITCHES,
    TEMPERATURE,
    all_windows,
    fixed_point,
    grid_step,
    learn_and_check,
    learned,
)


def test_the_oracle_is_right_where_it_can_be_seen():
    """One step of it is Q*; three steps of the chain under uniform behaviour, by hand; a soft value
    of two equal ones.
    """
    np.testing.assert_allclose(
        fixed_point(all_windows(chain_step, 5, 2, 1), (5, 2)), chain_q_star(GAMMA), atol=1e-9
    )
    grid = fixed_point(all_windows(grid_step, 8, 4, 1), (9, 4))
    np.testing.assert_allclose(grid[[4, 5, 7, 1]].max(axis=1), [-1, 0, 0, -1.9], atol=1e-9)
    uniform = fixed_point(all_windows(chain_step, 5, 2, 3), (5, 2))
    assert uniform[4, 1] == 1.0 and (uniform[:4, 1] < chain_q_star(GAMMA)[:4, 1] - 0.02).all(), (
        "the bias is there, and larger than the tolerance"
    )
    # From 3 to the right, then: right is paid 1 at the second step; left, right or left, left goes
    # on from 4 or 2.
    np.testing.assert_allclose(
        uniform[3, 1], 0.5 * 0.9 + 0.25 * 0.9**3 * (uniform[4].max() + uniform[2].max()), atol=1e-9
    )
    soft = fixed_point(all_windows(chain_step, 5, 2, 1), (5, 2), munchausen=True)
    gap = soft[4, 0] - soft[4, 1]
    np.testing.assert_allclose(
        soft[4, 1],
        1.0 + ALPHA * np.clip(-TEMPERATURE * np.log1p(np.exp(gap / TEMPERATURE)), CLIP, 0.0),
        atol=1e-9,
    )
    assert np.abs(soft - chain_q_star(GAMMA)).max() > 0.05


# a switch alone where episodes are cut too, and several together on the chain, which is cheap
@pytest.mark.parametrize("name", ["plain", *COMBINATIONS])
def test_chain(name):
    learn_and_check(
        name, Chain, chain_step, CHAIN_STATES, compiled=name == "rainbow", v_min=-0.5, v_max=1.5
    )


@pytest.mark.parametrize("name", [*SWITCHES, "double+dueling"])
def test_grid(name):
    learn_and_check(
        name, lambda: TimeLimit(GridWorld(), MAX_EPISODE_STEPS), grid_step, 8, v_min=-7.0, v_max=1.0
    )


def test_n_step_learns_what_uniform_behaviour_brings():
    """A mean over windows that differ:

    it takes a loss whose optimum is the mean, which Huber's is not, and large batches to see it.
    """
    engine = learned(
        Chain,
        False,
        n_step=3,
        loss="mse",
        batch_size=256,
        learning_rate_end=1e-5,
        total_steps=30_000,
        warmup_env_steps=29_000,
        replay_capacity=30_000,
    )
    q_values = engine.agent(tf.range(CHAIN_STATES, dtype=tf.int64)).numpy()
    np.testing.assert_allclose(
        q_values,
        fixed_point(all_windows(chain_step, CHAIN_STATES, 2, 3), (CHAIN_STATES, 2)),
        atol=2e-2,
        rtol=0,
    )
    assert np.abs(q_values - chain_q_star(GAMMA)).max() > 0.05, (
        "the bias of uncorrected n-step targets"
    )
