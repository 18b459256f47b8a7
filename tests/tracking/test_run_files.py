"""dqn_tf.tracking.run_files and wandb_files: what is read while somebody writes."""

import os
import shutil
import struct
from pathlib import Path

from dqn_tf.tracking import run_state
from dqn_tf.tracking.run_files import RunFiles, find_runs, is_training, is_training_below
from dqn_tf.tracking.wandb_files import records
from tracked_runs import append_rows, finish_run, make_run, training, write_config


def steps(rows) -> list[int]:
    return [row.env_step for row in rows]


def test_rows_come_once_and_a_torn_line_when_it_is_whole(tmp_path):
    run = make_run(tmp_path / "run", rows=2)
    files = RunFiles(run)
    is_anew, rows = files.new_rows()
    assert is_anew and steps(rows) == [10] * 3 + [20] * 3
    assert rows[2].values == {"loss": 0.33333333, "epsilon": 0.5, "updates": 1.0}
    assert files.new_rows() == (False, [])
    whole = (run / "metrics.csv").read_bytes()
    append_rows(run, [3])
    longer = (run / "metrics.csv").read_bytes()
    for end in (len(whole) + 5, len(longer) - 1):
        (run / "metrics.csv").write_bytes(longer[:end])
        assert 30 not in steps(files.new_rows()[1][2:])
    (run / "metrics.csv").write_bytes(longer)
    assert steps(files.new_rows()[1]) == [30]


def test_a_file_that_was_replaced_is_read_from_its_beginning(tmp_path):
    run = make_run(tmp_path / "run", rows=3)
    files = RunFiles(run)
    files.new_rows()
    path = run / "metrics.csv"
    kept = path.read_bytes().splitlines(keepends=True)[:7]  # a header and steps 10 and 20
    path.write_bytes(b"".join(kept))
    append_rows(run, [3, 4, 5], loss=1.0)
    is_anew, rows = files.new_rows()
    assert is_anew and sorted(set(steps(rows))) == [10, 20, 30, 40, 50]


def test_runs_are_found_in_a_tree_and_nothing_inside_them(tmp_path):
    paths = [make_run(tmp_path / name) for name in ("a", "b/seed1", "b/seed2")]
    make_run(tmp_path / "a" / "saved_model" / "inner")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}", encoding="utf-8")
    hub = make_run(tmp_path / "hub")  # which has a run's files, and what a run has not
    (hub / "results.json").write_text("{}", encoding="utf-8")
    assert find_runs(tmp_path) == paths
    assert find_runs(paths[0]) == paths[:1]


def test_a_copy_has_a_key_of_its_own_and_what_was_moved_keeps_its_own(tmp_path):
    run = make_run(tmp_path / "run")
    key = run_state.read(run)["key"]
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert run_state.read(copy)["key"] != key
    assert run_state.read(run)["key"] == key
    assert run_state.read(run.rename(tmp_path / "moved"))["key"] == key


def test_a_run_that_was_resumed_and_stopped_is_not_complete(tmp_path):
    run = make_run(tmp_path / "run", total_steps=2_000)
    finish_run(run, 2_000)
    files = RunFiles(run)
    files.new_settings()
    assert files.is_complete
    write_config(run, total_steps=4_000)
    files.new_settings()
    assert not files.is_complete


def test_who_trains_is_found_anywhere_before_there_is_a_run(tmp_path):
    assert not is_training_below(tmp_path)
    place = tmp_path / "CartPole-v1" / "some time" / "seed1"
    place.mkdir(parents=True)
    with training(place):
        assert is_training_below(tmp_path) and is_training_below(place)
        assert find_runs(tmp_path) == []
    assert not is_training_below(tmp_path)


def test_a_run_whose_process_is_dead_is_not_being_trained(tmp_path):
    run = make_run(tmp_path / "run")
    assert not is_training(run)
    for text in (f"{2**22 + 1} on {os.uname().nodename}", "", f"{os.getpid()} on elsewhere"):
        (run / ".lock").write_text(text, encoding="utf-8")
        assert not is_training(run)


def test_records_of_a_log_in_blocks_are_put_together_and_a_torn_one_is_left_out():
    first, second = b"a" * 10, b"b" * 40_000
    data = b":W&B\0\0\0" + struct.pack("<IHB", 0, len(first), 1) + first
    left = 32 * 1024 - len(data) - 7
    data += struct.pack("<IHB", 0, left, 2) + second[:left]
    data += struct.pack("<IHB", 0, len(second) - left, 4) + second[left:]
    assert list(records(data)) == [first, second]
    assert list(records(data[:-1])) == [first]
    assert list(records(data[:9])) == list(records(data[:7])) == []
