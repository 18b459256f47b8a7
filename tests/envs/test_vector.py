import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit

from dqn_tf.config import seeding
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.support.errors import UserError
from environments import Chain, Counter, Drifting, Maze, Scripted

SEED = 12


class DerivedSeeds(gym.Wrapper):
    """Resets with the seeds that SeededVectorEnv is to use, so that Gymnasium's own vector
    environment can be compared.
    """

    def __init__(self, env: gym.Env, index: int) -> None:
        super().__init__(env)
        self.index, self.episode = index, 0

    def reset(self, *, seed=None, options=None):
        self.episode += 1
        return self.env.reset(
            seed=seeding.episode_seed(SEED, seeding.TRAINING, self.index, self.episode)
        )


def cartpole() -> gym.Env:
    """Short enough that episodes of a random policy end both by a fall and by the time limit."""
    return TimeLimit(gym.make("CartPole-v1", disable_env_checker=True).unwrapped, 18)


def script(num_envs: int = 1, **options) -> SeededVectorEnv:
    return SeededVectorEnv(lambda: Scripted(**options), num_envs, SEED)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_equals_gymnasiums_same_step_mode(num_envs, generator):
    ours = SeededVectorEnv(cartpole, num_envs, SEED)
    theirs = SyncVectorEnv(
        [lambda index=index: DerivedSeeds(cartpole(), index) for index in range(num_envs)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])
    falls = limits = 0
    for _ in range(300):
        actions = generator.integers(2, size=num_envs)
        expected, actual = theirs.step(actions), ours.step(actions)
        for one, other in zip(actual[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        ended = expected[2] | expected[3]
        assert bool(actual[4]) == ended.any()
        if ended.any():
            np.testing.assert_array_equal(actual[4]["_final_obs"], expected[4]["_final_obs"])
            for index in range(num_envs):
                np.testing.assert_array_equal(
                    actual[4]["final_obs"][index], expected[4]["final_obs"][index]
                )
        falls, limits = falls + expected[2].sum(), limits + expected[3].sum()
    assert falls > 5 and limits > 5


def test_each_episode_has_a_seed_of_its_own():
    seeds = [[], []]

    class Recorder(Counter):
        def reset(self, *, seed=None, options=None):
            seeds[self.index].append(seed)
            return super().reset(seed=seed)

    env = SeededVectorEnv(lambda: Recorder(lambda episode: (2, "truncated")), 2, SEED)
    for index, one in enumerate(env.envs):
        one.env.index = index
    env.reset()
    for _ in range(6):
        env.step(np.zeros(2, int))
    assert seeds == [
        [seeding.episode_seed(SEED, seeding.TRAINING, index, episode) for episode in range(1, 5)]
        for index in range(2)
    ]
    assert len(set(seeds[0] + seeds[1])) == 8


def test_final_observation_survives_an_environment_that_reuses_its_array():
    env = SeededVectorEnv(lambda: Counter(lambda episode: (3, "truncated"), in_place=True), 1, SEED)
    env.reset()
    for _ in range(3):
        observation, *_, infos = env.step(np.zeros(1, int))
    assert infos["final_obs"][0].tolist() == [1, 3]
    assert observation.tolist() == [[2, 0]]


def test_what_is_returned_is_not_written_to_later():
    env = SeededVectorEnv(lambda: Counter(lambda episode: (9, "truncated"), in_place=True), 1, SEED)
    first, _ = env.reset()
    second = env.step(np.zeros(1, int))[0]
    env.step(np.zeros(1, int))
    assert (first.tolist(), second.tolist()) == ([[1, 0]], [[1, 1]])


def test_actions_are_counted_from_zero():
    env = script()
    env.reset()
    env.step(np.array([0]))
    env.step(np.array([1]))
    assert env.envs[0].env.actions == [5, 6]


@pytest.mark.parametrize("kind", ["info", "dict"])
def test_its_spaces_are_those_of_what_it_takes_and_returns(kind):
    env = SeededVectorEnv(lambda: Maze(kind), 2, SEED)
    observation, infos = env.reset()
    assert observation in env.observation_space
    assert observation[0] in env.single_observation_space
    action = infos["action_mask"].argmax(axis=1)
    assert action in env.action_space and action[0] in env.single_action_space
    assert env.step(action)[0] in env.observation_space


def test_observations_are_float32_of_a_float64_space():
    env = script(space=gym.spaces.Box(-1, 1, (2,), np.float64), first=np.array([0.1, 0.2]))
    assert env.reset()[0].dtype == np.float32


def test_a_seed_at_reset_is_refused():
    with pytest.raises(ValueError, match="derive from the seed"):
        script().reset(seed=1)


# --- state and restore ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "num_envs"),
    [(cartpole, 3), (lambda: TimeLimit(Chain(), 6), 2), (lambda: gym.make("FrozenLake-v1"), 2)],
    ids=["CartPole", "Chain", "FrozenLake (slippery)"],
)
def test_restore_plays_back_exactly(make, num_envs, generator):
    env = SeededVectorEnv(make, num_envs, SEED)
    env.reset()
    actions = generator.integers(2, size=(60, num_envs))
    record, states = [], []
    for action in actions:
        states.append(env.state())
        record.append(env.step(action)[:4])
    for moment in (0, 1, 17, 40, 59):
        other = SeededVectorEnv(make, num_envs, SEED)
        other.reset()
        observation, differing = other.restore(*states[moment])
        assert differing == []
        np.testing.assert_array_equal(observation, states[moment][2])
        for action, expected in zip(actions[moment:], record[moment:], strict=True):
            for one, other_one in zip(other.step(action)[:4], expected, strict=True):
                np.testing.assert_array_equal(one, other_one)


def test_state_does_not_change_afterwards_and_taking_it_changes_nothing():
    env = SeededVectorEnv(lambda: Counter(lambda episode: (9, "truncated")), 1, SEED)
    env.reset()
    env.step(np.array([1]))
    episodes, actions, observation = env.state()
    env.step(np.array([2]))
    assert (episodes, actions[0].tolist(), observation.tolist()) == ([1], [1], [[1, 1]])
    assert env.state()[1][0].tolist() == [1, 2]


def test_state_holds_running_episodes_only():
    env = SeededVectorEnv(lambda: Counter(lambda episode: (3, "terminated")), 1, SEED)
    env.reset()
    for _ in range(7):
        env.step(np.array([1]))
    episodes, actions, _ = env.state()
    assert (episodes, [taken.tolist() for taken in actions]) == ([3], [[1]])


def test_restore_names_the_environments_that_do_not_repeat_themselves():
    env = SeededVectorEnv(Drifting, 2, SEED)
    env.reset()
    for _ in range(3):
        env.step(np.zeros(2, int))
    other = SeededVectorEnv(Drifting, 2, SEED)
    other.reset()
    assert other.restore(*env.state())[1] == [0, 1]


def test_restore_notices_an_episode_that_ends_earlier_than_it_did():
    """Nothing else tells: observations are all alike, and no reward is paid."""
    lengths = iter([9, 9])

    class Unlike(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(1), gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            self.left = next(lengths)
            return 0, {}

        def step(self, action):
            self.left -= 1
            return 0, 0.0, self.left == 0, False, {}

    env = SeededVectorEnv(Unlike, 2, SEED)
    env.reset()
    for _ in range(3):
        env.step(np.zeros(2, int))
    for returns in (None, np.zeros(2), np.full(2, np.nan)):
        lengths = iter([3, 9, 9])
        assert env.restore(*env.state(), returns)[1] == [0]
        lengths = iter([9, 9])
        env.restore([1, 1], [np.zeros(3, int)] * 2, np.zeros(2, int))


# --- errors ---------------------------------------------------------------------------------------

WHERE = (
    r"step 1 of the episode reset with seed"
    rf" {seeding.episode_seed(SEED, seeding.TRAINING, 0, 1)}\)\."
)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"after": RuntimeError("engine fire")},
            r"raised RuntimeError in step\(6\): engine fire \(" + WHERE[:-2],
        ),
        (
            {"after": np.zeros(3, np.float32)},
            r"an observation of shape \[3\], but its space says \[2\] \(" + WHERE,
        ),
        (
            {"after": np.zeros((1, 2), np.float32)},
            r"an observation of shape \[1, 2\], but its space says \[2\]",
        ),
        (
            {"after": np.array(["a", "b"])},
            r"an observation of type <U1, but its space says float32 \(" + WHERE,
        ),
        (
            {"after": np.array([None, 1])},
            "an observation of type object, but its space says float32",
        ),
        (
            {"after": np.array([1j, 2])},
            "an observation of type complex128, but its space says float32",
        ),
        (
            {
                "after": np.zeros(2),
                "first": np.zeros(2, np.uint8),
                "space": gym.spaces.Box(0, 255, (2,), np.uint8),
            },
            "an observation of type float64, but its space says uint8",
        ),
        (
            {"first": 0, "after": 3, "space": gym.spaces.Discrete(3)},
            "the observation 3, but its space says 0 to 2",
        ),
        (
            {"first": 0, "after": -1, "space": gym.spaces.Discrete(3)},
            "the observation -1, but its space says 0 to 2",
        ),
        (
            {"first": 5, "after": 4, "space": gym.spaces.Discrete(3, start=5)},
            "the observation 4, but its space says 5 to 7",
        ),
        ({"reward": None}, r"the reward None: it must be one number \(" + WHERE),
        ({"reward": "1"}, "the reward '1': it must be one number"),
        ({"reward": [1.0, 2.0]}, r"the reward \[1.0, 2.0\]: it must be one number"),
        ({"reward": 1j}, "the reward 1j: it must be one number"),
        ({"reward": np.zeros(0)}, "it must be one number"),
        ({"reward": {"a": 1}}, "it must be one number"),
    ],
    ids=str,
)
def test_what_an_environment_may_not_do_in_a_step(options, sentence):
    env = script(**options)
    env.reset()
    with pytest.raises(UserError, match=f"^Environment 0 .*{sentence}"):
        env.step(np.array([1]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"first": RuntimeError("no fuel")},
            (
                r"raised RuntimeError in"
                rf" reset\(seed={seeding.episode_seed(SEED, seeding.TRAINING, 0, 1)}\): no fuel"
            ),
        ),
        (
            {"first": np.zeros(3, np.float32)},
            r"an observation of shape \[3\], but its space says \[2\] \(reset with seed",
        ),
        (
            {"first": 3, "space": gym.spaces.Discrete(3)},
            "the observation 3, but its space says 0 to 2",
        ),
    ],
    ids=str,
)
def test_what_an_environment_may_not_do_in_a_reset(options, sentence):
    with pytest.raises(UserError, match=f"^Environment 0 .*{sentence}"):
        script(**options).reset()


def test_the_environment_at_fault_is_the_one_named():
    env = script(3)
    env.reset()
    env.envs[2].env.reward = None
    with pytest.raises(UserError, match="^Environment 2 returned the reward None"):
        env.step(np.zeros(3, int))


@pytest.mark.parametrize(
    "reward",
    [2, 2.0, True * 2, np.float32(2), np.int64(2), np.array(2.0), np.array([2.0]), [2]],
    ids=repr,
)
def test_one_number_is_a_reward_in_whatever_dress(reward):
    env = script(reward=reward)
    env.reset()
    rewards = env.step(np.array([0]))[1]
    assert rewards.tolist() == [2.0] and rewards.dtype == np.float64


def test_a_step_of_the_old_api_is_named():
    env = script()
    env.envs[0].env.step = lambda action: (np.zeros(2, np.float32), 0.0, False, {})
    env.reset()
    with pytest.raises(
        UserError, match=r"^Environment 0 returned 4 values from step, not enough values"
    ):
        env.step(np.array([0]))


def test_close_closes_every_environment():
    env, closed = script(2), []
    for index, one in enumerate(env.envs):
        one.env.close = lambda index=index: closed.append(index)
    env.close()
    assert closed == [0, 1]
