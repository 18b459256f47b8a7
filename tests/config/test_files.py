"""support/files.py: what is written appears whole or not at all."""

import json
import os
import stat
from pathlib import Path

import pytest

from dqn_tf.support import files
from dqn_tf.support.errors import UserError


def contents(directory) -> dict[str, str]:
    """All files in it by their path, and what each holds."""
    return {
        str(path.relative_to(directory)): path.read_text(encoding="utf-8")
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_json_is_written_whole_or_not_at_all(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_file_keeps_its_suffix_and_is_not_there_before_the_end(tmp_path):
    path = tmp_path / "play.gif"
    with files.replaced(path) as aside:
        aside.write_text("frames", encoding="utf-8")
        assert aside.parent == tmp_path and aside.suffix == ".gif"
        assert aside.name.startswith(files.HIDDEN) and not path.exists()
    assert contents(tmp_path) == {"play.gif": "frames"}


@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_a_directory_takes_the_place_of_another(tmp_path, there):
    path = tmp_path / "parent" / "100"
    if there:
        path.mkdir(parents=True)
        (path / "old").write_text("1", encoding="utf-8")
    with files.replaced(path) as aside:
        (aside / "inner").mkdir(parents=True)
        (aside / "inner" / "new").write_text("2", encoding="utf-8")
    assert contents(tmp_path) == {"parent/100/inner/new": "2"}
    assert os.listdir(path.parent) == ["100"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path, error):
    for name in ("directory", "file"):
        with files.replaced(tmp_path / name) as aside:
            if name == "directory":
                aside.mkdir()
                aside = aside / "inner"
            aside.write_text("1", encoding="utf-8")
    for name in ("directory", "file"):
        with pytest.raises(error), files.replaced(tmp_path / name) as aside:
            if name == "directory":
                aside.mkdir()
                aside = aside / "inner"
            aside.write_text("2", encoding="utf-8")
            raise error
    assert contents(tmp_path) == {"directory/inner": "1", "file": "1"}
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]


def test_everything_is_synced_before_it_is_renamed_and_the_name_after(tmp_path, monkeypatch):
    synced, path = [], tmp_path / "100"

    def record(entry):
        synced.append((entry.name, path.exists()))

    monkeypatch.setattr(files, "_sync_entry", record)
    with files.replaced(path) as aside:
        aside.mkdir()
        (aside / "file").touch()
    assert synced == [("file", False), (aside.name, False), (tmp_path.name, True)]


def test_a_full_directory_is_not_renamed_onto(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "file").touch()
    with files.unfinished(tmp_path) as aside:
        aside.mkdir()
        with pytest.raises(OSError, match="not empty"):
            files.rename(aside, tmp_path / "1")
        files.rename(aside, tmp_path / "2")
    assert sorted(os.listdir(tmp_path)) == ["1", "2"]


def test_sweep_deletes_what_is_hidden_and_nothing_else(tmp_path):
    (tmp_path / ".tmp-a" / "inner").mkdir(parents=True)
    (tmp_path / ".tmp-b.json").touch()
    (tmp_path / "_temp").mkdir()
    files.sweep(tmp_path)
    assert os.listdir(tmp_path) == ["_temp"]


def test_of_a_link_the_file_that_it_names_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "a.json"
    link.symlink_to(tmp_path / "there" / "b.json")
    for number in (1, 2):  # the link dangles at first
        files.write_json(link, number)
        assert link.is_symlink() and link.read_text(encoding="utf-8") == f"{number}\n"
    assert os.listdir(tmp_path / "there") == ["b.json"]


def test_a_device_and_a_pipe_are_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_json(pipe, {"a": 1})
    assert json.loads(os.read(reading, 100)) == {"a": 1}
    os.close(reading)
    device = tmp_path / "device"
    device.symlink_to("/dev/null")
    files.write_json(device, 1)
    assert device.is_symlink() and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        log.write("printed\n")
        log.flush()
        files.write_json(Path(f"/dev/fd/{log.fileno()}"), 1)
        log.write("after\n")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "printed\n1\nafter\n"


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, 1)
    path.chmod(0o600)
    files.write_json(path, 2)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_to_write_to_is_checked_before(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loose").symlink_to("nowhere/a.json")
    for name, said in (
        (".", "it is a directory"),
        ("no/a.json", "there is no directory"),
        ("loose", "there is no directory"),
        ("file/a.json", "there is no directory"),
    ):
        with pytest.raises(UserError, match=f"--json=.*: {said}"):
            files.require_file("json", tmp_path / name)
    for place in (tmp_path / "new.json", tmp_path / "file", Path("/dev/null"), Path("new.json")):
        files.require_file("json", place)
    with pytest.raises(UserError, match="loose is a link to nowhere/a.json, which is not there"):
        files.require_directory("export_dir", tmp_path / "loose" / "below")
    with pytest.raises(UserError, match="file is not a directory"):
        files.require_directory("export_dir", tmp_path / "file" / "below")
    files.require_directory("export_dir", tmp_path / "a" / "b")
    files.require_directory("export_dir", Path("relative"))


@pytest.mark.parametrize(
    ("path", "beside", "now", "found"),
    [
        ("/p/saved/X/1", "/p/runs/X/r", "/q/p2/runs/X/r", "/q/p2/saved/X/1"),  # the project
        ("/p/runs/X/r/model", "/p/runs/X/r", "/p/runs/X/best", "/p/runs/X/best/model"),  # the run
        ("/p/saved/X/1", "/p/runs/X/r", "/p/runs/X/best", "/p/saved/X/1"),  # the run alone
        ("/p/saved/X/1", "/p/runs/X/r", "/p/runs/X/r", "/p/saved/X/1"),  # nothing
        ("saved/X", "/p/runs/X/r", "/q/runs/X/r", "saved/X"),  # as earlier versions had it
    ],
)
def test_what_was_moved_is_found_beside_what_was_moved_with_it(path, beside, now, found):
    assert files.moved(Path(path), Path(beside), Path(now)) == Path(found)
