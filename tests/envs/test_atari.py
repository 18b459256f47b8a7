"""Atari games:

the protocol, the seeds, the pictures against Gymnasium's own preprocessing, and a run that resumes
to the bit.
"""

import gymnasium as gym
import numpy as np
import pytest

import oracles
from benchmarks.scores import run_one
from benchmarks.speed import ours
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.doctor import random_play
from dqn_tf.engines.factory import make_engines
from dqn_tf.envs import atari, registry
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.run_files import checkpoint
from dqn_tf.support.errors import UserError
from dqn_tf.training import trainer

ale_py = pytest.importorskip("ale_py")

PONG, BREAKOUT = "ALE/Pong-v5", "ALE/Breakout-v5"


def game(env: str = PONG, **settings) -> atari.AtariGame:
    return atari.maker(DQNConfig(env=env, **settings))()


def play(env: gym.Env, seed: int, actions: np.ndarray) -> list[tuple]:
    """Observations, rewards and ends, until the first end."""
    seen = [(env.reset(seed=seed)[0].copy(), 0.0, False, False)]
    for action in actions.tolist():
        observation, *rest, _ = env.step(action)
        seen.append((observation.copy(), *rest))
        if rest[1] or rest[2]:
            break
    return seen


def equal(one: list[tuple], other: list[tuple]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_a_seed_decides_the_whole_episode(sticky, generator):
    """Whatever was played before: no-ops and sticky actions too."""
    actions = generator.integers(4, size=120)
    env, other = (game(BREAKOUT, sticky_actions=sticky) for _ in range(2))
    play(other, 4, actions[::-1])
    first = play(env, 9, actions)
    assert equal(first, play(other, 9, actions)) and equal(first, play(env, 9, actions))
    assert not equal(first, play(env, 10, actions))
    for each in (env, other):
        each.close()


@pytest.mark.parametrize("ends", ["cut", "over"])
def test_a_reset_after_an_end_is_a_beginning(ends, generator):
    """ale-py's own reset, due at the step after an end, does not come on top of ours."""
    actions, cap = generator.integers(4, size=40), 200 if ends == "cut" else 108_000
    env, fresh = (game(BREAKOUT, max_frames=cap, noop_max=5, sticky_actions=0.0) for _ in range(2))
    before = play(env, 1, np.ones(300, int))  # a ball that nobody returns, five times
    assert before[-1][2:] == ((False, True) if ends == "cut" else (True, False))
    assert equal(play(env, 2, actions), play(fresh, 2, actions))


def test_an_episode_begins_black_and_shifts(generator):
    env = game()
    observation, _ = env.reset(seed=3)
    assert (
        observation.shape == (84, 84, 4)
        and observation.dtype == np.uint8
        and env.observation_space.contains(observation)
    )
    assert not observation[..., :3].any() and observation[..., 3].any()
    for action in generator.integers(6, size=6).tolist():
        after = env.step(action)[0]
        np.testing.assert_array_equal(after[..., :3], observation[..., 1:])
        observation = after


def test_what_is_drawn_is_what_the_agent_sees(generator):
    """In colour:

    shrunk and grey it is the observation's newest picture, but for how grey is mixed, with sticky
    actions and no-ops too.
    """
    cv2 = pytest.importorskip("cv2")
    env = atari.maker(DQNConfig(env=PONG, sticky_actions=0.25))(render_mode="rgb_array")
    for seed in (3, 4):
        observation, _ = env.reset(seed=seed)
        for action in [None, *generator.integers(6, size=150).tolist()]:
            if action is not None:
                observation = env.step(action)[0]
            drawn = env.render()
            assert drawn.shape == (420, 640, 3) and drawn.dtype == np.uint8
            grey = cv2.resize(
                cv2.cvtColor(np.ascontiguousarray(drawn[::2, ::4]), cv2.COLOR_RGB2GRAY),
                (84, 84),
                interpolation=cv2.INTER_AREA,
            )
            assert np.abs(grey.astype(int) - observation[..., -1]).max() <= 40
    assert (
        len(np.unique(drawn.reshape(-1, 3), axis=0)) > 3 and (drawn[..., 0] != drawn[..., 2]).any()
    )
    env.close()


def test_the_protocol_in_words():
    classic = DQNConfig(env=PONG, sticky_actions=0.0, full_action_space=True).protocol
    assert (
        classic
        == "frame skip 4, up to 30 no-ops, no sticky actions, all 18 actions, at most 108,000"
        " frames"
    )
    assert (
        "sticky actions 0.25, minimal actions" in DQNConfig(env=PONG).protocol
        and DQNConfig(env="CartPole-v1").protocol == ""
    )
    small = DQNConfig(env=PONG, screen_size=42).protocol
    assert small.endswith("at most 108,000 frames, pictures of 42x42")


def test_no_ops_shift_the_beginning():
    for most, different in ((30, True), (0, False)):
        env = game("ALE/SpaceInvaders-v5", noop_max=most, sticky_actions=0.0)
        beginnings = {play(env, seed, np.zeros(20, int))[-1][0].tobytes() for seed in range(4)}
        assert (len(beginnings) > 1) == different


def test_the_cap_counts_frames():
    env = game(max_frames=80, frame_skip=4, noop_max=0)
    assert len(play(env, 1, np.zeros(50, int))) == 1 + 80 // 4


def test_actions_are_the_games_own_or_all():
    assert game().action_space.n == 6 and game(full_action_space=True).action_space.n == 18
    assert registry.spaces(DQNConfig(env=PONG, full_action_space=True)).actions == 18
    assert registry.spaces(DQNConfig(env=PONG)).stack == 4
    assert registry.spaces(DQNConfig(env="CartPole-v1")).stack == 0


def test_the_protocol_is_the_configurations_wherever_a_game_is_made(monkeypatch):
    """In the benchmarks and the doctor too: not the preset's."""
    config = DQNConfig(env=PONG, seed=1, full_action_space=True, replay_capacity=200)
    assert registry.make_env(config).action_space.n == 18
    assert registry.make_env(PONG).action_space.n == 6
    assert random_play.inspect(config, 5).spaces.actions == 18
    played = []

    def record(configs, agents, make_env, logged):
        played.append((agents[0].spaces.actions, make_env().action_space.n))
        raise InterruptedError

    monkeypatch.setattr(trainer, "make_engines", record)
    for run in (run_one.run, ours.build):
        with pytest.raises(InterruptedError):
            run(config)
    assert played == [(18, 18), (18, 18)]


@pytest.mark.parametrize(
    "env, size", [(PONG, 84), (PONG, 42), (BREAKOUT, 84), ("ALE/SpaceInvaders-v5", 84)]
)
def test_pictures_and_rewards_are_those_of_gymnasiums_preprocessing(env, size, generator):
    """Frame for frame, from the first step on. Where they differ, and only there: Gymnasium stacks
    copies of the first picture at an episode's beginning, where ale-py has black, and its first
    picture is of one frame.
    """
    pytest.importorskip("cv2")
    gym.register_envs(ale_py)
    raw = gym.make(env, frameskip=1, repeat_action_probability=0.0, disable_env_checker=True)
    theirs = gym.wrappers.AtariPreprocessing(
        raw, noop_max=0, frame_skip=4, screen_size=size, grayscale_obs=True
    )
    ours = game(env, sticky_actions=0.0, noop_max=0, screen_size=size)
    assert ours.observation_space.shape == (size, size, 4)
    theirs.reset(seed=0)
    ours.reset(seed=0)
    scored = 0.0
    for action in generator.integers(ours.action_space.n, size=300).tolist():
        one, other = ours.step(action), theirs.step(action)
        np.testing.assert_array_equal(one[0][..., -1], other[0])
        assert one[1] == other[1] and one[2:4] == other[2:4]
        scored += abs(one[1])
        if one[2]:
            break
    assert scored > 0
    theirs.close()


# --- several games --------------------------------------------------------------------------------


def test_games_at_the_same_time_are_games_one_after_the_other(generator):
    config = DQNConfig(env=BREAKOUT, num_envs=3, seed=5, sticky_actions=0.25, max_frames=160)
    games = registry.vector_env(config, atari.maker(config), range(config.num_envs))
    games.reset()
    actions = generator.integers(4, size=(60, 3))
    answers = [games.step(action) for action in actions]
    for index in range(3):
        episode, t, single = 1, 0, game(BREAKOUT, sticky_actions=0.25, max_frames=160)
        single.reset(seed=seeding.episode_seed(5, seeding.TRAINING, index, episode))
        for t, action in enumerate(actions[:, index].tolist()):
            observation, reward, terminated, truncated, _ = single.step(action)
            assert (answers[t][1][index], answers[t][2][index], answers[t][3][index]) == (
                reward,
                terminated,
                truncated,
            )
            if terminated or truncated:
                np.testing.assert_array_equal(answers[t][4]["final_obs"][index], observation)
                episode += 1
                observation, _ = single.reset(
                    seed=seeding.episode_seed(5, seeding.TRAINING, index, episode)
                )
            np.testing.assert_array_equal(answers[t][0][index], observation)
        assert episode == 2
        single.close()


def test_lives_are_counted_and_the_game_goes_on():
    """Breakout: a ball that nobody returns costs a life, five of which are a game."""
    config = DQNConfig(env=BREAKOUT, seed=5, sticky_actions=0.0, episodic_life=True)
    games = registry.vector_env(config, atari.maker(config), range(config.num_envs))
    games.reset()
    ended = np.array([games.step(np.array([1]))[2][0] for _ in range(220)])
    _, lost = games.learning_signal(np.zeros((220, 1)), np.zeros((220, 1), bool))
    assert lost.shape == (220, 1) and ended.sum() == 1
    over = int(ended.argmax())
    assert lost[:over].sum() == 4
    assert games.learning_signal(np.zeros((0, 1)), np.zeros((0, 1), bool))[1].shape == (0, 1)


def engine(**settings):
    config = DQNConfig(
        env=BREAKOUT,
        seed=3,
        num_envs=2,
        total_steps=260,
        warmup_env_steps=40,
        replay_capacity=100,
        batch_size=4,
        hidden_units=(16,),
        n_step=3,
        updates_per_block=10,
        noop_max=3,
        max_frames=240,
        epsilon_decay_env_steps=100,
        **settings,
    )
    agent = oracles.make_agent(config, registry.spaces(config))
    return make_engines([config], [agent], registry.maker(config))[0]


def test_a_run_resumes_to_the_bit(tmp_path):
    """With sticky actions, in the middle of episodes, replay having overwritten its oldest rows."""
    unbroken, resumed = engine(), engine()
    for _ in range(7):
        unbroken.run_block()
    values, arrays = unbroken.state()
    assert (
        len(unbroken.replay) == 100
        and values["running_episode"] == [2, 2]
        and arrays["running/length"].min() > 5
    )
    found = checkpoint.load(
        checkpoint.save(
            tmp_path, 1, values, {"state.npz": arrays, "replay.npz": unbroken.replay.rows()}
        )
    )
    assert resumed.restore(found.state, found.files["state.npz"], found.replay) == []
    for each in (unbroken, resumed):
        oracles.run(each)
        each.close()
    oracles.equal(unbroken.agent.online.get_weights(), resumed.agent.online.get_weights())


@pytest.mark.parametrize("episodic_life", [False, True])
def test_what_is_learned_from_and_what_is_recorded(episodic_life, monkeypatch):
    """Rewards are clipped and lives end only for learning; recorded returns are the game's."""
    run = engine(episodic_life=episodic_life)
    first = run.collector.shards[0].env.envs[0].env
    lost = np.zeros((10, 2), bool)
    lost[3, 0] = True
    step, collect = atari.AtariGame.step, run.collector.collect
    taken, blocks = [], []

    def rich(game, action):
        observation, _, _, _, info = step(game, action)
        taken.append(game)
        game.life_lost = game is first and taken.count(game) == 4
        return observation, 7.0, False, False, info

    def record(length, epsilon):
        blocks.append(collect(length, epsilon))
        return blocks[-1]

    monkeypatch.setattr(atari.AtariGame, "step", rich)
    monkeypatch.setattr(run.collector, "collect", record)
    run.run_block()
    (steps,) = blocks
    assert (steps.reward == 1.0).all() and (steps.env_reward == 7.0).all()
    assert (steps.terminated == (lost & episodic_life)).all() and not steps.env_ended.any()
    rows = run.replay.rows()
    assert (rows["reward"] > 2.9).any() and rows["reward"].max() < 3.0
    assert (rows["discount"] == 0.0).any() == episodic_life
    assert run.running_return.tolist() == [70.0, 70.0] and run.episodes == 0
    run.close()


def test_an_evaluation_plays_games_at_once_as_one_after_the_other():
    make = atari.maker(DQNConfig(env=BREAKOUT, max_frames=120))

    def policy(observation, _):
        return observation[:, 40:44, 40].sum(axis=(1, 2)) % 4

    together, alone = (evaluate(policy, make, [5, 9, 13], parallel=parallel) for parallel in (3, 1))
    np.testing.assert_array_equal(together.returns, alone.returns)
    np.testing.assert_array_equal(together.lengths, [30, 30, 30])


# --- what can be wrong ----------------------------------------------------------------------------


def test_an_unknown_game_is_named_with_a_suggestion():
    with pytest.raises(UserError, match="--env=ALE/Pongg-v5: .*Did you mean: `Pong`"):
        registry.maker(DQNConfig(env="ALE/Pongg-v5"))


def test_a_rom_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path))
    with pytest.raises(
        UserError,
        match="--env=ALE/Pong-v5: the game's ROM cannot be used: .*Type: unset ALE_ROMS_DIR$",
    ):
        registry.maker(DQNConfig(env=PONG))
