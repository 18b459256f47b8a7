"""What test_tf_agents.py runs in a process of its own, under Keras 2:

pytest does not collect this file by itself.
"""

import dataclasses
import shutil

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers.dynamic_episode_driver import DynamicEpisodeDriver
from tf_agents.drivers.dynamic_step_driver import DynamicStepDriver
from tf_agents.drivers.py_driver import PyDriver
from tf_agents.environments.tf_py_environment import TFPyEnvironment
from tf_agents.environments.utils import validate_py_environment
from tf_agents.policies.py_tf_eager_policy import PyTFEagerPolicy

from benchmarks.parity import __main__ as parity
from benchmarks.parity import experience
from command_server import ROOT
from dqn_tf.agent.dqn import DQN
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.export.publish import export
from dqn_tf.interop.tf_agents import ExportedTFPolicy, GymnasiumEnvironment, split
from dqn_tf.support.errors import UserError
from environments import Chain, Counter, Scripted
from oracles import close, equal, make_config

SEED, EPISODES = 7, 3


class Switches(gym.Env):
    """Observes bools."""

    observation_space = gym.spaces.Box(0, 1, (3,), np.bool_)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(3) < 0.5, {}

    def step(self, action):
        return (
            self.np_random.random(3) < 0.5,
            float(action),
            self.np_random.random() < 0.2,
            False,
            {},
        )


def test_bools_are_observed():
    environment = GymnasiumEnvironment(Switches(), seed=1)
    validate_py_environment(environment, episodes=2)
    assert environment.observation_spec().dtype == bool


class Turnstile(gym.Env):
    """Actions 3, 4 and 5, of which one, another each step, is illegal and raises.

    Ends by chance, in either way.
    """

    observation_space, action_space = (
        gym.spaces.Box(-3, 3, (3,), np.float64),
        gym.spaces.Discrete(3, start=3),
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observation(), self._info()

    def step(self, action):
        assert self.mask[action - 3], f"{action} is illegal"
        chance = self.np_random.random()
        return self._observation(), float(action), chance < 0.1, chance > 0.9, self._info()

    def _observation(self) -> np.ndarray:
        return self.np_random.uniform(-3, 3, 3)

    def _info(self) -> dict:
        self.mask = np.arange(3) != self.np_random.integers(3)
        return {"action_mask": self.mask}


class TurnstileDict(Turnstile):
    """The same with the mask in the observation."""

    def __init__(self) -> None:
        mask = gym.spaces.MultiBinary(3)
        self.observation_space = gym.spaces.Dict(
            {"observation": Turnstile.observation_space, "action_mask": mask}
        )

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        return {"observation": observation} | info, {}

    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return {"observation": observation} | info, reward, terminated, truncated, {}


MAKERS = {
    "CartPole": registry.maker(DQNConfig(env="CartPole-v1")),
    "FrozenLake": registry.maker(DQNConfig(env="FrozenLake-v1")),
    "masks in info": Turnstile,
    "masks in Dict": TurnstileDict,
    "Discrete": lambda: gym.wrappers.TimeLimit(Chain(), 30),
}


# --- parity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", parity.CASES, ids=str)
def test_loss_and_gradient_are_those_of_tf_agents(case):
    comparison = parity.compare(case)
    assert comparison.loss_difference <= parity.TOLERANCE, comparison
    assert comparison.gradient_difference <= parity.TOLERANCE, comparison
    assert comparison.their_loss > 0.1


@pytest.mark.parametrize(
    "agent, settings",
    [
        ("DqnAgent", {"double": True}),
        ("DdqnAgent", {"double": False}),
        ("DqnAgent", {"loss": "huber", "huber_delta": 2.0}),
    ],
    ids=str,
)
def test_the_comparison_shows_another_algorithm(agent, settings):
    comparison = parity.compare(parity.Case(agent, settings))
    assert comparison.loss_difference > 1e-3, comparison
    assert comparison.gradient_difference > 1e-3, comparison


@pytest.mark.parametrize(
    "agent, settings",
    [
        ("DqnAgent", {}),
        ("DqnAgent", {"n_step": 3}),
        ("CategoricalDqnAgent", {"distribution": "c51"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("column", ["terminated", "reward", "next_observation"])
def test_the_comparison_shows_another_experience(monkeypatch, agent, settings, column):
    """TF-Agents is given the steps with one column changed."""
    honest = experience.make_trajectory

    def changed(steps, spaces):
        return honest(
            dataclasses.replace(steps, **{column: np.zeros_like(getattr(steps, column))}), spaces
        )

    monkeypatch.setattr(experience, "make_trajectory", changed)
    assert parity.compare(parity.Case(agent, settings)).gradient_difference > 1e-3


def test_made_up_steps_hold_what_can_go_wrong():
    for length in (1, 3):
        steps = experience.made_up_steps(length, Spaces((5,), "float32", 4, masked=True))
        assert (
            steps.terminated.any(axis=1).all()
            and steps.truncated[-1].any()
            and not (steps.terminated & steps.truncated).any()
        )
        assert not steps.action_mask.all() and steps.action_mask.any(axis=2).all()


# --- environments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_environments_are_valid(name):
    environment = GymnasiumEnvironment(MAKERS[name](), seed=SEED)
    masked = isinstance(environment.observation_spec(), dict)
    assert masked == ("masks" in name)
    validate_py_environment(
        environment,
        episodes=EPISODES,
        observation_and_action_constraint_splitter=split if masked else None,
    )


def test_termination_and_truncation():
    ends = ["terminated", "truncated", "both"]
    # episode 1 is the constructor's
    environment = GymnasiumEnvironment(
        Counter(lambda episode: (2, ends[episode % 3]), in_place=True), SEED
    )
    steps = [environment.reset()] + [environment.step(0) for _ in range(9)]
    assert [int(step.step_type) for step in steps] == [0, 1, 2] * 3 + [0]
    # both, terminated, truncated
    assert [float(step.discount) for step in steps] == [1, 1, 0, 1, 1, 0, 1, 1, 1, 1]
    assert [step.reward % 100 for step in steps] == [0, 1, 2] * 3 + [0]
    equal(np.stack([step.observation for step in steps])[:, 1], np.float32([0, 1, 2] * 3 + [0]))


def test_actions_are_counted_from_0():
    env = Scripted()
    environment = GymnasiumEnvironment(env, SEED)
    environment.reset()
    for action in (0, 1):
        environment.step(np.array(action))
    assert env.actions == [5, 6]
    for action in (-1, 2):
        with pytest.raises(UserError, match="chose the action ., .* has those from 5 to 6"):
            environment.step(np.array(action))
    assert env.actions == [5, 6]
    assert (int(environment.action_spec().minimum), int(environment.action_spec().maximum)) == (
        0,
        1,
    )


def test_episodes_follow_from_the_seed():
    environment = GymnasiumEnvironment("CartPole-v1", seed=SEED)
    first, second = (environment.reset().observation for _ in range(2))
    assert (first != second).all()
    env = gym.make("CartPole-v1")
    for number, observation in ((1, first), (2, second)):
        equal(
            observation, env.reset(seed=seeding.episode_seed(SEED, seeding.TRAINING, 0, number))[0]
        )
    environment.seed(SEED)
    equal(environment.reset().observation, first)
    environment.seed(SEED + 1)
    assert (environment.reset().observation != first).all()


def test_what_dqn_cannot_play_is_refused():
    with pytest.raises(UserError, match="Discrete action space"):
        GymnasiumEnvironment("Pendulum-v1", SEED)
    with pytest.raises(UserError, match="Nowhere"):
        GymnasiumEnvironment("Nowhere-v0", SEED)


# --- exported models ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """For each environment, its spaces and a model."""
    models = {}
    for name in ("CartPole", "FrozenLake", "masks in info", "masks in Dict"):
        sample = MAKERS[name]()
        spaces = dataclasses.replace(
            describe(sample.observation_space, sample.action_space), masked="masks" in name
        )
        agent = DQN(make_config(hidden_units=(16,), seed=5), spaces)
        generator = np.random.default_rng(SEED)
        agent.online.set_weights(
            [
                generator.normal(size=array.shape) * (array.ndim > 1)
                for array in agent.online.get_weights()
            ]
        )
        observations = np.zeros((4, *spaces.observation_shape), spaces.observation_dtype)
        models[name] = (
            spaces,
            export(agent, tmp_path_factory.mktemp("models"), observations, {"env": name}),
        )
    return models


def play(name: str, spaces: Spaces, version) -> list[tuple[np.ndarray, int]]:
    """Observations and actions, counted from 0, of EPISODES episodes as evaluate.py plays them."""
    served, seen = ExportedPolicy(version, spaces), []

    def policy(observation, mask):
        action = served(observation, mask)
        seen.append((observation[0], int(action[0]) - spaces.action_start))
        return action

    evaluate(
        policy,
        MAKERS[name],
        [
            seeding.episode_seed(SEED, seeding.TRAINING, 0, number)
            for number in range(1, EPISODES + 1)
        ],
        parallel=1,
    )
    return seen


def same(trajectories, expected, batched: bool) -> None:
    """The steps that are no boundary between episodes are the expected ones."""
    steps = [
        tf.nest.map_structure(
            lambda value: np.asarray(value)[0] if batched else np.asarray(value), each
        )
        for each in trajectories
    ]
    assert sum(bool(step.is_boundary()) for step in steps) == EPISODES
    steps = [step for step in steps if not step.is_boundary()]
    observations = [
        step.observation["observation"] if isinstance(step.observation, dict) else step.observation
        for step in steps
    ]
    assert [int(step.action) for step in steps] == [action for _, action in expected]
    equal(np.stack(observations), np.stack([observation for observation, _ in expected]))
    assert len({int(step.action) for step in steps}) > 1


@pytest.mark.parametrize("name", ["CartPole", "FrozenLake", "masks in info", "masks in Dict"])
def test_drivers_play_what_evaluate_plays(exported, name):
    spaces, version = exported[name]
    expected, policy = play(name, spaces, version), ExportedTFPolicy(str(version))
    trajectories: list = []
    environment = GymnasiumEnvironment(MAKERS[name](), seed=SEED)
    PyDriver(
        environment, PyTFEagerPolicy(policy), [trajectories.append], max_episodes=EPISODES
    ).run(environment.reset())
    same(trajectories, expected, batched=False)
    trajectories = []
    environment = TFPyEnvironment(GymnasiumEnvironment(MAKERS[name](), seed=SEED))
    DynamicEpisodeDriver(environment, policy, [trajectories.append], num_episodes=EPISODES).run()
    same(trajectories, expected, batched=True)


def test_the_readmes_example_runs(exported, tmp_path, monkeypatch):
    _, version = exported["CartPole"]
    shutil.copytree(version, tmp_path / "saved_models" / "CartPole-v1" / "1")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## With TF-Agents")[2]
    # the project's own page, and only in a test
    exec(compile(section.partition("```python")[2].partition("```")[0], "README.md", "exec"), names)
    batch = tf.nest.map_structure(
        lambda value: tf.constant(value)[tf.newaxis], names["environment"].reset()
    )
    assert names["policy"].action(batch).action.shape == (1,)


def test_the_policy_runs_inside_a_graph(exported):
    _, version = exported["CartPole"]
    policy, environment, count = (
        ExportedTFPolicy(version.parent),
        TFPyEnvironment(GymnasiumEnvironment("CartPole-v1", SEED)),
        tf.Variable(0),
    )
    driver = DynamicStepDriver(
        environment,
        policy,
        [lambda trajectory: count.assign_add(tf.shape(trajectory.action)[0])],
        num_steps=40,
    )
    tf.function(driver.run, autograph=False)()
    assert int(count) >= 40


def test_the_policys_variables_are_the_models(exported):
    _, version = exported["CartPole"]
    served = sorted(
        tf.saved_model.load(str(version)).network_variables,
        key=lambda variable: variable.shape.as_list(),
    )
    own = sorted(
        ExportedTFPolicy(version).variables(), key=lambda variable: variable.shape.as_list()
    )
    close(
        [float(tf.reduce_sum(variable)) for variable in own],
        [float(tf.reduce_sum(variable)) for variable in served],
        1e-6,
    )


def test_a_model_without_manifest_is_refused(exported, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
    with pytest.raises(UserError, match="does not say what it observes"):
        ExportedTFPolicy(tmp_path)
    with pytest.raises(UserError, match="no such directory"):
        ExportedTFPolicy(tmp_path / "nowhere")
