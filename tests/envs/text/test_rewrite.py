"""dqn_tf/Rewrite-v0: the three tasks, both rewards, and the yardsticks."""

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.text import exact
from dqn_tf.envs.text.rewrite import ENV_ID, Rewrite
from dqn_tf.support.errors import UserError


def answer(env, prompt: list[int], symbols: list[int]) -> list[tuple]:
    """Reward, terminated and truncated of each symbol."""
    env.reset(options={"prompt": prompt})
    return [env.step(symbol + env.action_space.start)[1:4] for symbol in symbols]


def said(env) -> str:
    """The observation in words."""
    return " ".join(env.tokens[number] for number in env.observation() if number)


@pytest.mark.parametrize(
    "task, prompt, right",
    [
        ("copy", [3, 1, 4], [3, 1, 4]),
        ("reverse", [3, 1, 4], [4, 1, 3]),
        ("count", [4], [5, 0, 1]),
    ],
)
def test_right_answers_pay_one_in_all(task, prompt, right):
    env = Rewrite(task, length=3, symbols=6)
    steps = answer(env, prompt, right)
    assert [step[1:] for step in steps] == [(False, False)] * 2 + [(True, False)]
    assert [step[0] for step in steps] == [1 / 3] * 3
    assert said(env) == " ".join([task, *map(str, prompt), "=", *map(str, right)])
    at_the_end = Rewrite(task, length=3, symbols=6, reward="end")
    assert [step[0] for step in answer(at_the_end, prompt, right)] == [0.0, 0.0, 1.0]


def test_a_wrong_token_pays_nothing_and_the_answer_goes_on():
    steps = answer(Rewrite("copy", length=3, symbols=6), [3, 1, 4], [3, 3, 4])
    assert [step[0] for step in steps] == [1 / 3, 0.0, 1 / 3]
    at_the_end = Rewrite("copy", length=3, symbols=6, reward="end")
    assert [step[0] for step in answer(at_the_end, [3, 1, 4], [3, 3, 4])] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("reward, mean", [("token", 1 / 12), ("end", 12.0**-8)])
def test_the_yardsticks(reward, mean):
    env = Rewrite(reward=reward)
    model = env.model()
    assert env.optimal_return() == pytest.approx(1.0)
    assert exact.mean_return(model, exact.uniform(model)) == pytest.approx(mean)
    assert exact.success(model, exact.uniform(model)) == pytest.approx(12.0**-8)


@pytest.mark.parametrize("task", ["copy", "reverse", "count"])
def test_gymnasium_finds_nothing_to_say_about_it(task):
    check_env(gym.make(ENV_ID, task=task).unwrapped, skip_render_check=True)
    spaces = registry.spaces(presets.configure(ENV_ID, {"env_kwargs": {"task": task}}))
    length = 11 if task == "count" else 18
    assert (spaces.observation_shape, spaces.actions, spaces.action_start) == ((length,), 12, 5)


def test_prompts_depend_on_the_seed_alone():
    env = Rewrite()
    prompts = [tuple(env.reset(seed=seed)[0]) for seed in range(50)]
    assert prompts == [tuple(Rewrite().reset(seed=seed)[0]) for seed in range(50)]
    assert len(set(prompts)) == 50


def test_mistakes_are_told_in_a_sentence():
    for arguments, sentence in (
        ({"task": "sort"}, "task=sort is none of copy, reverse, count"),
        ({"reward": "none"}, "reward=none is none of token, end"),
        ({"length": 0}, "length=0 must be a whole number from 1 to 1000"),
        ({"symbols": 1}, "symbols=1 must be a whole number from 2 to 1000"),
        ({"symbols": "many"}, "symbols='many' must be a whole number"),
    ):
        with pytest.raises(UserError, match=sentence):
            Rewrite(**arguments)
    with pytest.raises(UserError, match="must be 8 numbers from 0 to 11"):
        Rewrite().reset(options={"prompt": [1, 2]})
