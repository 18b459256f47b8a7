"""`--choices=texts`: what the wrapper puts into observations, and what it refuses."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.choices import ChoiceTexts
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.experience.logged.sources import load
from dqn_tf.support.errors import UserError

HELPDESK = "dqn_tf/Helpdesk-v0"


class Offers(gym.Env):
    """Says one word, and offers as many words as the episode is old; the last one is not legal."""

    tokens = ("-", "a", "b", "c", "d")
    padding = 0
    observation_space = gym.spaces.Box(0, 4, (2,), np.int32)
    action_space = gym.spaces.Discrete(3, start=7)
    choice_tokens = 2
    choices = ("a", "b c d", "")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._tell()

    def step(self, action):
        self.steps += 1
        self.taken = int(action)
        observation, info = self._tell()
        return observation, 0.0, False, False, info

    def encode(self, text):
        return [self.tokens.index(word) for word in text.split()]

    def _tell(self):
        choices = list(self.choices[: self.steps + 1])
        mask = np.array([True, True, self.steps > 2])
        return np.array([1, 0], np.int32), {"choices": choices, "action_mask": mask}


def test_candidates_stand_behind_the_state_with_padding_and_a_mask():
    env = CheckedEnv(ChoiceTexts(Offers(), most=4), "The environment")
    spaces = env.spaces
    assert spaces.observation_shape == (10,) and spaces.action_start == 7
    assert (spaces.actions, spaces.choices, spaces.choice_tokens) == (4, 4, 2)
    assert spaces.text_tokens == 2 and spaces.of_state().observation_shape == (2,)
    assert Spaces.from_dict(spaces.to_dict()) == spaces
    assert env.reset(1).tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert env.mask.tolist() == [True, False, False, False]
    observation = env.step(7)[0]
    assert observation.tolist() == [1, 0, 1, 0, 2, 3, 0, 0, 0, 0]  # "b c d" is cut
    assert env.mask.tolist() == [True, True, False, False]
    env.step(8)
    assert env.mask.tolist() == [True, True, False, False], "its own mask forbids the third"
    assert env.choice_texts == ["a", "b c d", ""] and env.env.unwrapped.taken == 8
    with pytest.raises(UserError, match="action 10 was taken, and only 3 choices were there"):
        env.step(10)


def test_an_empty_text_is_no_choice():
    env = CheckedEnv(ChoiceTexts(Offers(), most=4), "The environment")
    env.reset(1)
    for _ in range(3):
        env.step(7)
    assert env.env.unwrapped.steps == 3 and env.choice_texts[2] == "", "its own mask allows it"
    assert env.mask.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("changes", "most", "said"),
    [
        ({"choices": ("a", "b", "c", "d")}, 3, "offers 4 choices, and there is room for 3"),
        ({"choices": ("a", "b", "c", "d")}, 0, "give --max_choices=4, or more"),
        ({"choices": ("a", "b", "c", "d")}, 8, "offers 4 choices and has only 3 actions"),
        ({"choices": (1, 2)}, 0, 'must give info["choices"] at each reset and step'),
        ({"choice_tokens": None}, 0, "give --choice_tokens=12"),
        ({"choice_tokens": "many"}, 0, "`choice_tokens` is 'many'"),
        ({"padding": None}, 0, "the attribute `padding`"),
        ({"tokens": None}, 0, "whose observations are tokens"),
        ({"encode": None}, 0, "method `encode`"),
        ({"action_space": gym.spaces.MultiBinary(2)}, 0, "it must be Discrete"),
    ],
)
def test_what_cannot_be_choices_is_a_sentence(changes, most, said):
    env = type("Other", (Offers,), changes)()
    with pytest.raises(UserError) as error:
        wrapped = ChoiceTexts(env, most)
        wrapped.reset(seed=1)
        for _ in range(3):
            wrapped.step(7)
    assert said in str(error.value)


def test_each_application_tells_its_choices():
    for env, arguments in (
        (HELPDESK, {}),
        (HELPDESK, {"language": "zh"}),
        ("dqn_tf/TitleRec-v0", {"order": "shuffled"}),
        ("dqn_tf/NewsAlert-v0", {}),
        ("dqn_tf/HomeText-v0", {}),
    ):
        config = DQNConfig(env=env, choices="texts", env_kwargs=arguments)
        checked = CheckedEnv(registry.make_env(config), "The environment")
        task = checked.env.unwrapped
        behind = checked.reset(3)[checked.spaces.text_tokens :].reshape(checked.spaces.choices, -1)
        for numbers, text in zip(behind, task.choices, strict=True):
            assert numbers[numbers != 0].tolist() == task.encode(text), "no text is cut"
        assert checked.action_meanings is None and checked.names["tokens"][0] == "<pad>"


def test_more_answers_fit_into_the_same_observation():
    """With the same vocabulary and room from the start only the mask tells them apart."""
    file = "examples/helpdesk_five_pairs.json"
    four = presets.configure(
        HELPDESK, {"choices": "texts", "max_choices": 16, "env_kwargs": {"vocabulary": file}}
    )
    five = dataclasses.replace(four, env_kwargs={"vocabulary": file, "wordings": file})
    assert registry.spaces(four) == registry.spaces(five)
    counts = []
    for config in (four, five):
        env = CheckedEnv(registry.make_env(config), "The environment")
        env.reset(1)
        counts.append(int(env.mask.sum()))
    assert counts == [12, 15]
    tight = dataclasses.replace(five, max_choices=12)
    with pytest.raises(UserError, match="offers 15 choices, and there is room for 12"):
        registry.spaces(tight)


def test_its_own_player_makes_logged_data_with_choices():
    config = presets.configure(HELPDESK, {"choices": "texts"})
    spaces = registry.spaces(config)
    episodes = load("env", spaces, lambda: registry.corpus(config))
    assert len(episodes.lengths) == 2_000


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_choices": 3}, "--max_choices is of choices as texts"),
        ({"choice_tokens": 3}, "--choice_tokens is of choices as texts"),
        ({"choices": "texts", "engine": "graph"}, "--engine=graph has no --choices=texts"),
        (
            {"choices": "texts", "replay_unit": "episode", "network": "gru"},
            "--choices=texts and --replay_unit=episode cannot be combined",
        ),
        ({"choices": "both"}, "--choices=both: must be"),
    ],
)
def test_settings_that_contradict_each_other_are_named(values, said):
    with pytest.raises(UserError) as error:
        DQNConfig(**values)
    assert said in str(error.value)


def test_spaces_without_choices_are_what_they_were():
    spaces = describe(gym.spaces.Discrete(4), gym.spaces.Discrete(2))
    assert (spaces.choices, spaces.of_state()) == (0, spaces)
