"""A run stopped at any block, saved to disk and restored goes on to the bit, whatever is switched
on.
"""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import presets
from dqn_tf.envs.spaces import Spaces
from dqn_tf.run_files import checkpoint
from environments import Maze

# One agent serves both numbers of environments: a block is 12 steps and 6 updates in both.
SETTINGS = {
    "updates_per_block": 6,
    "env_steps_per_update": 2.0,
    "total_steps": 132,
    "warmup_env_steps": 29,
    "replay_capacity": 70,
    "epsilon_end": 0.2,
    "epsilon_decay_env_steps": 80,
    "target_update_period_env_steps": 10,
}
SWITCHES = {
    "double": {"double": True, "epsilon_schedule": "exponential"},
    "dueling": {"dueling": True, "epsilon_schedule": "0:1,50:0.3,100:0.1"},
    "n-step": {"n_step": 3},
    "prioritized": {"prioritized": True},
    "noisy": {"noisy": True},
    "c51": {"distribution": "c51", "atoms": 11},
    "quantile": {"distribution": "quantile", "atoms": 7},
    "munchausen": {"munchausen": True, "n_step": 2},
    "reservoir": {"replay_eviction": "reservoir", "replay_capacity": 20, "n_step": 3},
    "masks": {"n_step": 3, "prioritized": True},
    "rainbow": presets.RAINBOW,
}

COMPILED = ("rainbow", "munchausen")  # by XLA: all switches in one, and what it excludes


def make_env(name: str) -> gym.Env:
    if name == "masks":
        return TimeLimit(Maze("dict"), 20)
    return TimeLimit(gym.make("CartPole-v1", disable_env_checker=True).unwrapped, 30)


def saved(engine, directory) -> checkpoint.Checkpoint:
    """What the engine gives to a checkpoint, written to disk and read again."""
    values, arrays = engine.state()
    return checkpoint.load(
        checkpoint.save(
            directory,
            engine.env_step,
            values,
            {"state.npz": arrays, "replay.npz": engine.replay.rows()},
        )
    )


def everything(engine) -> dict:
    """All that an engine holds:

    counters, generators, weights, replay with its priorities, open windows, episodes under way.
    """
    values, arrays = engine.state()
    held = arrays | engine.replay.rows()
    return json.loads(json.dumps(values)) | {
        name: weights_sha256([array]) for name, array in held.items()
    }


@pytest.mark.parametrize("name", SWITCHES)
def test_restored_at_any_block_it_goes_on_to_the_bit(name, tmp_path):
    spaces = (
        Spaces((6,), "float32", 5, action_start=3, masked=True)
        if name == "masks"
        else Spaces((4,), "float32", 2)
    )
    agent = oracles.make_agent(oracles.make_config(**SETTINGS | SWITCHES[name]), spaces)
    agent.online.set_weights(
        [np.random.default_rng(1).normal(size=array.shape) for array in agent.online.get_weights()]
    )
    if name not in COMPILED:
        oracles.leave_out_xla(agent)
    birth = agent.arrays()
    for num_envs in (1, 3):
        config = oracles.make_config(**SETTINGS | SWITCHES[name] | {"num_envs": num_envs})
        agent.load_arrays(birth)
        engine = oracles.make_engine(config, lambda: make_env(name), agent)
        moments, still_open = [], 0
        while engine.env_step < config.total_steps:
            moments.append(saved(engine, tmp_path / str(num_envs)))
            still_open += int((~engine.row_maker.state()["done"]).sum())
            engine.run_block()
        expected = everything(engine)
        assert len(moments) == 11 and engine.updates == 51
        assert bool(still_open) == (config.n_step > 1), (
            "windows should be open where the run is cut"
        )
        if config.prioritized:
            assert len(np.unique(engine.replay.rows()["priority"])) > 20
        for moment in moments[1::3]:  # in warm-up, at the first updates, and later
            other = oracles.make_engine(config, lambda: make_env(name), agent)
            assert other.restore(moment.state, moment.files["state.npz"], moment.replay) == []
            oracles.run(other)
            differing = {key for key, value in everything(other).items() if value != expected[key]}
            assert not differing, f"stopped at step {moment.path.name} with {num_envs} environments"
    assert agent.program.function.experimental_get_tracing_count() == 1
