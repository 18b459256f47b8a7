"""Every improvement on a small process, through the whole engine, and the Q-values to be learned.

A state is seen as its number or, by `texts`, as a row of tokens. Actions are chosen by what is
learned, so a mistake anywhere in the loop shows in the values.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import tensorflow as tf

import oracles
from dqn_tf.config.presets import RAINBOW
from dqn_tf.engines.host import HostEngine
from environments import ExploringStarts

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
    "plain": {},
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
        oracles.leave_out_xla(engine.agent)
    return oracles.run(engine)


def check(engine: HostEngine, step: Callable, states: int, texts: np.ndarray | None = None) -> None:
    """The learned Q-values are within 2e-2 of the oracle's wherever the data went, and it went
    nearly everywhere. `texts` [S, T] are what is seen of the states.
    """
    config, actions = engine.config, engine.agent.spaces.actions
    seen = np.arange(engine.agent.spaces.categories) if texts is None else texts
    rows, shape = in_numbers(engine.replay.rows(), texts), (len(seen), actions)
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
    q_values = engine.agent(tf.constant(seen)).numpy()
    np.testing.assert_allclose(q_values[visited], oracle[visited], atol=2e-2, rtol=0)


def in_numbers(rows: Rows, texts: np.ndarray | None) -> Rows:
    """The rows with states in place of their texts."""
    if texts is None:
        return rows
    names = ("observation", "next_observation")
    is_state = {name: (rows[name][:, np.newaxis] == texts).all(axis=2) for name in names}
    assert all(found.any(axis=1).all() for found in is_state.values())
    return rows | {name: found.argmax(axis=1) for name, found in is_state.items()}


def learn_and_check(
    name: str,
    make: Callable[[], gym.Env],
    step: Callable,
    states: int,
    compiled: bool = False,
    told: Callable[[gym.Env], gym.Env] | None = None,
    **overrides: Any,
) -> None:
    """On `make`'s environment, or with n-step targets on the same MDP from exploring starts.

    `told` wraps the environment so that states are seen as texts.
    """
    overrides = (SWITCHES | COMBINATIONS)[name] | overrides
    made: Callable[[], gym.Env] = make
    if "n_step" in overrides:
        env = make()
        observed = env.observation_space.n
        made = functools.partial(ExploringStarts, step, states, env.action_space.n, observed)
        overrides = GREEDY | overrides
    if told is None:
        check(learned(made, compiled, **overrides), step, states)
        return
    engine = learned(lambda: told(made()), compiled, **overrides)
    check(engine, step, states, told(made()).texts)
