"""What is read from files is what was written, column by column."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import logged_data
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import sources
from dqn_tf.experience.logged.building import from_columns
from dqn_tf.support.errors import UserError
from logged_data import MASKED, NUMBERS, PIXELS, VECTORS


def test_an_npz_file_is_read_as_it_was_written(tmp_path):
    path = logged_data.write_npz(tmp_path / "a.npz", logged_data.columns())
    episodes = sources.load(str(path), VECTORS)
    assert episodes.source == str(path)
    assert episodes.observation.dtype == np.float32
    assert (episodes.observation == logged_data.columns()["observation"]).all()
    assert episodes.action.dtype == np.int32
    assert episodes.action.tolist() == [0, 1, 2, 2, 0]  # counted from 0, the environment's from 1
    assert episodes.reward.dtype == np.float32
    assert episodes.reward.tolist() == [1, 0.5, -2, 0.25, 4]
    assert episodes.terminated.tolist() == [False, False, True, False, False]
    assert episodes.starts.tolist() == [0, 3, 5]
    assert episodes.starts.dtype == np.int64
    assert episodes.has_final.tolist() == [False, False]
    assert episodes.final_observation.tolist() == [[0, 0], [0, 0]]
    assert episodes.action_mask is None
    assert episodes.final_mask is None
    assert episodes.propensity is None
    assert episodes.learnable().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f4", "float64", "float16", "int8"])
def test_other_layouts_of_the_same_numbers_are_the_same_data(tmp_path, save, order, dtype):
    columns = logged_data.columns()
    columns["observation"] = np.floor(columns["observation"])
    expected = from_columns(columns, VECTORS, "memory")
    columns["observation"] = np.asarray(columns["observation"], dtype, order=order)
    columns["terminated"] = columns["terminated"].astype(np.uint8)
    columns["action"] = columns["action"].astype(">i2")
    save(tmp_path / "a.npz", **columns)
    assert sources.load(str(tmp_path / "a.npz"), VECTORS).digest == expected.digest


def test_final_observations_belong_to_episodes_in_the_order_of_the_rows(tmp_path):
    arrays = logged_data.columns() | logged_data.finals()
    path = logged_data.write_npz(tmp_path / "a.npz", arrays)
    episodes = sources.load(str(path), VECTORS)
    assert episodes.has_final.all()
    assert episodes.next_observations(np.array([2, 3, 4])).tolist() == [[8, 8], [2, 2.25], [9, 9]]
    assert len(episodes.learnable()) == 5
    arrays["has_final"] = np.array([True, False])
    arrays["final_observation"][1] = np.nan  # nobody looks at it
    path = logged_data.write_npz(tmp_path / "b.npz", arrays)
    episodes = sources.load(str(path), VECTORS)
    assert episodes.final_observation.tolist() == [[8, 8], [0, 0]]
    assert episodes.has_final.tolist() == [True, False]
    assert episodes.learnable().tolist() == [0, 1, 2, 3]


def test_masks_and_propensities(tmp_path):
    arrays = logged_data.masks() | {"propensity": np.array([1, 0.5, 0.25, 1e-9, 1])}
    path = logged_data.write_npz(tmp_path / "a.npz", arrays)
    episodes = sources.load(str(path), MASKED)
    assert (episodes.action_mask == arrays["action_mask"]).all()
    assert episodes.final_mask.all()
    assert episodes.propensity.tolist() == [1, 0.5, 0.25, 1e-9, 1]
    arrays |= logged_data.finals()
    arrays["final_action_mask"] = np.array([[0, 0, 0], [1, 0, 1]])
    episodes = sources.load(str(logged_data.write_npz(tmp_path / "b.npz", arrays)), MASKED)
    # an environment that is over may call nothing legal; no learner meets a row without actions
    assert episodes.final_mask.tolist() == [[True, True, True], [True, False, True]]


def test_numbered_observations_and_pictures_keep_their_type(tmp_path):
    arrays = logged_data.columns() | {
        "observation": np.array([10, 13, 12, 11, 10], np.int8),
        "action": np.array([0, 1, 1, 0, 0]),
    }
    episodes = sources.load(str(logged_data.write_npz(tmp_path / "a.npz", arrays)), NUMBERS)
    assert episodes.observation.dtype == np.int64
    assert episodes.observation.tolist() == [10, 13, 12, 11, 10]
    arrays["observation"] = np.arange(20).reshape(5, 2, 2, 1)
    episodes = sources.load(str(logged_data.write_npz(tmp_path / "b.npz", arrays)), PIXELS)
    assert episodes.observation.dtype == np.uint8
    assert (episodes.observation == arrays["observation"]).all()


def test_the_episodes_of_the_files_of_a_directory_follow_each_other(tmp_path):
    arrays = logged_data.columns() | logged_data.finals()
    second = {name: values[-2:] for name, values in logged_data.columns().items()}
    second["final_observation"] = np.array([[5, 5]], np.float32)
    logged_data.write_npz(tmp_path / "10.npz", second)  # its episode has a number of the first's
    logged_data.write_npz(tmp_path / "09.npz", arrays)
    (tmp_path / "notes.txt").write_text("not read")
    episodes = sources.load(str(tmp_path), VECTORS)
    assert episodes.starts.tolist() == [0, 3, 5, 7]
    assert episodes.final_observation.tolist() == [[8, 8], [9, 9], [5, 5]]
    assert episodes.action.tolist() == [0, 1, 2, 2, 0, 2, 0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_file_holds_the_same_data(tmp_path, encoding):
    arrays = logged_data.columns() | {"propensity": np.full(5, 0.1)}
    path = logged_data.write_csv(tmp_path / "a.csv", arrays, encoding)
    expected = from_columns(arrays, VECTORS, "memory")
    episodes = sources.load(str(path), VECTORS)
    assert episodes.digest == expected.digest
    assert episodes.action.tolist() == expected.action.tolist()


def test_a_csv_file_of_masks_of_numbers_and_of_pixels(tmp_path):
    arrays = logged_data.masks()
    path = logged_data.write_csv(tmp_path / "a.csv", arrays)
    assert sources.load(str(path), MASKED).digest == from_columns(arrays, MASKED, "").digest
    arrays = logged_data.columns() | {
        "observation": np.array([10, 13, 12, 11, 10]),
        "action": np.array([0, 1, 1, 0, 0]),
    }
    path = logged_data.write_csv(tmp_path / "b.csv", arrays)
    assert sources.load(str(path), NUMBERS).digest == from_columns(arrays, NUMBERS, "").digest
    arrays["observation"] = np.arange(20, dtype=np.uint8).reshape(5, 2, 2, 1)
    path = logged_data.write_csv(tmp_path / "c.csv", arrays)
    assert sources.load(str(path), PIXELS).digest == from_columns(arrays, PIXELS, "").digest


def test_a_csv_file_as_a_spreadsheet_writes_it(tmp_path):
    path = tmp_path / "a.CSV"
    path.write_bytes(
        b"\xef\xbb\xbfepisode, observation_0, observation_1,action,reward,terminated,truncated\r\n"
        b'0,1.5,2,1,"3",FALSE,FALSE\r\n0,-1e-3, 2.25,3,4,TRUE,FALSE\r\n\r\n'
    )
    episodes = sources.load(str(path), VECTORS)
    assert episodes.observation.tolist() == [[1.5, 2], [np.float32(-1e-3), 2.25]]
    assert episodes.reward.tolist() == [3, 4]
    assert episodes.terminated.tolist() == [False, True]


def test_numbers_of_steps_are_checked_and_not_kept(tmp_path):
    arrays = logged_data.columns()
    with_steps = arrays | {"step": np.array([0, 1, 2, 0, 1])}
    path = logged_data.write_npz(tmp_path / "a.npz", with_steps)
    assert sources.load(str(path), VECTORS).digest == from_columns(arrays, VECTORS, "").digest


@pytest.mark.parametrize(
    ("spec", "source", "share"),
    [
        ("expert.npz", "expert.npz", None),
        ("expert.npz@0.3", "expert.npz", 0.3),
        ("minari:D4RL/door/human-v2@1", "minari:D4RL/door/human-v2", 1.0),
        ("logs@home/expert.npz", "logs@home/expert.npz", None),
        ("logs@home/expert.npz@.25", "logs@home/expert.npz", 0.25),
        ("me@work.csv", "me@work.csv", None),
    ],
)
def test_shares(spec, source, share):
    assert sources.parse_share(spec) == (source, share)


def test_a_path_that_is_there_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data@0.3").mkdir()
    assert sources.parse_share("data@0.3") == ("data@0.3", None)


@pytest.mark.parametrize(
    ("spec", "absolute", "name"),
    [
        ("a.npz", "{}/a.npz", "a.npz"),
        ("logs/../a.csv@0.3", "{}/a.csv@0.3", "a.csv@0.3"),
        ("logs/", "{}/logs", "logs"),
        ("~/a.npz", os.path.expanduser("~/a.npz"), "a.npz"),
        ("env@0.5", "env@0.5", "env@0.5"),
        ("minari:D4RL/door/human-v2@0.5", "minari:D4RL/door/human-v2@0.5", None),
        (
            "requests:logs+logs/r.csv@1",
            "requests:{0}/logs+{0}/logs/r.csv@1",
            "requests:logs+r.csv@1",
        ),
    ],
)
def test_what_is_named_is_the_same_from_any_directory(spec, absolute, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "r.csv").write_text("")
    found = sources.absolute(spec)
    assert found == absolute.format(tmp_path)
    assert sources.without_directories(found) == (name or spec)
    monkeypatch.chdir(tmp_path / "logs")
    assert sources.absolute(found) == found


@pytest.mark.parametrize("share", ["0", "-0.5", "1.5", "nan", "inf", "30%", ""])
def test_shares_that_are_none(share):
    with pytest.raises(UserError, match=r"--data=a.npz@.*: the share after @ must be a number"):
        sources.parse_share(f"a.npz@{share}")


def test_a_million_rows_are_loaded_in_about_their_size(tmp_path):
    """The file holds wider types than are kept, so that a second copy would be seen."""
    rows = 1_000_000
    generator = np.random.default_rng(0)
    is_last = np.arange(rows) % 20 == 19
    path = tmp_path / "a.npz"
    np.savez(
        path,
        observation=generator.normal(size=(rows, 4)),
        action=generator.integers(2, size=rows),
        reward=np.ones(rows),
        terminated=is_last,
        truncated=np.zeros(rows, bool),
        episode=np.arange(rows) // 20,
        propensity=np.full(rows, 0.5),
    )
    # In a process of its own, since NumPy's arrays of other tests would be counted.
    program = (
        "import tracemalloc\n"
        "from dqn_tf.envs.spaces import Spaces\n"
        "from dqn_tf.experience.logged import sources\n"
        "spaces = Spaces((4,), 'float32', 2)\n"
        "tracemalloc.start()\n"
        f"episodes = sources.load({str(path)!r}, spaces)\n"
        "kept, peak = tracemalloc.get_traced_memory()\n"
        "names = 'observation action reward terminated starts propensity'.split()\n"
        "size = sum(getattr(episodes, name).nbytes for name in names)\n"
        "assert len(episodes) == 1_000_000 and episodes.count == 50_000\n"
        "assert kept < 1.02 * size, kept / size\n"
        "assert peak < 1.25 * size, peak / size\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_the_largest_observations_need_no_second_copy(tmp_path):
    spaces = Spaces((64, 64, 3), "uint8", 2)
    rows = 4000
    arrays = {
        "observation": np.ones((rows, 64, 64, 3), np.uint8),
        "action": np.zeros(rows, np.int64),
        "reward": np.zeros(rows),
        "terminated": np.arange(rows) % 10 == 9,
        "truncated": np.zeros(rows, bool),
        "episode": np.arange(rows) // 10,
    }
    path = logged_data.write_npz(tmp_path / "a.npz", arrays)
    tracemalloc.start()
    try:
        episodes = sources.load(str(path), spaces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (episodes.observation == 1).all()
    assert peak < 1.15 * episodes.observation.nbytes
