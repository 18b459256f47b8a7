import ctypes
import json
import os
import tracemalloc

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import seeding
from dqn_tf.experience import exploration
from dqn_tf.support.errors import UserError
from environments import Chain, Counter
from oracles import make_config, make_engine, run

pytestmark = pytest.mark.usefixtures("traced_updates")


def cartpole() -> gym.Env:
    return TimeLimit(gym.make("CartPole-v1", disable_env_checker=True).unwrapped, 30)


def enliven(engine) -> None:
    """Gives weights at which what is greedy depends on the observation, and soon on what was
    learned.
    """
    engine.agent.online.set_weights(
        [
            np.random.default_rng(1).normal(size=array.shape)
            for array in engine.agent.online.get_weights()
        ]
    )
    engine.q_function.refresh()


# --- what is stored -------------------------------------------------------------------------------


@pytest.mark.parametrize("num_envs", [1, 3])
@pytest.mark.parametrize("in_place", [False, True])
def test_every_stored_row_is_one_step_of_one_episode(num_envs, in_place):
    oracles.check_stored_rows(num_envs, in_place)


@pytest.mark.parametrize("num_envs", [1, 3])
def test_finished_episodes_equal_a_plain_loops(num_envs):
    """Whatever blocks they were cut into."""
    config = make_config(
        num_envs=num_envs,
        updates_per_block=5,
        total_steps=num_envs * 90,
        warmup_env_steps=num_envs * 90 - 1,
        replay_capacity=1000,
    )
    engine = make_engine(config, cartpole)
    oracles.without_learning(engine.agent)
    finished = []
    while engine.env_step < config.total_steps:
        finished += engine.run_block().episodes
    expected = plain_episodes(config, engine.replay.rows()["action"].reshape(-1, num_envs))
    assert finished == expected
    assert engine.episodes == len(expected) > 3 * num_envs


def plain_episodes(config, actions: np.ndarray) -> list[tuple[int, float, int]]:
    """(env_step, return, length) of each episode, one environment after the other."""
    finished = []
    for index in range(config.num_envs):
        env, episode, total, length = cartpole(), 1, 0.0, 0
        env.reset(seed=seeding.episode_seed(config.seed, seeding.TRAINING, index, episode))
        for t, action in enumerate(actions[:, index]):
            _, reward, terminated, truncated, _ = env.step(action)
            total, length = total + reward, length + 1
            if terminated or truncated:
                finished.append((t * config.num_envs + index + 1, total, length))
                episode, total, length = episode + 1, 0.0, 0
                env.reset(seed=seeding.episode_seed(config.seed, seeding.TRAINING, index, episode))
    return sorted(finished)


def test_actions_are_random_where_planned_and_else_greedy():
    config = make_config(
        num_envs=2,
        epsilon_start=0.8,
        epsilon_end=0.1,
        epsilon_decay_env_steps=150,
        updates_per_block=20,
        total_steps=200,
        warmup_env_steps=199,
        replay_capacity=200,
    )
    engine = make_engine(config, cartpole)
    oracles.without_learning(engine.agent)
    enliven(engine)
    rows = run(engine).replay.rows()
    generator = seeding.generators(config.seed)["exploration"]
    steps = np.arange(200).reshape(-1, 10, 2)
    planned = [exploration.draw_exploration(generator, engine.epsilon(part)) for part in steps]
    explore, draw = (np.concatenate(parts).ravel() for parts in zip(*planned, strict=True))
    greedy = engine.agent(rows["observation"]).numpy().argmax(axis=1)
    np.testing.assert_array_equal(rows["action"], np.where(explore, np.floor(draw * 2), greedy))
    assert 0.2 < explore.mean() < 0.7 and len(set(greedy.tolist())) == 2


def test_values_that_are_not_finite_reach_neither_replay_nor_clock():
    class Leaking(Counter):
        def step(self, action):
            observation, reward, *rest = super().step(action)
            return observation, np.nan if self.number == 13 else reward, *rest

    engine = make_engine(
        make_config(updates_per_block=10, warmup_env_steps=60),
        lambda: Leaking(lambda episode: (99, "truncated")),
    )
    engine.run_block()
    with pytest.raises(UserError, match=r"returned the reward nan: .* \(step 13 of the episode"):
        engine.run_block()
    assert len(engine.replay) == engine.env_step == 10


def test_learning_that_breaks_is_a_sentence():
    class Rich(Counter):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, 3e38, *rest

    engine = make_engine(
        make_config(loss="mse", updates_per_block=1),
        lambda: Rich(lambda episode: (99, "truncated")),
    )
    with pytest.raises(
        UserError, match="^Learning broke at environment step 9: loss inf, .*Lower --learning_rate"
    ):
        run(engine)


# --- when it learns -------------------------------------------------------------------------------


@pytest.mark.parametrize("num_envs", [1, 2, 3, 5])
def test_update_count(num_envs):
    agent = oracles.make_agent(spaces=oracles.COUNTER)
    for updates_per_block in (1, 4, 7):
        for env_steps_per_update in (0.1, 0.3, 0.5, 0.7, 1.0, 1.1, 1.5, 2.5, 3.0, 4.0, 7.0):
            oracles.check_update_count(num_envs, updates_per_block, env_steps_per_update, agent)


def test_blocks_hold_their_updates():
    """Once learning is under way, every block of `updates_per_block` updates holds just these."""
    engine = make_engine(
        make_config(
            updates_per_block=8,
            env_steps_per_update=2.0,
            warmup_env_steps=32,
            total_steps=200,
            replay_capacity=200,
        ),
        lambda: Counter(lambda episode: (9, "truncated")),
    )
    counts = oracles.without_learning(engine.agent)
    run(engine)
    assert counts == [8] * 10 + [4] and engine.updates == 84


class Textbook:
    """DQN as it is written on paper, one step after the other:

    NumPy, a list for the replay, nothing of the engine.
    """

    def __init__(self, config, agent, make) -> None:
        self.config, self.agent, self.env = config, oracles.NumpyAgent(agent), make()
        generators = seeding.generators(config.seed)
        self.exploration, self.sampling = generators["exploration"], generators["replay"]
        self.memory: list[tuple] = []
        self.episode = 0

    def run(self) -> None:
        observation, config = self.reset(), self.config
        for t in range(config.total_steps):
            epsilon = max(
                config.epsilon_end,
                1.0 + (config.epsilon_end - 1.0) * t / config.epsilon_decay_env_steps,
            )
            explore, action = (
                self.exploration.random() < epsilon,
                int(2 * self.exploration.random()),
            )
            if not explore:
                action = self.agent.forward(self.agent.online, observation)[1].argmax()
            after, reward, terminated, truncated, _ = self.env.step(action)
            row = (observation, action, reward, 0.0 if terminated else config.gamma, after)
            if t < config.replay_capacity:
                self.memory.append(row)
            else:
                self.memory[t % config.replay_capacity] = row
            observation = self.reset() if terminated or truncated else after
            if t >= config.warmup_env_steps:
                self.update()

    def reset(self) -> np.ndarray:
        self.episode += 1
        return self.env.reset(
            seed=seeding.episode_seed(self.config.seed, seeding.TRAINING, 0, self.episode)
        )[0]

    def update(self) -> None:
        chosen = [
            self.memory[number]
            for number in self.sampling.integers(len(self.memory), size=self.config.batch_size)
        ]
        names = ("observation", "action", "reward", "discount", "next_observation")
        self.agent.update(
            {
                name: np.array(values)
                for name, values in zip(names, zip(*chosen, strict=True), strict=True)
            }
        )


def test_blocks_of_one_update_are_the_textbook_loop():
    config = make_config(
        updates_per_block=1,
        total_steps=150,
        warmup_env_steps=20,
        batch_size=8,
        replay_capacity=60,
        epsilon_end=0.1,
        epsilon_decay_env_steps=100,
        target_update_period_env_steps=10,
        learning_rate=3e-3,
    )
    engine = make_engine(config, cartpole)
    enliven(engine)
    before = oracles.NumpyAgent(engine.agent)
    textbook = Textbook(config, engine.agent, cartpole)
    textbook.run()
    run(engine)
    rows = engine.replay.rows()
    for number, name in enumerate(
        ("observation", "action", "reward", "discount", "next_observation")
    ):
        oracles.close(rows[name], np.array([row[number] for row in textbook.memory], np.float32))
    for network, weights in (
        (engine.agent.online, textbook.agent.online),
        (engine.agent.target, textbook.agent.target),
    ):
        for one, other in zip(network.get_weights(), weights, strict=True):
            oracles.close(one, other, 1e-4)
    assert engine.updates == textbook.agent.updates == 130
    greedy = [
        agent.forward(agent.online, rows["observation"])[1].argmax(axis=1)
        for agent in (before, textbook.agent)
    ]
    assert 0 < greedy[0].mean() < 1 and (greedy[0] != greedy[1]).sum() > 5, (
        "a loop that acts on old weights would not show"
    )


# --- the same again -------------------------------------------------------------------------------

REPEAT = {
    "num_envs": 2,
    "updates_per_block": 8,
    "env_steps_per_update": 2.5,
    "total_steps": 150,
    "replay_capacity": 70,
    "epsilon_end": 0.2,
    "epsilon_decay_env_steps": 80,
    "warmup_env_steps": 31,
}


def fingerprint(engine) -> dict:
    """Everything at the end of a run: counters, weights, replay, episodes under way."""
    values, arrays = engine.state()
    everything = arrays | engine.replay.rows()
    return values | {"sha256": weights_sha256([everything[name] for name in sorted(everything)])}


def test_same_seed_same_run_and_other_seed_another():
    first, second, third = (
        fingerprint(run(make_engine(make_config(**REPEAT, seed=seed), cartpole)))
        for seed in (4, 4, 5)
    )
    assert first == second
    assert first["sha256"] != third["sha256"]


def test_restored_at_any_block_it_goes_on_as_if_never_stopped():
    config = make_config(**REPEAT)
    engine = make_engine(config, cartpole)
    enliven(engine)
    saved, episodes = [], []
    while engine.env_step < config.total_steps:
        values, arrays = engine.state()
        saved.append(
            (
                json.loads(json.dumps(values)),
                {name: array.copy() for name, array in arrays.items()},
                {name: column.copy() for name, column in engine.replay.rows().items()},
            )
        )
        episodes.append(engine.run_block().episodes)
    expected = fingerprint(engine)
    assert len(saved) > 6
    for moment, (values, arrays, rows) in enumerate(saved):
        # the agent is compiled; all that it knows is in `arrays`
        other = make_engine(config, cartpole, engine.agent)
        assert other.restore(values, arrays, rows) == []
        for block in episodes[moment:]:
            assert other.run_block().episodes == block
        assert fingerprint(other) == expected, f"stopped after block {moment}"


@pytest.mark.parametrize("how", ["lent", "resumed"])
@pytest.mark.parametrize("n_step", [1, 3])
def test_an_episode_that_is_not_repeated_is_given_up(n_step, how):
    """An episode of `Counter`, of seven steps, has another number whenever it begins again."""

    def make() -> gym.Env:
        return Counter(lambda episode: (7, "truncated"))

    config = make_config(
        num_envs=2,
        n_step=n_step,
        updates_per_block=5,
        warmup_env_steps=12,
        total_steps=120,
        replay_capacity=200,
    )
    engine = make_engine(config, make)
    episodes = []
    for _ in range(4):
        episodes += engine.run_block().episodes
    if how == "lent":
        with engine.lend() as loan:
            for env in loan.envs:
                env.reset(1)
        assert loan.differing == [0, 1]
    else:
        values, arrays = engine.state()
        rows = {name: column.copy() for name, column in engine.replay.rows().items()}
        engine = make_engine(config, make, engine.agent)
        for env in engine.collector.shards[0].env.envs:
            env.reset(1)  # else it would have the same number again
        assert engine.restore(values, arrays, rows) == [0, 1]
    assert np.isnan(engine.running_return).all()
    while not engine.finished:
        episodes += engine.run_block().episodes
    rows = engine.replay.rows()
    assert (rows["observation"][:, 0] == rows["next_observation"][:, 0]).all()
    assert (rows["next_observation"][:, 1] - rows["observation"][:, 1] <= n_step).all()
    assert {episode.episode_length for episode in episodes} == {7}
    assert len(episodes) >= 10


def test_taking_a_state_changes_nothing():
    results = []
    for interrupted in (False, True):
        engine = make_engine(make_config(**REPEAT), cartpole)
        counts = oracles.without_learning(engine.agent)
        while engine.env_step < engine.config.total_steps:
            engine.run_block()
            if interrupted:
                engine.state()
        results.append((fingerprint(engine), counts))
    assert results[0] == results[1]


def test_restored_without_its_replay_it_collects_before_it_learns():
    config = make_config(**REPEAT)
    engine = make_engine(config, cartpole)
    counts = oracles.without_learning(engine.agent)
    while engine.env_step < 80:
        engine.run_block()
    other = make_engine(config, cartpole)
    resumed = oracles.without_learning(other.agent)
    other.restore(*engine.state(), None)
    assert other.learning_starts == other.env_step + 31 and len(other.replay) == 0
    run(other)
    assert (
        sum(resumed)
        == int((other.env_step - other.learning_starts) // 2.5)
        == other.updates - sum(counts)
    )


@pytest.mark.parametrize(
    ("at", "warmup", "starts"),
    [(20, 60, 60), (20, 31, 31), (80, 60, 31)],  # once it has learned, it goes on learning
)
def test_a_warm_up_that_is_not_over_can_be_made_longer(at, warmup, starts):
    engine = make_engine(make_config(**REPEAT), cartpole)
    oracles.without_learning(engine.agent)
    while engine.env_step < at:
        engine.run_block()
    other = make_engine(make_config(**REPEAT | {"warmup_env_steps": warmup}), cartpole)
    other.restore(*engine.state(), engine.replay.rows())
    assert other.learning_starts == starts


def test_restored_into_a_larger_replay_it_learns_from_what_was_there_only():
    small = make_engine(make_config(**REPEAT), cartpole)
    oracles.without_learning(small.agent)
    run(small)
    large = make_engine(make_config(**REPEAT | {"replay_capacity": 500}), cartpole)
    large.restore(*small.state(), small.replay.rows())
    assert len(large.replay) == 70
    kept = {tuple(row) for row in small.replay.rows()["observation"].tolist()}
    assert {
        tuple(row) for row in large.replay.sample(40, 50)["observation"].reshape(-1, 4).tolist()
    } == kept


# --- a long run -----------------------------------------------------------------------------------


def test_memory_is_flat_and_one_trace_serves_a_long_run():
    """Resident memory for what TensorFlow takes; Python's and NumPy's own count, as objects that
    wait for the collector would hide a small leak from the former. A leak grows in every stretch of
    the run, the heap of a thread that is new to it in one: the middle one of many tells them apart.
    """
    config = make_config(
        num_envs=2,
        total_steps=20_000,
        updates_per_block=16,
        env_steps_per_update=3.5,
        replay_capacity=2_000,
        epsilon_decay_env_steps=1000,
    )
    engine = make_engine(config, lambda: TimeLimit(Chain(), 50))
    resident = []
    for env_step in range(5_000, 16_000, 1_000):
        while engine.env_step < env_step:
            engine.run_block()
        resident.append(resident_bytes())
    tracemalloc.start()
    try:
        engine.run_block()
        traced = tracemalloc.get_traced_memory()[0]
        run(engine)
        grown = tracemalloc.get_traced_memory()[0] - traced
    finally:
        tracemalloc.stop()
    assert grown < 200e3, f"{grown / 1e3:.0f} kB in 5,000 steps"
    assert np.median(np.diff(resident)) < 50e3, f"{np.diff(resident)} bytes in 1,000 steps each"
    assert engine.agent.program.function.experimental_get_tracing_count() == 1
    assert (
        int(engine.agent.updates)
        == engine.updates
        == int((engine.env_step - config.warmup_env_steps) // 3.5)
    )


def resident_bytes() -> int:
    """Without what is freed already: a leak would go there first, and show late or never."""
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
