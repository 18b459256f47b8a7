"""Replay whose rows are whole episodes: the run's own, logged ones, and both in one batch."""

import numpy as np
import pytest

import growing
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.replays import make_replay, mix
from dqn_tf.experience.logged.episode_replay import LoggedEpisodeReplay
from dqn_tf.experience.mixed_replay import MixedReplay
from dqn_tf.experience.priorities import Priorities
from dqn_tf.experience.replay import PrioritizedReplay, UniformReplay
from dqn_tf.experience.replay_unit import make_row_maker, row_columns
from dqn_tf.experience.transitions import NStep
from dqn_tf.export import run_snapshot
from dqn_tf.support.errors import UserError
from logged_episodes import shared

GAMMA = 0.9


def config(**changes) -> DQNConfig:
    defaults = {"replay_unit": "episode", "batch_size": 8, "replay_capacity": 20}
    return DQNConfig(**defaults | {"gamma": GAMMA, "n_step": 3, "num_envs": 4} | changes)


def filled(settings: DQNConfig, steps) -> UniformReplay:
    """The configured replay after these steps."""
    generator = np.random.default_rng(5)
    columns = row_columns(settings, growing.TEXT)
    replay = make_replay(settings, columns, generator, padding=growing.TEXT.padding)
    replay.add(make_row_maker(settings, growing.TEXT).add(steps))
    return replay


@pytest.fixture(scope="module")
def steps():
    return growing.made_up(np.random.default_rng(1), 60, 4)


@pytest.mark.parametrize("n_step", [1, 3, 20])
@pytest.mark.parametrize("spaces", [growing.TEXT, growing.MASKED], ids=["plain", "masks"])
def test_logged_rows_are_the_transitions_that_the_engine_makes_of_these_steps(spaces, n_step):
    growing.check_logged_rows(n_step, spaces)


def test_the_rows_of_many_episodes_are_made_in_parts(monkeypatch):
    data = growing.episodes()
    whole = LoggedEpisodeReplay(data, 3, GAMMA, np.random.default_rng(0), None, 3)
    monkeypatch.setattr("dqn_tf.experience.logged.episode_replay.EPISODES_AT_ONCE", 4)
    parts = LoggedEpisodeReplay(data, 3, GAMMA, np.random.default_rng(0), None, 3)
    for name, column in whole.columns.items():
        np.testing.assert_array_equal(parts.columns[name], column, name)


def test_logged_episodes_that_do_not_grow_are_refused():
    data = growing.episodes()
    data.observation[2] = growing.padded([-2, -2, -2, -2, -2], 7)
    with pytest.raises(UserError, match=r"^--data=texts: episode \d+ \(its .*--replay_unit=trans"):
        LoggedEpisodeReplay(data, 1, GAMMA, np.random.default_rng(0), None, 3)


def test_the_capacity_counts_episodes_and_the_newest_are_kept(steps):
    replay = filled(config(), steps)
    everything = make_row_maker(config(), growing.TEXT).add(steps)
    assert type(replay) is UniformReplay and len(replay) == 20 < len(everything["sequence"])
    newest = np.arange(replay.added - 20, replay.added) % 20
    for name, column in replay.columns.items():
        np.testing.assert_array_equal(column[newest], everything[name][-20:], name)
    batch = replay.sample(2, 8)
    assert batch["sequence"].shape == batch["is_step"].shape == (2, 8, 7)
    kept = {row.tobytes() for row in everything["reward"][-20:]}
    assert all(row.tobytes() in kept for row in batch["reward"].reshape(-1, 7))


@pytest.mark.parametrize("prioritized", [False, True])
def test_observations_are_those_of_steps(steps, prioritized):
    replay = filled(config(prioritized=prioritized), steps)
    seen = {row.tobytes() for row in steps.observation.reshape(-1, 7)}
    for most in (5, 1_000):
        observations = replay.observations(most)
        assert observations.dtype == np.int16 and observations.shape[1:] == (7,)
        assert len(observations) == min(most, int(replay.columns["is_step"].sum()))
        assert all(row.tobytes() in seen for row in observations)


def test_an_export_is_proved_on_the_steps_observations(steps):
    rows = filled(config(), steps).rows()
    seen = {row.tobytes() for row in steps.observation.reshape(-1, 7)}
    observations = run_snapshot.gate_observations(rows, {}, growing.TEXT)
    assert len(observations) == min(256, int(rows["is_step"].sum()))
    assert all(row.tobytes() in seen for row in observations)
    np.testing.assert_array_equal(run_snapshot.observations_of(rows), rows["sequence"])
    logged = {"logged/observation": observations[:3]}
    empty = {name: column[:0] for name, column in rows.items()} | logged
    chosen = run_snapshot.gate_observations(empty, {}, growing.TEXT)
    np.testing.assert_array_equal(chosen, observations[:3])


def test_a_replay_without_an_episode_says_so():
    empty = filled(config(), growing.made_up(np.random.default_rng(0), 0, 4))
    assert len(empty) == 0
    with pytest.raises(UserError, match=r"no episode has ended.*--total_steps"):
        empty.observations(5)


@pytest.mark.parametrize("prioritized", [False, True])
def test_it_goes_on_where_it_was_saved(steps, prioritized):
    settings = config(prioritized=prioritized)
    first = filled(settings, steps)
    first.sample(1, 8)
    first.update_priorities(np.arange(8.0).reshape(1, 8))
    second = filled(settings, growing.made_up(np.random.default_rng(0), 0, 4))
    second.restore({name: rows.copy() for name, rows in first.rows().items()}, first.state())
    second.generator.bit_generator.state = first.generator.bit_generator.state
    one, other = first.sample(3, 8), second.sample(3, 8)
    assert one.keys() == other.keys()
    for name, column in one.items():
        np.testing.assert_array_equal(other[name], column, name)


@pytest.mark.parametrize("prioritized", [False, True])
def test_a_batch_mixes_whole_episodes_of_both_sides(steps, prioritized):
    settings = config(prioritized=prioritized, data=("texts",), data_share=0.5, offline_updates=1)
    data = growing.episodes(seed=3)
    online = filled(settings, steps)
    replay = mix(settings, online, shared(data, data))
    assert isinstance(replay, MixedReplay) and type(replay.logged[0]) is LoggedEpisodeReplay
    none = growing.made_up(np.random.default_rng(0), 0, 4)
    offline = mix(settings, filled(settings, none), shared(data, data)).sample(3, 8)
    assert offline["is_logged"].shape == (3, 8) and (offline["is_logged"] == 1).all()
    batch = replay.sample(3, 8)
    assert batch["is_logged"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]] * 3
    assert batch["sequence"].shape == (3, 8, 7) and batch["sequence"].dtype == np.int16
    logged = {row.tobytes() for row in replay.logged[0].columns["reward"]}
    assert all(row.tobytes() in logged for row in batch["reward"][:, 4:].reshape(-1, 7))
    assert ("weight" in batch) == prioritized
    assert replay.take({name: c[1] for name, c in replay.draw(3, 8).items()})["is_logged"].shape
    replay.update_priorities(np.ones((3, 8)))
    assert replay.rows()["logged/observation"].shape[1:] == (7,)


def test_logged_priorities_are_of_episodes_and_are_restored():
    data = growing.episodes()
    generator = np.random.default_rng(0)
    held = LoggedEpisodeReplay(data, 1, GAMMA, generator, Priorities(data.count, 0.6), 3)
    for _ in range(100):
        place = held.draw(1, 8)["place"]
        held.update_priorities(np.where(place == 2, 50.0, 0.1))
    counts = np.bincount(held.draw(100, 8)["place"].reshape(-1), minlength=data.count)
    assert counts.argmax() == 2 and counts[len(held) :].sum() == 0
    other = LoggedEpisodeReplay(data, 1, GAMMA, generator, Priorities(data.count, 0.6), 3)
    other.restore(held.rows(), held.state())
    state = generator.bit_generator.state
    one = held.draw(5, 8)
    generator.bit_generator.state = state
    for name, column in other.draw(5, 8).items():
        np.testing.assert_array_equal(column, one[name])


def test_rows_are_transitions_unless_said_otherwise():
    settings = config(replay_unit="transition")
    columns = row_columns(settings, growing.TEXT)
    assert set(columns) == {"observation", "action", "reward", "discount", "next_observation"}
    replay = make_replay(settings, columns, np.random.default_rng(0), padding=3)
    assert replay.padding is None and isinstance(make_row_maker(settings, growing.TEXT), NStep)
    assert isinstance(
        make_replay(config(prioritized=True), columns, np.random.default_rng(0), padding=3),
        PrioritizedReplay,
    )
