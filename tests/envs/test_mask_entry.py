"""A mask among the entries of a Dict observation is a mask, whatever the others are called."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.doctor import random_play
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.flattened import as_vector
from dqn_tf.envs.mask_entry import mask_names
from dqn_tf.support.errors import UserError
from environments import Maze

FEATURES = Box(-1.0, 1.0, (2,), np.float32)
SEEN = np.array([0.5, -0.5], np.float32)
MASKS = {
    "bits": MultiBinary(3),
    "int8": Box(0, 1, (3,), np.int8),
    "floats": Box(0.0, 1.0, (3,), np.float32),
    "sizes": MultiDiscrete([2, 2, 2]),
}


class Told(gym.Env):
    """Observes what it is told to."""

    action_space = Discrete(3)

    def __init__(self, space, told):
        self.observation_space = space
        self.told = told

    def reset(self, *, seed=None, options=None):
        return self.told, {}

    def step(self, action):
        return self.told, 0.0, False, False, {}


def checked(space, told):
    return CheckedEnv(as_vector(Told(space, told)), "It")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", ["observations", "obs", "state"])
def test_another_name_is_the_same_as_observation(name, mask):
    bits = np.array([0, 1, 1], MASKS[mask].dtype)
    told = {name: SEEN, "action_mask": bits}
    env = checked(Dict({name: FEATURES, "action_mask": MASKS[mask]}), told)
    pair = checked(
        Dict(observation=FEATURES, action_mask=MASKS[mask]),
        {"observation": SEEN, "action_mask": bits},
    )
    assert env.spaces == pair.spaces and env.spaces.masked
    for observe in (lambda one: one.reset(0), lambda one: one.step(1)[0]):
        np.testing.assert_array_equal(observe(env), observe(pair))
        assert env.mask.tolist() == pair.mask.tolist() == [False, True, True]


def test_a_pair_of_the_known_names_is_left_as_it_is():
    env = Told(Dict(observation=FEATURES, action_mask=MultiBinary(3)), {})
    assert as_vector(env) is env


@pytest.mark.parametrize(
    ("entries", "told", "vector"),
    [
        (
            {"observation": FEATURES, "lamp": Discrete(2)},
            {"observation": SEEN, "lamp": 1},
            [0, 1, 0.5, -0.5],
        ),
        ({"obs": Dict(a=FEATURES, b=Discrete(2))}, {"obs": {"a": SEEN, "b": 0}}, [0.5, -0.5, 1, 0]),
        ({"obs": MultiBinary(2)}, {"obs": np.array([1, 0], np.int8)}, [1, 0]),
    ],
    ids=["extra", "nested", "bits"],
)
def test_what_is_beside_the_mask_becomes_the_vector(entries, told, vector):
    space = Dict(entries | {"action_mask": MultiBinary(3)})
    env = checked(space, told | {"action_mask": np.array([1, 0, 0], np.int8)})
    assert env.reset(0).tolist() == vector
    assert env.mask.tolist() == [True, False, False]


def test_entries_keep_the_order_of_their_space():
    """Keywords are not sorted, as a plain dict is."""
    space = Dict(z=Discrete(2), action_mask=MultiBinary(3), a=FEATURES)
    env = checked(space, {"z": 1, "action_mask": np.ones(3), "a": SEEN})
    assert env.reset(0).tolist() == [0, 1, 0.5, -0.5]


@pytest.mark.parametrize(
    "space",
    [
        Dict(obs=FEATURES, action_mask=MultiBinary(4)),
        Dict(obs=FEATURES, action_mask=Box(0.0, 2.0, (3,))),
        Dict(obs=FEATURES, action_mask=MultiDiscrete([2, 2, 3])),
        Dict(obs=FEATURES, action_mask=Discrete(3)),
        Dict(obs=FEATURES, mask=MultiBinary(3)),
        Dict(obs=Dict(state=FEATURES, action_mask=MultiBinary(3))),
        Dict(action_mask=MultiBinary(3)),
        FEATURES,
    ],
    ids=str,
)
def test_what_is_no_mask_of_the_actions_is_a_part_as_before(space):
    assert not mask_names(space, Discrete(3))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"obs": SEEN}, "returned an observation without its action_mask, which its space has"),
        ({"action_mask": np.ones(3)}, "returned an observation without its obs, which its space"),
        (SEEN, "of type ndarray, but its space says a dict of obs and action_mask"),
        ({"obs": SEEN, "action_mask": np.zeros(3)}, "gave an action_mask that allows no action"),
        ({"obs": SEEN, "action_mask": [0.5, 1, 1]}, "or 1 or 0, of each action"),
    ],
    ids=str,
)
def test_what_is_not_as_the_space_says_is_a_sentence(told, said):
    env = checked(Dict(obs=FEATURES, action_mask=MultiBinary(3)), told)
    with pytest.raises(UserError, match=f"^It .*{said}.*reset with seed 7"):
        env.reset(7)


class Renamed(gym.ObservationWrapper):
    """Calls a maze's observation as RLlib does."""

    def __init__(self):
        super().__init__(Maze("dict"))
        inner = self.env.observation_space
        self.observation_space = Dict(
            observations=inner["observation"], action_mask=inner["action_mask"]
        )

    def observation(self, observation):
        return {
            "observations": observation["observation"],
            "action_mask": observation["action_mask"],
        }


gym.register("RenamedMaze-v0", entry_point=lambda: Renamed(), max_episode_steps=5)


def test_no_illegal_action_is_played():
    """The maze raises on one."""
    facts = random_play.inspect(DQNConfig(env="RenamedMaze-v0"), 300)
    assert facts.spaces.masked and facts.spaces.observation_shape == (6,)
