"""What a network's outputs mean, by hand."""

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent import losses
from dqn_tf.agent.values import Categorical, Quantile, Scalar, make_values

HUBER = losses.per_example("huber", 1.0)
LOG = np.log


def unused(target: tf.Tensor, selected: tf.Tensor) -> tf.Tensor:
    """The compiled loss, where a distribution has its own."""
    raise AssertionError("the distribution's own loss was not used")


@pytest.mark.parametrize(
    ("values", "shape"),
    [(Scalar(), (7, 3)), (Categorical(-3.0, 5.0, 9), (7, 3, 9)), (Quantile(6, 1.0), (7, 3, 6))],
)
def test_acting_sees_what_learning_sees(values, shape, generator):
    """`reading`, which acts, equals `q_values`, which learns; also of logits so large that
    exp overflows.
    """
    for scale in (1.0, 200.0):
        outputs = generator.normal(scale=scale, size=shape).astype(np.float32)
        q_values = values.reading.bind()(outputs)
        assert q_values.dtype == np.float32
        oracles.close(q_values, values.q_values(tf.constant(outputs)), 1e-5)
        assert np.isfinite(q_values).all()


def test_scalar():
    values = Scalar()
    oracles.close(
        values.target(tf.constant([1.0, 2.0]), tf.constant([0.5, 0.0]), tf.constant([4.0, 99.0])),
        [3.0, 2.0],
        1e-6,
    )
    loss, error = values.loss(tf.constant([3.0, -2.0]), tf.constant([0.0, -1.5]), HUBER)
    oracles.close(loss, [2.5, 0.125], 1e-6)
    oracles.close(error, [3.0, 0.5], 1e-6)


def test_categorical():
    """Atoms -1, 0, 1; probabilities as logarithms."""
    values = Categorical(-1.0, 1.0, 3)
    oracles.close(values.support, [-1.0, 0.0, 1.0], 0.0)
    logits = tf.constant(
        [[[LOG(0.5), LOG(0.25), LOG(0.25)], [LOG(0.2), LOG(0.2), LOG(0.6)]]], tf.float32
    )
    oracles.close(values.q_values(logits), [[-0.25, 0.4]], 1e-6)
    # 0.5 + 0.5 · z: 0, 0.5 (shared), 1.
    target = values.target(tf.constant([0.5]), tf.constant([0.5]), logits[:, 0])
    oracles.close(target, [[0.0, 0.5 + 0.125, 0.125 + 0.25]], 1e-6)
    loss, error = values.loss(target, logits[:, 1], unused)
    expected = [-(0.625 * LOG(0.2) + 0.375 * LOG(0.6))]
    oracles.close(loss, expected, 1e-6)
    oracles.close(error, expected, 1e-6)


def test_quantile():
    """Two quantiles at the levels 1/4 and 3/4."""
    values = Quantile(2, 1.0)
    outputs = tf.constant([[[0.0, 2.0], [-4.0, 1.0]]])
    oracles.close(values.q_values(outputs), [[1.0, -1.5]], 1e-6)
    target = values.target(tf.constant([1.0]), tf.constant([0.5]), outputs[:, 0])
    oracles.close(target, [[1.0, 2.0]], 1e-6)
    loss, error = values.loss(target, outputs[:, 1], unused)
    # Errors of -4: 5 and 6, Huber 4.5 and 5.5 at 1/4; of 1: 0 and 1, Huber 0 and 0.5 at 3/4; each
    # averaged over the two samples.
    oracles.close(loss, [(4.5 + 5.5) / 2 / 4 + 0.5 / 2 * 3 / 4], 1e-6)
    oracles.close(error, [1.5 + 1.5], 1e-6)
    assert values.target(
        tf.constant([1.0]), tf.constant([0.0]), outputs[:, 0]
    ).numpy().tolist() == [[1.0, 1.0]]


def test_quantiles_have_the_configured_delta():
    target, selected = tf.constant([[3.0]]), tf.constant([[0.0]])
    for delta, expected in ((1.0, 2.5 / 2), (2.0, 4.0 / 2 / 2)):
        values = make_values(
            oracles.make_config(distribution="quantile", atoms=5, huber_delta=delta)
        )
        assert values.atoms == 5
        oracles.close(values.loss(target, selected, unused)[0], [expected], 1e-6)


def test_config_chooses_the_meaning():
    assert isinstance(make_values(oracles.make_config()), Scalar)
    values = make_values(oracles.make_config(distribution="c51", atoms=5, v_min=-1.0, v_max=3.0))
    oracles.close(values.support, [-1.0, 0.0, 1.0, 2.0, 3.0], 0.0)


@pytest.mark.parametrize("values", [Scalar(), Categorical(-1.0, 1.0, 2), Quantile(2, 1.0)])
def test_targets_have_no_gradient(values):
    inputs = [
        tf.constant([0.5]),
        tf.constant([0.9]),
        tf.constant([1.0] if values.atoms == 1 else [[0.3, 1.0]]),
    ]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        target = values.target(*inputs)
    assert tape.gradient(target, inputs) == [None, None, None]
