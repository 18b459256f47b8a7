"""Chain and grid told in tokens: the Transformer and the GRU learn the Q-values of value iteration.

Processes, switches and oracle are those of test_switches.py. A cell is told as the way there, with
padding behind: texts differ in length, some begin as others do, and that of the chain's first cell
is empty. A run with masks is among them: that of n-step targets, see ExploringStarts. A tree of
texts is learned from single steps and from whole episodes. A switch does not know its torso: each
is tried with one of the two, and only noise, which needs another strength here, with both. What
the tree shows of a switch, the chain need not. Switches that do not exclude each other are on at
once: a mistake in any of them shows in the values.
"""

import functools

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.agent.dqn import DQN
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.gridworld import MAX_EPISODE_STEPS, GridWorld
from environments import CHAIN_STATES, Chain, Told, Tree, chain_step, tree_q_star, tree_texts
from tabular_runs import GAMMA, SWITCHES, grid_step, learn_and_check, learned

CHAIN = ["", "a", "a b", "a b c", "a b c d"]
GRID = [
    " ".join(["from", *["down"] * (state // 3), *["right"] * (state % 3)]) for state in range(9)
]
SMALL = {"layers": 1, "heads": 2, "width": 16, "hidden_units": (8,)}
LEARNING_RATES = {"transformer": 3e-3, "gru": 1e-2}
# so much noise that it explores, and so little that the mean is learned
OVERRIDES = {"noisy": {"noisy_sigma": 0.5}}
DUELING = SWITCHES["dueling"] | SWITCHES["double"] | SWITCHES["prioritized"]
TOGETHER = SWITCHES | {"double+dueling+prioritized": DUELING}

on_chain = functools.partial(Told, words=CHAIN)
on_grid = functools.partial(Told, words=GRID)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("transformer", "noisy"),
        ("gru", "noisy"),
    ],
)
def test_chain(network, name):
    learn_and_check(
        name,
        Chain,
        chain_step,
        CHAIN_STATES,
        compiled=True,
        told=on_chain,
        v_min=-0.5,
        v_max=1.5,
        network=network,
        **SMALL,
        **{"learning_rate": LEARNING_RATES[network]} | OVERRIDES.get(name, {}),
    )


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("gru", "prioritized+n_step"),
        ("gru", "quantile"),
    ],
)
def test_grid(network, name):
    learn_and_check(
        name,
        lambda: TimeLimit(GridWorld(), MAX_EPISODE_STEPS),
        grid_step,
        8,
        compiled=True,
        told=on_grid,
        v_min=-7.0,
        v_max=1.0,
        network=network,
        **SMALL,
        learning_rate=LEARNING_RATES[network],
    )


@pytest.mark.parametrize(
    ("network", "unit", "name"),
    [
        ("transformer", "transition", "plain"),
        ("transformer", "episode", "double+dueling+prioritized"),
        ("transformer", "episode", "c51"),
        ("gru", "episode", "plain"),
    ],
)
def test_tree(network, unit, name):
    """The state is the text so far; a row of replay is a step, or an episode of four."""
    episodes = unit == "episode"
    engine = learned(
        Tree,
        True,
        network=network,
        replay_unit=unit,
        batch_size=16 if episodes else 48,
        replay_capacity=750 if episodes else 3000,
        env_steps_per_update=0.75,
        v_min=-2.0,
        v_max=2.0,
        **SMALL | TOGETHER[name] | {"learning_rate": LEARNING_RATES[network]},
    )
    q_values = engine.agent(tree_texts()).numpy()
    np.testing.assert_allclose(q_values, tree_q_star(GAMMA), atol=2e-2, rtol=0)


def test_the_texts_are_what_they_should_be():
    spaces = CheckedEnv(on_chain(Chain()), "The environment").spaces
    assert (spaces.observation_shape, spaces.vocabulary, spaces.padding) == ((4,), 5, 3)
    assert on_chain(Chain()).texts[:3].tolist() == [[3, 3, 3, 3], [4, 3, 3, 3], [4, 5, 3, 3]]
    assert on_grid(GridWorld()).texts[[0, 7]].tolist() == [[5, 3, 3, 3, 3], [5, 4, 4, 6, 3]]
    by_hand = Tree.rewards[1, 0] + GAMMA * tree_q_star(GAMMA)[1].max()
    assert tree_q_star(GAMMA)[0, 0] == by_hand
    np.testing.assert_array_equal(tree_q_star(GAMMA)[7:], Tree.rewards[8:])
    assert tree_texts()[[0, 5]].tolist() == [[1, 0, 0, 0, 0], [1, 3, 4, 0, 0]]
    for env in (on_chain(Chain()), on_grid(GridWorld())):
        assert len({text.tobytes() for text in env.texts}) == len(env.texts)


@pytest.mark.parametrize(("network", "tells"), [("transformer", False), ("gru", True)])
def test_how_often_a_token_is_repeated_is_seen_where_something_else_came_before(network, tells):
    """Attention is a mean: over equal tokens it is the same however many there are."""
    env = Told(Chain(), ["a", "a a", "from a", "from a a"])
    spaces = CheckedEnv(env, "The environment").spaces
    agent = DQN(oracles.make_config(network=network, **SMALL), spaces)
    once, twice, after, twice_after = agent(env.texts).numpy()
    assert (np.abs(once - twice).max() > 1e-4) == tells
    assert np.abs(after - twice_after).max() > 1e-4
