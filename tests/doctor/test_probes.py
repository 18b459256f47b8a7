"""dqn_tf.envs.probes: each mistake learns exactly the other number that was predicted.

That the right code learns the expected one is seen in test_doctor.test_the_whole_command.
"""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FrameStackObservation

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.doctor.probe_runs import SETTINGS, Result, learn
from dqn_tf.envs import registry
from dqn_tf.envs.probes import ENVIRONMENTS, Probe, probes
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.experience import transitions
from dqn_tf.experience.transitions import NStep
from mutations import mutated

MISTAKES = {  # probe: owner, attribute, and a piece of its source with what is put in its place
    "truncation": (NStep, "add", ("steps.terminated[end, env]", "steps.ended[end, env]")),
    "termination": (
        NStep,
        "add",
        ("np.where(steps.terminated[end, env], 0.0, discount[start, env])", "discount[start, env]"),
    ),
    "reset": (
        SeededVectorEnv,
        "step_into",
        ("row.next_observation[index] = observation", "pass"),
    ),
    "border": (transitions, "windows", ("reaches & ~ended[steps]", "reaches")),
    "mask": (
        DQN,
        "bellman_target",
        ("supported(choosing.behaviour, next_mask)", "supported(choosing.behaviour, None)"),
    ),
    "priorities": (
        DQN,
        "_compare",
        ('rows * batch["weight"] if "weight" in batch else rows', "rows"),
    ),
    "target": (
        DQN,
        "bellman_target",
        (
            'self._forward(self.target, batch, "next_observation"',
            'self._forward(self.online, batch, "next_observation"',
        ),
    ),
    "frames": (
        FrameStackObservation,
        "step",
        ("self.obs_queue.append(obs)", ""),
        ("return (updated_obs", "self.obs_queue.append(obs); return (updated_obs"),
    ),
}
BY_NAME = {probe.name: probe for probe in probes(1)}


def test_each_probe_has_its_mistake():
    assert sorted(MISTAKES) == sorted(BY_NAME)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_learns_its_number(name, monkeypatch):
    probe = BY_NAME[name]
    owner, attribute, *replacements = MISTAKES[name]
    monkeypatch.setattr(owner, attribute, mutated(getattr(owner, attribute), *replacements))
    wrong = learn(probe, {})
    assert not wrong.passed
    assert wrong.q_value == pytest.approx(probe.wrong, abs=probe.tolerance)
    assert wrong.verdict == f"WRONG: {probe.mistake}"


@pytest.mark.parametrize("n_step", [1, 2, 3, 10])
def test_expected_and_wrong_are_far_apart(n_step):
    for probe in probes(n_step):
        assert abs(probe.expected - probe.wrong) >= 3 * probe.tolerance, probe.name


def test_the_border_s_number_follows_the_window():
    """A reward of 1 a step: without the border, 1 + γ + γ² of three episodes."""
    assert {n: probe.wrong for n in (1, 2, 3) for probe in probes(n) if probe.name == "border"} == {
        1: 1.5,
        2: 1.5,
        3: 1.75,
    }


def test_another_number_is_another_mistake():
    probe = BY_NAME["truncation"]
    assert Result(probe, 2.04).verdict == "right"
    assert Result(probe, 1.04).verdict == "WRONG: truncation taken for death"
    assert (
        Result(probe, 1.5).verdict
        == Result(probe, float("nan")).verdict
        == "WRONG, and by another mistake than this probe knows"
    )


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_probes_are_gymnasium_environments(env_id):
    env = registry.make_env(env_id)
    if env_id != "dqn_tf/ProbeMask-v0":  # the checker takes illegal actions
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(env.unwrapped, skip_render_check=True)
    assert registry.spaces(DQNConfig(env=env_id)).masked == (env_id == "dqn_tf/ProbeMask-v0")


def test_a_masked_action_is_refused():
    env = registry.make_env("dqn_tf/ProbeMask-v0")
    _, info = env.reset(seed=0)
    with pytest.raises(ValueError, match="illegal"):
        env.step(int(np.argmin(info["action_mask"])))


def test_one_reward_in_ten():
    env = registry.make_env("dqn_tf/ProbeTenth-v0")
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(10)]
    assert [step[1] for step in steps] == [0.0] * 9 + [4.0]
    assert [step[2] for step in steps] == [False] * 9 + [True]


def test_frames_are_stacked_newest_last():
    env = gym.make("dqn_tf/ProbeFrames-v0")
    blank = [1.0, 0.0, 0.0]
    shown = set()
    for seed in range(8):
        observation, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(observation[-1], blank)
        second = env.step(0)[0]
        np.testing.assert_array_equal(second[0], blank)
        third, *_ = env.step(0)
        np.testing.assert_array_equal(third, [second[1], blank])
        assert env.step(0)[1:3] == (2.0 * second[1, 2], True)
        shown.add(int(second[1].argmax()))
    assert shown == {1, 2}


def test_a_probe_takes_over_only_what_it_needs():
    assert "double" not in SETTINGS and "distribution" not in SETTINGS
    assert (
        not {name for probe in probes(1) for name in probe.overrides}
        - set(Probe.__dataclass_fields__)
        - {
            "n_step",
            "prioritized",
            "priority_alpha",
            "priority_beta_start",
            "gamma",
            "loss",
            "distribution",
            "target_update_period_env_steps",
        }
    )
