"""What a search tries: ranges of the fields and of the user, and only what does something."""

import dataclasses
import json
import random

import pytest

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import FIELDS, DQNConfig
from dqn_tf.envs import registry
from dqn_tf.experience import memory_plan
from dqn_tf.search import narrowing
from dqn_tf.search.flags import parse
from dqn_tf.search.plan import prepare
from dqn_tf.search.space import make_space
from dqn_tf.support.errors import UserError


class Draws:
    """Suggests random values, as a sampler at its start."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def suggest_float(self, name, low, high, *, log=False):
        return self.random.uniform(low, high)

    def suggest_int(self, name, low, high, *, log=False):
        return self.random.randint(low, high)

    def suggest_categorical(self, name, choices):
        return self.random.choice(choices)


def is_known(env):
    """Whether its package is installed; what is missing is tested where it is."""
    try:
        registry.spaces(presets.configure(env, {}))
    except UserError:
        return False
    return True


def space_of(*words):
    return prepare(parse(["search", *words])).space


def test_every_range_of_a_field_is_allowed_by_the_field():
    for field in FIELDS.values():
        searched, allowed = field.metadata["search"], field.metadata["allowed"]
        if searched is None:
            continue
        ends = searched.choices or (() if searched.of_run else (searched.low, searched.high))
        assert all(value is None or allowed is None or value in allowed for value in ends)
        assert searched.choices or searched.low < searched.high, field.name
        assert set(searched.when) <= FIELDS.keys()


def test_a_proposal_has_what_does_something_beside_the_others():
    space = space_of("--env=CartPole-v1", "--from_defaults")
    seen = set()
    for seed in range(300):
        values = space.propose(Draws(seed))
        config = dataclasses.replace(space.base, **values)  # no combination is refused
        seen |= values.keys()
        assert ("priority_alpha" in values) == config.prioritized
        assert ("noisy_sigma" in values) == config.noisy
        assert ("epsilon_end" in values) == (not config.noisy)
        assert ("munchausen_alpha" in values) == config.munchausen
        assert ("atoms" in values) == (config.distribution != "none")
        assert not (config.munchausen and (config.double or config.distribution != "none"))
        assert "tau" not in values  # the base copies its target network as a whole
        assert 2_000 <= values.get("epsilon_decay_env_steps", 2_000) <= 50_000  # of 100,000 steps
    assert seen == space.describe().keys()


@pytest.mark.parametrize(
    "words",
    [
        ["--env=MinAtar/Breakout-v1"],  # its preset has Munchausen's bootstrap
        ["--env=CartPole-v1", "--munchausen"],
        ["--env=CartPole-v1", "--distribution=c51", "--v_min=0", "--v_max=100"],
        ["--env=Acrobot-v1"],  # and this one double DQN's
        ["--env=CartPole-v1", "--data=a.npz", "--support=0.1", "--pretrain_updates=5"],
        ["--env=CartPole-v1", "--data=a.npz", "--imitation=0.1", "--imitation_loss=margin"],
        ["--env=CartPole-v1", "--noisy", "--epsilon_schedule=0:1,100:0.1"],
    ],
    ids=" ".join,
)
def test_no_proposal_beside_any_base_is_refused(words):
    space = space_of(*words)
    names = ("munchausen", "double", "distribution")
    seen: dict[str, set] = {name: set() for name in names}
    for seed in range(200):
        config = dataclasses.replace(space.base, **space.propose(Draws(seed)))  # may raise
        for name in names:
            seen[name].add(getattr(config, name))
    typed = {name: {getattr(space.base, name)} for name in names if f"--{name}" in " ".join(words)}
    if "munchausen" in typed:
        typed |= {"double": {False}, "distribution": {"none"}}
    elif "distribution" in typed or space.base.support:
        typed |= {"munchausen": {False}}
    free = {
        "munchausen": {False, True},
        "double": {False, True},
        "distribution": {"none", "quantile"},
    }
    assert seen == free | typed


def test_what_the_base_has_is_in_its_own_ranges_and_the_first_trial():
    space = space_of("--env=CartPole-v1", "--gamma=0.97", "--range=n_step=2:4")
    assert "gamma" not in space.describe()  # it is given, so it is fixed
    # the preset's 64-wide batch and all else are inside; its n_step of 3 is inside the user's
    parameters = space.base_parameters()
    assert parameters["n_step"] == 3
    assert parameters["hidden_units"] == ",".join(map(str, space.base.hidden_units))
    assert space_of("--env=CartPole-v1", "--range=n_step=5:9").base_parameters() is None


def test_a_narrow_range_has_as_many_digits_as_it_needs():
    space = make_space(DQNConfig(), "mlp", narrowing.read(["gamma=0.999:0.9999"], None))
    drawn = {space.propose(Draws(seed))["gamma"] for seed in range(100)}
    assert len(drawn) > 50 and all(0.999 <= value <= 0.9999 for value in drawn)
    assert all(len(f"{value:.9g}") <= len("0.99999") for value in drawn)


@pytest.mark.parametrize("env", [env for env in presets.PRESETS if is_known(env)])
def test_every_preset_can_be_searched(env):
    assert space_of(f"--env={env}").base.env == env


def test_without_steps_nothing_is_tried_that_only_they_would_show():
    words = ["search", "--env=CartPole-v1", "--data=a.npz", "--offline_updates=10"]
    named = [
        {one.name for one in prepare(parse([*words, f"--total_steps={steps}"])).space.dimensions}
        for steps in (0, 5_000)
    ]
    assert named[1] - named[0] == {"replay_capacity", "epsilon_end", "epsilon_decay_env_steps"}
    with pytest.raises(UserError, match="--range=epsilon_end=…: it does nothing here, as no env"):
        prepare(parse([*words, "--total_steps=0", "--range=epsilon_end=0.01:0.1"]))


def test_the_memory_of_the_test_is_looked_at_before_the_first_trial(monkeypatch):
    """Its seeds are trained together where the engine can."""
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 4 * 2**30)
    words = ["search", "--env=CartPole-v1", "--replay_capacity=10000000", "--seeds=2"]
    prepare(parse([*words, "--test_seeds=4"]))
    with pytest.raises(UserError, match="does not fit into memory"):
        prepare(parse([*words, "--test_seeds=40"]))
    prepare(parse([*words, "--test_seeds=40", "--engine=host"]))


def test_slow_targets_have_no_period():
    base = DQNConfig(tau=0.01)
    names = make_space(base, "mlp", {}).describe()
    assert "tau" in names and "target_update_period_env_steps" not in names


def test_ranges_are_typed_as_flags_and_as_a_file(tmp_path):
    words = ["learning_rate=1e-4:1e-2:log", "double=true,false", "hidden_units=64,64|256"]
    typed = narrowing.read(words, None)
    file = tmp_path / "ranges.json"
    ranges = {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "double": [True, False],
        "hidden_units": [[64, 64], [256]],
    }
    file.write_text(json.dumps(ranges), encoding="utf-8")
    assert narrowing.read([], str(file)) == typed
    assert typed["hidden_units"].choices == ((64, 64), (256,))
    # a flag goes before the file
    assert narrowing.read(["double=true,false"], str(file))["double"].choices == (True, False)
    space = make_space(DQNConfig(), "mlp", typed)
    assert space.describe()["learning_rate"] == "0.0001:0.01:log"
    assert space.describe()["hidden_units"] == "64,64|256"


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("learning_rat=1:2", "there is no setting 'learning_rat'"),
        ("total_steps=1000:2000", "the same for all trials"),
        ("learning_rate=1e-2:1e-4", "0.01 must be below 0.0001"),
        ("learning_rate=0:1e-4:log", "0 is not allowed, --learning_rate must be"),
        ("max_gradient_norm=0:1:log", "begins above 0"),
        ("v_min=-1.7e308:1.7e308", "must be a finite number"),
        ("gamma=0.9:1.5", "1.5 is not allowed"),
        ("n_step=1.5:3", "1.5 is no value of --n_step"),
        ("double=maybe,true", "'maybe' is no value of --double"),
        ("loss=huber", "at least two values"),
        ("loss=huber,l1", "l1 is not allowed"),
        ("gamma=0.9:0.99:cubic", "must be a setting with LOW:HIGH"),
        ("gamma=", "must be a setting with LOW:HIGH"),
    ],
)
def test_wrong_ranges_are_one_sentence(word, part):
    with pytest.raises(UserError) as error:
        narrowing.read([word], None)
    assert str(error.value).startswith(f"--range={word}: ") and part in str(error.value)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--gamma=0.9", "--range=gamma=0.9,0.99"], "is given and has a range"),
        (["--range=gamma=0.9,0.99", "--range=gamma=0.9,0.95"], "has a range already"),
        (["--seeds=0"], "--seeds=0: must be at least 1"),
        (["--prune_p=2"], "--prune_p=2.0: must be from 0 to 1"),
        (["--most_work=0.5"], "--most_work=0.5: must be at least 1, or 0 for any"),
        (["--most_work=nan"], "--most_work=nan: must be at least 1"),
        (["--export_weights=best"], "--export_weights is of a single run"),
        (["--ranges=nothing.json"], "cannot be read"),
        (["--env=dqn_tf/TextMaze-v0", "--engine=graph"], "--engine=graph"),
        (
            ["--tau=0.01", "--range=target_update_period_env_steps=100:1000:log"],
            "target_update_period_env_steps=…: it does nothing here; it is tried only where tau is",
        ),
    ],
)
def test_wrong_flags_are_one_sentence(words, part):
    with pytest.raises(UserError, match=part):
        prepare(parse(["search", *words]))


LOG_AS_TEXT = '{"gamma": {"low": 0.1, "high": 0.9, "log": "false"}}'


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"gamma": 0.9}', '{"gamma": {"low": 0.1}}', LOG_AS_TEXT]
)
def test_a_wrong_file_is_one_sentence(text, tmp_path):
    file = tmp_path / "ranges.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"ranges\.json"):
        narrowing.read([], str(file))
