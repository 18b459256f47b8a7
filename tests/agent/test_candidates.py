"""Q of choices told as texts: by hand in NumPy, wherever the choice stands, and against Q*."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.choices import ChoiceTexts
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from dqn_tf.training import own_parts
from environments import ToldTree, told_tree_texts, tree_q_star
from tabular_runs import COMBINATIONS, GAMMA, SWITCHES, learned

SMALL = {"choices": "texts", "layers": 1, "heads": 2, "width": 16, "hidden_units": (8,)}
TEXT, C, L, WORDS = 4, 5, 3, 20
SPACES = Spaces(
    (TEXT + C * L,),
    "int32",
    C,
    categories=WORDS,
    category_start=3,
    masked=True,
    padding=3,
    choices=C,
    choice_tokens=L,
)
HEADS = {
    "plain": {},
    "dueling": {"dueling": True},
    "c51": {"distribution": "c51", "atoms": 7, "dueling": True},
    "quantile": {"distribution": "quantile", "atoms": 5},
    "behaviour": {"imitation": 0.1, "support": 0.01},
}
_generator = np.random.default_rng(4)
STATES = _generator.integers(4, 3 + WORDS, (6, TEXT)).astype(np.int32)
CANDIDATES = _generator.integers(4, 3 + WORDS, (6, 3, L)).astype(np.int32)
CANDIDATES[:, :, 2] = 3  # one token of padding


def observed(places: list[int | None]) -> np.ndarray:
    """The states with these candidates behind them, None for a place without one."""
    empty = np.full((6, L), 3, np.int32)
    parts = [empty if place is None else CANDIDATES[:, place] for place in places]
    return np.concatenate([STATES, *parts], axis=1)


def make_agent(network: str, **settings):
    return oracles.make_agent(oracles.make_config(network=network, **SMALL | settings), SPACES)


@pytest.mark.parametrize("network", ["transformer", "gru", "mlp"])
@pytest.mark.parametrize("name", HEADS)
def test_a_value_depends_neither_on_the_place_nor_on_padding(network, name):
    if network != "gru" and name not in ("plain", "dueling"):
        pytest.skip("one torso shows it")
    agent = make_agent(network, **HEADS[name])
    outputs = agent.online.q_values_and_behaviour
    here, behaviour = outputs(observed([0, 1, 2, None, None]))
    there, behaviour_there = outputs(observed([None, 2, None, 0, 1]))
    moved = np.array([3, 4, 1])
    np.testing.assert_allclose(there.numpy()[:, moved], here.numpy()[:, :3], atol=1e-5)
    assert np.abs(np.diff(here.numpy()[:, :3], axis=1)).min() > 1e-5
    if behaviour is not None:
        expected = behaviour.numpy()[:, :3]
        np.testing.assert_allclose(behaviour_there.numpy()[:, moved], expected, atol=1e-5)
    # nobody takes a place without a choice, not even without a mask
    assert (here.numpy()[:, 3:] < here.numpy()[:, :3].min(axis=1, keepdims=True)).all()
    assert np.isin(there.numpy().argmax(axis=1), moved).all()


def test_more_room_changes_nothing():
    """The weights know nothing of how many places there are, nor of how long a text may be."""
    agent = make_agent("gru")
    roomy = Spaces(
        **SPACES.to_dict()
        | {"observation_shape": (TEXT + 7 * 4,)}
        | {"actions": 7, "choices": 7, "choice_tokens": 4}
    )
    other = oracles.make_agent(agent.settings, roomy)
    other.online.set_weights(agent.online.get_weights())
    longer = np.full((6, 7, 4), 3, np.int32)
    longer[:, :3, :L] = CANDIDATES
    wide = np.concatenate([STATES, longer.reshape(6, -1)], axis=1)
    few = agent(observed([0, 1, 2, None, None])).numpy()
    np.testing.assert_allclose(other(wide).numpy()[:, :3], few[:, :3], atol=1e-5)


@pytest.mark.parametrize("dueling", [False, True])
def test_values_by_hand(dueling):
    """Written anew with NumPy: mean of embeddings, [s, c, s ∘ c], the mean of those there."""
    agent = make_agent("gru", dueling=dueling)
    network = agent.online
    embeddings = network.torso.token_embedding.embeddings.numpy()
    features = network.torso(network.torso.encode(tf.constant(STATES))).numpy()
    state = _dense(network.head.state_layers, features)
    by_candidate = []
    for place in range(3):
        mean = embeddings[CANDIDATES[:, place, :2] - 3].mean(axis=1)
        text = _dense(network.candidates.layers_of_text, mean)
        pair = np.concatenate([state, text, state * text], axis=1)
        by_candidate.append(_dense(network.head.pair, pair))
    expected = np.concatenate(by_candidate, axis=1)  # [B, 3]
    if dueling:
        expected += _dense(network.head.value, state) - expected.mean(axis=1, keepdims=True)
    q_values = agent(observed([0, 1, 2, None, None])).numpy()
    np.testing.assert_allclose(q_values[:, :3], expected, atol=1e-5)


def _dense(layers, inputs):
    for number, layer in enumerate(layers):
        inputs = inputs @ layer.kernel.numpy() + layer.bias.numpy()
        is_output = layer.units == 1 or layer.activation is tf.keras.activations.linear
        inputs = inputs if is_output and number else np.maximum(inputs, 0.0)
    return inputs


def test_a_tree_of_texts_learns_the_values_of_value_iteration():
    """Its words come in any order, so only what they say tells which is which.

    Off-policy, through the whole engine: words are written at random.
    """
    engine = learned(
        lambda: ChoiceTexts(ToldTree()),
        True,
        network="transformer",
        batch_size=48,
        replay_capacity=3000,
        env_steps_per_update=0.75,
        **SMALL | {"epsilon_end": 1.0, "learning_rate": 3e-3},
    )
    q_values = engine.agent(told_tree_texts()).numpy()
    np.testing.assert_allclose(q_values[:, :2], tree_q_star(GAMMA), atol=2e-2, rtol=0)
    swapped = _swapped(told_tree_texts())
    np.testing.assert_allclose(engine.agent(swapped).numpy()[:, 1::-1], q_values[:, :2], atol=1e-5)


@pytest.mark.parametrize("name", ["c51", "quantile+dueling+double"])
def test_every_switch_learns_them_from_all_transitions(name):
    settings = SMALL | (SWITCHES | COMBINATIONS)[name] | {"hidden_units": (64,), "width": 32}
    settings |= {"network": "mlp", "v_min": -2.0, "v_max": 2.0, "learning_rate": 3e-3, "tau": 0.05}
    settings |= {"target_update_period_env_steps": 1, "total_steps": 3_000, "warmup_env_steps": 64}
    config = oracles.make_config(**settings, learning_rate_end=1e-4)
    spaces = CheckedEnv(ChoiceTexts(ToldTree()), "The environment").spaces
    agent = oracles.make_agent(config, dataclasses.replace(spaces, masked=True))
    rows = {
        name: np.broadcast_to(array, (200, *array.shape))
        for name, array in _all_transitions().items()
    }
    for _ in range(15):
        agent.learn(rows, 200)
    q_values = agent(told_tree_texts()).numpy()
    np.testing.assert_allclose(q_values[:, :2], tree_q_star(GAMMA), atol=2e-2, rtol=0)


def _all_transitions() -> dict[str, np.ndarray]:
    """Each node with both orders of its words, and both places: 60 rows."""
    texts = told_tree_texts()
    shown = {False: texts, True: _swapped(texts)}
    rows: dict[str, list] = {}
    for node, is_swapped, place in itertools.product(range(1, 16), (False, True), (0, 1)):
        word = place ^ is_swapped
        after = 2 * node + word
        has_ended = after >= 16
        row = {
            "observation": shown[is_swapped][node - 1],
            "action": place,
            "reward": ToldTree.rewards[node, word],
            "discount": 0.0 if has_ended else GAMMA,
            "next_observation": texts[0 if has_ended else after - 1],
            "action_mask": [True, True, False],
            "next_action_mask": [True, True, False],
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    types = {"action": np.int32, "reward": np.float32, "discount": np.float32}
    return {name: np.array(values, types.get(name)) for name, values in rows.items()}


def _swapped(texts: np.ndarray) -> np.ndarray:
    """The same with the two words in the other order."""
    swapped = texts.copy()
    swapped[:, [5, 7]] = texts[:, [7, 5]]
    return swapped


def test_the_texts_are_what_the_environment_tells():
    env = CheckedEnv(ChoiceTexts(ToldTree()), "The environment")
    seen = {env.reset(seed)[5:].tolist()[0] for seed in range(20)}
    assert seen == {2, 3} and env.spaces.choices == 3 and env.spaces.choice_tokens == 2
    np.testing.assert_array_equal(np.sort(env.reset(0)[5:]), [0, 0, 0, 0, 2, 3])
    assert env.mask is not None and env.mask.tolist() == [True, True, False]
    assert told_tree_texts()[[0, 14]].tolist() == [
        [1, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0],
        [1, 3, 5, 7, 0, 8, 0, 9, 0, 0, 0],
    ]


def test_a_torso_of_ones_own_without_steps_is_refused_before_a_run_begins():
    config = oracles.make_config(network="gru_torso:GRUTorso", replay_unit="episode")
    stacked = Spaces((8, 4), "float32", 2)
    with pytest.raises(UserError, match="GRUTorso has no method `steps`"):
        own_parts.require_usable(config, stacked)
