"""Batches of whole episodes: one sequence holds all observations of an episode.

Where an observation of tokens is the beginning of the next one, the last one of an episode begins
with all of them, and a causal network gives the features of every step in one pass. Batch dimension
E episodes of at most S steps, in sequences of T tokens:

    sequence [E, T]                 the last observation, in its own dtype
    position, next_position [E, S]  places of the last token of the observation of each step, and
                                    of the one after its window
    is_step [E, S]                  1 where the row has a step, 0 behind its episode's end

The other columns are those of transitions, [E, S, ...]; weight and is_logged are [E].
"""

from __future__ import annotations

import tensorflow as tf

from dqn_tf.agent.column import Batch, make_column, require_column
from dqn_tf.envs.spaces import Spaces

SEQUENCE = "sequence"
IS_STEP = "is_step"
# of which observation of a transition, the places in a sequence
POSITIONS = {"observation": "position", "next_observation": "next_position"}
OF_EPISODES = ("weight", "is_logged")
# share of the largest error in an episode's priority; the rest is the mean's
LARGEST = 0.9


def is_of_episodes(batch: Batch) -> bool:
    """Return whether the rows of a batch are whole episodes."""
    return SEQUENCE in batch


def flattened(batch: Batch, spaces: Spaces) -> Batch:
    """Return the columns of E · S transitions, with the sequences and positions as they are.

    What an episode has as a whole, each of its steps gets. Raises UserError if the sequences are no
    observations.
    """
    dtype = tf.as_dtype(spaces.observation_dtype)
    column = make_column("observation", spaces.observation_shape, dtype, spaces)
    require_column(SEQUENCE, batch[SEQUENCE], column)
    steps = batch[IS_STEP].shape[1]
    kept = (SEQUENCE, *POSITIONS.values())
    flat = {}
    for name, values in batch.items():
        if name in kept:
            flat[name] = values
        elif name in OF_EPISODES:
            flat[name] = tf.repeat(values, steps)
        else:
            flat[name] = tf.reshape(values, (-1, *values.shape[2:]))
    return flat


def mean_of_steps(rows: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Return the mean of rows [E · S] over those that have a step, [1]."""
    is_step = batch[IS_STEP]
    count = tf.maximum(tf.reduce_sum(is_step), 1.0)
    # what stands behind an episode's end, where no action is legal, may be infinite
    of_steps = tf.where(is_step > 0.0, rows, 0.0)
    return (tf.reduce_sum(of_steps) / count)[tf.newaxis]


def priorities(error: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Return the error of each episode of those of its steps: [E · S] → [E].

    It is 0.9 times the largest and 0.1 times the mean (Kapturowski et al. 2019, R2D2).
    """
    steps = batch[POSITIONS["observation"]].shape[1]
    is_step = tf.reshape(batch[IS_STEP], (-1, steps))
    errors = tf.reshape(error, (-1, steps)) * is_step
    count = tf.maximum(tf.reduce_sum(is_step, axis=1), 1.0)
    mean = tf.reduce_sum(errors, axis=1) / count
    return LARGEST * tf.reduce_max(errors, axis=1) + (1.0 - LARGEST) * mean
