"""The plan of a replay's memory against what it really takes."""

import dataclasses

import numpy as np
import pytest

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks import choice
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import memory_bytes
from dqn_tf.engines.replays import make_frames, make_replay
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import memory_plan
from dqn_tf.experience.frames import numbered_spaces
from dqn_tf.experience.replay_unit import row_columns
from dqn_tf.experience.steps import Steps
from dqn_tf.support.errors import UserError

ATARI, VECTOR = Spaces((84, 84, 4), "uint8", actions=6, stack=4), Spaces((4,), "float32", actions=2)


TEXT = Spaces((16,), "int32", actions=40, categories=41, padding=0)


def taken(config: DQNConfig, spaces: Spaces) -> int:
    """Bytes of every array that the configured replay has."""
    frames = make_frames(config, spaces)
    replay = make_replay(
        config,
        row_columns(config, numbered_spaces(spaces) if frames else spaces),
        np.random.default_rng(0),
        frames,
        spaces.padding,
    )
    arrays = [*replay.columns.values(), replay._oldest] + ([frames.ring] if frames else [])
    arrays += replay.priorities._tree._levels if config.prioritized else []
    return sum(array.nbytes for array in arrays)


@pytest.mark.parametrize("spaces", [ATARI, VECTOR], ids=["frames", "vectors"])
@pytest.mark.parametrize("prioritized", [False, True])
def test_the_plan_is_what_is_taken(spaces, prioritized):
    config = DQNConfig(replay_capacity=20_000, num_envs=8, n_step=3, prioritized=prioritized)
    planned = memory_plan.replay_bytes(20_000, config, spaces)
    assert planned == pytest.approx(taken(config, spaces), rel=0.01)


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_the_plan_of_whole_episodes(masked, prioritized):
    config = DQNConfig(replay_unit="episode", replay_capacity=20_000, prioritized=prioritized)
    spaces = dataclasses.replace(TEXT, masked=masked)
    planned = memory_plan.replay_bytes(20_000, config, spaces)
    assert planned == pytest.approx(taken(config, spaces), rel=0.02)
    told = memory_plan.require_memory(config, spaces)
    assert f"20,000 episodes of {planned // 20_000:,} bytes" in told
    fitted = memory_plan.with_capacity(DQNConfig(replay_unit="episode", replay_memory="1MiB"), TEXT)
    assert fitted.replay_capacity == 2**20 // 448
    with pytest.raises(UserError, match="no tokens.*--replay_unit=transition"):
        memory_plan.require_memory(config, VECTOR)


@pytest.mark.parametrize("prioritized", [False, True])
def test_an_atari_transition_takes_at_most_7300_bytes(prioritized):
    config = DQNConfig(replay_capacity=100_000, num_envs=8, n_step=3, prioritized=prioritized)
    assert taken(config, ATARI) / config.replay_capacity <= 7_300


@pytest.mark.parametrize("spaces", [ATARI, VECTOR], ids=["frames", "vectors"])
@pytest.mark.parametrize("size", ["2GiB", "0.5GiB", "12.5MiB"])
def test_a_size_picks_the_largest_capacity_that_fits(spaces, size):
    config = memory_plan.with_capacity(DQNConfig(replay_memory=size, num_envs=8, n_step=3), spaces)
    assert config.replay_memory is None
    fits, more = (
        memory_plan.replay_bytes(config.replay_capacity + rows, config, spaces) for rows in (0, 2)
    )
    assert fits <= memory_bytes(size) < more


def test_what_is_too_small_or_no_size_is_refused():
    with pytest.raises(
        UserError, match="--replay_memory=3KiB is too small for a single transition: one takes 7,2"
    ):
        memory_plan.with_capacity(DQNConfig(replay_memory="3KiB"), ATARI)
    for size in ("2", "2GB", "GiB", "-1GiB", "nanGiB"):
        with pytest.raises(UserError, match=f"--replay_memory={size}: must be a size such as 2GiB"):
            DQNConfig(replay_memory=size)


def test_a_plan_beyond_what_is_free_is_refused(monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 10 * 2**20)
    config = DQNConfig(replay_capacity=1000, updates_per_block=1)
    assert memory_plan.require_memory(config, ATARI).endswith("MiB of 10.0 MiB free (74%).")
    with pytest.raises(
        UserError,
        match=r"--replay_capacity=2000 does not fit into memory: .* At most 1,\d+ would\.",
    ):
        memory_plan.require_memory(dataclasses.replace(config, replay_capacity=2000), ATARI)


@pytest.mark.parametrize(
    "changes",
    [{"updates_per_block": 10_000}, {"env_steps_per_update": 1250.0}, {"num_envs": 20_000}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_block_that_does_not_fit_is_refused(changes, monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 2**30)
    config = DQNConfig(replay_capacity=20_000, warmup_env_steps=64, batch_size=64, **changes)
    with pytest.raises(UserError, match="^A block does not fit into memory: its 20,000 environ"):
        memory_plan.require_memory(config, ATARI)
    short = dataclasses.replace(config, total_steps=100, num_envs=50)
    assert short.block_steps <= 2
    assert memory_plan.require_memory(short, ATARI).startswith("Replay memory: ")


def test_a_block_of_logged_data_is_planned_with_all_its_batches():
    logged = {"data": ("a.npz",), "offline_updates": 1_000, "total_steps": 0}
    config = DQNConfig(batch_size=512, updates_per_block=1, **logged)
    replay = make_replay(config, row_columns(config, VECTOR), np.random.default_rng(0))
    replay.add({name: column[:1] for name, column in replay.columns.items()})
    batches = replay.sample(64, config.batch_size)
    drawn = sum(np.asarray(column).nbytes for column in batches.values())
    assert memory_plan.block_bytes(config, VECTOR) == pytest.approx(drawn, rel=0.1)
    many = dataclasses.replace(config, updates_per_block=100, total_steps=10**6)
    assert many.most_logged_updates == many.most_updates == 100


@pytest.mark.parametrize("spaces", [ATARI, VECTOR], ids=["frames", "vectors"])
def test_the_plan_of_a_block_is_what_its_steps_and_batches_take(spaces):
    config = DQNConfig(num_envs=8, updates_per_block=5)
    steps = Steps.empty(config.block_steps, 8, spaces)
    taken = sum(column.nbytes for column in vars(steps).values())
    if not spaces.stack:
        replay = make_replay(config, row_columns(config, spaces), np.random.default_rng(0))
        replay.add({name: column[:1] for name, column in replay.columns.items()})
        batches = replay.sample(config.most_updates, config.batch_size)
        taken += sum(np.asarray(column).nbytes for column in batches.values())
    assert memory_plan.block_bytes(config, spaces) == pytest.approx(taken, rel=0.1)


@pytest.mark.parametrize(
    "spaces",
    [
        Spaces((), "int64", 4, categories=10_000_000),
        Spaces((4,), "float32", 10_000_000),
        Spaces((400, 400, 200), "float32", 4),
    ],
    ids=["categories", "actions", "numbers"],
)
def test_a_network_that_does_not_fit_is_refused(spaces, monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 16 * 2**30)
    config = DQNConfig(network="mlp")
    parameters = choice.parameters(config, spaces)
    with pytest.raises(UserError, match="^The network does not fit into memory: .* weights, which"):
        memory_plan.require_memory(config, spaces, 1, parameters)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (
            "auto",
            "for 64 tokens of 50,000, 4 actions, --width=64, --layers=2 and --batch_size=128 it"
            " has about .* Give a smaller --width or --batch_size, fewer --layers, or an",
        ),
        (
            "mlp",
            "for 64 tokens of 50,000, 4 actions and --hidden_units=256,256 it has about .* Give"
            " --network=transformer or gru, which look tokens up, or fewer --hidden_units\\.",
        ),
    ],
)
def test_what_would_be_smaller_is_said_of_the_network_that_there_is(network, sentence, monkeypatch):
    monkeypatch.setattr(memory_plan, "free_memory", lambda: 2**20)
    spaces = Spaces((64,), "int32", 4, categories=50_000)
    config = DQNConfig(network=network, batch_size=128)
    with pytest.raises(UserError, match=sentence):
        memory_plan.require_memory(config, spaces, 1, choice.parameters(config, spaces))


def test_a_batch_of_long_sequences_takes_memory():
    """1,211 MiB were measured for the Transformer, and 753 for the GRU."""

    def mebibytes(network: str, steps: int, batch_size: int) -> float:
        config = DQNConfig(network=network, batch_size=batch_size)
        spaces = Spaces((steps,), "int32", 4, categories=50)
        return memory_plan.network_bytes(0, config, spaces) / 2**20

    assert mebibytes("transformer", 1024, 16) == pytest.approx(1211, rel=0.3)
    assert mebibytes("gru", 512, 128) == pytest.approx(753, rel=0.3)


def test_tokens_are_one_hot_for_the_mlp_alone():
    spaces = Spaces((64,), "int32", 4, categories=50_000)
    sizes = {
        name: memory_plan.network_bytes(0, DQNConfig(network=name, batch_size=128), spaces)
        for name in ("auto", "gru", "mlp", "my_module:MyTorso")
    }
    assert sizes["mlp"] == sizes["my_module:MyTorso"] > 4 * 2**30
    assert sizes["gru"] < sizes["auto"] < 2**30


def test_the_weights_are_counted_as_the_networks_are():
    """All but biases and the kernels of convolutions."""
    for spaces, settings in (
        (Spaces((4,), "float32", 2), {}),
        (Spaces((), "int64", 3, categories=500), {"distribution": "c51"}),
        (Spaces((84, 84, 4), "uint8", 6), {}),
        (Spaces((3, 32, 32), "uint8", 6), {}),
    ):
        config = DQNConfig(seed=1, **settings)
        network = DQN(config, spaces).online
        counted = choice.parameters(config, spaces)
        assert 0.7 <= counted / network.count_params() <= 1.0
