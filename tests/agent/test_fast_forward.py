import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.networks.fast_forward import CompiledQFunction, make_q_function
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.envs.spaces import Spaces


def observations(spaces: Spaces, count: int, generator: np.random.Generator) -> np.ndarray:
    """Observations over the whole range of their dtype that an environment would use."""
    shape = (count, *spaces.observation_shape)
    if spaces.categories:
        last = spaces.category_start + spaces.categories - 1
        drawn = generator.integers(spaces.category_start, last, size=shape, endpoint=True)
        return drawn.astype(spaces.observation_dtype)
    if spaces.observation_dtype == "float32":
        return generator.normal(size=shape).astype(np.float32)
    return generator.integers(2 if spaces.observation_dtype == "bool" else 256, size=shape).astype(
        spaces.observation_dtype
    )


@pytest.mark.parametrize("hidden_units", [(), (7,), (64, 32), (3, 5, 4)], ids=str)
@pytest.mark.parametrize(
    "spaces",
    [
        Spaces((4,), "float32", 2),
        Spaces((2, 3), "float32", 5),
        Spaces((6,), "uint8", 3),
        Spaces((36, 36, 1), "uint8", 3),
        Spaces((5,), "int64", 2),
        Spaces((5,), "bool", 2),
        Spaces((), "int64", 4, categories=6),
        Spaces((), "int64", 4, categories=3, category_start=-2),
        Spaces((5,), "int32", 4, categories=7, padding=0),
        Spaces((3,), "int8", 4, categories=250, category_start=-125),
    ],
    ids=str,
)
def test_the_numpy_q_function_equals_keras(spaces, hidden_units, generator):
    agent = oracles.make_agent(
        oracles.make_config(network="mlp", hidden_units=hidden_units), spaces
    )
    q_function = make_q_function(agent)
    assert isinstance(q_function, NumpyQFunction)
    for count in (1, 5):
        observation = observations(spaces, count, generator)
        q_values = q_function.q_values(observation)
        assert q_values.dtype == np.float32
        oracles.close(q_values, agent(tf.constant(observation)))
        action = q_function.greedy_action(observation)
        np.testing.assert_array_equal(action, q_values.argmax(axis=1), strict=True)


@pytest.mark.parametrize(
    "overrides",
    [{}, {"dueling": True, "distribution": "c51", "atoms": 5}, {"noisy": True}],
    ids=str,
)
@pytest.mark.parametrize(
    "spaces, network",
    [
        (Spaces((36, 40, 2), "uint8", 3), "nature_cnn"),
        (Spaces((36, 40, 2), "float32", 3), "nature_cnn"),
        (Spaces((45, 37, 4), "uint8", 3), "nips_cnn"),
        (Spaces((42, 42, 4), "uint8", 3), "small_cnn"),
        (Spaces((10, 10, 4), "bool", 3), "auto"),
        (Spaces((10, 9, 7), "int64", 3), "minatar_cnn"),
    ],
    ids=str,
)
def test_the_numpy_q_function_equals_keras_for_images(spaces, network, overrides, generator):
    agent = oracles.make_agent(oracles.make_config(network=network, **overrides), spaces)
    q_function = make_q_function(agent)
    assert isinstance(q_function, NumpyQFunction)
    for count in (1, 3):
        observation = observations(spaces, count, generator)
        # the same, laid out the other way round
        turned = np.ascontiguousarray(observation.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
        for seen in (observation, turned):
            oracles.close(q_function.q_values(seen), agent(tf.constant(observation)))
        assert (
            np.abs(
                q_function.q_values(observation, generator) - q_function.q_values(observation)
            ).max()
            > 1e-4
        ) == agent.settings.noisy


def large_agent(num_envs: int, dtype: str = "uint8"):
    agent = oracles.make_agent(
        oracles.make_config(num_envs=num_envs), Spaces((84, 84, 4), dtype, 3)
    )
    assert agent.online.is_large
    return agent


def batches_of_images(spaces: Spaces, generator: np.random.Generator) -> dict[str, np.ndarray]:
    batch = oracles.make_batch(1, 4, spaces) | {
        name: observations(spaces, 4, generator) for name in ("observation", "next_observation")
    }
    return {name: column[np.newaxis] for name, column in batch.items()}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("num_envs, kind", [(1, NumpyQFunction), (8, CompiledQFunction)])
def test_q_functions_of_a_large_network_equal_keras_and_follow_the_weights(
    num_envs, kind, dtype, generator
):
    agent = large_agent(num_envs, dtype)
    q_function = make_q_function(agent)
    assert isinstance(q_function, kind)
    for count in (1, 3):
        observation = observations(agent.spaces, count, generator)
        oracles.close(q_function.q_values(observation), agent(tf.constant(observation)))
    before, learned = (
        q_function.q_values(observation),
        agent.learn(batches_of_images(agent.spaces, generator), 1),
    )
    assert learned.weights is None, "millions of weights are not copied at every call"
    q_function.refresh(learned.weights)
    assert (q_function.q_values(observation) != before).any()
    oracles.close(q_function.q_values(observation), agent(tf.constant(observation)))


def test_the_numpy_q_function_keeps_its_weights_while_the_agent_learns_on(generator):
    """What TensorFlow gives as NumPy may be the variable's own memory."""
    agent = large_agent(1)
    q_function, observation = make_q_function(agent), observations(agent.spaces, 2, generator)
    before = q_function.q_values(observation)
    agent.learn(batches_of_images(agent.spaces, generator), 1)
    np.testing.assert_array_equal(q_function.q_values(observation), before)


def test_the_numpy_q_function_follows_the_weights_when_refreshed(generator):
    agent = oracles.make_agent()
    q_function, observation = make_q_function(agent), observations(oracles.BOX, 3, generator)
    before = q_function.q_values(observation)
    agent.update(oracles.tensors(oracles.make_batch(0)))
    np.testing.assert_array_equal(q_function.q_values(observation), before)
    q_function.refresh()
    assert (q_function.q_values(observation) != before).any()
    oracles.close(q_function.q_values(observation), agent(observation))
    learned = agent.learn(
        {name: column[np.newaxis] for name, column in oracles.make_batch(1).items()}, 1
    )
    q_function.refresh(learned.weights)
    oracles.close(q_function.q_values(observation), agent(observation))


# --- every head, and noise ------------------------------------------------------------------------

VARIANTS = [
    *oracles.HEADS,
    {"noisy": True},
    {"noisy": True, "dueling": True, "distribution": "c51", "atoms": 7},
    {"noisy": True, "distribution": "quantile", "atoms": 5, "hidden_units": (9, 8)},
    {"dueling": True, "hidden_units": ()},
    {"dueling": True, "distribution": "quantile", "atoms": 5, "hidden_units": (9, 8, 7)},
]


@pytest.mark.parametrize("overrides", VARIANTS, ids=str)
def test_the_numpy_q_function_equals_keras_for_every_head_and_without_noise(overrides, generator):
    agent = oracles.make_agent(oracles.make_config(**overrides))
    oracles.part_networks(agent)
    # sizes of the noise that no fresh network has
    agent.online.set_weights(agent.target.get_weights())
    q_function = make_q_function(agent)
    assert isinstance(q_function, NumpyQFunction)
    for count in (1, 5):
        observation = observations(oracles.BOX, count, generator)
        q_values = q_function.q_values(observation)
        assert q_values.dtype == np.float32 and q_values.shape == (count, oracles.BOX.actions)
        oracles.close(q_values, agent(tf.constant(observation)))
        noisy = q_function.q_values(observation, generator)
        assert (np.abs(noisy - q_values).max() > 1e-3) == agent.settings.noisy


def noisy_agent(hidden_units: tuple[int, ...], spaces: Spaces = oracles.BOX, **overrides):
    """A noisy agent with a size of its own for each weight's noise."""
    agent, generator = (
        oracles.make_agent(
            oracles.make_config(noisy=True, hidden_units=hidden_units, **overrides), spaces
        ),
        np.random.default_rng(2),
    )
    agent.online.set_weights(
        [generator.uniform(0.1, 1.0, array.shape) for array in agent.online.get_weights()]
    )
    return agent


def test_noise_has_the_mean_and_variance_that_the_weights_say(generator):
    """One layer:

    y_j = x·μ_j + b_j + f(ε_j) (Σ_i x_i σ_ij f(ε_i) + σ_j), with E f = 0 and E f² = E|ε| = √(2/π).
    """
    agent, count = noisy_agent(()), 200_000
    kernel, bias, kernel_sigma, bias_sigma = agent.online.get_weights()
    observation = np.array([1.5, -0.5, 2.0], np.float32)
    drawn = (
        make_q_function(agent)
        .q_values(np.tile(observation, (count, 1)), generator)
        .astype(np.float64)
    )
    squared = np.sqrt(2 / np.pi)
    variance = squared * (squared * (observation**2 @ kernel_sigma**2) + bias_sigma**2)
    assert (
        np.abs(drawn.mean(axis=0) - (observation @ kernel + bias)) < 5 * np.sqrt(variance / count)
    ).all()
    oracles.close(drawn.var(axis=0), variance, 0.04)
    assert np.abs(np.corrcoef(drawn[:-1].T, drawn[1:].T)[:4, 4:]).max() < 0.02, (
        "each row has noise of its own"
    )


def test_noise_of_the_numpy_q_function_is_that_of_the_layers(generator):
    """Through hidden layers too:

    the mean and spread of networks whose every weight is drawn as the paper's equations 9 to 11
    say.
    """
    agent, count = noisy_agent((6,), dueling=True), 100_000
    observation = np.repeat(observations(oracles.BOX, 1, generator), count, axis=0)
    drawn = make_q_function(agent).q_values(observation, generator)

    def layer(inputs: np.ndarray, variables: list) -> np.ndarray:
        kernel, bias, kernel_sigma, bias_sigma = (variable.numpy() for variable in variables)
        drawn = [generator.standard_normal((count, size)) for size in kernel.shape]
        noise_in, noise_out = (np.sign(noise) * np.sqrt(np.abs(noise)) for noise in drawn)
        weights = kernel + kernel_sigma * noise_in[:, :, None] * noise_out[:, None, :]
        return np.einsum("ni,nio->no", inputs, weights) + bias + bias_sigma * noise_out

    value, advantage = (
        layer(np.maximum(layer(observation, hidden.variables), 0.0), last.variables)
        for hidden, last in agent.online.head.streams
    )
    expected = value + advantage - advantage.mean(axis=1, keepdims=True)
    oracles.close(drawn.std(axis=0), expected.std(axis=0), 0.05)
    error = np.sqrt((drawn.var(axis=0) + expected.var(axis=0)) / count)
    assert (np.abs(drawn.mean(axis=0) - expected.mean(axis=0)) < 5 * error).all()


def test_the_compiled_q_function_draws_its_noise_from_the_generator(generator):
    spaces = Spaces((36, 36, 1), "uint8", 3)
    agent = oracles.make_agent(oracles.make_config(noisy=True, dueling=True), spaces)
    q_function, observation = CompiledQFunction(agent), observations(spaces, 2, generator)
    first, again, other = (
        q_function.q_values(observation, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    for _ in range(2):
        oracles.close(q_function.q_values(observation), agent(tf.constant(observation)))


@pytest.mark.parametrize("hidden_units", [(8,), ()], ids=str)
@pytest.mark.parametrize("settings", [{}, {"dueling": True}, {"noisy": True}], ids=str)
def test_acting_on_many_categories_takes_memory_for_a_row_and_no_table(hidden_units, settings):
    """40,000 categories squared would be 6 GB; their one-hot row is 160 KB."""
    spaces = Spaces((), "int64", 3, categories=40_000, category_start=-5)
    agent = oracles.make_agent(oracles.make_config(hidden_units=hidden_units, **settings), spaces)
    weights = agent.online.flat_weights()
    category = np.array([-5, 39_994, 7])
    tracemalloc.start()
    try:
        q_function = NumpyQFunction(agent.online.plan(), weights)
        q_values = q_function.q_values(category)
        q_function.q_values(category[:1], np.random.default_rng(0))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3e6
    np.testing.assert_allclose(q_values, agent(tf.constant(category)), rtol=1e-5, atol=1e-5)
