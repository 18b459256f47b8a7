"""Auxiliary losses by name, and the losses that Keras layers add: gradients by hand."""

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.update_metrics import MAX, MEAN, UPDATE_METRICS, BlockMetrics
from dqn_tf.support.errors import UserError
from oracles import BOX, close, make_agent, make_batch, make_config, tensors

WEIGHT = 0.3
NAME = "own_losses:squared_q_values"


def agent_with(auxiliary_losses: str = "", **overrides) -> DQN:
    """An agent with unlimited gradients, and a target unlike its online network."""
    config = make_config(
        auxiliary_losses=auxiliary_losses, max_gradient_norm=0.0, optimizer="rmsprop", **overrides
    )
    agent = make_agent(config)
    oracles.part_networks(agent)
    return agent


def gradients(agent: DQN, batch, monkeypatch) -> tuple[list[np.ndarray], dict]:
    """What the optimizer is given by one update, and the update's metrics."""
    given = []
    monkeypatch.setattr(
        agent.optimizer, "apply_gradients", lambda pairs: given.extend(pair[0] for pair in pairs)
    )
    metrics = agent.update(tensors(batch))
    return [np.array(gradient) for gradient in given], metrics


def by_hand(agent: DQN, term) -> list[np.ndarray]:
    """The gradient of `term()` for the online network's weights."""
    with tf.GradientTape() as tape:
        value = term()
    return [np.array(part) for part in tape.gradient(value, agent.online.trainable_variables)]


def test_a_loss_that_raises_is_named():
    agent = agent_with("own_losses:misspelt=0.1")
    with pytest.raises(UserError, match="^own_losses:misspelt raised KeyError: 'actions'"):
        agent.update(tensors(make_batch(0)))


@pytest.mark.parametrize("weighted", [False, True])
def test_an_auxiliary_loss_adds_its_gradient(weighted, monkeypatch):
    batch = make_batch(0)
    if weighted:  # importance weights
        batch["weight"] = np.array([0.1, 1.0, 0.5, 0.7, 0.3], np.float32)
    row_weight = batch.get("weight", np.ones(5, np.float32))
    agent, plain = agent_with(f"{NAME}={WEIGHT}"), agent_with()
    expected = by_hand(
        agent,
        lambda: tf.reduce_mean(
            row_weight * tf.reduce_mean(tf.square(agent(batch["observation"])), axis=1)
        ),
    )
    whole, metrics = gradients(agent, batch, monkeypatch)
    alone, plain_metrics = gradients(plain, batch, monkeypatch)
    for added, part, base in zip(whole, expected, alone, strict=True):
        close(added, base + WEIGHT * part, 1e-6)
    q_values = agent(batch["observation"]).numpy()
    close(metrics["squared_q_values"], [np.mean(q_values**2)], 1e-6)  # as it is, unweighted
    extra = WEIGHT * np.mean(row_weight * np.mean(q_values**2, axis=1))
    close(metrics["loss"], plain_metrics["loss"] + extra, 1e-6)


def test_an_auxiliary_loss_sees_the_features(monkeypatch):
    agent, plain = agent_with("own_losses:squared_features=2"), agent_with()
    batch = make_batch(1)
    whole, _ = gradients(agent, batch, monkeypatch)
    alone, _ = gradients(plain, batch, monkeypatch)
    differs = [not np.allclose(part, base) for part, base in zip(whole, alone, strict=True)]
    # the torso's kernel and bias change, the head's do not
    assert differs == [True, True, False, False]


def test_losses_of_keras_layers_are_added(monkeypatch):
    batch = make_batch(2)
    agent = agent_with(network="own_losses:RegularizedMLP")
    plain = agent_with()
    plain.load_arrays(agent.arrays())
    torso = agent.online.torso
    with tf.GradientTape() as tape:
        features = torso(torso.encode(tensors(batch)["observation"]))
        value = 0.5 * tf.reduce_sum(tf.square(features))
    expected = [np.array(part) for part in tape.gradient(value, torso.trainable_variables)]
    whole, metrics = gradients(agent, batch, monkeypatch)
    alone, plain_metrics = gradients(plain, batch, monkeypatch)
    for added, base, part in zip(whole, alone, expected, strict=False):
        close(added, base + part, 1e-5)
    close(metrics["loss"], plain_metrics["loss"] + value.numpy(), 1e-5)


def test_a_kernel_regularizer_adds_its_gradient_and_an_unused_weight_has_none(monkeypatch):
    batch = make_batch(2)
    agent = agent_with(network="own_losses:DecayedTorso", double=True)
    plain = agent_with(network="own_losses:DecayedTorso", double=True)
    plain.load_arrays(agent.arrays())
    plain.online.torso.dense.kernel_regularizer = None
    plain.online.torso.dense.kernel.regularizer = None
    kernel = agent.online.torso.dense.kernel.numpy()
    whole, metrics = gradients(agent, batch, monkeypatch)
    alone, plain_metrics = gradients(plain, batch, monkeypatch)
    close(whole[0], alone[0] + 2 * 0.25 * kernel, 1e-6)
    for part, base in zip(whole[1:], alone[1:], strict=True):
        close(part, base, 1e-6)
    assert not any(np.any(part) for part in whole[2:4]), "the layer that is not used"
    close(metrics["loss"], plain_metrics["loss"] + 0.25 * np.sum(kernel**2), 1e-6)


@pytest.mark.parametrize("double", [False, True])
def test_learning_with_losses_added_is_compiled(double):
    agent = agent_with(f"{NAME}=0.1", double=double, network="own_losses:RegularizedMLP")
    batch = make_batch(3)
    learned = agent.learn({name: column[np.newaxis] for name, column in batch.items()}, 1)
    assert list(learned.metrics) == [*UPDATE_METRICS, "squared_q_values"]
    assert all(np.isfinite(list(learned.metrics.values())))


def test_fit_reports_each_loss_by_name():
    agent = agent_with(f"{NAME}=0.1,own_losses:squared_features")
    data = tf.data.Dataset.from_tensors(tensors(make_batch(4)))
    history = agent.fit(data, epochs=2, verbose=0).history
    assert set(history) == {"loss", "q_selected", "squared_q_values", "squared_features"}
    assert history["loss"][1] != history["loss"][0]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("own_losses", "must be empty, or names and weights"),
        (f"{NAME}=much", "must be empty, or names and weights"),
        (f"{NAME}=nan", "must be empty, or names and weights"),
        ("own_losses:nothing", "has nothing named 'nothing'"),
        ("no_such_module:f", "no module named 'no_such_module'"),
        ("own_losses:loss", "loss is a metric already"),
        ("own_losses:error", "error is a metric already"),
        ("own_losses:epsilon", "epsilon is a metric already"),
        (f"{NAME},{NAME}", "squared_q_values is a metric already"),
    ],
)
def test_a_wrong_name_is_a_sentence(value, sentence):
    with pytest.raises(UserError, match=sentence):
        DQN(make_config(auxiliary_losses=value), BOX)


def test_one_number_for_the_batch_is_a_sentence():
    agent = agent_with("own_losses:one_number")
    with pytest.raises(UserError, match=r"one_number returned shape \[\]; it must be"):
        agent.update(tensors(make_batch(5)))


def test_metrics_of_a_block_are_means_and_largest():
    metrics = BlockMetrics({"a": MEAN, "b": MAX}, 2)
    gathered = metrics.start()
    for a, b in [([1.0, 2.0], [5.0, 1.0]), ([3.0, 6.0], [2.0, 4.0])]:
        gathered = metrics.add(gathered, {"a": tf.constant(a), "b": tf.constant(b)})
    reduced = metrics.reduce(gathered, tf.constant(2)).numpy()
    assert metrics.by_name(reduced) == [{"a": 2.0, "b": 5.0}, {"a": 4.0, "b": 4.0}]
    joined = metrics.join([{"a": 1.0, "b": 3.0}, {"a": 5.0, "b": 2.0}], [3, 1])
    assert joined == {"a": 2.0, "b": 3.0}
