"""Minari data sets of environments whose observations are of several parts, or named tokens."""

from collections import OrderedDict

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.flattened import as_vector
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import sources
from dqn_tf.record import __main__ as command
from dqn_tf.record import flags as record_flags
from dqn_tf.support.errors import UserError

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

# Minari's advice on what a data set should say of its author
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

STEPS = 4
FEATURES = Box(-1.0, 1.0, (2,))


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """Where Minari keeps its data sets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


class Told(gym.Env):
    """Observes a list of samples of its space, one after the other."""

    action_space = Discrete(3, start=5)

    def __init__(self, space, seed=0):
        self.observation_space = space
        space.seed(seed)
        self.samples = [self.legal(space.sample()) for _ in range(STEPS + 1)]

    def legal(self, sample):
        """A sample whose mask allows some action."""
        if isinstance(sample, dict) and "action_mask" in sample:
            sample["action_mask"][0] = 1
        return sample

    def reset(self, *, seed=None, options=None):
        self.place = 0
        return self.samples[0], {}

    def step(self, action):
        self.place += 1
        return self.samples[self.place], 1.0, False, self.place == STEPS, {}


def columns(samples):
    """Samples as Minari's collector has them: arrays in dicts and tuples."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: columns([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple):
        return tuple(columns(list(parts)) for parts in zip(*samples, strict=True))
    return np.array(samples)


def create(name, observations, space, action_space=Told.action_space, **others):
    """A data set of one episode, as somebody else may have made it."""
    steps = {
        "observations": observations,
        "actions": np.full(STEPS, int(action_space.start)),
        "rewards": np.ones(STEPS),
        "terminations": np.zeros(STEPS, bool),
        "truncations": np.arange(STEPS) == STEPS - 1,
        "infos": {},
    }
    buffer = minari.data_collector.EpisodeBuffer(**(steps | others))
    minari.create_dataset_from_buffers(
        name, [buffer], observation_space=space, action_space=action_space
    )


SPACES = {
    "bits": MultiBinary(4),
    "sizes": MultiDiscrete([3, 4]),
    "unsigned sizes": MultiDiscrete([3, 4], dtype=np.uint8, start=[1, 2]),
    "dict": Dict(a=Box(-1.0, 1.0, (1,)), b=Discrete(3)),
    "float64": Dict(a=Box(-1.0, 1.0, (1,), np.float64), b=Discrete(3, start=-1)),
    "tuple": Tuple([Discrete(3), Tuple([FEATURES, MultiBinary(2)])]),
    "keywords in no order": Dict(z=Discrete(3), a=Dict(y=FEATURES, b=MultiBinary(2))),
    "an ordered dict": Dict(OrderedDict(z=Discrete(3), a=Tuple([Dict(y=FEATURES, b=FEATURES)]))),
    "mask": Dict(observation=Tuple([Discrete(3), FEATURES]), action_mask=MultiBinary(3)),
    "RLlib's names": Dict(observations=FEATURES, action_mask=MultiBinary(3)),
    "mask and others": Dict(z=FEATURES, action_mask=MultiBinary(3), b=Discrete(2)),
    "one vector": FEATURES,
    "a number": Discrete(4, start=2),
    "tokens": MultiDiscrete([4, 4]),
}


@pytest.mark.parametrize("name", SPACES)
def test_what_is_read_is_what_the_agent_sees(name):
    env = Told(SPACES[name])
    checked = CheckedEnv(as_vector(env), "It")
    seen = [checked.reset(0), *(checked.step(5)[0] for _ in range(STEPS))]
    create("parts-v0", columns(env.samples), env.observation_space)
    episodes = sources.load("minari:parts-v0", checked.spaces)
    assert episodes.observation.dtype == checked.spaces.observation_dtype
    np.testing.assert_array_equal(episodes.observation, seen[:-1])
    np.testing.assert_array_equal(episodes.final_observation, seen[-1:])
    if checked.spaces.masked:
        masks = np.array([sample["action_mask"] for sample in env.samples], bool)
        np.testing.assert_array_equal(episodes.action_mask, masks[:-1])
        np.testing.assert_array_equal(episodes.final_mask, masks[-1:])


def test_what_a_part_does_not_allow_is_told_with_its_place():
    space = Dict(a=FEATURES, b=Discrete(3))
    spaces = CheckedEnv(as_vector(Told(space)), "It").spaces
    create("bad-v0", {"a": np.zeros((5, 2), np.float32), "b": np.array([0, 1, 3, 0, 0])}, space)
    with pytest.raises(UserError) as caught:
        sources.load("minari:bad-v0", spaces)
    assert str(caught.value) == (
        "minari:bad-v0, episode 0, step 2 returned 3 in observation['b'], which its space does not"
        " allow: it is Discrete(3)."
    )


def test_parts_of_another_size_are_of_another_environment():
    create("bits-v0", np.zeros((5, 4), np.int8), MultiBinary(4))
    with pytest.raises(UserError, match=r"another environment than --env: observation_shape .4,."):
        sources.load("minari:bits-v0", Spaces((6,), "uint8", 3, action_start=5))


class Named(gym.Env):
    """Names the integers of a Box, which are tokens then."""

    action_space = Discrete(2)
    observation_space = Box(3, 6, (3,), np.int32)
    tokens = ("<pad>", "a", "b", "c")
    padding = 3

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, self.np_random.random() < 0.1, False, {}


gym.register("NamedBox-v0", entry_point=lambda: Named(), max_episode_steps=20)
NAMED = CheckedEnv(Named(), "It").spaces


def test_a_box_of_named_tokens_is_read_as_it_was_recorded():
    words = ["--env=NamedBox-v0", "--episodes=3", "--output=minari:named-v0"]
    with pytest.raises(SystemExit) as end:
        command.main(record_flags.parse(["record", *words]))
    assert end.value.code == 0
    assert sources.load("minari:named-v0", NAMED).count == 3


@pytest.mark.parametrize(
    ("space", "different"),
    [
        (Box(3, 6, (3,), np.int32), ""),
        (MultiDiscrete([4] * 3, dtype=np.int32, start=[3] * 3), ""),
        (Box(3, 6, (2,), np.int32), "observation_shape (2,) for (3,)"),
        (Box(3, 6, (3,), np.int64), "observation_dtype int64 for int32"),
        (Box(3, 7, (3,), np.int32), "categories 0 for 4, category_start 0 for 3"),
        (Box(2, 6, (3,), np.int32), "categories 0 for 4, category_start 0 for 3"),
        (MultiDiscrete([2] * 3, dtype=np.int32), "categories 2 for 4, category_start 0 for 3"),
        (Box(3.0, 6.0, (3,)), "observation_dtype float32 for int32, categories 0 for 4"),
    ],
    ids=str,
)
def test_tokens_are_those_of_the_environment_if_the_bounds_are(space, different):
    observations = np.full((5, *space.shape), 3, space.dtype)
    create("tokens-v0", observations, space, Named.action_space)
    if not different:
        assert len(sources.load("minari:tokens-v0", NAMED)) == STEPS
        return
    with pytest.raises(UserError) as caught:
        sources.load("minari:tokens-v0", NAMED)
    told = "minari:tokens-v0 was recorded in another environment than --env: "
    assert str(caught.value).startswith(told + different)


PROPENSITIES = np.array([0.1, 0.2, 0.3, 0.4])
WITH_RESET = np.append(np.nan, PROPENSITIES)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PROPENSITIES, ""),
        (WITH_RESET, ""),
        (PROPENSITIES[:3], "column propensity: it has 3 rows for 4 actions"),
        (np.append(0.5, WITH_RESET), "column propensity: it has 6 rows for 4 actions"),
        (np.append(WITH_RESET[1:], np.nan), "step 3, column propensity: nan must be above 0"),
    ],
    ids=["steps", "collected", "fewer", "more", "reset last"],
)
def test_propensities_with_and_without_what_the_reset_says(given, said):
    """Minari's own collector keeps the info of a reset before those of the steps."""
    observations = np.zeros((STEPS + 1, 2), np.float32)
    create("chances-v0", observations, FEATURES, infos={"propensity": given})
    spaces = CheckedEnv(Told(FEATURES), "It").spaces
    if not said:
        episodes = sources.load("minari:chances-v0", spaces)
        assert episodes.propensity.tolist() == PROPENSITIES.tolist()
        return
    with pytest.raises(UserError, match=f"^minari:chances-v0, episode 0, {said}"):
        sources.load("minari:chances-v0", spaces)
