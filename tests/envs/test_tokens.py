"""dqn_tf.envs.tokens: which observations are tokens, and what the border says of wrong ones."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.envs.tokens import Tokens, numbered, to_text, tokens_of
from dqn_tf.support.errors import UserError

TWO = Discrete(2)
NAMED = Tokens(("a", "b", "c"), None)


class Told(gym.Env):
    """Observes what it is given; each step ends the episode."""

    def __init__(self, space, observation, **attributes):
        self.observation_space, self.action_space = space, TWO
        self.told = observation
        for name, value in attributes.items():
            setattr(self, name, value)

    def reset(self, *, seed=None, options=None):
        return self.told, {}

    def step(self, action):
        return self.told, 0.0, True, False, {}


@pytest.mark.parametrize(
    ("space", "tokens", "expected"),
    [
        (MultiDiscrete([5] * 4), None, Spaces((4,), "int64", 2, categories=5)),
        (
            MultiDiscrete([5] * 4, start=[-2] * 4),
            None,
            Spaces((4,), "int64", 2, categories=5, category_start=-2),
        ),
        (Box(0, 2, (4,), np.int32), NAMED, Spaces((4,), "int32", 2, categories=3)),
        (
            Box(1, 3, (4,), np.uint8),
            Tokens(NAMED.names, 3),
            Spaces((4,), "uint8", 2, categories=3, category_start=1, padding=3),
        ),
        (
            Dict({"observation": Box(0, 2, (4,), np.int32), "action_mask": Box(0, 1, (2,))}),
            NAMED,
            Spaces((4,), "int32", 2, categories=3, masked=True),
        ),
        # numbers, although there are names, or although there are bounds
        (Box(0, 2, (4,), np.int32), None, Spaces((4,), "int32", 2)),
        (Box(0, 2, (4,), np.float32), NAMED, Spaces((4,), "float32", 2)),
        (Box(0, 2, (4, 2), np.int32), NAMED, Spaces((4, 2), "int32", 2)),
        (Box(np.array([0, 0]), np.array([2, 3]), dtype=np.int32), NAMED, Spaces((2,), "int32", 2)),
    ],
    ids=str,
)
def test_which_observations_are_tokens(space, tokens, expected):
    assert describe(space, TWO, tokens) == expected


def test_spaces_of_earlier_versions_have_no_padding():
    spaces = Spaces((4,), "int32", 2, categories=3, padding=0)
    values = spaces.to_dict()
    assert Spaces.from_dict(values) == spaces
    del values["padding"]
    assert Spaces.from_dict(values) == Spaces((4,), "int32", 2, categories=3)


def test_the_width_inside_the_network():
    assert Spaces((4,), "int32", 2, categories=3).encoded_width == 12
    assert Spaces((), "int64", 2, categories=3).encoded_width == 3
    assert Spaces((4, 2), "float32", 2).encoded_width == 8
    vocabularies = [Spaces(shape, "int64", 2, categories=3).vocabulary for shape in ((4,), ())]
    assert vocabularies == [3, 0]


def test_names_are_those_of_a_wrapper_or_of_the_environment():
    space = Box(0, 2, (4,), np.int32)
    env = Told(space, np.zeros(4, np.int32), tokens=["a", "b", "c"], padding=0)
    assert tokens_of(gym.wrappers.TimeLimit(env, 5)) == Tokens(("a", "b", "c"), 0)
    assert CheckedEnv(env, "The environment").spaces.padding == 0
    for meaning_else in (7, [], [1, 2, 3], np.arange(3), "abc", None):
        assert tokens_of(Told(space, np.zeros(4, np.int32), tokens=meaning_else)) is None
    array = Told(space, np.zeros(4, np.int32), tokens=np.array(["a", "b", "c"]))
    assert tokens_of(array) == NAMED


def test_a_wrapper_names_the_tokens_of_an_environment_that_does_not():
    class Named(gym.Wrapper):
        tokens, padding = ("a", "b", "c"), 2

    env = Told(Box(0, 2, (4,), np.int32), np.zeros(4, np.int32))
    assert not CheckedEnv(env, "The environment").spaces.vocabulary
    spaces = CheckedEnv(gym.wrappers.TimeLimit(Named(env), 5), "The environment").spaces
    assert (spaces.vocabulary, spaces.padding) == (3, 2)


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (Discrete(3), ["a", "b", "c"]),  # every token
        (Discrete(2, start=1), ["b", "c"]),  # all but the padding
        (Discrete(2), None),
        (Discrete(3, start=1), None),
        (Discrete(4), None),
    ],
    ids=str,
)
def test_actions_that_write_the_tokens_have_their_names(actions, expected):
    env = Told(Box(0, 2, (4,), np.int32), np.zeros(4, np.int32), tokens=["a", "b", "c"], padding=0)
    env.action_space = actions
    assert CheckedEnv(env, "The environment").action_meanings == expected
    env.get_action_meanings = lambda: ["x", "y", "z"][: actions.n]
    own = ["x", "y", "z"][: actions.n] if actions.n <= 3 else None
    assert CheckedEnv(env, "The environment").action_meanings == own


def test_padding_needs_no_names():
    env = Told(MultiDiscrete([3] * 4), np.array([1, 2, 0, 0]), padding=0)
    assert CheckedEnv(env, "The environment").spaces.padding == 0
    numbers = Told(Box(0, 2, (4,), np.int32), np.zeros(4, np.int32), padding=0)
    assert CheckedEnv(numbers, "The environment").spaces == Spaces((4,), "int32", 2)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"tokens": ["a", "b"]}, "names 2 tokens (its attribute `tokens`), and its observation"),
        ({"tokens": "abc", "padding": 0}, None),
        ({"tokens": ["a", "b", "c"], "padding": 3}, "`padding` is 3, and must be one of its"),
        ({"tokens": ["a", "b", "c"], "padding": True}, "`padding` is True, and must be one of its"),
        ({"tokens": ["a", "b", "c"], "padding": "a"}, "`padding` is 'a', and must be one of its"),
        ({"tokens": ["a", "b", "c"], "padding": 0.0}, "`padding` is 0.0, and must be one of its"),
        ({"tokens": ["a", "b", "a"]}, "has the name 'a' twice, so a text would not say which"),
        ({"tokens": ["a", 1, "c"]}, "names some tokens by texts, and another by 1. Give each"),
    ],
    ids=str,
)
def test_names_that_do_not_fit_are_told(attributes, sentence):
    env = Told(Box(0, 2, (4,), np.int32), np.zeros(4, np.int32), **attributes)
    if sentence is None:  # a text is no list of names
        assert not CheckedEnv(env, "The environment").spaces.vocabulary
        return
    with pytest.raises(UserError) as raised:
        CheckedEnv(env, "The environment")
    assert sentence in str(raised.value)


def test_a_token_that_the_space_does_not_have_is_told():
    env = CheckedEnv(Told(MultiDiscrete([3] * 4), np.array([0, 2, 3, 0])), "The environment")
    with pytest.raises(UserError, match=r"returned the token 3 at index \[2\], but .* 0 to 2 \("):
        env.reset(seed=0)
    right = CheckedEnv(Told(MultiDiscrete([3] * 4), np.array([0, 2, 1, 0])), "The environment")
    assert right.reset(seed=0).tolist() == [0, 2, 1, 0]


def test_a_name_stands_beside_its_number():
    told = [numbered(28, name) for name in ("left", "27", "-1", " ", "n2", "<pad>")]
    assert told == ["28 left", '28 "27"', '28 "-1"', '28 " "', "28 n2", "28 <pad>"]


def test_tokens_as_text():
    row = np.array([3, 2, 1, 1])
    assert to_text(row, ["<pad>", "go", "left"], 1, 1) == "left go"
    assert to_text(row, ["<pad>", "g", "l"], 1, 1) == "lg"
    assert to_text(row, ["a", "b", "c"], 1, None) == "cbaa"


def test_an_environment_of_characters_and_one_of_words():
    class Says(Told):
        words = ("hello", ",", "you")

        def __init__(self):
            super().__init__(gym.spaces.Text(14, charset="helo, yu!"), "hello, you!")

    gym.register("says-v0", Says)
    wrapper = "dqn_tf.envs.text.wrappers"
    for name, text, size in (("Characters", "hello, you!", 10), ("Words", "hello , you <unk>", 5)):
        config = registry.presets.configure("says-v0", {"env_wrappers": f"{wrapper}:{name}"})
        env = CheckedEnv(registry.make_env(config), "The environment")
        assert (env.spaces.observation_shape, env.spaces.vocabulary) == ((14,), size)
        names = registry.names(config)["tokens"]
        assert to_text(env.reset(seed=0), names, 0, env.spaces.padding) == text


def test_a_text_longer_than_the_length_loses_its_beginning():
    from dqn_tf.envs.text.wrappers import Words

    class Few(Words):
        words = ("b", "c", "d")
        length = 3

    env = Few(Told(gym.spaces.Text(20), "a b c d"))
    assert env.reset()[0].tolist() == [2, 3, 4]
    assert env.observation("b").tolist() == [2, 0, 0]


def test_wrappers_say_what_they_need():
    from dqn_tf.envs.text.wrappers import Characters, Words

    with pytest.raises(UserError, match="Characters makes tokens of a Text, and the observation"):
        Characters(Told(TWO, 0))
    with pytest.raises(UserError, match="Words needs a vocabulary"):
        Words(Told(gym.spaces.Text(5), "a"))
    with pytest.raises(UserError, match="says 'ü', which its Text space does not have"):
        Characters(Told(gym.spaces.Text(5), "ü")).reset()
    with pytest.raises(UserError, match=r"A Text is made tokens by --env_wrappers=dqn_tf\.envs"):
        describe(gym.spaces.Text(5), TWO)
