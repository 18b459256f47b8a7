import oracles
import pytest
import tensorflow as tf

from dqn_tf import losses


def test_td_target():
    oracles.check_td_target()


def test_select():
    oracles.check_select()


def test_td_loss():
    oracles.check_td_loss()


def test_shapes_that_would_broadcast_are_refused():
    oracles.check_shapes_refused()


def test_unknown_batch_size_is_accepted():
    """As in `fit`, where the last batch may be smaller; [None, 1] is still refused."""
    function = tf.function(losses.td_target)
    row, table = tf.TensorSpec([None]), tf.TensorSpec([None, 2])
    function.get_concrete_function(row, row, table)
    with pytest.raises(ValueError):
        function.get_concrete_function(tf.TensorSpec([None, 1]), row, table)


def test_gradient_of_the_loss_is_by_q_selected_alone():
    target, q_selected = tf.constant([0.5, -3.0]), tf.constant([0.0, 0.0])
    for name, expected in (("huber", [-0.5, 1.0]), ("mse", [-1.0, 6.0])):
        with tf.GradientTape() as tape:
            tape.watch(q_selected)
            loss = losses.td_loss(losses.per_example(name, 1.0), target, q_selected)
        oracles.close(tape.gradient(loss, q_selected), expected, 1e-6)


def test_keras_loss_objects_keep_their_settings_and_lose_their_reduction():
    target, q_selected = tf.constant([0.0, 0.0]), tf.constant([1.0, 3.0])
    for loss, expected in ((tf.keras.losses.Huber(delta=0.5), [0.375, 1.375]), (tf.keras.losses.MeanAbsoluteError(), [1.0, 3.0]),
                           (tf.keras.losses.MeanSquaredError(reduction="sum"), [1.0, 9.0])):
        oracles.close(losses.td_loss(losses.per_example(loss, 1.0), target, q_selected), expected, 1e-6)


def test_unknown_loss_names_what_is_known():
    with pytest.raises(ValueError, match="'hubber': must be 'huber', 'mse'"):
        losses.per_example("hubber", 1.0)
