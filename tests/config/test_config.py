"""dqn_tf.config.dqn_config and dqn_tf.config.presets: one set of defaults, each checked."""

import dataclasses
import json
import math

import numpy as np
import pytest

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import FIXED_ON_RESUME, DQNConfig
from dqn_tf.config.language_checks import OF_MODEL_TORSO
from dqn_tf.config.ranges import Choice, Format, Range
from dqn_tf.config.settings.logged import LoggedDataSettings
from dqn_tf.config.text_presets import WITH_LANGUAGE_MODEL
from dqn_tf.support.errors import UserError
from dqn_tf.training import flags as training_flags


def test_a_config_survives_json():
    config = DQNConfig(seed=7, hidden_units=(32, 16), learning_rate_end=1e-5, total_steps=2000)
    assert DQNConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert DQNConfig(hidden_units=[32, 16]).hidden_units == (32, 16)


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


def test_a_batch_of_episodes_needs_one_episode():
    """It is drawn with replacement, and a window of many steps lies within an episode's row."""
    DQNConfig(replay_unit="episode", warmup_env_steps=8, num_envs=8, batch_size=64)
    DQNConfig(replay_unit="episode", n_step=200, replay_capacity=150)


def test_a_former_setting_is_read_where_it_changed_nothing():
    assert DQNConfig.from_dict({"precision": "float32"}) == DQNConfig()
    with pytest.raises(UserError, match="precision, which this version of dqn_tf does not know"):
        DQNConfig.from_dict({"precision": "bfloat16"})


def test_what_shapes_a_checkpoint_is_fixed_on_resume():
    shapes = {"env", "seed", "engine", "num_envs", "network", "hidden_units", "optimizer"}
    heads = {"dueling", "noisy", "distribution", "atoms", "v_min", "v_max"}
    rows = {"n_step", "prioritized", "collector", "replay_unit", "replay_eviction"}
    atari = {"frame_skip", "noop_max", "sticky_actions", "full_action_space", "max_frames"}
    assert set(FIXED_ON_RESUME) >= shapes | heads | rows | atari | {"screen_size"}
    assert not {"learning_rate", "gamma", "total_steps"} & set(FIXED_ON_RESUME)


def test_a_search_can_read_what_a_setting_may_be():
    allowed = {field.name: field.metadata["allowed"] for field in dataclasses.fields(DQNConfig)}
    learning_rate = allowed["learning_rate"]
    assert isinstance(learning_rate, Range) and learning_rate.log and learning_rate.above == 0
    assert (allowed["gamma"].low, allowed["gamma"].high, allowed["gamma"].log) == (0.0, 1.0, False)
    assert isinstance(allowed["loss"], Choice) and allowed["loss"].names == ("huber", "mse")


@pytest.mark.parametrize(
    ("allowed", "values", "others", "text"),
    [
        (Range(low=1), (1, 2.5), (0, math.inf, math.nan), "at least 1"),
        (
            Range(above=0),
            (1e-9,),
            (0, 1e-60, 1e39, math.inf),
            "a number above 0 that float32 holds",
        ),
        (Range(0.0, 1.0), (0.0, 1.0), (-0.1, 1.1, math.nan), "from 0.0 to 1.0"),
        (Range(high=0), (0, -3), (1, -math.inf), "a finite number, at most 0"),
        (Range(), (-3.0, 0), (1e-60, -1e39, math.nan, math.inf), "a finite number"),
        (Choice("a", "b"), ("a",), ("c", "my_module:A"), "one of a, b"),
        (Choice("a", own="A"), ("a", "my_module:A"), ("c", ":A", "m:"), "a or my_module:A"),
        (Format("two words", lambda value: len(value.split()) == 2), ("a b",), ("a",), "two words"),
    ],
)
def test_ranges_hold_values_and_say_what_they_hold(allowed, values, others, text):
    assert all(value in allowed for value in values)
    assert not any(value in allowed for value in others)
    assert str(allowed) == text


@pytest.mark.parametrize("env", presets.PRESETS)
def test_presets_are_valid_and_say_what_they_reach(env):
    preset = presets.PRESETS[env]
    config = presets.configure(env, {})
    assert config.env == env and preset.claim
    defaults = DQNConfig(env=env)
    values = preset.plain | preset.recommended
    assert all(getattr(defaults, name) != value for name, value in values.items()), (
        "a preset repeats a default"
    )


@pytest.mark.parametrize(
    ("env", "typed", "left_out"),
    [
        ("MinAtar/Breakout-v1", {"double": True}, "munchausen"),
        ("MinAtar/Breakout-v1", {"distribution": "quantile"}, "munchausen"),
        ("MinAtar/Breakout-v1", presets.RAINBOW, "munchausen"),
        ("MinAtar/Breakout-v1", {"data": ("logged.csv",), "support": 0.3}, "munchausen"),
        ("Acrobot-v1", {"munchausen": True}, "double"),
        ("ALE/Pong-v4", {"munchausen": True}, "double"),
    ],
)
def test_a_typed_bootstrap_takes_the_place_of_the_presets(env, typed, left_out):
    assert getattr(presets.configure(env), left_out)
    config = presets.configure(env, typed)
    assert not getattr(config, left_out)
    assert all(getattr(config, name) == value for name, value in typed.items())
    with pytest.raises(UserError, match="cannot be combined"):
        presets.configure(env, typed | {left_out: True})


@pytest.mark.parametrize(
    ("typed", "env"),
    [
        ("ale_py:ALE/Pong-v5", "ALE/Pong-v5"),
        ("minatar:MinAtar/Breakout-v1", "MinAtar/Breakout-v1"),
        ("gymnasium:CartPole-v1", "CartPole-v1"),
        ("gymnasium:CartPole", "CartPole-v1"),
    ],
)
def test_a_module_that_need_not_be_named_changes_nothing(typed, env):
    assert presets.configure(typed) == presets.configure(env)


@pytest.mark.parametrize("env", ["my_module:ALE/Own-v0", "ale_py:Own-v0", "my_module:CartPole-v1"])
def test_a_module_that_must_be_named_stays(env):
    assert presets.configure(env).env == env


def test_a_preset_keeps_a_bootstrap_that_nothing_typed_excludes():
    for typed in ({"double": False}, {"distribution": "none"}, {"support": 0.0}, {"n_step": 2}):
        assert presets.configure("MinAtar/Breakout-v1", typed).munchausen
    assert presets.configure("Acrobot-v1", {"munchausen": False}).double


def test_a_long_run_has_values_of_its_own():
    long_run = presets.PRESETS["LunarLander-v3"].long_run
    usual = presets.configure("LunarLander-v3", {"total_steps": long_run.total_steps - 1})
    longer = presets.configure("LunarLander-v3", {"total_steps": long_run.total_steps})
    for name, value in long_run.values.items():
        assert getattr(longer, name) == value != getattr(usual, name)
    typed = {"total_steps": 2 * long_run.total_steps, "huber_delta": 5.0}
    assert presets.configure("LunarLander-v3", typed).huber_delta == 5.0
    with pytest.raises(UserError, match="--total_steps=many"):
        presets.configure("LunarLander-v3", {"total_steps": "many"})


@pytest.mark.parametrize("env", WITH_LANGUAGE_MODEL)
def test_a_language_model_has_values_of_its_own(env):
    own = WITH_LANGUAGE_MODEL[env]
    plain, told = (presets.configure(env, model) for model in ({}, {"language_model": "smollm2"}))
    assert all(getattr(told, name) == value for name, value in own.items())
    # a language model has single steps unless it is told otherwise
    told_anew = own.items() - {("replay_unit", plain.replay_unit)}
    assert all(getattr(plain, name) != value for name, value in told_anew)
    dropped = presets.configure(env, {"language_model": "smollm2", "dropout": 0.1})
    assert dropped.dropout == 0.1 and dropped.network == "pretrained"
    whole = {"language_model": "smollm2", "dialogue": "text"}
    assert presets.configure(env, whole).message_tokens == 128
    assert presets.configure(env, whole | {"message_tokens": 9}).message_tokens == 9


@pytest.mark.parametrize("env", WITH_LANGUAGE_MODEL)
@pytest.mark.parametrize("network", ["gru", "transformer"])
def test_another_torso_has_nothing_of_the_layers_above_a_language_model(env, network):
    asked = {"language_model": "smollm2", "network": network, "keep_bias": 0.0}
    config = presets.configure(env, asked)
    assert all(getattr(config, name) == unset for name, unset in OF_MODEL_TORSO.items())
    own = presets.configure(env, asked | {"network": "my_module:MyTorso"})
    model = WITH_LANGUAGE_MODEL[env]
    assert own.feature_noise == model["feature_noise"], "one of the user's own may have them"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fine_tune": "lora"}, "--fine_tune=lora is for the layers above a language model: give"),
        ({"message_torso": "gru"}, "--message_torso=gru is for the layers above a language model"),
        ({"language_model": "m", "network": "gru", "dropout": 0.5}, "--dropout=0.5 is of --netw"),
        (
            {"language_model": "m", "network": "transformer", "message_torso": "gru"},
            "--message_torso=gru is of --network=pretrained, and here --network is transformer.",
        ),
        (
            {"language_model": "m", "choices": "texts", "choice_tokens": 12},
            "--choice_tokens=12 is of choices whose tokens the network learns: .* --message_tokens",
        ),
    ],
)
def test_settings_that_no_torso_would_read_are_refused(values, said):
    with pytest.raises(UserError, match=said):
        DQNConfig(**values)


def test_what_an_earlier_version_saved_is_read_without_what_nothing_reads():
    """Its presets set them for every torso, and they did nothing."""
    saved = {"network": "gru", "language_model": "m", "feature_noise": 1.0, "dropout": 0.5}
    config = DQNConfig.from_dict(saved | {"fine_tune": "lora", "keep_bias": 1.0})
    assert (config.feature_noise, config.dropout, config.fine_tune) == (0.0, 0.0, "head")
    assert config.keep_bias == 1.0
    told = {"network": "transformer", "message_torso": "gru", "keep_bias": 1.0}
    assert DQNConfig.from_dict(saved | told).keep_bias == 0.0
    kept = DQNConfig(language_model="m", feature_noise=0.3, message_torso="gru", keep_bias=1.0)
    assert DQNConfig.from_dict(kept.to_dict()) == kept


def test_settings_that_a_torso_reads_are_taken():
    DQNConfig(language_model="m", choices="texts", choice_tokens=32, message_tokens=32)
    DQNConfig(language_model="m", fine_tune="lora", width=33)  # of no transformer's heads
    DQNConfig(language_model="m", network="my_module:MyTorso", dropout=0.5)
    DQNConfig(language_model="m", network="gru", choices="texts", choice_tokens=12)


def test_without_a_preset_half_of_the_run_explores():
    config = presets.configure("Unknown-v0", {"total_steps": 3_001, "loss": "huber"})
    assert (config.epsilon_decay_env_steps, config.loss) == (1_500, "huber")
    assert presets.configure("Unknown-v0").loss == "mse"
    for env in ("Unknown-v0", "CartPole-v1"):
        assert presets.configure(env, {"learning_rate": 1e-6}).learning_rate_end == 1e-6
        assert presets.configure(env, {"learning_rate": 1e-3}).learning_rate_end == 1e-5
    typed = {"learning_rate": 1e-6, "learning_rate_end": 1e-4}
    assert presets.configure("CartPole-v1", typed).learning_rate_end == 1e-4
    for name in ("learning_rate", "total_steps"):
        with pytest.raises(UserError, match=f"--{name}=many"):
            presets.configure("Unknown-v0", {name: "many"})
    assert presets.configure("CartPole-v1").epsilon_decay_env_steps == 8_000
    assert presets.configure("Unknown-v0", {"total_steps": 0, "offline_updates": 9, "data": ("a",)})


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
        ("total_steps", -5),
        ("num_envs", 0),
        ("replay_capacity", 0),
        ("warmup_env_steps", -1),
        ("env_steps_per_update", 0.0),
        ("env_steps_per_update", 1e-9),
        ("env_steps_per_update", 1e308),
        ("updates_per_block", 0),
        ("updates_per_block", 10**12),
        ("target_update_period_env_steps", 0),
        ("evaluation_period_env_steps", -1),
        ("evaluation_episodes", 0),
        ("test_episodes", 0),
        ("test_epsilon", 1.5),
        ("test_epsilon", float("nan")),
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
        ({"n_step": 101, "replay_capacity": 100, "batch_size": 8}, ("n_step=101", "100 can hold")),
        (
            {"num_envs": 101, "replay_capacity": 100, "batch_size": 8},
            ("num_envs=101", "100 can hold"),
        ),
        (
            {"warmup_env_steps": 140, "n_step": 5, "num_envs": 4},
            ("warmup_env_steps=140", "batch_size=128 and the 4 steps", "n_step=5 waits"),
        ),
        ({"distribution": "c51", "v_min": 1.0, "v_max": 1.0}, ("v_min=1.0", "v_max=1.0")),
        ({"munchausen": True, "distribution": "c51"}, ("munchausen and", "distribution=c51")),
        ({"munchausen": True, "double": True}, ("munchausen and", "nodouble")),
        (
            {"epsilon_schedule": "exponential", "epsilon_end": 0.0},
            ("epsilon_schedule=exponential", "epsilon_end=0"),
        ),
        (
            {"epsilon_schedule": "exponential", "epsilon_start": 0.0},
            ("epsilon_schedule=exponential", "epsilon_start=0"),
        ),
        ({"engine": "graph", "noisy": True}, ("engine=graph has no --noisy", "engine=host")),
        ({"engine": "graph", "prioritized": True}, ("engine=graph has no --prioritized",)),
        (
            {"engine": "graph", "collector": "my_module:MyCollector"},
            ("collector=my_module:MyCollector", "engine=host"),
        ),
        ({"keep_bias": 2.0, "network": "mlp"}, ("--keep_bias=2 is of --network=gru", "mlp")),
        (
            {"engine": "graph", "replay_eviction": "reservoir"},
            ("engine=graph has no --replay_eviction=reservoir", "engine=host"),
        ),
        (
            {"engine": "graph", "replay_unit": "episode"},
            ("engine=graph has no --replay_unit=episode", "engine=host"),
        ),
        (
            {"replay_unit": "episode", "batch_size": 200, "replay_capacity": 100},
            ("batch_size=200", "replay_capacity=100"),
        ),
        (
            {"replay_unit": "episode", "warmup_env_steps": 7, "num_envs": 8},
            ("warmup_env_steps=7", "num_envs=8 with --replay_unit=episode", "must have ended"),
        ),
        ({"frame_skip": 3}, ("frame_skip is of the protocol", "env=CartPole-v1")),
        (
            {"export_weights": "best", "evaluation_period_env_steps": 0},
            ("export_weights=best", "evaluation_period_env_steps"),
        ),
    ],
)
def test_fields_that_contradict_each_other_are_named(values, names):
    with pytest.raises(UserError) as refusal:
        DQNConfig(**values)
    assert all(name in str(refusal.value) for name in names)
    assert str(refusal.value).startswith("--")


def test_updates_are_counted_as_they_are_done():
    config = DQNConfig(total_steps=1_003, warmup_env_steps=1_000, env_steps_per_update=0.1)
    assert config.total_updates == 30  # 3 // 0.1 is 29


def test_numbers_of_numpy_and_of_json_are_pythons():
    config = DQNConfig(
        seed=np.int64(3),
        total_steps=1e5,
        gamma=np.float32(0.5),
        double=np.bool_(True),
        hidden_units=[np.int32(8)],
        tau=1,
    )
    assert config.to_dict() == json.loads(json.dumps(config.to_dict()))
    assert (config.seed, config.total_steps, config.gamma) == (3, 100_000, 0.5)
    assert config.double is True and config.hidden_units == (8,)
    assert type(config.total_steps) is int and config.learning_rate_end is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"double": "no"}, "--double=no: must be true or false"),
        ({"double": 1}, "--double=1: must be true or false"),
        ({"n_step": True}, "--n_step=True: must be a whole number"),
        ({"n_step": 1.5}, "--n_step=1.5: must be a whole number"),
        ({"n_step": math.inf}, "--n_step=inf: must be a whole number"),
        ({"n_step": None}, "--n_step=None: must be a whole number"),
        ({"n_step": [3]}, "--n_step=.*: must be a whole number"),
        ({"gamma": "0.9"}, "--gamma=0.9: must be a number"),
        ({"gamma": {}}, "--gamma={}: must be a number"),
        ({"optimizer": 3}, "--optimizer=3: must be a text"),
        ({"env": ["CartPole-v1"]}, "--env=.*: must be a text"),
        ({"hidden_units": 8}, "--hidden_units=8: must be a list of whole numbers"),
        ({"hidden_units": "88"}, "--hidden_units=88: must be a list of whole numbers"),
        ({"hidden_units": [8, "8"]}, "--hidden_units=.*: must be a list of whole numbers"),
        ({"seed": "1"}, "--seed=1: must be a whole number or null"),
        ({"total_steps": 2**70}, "--total_steps=1180591620717411303424: must be at most 92233720"),
        ({"total_steps": 10**400}, "--total_steps=1000.*: must be at least 0"),
    ],
)
def test_a_value_of_another_kind_is_refused(values, said):
    with pytest.raises(UserError, match=said):
        DQNConfig.from_dict(values)


def test_a_configuration_is_an_object():
    with pytest.raises(UserError, match=r"\[1\] has none"):
        DQNConfig.from_dict([1])


def test_an_id_without_its_version_has_its_preset():
    assert presets.configure("CartPole", {}) == presets.configure("CartPole-v1", {})
    assert presets.configure("LunarLander", {"env": "LunarLander"}).env == "LunarLander-v3"
    assert presets.full_id("ALE/Pong") == "ALE/Pong-v5"
    for env in ("CartPole-v0", "CartPol", "my_module:CartPole", "Maze", ""):
        assert presets.full_id(env) == env
    words = training_flags.parse_training_flags(["train.py", "--env=CartPole"]).overrides
    assert words == {"env": "CartPole-v1"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"offline_updates": 5}, "--offline_updates=5.*give --data"),
        ({"total_steps": 0}, "--total_steps=0.*give --offline_updates and --data"),
        ({"total_steps": 0, "data": ["a.npz"]}, "--total_steps=0.*give --offline_updates"),
        ({"data": ["a.npz"], "engine": "graph"}, "--engine=graph has no --data"),
        ({"data": ["a.npz"], "data_share": 0.001}, "--data_share=0.001.*no whole row"),
        ({"data": ["a.npz"], "data_share": 0.999}, "--data_share=0.999.*all of them"),
    ],
)
def test_settings_of_logged_data_that_do_not_go_together_are_refused(values, said):
    with pytest.raises(UserError, match=said):
        DQNConfig(**values)


def test_a_run_may_take_no_step_where_it_learns_from_logged_data():
    assert DQNConfig(total_steps=0, offline_updates=5, data=["a.npz"]).data == ("a.npz",)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"pretrain_updates": 5}, "--pretrain_updates=5 are updates on logged data: give --data"),
        ({"explore_with": "behaviour"}, "nothing learns it: give --pretrain_updates"),
        ({"q_weight": 2.0, "imitation": 0.1, "imitation_loss": "margin"}, "--q_weight=2.0 takes"),
        ({"q_weight": 2.0, "engine": "graph"}, "--q_weight learns from logged data, which"),
        ({"explore_with": "behaviour", "engine": "graph"}, "--explore_with=behaviour learns from"),
        ({"replay_unit": "episode", "network": "mlp"}, "--network=mlp gives Q-values of whole"),
        ({"explore_with": "pi"}, "--explore_with=pi: must be"),
    ],
    ids=str,
)
def test_what_the_behaviour_head_and_episodes_ask_for(settings, said):
    with pytest.raises(UserError) as error:
        DQNConfig(**settings)
    assert said in str(error.value)


def test_without_data_a_preset_learns_nothing_from_them():
    words = ["train.py", "--env=dqn_tf/GraphWalk-v0", "--data="]
    overrides = training_flags.parse_training_flags(words).overrides
    config = presets.configure(overrides["env"], overrides)
    preset = presets.PRESETS[config.env].plain | presets.PRESETS[config.env].recommended
    for field in dataclasses.fields(LoggedDataSettings):
        assert getattr(config, field.name) == field.default, field.name
        preset.pop(field.name, None)
    assert {name: getattr(config, name) for name in preset} == preset
    # what is typed holds, and is refused without data
    with pytest.raises(UserError, match="--pretrain_updates=5 are updates on logged data"):
        training_flags.parse_training_flags([*words, "--pretrain_updates=5"])
    with pytest.raises(UserError, match="--explore_with=behaviour"):
        training_flags.parse_training_flags([*words, "--explore_with=behaviour"])


def test_several_seeds_are_offered_where_they_can_be():
    words = ["train.py", "--num_seeds=2"]
    for env, said in [
        ("CartPole-v1", "add --engine=graph"),
        ("dqn_tf/GraphWalk-v0", "each --seed"),
    ]:
        with pytest.raises(UserError, match=said):
            training_flags.parse_training_flags([*words, f"--env={env}"])


def test_exploring_within_the_support_asks_for_one():
    with pytest.raises(UserError, match="give --explore_support=0.01"):
        DQNConfig(explore_with="support", imitation=0.1)
    with pytest.raises(UserError, match="nothing learns it"):
        DQNConfig(explore_with="support", explore_support=0.01)


@pytest.mark.parametrize(
    ("shares", "explored"),
    [({"support": 0.02}, 0.02), ({"support": 0.02, "explore_support": 0.1}, 0.1)],
)
def test_exploring_within_the_support_has_a_share_of_its_own_or_that_of_acting(shares, explored):
    config = DQNConfig(explore_with="support", imitation=0.1, **shares)
    assert config.exploration_support == explored
