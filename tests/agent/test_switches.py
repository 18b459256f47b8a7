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

import itertools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.config.presets import RAINBOW
from dqn_tf.envs.gridworld import MAX_EPISODE_STEPS, GridWorld
from environments import CHAIN_STATES, Chain, ExploringStarts, chain_q_star, chain_step

GAMMA = 0.9
# of Munchausen; on both environments some log-policies are clipped and some are not
TEMPERATURE, ALPHA, CLIP = 0.1, 0.5, -0.2
Rows = dict[str, np.ndarray]


# --- what is right --------------------------------------------------------------------------------


def grid_step(state: int, action: int) -> tuple[int, float, bool]:
    """Up, down, left, right on 3x3: -1 a step, 0 into the goal (2, 2), which ends the episode."""
    row, column = state // 3, state % 3
    row = min(2, max(0, row + (-1, 1, 0, 0)[action]))
    column = min(2, max(0, column + (0, 0, -1, 1)[action]))
    return 3 * row + column, (0.0 if (row, column) == (2, 2) else -1.0), (row, column) == (2, 2)


def all_windows(step: Callable, states: int, actions: int, n_step: int) -> Rows:
    """The n-step window of every state and every sequence of actions, each once."""
    rows = []
    for start, sequence in itertools.product(
        range(states), itertools.product(range(actions), repeat=n_step)
    ):
        state, reward, discount = start, 0.0, 1.0
        for action in sequence:
            state, paid, terminated = step(state, action)
            reward, discount = reward + discount * paid, 0.0 if terminated else discount * GAMMA
            if terminated:
                break
        rows.append((start, sequence[0], reward, discount, state))
    return dict(
        zip(
            ("observation", "action", "reward", "discount", "next_observation"),
            map(np.array, zip(*rows, strict=True)),
            strict=True,
        )
    )


def fixed_point(rows: Rows, shape: tuple[int, int], munchausen: bool = False) -> np.ndarray:
    """Q-values [S, A] that are the mean of their rows' targets; -inf where there is no row.

    Where but one action was legal the policy had no choice, and Munchausen's bonus, its
    log-probability, is 0.
    """
    place = rows["observation"] * shape[1] + rows["action"]
    count = np.bincount(place, minlength=shape[0] * shape[1])
    q = np.where(count, 0.0, -np.inf).reshape(shape)
    free = rows["action_mask"].all(axis=1) if "action_mask" in rows else 1.0
    for _ in range(300):
        value, bonus = q.max(axis=1), 0.0
        if munchausen:
            value = TEMPERATURE * np.logaddexp.reduce(q / TEMPERATURE, axis=1)
            bonus = (
                free
                * ALPHA
                * np.clip(q - np.maximum(value, -1e9)[:, np.newaxis], CLIP, 0.0).reshape(-1)[place]
            )
        value = np.where(np.isfinite(value), value, 0.0)  # of the goal, where nothing begins
        target = rows["reward"] + rows["discount"] * value[rows["next_observation"]] + bonus
        q = np.where(
            count, np.bincount(place, target, len(count)) / np.maximum(count, 1), -np.inf
        ).reshape(shape)
    return q


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


# --- what is learned ------------------------------------------------------------------------------

C51 = {"distribution": "c51", "atoms": 41}
QUANTILE = {"distribution": "quantile", "atoms": 8}
MUNCHAUSEN = {
    "munchausen": True,
    "munchausen_temperature": TEMPERATURE,
    "munchausen_alpha": ALPHA,
    "munchausen_clip": CLIP,
}
PRIORITIZED = {"prioritized": True, "priority_beta_start": 1.0}
NOISY = {"noisy": True, "noisy_sigma": 3.0}  # without hidden layers, this much is needed to explore
N_STEP = {"n_step": 3}
# From exploring starts; the replay forgets the windows from before the policy was the best one.
GREEDY = {
    "epsilon_start": 0.0,
    "epsilon_end": 0.0,
    "noisy_sigma": 0.1,
    "total_steps": 5000,
    "warmup_env_steps": 500,
    "replay_capacity": 1500,
    "env_steps_per_update": 1.0,
    "updates_per_block": 10,
}

SWITCHES = {
    "double": {"double": True},
    "dueling": {"dueling": True, "hidden_units": (24,), "learning_rate": 1e-2},
    "prioritized": {"prioritized": True},
    "n_step": N_STEP,
    "noisy": NOISY,
    "c51": C51,
    "quantile": QUANTILE,
    "munchausen": MUNCHAUSEN,
    "exponential": {
        "epsilon_schedule": "exponential",
        "epsilon_end": 0.3,
        "epsilon_decay_env_steps": 3000,
    },
    "piecewise": {"epsilon_schedule": "0:1,1500:0.8,3000:0.3"},
}
COMBINATIONS = {
    "rainbow": RAINBOW | PRIORITIZED | NOISY | N_STEP | {"atoms": 41},
    "double+dueling": {"double": True, "dueling": True},
    "prioritized+n_step": PRIORITIZED | N_STEP,
    "c51+n_step+prioritized": C51 | N_STEP | PRIORITIZED,
    "quantile+dueling+double": QUANTILE | {"dueling": True, "double": True},
    "noisy+dueling": NOISY | {"dueling": True},
    "munchausen+n_step": MUNCHAUSEN | N_STEP,
    "munchausen+prioritized": MUNCHAUSEN | PRIORITIZED,
    "quantile+n_step": QUANTILE | N_STEP,
    "double+n_step, 3 environments, textbook loop": (
        {"double": True, "num_envs": 3, "updates_per_block": 1} | N_STEP
    ),
    "double+n_step, 3 environments, blocks of 8": (
        {"double": True, "num_envs": 3, "updates_per_block": 8} | N_STEP
    ),
    "quantile+prioritized+noisy": QUANTILE | PRIORITIZED | NOISY,
}


def learned(make: Callable[[], gym.Env], compiled: bool, **overrides: Any):
    """The engine after its run.

    Most of the data is there before the first update, and the last steps of the optimizer are
    small.
    """
    config = oracles.make_config(
        **{
            "gamma": GAMMA,
            "hidden_units": (),
            "batch_size": 32,
            "total_steps": 3000,
            "warmup_env_steps": 2000,
            "env_steps_per_update": 0.6,
            "replay_capacity": 3000,
            "epsilon_end": 1.0,
            "updates_per_block": 50,
            "learning_rate": 5e-2,
            "learning_rate_end": 3e-4,
            "target_update_period_env_steps": 15,
        }
        | overrides
    )
    engine = oracles.make_engine(config, make)
    # tracing alone takes a fraction of XLA's time; on the chain, rainbow goes through XLA
    if not compiled:
        program = engine.agent.program
        program.function = tf.function(program.block)
    return oracles.run(engine)


def check(engine, step: Callable, states: int) -> None:
    """The learned Q-values are within 2e-2 of the oracle's wherever the data went, and it went
    nearly everywhere.
    """
    config, actions = engine.config, engine.agent.spaces.actions
    rows, shape = engine.replay.rows(), (engine.agent.spaces.categories, actions)
    count = np.zeros(shape, int)
    np.add.at(count, (rows["observation"], rows["action"]), 1)
    visited = count >= 5
    assert visited.sum() >= (0.8 if config.noisy else 1.0) * states * actions, count
    # A window's length changes what Munchausen's target adds up, but not Q*.
    oracle = fixed_point(
        rows if config.munchausen and config.n_step > 1 else all_windows(step, states, actions, 1),
        shape,
        config.munchausen,
    )
    q_values = engine.agent(tf.range(shape[0], dtype=tf.int64)).numpy()
    np.testing.assert_allclose(q_values[visited], oracle[visited], atol=2e-2, rtol=0)


def learn_and_check(
    name: str,
    make: Callable[[], gym.Env],
    step: Callable,
    states: int,
    compiled: bool = False,
    **v_range: float,
) -> None:
    """On `make`'s environment, or with n-step targets on the same MDP from exploring starts."""
    overrides = (SWITCHES | COMBINATIONS)[name] | v_range
    if "n_step" in overrides:
        env = make()
        make, overrides = (
            lambda: ExploringStarts(step, states, env.action_space.n, env.observation_space.n),
            overrides | GREEDY,
        )
    check(learned(make, compiled, **overrides), step, states)


@pytest.mark.parametrize("name", [*SWITCHES, *COMBINATIONS])
def test_chain(name):
    learn_and_check(
        name, Chain, chain_step, CHAIN_STATES, compiled=name == "rainbow", v_min=-0.5, v_max=1.5
    )


@pytest.mark.parametrize("name", [*SWITCHES, *COMBINATIONS])
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
