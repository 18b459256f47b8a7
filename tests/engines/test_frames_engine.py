"""The host engine on stacked pictures: what replay gives back, and resuming to the bit."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

import oracles
from dqn_tf.engines.host import HostEngine
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import frames
from dqn_tf.run_files import checkpoint
from sliding_square import SPACES, SlidingSquare


def engine(config, spaces: Spaces = SPACES) -> HostEngine:
    return oracles.make_engine(config, SlidingSquare, oracles.make_agent(config, spaces))


def small(**overrides):
    return oracles.make_config(
        **{
            "num_envs": 2,
            "total_steps": 90,
            "warmup_env_steps": 20,
            "replay_capacity": 40,
            "updates_per_block": 3,
            "batch_size": 4,
            "n_step": 3,
        }
        | overrides
    )


@pytest.mark.parametrize("prioritized", [False, True])
def test_learns_what_it_learns_from_whole_stacks(prioritized):
    """To the bit: the same rows are drawn, and hold the same."""
    config = small(prioritized=prioritized)
    one, other = engine(config), engine(config, dataclasses.replace(SPACES, stack=0))
    assert one.frames is not None and other.frames is None
    for each in (one, other):
        oracles.run(each)
    assert one.updates > 10 and len(one.replay) == 40
    np.testing.assert_array_equal(one.replay.observations(8), other.replay.observations(8))
    oracles.equal(one.agent.online.get_weights(), other.agent.online.get_weights())


@pytest.mark.parametrize("blocks", [2, 9])
def test_resumes_to_the_bit(tmp_path, blocks):
    config = small(prioritized=True)
    unbroken, resumed = engine(config), engine(config)
    for _ in range(blocks):
        unbroken.run_block()
    values, arrays = unbroken.state()
    found = checkpoint.load(
        checkpoint.save(
            tmp_path, 1, values, {"state.npz": arrays, "replay.npz": unbroken.replay.rows()}
        )
    )
    assert resumed.restore(found.state, found.files["state.npz"], found.replay) == []
    for each in (unbroken, resumed):
        oracles.run(each)
    oracles.equal(unbroken.agent.online.get_weights(), resumed.agent.online.get_weights())
    oracles.equal(list(unbroken.replay.rows().values()), list(resumed.replay.rows().values()))


def test_goes_on_without_its_replay():
    """--refill_replay:

    the frames are lost, and with them the unfinished windows; learning waits for the warm-up anew.
    """
    config = small()
    lost, resumed = engine(config), engine(config)
    for _ in range(9):
        lost.run_block()
    resumed.restore(*lost.state(), None)
    assert (
        resumed.learning_starts == lost.env_step + config.warmup_env_steps
        and len(resumed.replay) == 0
    )
    resumed.run_block()
    first = resumed.replay.take({"place": np.zeros(1, np.int64)})
    assert first["observation"].any() and first["next_observation"].any()
    oracles.run(resumed)
    assert resumed.updates > lost.updates


def test_a_resume_holds_no_second_copy_of_the_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "CHUNK", 100)
    spaces, count = Spaces((84, 84, 4), "uint8", actions=2, stack=4), 3_000
    saved, taking = (frames.Frames(count, 1, spaces) for _ in range(2))
    saved.ring[:count, 0, 0] = np.arange(count) % 256
    saved.added = count
    path = checkpoint.save(tmp_path, 1, {"frames": saved.state()}, {"replay.npz": saved.rows()})
    tracemalloc.start()
    found = checkpoint.load(path)
    taking.restore(found.replay, found.state["frames"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 100 * 84 * 84 < taking.ring.nbytes / 5
    np.testing.assert_array_equal(taking.ring, saved.ring)
