"""Messages as the tokens of a language model: who spoke, what is cut, and what is no message."""

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.dialogues import MessageTokens
from dqn_tf.language.model_files import open_model
from dqn_tf.support.errors import UserError
from tiny_language_model import write_hugging_face

for package in ("safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")


class Said(gym.Env):
    """Tells what it is given."""

    observation_space = gym.spaces.Discrete(1)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, info):
        self.info = info

    def reset(self, *, seed=None, options=None):
        return 0, self.info


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_hugging_face(folder)
    return str(folder)


def observed(model, info, **settings):
    settings = {"max_messages": 2, "message_tokens": 4} | settings
    env = MessageTokens(Said(info), DQNConfig(language_model=model, **settings))
    observation, told = env.reset()
    assert env.observation_space.contains(observation) and told is info
    return observation.reshape(env.message_places, -1).tolist()


def test_messages_are_tokens_with_who_spoke(model):
    encode = open_model(model).tokenizer.encode
    said = {
        "messages": [
            {"role": "user", "content": "forgotten"},
            {"role": "assistant", "content": "123456"},
            {"role": "tool", "content": "7"},
        ],
        "text": "all",
    }
    digits = encode("123456")
    assert len(digits) == 6
    assert observed(model, said) == [[2, *digits[-4:]], [3, *encode("7"), -1, -1, -1]]
    assert observed(model, said, dialogue="text", max_messages=0) == [
        [1, *(encode("all") + [-1] * 4)[:4]]
    ]
    assert observed(model, {"messages": []}) == [[-1] * 5] * 2
    for text in ("", "😀" * 5_000, "你好", "\ud800"):
        first, second = observed(model, {"text": text})
        assert first[0] == 1 and second == [-1] * 5


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, r'info\["text"\] is None'),
        ({"text": 3}, r'info\["text"\] is 3'),
        ({"messages": "hello"}, "is 'hello', and no list"),
        ({"messages": ["hello"]}, "and one is 'hello'"),
        ({"messages": [{"role": "user", "content": None}]}, "'content': None"),
    ],
)
def test_what_is_no_message_is_a_sentence(model, info, said):
    with pytest.raises(UserError, match=said):
        observed(model, info)


@pytest.mark.parametrize("place", ["observation", "info"])
def test_illegal_actions_stay_illegal(model, place):
    mask = np.array([0, 1], np.int8)
    env = Said({"text": "x"} | ({"action_mask": mask} if place == "info" else {}))
    if place == "observation":
        text = gym.spaces.Text(9)
        env.observation_space = gym.spaces.Dict(
            observation=text, action_mask=gym.spaces.MultiBinary(2)
        )
        env.reset = lambda *, seed=None, options=None: (
            {"observation": "x", "action_mask": mask},
            env.info,
        )
        env.step = lambda action: (env.reset()[0], 0.0, False, False, env.info)
    checked = CheckedEnv(MessageTokens(env, DQNConfig(language_model=model)), "It")
    checked.reset(seed=1)
    assert checked.is_masked and checked.mask.tolist() == [False, True]
    if place == "observation":
        mask[:] = [1, 1]
        checked.step(1)
        assert checked.mask.all()


def test_helpdesk_tells_its_messages(model):
    config = DQNConfig(env="dqn_tf/Helpdesk-v0", language_model=model, total_steps=3_000)
    env = registry.make_env(config)
    observation, info = env.reset(seed=1)
    assert info["messages"] == [{"role": "user", "content": info["text"]}]
    for turn in range(1, 5):
        action = env.get_wrapper_attr("best_action")()
        observation, _, ended, _, info = env.step(action)
        if ended:
            break
        roles = [message["role"] for message in info["messages"]]
        assert roles == ["user", *["assistant", "user"] * turn]
        assert all(message["content"] in info["text"] for message in info["messages"])
        assert observation.reshape(7, -1)[:, 0].tolist()[: 1 + 2 * turn] == [1, *[2, 1] * turn]
    spaces = registry.spaces(config)
    assert (spaces.messages, spaces.padding, spaces.category_start) == (7, -1, -1)
    assert set(env.get_wrapper_attr("get_action_meanings")()) < set(registry.texts(config))
    columns = registry.corpus(config)
    assert columns["observation"].shape[1:] == spaces.observation_shape
    assert np.unique(columns["episode"]).size == 2_000
