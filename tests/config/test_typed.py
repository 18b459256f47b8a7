"""The flags that make a configuration make just this one again."""

import shlex

import pytest

from dqn_tf.config import presets
from dqn_tf.config.typed import training_flags
from dqn_tf.training.flags import parse_training_flags

HELPDESK = "dqn_tf/Helpdesk-v0"


@pytest.mark.parametrize(
    ("env", "overrides", "count"),
    [
        ("CartPole-v1", {}, 0),
        ("Unknown-v0", {"hidden_units": (32,), "env_kwargs": {"text": "it's $HOME"}}, 2),
        ("Unknown-v0", {"total_steps": 50_000}, 1),  # of which half explore
        ("LunarLander-v3", {"total_steps": 300_000}, 1),  # a long run has more
        ("LunarLander-v3", {"total_steps": 300_000, "huber_delta": 1.0}, 2),
        # what the preset has beside a language model
        (HELPDESK, {"language_model": "smollm2", "dropout": 0.0, "total_steps": 80_000}, 3),
        (HELPDESK, {"language_model": "smollm2", "fine_tune": "lora"}, 2),
        (HELPDESK, {"language_model": "smollm2", "dialogue": "text"}, 2),
        # exploration begins with its end
        ("CartPole-v1", {"initial_weights": "runs/first"}, 1),
        ("CartPole-v1", {"initial_weights": "runs/first", "epsilon_start": 1.0}, 2),
        ("dqn_tf/GraphWalk-v0", {"data": ()}, 1),
        ("CartPole-v1", {"workers": 2, "num_envs": 8}, 2),
        ("CartPole-v1", {"workers": 8, "num_envs": 8, "shard_envs": 1}, 3),
    ],
)
def test_the_flags_make_the_same_and_none_is_too_many(env, overrides, count):
    config = presets.configure(env, overrides)
    words = shlex.split(" ".join(training_flags(config)))
    assert words[0] == f"--env={env}" and len(words) == 1 + count
    typed = parse_training_flags(["train.py", *words]).overrides
    assert presets.configure(typed["env"], typed) == config


def test_a_rate_that_does_not_fall_where_the_presets_does():
    config = presets.configure("CartPole-v1", {"learning_rate_end": None})
    assert training_flags(config)[1:] == ["--learning_rate_end=0.01"]


def test_what_is_left_out():
    config = presets.configure("Unknown-v0", {"seed": 3, "gamma": 0.5})
    assert training_flags(config, left_out=["seed"]) == ["--env=Unknown-v0", "--gamma=0.5"]
