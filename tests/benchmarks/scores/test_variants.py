"""benchmarks.scores.variants: what a variant is, and how its settings are told apart."""

import pytest
from absl import flags

from benchmarks.scores import published, variants
from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets


def test_variants_stand_on_plain_dqn():
    for env, preset in presets.PRESETS.items():
        # benchmarks.language and benchmarks.graph_walk measure these
        if "data" in preset.plain | preset.recommended:
            continue
        plain = variants.configure(env, "dqn", 0, {})
        assert (
            not any((plain.double, plain.dueling, plain.prioritized, plain.noisy, plain.munchausen))
            and plain.n_step == 1
        )
        assert plain.distribution == "none"
        for variant, changes in variants.VARIANTS.items():
            config = variants.configure(env, variant, 0, {})
            assert all(getattr(config, name) == value for name, value in changes.items())
        for typed in ({}, {"total_steps": 10**6}):
            compared = variants.configure(env, "recommended", 3, typed).to_dict()
            trained = presets.configure(env, {"seed": 3} | typed).to_dict()
            differing = {name for name in compared if compared[name] != trained[name]}
            of_test = {"test_episodes", "test_epsilon", "finalists"}
            as_published = of_test if env.startswith("MinAtar/") else set()
            assert differing <= {"evaluation_period_env_steps"} | as_published


def test_minatar_is_tested_as_its_published_scores_are():
    for game in ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders"):
        config = variants.configure(f"MinAtar/{game}-v1", "dqn", 0, {})
        assert (config.test_episodes, config.test_epsilon) == (1_000, 0.01)
        assert published.AIMS[config.env][0].total_steps == config.total_steps
    own = variants.configure("MinAtar/Asterix-v1", "dqn", 0, {"test_episodes": 7})
    assert own.test_episodes == 7


def test_hash_tells_settings_apart_and_seeds_not():
    config = variants.configure("CartPole-v1", "dqn", 0, {})
    assert variants.config_hash(config) == variants.config_hash(
        variants.configure("CartPole-v1", "dqn", 5, {})
    )
    hashes = {
        variants.config_hash(variants.configure("CartPole-v1", variant, 0, {}))
        for variant in variants.VARIANTS
        if variant != "recommended"
    }
    assert len(hashes) == len(variants.VARIANTS) - 1
    assert variants.config_hash(config) != variants.config_hash(
        variants.configure("CartPole-v1", "dqn", 0, {"gamma": 0.5})
    )


def test_a_step_size_that_does_not_fall_is_typed_as_one_that_ends_where_it_begins():
    constant = {"learning_rate": 0.003, "learning_rate_end": None}
    words = variants.settings(variants.configure("Acrobot-v1", "dqn", 0, constant))
    assert "--learning_rate_end=0.003" in words.split() and "None" not in words


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_settings_are_the_flags_that_repeat_a_run(variant):
    config = variants.configure("Acrobot-v1", variant, 0, {"hidden_units": (8, 9)})
    values = flags.FlagValues()
    config_flags.define_config_flags(values)
    values(["train.py", *variants.settings(config).split()])
    overrides = config_flags.config_overrides(values.flag_values_dict())
    assert presets.configure("Acrobot-v1", overrides | {"seed": 0}) == config
