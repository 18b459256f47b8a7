"""A block is collected with the weights from before the last block's updates, in any order."""

import itertools
import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.support.errors import UserError
from oracles import make_config, make_engine, run

SMALL = {
    "num_envs": 4,
    "updates_per_block": 4,
    "env_steps_per_update": 2.0,
    "warmup_env_steps": 20,
    "total_steps": 84,  # the last block is shorter
    "replay_capacity": 200,
    "learning_rate": 0.3,
    "epsilon_start": 0.3,
    "epsilon_end": 0.1,
    "epsilon_decay_env_steps": 40,
}


def cartpole() -> gym.Env:
    return TimeLimit(gym.make("CartPole-v1", disable_env_checker=True).unwrapped, 30)


def sha256(engine) -> str:
    return weights_sha256(engine.agent.online.get_weights())


@pytest.fixture(scope="module")
def agent():
    """Compiled once; what it has learned is set back by `fresh`."""
    spaces = CheckedEnv(cartpole(), "The environment").spaces
    agent = oracles.make_agent(make_config(**SMALL, lag=1), spaces)
    generator = np.random.default_rng(6)
    arrays = agent.online.get_weights()
    # what is greedy depends on the observation, and soon on what was learned
    agent.online.set_weights([generator.normal(size=array.shape) for array in arrays])
    return agent


@pytest.fixture
def fresh(agent):
    """Makes an engine whose agent has not learned yet."""
    beginning = {name: array.copy() for name, array in agent.arrays().items()}

    def make(**overrides):
        agent.load_arrays(beginning)
        return make_engine(make_config(**SMALL | {"lag": 1} | overrides), cartpole, agent)

    yield make
    agent.load_arrays(beginning)


def test_a_block_is_acted_by_the_weights_from_before_the_last_ones_updates(fresh):
    """So with a lag of 0 the same block is acted one block of updates later."""
    acted, learned, updates = [], [], []
    engine = fresh()
    collect = engine.collector.collect
    inner = engine.collector._q_function

    def recorded(length, epsilon):
        acted.append(bound_weights(inner))
        return collect(length, epsilon)

    engine.collector.collect = recorded
    while not engine.finished:
        learned.append(engine.agent.online.flat_weights())
        updates.append(engine.updates)
        engine.run_block()
    for weights, expected in zip(acted, learned, strict=True):
        np.testing.assert_array_equal(weights, expected)
    assert any((one != other).any() for one, other in itertools.pairwise(learned))
    # the block after warm-up owes its updates, and the run's end owes none
    without = fresh(lag=0, shard_envs=4)
    counts = []
    while not without.finished:
        without.run_block()
        counts.append(without.updates)
    assert updates[1:] == [0, *counts[:-2]] and engine.updates == counts[-1] == 32
    engine.close()


def bound_weights(q_function: NumpyQFunction) -> np.ndarray:
    """The flat weights that a q-function acts with: its kernels are views of them."""
    view = q_function._torso[0].args[0]
    while view.base is not None:
        view = view.base
    return np.array(view)


def test_at_the_same_time_and_one_after_the_other_it_is_the_same_run(fresh, monkeypatch):
    at_once = run(fresh())
    assert at_once._helper is not None
    expected = sha256(at_once), at_once.env_step, at_once.updates, at_once.episodes
    at_once.close()
    monkeypatch.setattr(NumpyQFunction, "keeps_weights", False)
    one_by_one = run(fresh())
    assert one_by_one._helper is None
    found = sha256(one_by_one), one_by_one.env_step, one_by_one.updates, one_by_one.episodes
    assert found == expected
    # and it is not the run without a lag
    assert sha256(run(fresh(lag=0))) != expected[0]


def test_restored_at_any_block_it_goes_on_as_if_never_stopped(fresh):
    """Updates that are owed are among what is restored; no steps are in flight."""
    engine = fresh(shard_envs=2)
    saved = []
    while not engine.finished:
        values, arrays = engine.state()
        rows = engine.replay.rows()
        saved.append(
            (
                json.loads(json.dumps(values)),
                {name: array.copy() for name, array in arrays.items()},
                {name: column.copy() for name, column in rows.items()},
            )
        )
        engine.run_block()
    expected = sha256(engine)
    assert [values["unlearned"] for values, _, _ in saved][-2:] == [8.0, 8.0]
    for values, arrays, rows in saved:
        other = fresh(shard_envs=2)
        assert other.restore(values, arrays, rows) == []
        assert sha256(run(other)) == expected
        other.close()
    values, arrays, rows = saved[-1]
    cheaper = fresh(env_steps_per_update=1.0, updates_per_block=2)
    cheaper.restore(values, arrays, rows)
    assert cheaper.env_steps_owed == cheaper.config.most_updates  # a program does no more at once


def test_shards_play_the_same_environments(fresh):
    """Whatever the shards, environment i plays episode e by the same seed and draws."""
    whole = fresh(epsilon_start=1.0, epsilon_end=1.0, shard_envs=4, updates_per_block=16)
    steps = whole.collector.collect(8, np.ones((8, 4)))
    for shard_envs in (1, 2):
        parts = fresh(shard_envs=shard_envs, updates_per_block=16)
        assert len(parts.collector.shards) == 4 // shard_envs
        for name, column in vars(parts.collector.collect(8, np.ones((8, 4)))).items():
            np.testing.assert_array_equal(column, getattr(steps, name), name)
        _, arrays = parts.collector.state()
        for name, array in whole.collector.state()[1].items():
            np.testing.assert_array_equal(array, arrays[name])
        parts.close()
    whole.close()


def test_an_environment_that_breaks_while_updates_run_is_a_sentence(fresh):
    engine = fresh()
    while not engine.env_steps_owed:  # so that there are updates to run
        engine.run_block()
    engine.collector.shards[0].env.envs[2].env.step = None
    with pytest.raises(UserError, match="Environment 2 raised TypeError"):
        run(engine)
    engine.close()


def test_sizes_of_shards():
    sizes = {
        num_envs: DQNConfig(num_envs=num_envs, lag=1).shard_size for num_envs in (1, 6, 12, 64, 68)
    }
    assert sizes == {1: 1, 6: 1, 12: 4, 64: 8, 68: 4}
    assert DQNConfig(num_envs=6).shard_size == 6
    assert DQNConfig(num_envs=6, shard_envs=2).shards == 3


def test_workers_are_a_block_behind_unless_it_is_said_otherwise():
    assert presets.configure("CartPole-v1", {"workers": 2}).lag == 1
    assert presets.configure("CartPole-v1", {}).lag == 0
    with pytest.raises(UserError, match="leave out --lag=0"):
        presets.configure("CartPole-v1", {"workers": 2, "lag": 0})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"shard_envs": 3, "num_envs": 4}, "--shard_envs=3 must divide --num_envs=4"),
        ({"lag": 2}, "--lag=2: must be"),
        ({"workers": 2}, "--workers=2 collects a block while"),
        ({"workers": 2, "lag": 1, "collector": "a:B"}, "--collector=a:B takes its steps in this"),
        ({"workers": 2, "lag": 1, "evaluation_envs": 0}, "which --workers have: leave it out"),
        ({"engine": "graph", "lag": 1}, "--engine=graph has no --lag"),
        ({"engine": "graph", "lag": 1, "workers": 2}, "--engine=graph has no --workers"),
        ({"ray_address": "a:1"}, "--ray_address is about workers"),
        ({"workers": 1, "lag": 1, "worker_timeout": 0.0}, "--worker_timeout=0.0: must be"),
    ],
)
def test_what_cannot_be_combined(settings, sentence):
    with pytest.raises(UserError) as caught:
        DQNConfig(**settings)
    assert sentence in str(caught.value)
