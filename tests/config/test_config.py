"""dqn_tf.config.dqn_config and dqn_tf.config.presets: one set of defaults, each checked."""

import dataclasses
import json
import math

import pytest

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import FIXED_ON_RESUME, DQNConfig
from dqn_tf.support.errors import UserError


def test_a_config_survives_json():
    config = DQNConfig(seed=7, hidden_units=(32, 16), learning_rate_end=1e-5, total_steps=2000)
    assert DQNConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DQNConfig().seed = 1


def test_every_field_says_what_it_is():
    for field in dataclasses.fields(DQNConfig):
        assert field.metadata["help"] and field.metadata["group"], field.name
        if field.name.endswith("_env_steps"):
            assert field.metadata["unit"] == "environment steps", field.name


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="gama, which this version of dqn_tf does not know"):
        DQNConfig.from_dict({"gama": 0.9})


def test_a_former_setting_is_read_where_it_changed_nothing():
    assert DQNConfig.from_dict({"precision": "float32"}) == DQNConfig()
    with pytest.raises(UserError, match="precision, which this version of dqn_tf does not know"):
        DQNConfig.from_dict({"precision": "bfloat16"})


def test_fields_fixed_on_resume_exist():
    assert set(FIXED_ON_RESUME) <= {field.name for field in dataclasses.fields(DQNConfig)}


@pytest.mark.parametrize("env", presets.PRESETS)
def test_presets_are_valid_and_say_what_they_reach(env):
    preset = presets.PRESETS[env]
    config = presets.configure(env, {})
    assert config.env == env and preset.claim
    defaults = DQNConfig(env=env)
    assert all(getattr(defaults, name) != value for name, value in preset.values.items()), (
        "a preset repeats a default"
    )


def test_overrides_win_over_the_preset():
    assert presets.configure("CartPole-v1", {"total_steps": 1234}).total_steps == 1234


# Each bad value is refused with a sentence that names it.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", -0.1),
        ("gamma", 1.1),
        ("gamma", math.nan),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate_end", -1.0),
        ("optimizer_epsilon", 0.0),
        ("max_gradient_norm", -1.0),
        ("epsilon_start", 1.5),
        ("epsilon_end", -0.1),
        ("epsilon_end", math.nan),
        ("epsilon_decay_env_steps", -1),
        ("tau", 2.0),
        ("huber_delta", 0.0),
        ("batch_size", 0),
        ("total_steps", 0),
        ("total_steps", -5),
        ("num_envs", 0),
        ("replay_capacity", 0),
        ("warmup_env_steps", -1),
        ("env_steps_per_update", 0.0),
        ("updates_per_block", 0),
        ("target_update_period_env_steps", 0),
        ("evaluation_period_env_steps", -1),
        ("evaluation_episodes", 0),
        ("test_episodes", 0),
        ("checkpoint_period_env_steps", -1),
        ("log_period_env_steps", 0),
        ("seed", -1),
        ("seed", 2**32),
        ("env", ""),
        ("env", "  "),
        ("network", "resnet"),
        ("loss", "l1"),
        ("optimizer", "sgd"),
        ("export_weights", "first"),
        ("hidden_units", (64, 0)),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(UserError, match=f"^--{name}=.*: must be .+\\.$"):
        DQNConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 0),
        ("seed", 2**32 - 1),
        ("gamma", 0.0),
        ("gamma", 1.0),
        ("epsilon_end", 0.0),
        ("hidden_units", ()),
        ("learning_rate_end", 0.0),
        ("evaluation_period_env_steps", 0),
    ],
)
def test_a_value_at_its_bound_is_taken(name, value):
    assert getattr(DQNConfig(**{name: value}), name) == value


# Fields that contradict each other.
@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"batch_size": 200, "replay_capacity": 100}, ("batch_size=200", "replay_capacity=100")),
        ({"warmup_env_steps": 100, "batch_size": 101}, ("warmup_env_steps=100", "batch_size=101")),
        (
            {"warmup_env_steps": 500, "total_steps": 500},
            ("warmup_env_steps=500", "total_steps=500"),
        ),
        (
            {"export_weights": "best", "evaluation_period_env_steps": 0},
            ("export_weights=best", "evaluation_period_env_steps"),
        ),
    ],
)
def test_fields_that_contradict_each_other_are_named(values, names):
    with pytest.raises(UserError) as refusal:
        DQNConfig(**values)
    assert all(f"--{name}" in str(refusal.value) for name in names)
