"""AutoGraph reads what users write, though it is kept out of the update."""

import math

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.autograph import read_users_code
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.torsos.mlp import MLP
from own_losses import BranchingLoss


def compiled_metrics(agent: DQN, batch: dict) -> dict[str, float]:
    """Metrics of one update in its compiled program."""
    return agent.learn({name: column[np.newaxis] for name, column in batch.items()}, 1).metrics


def test_a_loss_asks_while_of_a_tensor():
    batch = oracles.make_batch(0)
    agent = oracles.make_agent(oracles.make_config(auxiliary_losses="own_losses:halvings=0.1"))
    largest = np.abs(batch["reward"]).max()
    expected = math.floor(math.log2(largest / 0.1)) + 1
    assert expected > 1
    assert compiled_metrics(agent, batch)["halvings"] == expected


def test_a_torso_asks_if_of_a_tensor():
    """In `encode`; Keras 3 itself keeps AutoGraph out of a layer's `call`."""
    agent = oracles.make_agent(oracles.make_config(network="own_losses:BranchingMLP"))
    batch = oracles.make_batch(0)
    compiled = tf.function(agent.online.forward, autograph=False)
    for observation in (np.abs(batch["observation"]), -np.abs(batch["observation"])):
        factor = 2.0 if observation.sum() > 0.0 else 1.0
        expected = MLP.call(agent.online.torso, tf.constant(factor * observation))
        actual = compiled(tf.constant(observation)).features
        np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert math.isfinite(compiled_metrics(agent, batch)["loss"])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_keras_loss_asks_if_of_a_tensor(sign):
    batch = oracles.make_batch(0)
    batch["reward"] = sign * np.abs(batch["reward"])
    batch["discount"] = np.zeros_like(batch["discount"])
    agent = oracles.make_agent()
    agent.compile(loss=BranchingLoss())
    q_values = agent(batch["observation"]).numpy()
    selected = q_values[np.arange(len(q_values)), batch["action"]]
    expected = 7.0 if sign > 0 else np.mean(np.abs(batch["reward"] - selected))
    assert compiled_metrics(agent, batch)["loss"] == pytest.approx(expected, rel=1e-5)


def test_only_what_users_write_is_read():
    def users(value):
        return value

    assert read_users_code(MLP.call, MLP) is MLP.call
    assert read_users_code(users, tf.keras.losses.Huber) is users
    assert read_users_code(users, users) is not users
