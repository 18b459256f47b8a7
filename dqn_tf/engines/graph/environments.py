"""Environments as pure TensorFlow functions, batched over N environments, that XLA compiles.

They compute what Gymnasium's environments of the same id compute, equal up to the rounding of
float32 (`tests/engines/test_graph_environments.py`). There is no generator here, no time limit and
no reset: the engine draws the numbers of `initial`, counts the steps, and chooses between the next
state and a new one.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dqn_tf.envs import gridworld, registry

# next state [N, S], reward [N], terminated [N]
Stepped = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


class NativeEnv(NamedTuple):
    """One environment; N is the number that are stepped at once.

    The functions are pure and have no control flow.

    Attributes:
      state_size: S, the numbers that one environment's state consists of.
      random_size: K, the random numbers that a first state takes; may be 0.
      max_episode_steps: the step at which an episode that did not terminate is truncated, by
        whoever counts.
      initial: uniform [N, K] float32 in [0, 1) → states [N, S] float32, distributed like those of
        Gymnasium's reset.
      step: state [N, S] float32, action [N] int32 from 0 → next state [N, S] float32, reward [N]
        float32, terminated [N] bool. What follows a terminal state is not defined.
      observe: state [N, S] float32 → observation [N, *shape], in the shape and dtype that
        `dqn_tf.envs.spaces` gives.
    """

    state_size: int
    random_size: int
    max_episode_steps: int
    initial: Callable[[tf.Tensor], tf.Tensor]
    step: Callable[[tf.Tensor, tf.Tensor], Stepped]
    observe: Callable[[tf.Tensor], tf.Tensor]


def native(env_id: str) -> NativeEnv:
    """Return the environment of a Gymnasium id. Raises UserError for those that are not here."""
    registry.require_native(env_id)
    return NATIVE[env_id]


def _between(low: float, high: float, uniform: tf.Tensor) -> tf.Tensor:
    return low + (high - low) * uniform


def _columns(state: tf.Tensor, action: tf.Tensor) -> list[tf.Tensor]:
    """Return the state's S columns [N]; refuse shapes that would broadcast."""
    state.shape.assert_has_rank(2)
    action.shape.assert_is_compatible_with(state.shape[:1])
    return tf.unstack(state, axis=1)


# --- CartPole-v1 --------------------------------------------------------------

GRAVITY = 9.8
CART_MASS, POLE_MASS, POLE_HALF_LENGTH = 1.0, 0.1, 0.5
TOTAL_MASS, POLE_MOMENT = CART_MASS + POLE_MASS, POLE_MASS * POLE_HALF_LENGTH
PUSH, CART_SECONDS = 10.0, 0.02  # newtons to the left or the right, for so long
CART_LIMIT, POLE_LIMIT = 2.4, 12 * math.pi / 180
CART_START = 0.05


def _cart_pole_initial(uniform: tf.Tensor) -> tf.Tensor:
    return _between(-CART_START, CART_START, uniform)


def _cart_pole_step(state: tf.Tensor, action: tf.Tensor) -> Stepped:
    """Move by one Euler step (Barto, Sutton and Anderson 1983, appendix, without friction).

    The state is position, speed, angle and angular speed. Every step is paid 1, the last one too.
    """
    position, speed, angle, angular_speed = _columns(state, action)
    sine = tf.sin(angle)
    cosine = tf.cos(angle)
    push = PUSH * (2.0 * tf.cast(action, state.dtype) - 1.0)
    thrust = (push + POLE_MOMENT * angular_speed * angular_speed * sine) / TOTAL_MASS
    inertia = POLE_HALF_LENGTH * (4 / 3 - POLE_MASS / TOTAL_MASS * cosine * cosine)
    angular_acceleration = (GRAVITY * sine - cosine * thrust) / inertia
    acceleration = thrust - POLE_MOMENT / TOTAL_MASS * angular_acceleration * cosine
    # with the speeds from before the step
    position = position + CART_SECONDS * speed
    angle = angle + CART_SECONDS * angular_speed
    speed = speed + CART_SECONDS * acceleration
    angular_speed = angular_speed + CART_SECONDS * angular_acceleration
    after = tf.stack([position, speed, angle, angular_speed], axis=1)
    terminated = (tf.abs(position) > CART_LIMIT) | (tf.abs(angle) > POLE_LIMIT)
    return after, tf.ones_like(position), terminated


# --- Acrobot-v1 ---------------------------------------------------------------

# Two links, each of mass 1, length 1 and moment of inertia 1, with its centre of mass at 0.5.
ACROBOT_SECONDS, ACROBOT_START = 0.2, 0.1
SPEED_LIMIT_1, SPEED_LIMIT_2 = 4 * math.pi, 9 * math.pi


def _acrobot_initial(uniform: tf.Tensor) -> tf.Tensor:
    return _between(-ACROBOT_START, ACROBOT_START, uniform)


def _acrobot_slope(columns: list[tf.Tensor], torque: tf.Tensor) -> list[tf.Tensor]:
    """Return the derivatives of the two angles and of their speeds, each [N].

    (Sutton 1996; as in Sutton and Barto 1998, section 11.3.) With the two links' numbers put in,
    d1 = 3.5 + cos θ2 and d2 = 1.25 + cos θ2 / 2. The second acceleration's fraction is multiplied
    by d1: its denominator is then 1.25 d1 - d2² = 2.8125 - cos² θ2 / 4, and one division is left of
    three.
    """
    angle_1, angle_2, speed_1, speed_2 = columns
    sine = tf.sin(angle_2)
    cosine = tf.cos(angle_2)
    d1 = 3.5 + cosine
    d2 = 1.25 + 0.5 * cosine
    phi_2 = 0.5 * GRAVITY * tf.sin(angle_1 + angle_2)
    phi_1 = phi_2 + 1.5 * GRAVITY * tf.sin(angle_1) - (0.5 * speed_2 + speed_1) * speed_2 * sine
    above = d1 * (torque - 0.5 * speed_1 * speed_1 * sine - phi_2) + d2 * phi_1
    acceleration_2 = above / (2.8125 - 0.25 * cosine * cosine)
    acceleration_1 = -(d2 * acceleration_2 + phi_1) / d1
    return [speed_1, speed_2, acceleration_1, acceleration_2]


def _acrobot_wrap(angle: tf.Tensor) -> tf.Tensor:
    """Return the same angle in [-π, π]."""
    return angle - 2 * math.pi * tf.round(angle / (2 * math.pi))


def _acrobot_step(state: tf.Tensor, action: tf.Tensor) -> Stepped:
    """Move by one Runge-Kutta step of the fourth order under a torque of -1, 0 or 1.

    The state is the two angles and their speeds. Every step costs 1, but for the one that swings
    the tip higher than a link's length above the fixed joint.
    """
    columns = _columns(state, action)
    torque = tf.cast(action, state.dtype) - 1.0

    def moved(seconds: float, slope: list[tf.Tensor]) -> list[tf.Tensor]:
        return [value + seconds * change for value, change in zip(columns, slope, strict=True)]

    slope_1 = _acrobot_slope(columns, torque)
    slope_2 = _acrobot_slope(moved(ACROBOT_SECONDS / 2, slope_1), torque)
    slope_3 = _acrobot_slope(moved(ACROBOT_SECONDS / 2, slope_2), torque)
    slope_4 = _acrobot_slope(moved(ACROBOT_SECONDS, slope_3), torque)
    weighted = [
        first + 2.0 * (second + third) + fourth
        for first, second, third, fourth in zip(slope_1, slope_2, slope_3, slope_4, strict=True)
    ]
    angle_1, angle_2, speed_1, speed_2 = moved(ACROBOT_SECONDS / 6, weighted)
    angle_1 = _acrobot_wrap(angle_1)
    angle_2 = _acrobot_wrap(angle_2)
    speed_1 = tf.clip_by_value(speed_1, -SPEED_LIMIT_1, SPEED_LIMIT_1)
    speed_2 = tf.clip_by_value(speed_2, -SPEED_LIMIT_2, SPEED_LIMIT_2)
    terminated = -tf.cos(angle_1) - tf.cos(angle_1 + angle_2) > 1.0
    after = tf.stack([angle_1, angle_2, speed_1, speed_2], axis=1)
    return after, tf.where(terminated, 0.0, -1.0), terminated


def _acrobot_observe(state: tf.Tensor) -> tf.Tensor:
    """Return cosine and sine of either angle, then the speeds: [N, 6]."""
    angle_1, angle_2, speed_1, speed_2 = tf.unstack(state, axis=1)
    return tf.stack(
        [tf.cos(angle_1), tf.sin(angle_1), tf.cos(angle_2), tf.sin(angle_2), speed_1, speed_2],
        axis=1,
    )


# --- MountainCar-v0 -----------------------------------------------------------

LEFT_WALL, RIGHT_WALL, HILLTOP = -1.2, 0.6, 0.5
CAR_SPEED_LIMIT, CAR_FORCE, SLOPE_FORCE = 0.07, 0.001, 0.0025
CAR_START = -0.6, -0.4


def _mountain_car_initial(uniform: tf.Tensor) -> tf.Tensor:
    position = _between(*CAR_START, uniform)
    return tf.concat([position, tf.zeros_like(position)], axis=1)


def _mountain_car_step(state: tf.Tensor, action: tf.Tensor) -> Stepped:
    """Move a car in the valley sin 3x (Moore 1990; Sutton 1996).

    The state is position and speed. The left wall stops it; the hilltop ends the episode.
    """
    position, speed = _columns(state, action)
    push = CAR_FORCE * (tf.cast(action, state.dtype) - 1.0)
    speed = speed + push - SLOPE_FORCE * tf.cos(3.0 * position)
    speed = tf.clip_by_value(speed, -CAR_SPEED_LIMIT, CAR_SPEED_LIMIT)
    position = tf.clip_by_value(position + speed, LEFT_WALL, RIGHT_WALL)
    speed = tf.where(position > LEFT_WALL, speed, tf.maximum(speed, 0.0))
    terminated = (position >= HILLTOP) & (speed >= 0.0)
    return tf.stack([position, speed], axis=1), -tf.ones_like(position), terminated


# --- dqn_tf/GridWorld-v0 ------------------------------------------------------


def _grid_world_initial(uniform: tf.Tensor) -> tf.Tensor:
    return tf.ones([tf.shape(uniform)[0], 1]) * tf.constant([gridworld.START], tf.float32)


def _grid_world_step(state: tf.Tensor, action: tf.Tensor) -> Stepped:
    """Move on the grid of `dqn_tf.envs.gridworld`; the state is row and column."""
    row, column = _columns(state, action)
    moves = tf.one_hot(action, len(gridworld.MOVES), dtype=state.dtype)  # [N, 4]
    up, down, left, right = tf.unstack(moves, axis=1)
    row = tf.clip_by_value(row + down - up, 0.0, gridworld.SIZE - 1.0)
    column = tf.clip_by_value(column + right - left, 0.0, gridworld.SIZE - 1.0)
    terminated = tf.equal(row, gridworld.GOAL[0]) & tf.equal(column, gridworld.GOAL[1])
    return tf.stack([row, column], axis=1), tf.where(terminated, 0.0, -1.0), terminated


def _grid_world_observe(state: tf.Tensor) -> tf.Tensor:
    """Return the cell's number: [N] int64."""
    row, column = tf.unstack(state, axis=1)
    return tf.cast(gridworld.SIZE * row + column, tf.int64)


NATIVE = {
    "CartPole-v1": NativeEnv(4, 4, 500, _cart_pole_initial, _cart_pole_step, tf.identity),
    "Acrobot-v1": NativeEnv(4, 4, 500, _acrobot_initial, _acrobot_step, _acrobot_observe),
    "MountainCar-v0": NativeEnv(2, 1, 200, _mountain_car_initial, _mountain_car_step, tf.identity),
    gridworld.ENV_ID: NativeEnv(
        2,
        0,
        gridworld.MAX_EPISODE_STEPS,
        _grid_world_initial,
        _grid_world_step,
        _grid_world_observe,
    ),
}
