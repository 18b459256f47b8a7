"""python -m dqn_tf.doctor: what it says, and its exit status."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from command_server import complete
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.doctor import __main__ as doctor
from dqn_tf.doctor import advice, probe_runs, random_play
from dqn_tf.envs.probes import probes
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupted

ROOT = Path(__file__).parents[2]
FACTS = random_play.Facts(
    Spaces((2,), "float32", 2),
    "Box, Discrete(2)",
    200,
    repeats=True,
    seed_matters=True,
    steps=1_000,
    terminated=50,
    truncated=0,
    lengths=np.arange(10, 60),
    rewards=np.linspace(-1.0, 1.0, 1_000),
    low=-1.0,
    high=1.0,
    outside="",
    varying=1.0,
    steps_per_second=10_000.0,
)


OWN = DQNConfig(env="Own-v0")  # which has no preset


def said(config: DQNConfig | None = None, **changes) -> dict[str, str]:
    """What is found wrong or to change: subject → sentence."""
    found = advice.findings(dataclasses.replace(FACTS, **changes), config or OWN)
    return {finding.subject: finding.text for finding in found if finding.kind != advice.GOOD}


def test_tokens_and_actions_are_named():
    spaces = Spaces((16,), "int32", 3, categories=41, action_start=1, padding=0)
    names = {
        "tokens": ["<pad>", *map(str, range(40))],
        "action_meanings": ["up", "down", "stay"],
    }
    facts = dataclasses.replace(FACTS, spaces=spaces, names=names)
    told = {finding.subject: finding.text for finding in advice.findings(facts, DQNConfig())}
    assert told["observations"] == "16 tokens of a vocabulary of 41, padded with 0 <pad>."
    assert told["tokens"] == "<pad>, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 39 (41)."
    assert told["actions"] == "up, down, stay."
    unnamed = dataclasses.replace(FACTS, spaces=dataclasses.replace(spaces, padding=None))
    told = {finding.subject: finding.text for finding in advice.findings(unnamed, DQNConfig())}
    assert "without padding" in told["observations"] and "`tokens`" in told["tokens"]
    assert "actions" not in told


# Probes


def test_the_whole_command(tmp_path):
    done = complete(["--n_step=3"], tmp_path, "dqn_tf.doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [probe.name for probe in probes(3)]
    assert all(line.endswith("  right") for line in lines[1:-1]), done.stdout
    assert lines[-1].startswith(f"all {len(probes(3))} probes learned the right Q-value, in ")
    assert not list(tmp_path.iterdir())


def test_a_wrong_one_is_named_and_explained(monkeypatch, capsys):
    monkeypatch.setattr(
        probe_runs,
        "learn",
        lambda probe, overrides: probe_runs.Result(
            probe, probe.wrong if probe.name == "mask" else probe.expected
        ),
    )
    assert doctor.run_probes({}) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "mask 2.000 3.000 3.000 WRONG: illegal actions enter the maximum of the target Right: the"
        " bootstrap is of a legal action." in text
    )
    assert f"1 of {len(probes(1))} probes failed" in text


def test_settings_that_do_not_go_together_are_refused_before_the_first_probe(capsys):
    with pytest.raises(UserError, match="--munchausen and --double cannot be combined"):
        doctor.run_probes({"munchausen": True, "double": True})
    assert capsys.readouterr().out == ""


def test_the_graph_engine_is_not_said_to_be_probed():
    with pytest.raises(UserError, match="--engine=graph: the probes are Gymnasium environments"):
        doctor.run_probes({"engine": "graph"})
    with pytest.raises(UserError, match="for --env=FrozenLake-v1 use --engine=host"):
        doctor.examine_environment({"engine": "graph", "env": "FrozenLake-v1"})


@pytest.mark.parametrize(
    "settings, sentence",
    [
        (
            {"network": "nature_cnn"},
            "--network=nature_cnn: convolutions need observations of shape",
        ),
        ({"replay_memory": "1KiB", "num_envs": 1}, "--replay_capacity|is too small for a single"),
        ({"replay_capacity": 10**13}, "--replay_capacity=10000000000000 does not fit into memory"),
    ],
)
def test_what_train_py_refuses_is_not_fit_to_learn_from(settings, sentence, capsys):
    with pytest.raises(UserError, match=sentence):
        doctor.examine_environment({"env": "CartPole-v1", **settings})
    assert "fit to learn from" not in capsys.readouterr().out


def test_what_is_given_is_what_is_tested():
    for probe in probes(1):
        config = probe_runs.configuration(probe, {"double": True, "n_step": 3, "gamma": 0.99})
        assert (
            config.double
            and config.env == probe.env
            and config.n_step == probe.overrides.get("n_step", 3)
        )
        assert config.gamma == probe.overrides.get("gamma", 0.5)
    assert probe_runs.untested({"munchausen": True, "double": True}) == ["--munchausen"]
    for name, value in (("replay_unit", "episode"), ("workers", 2), ("collector", "a:B")):
        with pytest.raises(UserError, match=f"^--{name}={value}: the probes learn from single st"):
            doctor.run_probes({name: value})
    assert probe_runs.replaced({"double": True, "gamma": 0.9, "tau": 0.1}) == ["--gamma", "--tau"]


def test_help_and_mistakes_in_flags_need_no_tensorflow(tmp_path):
    program = (
        "import runpy, sys\nsys.modules['tensorflow'] = None\nsys.argv[1:] = sys.argv[1:]\n"
        "runpy.run_module('dqn_tf.doctor', run_name='__main__', alter_sys=True)"
    )
    for word, status, text in (
        ("--help", 0, "--env=my_module:MyEnv-v0"),
        ("--gama=1", 1, "error: Unknown command line flag 'gama'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, word],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (
            done.returncode == status
            and text in done.stdout + done.stderr
            and "Traceback" not in done.stderr
        ), done.stderr


# Environments


def test_a_good_environment(capsys):
    assert doctor.examine_environment({"env": "CartPole-v1"}) == 0
    text = capsys.readouterr().out
    assert "CartPole-v1: fit to learn from, with this configuration." in text
    assert "the same seed gives the same episode, another seed another one" in " ".join(
        text.split()
    )


def test_a_bad_environment(capsys):
    assert doctor.examine_environment({"env": "faulty:Endless-v0"}) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "No episode ended within 5,000 random steps, and there is no time limit. Add one" in text
    assert "All 5,000 were 0" in text
    assert "where the space says -1 to 1" in text


def test_what_is_not_finite_is_refused():
    with pytest.raises(UserError, match="returned the reward nan: it must be one finite number"):
        random_play.inspect(DQNConfig(env="faulty:NaNReward-v0"), 100)


def test_masks_are_seen_and_kept_to():
    facts = random_play.inspect(DQNConfig(env="dqn_tf/ProbeMask-v0"), 100)
    assert facts.spaces.masked and facts.truncated > 0 and facts.terminated > 0 and facts.repeats
    assert facts.rewards.max() == 4.0 and facts.time_limit == 4


def test_an_environment_that_does_not_repeat_itself_is_found(monkeypatch):
    from environments import Drifting

    monkeypatch.setattr(random_play.registry, "maker", lambda config: Drifting)
    facts = random_play.inspect(DQNConfig(env="Drifting-v0"), 50)
    assert not facts.repeats
    assert (
        "The same seed and actions gave different episodes"
        in said(repeats=facts.repeats)["seeding"]
    )


def test_nothing_is_said_against_what_is_good():
    assert said() == {}


def test_rewards_are_to_be_of_about_one():
    assert "Divide them by 1000 in" in said(rewards=np.array([-1_000.0, 0.0, 3.0]))["rewards"]
    assert "Multiply them by 1000" in said(rewards=np.array([0.0, 0.002]))["rewards"]
    assert "random actions never found one" in said(rewards=np.zeros(1_000))["rewards"]


def test_rewards_that_a_preset_is_made_for_stay_as_they_are():
    rewards = np.array([-100.0, 0.0, 100.0])
    lander = DQNConfig(env="LunarLander-v3")
    assert said(lander, rewards=rewards) == {}
    wrapped = dataclasses.replace(lander, env_wrappers="my_module:MyWrapper")
    assert "Divide them by 100 in" in said(wrapped, rewards=rewards)["rewards"]


def test_the_smallest_rewards_have_a_factor_too():
    """The inverse of a subnormal number is infinite."""
    for size in (5e-324, 1e-310, np.finfo(float).tiny):
        assert "Multiply them by 1e+30" in said(rewards=np.array([0.0, -size]))["rewards"]


BOUND = 0.1  # which float32 rounds up


@pytest.mark.parametrize(
    ("value", "is_outside"),
    [(BOUND, False), (-BOUND, False), (0.11, True), (-0.11, True), (1e38, True)],
    ids=str,
)
@pytest.mark.parametrize("high", [BOUND, [BOUND, 1e300]], ids=["number", "beyond float32"])
def test_bounds_of_float64_are_rounded_as_observations_are(value, is_outside, high, monkeypatch):
    high = np.broadcast_to(np.float64(high), (2,))

    class Wide(gym.Env):
        observation_space = gym.spaces.Box(-high, high, dtype=np.float64)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.zeros(2), {}

        def step(self, action):
            return np.array([value, 0.0]), 1.0, True, False, {}

    monkeypatch.setattr(random_play.registry, "maker", lambda config: Wide)
    assert bool(random_play.inspect(DQNConfig(), 5).outside) == is_outside


def test_observations_are_to_be_of_about_one_but_images_need_not():
    assert "from 0 to 300" in said(low=0.0, high=300.0)["observations"]
    assert said(low=0.0, high=255.0, spaces=Spaces((84, 84, 4), "uint8", 2)) == {}
    assert said(outside="2 at index [0], where the space says 0 to 1")["observations"].startswith(
        "One is outside"
    )


def test_a_clock_that_terminates_is_suspected():
    assert "return truncated instead" in said(lengths=np.full(20, 50), time_limit=None)["ends"]


def test_gamma_against_the_episode():
    assert "--gamma=0.998" in said(time_limit=2_500)["discount"]
    for limit in (20_000, 100_000, 10**9):
        assert "--gamma=0.9995, or" in said(time_limit=limit)["discount"]
    assert said(DQNConfig(env="Own-v0", gamma=0.9995), time_limit=10**6) == {}
    assert said(DQNConfig(gamma=1.0)) == {}
    assert "no bound" in said(DQNConfig(gamma=1.0), terminated=0, truncated=50)["discount"]


def test_the_atoms_are_to_hold_every_return():
    bounds = advice.return_bounds(FACTS, 0.5)
    assert bounds == pytest.approx((-2.0, 2.0))
    assert "c51" not in said(DQNConfig(distribution="c51", gamma=0.5))
    assert (
        "Try --v_min=-2 --v_max=2"
        in said(DQNConfig(distribution="c51", gamma=0.5, v_min=-1.0, v_max=1.0))["c51"]
    )
    assert "c51" not in said(DQNConfig(distribution="quantile", v_min=-1.0, v_max=1.0))


def test_a_slow_environment_is_named():
    assert "1666.7 min" in said(steps_per_second=1.0)["speed"]


def test_one_action_is_no_choice():
    assert "one action only" in said(spaces=Spaces((2,), "float32", 1))["spaces"]


def test_an_environment_of_which_one_can_live_is_examined(capsys):
    assert doctor.examine_environment({"env": "faulty:OnlyOne-v0"}) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "ok instances one only: beside it, --env=faulty:OnlyOne-v0: making" in text


def test_a_close_that_raises_leaves_the_report(capsys):
    assert doctor.examine_environment({"env": "faulty:CloseRaises-v0"}) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "WRONG close The environment raised RuntimeError: the simulator is gone in close()" in text
    )
    assert "ok rewards" in text and "1 wrong, 0 to change." in text


def test_running_statistics_are_not_taken_for_a_seed_that_is_not_kept(capsys):
    wrapped = {"env": "CartPole-v1", "env_wrappers": "gymnasium.wrappers:NormalizeObservation"}
    assert doctor.examine_environment(wrapped) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "WRONG statistics NormalizeObservation keeps running statistics" in text
    assert "TransformObservation" in text and "self.np_random" not in text


def test_the_torso_is_told(capsys):
    doctor.examine_environment({"env": "faulty:ChannelsFirst-v0"})
    text = " ".join(capsys.readouterr().out.split())
    assert "ok network nature_cnn (chosen by --network=auto) for pictures of 36x36 with 4" in text


def test_actions_need_no_table():
    facts = random_play.inspect(DQNConfig(env="faulty:ManyActions-v0"), 20)
    assert facts.spaces.actions == 10**9 and facts.steps == 20


def test_a_slow_environment_is_compared_over_fewer_steps(monkeypatch):
    monkeypatch.setattr(random_play, "PATIENCE_SECONDS", 0.0)
    facts = random_play.inspect(DQNConfig(env="faulty:Corridor-v0"), 1)
    assert facts.repeats and facts.steps == 1


def test_a_signal_ends_the_examination():
    def stop():
        raise Interrupted

    with pytest.raises(Interrupted):
        doctor.examine_environment({"env": "faulty:Corridor-v0"}, stop)
    with pytest.raises(Interrupted):
        doctor.run_probes({}, stop)


def test_one_episode_does_not_say_what_all_are_like():
    clock = {"time_limit": None, "terminated": 3, "lengths": np.array([31, 31, 31])}
    assert "Every episode terminated after exactly 31 steps" in said(**clock)["ends"]
    assert "ends" not in said(time_limit=None, terminated=1, lengths=np.array([31]))
