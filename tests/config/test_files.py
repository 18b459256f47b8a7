"""support/files.py: what is written appears whole or not at all."""

import json
import os

import pytest

from dqn_tf.support import files


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
