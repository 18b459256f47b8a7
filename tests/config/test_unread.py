"""What was typed and is not read is said, and only that."""

import dataclasses
import functools

import pytest

import small_runs
from command_server import run
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import unread
from dqn_tf.config.conditions import is_any_met
from dqn_tf.config.dqn_config import FIELDS, DQNConfig
from dqn_tf.training import trainer

SMALL = DQNConfig(
    **small_runs.SMALL
    | {"hidden_units": (8,), "total_steps": 150, "evaluation_period_env_steps": 0}
)
# settings by which a run differs, wherever they are read
OTHER_VALUES = {
    "heads": 4,
    "layers": 3,
    "width": 32,
    "noisy_sigma": 0.1,
    "priority_alpha": 0.3,
    "priority_beta_start": 0.9,
    "atoms": 21,
    "munchausen_alpha": 0.3,
    "munchausen_temperature": 0.3,
    "munchausen_clip": -0.1,
    "v_min": -0.2,
    "v_max": 0.2,
    "data_share": 0.1,
    "explore_support": 0.5,
    "imitation_loss": "margin",
    "imitation_margin": 2.0,
    "language_layers": 1,
    "lora_rank": 2,
    "lora_layers": 1,
    "dialogue": "text",
    "max_messages": 3,
    "message_tokens": 5,
    "language_prompt": "x {text}",
    "skip_tokens": 1,
    "evaluation_episodes": 3,
    "finalists": 2,
    "worker_timeout": 7.0,
}


@functools.cache
def trained(config: DQNConfig) -> str:
    """The hash of what a run of this configuration learned."""
    (run_,) = trainer.make_runs([config], say=lambda _: None)
    try:
        trainer.run_blocks([run_])
        return weights_sha256(run_.agent.online.get_weights())
    finally:
        run_.close()


def assert_changes_nothing(base: DQNConfig, network: str, **values) -> None:
    changed = dataclasses.replace(base, **values)
    assert len(unread.explain(changed, network, values)) == len(values)
    assert trained(changed) == trained(base)


def test_what_is_said_to_change_nothing_changes_nothing():
    assert_changes_nothing(SMALL, "mlp", **OTHER_VALUES)


@pytest.mark.parametrize(
    "others, values",
    [
        ({"noisy": True}, {"epsilon_start": 0.2, "epsilon_end": 0.1, "epsilon_decay_env_steps": 5}),
        ({"distribution": "c51"}, {"loss": "mse", "huber_delta": 9.0}),
        ({"distribution": "quantile"}, {"loss": "mse", "v_max": 9.0}),
        ({"loss": "mse"}, {"huber_delta": 0.01}),
        ({"epsilon_schedule": "0:1,100:0.5"}, {"epsilon_start": 0.2, "epsilon_end": 0.1}),
    ],
)
def test_what_others_take_the_place_of_changes_nothing(others, values):
    assert_changes_nothing(dataclasses.replace(SMALL, **others), "mlp", **values)


@pytest.mark.parametrize(
    "others, values",
    [
        ({"noisy": True}, {"noisy_sigma": 0.1}),
        ({"distribution": "quantile", "loss": "mse"}, {"huber_delta": 0.01}),
        ({"clip_targets": True}, {"v_max": 0.1}),
        ({"epsilon_decay_env_steps": 10}, {"epsilon_end": 0.9}),
    ],
)
def test_what_is_read_is_not_complained_of(others, values):
    base = dataclasses.replace(SMALL, **others)
    changed = dataclasses.replace(base, **values)
    assert unread.explain(changed, "mlp", values) == []
    assert trained(changed) != trained(base)


def test_a_period_shorter_than_a_block_is_told_what_happens():
    config = DQNConfig(env_steps_per_update=1000, evaluation_period_env_steps=2000)
    (sentence,) = unread.explain(config, "mlp", ["evaluation_period_env_steps"])
    assert "=2000: what is due is done after a block, of 16,000 environment steps" in sentence
    assert unread.explain(config, "mlp", []) == []
    for changes in ({"updates_per_block": 2}, {"engine": "graph"}):
        changed = dataclasses.replace(config, **changes)
        assert unread.explain(changed, "mlp", ["evaluation_period_env_steps"]) == []


def test_a_target_that_never_moves_is_told():
    assert unread.explain(DQNConfig(tau=0.5), "mlp", ["tau"]) == []
    (sentence,) = unread.explain(DQNConfig(tau=0), "mlp", ["tau"])
    assert sentence.startswith("--tau=0 never moves the target network")


def test_the_users_own_torso_may_read_any_setting():
    config = dataclasses.replace(SMALL, network="my_module:MyTorso")
    typed = ("layers", "heads", "width", "hidden_units")
    assert unread.explain(config, "my_module:MyTorso", typed) == []


def test_conditions_are_of_other_settings_and_of_values_that_these_may_have():
    values = dataclasses.asdict(DQNConfig())
    for field in FIELDS.values():
        is_any_met(field.metadata["when"], values)  # raises if a name is none of a setting
        for condition in field.metadata["when"]:
            assert field.name not in condition
            for name, allowed in condition.items():
                allowed_there = FIELDS[name].metadata["allowed"]
                if isinstance(allowed, tuple) and allowed_there is not None:
                    assert all(value is None or value in allowed_there for value in allowed)


def test_a_run_without_an_update_is_told_so():
    config = dataclasses.replace(SMALL, env_steps_per_update=87.0)
    (sentence,) = unread.explain(config, "mlp", ())
    assert sentence.startswith(
        "Nothing is learned: the 86 steps of --total_steps=150 after warm-up"
    )
    assert unread.explain(dataclasses.replace(SMALL, env_steps_per_update=86.0), "mlp", ()) == []


def test_a_run_says_it_of_what_was_typed_alone(tmp_path):
    words = small_runs.small_run(
        tmp_path, noisy_sigma=0.3, explore_support=0.1, clip_rewards="true"
    )
    status, text = run(words, tmp_path)
    assert status == 0
    lines = [line for line in text.splitlines() if "changes nothing" in line]
    assert lines == [
        "--noisy_sigma=0.3 changes nothing here: it is read where --noisy is on.",
        "--explore_support=0.1 changes nothing here: it is read where --explore_with is support.",
        "--clip_rewards changes nothing here: it is read where --env is an Atari game (ALE/...).",
    ]
