"""Checks that stand in an export's graph, since servers do not check what is sent to it."""

import tensorflow as tf


def require_rows(
    rows: tf.Tensor,
    shape: tuple[int | None, ...],
    name: str,
    asked: tf.Tensor,
    about: str = "observation",
) -> tf.Tensor:
    """Return `rows`, checked in the graph to be as many as those of what is asked about.

    A single row would be broadcast. (A check by reshape would be optimised away.)
    """
    equal = tf.debugging.assert_equal(
        tf.shape(rows)[0], tf.shape(asked)[0], f"{name} must have as many rows as {about}"
    )
    with tf.control_dependencies([equal]):
        return tf.ensure_shape(rows, shape)


def count_missing(choices: tf.Tensor, room: int) -> tf.Tensor:
    """Return how many places choices [B, K] leave free; more than there is room for are refused."""
    count = tf.shape(choices)[1]
    fits = tf.debugging.assert_less_equal(
        count, room, f"choices has more columns than the {room} that there is room for"
    )
    with tf.control_dependencies([fits]):
        return tf.maximum(room - count, 0)


def mask_of_all_places(action_mask: tf.Tensor, choices: tf.Tensor, room: int) -> tf.Tensor:
    """Return a mask of choices [B, K] as one of all places, [B, room]."""
    equal = tf.debugging.assert_equal(
        tf.shape(action_mask), tf.shape(choices), "action_mask must be as large as choices"
    )
    with tf.control_dependencies([equal]):
        missing = tf.maximum(room - tf.shape(choices)[1], 0)
    return tf.pad(action_mask, [(0, 0), (0, missing)])
