"""From a configuration to an environment: arguments, wrappers, and instances."""

import dataclasses
import importlib.util
import json
import os
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

import faulty
from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.evaluation.find_export import Version
from dqn_tf.evaluation.plan import configuration
from dqn_tf.support.errors import UserError

FLATTEN = "gymnasium.wrappers:FlattenObservation"


class ImageOnly(gym.ObservationWrapper):
    """Shows one part of a Dict."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = env.observation_space["image"]

    def observation(self, observation):
        return observation["image"]


def broken(env):
    raise RuntimeError("no wrapper")


def nothing(env):
    return None


def test_arguments_reach_the_environment():
    spaces = registry.spaces(DQNConfig(env="faulty:Sized-v0", env_kwargs={"size": 5}))
    assert spaces.observation_shape == (5,)
    env = registry.make_env(
        DQNConfig(env="FrozenLake-v1", env_kwargs={"map_name": "8x8", "is_slippery": False})
    )
    assert env.observation_space.n == 64
    limited = DQNConfig(env="CartPole-v1", env_kwargs={"max_episode_steps": 7})
    assert registry.maker(limited).time_limit == 7


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({}, "Its arguments are given by --env_kwargs"),
        ({"size": "five"}, r"\(with --env_kwargs=\'{\"size\": \"five\"}\'\)"),
        ({"width": 5}, "unexpected keyword argument 'width'"),
        ({"id": "CartPole-v1"}, "multiple values for argument 'id'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_a_sentence(kwargs, sentence):
    with pytest.raises(UserError, match=f"^--env=faulty:Sized-v0: .*{sentence}"):
        registry.maker(DQNConfig(env="faulty:Sized-v0", env_kwargs=kwargs))


def test_arguments_are_kept_as_json_has_them():
    given = {"continuous": False, "shape": (3, 4)}
    config = DQNConfig(env="CartPole-v1", env_kwargs=given)
    assert config.env_kwargs == {"continuous": False, "shape": [3, 4]}
    assert DQNConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    given["continuous"] = True
    assert config.env_kwargs["continuous"] is False and DQNConfig().env_kwargs == {}
    assert len({config, DQNConfig(env="CartPole-v1", env_kwargs=given), config}) == 2
    values = dict.fromkeys(config.to_dict()) | {"env_kwargs": '{"continuous": false}'}
    assert config_flags.config_overrides(values) == {"env_kwargs": {"continuous": False}}


@pytest.mark.parametrize(
    "text", ["[1]", "{", "continuous=False", "3", "null", "{'a': 1}", "[" * 9999]
)
def test_what_is_no_json_object_is_refused(text):
    values = dict.fromkeys(DQNConfig().to_dict()) | {"env_kwargs": text}
    with pytest.raises(UserError, match=r"^--env_kwargs=.*must be a JSON object of arguments such"):
        config_flags.config_overrides(values)


@pytest.mark.parametrize("value", [{1: 2}, {"map": {0: "a"}}, {"rows": [{"cells": ({2: 1},)}]}])
def test_a_name_that_json_would_make_a_text_of_is_refused(value):
    with pytest.raises(UserError, match="must be a JSON object of arguments"):
        DQNConfig(env_kwargs=value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {"a": np.nan}, {"a": {1, 2}}, [], "x"])
def test_what_json_does_not_hold_is_refused(value):
    with pytest.raises(UserError, match=r"^--env_kwargs=.*must be a JSON object"):
        DQNConfig(env_kwargs=value)


@pytest.mark.parametrize("changes", [{"env": "ALE/Pong-v5"}, {"engine": "graph"}], ids=str)
def test_arguments_are_refused_where_nothing_takes_them(changes):
    for given in ({"env_kwargs": {"a": 1}}, {"env_wrappers": FLATTEN}):
        with pytest.raises(UserError, match=f"^--{next(iter(given))}="):
            DQNConfig(**changes | given)


def test_wrappers_are_put_around():
    spaces = registry.spaces(DQNConfig(env="faulty:Parts-v0", env_wrappers=FLATTEN))
    assert spaces.observation_shape == (6,)
    both = f"{__name__}:ImageOnly,{FLATTEN}"
    assert registry.spaces(
        DQNConfig(env="faulty:Parts-v0", env_wrappers=both)
    ).observation_shape == (2,)


def test_parts_become_one_vector_without_a_wrapper_and_as_with_gymnasiums():
    plain, wrapped = (
        registry.spaces(DQNConfig(env="faulty:Parts-v0", env_wrappers=wrappers))
        for wrappers in ("", FLATTEN)
    )
    assert plain == wrapped


def test_what_cannot_be_one_vector_is_told_a_wrapper():
    with pytest.raises(UserError, match="--env_wrappers=dqn_tf.envs.minigrid_cells:Cells"):
        registry.spaces(DQNConfig(env="faulty:GraphObservations-v0"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gymnasium.wrappers:NoSuch", "has nothing named 'NoSuch'"),
        ("no_such_module:Wrapper", "no module named 'no_such_module'"),
        (f"{__name__}:broken", "raised RuntimeError: no wrapper"),
        ("gymnasium.wrappers:TimeLimit", "TypeError: .* missing 1 required"),
        (f"{__name__}:nothing", "what was made is no gymnasium.Env, but None"),
    ],
)
def test_wrong_wrappers_are_a_sentence(name, sentence):
    with pytest.raises(UserError, match=sentence):
        registry.maker(DQNConfig(env="CartPole-v1", env_wrappers=name))
    with pytest.raises(UserError, match="^--env_wrappers=TimeLimit: must be empty, or names such"):
        DQNConfig(env_wrappers="TimeLimit")


@pytest.mark.skipif(importlib.util.find_spec("minigrid") is not None, reason="it is installed")
def test_minigrid_is_told_what_to_install_and_to_add():
    for env in ("MiniGrid-Empty-5x5-v0", "minigrid:MiniGrid-Empty-5x5-v0", "BabyAI-GoToObj-v0"):
        with pytest.raises(UserError) as told:
            registry.maker(DQNConfig(env=env))
        assert "pip install minigrid" in str(told.value)
        assert "--env_wrappers=dqn_tf.envs.minigrid_cells:Cells" in str(told.value)


def version(path, **config) -> Version:
    return Version(path, {"env": "FrozenLake-v1", "config": config})


def test_an_evaluation_plays_what_was_trained_on(tmp_path):
    kwargs = {"map_name": "8x8"}
    trained = version(tmp_path, env_kwargs=kwargs, env_wrappers=FLATTEN)
    config = configuration([trained], None)
    assert (config.env_kwargs, config.env_wrappers) == (kwargs, FLATTEN)
    assert configuration([trained], "FrozenLake-v1").env_kwargs == kwargs
    assert configuration([trained], "CartPole-v1").env_kwargs == {}
    assert configuration([trained], None, {"env_kwargs": {}}).env_kwargs == {}
    assert configuration([version(tmp_path)], None).env_kwargs == {}
    two = [trained, version(tmp_path, env_wrappers=FLATTEN)]
    with pytest.raises(
        UserError, match=r"different protocols: env_kwargs .* Say with --env_kwargs"
    ):
        configuration(two, None)
    assert configuration(two, None, {"env_kwargs": kwargs}).env_kwargs == kwargs


def test_statistics_of_one_instance_are_warned_of():
    plain = presets.configure("CartPole-v1", {})
    normalized = dataclasses.replace(plain, env_wrappers="gymnasium.wrappers:NormalizeObservation")
    assert registry.maker(plain).caveats == []
    (sentence,) = registry.maker(normalized).caveats
    assert sentence.startswith("note: NormalizeObservation keeps statistics of what its own")


class Moving(CartPoleEnv):
    """A simulator that changes into a directory of its own."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        os.chdir("/")


def test_an_environment_moves_nobody(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    gym.register("Moving-v0", Moving)
    try:
        registry.maker(presets.configure("Moving-v0", {})).spaces  # noqa: B018
        assert Path.cwd() == tmp_path
    finally:
        del gym.registry["Moving-v0"]


def test_one_instance_serves_all_that_is_asked():
    faulty.OnlyOne.made = 0
    make = registry.maker(DQNConfig(env="faulty:OnlyOne-v0"))
    assert make.spaces.actions == 2 and make.names == {}
    env = make()
    assert faulty.OnlyOne.made == 1
    with pytest.raises(UserError, match="Address already in use"):
        make()
    env.close()
    make().close()
    make.close()
    assert faulty.OnlyOne.living == 0


class Stacks(gym.Wrapper):
    """As users write one: its attribute has nothing to do with dqn_tf."""

    stack = 4


def test_a_wrappers_own_attribute_is_no_stack_of_pictures():
    config = DQNConfig(env="CartPole-v1", env_wrappers=f"{__name__}:Stacks")
    assert registry.spaces(config).stack == 0


def test_the_registered_threshold_is_that_of_the_registered_environment():
    assert registry.maker(DQNConfig(env="FrozenLake-v1")).reward_threshold == 0.7
    larger = DQNConfig(env="FrozenLake-v1", env_kwargs={"map_name": "8x8"})
    assert registry.maker(larger).reward_threshold is None


def modules_of(package: str) -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == package]


def test_a_package_that_is_there_and_broken_is_named(tmp_path, monkeypatch):
    for name in modules_of("minatar"):
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "minatar").mkdir()
    (tmp_path / "minatar" / "__init__.py").touch()
    (tmp_path / "minatar" / "gym.py").write_text("import no_such_part\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"minatar\.gym is installed and cannot be imported: .*no_"):
        registry.maker(DQNConfig(env="MinAtar/Breakout-v1"))
    for name in modules_of("minatar"):  # else the tests that follow would have the broken one
        del sys.modules[name]


def test_a_reset_without_options_is_told_what_gymnasium_asks_for():
    class Old(gym.Env):
        observation_space = gym.spaces.Discrete(2)
        action_space = gym.spaces.Discrete(2)

        def reset(self, seed=None):
            return 0, {}

    with pytest.raises(UserError, match=r"Gymnasium's reset takes `\*, seed=None, options=None`"):
        CheckedEnv(gym.wrappers.TimeLimit(Old(), 5), "It").reset(seed=1)
