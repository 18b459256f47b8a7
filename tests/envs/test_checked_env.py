"""The border to an environment: whatever it returns, what comes out is right, or a sentence."""

import decimal
import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import NormalizeReward, TimeLimit

from dqn_tf.envs.checked_env import CheckedEnv, close_all
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.support.errors import UserError
from environment_fuzz import Opaque, Silent

FEATURES = spaces.Box(-1.0, 1.0, (2,), np.float32)
WITH_MASK = spaces.Dict(observation=FEATURES, action_mask=spaces.MultiBinary(2))
ZEROS = np.zeros(2, np.float32)


class Told(gym.Env):
    """Returns, or raises, what it is told."""

    action_space = spaces.Discrete(2, start=5)

    def __init__(self, space=FEATURES, reset=(ZEROS, {}), step=(ZEROS, 0.0, False, False, {})):
        self.observation_space = space
        self.answers = {"reset": reset, "step": step, "render": None, "close": None}
        self.actions = []

    def reset(self, *, seed=None, options=None):
        return self.give("reset")

    def step(self, action):
        self.actions.append(action)
        return self.give("step")

    def render(self):
        return self.give("render")

    def close(self):
        return self.give("close")

    def give(self, call):
        answer = self.answers[call]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def after_step(value, place, space=FEATURES):
    """What a step brings whose answer has `value` at this place of the five."""
    answer = [ZEROS, 0.0, False, False, {}]
    answer[place] = value
    env = CheckedEnv(Told(space, step=tuple(answer)), "The environment")
    if isinstance(space, spaces.Dict):
        env.env.answers["reset"] = ({"observation": ZEROS, "action_mask": [1, 1]}, {})
    elif space is not FEATURES:
        env.env.answers["reset"] = (np.zeros(space.shape, space.dtype), {})
    env.reset(7)
    return env.step(5)


STEP = r" \(step 1 of the episode reset with seed 7\)\.?$"
BY_PLACE = {
    "observation": [
        (None, "returned an observation of type NoneType, but its space says float32"),
        ([[1.0], [1.0, 2.0]], "returned an observation of type list, but its space says float32"),
        ({"x": ZEROS}, "returned an observation of type dict"),
        (Opaque(), "returned an observation of type Opaque"),
        ("ab", "returned an observation of type str"),
        (b"ab", "returned an observation of type bytes"),
        ([1.0], r"returned an observation of shape \[1\], but its space says \[2\]"),
        (np.array([None, 1]), "of type object"),
        (np.array(["2020", "2021"], "M8"), "of type datetime64"),
        ([1.0, np.nan], r"returned an observation of nan at index \[1\]: it must be finite"),
        ([-np.inf, 1.0], r"returned an observation of -inf at index \[0\]: it must be finite"),
        ([1e39, 0.0], r"observation of 1e\+39 at index \[0\], which float32 does not hold"),
        (np.array([0.0, -1e300]), r"-1e\+300 at index \[1\], which float32 does not hold"),
    ],
    "reward": [
        (None, "returned the reward None: it must be one number"),
        ("1", "returned the reward '1': it must be one number"),
        ([1.0, [2.0]], r"returned the reward \[1.0, \[2.0\]\]"),
        (1j, "returned the reward 1j"),
        (decimal.Decimal(1), r"returned the reward Decimal\('1'\)"),
        (Opaque(), "returned the reward a value of type Opaque"),
        (10**400, "returned the reward 10{199}.*, which float32 does not hold"),
        (10**5000, "returned the reward a value of type int, which float32 does not hold"),
        (1e39, r"returned the reward 1e\+39, which float32 does not hold"),
        (np.float64(-1e300), r"returned the reward -1e\+300, which float32 does not hold"),
        (np.nan, "returned the reward nan: it must be one finite number"),
        (-np.inf, "returned the reward -inf: it must be one finite number"),
        (np.zeros((2, 2)), "it must be one number"),
    ],
    "terminated": [
        (None, "returned terminated None: it must be True or False"),
        ("False", "returned terminated 'False': it must be True or False"),
        (2, "returned terminated 2"),
        (np.nan, "returned terminated nan"),
        (np.array([True, False]), "returned terminated array"),
        (Opaque(), "returned the terminated a value of type Opaque|returned terminated"),
    ],
    "truncated": [
        (None, "returned truncated None: it must be True or False"),
        ([], r"returned truncated \[\]"),
        ({}, r"returned truncated \{\}"),
    ],
    "info": [
        (None, r"returned the info None: it must be a dict, such as \{\}"),
        ([], r"returned the info \[\]"),
        ("info", "returned the info 'info'"),
    ],
}
CASES = [
    (place, value, sentence)
    for place, name in enumerate(BY_PLACE)
    for value, sentence in BY_PLACE[name]
]


@pytest.mark.parametrize(
    ("place", "value", "sentence"), CASES, ids=[str(n) for n in range(len(CASES))]
)
def test_what_a_step_may_not_return(place, value, sentence):
    with pytest.raises(UserError, match=f"^The environment .*({sentence}).*{STEP}"):
        after_step(value, place)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, r"returned None from reset: .* return observation, \{\}"),
        (
            ZEROS,
            r"ndarray from reset: Gymnasium's reset returns \(observation, info\), and the old",
        ),
        ((ZEROS,), "returned a tuple of 1 from reset"),
        ((ZEROS, None), "returned the info None"),
        ((0.0, 0.0), "returned the info 0.0"),
        ((ZEROS + np.nan, {}), "returned an observation of nan at index"),
        (([[1.0], [1.0, 2.0]], {}), "returned an observation of type list"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_reset_may_not_return(answer, sentence):
    with pytest.raises(
        UserError,
        match=rf"^The environment {sentence}.*\(reset with seed 7\)\.$|"
        rf"^The environment returned .*{sentence}.*\(reset with seed 7\)\.$",
    ):
        CheckedEnv(Told(reset=answer), "The environment").reset(7)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "a value of type NoneType from step"),
        (
            (ZEROS, 0.0, False, {}),
            "4 values from step.*Change it to: return observation, reward, done,",
        ),
        ((ZEROS,) * 6, "a tuple of 6 from step"),
        ("abcde", "a value of type str from step"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_has_five_values(answer, sentence):
    env = CheckedEnv(Told(step=answer), "The environment")
    env.reset(7)
    with pytest.raises(UserError, match=f"^The environment returned {sentence}.*{STEP}"):
        env.step(5)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\ntwo"), "ValueError in step.5.: one two"),
        (MemoryError(), "MemoryError in step.5. "),
        (SystemExit(3), "SystemExit in step.5.: 3"),
        (Silent(), "Silent in step.5.: .its message cannot be read."),
        (RecursionError("x" * 10_000), "RecursionError in step.5.: x{200}\\.\\.\\. "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_raised_is_a_sentence(error, text):
    env = CheckedEnv(Told(step=error), "The environment")
    env.reset(7)
    with pytest.raises(UserError, match=f"^The environment raised {text}") as raised:
        env.step(5)
    assert "step 1 of the episode reset with seed 7" in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_control_c_is_no_error_of_the_environment():
    """Python's own handler raises it, wherever the program is."""
    env = CheckedEnv(Told(step=KeyboardInterrupt()), "The environment")
    env.reset(7)
    with pytest.raises(KeyboardInterrupt):
        env.step(5)


def test_a_reset_without_seed_is_told_what_it_should_take():
    class Old(Told):
        def reset(self):
            return ZEROS, {}

    with pytest.raises(
        UserError, match=r"TypeError in reset\(seed=7\).*takes `\*, seed=None, options"
    ):
        CheckedEnv(Old(), "The environment").reset(7)


@pytest.mark.parametrize("value", [True, np.True_, 1, 1.0, np.array(True), np.array([1]), [True]])
def test_an_end_in_whatever_dress(value):
    assert after_step(value, 2)[2] is True and after_step(value, 3)[3] is True


# values that a type does not hold


def small(dtype, shape=(2,)):
    bounds = (0, 1) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return spaces.Box(*bounds, shape, dtype)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.int32, [2**40 + 5, 0]),
        (np.int32, [0, -(2**31) - 1]),
        (np.uint8, [0, 256]),
        (np.uint8, [-1, 0]),
        (np.int8, [128, 0]),
        (np.uint64, [-1, 0]),
        (np.int64, np.array([0, 2**63], np.uint64)),
        (np.bool_, [2, 0]),
        (np.int64, [2**70, 0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_declared_type_does_not_hold_is_refused(dtype, values):
    with pytest.raises(UserError, match="which does not hold it|of type object"):
        after_step(values, 0, small(dtype))


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.uint8, [0, 255]),
        (np.int32, np.array([5, -5], np.int64)),
        (np.bool_, np.array([0, 1])),
        (np.int64, np.array([True, False])),
        (np.uint64, np.array([2**64 - 1, 0], np.uint64)),
        (np.dtype(">i2"), np.array([5, -5], ">i2")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_same_numbers_in_another_type_are_taken(dtype, values):
    observation, *_ = after_step(values, 0, small(dtype))
    assert observation.dtype == np.dtype(dtype).newbyteorder("=")
    assert observation.tolist() == np.asarray(values).tolist()


def test_floats_are_no_whole_numbers():
    with pytest.raises(UserError, match="of type float64, but its space says uint8"):
        after_step([0.0, 1.0], 0, small(np.uint8))


# masks


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        ([0.5, 1.0], "True or False, or 1 or 0"),
        ([np.nan, 1.0], "True or False, or 1 or 0"),
        ([2, 1], "True or False, or 1 or 0"),
        (["a", "b"], "it must say True or False"),
        ([[1], [1, 0]], "it must say True or False"),
        (Opaque(), "it must say True or False"),
        (np.ones((1, 2)), r"of shape \[1, 2\]: it must be \[2\]"),
        (1, r"of shape \[\]"),
        ([0, 0], "allows no action"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_mask_may_not_be(mask, sentence):
    env = CheckedEnv(Told(reset=(ZEROS, {"action_mask": mask})), "The environment")
    with pytest.raises(UserError, match=f"^The environment gave .*{sentence}"):
        env.reset(7)


@pytest.mark.parametrize(
    ("observation", "sentence"),
    [
        ({"observation": ZEROS}, "without its action_mask, which its space has"),
        ({"action_mask": [1, 1]}, "without its observation, which its space has"),
        ({"observation": ZEROS, "action_mask": None}, "gave no action_mask"),
        (ZEROS, "of type ndarray, but its space says a dict"),
        (None, "of type NoneType, but its space says a dict"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_dict_with_a_mask_has_both(observation, sentence):
    with pytest.raises(UserError, match=sentence):
        after_step(observation, 0, WITH_MASK)


def test_a_mask_that_comes_in_a_later_episode_is_refused():
    env = CheckedEnv(Told(), "The environment")
    env.reset(1)
    env.env.answers["reset"] = (ZEROS, {"action_mask": [1, 1]})
    with pytest.raises(UserError, match="though it gave none before.*reset with seed 2"):
        env.reset(2)


def test_a_mask_that_another_instance_did_not_give_is_refused():
    told = Told(reset=(ZEROS, {"action_mask": [1, 1]}))
    env = CheckedEnv(told, "The environment", Spaces((2,), "float32", 2, action_start=5))
    with pytest.raises(UserError, match="though it gave none before"):
        env.reset(1)


def test_instances_have_the_same_spaces():
    with pytest.raises(
        UserError, match="Environment 1 has other spaces .* actions 2 in place of 3"
    ):
        CheckedEnv(Told(), "Environment 1", Spaces((2,), "float32", 3, action_start=5))


def test_what_cannot_be_asked_for_its_spaces_is_a_sentence():
    class Broken(Told):
        @property
        def observation_space(self):
            raise RuntimeError("not yet")

        @observation_space.setter
        def observation_space(self, space):
            pass

    with pytest.raises(
        UserError, match="The environment raised RuntimeError in its spaces: not yet"
    ):
        CheckedEnv(Broken(), "The environment")


# copies


class Shared(gym.Env):
    """One buffer for the observations, and one for the masks, of all instances."""

    observation_space, action_space = FEATURES, spaces.Discrete(2)
    seen, mask = np.zeros(2, np.float32), np.ones(2, bool)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.number = float(self.np_random.random()), 0
        return self.observe()

    def step(self, action):
        self.number += 1
        observation, info = self.observe()
        return observation, self.place, self.number == 4, False, info

    def observe(self):
        self.seen[:] = self.place, self.number / 4
        self.mask[:] = True, self.number % 2
        return self.seen, {"action_mask": self.mask}


def test_instances_may_share_their_buffers():
    first, second = CheckedEnv(Shared(), "One"), CheckedEnv(Shared(), "Two")
    seen = [first.reset(1), second.reset(2), first.step(0)[0], second.step(0)[0]]
    masks = [first.mask, second.mask]
    second.step(0)
    assert len({array[0] for array in seen}) == 2 and [array[1] for array in seen] == [
        0,
        0,
        0.25,
        0.25,
    ]
    assert masks[0].tolist() == [True, True]


def test_nothing_seen_earlier_changes_in_a_vector_of_them():
    env = SeededVectorEnv(Shared, 3, 1)
    first = env.reset()[0]
    kept = first.copy()
    second = env.step(np.zeros(3, int))[0]
    np.testing.assert_array_equal(first, kept)
    assert len(set(second[:, 0])) == 3 and (second[:, 1] == 0.25).all()


# actions, pictures, closing


def test_actions_arrive_as_the_action_space_samples_them():
    env = CheckedEnv(Told(), "The environment")
    env.reset(7)
    env.step(6)
    (action,) = env.env.actions
    assert type(action) is type(env.env.action_space.sample()) is np.int64
    assert action.item() == 6


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (None, "type object"),
        (np.zeros((8, 8, 4), np.uint8), r"shape \[8, 8, 4\]"),
        (np.zeros((8, 8, 3), np.float32), "type float32"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \[0, 8, 3\]"),
        (Opaque(), "which is no picture"),
        (RuntimeError("no display"), r"raised RuntimeError in render\(\): no display"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_render_may_not_return(frame, sentence):
    env = CheckedEnv(Told(), "The environment")
    env.env.answers["render"] = frame
    with pytest.raises(UserError, match=f"^The environment .*{sentence}"):
        env.render()


def test_a_close_that_raises_loses_nothing(capsys):
    envs = [CheckedEnv(Told(), f"Environment {index}") for index in range(3)]
    for env in envs[1:]:
        env.env.answers["close"] = SystemExit("port in use")
    close_all(envs)
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"warning: Environment 1 raised SystemExit: port in use in close\(\)\. \(and 1 more\)\n",
        said,
    )


# wrappers with statistics


def test_rewards_that_are_not_repeated_are_found():
    """NormalizeReward begins its statistics anew in a resumed run; its observations repeat."""

    def make():
        return NormalizeReward(TimeLimit(Shared(), 50))

    env = SeededVectorEnv(make, 1, 3)
    env.reset()
    for _ in range(10):
        env.step(np.zeros(1, int))
    assert env.envs[0].running_statistics == ["NormalizeReward"]
    assert SeededVectorEnv(Shared, 1, 3).envs[0].running_statistics == []
    other = SeededVectorEnv(make, 1, 3)
    other.reset()
    assert other.restore(*env.state())[1] == [0]


class Counting(Shared):
    """Pays by how often this instance was reset."""

    resets = 0

    def reset(self, *, seed=None, options=None):
        self.resets += 1
        return super().reset(seed=seed)

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float(self.resets), *rest


def test_rewards_are_compared_where_observations_repeat():
    env = SeededVectorEnv(Counting, 2, 3)
    env.reset()
    returns = np.zeros(2)
    for _ in range(6):
        _, rewards, terminated, *_ = env.step(np.zeros(2, int))
        returns = np.where(terminated, 0.0, returns + rewards)
    other = SeededVectorEnv(Counting, 2, 3)
    assert other.restore(*env.state(), returns)[1] == [0, 1]
    same = SeededVectorEnv(Shared, 2, 3)
    same.reset()
    same.step(np.zeros(2, int))
    rewards = same.step(np.zeros(2, int))[1]
    other = SeededVectorEnv(Shared, 2, 3)
    assert other.restore(*same.state(), 2 * rewards)[1] == []
