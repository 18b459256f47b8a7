"""dqn_tf.engines.graph.environments against Gymnasium's own environments.

Steps, observations, first states and whole runs are compared, with and without XLA.

Gymnasium plays 1,000 episodes of each environment, unwrapped and with random actions. In every
other episode energy is added, by all actions of MountainCar and half of Acrobot's, for random play
never reaches the hilltop and seldom swings up. Acrobot's episodes are cut after 200 steps of 500,
because Gymnasium's are slow. Then come single steps from states anywhere. All (state, action) pairs
are stepped again in one batch, from Gymnasium's state rounded to float32.
"""

import functools
import math

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from dqn_tf.engines.graph import environments
from dqn_tf.envs import gridworld, registry, spaces
from dqn_tf.support.errors import UserError
from mutations import mutated

EPISODES, SINGLE_STEPS = 1000, 4000
TOLERANCE = 1e-5
MOST_STEPS = {"CartPole-v1": 500, "Acrobot-v1": 200, "MountainCar-v0": 200, gridworld.ENV_ID: 100}
ENV_IDS = tuple(MOST_STEPS)
# where in the state the speed is that an action pushes; every how many steps
PUMPED = {"Acrobot-v1": (3, 2), "MountainCar-v0": (1, 1)}
ANYWHERE = {  # the largest of each number of a state, and how far a single step may deviate
    "CartPole-v1": ([2.4, 6.0, 0.2, 4.0], TOLERANCE),
    # At nine turns in two seconds a step of 0.2 s multiplies what float32 rounds several
    # hundredfold; in the episodes it does not.
    "Acrobot-v1": ([math.pi, math.pi, 4 * math.pi, 9 * math.pi], 1e-3),
    "MountainCar-v0": ([0.6, 0.07], TOLERANCE),
}


def state_of(env: gym.Env) -> np.ndarray:
    """What the native environment calls the state, in float64."""
    return np.array(
        gridworld.cell_of(env.state) if isinstance(env, gridworld.GridWorld) else env.state,
        np.float64,
    )


@functools.cache
def gymnasium_steps(env_id: str) -> dict[str, np.ndarray]:
    """A row for every step of the episodes and every single step."""
    env, draw = registry.make_env(env_id).unwrapped, np.random.default_rng(5)
    rows = []

    def step(action: int, tolerance: float) -> bool:
        before = state_of(env)
        observation, reward, terminated, _, _ = env.step(action)
        rows.append((before, action, state_of(env), observation, reward, terminated, tolerance))
        return terminated

    for episode in range(EPISODES):
        env.reset(seed=episode)
        for time, action in enumerate(
            draw.integers(env.action_space.n, size=MOST_STEPS[env_id]).tolist()
        ):
            if env_id in PUMPED and episode % 2 and time % PUMPED[env_id][1] == 0:
                action = 2 if state_of(env)[PUMPED[env_id][0]] > 0 else 0
            if step(action, TOLERANCE):
                break
    for _ in range(SINGLE_STEPS if env_id in ANYWHERE else 0):
        env.reset()
        largest, tolerance = ANYWHERE[env_id]
        env.state = draw.uniform(-1, 1, len(largest)) * largest
        if env_id == "MountainCar-v0":
            env.state[0] = draw.uniform(-1.2, 0.6)
        step(int(draw.integers(env.action_space.n)), tolerance)
    names = "state", "action", "next_state", "observation", "reward", "terminated", "tolerance"
    return {
        name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def native_steps(
    env: environments.NativeEnv,
    state: np.ndarray,
    action: np.ndarray,
    jit: bool | None = None,
    dtype: str = "float32",
) -> dict[str, np.ndarray]:
    """The same steps by TensorFlow, in one batch:

    at once (None), as a graph (False) or compiled by XLA (True).
    """

    def steps(state: tf.Tensor, action: tf.Tensor) -> tuple[tf.Tensor, ...]:
        after, reward, terminated = env.step(state, action)
        return after, env.observe(after), reward, terminated

    run = steps if jit is None else tf.function(steps, jit_compile=jit)
    tensors = run(tf.constant(state, dtype), tf.constant(action, tf.int32))
    return dict(
        zip(
            ("next_state", "observation", "reward", "terminated"),
            (tensor.numpy() for tensor in tensors),
            strict=True,
        )
    )


def on_the_edge(env_id: str, theirs: np.ndarray, ours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose next state, and rows whose termination, float32 may round to the other side of a
    boundary: [rows] bool, [rows] bool.
    """
    nowhere = np.zeros(len(theirs), bool)
    if env_id == "CartPole-v1":
        return nowhere, (
            np.abs(np.abs(theirs[:, [0, 2]]) - [2.4, math.radians(12)]) < TOLERANCE
        ).any(axis=1)
    if env_id == "Acrobot-v1":
        height = -np.cos(theirs[:, 0]) - np.cos(theirs[:, 0] + theirs[:, 1])
        return (np.abs(np.abs(theirs[:, :2]) - math.pi) < TOLERANCE).any(axis=1), np.abs(
            height - 1
        ) < TOLERANCE
    if env_id == "MountainCar-v0":
        one_at_the_wall = (theirs[:, 0] == -1.2) != (ours[:, 0] == np.float32(-1.2))
        distance = np.minimum(np.abs(theirs[:, 0] - 0.5), np.abs(theirs[:, 1]))
        return (
            one_at_the_wall & (np.abs(theirs[:, 0] - ours[:, 0]) < TOLERANCE),
            distance < TOLERANCE,
        )
    return nowhere, nowhere


def check_steps(
    env_id: str, env: environments.NativeEnv | None = None, jit: bool | None = None
) -> None:
    """The oracle: no next state, observation, reward or end is another than Gymnasium's."""
    theirs = gymnasium_steps(env_id)
    ours = native_steps(env or environments.NATIVE[env_id], theirs["state"], theirs["action"], jit)
    state_edge, end_edge = on_the_edge(env_id, theirs["next_state"], ours["next_state"])
    state_error, observation_error = (
        np.abs(ours[name] - theirs[name]).reshape(len(ours[name]), -1).max(axis=1)
        for name in ("next_state", "observation")
    )
    error = np.maximum(state_error, observation_error)
    off, other_end = error > theirs["tolerance"], ours["terminated"] != theirs["terminated"]
    assert not (off & ~state_edge).any(), (
        f"{(off & ~state_edge).sum()} of {len(off)} deviate, by up to {error[~state_edge].max()}"
    )
    assert not (other_end & ~end_edge).any(), f"{(other_end & ~end_edge).sum()} ends differ"
    assert off.sum() + other_end.sum() <= 1e-4 * len(off), (
        "float32 alone does not round so many to the other side"
    )
    np.testing.assert_array_equal(ours["reward"][~other_end], theirs["reward"][~other_end])


@pytest.mark.parametrize("jit", [None, False, True], ids=["eager", "graph", "xla"])
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_every_step_is_gymnasiums(env_id, jit):
    check_steps(env_id, jit=jit)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_in_float64_every_next_state_is_gymnasiums_to_nine_digits(env_id):
    """What float32 may hide, at the highest speeds above all:

    the functions compute in whatever type the state has.
    """
    theirs = gymnasium_steps(env_id)
    ours = native_steps(
        environments.NATIVE[env_id], theirs["state"], theirs["action"], dtype="float64"
    )
    np.testing.assert_allclose(ours["next_state"], theirs["next_state"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ours["terminated"], theirs["terminated"])


def test_the_steps_are_of_every_kind():
    cart, acrobot, car, grid = (gymnasium_steps(env_id) for env_id in ENV_IDS)
    for steps in (cart, acrobot, car, grid):
        assert steps["terminated"].sum() >= 400
    for column, limit in ((0, 2.4), (2, math.radians(12))):
        for sign in (-1, 1):
            assert (sign * cart["next_state"][:, column] > limit).sum() >= 10
    # wrapped
    assert (np.abs(acrobot["next_state"] - acrobot["state"])[:, :2] > math.pi).sum(
        axis=0
    ).min() > 100
    assert (np.abs(acrobot["next_state"][:, 2:]) == [4 * math.pi, 9 * math.pi]).sum(
        axis=0
    ).min() > 20
    assert ((car["next_state"][:, 0] == -1.2) & (car["state"][:, 1] < 0)).sum() > 100
    assert (car["next_state"][:, 0] == 0.6).sum() > 20
    assert ((car["next_state"][:, 0] > 0.5) & ~car["terminated"]).sum() > 20  # rolling back
    assert (np.abs(car["next_state"][:, 1]) == 0.07).sum() > 20
    assert {*np.unique(grid["state"] @ [3, 1])} == {*range(8)}


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_shapes_dtypes_and_time_limit_are_gymnasiums(env_id):
    env, made = environments.native(env_id), registry.make_env(env_id)
    described = spaces.describe(made.observation_space, made.action_space)
    state = env.initial(tf.zeros([7, env.random_size]))
    after, reward, terminated = env.step(state, tf.zeros([7], tf.int32))
    for tensor in (state, after):
        assert (tensor.shape, tensor.dtype) == ((7, env.state_size), tf.float32)
        observation = env.observe(tensor)
        assert (observation.shape, observation.dtype) == (
            (7, *described.observation_shape),
            described.observation_dtype,
        )
    assert (reward.shape, reward.dtype, terminated.shape, terminated.dtype) == (
        (7,),
        tf.float32,
        (7,),
        tf.bool,
    )
    assert env.max_episode_steps == gym.spec(env_id).max_episode_steps
    assert described.action_start == described.category_start == 0


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_first_states_are_distributed_like_gymnasiums(env_id, generator):
    env, made = environments.NATIVE[env_id], registry.make_env(env_id).unwrapped
    theirs = []
    for seed in range(EPISODES):
        made.reset(seed=seed)
        theirs.append(state_of(made))
    theirs = np.array(theirs)
    ours = env.initial(
        tf.constant(generator.random((EPISODES, env.random_size), np.float32))
    ).numpy()
    for column in range(env.state_size):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-4
    if env.random_size > 1:
        # each drawn by itself
        assert np.abs(np.corrcoef(ours.T) - np.eye(env.state_size)).max() < 0.15
    extremes = {
        "CartPole-v1": [0.05] * 4,
        "Acrobot-v1": [0.1] * 4,
        "MountainCar-v0": [0.1, 0.0],
        gridworld.ENV_ID: [0.0, 0.0],
    }
    centre = {"MountainCar-v0": [-0.5, 0.0], gridworld.ENV_ID: [1.0, 1.0]}.get(env_id, [0.0] * 4)
    for end, sign in ((0.0, -1), (np.nextafter(np.float32(1), np.float32(0)), 1)):
        np.testing.assert_allclose(
            env.initial(tf.fill([1, env.random_size], end))[0],
            np.add(centre, np.multiply(sign, extremes[env_id])),
            atol=1e-6,
        )


# a pole may fall at the ninth step; both go on by the same equations
@pytest.mark.filterwarnings("ignore:.*already returned terminated")
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_a_compiled_loop_runs_as_gymnasium_does(env_id, generator):
    """Ten steps from the same first states, nobody correcting:

    what is rounded in one step grows in those that follow.
    """
    env, made = environments.NATIVE[env_id], registry.make_env(env_id).unwrapped
    first, actions, expected = [], generator.integers(made.action_space.n, size=(10, 100)), []
    for episode in range(100):
        made.reset(seed=episode)
        first.append(state_of(made))
        expected.append([])
        for action in actions[:, episode].tolist():
            made.step(action)
            expected[-1].append(state_of(made))

    @tf.function(jit_compile=True)
    def run(state: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        states = tf.TensorArray(tf.float32, 10, element_shape=state.shape)

        def body(step: tf.Tensor, state: tf.Tensor, states: tf.TensorArray) -> tuple:
            state = env.step(state, actions[step])[0]
            return step + 1, state, states.write(step, state)

        return tf.while_loop(lambda step, *_: step < 10, body, [0, state, states])[2].stack()

    states = run(tf.constant(np.array(first), tf.float32), tf.constant(actions, tf.int32)).numpy()
    error = np.abs(states - np.array(expected).transpose(1, 0, 2)).max(axis=(1, 2))
    assert (error <= 1e-6 * 1.5 ** np.arange(10)).all(), error


def test_a_step_refuses_shapes_that_would_broadcast():
    for env_id in ENV_IDS:
        env = environments.NATIVE[env_id]
        with pytest.raises(ValueError):
            env.step(tf.zeros([3, env.state_size]), tf.zeros([1], tf.int32))
        with pytest.raises(ValueError):
            env.step(tf.zeros([env.state_size]), tf.zeros([], tf.int32))


def test_an_environment_that_is_not_here_is_refused_in_a_sentence():
    with pytest.raises(
        UserError, match="CartPole-v1, Acrobot-v1, MountainCar-v0, dqn_tf/GridWorld-v0"
    ):
        environments.native("ALE/Pong-v5")


MUTATIONS = {  # name: environment, function, a piece of its source, what is put in its place
    "a longer step": (
        "CartPole-v1",
        "_cart_pole_step",
        "angle + CART_SECONDS",
        "angle + 1.01 * CART_SECONDS",
    ),
    "gravity upwards": ("CartPole-v1", "_cart_pole_step", "(GRAVITY * sine", "(-GRAVITY * sine"),
    "pushed the other way": ("CartPole-v1", "_cart_pole_step", "push = PUSH *", "push = -PUSH *"),
    "new speeds move the cart": (
        "CartPole-v1",
        "_cart_pole_step",
        "position + CART_SECONDS * speed",
        "position + CART_SECONDS * (speed + CART_SECONDS * acceleration)",
    ),
    "the track has no end": (
        "CartPole-v1",
        "_cart_pole_step",
        "(tf.abs(position) > CART_LIMIT) | ",
        "",
    ),
    "the pole never falls": (
        "CartPole-v1",
        "_cart_pole_step",
        " | (tf.abs(angle) > POLE_LIMIT)",
        "",
    ),
    "the pole falls to one side only": (
        "CartPole-v1",
        "_cart_pole_step",
        "tf.abs(angle) >",
        "angle >",
    ),
    "no pay for the last step": (
        "CartPole-v1",
        "_cart_pole_step",
        "tf.ones_like(position)",
        "tf.where(tf.abs(angle) > POLE_LIMIT, 0.0, 1.0)",
    ),
    "angles not wrapped": ("Acrobot-v1", "_acrobot_wrap", "tf.round(angle / (2 * math.pi))", "0.0"),
    "angles wrapped into [0, 2π]": ("Acrobot-v1", "_acrobot_wrap", "tf.round(", "tf.floor("),
    "the paper's equation in place of the book's": (
        "Acrobot-v1",
        "_acrobot_slope",
        " - 0.5 * speed_1 * speed_1 * sine",
        "",
    ),
    "less gravity on the first link": ("Acrobot-v1", "_acrobot_slope", "1.5 * GRAVITY", "GRAVITY"),
    "Euler in place of Runge-Kutta": (
        "Acrobot-v1",
        "_acrobot_step",
        "moved(ACROBOT_SECONDS / 6, weighted)",
        "moved(ACROBOT_SECONDS, slope_1)",
    ),
    "torques 0 to 2": (
        "Acrobot-v1",
        "_acrobot_step",
        "tf.cast(action, state.dtype) - 1.0",
        "tf.cast(action, state.dtype)",
    ),
    "the first speed unbounded": (
        "Acrobot-v1",
        "_acrobot_step",
        "tf.clip_by_value(speed_1, -SPEED_LIMIT_1, SPEED_LIMIT_1)",
        "speed_1",
    ),
    "the second speed unbounded": (
        "Acrobot-v1",
        "_acrobot_step",
        "tf.clip_by_value(speed_2, -SPEED_LIMIT_2, SPEED_LIMIT_2)",
        "speed_2",
    ),
    "the tip's height by the second angle alone": (
        "Acrobot-v1",
        "_acrobot_step",
        "> 1.0",
        "+ tf.cos(angle_1 + angle_2) - tf.cos(angle_2) > 1.0",
    ),
    "the last step costs too": (
        "Acrobot-v1",
        "_acrobot_step",
        "tf.where(terminated, 0.0, -1.0)",
        "-tf.ones_like(speed_1)",
    ),
    "cosine and sine swapped": (
        "Acrobot-v1",
        "_acrobot_observe",
        "[tf.cos(angle_1), tf.sin(angle_1)",
        "[tf.sin(angle_1), tf.cos(angle_1)",
    ),
    "the left wall does not stop the car": (
        "MountainCar-v0",
        "_mountain_car_step",
        "tf.where(position > LEFT_WALL, speed, tf.maximum(speed, 0.0))",
        "speed",
    ),
    "no left wall": (
        "MountainCar-v0",
        "_mountain_car_step",
        "LEFT_WALL, RIGHT_WALL)",
        "-9.0, RIGHT_WALL)",
    ),
    "a hill in place of the valley": (
        "MountainCar-v0",
        "_mountain_car_step",
        "- SLOPE_FORCE",
        "+ SLOPE_FORCE",
    ),
    "the old speed moves the car": (
        "MountainCar-v0",
        "_mountain_car_step",
        "(position + speed,",
        "(position + state[:, 1],",
    ),
    "the hilltop at the right wall": (
        "MountainCar-v0",
        "_mountain_car_step",
        ">= HILLTOP",
        ">= RIGHT_WALL",
    ),
    "the hilltop reached backwards": (
        "MountainCar-v0",
        "_mountain_car_step",
        "(speed >= 0.0)",
        "(speed <= 0.0)",
    ),
    "up and down swapped": (
        gridworld.ENV_ID,
        "_grid_world_step",
        "row + down - up",
        "row + up - down",
    ),
    "no walls": (
        gridworld.ENV_ID,
        "_grid_world_step",
        "tf.clip_by_value(row + down - up, 0.0, gridworld.SIZE - 1.0)",
        "row + down - up",
    ),
    "the whole last row is the goal": (
        gridworld.ENV_ID,
        "_grid_world_step",
        " & tf.equal(column, gridworld.GOAL[1])",
        "",
    ),
    "the step to the goal costs too": (
        gridworld.ENV_ID,
        "_grid_world_step",
        "tf.where(terminated, 0.0, -1.0)",
        "-tf.ones_like(row)",
    ),
    "cells numbered down the columns": (
        gridworld.ENV_ID,
        "_grid_world_observe",
        "gridworld.SIZE * row + column",
        "gridworld.SIZE * column + row",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_noticed(name, monkeypatch):
    env_id, function, old, new = MUTATIONS[name]
    original, env = getattr(environments, function), environments.NATIVE[env_id]
    mutant = mutated(original, (old, new))
    monkeypatch.setattr(environments, function, mutant)
    fields = {field: mutant for field, value in env._asdict().items() if value is original}
    with pytest.raises(AssertionError):
        check_steps(env_id, env._replace(**fields))
