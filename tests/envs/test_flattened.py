"""Observations of several parts as one vector, against Gymnasium's own `flatten`."""

import functools
import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from command_server import run
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.flattened import Flattened, as_vector, flattens
from dqn_tf.envs.tokens import tokenizer_of
from dqn_tf.evaluation.find_export import MANIFEST
from dqn_tf.support.errors import UserError
from small_runs import small_run

PIXELS = Box(0, 255, (2,), np.uint8)
NESTED = Dict(
    z=Discrete(3, start=-1),
    a=Box(-1.0, 1.0, (2, 2)),
    b=Dict(c=MultiDiscrete([2, 3], start=[5, -1]), d=MultiBinary(3)),
    t=Tuple([Discrete(2)]),
)
SPACES = [
    Tuple([Discrete(32), Discrete(11), Discrete(2)]),
    NESTED,
    MultiDiscrete([2, 5]),
    MultiDiscrete([[2, 3], [4, 5]]),
    MultiBinary((2, 2)),
    Dict(picture=PIXELS, lamp=Discrete(2)),
    Dict(small=Box(-9, 9, (2,), np.int8), wide=Box(-9.0, 9.0, (1,), np.float64)),
    Dict(a=MultiDiscrete([3, 4], dtype=np.uint8), b=Discrete(2)),
    Tuple([MultiDiscrete([[2, 3], [4, 5]], dtype=np.uint32, start=[[1, 2], [3, 4]])]),
    MultiDiscrete([200, 255], dtype=np.uint8),
    MultiDiscrete([2, 5], dtype=np.int8, start=[-3, 100]),
    Tuple([Discrete(200, dtype=np.uint8), Discrete(3, start=250, dtype=np.uint8)]),
]


class Told(gym.Env):
    """Observes what it is told to."""

    action_space = Discrete(2)

    def __init__(self, space, observation=None):
        self.observation_space = space
        self.told = space.sample() if observation is None else observation

    def reset(self, *, seed=None, options=None):
        return self.told, {}

    def step(self, action):
        return self.told, 0.0, False, False, {}


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_the_vector_is_that_of_gymnasium(space):
    env = Flattened(Told(space))
    space.seed(1)
    for _ in range(50):
        parts = space.sample()
        vector = env.observation(parts)
        np.testing.assert_array_equal(vector, gym.spaces.flatten(space, parts))
        assert env.observation_space.contains(vector)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_each_part_is_where_it_is_said_to_be(space):
    env = Flattened(Told(space))
    space.seed(2)
    observation = space.sample()
    vector = env.observation(observation)
    for entry, part in zip(env.observation_parts, env.parts, strict=True):
        value = functools.reduce(lambda outer, key: outer[key], part.path, observation)
        there = vector[entry["first"] : entry["first"] + entry["size"]]
        np.testing.assert_array_equal(there, gym.spaces.flatten(part.space, value))


def test_the_order_does_not_hang_on_how_a_dict_was_written():
    entries = {"b": Discrete(2), "a": Box(0.0, 1.0, (1,))}
    backwards = dict(reversed(entries.items()))
    parts = [Flattened(Told(Dict(each))).observation_parts for each in (entries, backwards)]
    assert parts[0] == parts[1]
    assert [part["part"] for part in parts[0]] == ["observation['a']", "observation['b']"]


@pytest.mark.parametrize(
    ("space", "dtype"),
    [(SPACES[0], "uint8"), (NESTED, "float32"), (Dict(a=PIXELS, b=MultiBinary(1)), "uint8")],
    ids=str,
)
def test_the_type_is_the_narrowest_that_holds_all(space, dtype):
    assert CheckedEnv(Flattened(Told(space)), "It").spaces.observation_dtype == dtype


@pytest.mark.parametrize(
    "space",
    [
        Discrete(3),
        Box(0.0, 1.0, (2,)),
        MultiDiscrete([4, 4]),
        Text(5),
        Tuple([]),
        Dict(a=Text(3), b=Discrete(2)),
        gym.spaces.Graph(Box(0.0, 1.0, (2,)), None),
        Tuple([gym.spaces.Sequence(Discrete(2))]),
        Dict(observation=Box(0.0, 1.0, (2,)), action_mask=MultiBinary(2)),
    ],
    ids=str,
)
def test_what_the_network_takes_or_nobody_can_is_left_as_it_is(space):
    assert not flattens(space)


def test_a_mask_stays_beside_the_vector():
    space = Dict(observation=SPACES[0], action_mask=MultiBinary(2))
    observed = {"observation": (3, 10, 1), "action_mask": np.array([0, 1], np.int8)}
    env = CheckedEnv(Flattened(Told(space, observed)), "It")
    vector = env.reset(seed=0)
    assert np.flatnonzero(vector).tolist() == [3, 32 + 10, 32 + 11 + 1]
    assert env.mask.tolist() == [False, True] and env.spaces.masked


@pytest.mark.parametrize(
    ("space", "observed", "said"),
    [
        (SPACES[0], (3, 11, 1), r"returned 11 in observation\[1\].*it is Discrete\(11\)"),
        (SPACES[0], (-1, 0, 1), r"returned -1 in observation\[0\]"),
        (SPACES[0], (3, 1), r"its space says that observation\[2\] is there"),
        (SPACES[0], 7, r"returned 7 as observation, but its space says that"),
        (SPACES[0], (3, 1.5, 1), r"observation\[1\]"),
        (MultiBinary(2), [0, 2], r"returned \[0, 2\] in observation"),
        (MultiDiscrete([2, 5]), [1, 5], r"returned \[1, 5\] in observation"),
        (
            Dict(a=PIXELS, b=Discrete(2)),
            {"a": np.zeros(2, np.uint8)},
            r"observation\['b'\] is there",
        ),
        (
            Dict(a=PIXELS, b=Discrete(2)),
            {"a": np.zeros(3, np.uint8), "b": 0},
            r"shape \[3\], but its space says \[2\] in observation\['a'\]",
        ),
        (
            Dict(a=Box(-1.0, 1.0, (2,)), b=Discrete(2)),
            {"a": [0.5, np.nan], "b": 0},
            r"nan at index \[1\]: it must be finite in observation\['a'\]",
        ),
        (
            Dict(a=Box(-np.inf, np.inf, dtype=np.float64), b=Discrete(2)),
            {"a": [1e300], "b": 0},
            r"1e\+300 at index \[0\].* in observation\['a'\]",
        ),
    ],
    ids=str,
)
def test_what_a_part_does_not_allow_is_told_with_its_name(space, observed, said):
    with pytest.raises(UserError, match=f"^It .*{said}.*reset with seed 7"):
        CheckedEnv(Flattened(Told(space, observed)), "It").reset(seed=7)


def test_an_old_reset_of_two_parts_is_not_taken_for_observation_and_info():
    env = Told(Dict(a=Discrete(2), b=Discrete(2)), {"a": 0, "b": 1})
    env.reset = lambda *, seed=None, options=None: env.told
    with pytest.raises(
        UserError, match=r"^It returned a value of type dict from reset: Gymnasium's reset"
    ):
        CheckedEnv(Flattened(env), "It").reset(seed=7)


@pytest.mark.parametrize("names", [["a", "b", "c", "d"], ["no", "yes"]])
def test_names_of_a_part_s_tokens_are_none_of_the_vector_s(names):
    class Told(gym.Env):
        tokens, padding = names, 0
        observation_space = Dict(word=MultiDiscrete([4] * 3), speaker=Discrete(2))
        action_space = Discrete(2)

        def reset(self, *, seed=None, options=None):
            return {"word": np.array([0, 1, 3]), "speaker": 1}, {}

    spaces = CheckedEnv(Flattened(Told()), "The environment").spaces
    assert (spaces.observation_shape, spaces.vocabulary, spaces.padding) == ((14,), 0, None)


def test_a_mask_within_the_observation_is_a_part_like_others():
    inner = Dict(observation=Discrete(3), action_mask=MultiBinary(2))

    class Twice(gym.Env):
        observation_space = Dict(observation=inner, action_mask=MultiBinary(2))
        action_space = Discrete(2)

        def reset(self, *, seed=None, options=None):
            seen = {"observation": 2, "action_mask": np.array([1, 0], np.int8)}
            return {"observation": seen, "action_mask": np.array([0, 1], np.int8)}, {}

    env = CheckedEnv(as_vector(Twice()), "The environment")
    assert env.reset(0).tolist() == [0, 0, 1, 1, 0]
    assert env.mask.tolist() == [False, True]


def test_a_tokenizer_of_parts_is_none_of_the_vector():
    env = Told(NESTED)
    env.tokenizer = object()
    assert tokenizer_of(env) is env.tokenizer and tokenizer_of(Flattened(env)) is None


def test_blackjack_is_trained_and_its_export_says_what_lies_where(tmp_path):
    run(small_run(tmp_path, env="Blackjack-v1"), tmp_path)
    manifest = json.loads((tmp_path / "export" / "1" / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["spaces"]["observation_shape"] == [32 + 11 + 2]
    parts = registry.names(DQNConfig(env="Blackjack-v1"))["observation_parts"]
    assert manifest["observation_parts"] == parts
    assert [(part["first"], part["size"]) for part in parts] == [(0, 32), (32, 11), (43, 2)]
