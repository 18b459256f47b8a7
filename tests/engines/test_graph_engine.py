"""The graph engine against a slow loop:

Gymnasium's grid or native CartPole stepped one by one, the host's NStep and replay, eager updates.
"""

import copy
import dataclasses
import signal
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

import oracles
from command_server import run, start
from dqn_tf.agent.autograph import compile_loops
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import seeding
from dqn_tf.engines.graph.engine import GraphEngine
from dqn_tf.engines.graph.environments import NATIVE, native
from dqn_tf.engines.graph.program import BlockInputs, GraphProgram
from dqn_tf.envs import registry
from dqn_tf.envs.gridworld import ENV_ID
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep
from dqn_tf.support.errors import UserError
from small_runs import report, resume_run, small_run


def make_engine(**overrides) -> GraphEngine:
    """A small one whose calls are short; without XLA unless `compiled`, which saves its seconds."""
    compiled = overrides.pop("compiled", False)
    config = oracles.make_config(
        **{
            "env": "CartPole-v1",
            "engine": "graph",
            "num_envs": 2,
            "total_steps": 400,
            "replay_capacity": 101,
            "warmup_env_steps": 20,
            "updates_per_block": 5,
            "log_period_env_steps": 1,
        }
        | overrides
    )
    agent = oracles.make_agent(config, registry.spaces(config))
    program = GraphProgram(config, agent, native(config.env))
    if not compiled:
        program.program = compile_loops(program._program, jit_compile=False)
    return GraphEngine(config, agent, seeding.generators(config.seed), program)


class SlowLoop:
    """The same run in Python, a step and an update at a time, from the same random numbers."""

    def __init__(self, engine: GraphEngine) -> None:
        self.config, self.env = engine.config, engine.program.env
        self.agent = oracles.make_agent(self.config, engine.agent.spaces)
        self.update = tf.function(self.agent.update, autograph=False)
        self.state = engine.program.running.state.numpy()
        self.length = np.zeros(self.config.num_envs, int)
        self.windows = NStep(
            self.config.n_step, self.config.gamma, self.config.num_envs, self.agent.spaces
        )
        # rows of each environment, in the order of time
        self.given = [[] for _ in range(self.config.num_envs)]
        self.episodes, self.returns, self.taken = [], np.zeros(self.config.num_envs), 0
        self.capacity = self.config.replay_capacity // self.config.num_envs * self.config.num_envs

    def block(self, inputs: BlockInputs, steps: int) -> None:
        """One block with the numbers that the engine had."""
        update = 0
        for t in range(steps):
            self.step(inputs.explore[t], inputs.random[t], inputs.fresh[t])
            for _ in range(inputs.due[t]):
                self.update(oracles.tensors(self.batch(inputs.places[update])))
                update += 1

    def step(self, explore: np.ndarray, random: np.ndarray, fresh: np.ndarray) -> None:
        """One step of each environment, its time limit and its reset."""
        observation = self.env.observe(tf.constant(self.state)).numpy()
        action = np.where(
            explore, random, self.agent(tf.constant(observation)).numpy().argmax(axis=1)
        ).astype(np.int32)
        state, reward, terminated = (
            x.numpy() for x in self.env.step(tf.constant(self.state), tf.constant(action))
        )
        self.length, self.returns, self.taken = (
            self.length + 1,
            self.returns + reward,
            self.taken + len(action),
        )
        truncated = self.length == self.env.max_episode_steps
        following = self.env.observe(tf.constant(state)).numpy()
        none = np.zeros((1, len(action), 0), bool)
        for row in self.rows(
            Steps(
                *(
                    x[np.newaxis]
                    for x in (observation, action, reward, terminated, truncated, following)
                ),
                none,
                none,
                reward[np.newaxis],
                (terminated | truncated)[np.newaxis],
            )
        ):
            self.given[row.pop("env")].append(row)
        for index in np.flatnonzero(terminated | truncated):
            self.episodes.append(
                (self.taken - len(action) + index + 1, self.returns[index], self.length[index])
            )
            state[index] = self.env.initial(tf.constant(fresh[index : index + 1])).numpy()[0]
            self.length[index], self.returns[index] = 0, 0.0
        self.state = state

    def rows(self, steps: Steps):
        """What the host's windows give for this step, one row at a time, each marked with its
        environment.
        """
        marked = copy.copy(steps)
        # the environment rides along in the action
        marked.action = steps.action * 10 + np.arange(steps.action.shape[1])
        columns = self.windows.add(marked)
        for number in range(len(columns["action"])):
            row = {name: column[number] for name, column in columns.items()}
            row["env"], row["action"] = row["action"] % 10, row["action"] // 10
            yield row

    def replay(self) -> list[dict]:
        """What the engine's replay holds by now, where it holds it:

        a step of all environments together, n - 1 steps late.
        """
        rows = self.taken // self.config.num_envs - (self.config.n_step - 1)
        flat = [self.given[env][row] for row in range(rows) for env in range(self.config.num_envs)]
        held = [None] * min(len(flat), self.capacity)
        for number, row in enumerate(flat):
            held[number % self.capacity] = row
        return held

    def batch(self, places: np.ndarray) -> dict[str, np.ndarray]:
        """The rows at these places."""
        held = self.replay()
        return {name: np.stack([held[place][name] for place in places]) for name in held[0]}


@pytest.mark.parametrize(
    "overrides",
    [
        {"n_step": 1},
        {"n_step": 3, "double": True, "dueling": True, "compiled": True},
        {"n_step": 4, "num_envs": 3, "env_steps_per_update": 2.5},
        {"env": ENV_ID, "n_step": 3, "num_envs": 1, "replay_capacity": 37},
        {
            "env": "MountainCar-v0",
            "num_envs": 4,
            "total_steps": 820,
            "n_step": 2,
            "env_steps_per_update": 4.0,
        },
        {"env_steps_per_update": 0.5, "distribution": "c51", "atoms": 5, "total_steps": 200},
    ],
    ids=str,
)
def test_it_is_the_slow_loop(overrides):
    """Replay, episodes and weights, through wraps of the replay, ends of episodes, time limits and
    a last block that is shorter.
    """
    engine = make_engine(**overrides)
    slow, blocks, draw_inputs = SlowLoop(engine), [], engine.draw_inputs

    def record(steps):
        blocks.append((draw_inputs(steps), steps))
        return blocks[-1][0]

    engine.draw_inputs = record
    episodes = []
    while engine.env_step < engine.config.total_steps:
        episodes += engine.run_block().episodes
        slow.block(*blocks[-1])
        if len(blocks) % 5 and engine.env_step < engine.config.total_steps:
            continue
        held, rows = slow.replay(), engine.replay.rows()
        assert len(engine.replay) == len(held)
        for name, column in rows.items():
            expected = np.stack([row[name] for row in held])
            assert column.dtype == expected.dtype and column.shape == expected.shape
            np.testing.assert_allclose(column, expected, rtol=1e-4, atol=1e-4, err_msg=name)
    assert len(episodes) > 2 and len(engine.replay) == engine.replay.capacity, (
        "nothing ended or nothing was overwritten"
    )
    np.testing.assert_allclose(np.array(episodes), np.array(slow.episodes), rtol=1e-5)
    assert engine.updates == int(engine.agent.updates) == int(slow.agent.updates) > 20
    for one, other in zip(engine.agent.get_weights(), slow.agent.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("per_block", [1, 3, 50])
def test_each_update_follows_its_own_steps_and_draws_from_all_that_is_there(per_block):
    """The inputs, on which the slow loop relies: when updates are due, from which rows, with which
    epsilon.
    """
    engine = make_engine(
        updates_per_block=per_block,
        total_steps=3000,
        env_steps_per_update=1.5,
        n_step=3,
        batch_size=40,
        replay_capacity=500,
        warmup_env_steps=50,
        epsilon_start=0.8,
        epsilon_end=0.2,
        epsilon_decay_env_steps=3000,
    )
    taken, updates, lowest, highest, explored = 0, 0, [], [], []
    while taken < 3000:
        steps = engine.steps_left()
        inputs = engine.draw_inputs(steps)
        assert inputs.due[steps:].sum() == 0
        first = 0
        for t in range(steps):
            taken += 2
            count = inputs.due[t]
            assert updates + count == int((max(0, taken - 50) + 1e-6) / 1.5)
            places = inputs.places[first : first + count]
            # three steps make a row, so those of the last two steps of both environments are not
            # there yet
            there = min(taken - 4, 500)
            assert ((places >= 0) & (places < there)).all()
            lowest, highest = (
                lowest + (places == 0).any(axis=1).tolist(),
                highest + (places == there - 1).any(axis=1).tolist(),
            )
            updates, first = updates + count, first + count
        explored.append(inputs.explore[:steps])
    assert engine.env_step == 3000 and min(np.mean(lowest), np.mean(highest)) > 0.05, (
        "the oldest or the newest row is never drawn"
    )
    explored = np.concatenate(explored)
    np.testing.assert_allclose(
        [explored[:500].mean(), explored[1000:].mean()], [0.7, 0.3], atol=0.06
    )


@pytest.mark.parametrize("settings", [{}, {"n_step": 3, "env_steps_per_update": 0.7}], ids=str)
def test_the_length_of_a_call_changes_nothing(settings):
    short = oracles.run(make_engine(**settings))
    long = make_engine(log_period_env_steps=150, **settings)
    calls = 0
    while long.env_step < 400:
        long.run_block()
        calls += 1
    assert calls == 3 and short.steps_left(0) < 10 < long.steps_left(0)
    (values, arrays), (long_values, long_arrays) = short.state(), long.state()
    assert values == long_values and arrays.keys() == long_arrays.keys()
    oracles.equal(list(arrays.values()), list(long_arrays.values()))
    oracles.equal(list(short.replay.rows().values()), list(long.replay.rows().values()))


@pytest.mark.parametrize("n_step, blocks", [(1, 3), (3, 7), (3, 1)])
def test_restored_it_goes_on_as_if_never_stopped(n_step, blocks):
    one, other = (
        make_engine(n_step=n_step, compiled=n_step == 1),
        make_engine(n_step=n_step, compiled=n_step == 1),
    )
    for _ in range(blocks):
        one.run_block()
    values, arrays = one.state()
    rows = {name: column.copy() for name, column in one.replay.rows().items()}
    assert (
        other.restore(
            copy.deepcopy(values), {name: array.copy() for name, array in arrays.items()}, rows
        )
        == []
    )
    for engine in (one, other):
        oracles.run(engine)
    assert one.updates == other.updates > 100 and one.episodes == other.episodes
    assert weights_sha256(one.agent.get_weights()) == weights_sha256(other.agent.get_weights())
    oracles.equal(list(one.replay.rows().values()), list(other.replay.rows().values()))


@pytest.mark.parametrize("capacity", [20, 61, 302])
def test_restored_into_another_size_it_keeps_the_newest_that_fit(capacity):
    """And goes on from there, over the oldest; of three environments, so 20 holds 18 and 61 holds
    60.
    """
    settings = {"num_envs": 3, "n_step": 3, "total_steps": 300}
    one, other = (
        oracles.run(make_engine(**settings)),
        make_engine(replay_capacity=capacity, **settings | {"total_steps": 450}),
    )
    rows, added = one.replay.rows(), one.replay.added
    assert added > len(one.replay) == 99
    other.restore(*one.state(), rows)
    held = min(99, capacity // 3 * 3)
    newest = np.arange(added - held, added) % 99
    for name, column in other.replay.rows().items():
        np.testing.assert_array_equal(column, rows[name][newest])
    oracles.run(other)
    assert len(other.replay) == min(capacity // 3 * 3, 99 + 150)
    if capacity == 302:  # nothing of what was there was written over
        np.testing.assert_array_equal(
            other.replay.rows()["observation"][:99], rows["observation"][newest]
        )


def test_a_full_replay_is_saved_without_a_copy_and_restored_with_one():
    engine = make_engine(replay_capacity=200_000)
    replay = engine.replay
    replay.added = replay.capacity
    tracemalloc.start()
    try:
        rows = replay.rows()
        held = sum(column.nbytes for column in rows.values())
        assert all(len(column) == 200_000 for column in rows.values())
        assert tracemalloc.get_traced_memory()[1] < 0.2 * held
        tracemalloc.reset_peak()
        replay.restore(rows, replay.state())
        assert tracemalloc.get_traced_memory()[1] < 3 * held
    finally:
        tracemalloc.stop()


def test_without_its_replay_it_warms_up_anew():
    """Learning goes on once the warm-up's number of steps is collected again, from these alone."""
    one, other = (
        oracles.run(make_engine(total_steps=200, n_step=3)),
        make_engine(n_step=3, total_steps=300, updates_per_block=1),
    )
    other.restore(*one.state(), None)
    while other.updates == one.updates:
        other.run_block()
    assert 200 + 20 < other.env_step <= 200 + 20 + 2 and len(other.replay) == other.env_step - 200
    assert (oracles.run(other).replay.rows()["discount"] > 0).any()


def test_what_another_price_leaves_over_is_paid_for_once():
    """1.0 steps are ten updates at 0.1, though 1.0 % 0.1 is 0.09999999999999995."""
    one = oracles.run(
        make_engine(num_envs=3, env_steps_per_update=2.0, total_steps=201, updates_per_block=1)
    )
    while one.env_steps_owed != 1.0:
        one.config = dataclasses.replace(one.config, total_steps=one.config.total_steps + 3)
        one.run_block()
    other = make_engine(num_envs=3, env_steps_per_update=0.1, total_steps=one.env_step + 30)
    other.restore(*one.state(), one.replay.rows())
    oracles.run(other)
    assert other.env_steps_owed < 1e-6 and 300 <= other.updates - one.updates <= 310


def test_one_trace_serves_a_long_run_and_another_seed_is_another_run():
    engine = oracles.run(make_engine(total_steps=1001, compiled=True))
    assert engine.program.program.experimental_get_tracing_count() == 1
    same, other = (
        oracles.run(make_engine(total_steps=1001, compiled=True, seed=seed)) for seed in (3, 4)
    )
    first, second, third = (
        weights_sha256(each.agent.get_weights()) for each in (engine, same, other)
    )
    assert first == second != third


def test_learning_that_breaks_is_a_sentence():
    engine = make_engine(learning_rate=1e30, max_gradient_norm=0.0)
    with pytest.raises(
        UserError, match="Learning broke at environment step .* Lower --learning_rate"
    ):
        oracles.run(engine)


def test_the_grid_is_learned():
    engine = oracles.run(
        make_engine(
            env=ENV_ID,
            gamma=0.9,
            hidden_units=(),
            total_steps=6000,
            replay_capacity=6000,
            warmup_env_steps=2000,
            batch_size=32,
            learning_rate=5e-2,
            learning_rate_end=3e-4,
            epsilon_end=1.0,
            target_update_period_env_steps=20,
            num_envs=5,
            updates_per_block=100,
            compiled=True,
        )
    )
    best = engine.agent(tf.constant([4, 5, 7, 1], tf.int64)).numpy().max(axis=1)
    np.testing.assert_allclose(best, [-1.0, 0.0, 0.0, -1.9], atol=2e-2)


def test_a_whole_run_and_one_that_was_stopped(tmp_path):
    """train.py to its export; another is stopped somewhere, resumed, and ends with the same
    weights.
    """
    hashes = []
    for name in ("whole", "stopped"):
        directory = tmp_path / name
        directory.mkdir()
        words = small_run(
            directory,
            env="CartPole-v1",
            engine="graph",
            num_envs=2,
            n_step=3,
            total_steps=1500,
            checkpoint_period_env_steps=300,
            evaluation_period_env_steps=500,
        )
        if name == "stopped":
            command = start(words, directory, xla=True)
            command.wait_for(text="greedy return")
            command.kill(signal.SIGTERM)
            assert command.wait() == 143, command.text
            words = resume_run(directory)
        status, text = run(words, directory, xla=True)
        assert status == 0 and "Score of the last weights" in text, text
        hashes.append(report(directory)["weights_sha256"])
        assert report(directory)["updates"] == 718 and (directory / "export").is_dir()
    assert hashes[0] == hashes[1]


def test_the_ids_that_are_known_without_tensorflow_are_those_that_are_there():
    assert set(registry.NATIVE) == set(NATIVE)
