import numpy as np
import oracles
import pytest
import tensorflow as tf

from dqn_tf.acting import GraphActor, NumpyActor, make_actor
from dqn_tf.envs.spaces import Spaces


def observations(spaces: Spaces, count: int, generator: np.random.Generator) -> np.ndarray:
    """Observations over the whole range of their dtype that an environment would use."""
    shape = (count, *spaces.observation_shape)
    if spaces.categories:
        return generator.integers(spaces.category_start, spaces.category_start + spaces.categories, size=shape)
    if spaces.observation_dtype == "float32":
        return generator.normal(size=shape).astype(np.float32)
    return generator.integers(2 if spaces.observation_dtype == "bool" else 256, size=shape).astype(spaces.observation_dtype)


@pytest.mark.parametrize("hidden_units", [(), (7,), (64, 32), (3, 5, 4)], ids=str)
@pytest.mark.parametrize("spaces", [
    Spaces((4,), "float32", 2), Spaces((2, 3), "float32", 5), Spaces((6,), "uint8", 3), Spaces((36, 36, 1), "uint8", 3),
    Spaces((5,), "int64", 2), Spaces((5,), "bool", 2), Spaces((), "int64", 4, categories=6), Spaces((), "int64", 4, categories=3, category_start=-2)],
    ids=str)
def test_numpy_actor_equals_keras(spaces, hidden_units, generator):
    agent = oracles.make_agent(oracles.make_config(network="mlp", hidden_units=hidden_units), spaces)
    actor = make_actor(agent)
    assert isinstance(actor, NumpyActor)
    for count in (1, 5):
        observation = observations(spaces, count, generator)
        q_values = actor.q_values(observation)
        assert q_values.dtype == np.float32
        oracles.close(q_values, agent(tf.constant(observation)))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_graph_actor_equals_keras_and_follows_the_weights(dtype, generator):
    spaces = Spaces((36, 40, 2), dtype, 3)
    agent = oracles.make_agent(oracles.make_config(), spaces)
    actor = make_actor(agent)
    assert isinstance(actor, GraphActor)
    for count in (1, 3):
        observation = observations(spaces, count, generator)
        oracles.close(actor.q_values(observation), agent(tf.constant(observation)))
    agent.online.head.bias.assign_add([0.0, 5.0, 0.0])
    actor.refresh()
    oracles.close(actor.q_values(observation), agent(tf.constant(observation)))


def test_numpy_actor_follows_the_weights_when_refreshed(generator):
    agent = oracles.make_agent()
    actor, observation = make_actor(agent), observations(oracles.BOX, 3, generator)
    before = actor.q_values(observation)
    agent.update(oracles.tensors(oracles.make_batch(0)))
    np.testing.assert_array_equal(actor.q_values(observation), before)
    actor.refresh()
    assert (actor.q_values(observation) != before).any()
    oracles.close(actor.q_values(observation), agent(observation))
