"""Learning from logged data: first from it alone, then with a share of each batch."""

import json

import gymnasium as gym
import pytest
from gymnasium.wrappers import TimeLimit

import oracles
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.agent.program import Learned
from dqn_tf.agent.update_metrics import UPDATE_METRICS
from dqn_tf.envs.spaces import Spaces
from dqn_tf.run_files import checkpoint
from dqn_tf.support.errors import UserError
from environments import Maze
from logged_episodes import SharedEpisodes, random_episodes, shared

SPACES = Spaces((4,), "float32", 2)
MAZE = Spaces((6,), "float32", 5, action_start=3, masked=True)
SETTINGS = {
    "data": ("part.npz",),
    "offline_updates": 150,
    "data_share": 0.4,
    "updates_per_block": 6,
    "env_steps_per_update": 2.0,
    "total_steps": 60,
    "warmup_env_steps": 29,
    "replay_capacity": 70,
    "target_update_period_env_steps": 10,
}
SWITCHES = {
    "plain": {},
    "soft target": {"tau": 0.05, "target_update_period_env_steps": 1},
    "n-step": {"n_step": 3, "double": True, "dueling": True},
    "prioritized": {"prioritized": True},
    "c51": {"distribution": "c51", "atoms": 11},
    "quantile": {"distribution": "quantile", "atoms": 7},
    "masks": {"n_step": 3, "prioritized": True},
}


def make_env(name: str) -> gym.Env:
    if name == "masks":
        return TimeLimit(Maze("dict"), 20)
    return TimeLimit(gym.make("CartPole-v1", disable_env_checker=True).unwrapped, 30)


def everything(engine) -> dict:
    values, arrays = engine.state()
    held = arrays | engine.replay.rows()
    return json.loads(json.dumps(values)) | {
        name: weights_sha256([array]) for name, array in held.items()
    }


def engine_that_notes_batches(config, logged=()) -> tuple:
    """An engine whose agent learns nothing, and the batches that it was given."""
    agent = oracles.make_agent(config, SPACES)
    noted = []

    def learn(batches, count):
        noted.append({name: column[: int(count)] for name, column in batches.items()})
        return Learned(dict.fromkeys(UPDATE_METRICS, 0.0), None, None)

    agent.learn = learn
    data = logged or shared(random_episodes(SPACES, 20, 0))
    return oracles.make_engine(config, lambda: make_env("plain"), agent, data), noted


def test_the_clock_counts_offline_updates_and_then_environment_steps():
    config = oracles.make_config(**SETTINGS)
    engine, noted = engine_that_notes_batches(config)
    moments = []
    while not engine.finished:
        moments.append((engine.progress, engine.env_step, engine.is_offline))
        engine.run_block()
    assert moments[:4] == [(0, 0, True), (64, 0, True), (128, 0, True), (150, 0, False)]
    assert engine.progress == config.length == 210
    assert engine.updates == 150 + (60 - 29) // 2
    offline, online = noted[:3], noted[3:]
    assert all((batches["is_logged"] == 1).all() for batches in offline)
    assert sum(len(batches["reward"]) for batches in offline) == 150
    for batches in online:  # two of five rows
        assert (batches["is_logged"] == [0, 0, 0, 1, 1]).all()


def test_a_run_without_steps_learns_from_logged_data_alone():
    config = oracles.make_config(**SETTINGS | {"total_steps": 0})
    engine, _ = engine_that_notes_batches(config)
    oracles.run(engine)
    assert (engine.env_step, engine.updates, len(engine.replay)) == (0, 150, 0)
    assert len(engine.replay.observations(10)) == 10


@pytest.mark.parametrize("prioritized", [False, True])
def test_a_run_without_steps_has_no_room_for_them_until_it_takes_some(prioritized):
    settings = SETTINGS | {"prioritized": prioritized}
    engine, _ = engine_that_notes_batches(oracles.make_config(**settings | {"total_steps": 0}))
    oracles.run(engine)
    assert engine.replay.capacity == 1
    values, arrays = engine.state()
    goes_on, noted = engine_that_notes_batches(oracles.make_config(**settings))
    goes_on.restore(values, arrays, engine.replay.rows())
    oracles.run(goes_on)
    assert goes_on.env_step == 60 and len(goes_on.replay) > 50
    assert all((batches["is_logged"] == [0, 0, 0, 1, 1]).all() for batches in noted)


@pytest.mark.parametrize("total_steps", [0, 60])
def test_offline_updates_learn_from_logged_data_where_the_replay_has_rows_too(total_steps):
    """With --initial_replay it has those of another run."""
    earlier, _ = engine_that_notes_batches(oracles.make_config(**SETTINGS))
    oracles.run(earlier)
    config = oracles.make_config(**SETTINGS | {"total_steps": total_steps})
    engine, noted = engine_that_notes_batches(config)
    engine.replay.online.restore(earlier.replay.online.rows(), earlier.replay.online.state())
    oracles.run(engine)
    offline, online = noted[:3], noted[3:]
    assert all((batches["is_logged"] == 1).all() for batches in offline)
    assert {batches["is_logged"].shape[1] for batches in noted} == {5}
    assert bool(online) == bool(total_steps)
    assert all((batches["is_logged"] == [0, 0, 0, 1, 1]).all() for batches in online)


def test_without_offline_updates_each_batch_has_its_share_from_the_start():
    config = oracles.make_config(**SETTINGS | {"offline_updates": 0})
    engine, noted = engine_that_notes_batches(config)
    oracles.run(engine)
    assert engine.updates == (60 - 29) // 2
    assert all((batches["is_logged"].sum(axis=1) == 2).all() for batches in noted)


def test_a_share_that_is_no_whole_row_is_refused():
    parts = random_episodes(SPACES, 20, 0, "large.npz"), random_episodes(SPACES, 20, 1, "small.npz")
    logged = [SharedEpisodes(parts[0], 0.95), SharedEpisodes(parts[1], 0.05)]
    with pytest.raises(UserError, match="--data=small.npz: its share of 0.05 of 5 rows"):
        engine_that_notes_batches(oracles.make_config(**SETTINGS), logged)


@pytest.mark.usefixtures("traced_updates")
@pytest.mark.parametrize("name", SWITCHES)
def test_stopped_offline_at_the_seam_or_online_it_goes_on_to_the_bit(name, tmp_path):
    spaces = MAZE if name == "masks" else SPACES
    config = oracles.make_config(**SETTINGS | SWITCHES[name])
    agent = oracles.make_agent(config, spaces)
    birth = agent.arrays()
    logged = shared(random_episodes(spaces, 30, 0), random_episodes(spaces, 30, 1))

    def make():
        return oracles.make_engine(config, lambda: make_env(name), agent, logged)

    engine = make()
    moments = []
    while not engine.finished:
        values, arrays = engine.state()
        files = {"state.npz": arrays, "replay.npz": engine.replay.rows()}
        moments.append(checkpoint.load(checkpoint.save(tmp_path, engine.progress, values, files)))
        engine.run_block()
    expected = everything(engine)
    steps = [int(moment.path.name) for moment in moments]
    assert steps[:4] == [0, 64, 128, 150]
    for moment in (moments[1], moments[3], moments[-1]):
        agent.load_arrays(birth)
        other = make()
        assert other.restore(moment.state, moment.files["state.npz"], moment.replay) == []
        oracles.run(other)
        differing = {key for key, value in everything(other).items() if value != expected[key]}
        assert not differing, f"stopped at {moment.path.name}"
    # one program for blocks offline, one for those with steps
    assert agent.program.function.experimental_get_tracing_count() == 2


def test_other_data_than_those_of_the_start_are_refused(tmp_path):
    config = oracles.make_config(**SETTINGS)
    engine, _ = engine_that_notes_batches(config)
    engine.run_block()
    values, arrays = engine.state()
    other, _ = engine_that_notes_batches(config, shared(random_episodes(SPACES, 20, 1)))
    for rows in (engine.replay.rows(), None):  # None where the replay was lost
        with pytest.raises(UserError, match="--data=random does not hold what it held"):
            other.restore(values, arrays, rows)


@pytest.mark.parametrize("blocks", [1, 1000])
def test_offline_updates_cannot_become_fewer_than_were_done(blocks):
    engine, _ = engine_that_notes_batches(oracles.make_config(**SETTINGS))
    for _ in range(blocks):
        if not engine.finished:
            engine.run_block()
    values, arrays = engine.state()
    fewer = engine.logged_updates - 1
    other, _ = engine_that_notes_batches(
        oracles.make_config(**SETTINGS | {"offline_updates": fewer})
    )
    with pytest.raises(UserError, match=f"--offline_updates={fewer}: the run has done {fewer + 1}"):
        other.restore(values, arrays, engine.replay.rows())


def test_offline_updates_cannot_grow_once_steps_were_taken():
    config = oracles.make_config(**SETTINGS)
    engine, _ = engine_that_notes_batches(config)
    oracles.run(engine)
    values, arrays = engine.state()
    longer = oracles.make_config(**SETTINGS | {"offline_updates": 200})
    other, _ = engine_that_notes_batches(longer)
    with pytest.raises(UserError, match="--offline_updates=200: the run has taken environment"):
        other.restore(values, arrays, engine.replay.rows())
