"""The torso that counts tokens: its counts, its twins, and what it cannot tell."""

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks import choice
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.agent.networks.torsos.base import token_counts
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

TOKENS = Spaces((7,), "int16", 3, categories=9, category_start=2, padding=4)
UNPADDED = Spaces((4,), "int64", 2, categories=5, category_start=-2)


def make(spaces: Spaces = TOKENS, **overrides) -> DQN:
    return DQN(oracles.make_config(network="bag_of_words", **overrides), spaces)


def texts(spaces: Spaces, count: int = 6) -> np.ndarray:
    """Random tokens, padding among them where there is any."""
    low, high = spaces.category_start, spaces.category_start + spaces.categories
    drawn = np.random.default_rng(0).integers(low, high, (count, *spaces.observation_shape))
    return drawn.astype(spaces.observation_dtype)


def counted(row: np.ndarray, spaces: Spaces) -> list[int]:
    """How often each token but the padding is there, one after the other."""
    tokens = range(spaces.category_start, spaces.category_start + spaces.categories)
    return [row.tolist().count(token) * (token != spaces.padding) for token in tokens]


@pytest.mark.parametrize("spaces", [TOKENS, UNPADDED], ids=["padding", "no padding"])
def test_the_features_are_counts_without_padding(spaces):
    agent = make(spaces)
    observation = texts(spaces)
    expected = np.array([counted(row, spaces) for row in observation], np.float32)
    torso = agent.online.torso
    features = torso.encode(tf.constant(observation))
    assert features.dtype == tf.float32 and features.shape == expected.shape
    np.testing.assert_array_equal(features, expected)
    np.testing.assert_array_equal(torso.encoding.bind()(observation), expected)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["plain", "XLA"])
def test_counts_are_the_bits_of_added_one_hots_also_of_what_is_no_token(jit_compile):
    places = np.random.default_rng(1).integers(-3, 12, (5, 30)).astype(np.int32)
    places[2] = 8
    counts = tf.function(lambda x: token_counts(x, 9), jit_compile=jit_compile)(places)
    added = tf.reduce_sum(tf.one_hot(places, 9), axis=1)
    oracles.equal([counts.numpy()], [added.numpy()])


def test_by_hand_and_by_its_twin_in_numpy():
    agent = make(hidden_units=(6, 5))
    kernels = [variable.numpy().astype(np.float64) for variable in agent.online.variables]
    observation = texts(TOKENS)
    expected = np.array([counted(row, TOKENS) for row in observation], np.float64)
    for kernel, bias in ((kernels[0], kernels[1]), (kernels[2], kernels[3])):
        expected = np.maximum(expected @ kernel + bias, 0.0)
    expected = expected @ kernels[4] + kernels[5]
    oracles.close(agent(observation), expected.astype(np.float32))
    q_function = make_q_function(agent)
    assert isinstance(q_function, NumpyQFunction)
    oracles.close(q_function.q_values(observation), expected.astype(np.float32))
    assert agent(observation[:0]).shape == (0, 3)


def test_order_and_padding_change_nothing_and_numbers_of_tokens_do():
    agent = make()
    short = np.array([[5, 6, 6, 4, 4, 4, 4]], np.int16)
    turned = np.array([[6, 4, 4, 5, 4, 6, 4]], np.int16)
    longer = np.array([[5, 6, 6, 6, 4, 4, 4]], np.int16)
    oracles.equal([agent(short).numpy()], [agent(turned).numpy()])
    assert (agent(short).numpy() != agent(longer).numpy()).any()


@pytest.mark.parametrize(
    "switches",
    [
        {"double": True, "dueling": True, "noisy": True, "prioritized": True, "n_step": 3},
        {"distribution": "c51", "atoms": 5, "imitation": 0.1, "support": 0.1},
    ],
    ids=["rainbow", "logged"],
)
def test_every_switch_learns_on_top_of_it(switches):
    agent = make(**switches)
    agent.compile(run_eagerly=True)
    before = agent.online.get_weights()
    columns = oracles.make_batch(0, spaces=TOKENS)
    columns |= {name: texts(TOKENS, 5) for name in ("observation", "next_observation")}
    columns = oracles.tensors(columns) | {"weight": tf.ones(5), "is_logged": tf.ones(5)}
    assert np.isfinite(agent.update(columns)["loss"]).all()
    names = [variable.name for variable in agent.online.variables]
    for name, old, new in zip(names, before, agent.online.get_weights(), strict=True):
        assert (old != new).any(), name


def test_several_seeds_are_stacked_as_those_of_an_mlp_are():
    agent = DQN(oracles.make_config(network="bag_of_words"), TOKENS, num_agents=2)
    observation = texts(TOKENS)
    halves = agent(observation).numpy().reshape(2, 3, 3)
    again = agent(np.concatenate([observation[3:], observation[:3]])).numpy().reshape(2, 3, 3)
    assert (halves[0] != again[1]).any(), "two agents have weights of their own"


@pytest.mark.parametrize(
    "spaces, sentence",
    [
        (Spaces((3,), "float32", 2), r"here observations are \[3\] float32\. Use"),
        (Spaces((3,), "int32", 2), r"int32\. If these are tokens, name them: .* Use"),
        (Spaces((), "int64", 2, categories=4), r"observations are \[\] int64\. Use"),
    ],
    ids=["numbers", "integers", "a category"],
)
def test_what_is_no_text_is_refused(spaces, sentence):
    with pytest.raises(UserError, match=rf"--network=bag_of_words: it counts .*{sentence}"):
        make(spaces)
    assert choice.refusal("bag_of_words", spaces)


def test_what_is_known_before_tensorflow():
    config = DQNConfig(network="bag_of_words", hidden_units=(64, 64))
    assert choice.explain(config, TOKENS).endswith("7 tokens of a vocabulary of 9, counted.")
    weights = make(hidden_units=(64, 64)).online.count_params()
    assert choice.parameters(config, TOKENS) == pytest.approx(weights, rel=0.05)
    with pytest.raises(UserError, match="--network=bag_of_words gives Q-values of whole"):
        DQNConfig(network="bag_of_words", replay_unit="episode")
