"""Where a study may lie: files of any name, and a sentence for what is none."""

import sqlite3
import sys
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from dqn_tf.search import storage  # noqa: E402 (needs optuna)
from dqn_tf.support.errors import UserError  # noqa: E402
from made_up_search import make_plan, open_study, work  # noqa: E402


def test_storages_that_cannot_be_used_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "LOCK_SECONDS", 0.05)
    (tmp_path / "letter.db").write_text("Dear study,\n" * 200, encoding="utf-8")
    foreign = tmp_path / "foreign.db"
    other = optuna.create_study(storage=f"sqlite:///{foreign}", study_name="CartPole-v1")
    other.add_trial(optuna.trial.create_trial(value=1.0))
    locked = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    locked.execute("create table a(b)")
    locked.execute("begin exclusive")
    cases = {
        str(tmp_path / "locked.db"): "another process holds the file locked",
        str(tmp_path / "letter.db"): "it is a file of another kind",
        str(tmp_path / "no" / "study.db"): "there is no directory",
        str(tmp_path): "it is a directory",
        "postgresql+nodriver://me:secret@nowhere/db": r"me:\*\*\*@nowhere",
        "": "--storage is empty",
        "sqlite://": "a study in memory is gone with its process",
        "sqlite:///:memory:": "a study in memory",
        "sqlite+pysqlite:///?timeout=5": "a study in memory",
        "sqlite:///file:x?mode=memory&uri=true": "a study in memory",
        str(tmp_path / "what?.db"): "no question mark",
        "journal:": "must name a file",
        "~no-such-user/study.db": "there is no user 'no-such-user'",
    }
    for place, part in cases.items():
        with pytest.raises(UserError, match=part) as error:
            storage.open_storage(storage.read_place(place))
        assert "secret" not in str(error.value)
    locked.close()
    plan = make_plan(f"--storage={foreign}")
    with pytest.raises(UserError, match="not of dqn-search"):
        open_study(plan, storage.open_storage(str(foreign)))


def test_a_study_may_lie_in_a_file_of_any_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for place in ("{a} b#%20.db", "~/home.db", "journal:~/{}.log", "sqlite:///address.db"):
        plan = make_plan(f"--storage={place}", "--trials=1", "--seeds=1")
        work(plan, open_study(plan, storage.open_storage(plan.flags.storage)))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"{a} b#%20.db", "home.db", "{}.log", "address.db"}


def test_a_journal_in_a_directory_is_locked_by_a_name_that_leads_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    opened = storage.open_storage("journal:out/study.log")
    assert opened._backend._file_path == str(tmp_path / "out" / "study.log")


@pytest.mark.parametrize("torn", [20, 1])
def test_a_line_that_is_not_whole_costs_no_other(tmp_path, monkeypatch, torn):
    """A full disk leaves such a journal: Optuna would write behind it."""
    monkeypatch.chdir(tmp_path)
    plan = make_plan("--storage=journal:study.log", "--trials=1", "--seeds=1")
    work(plan, open_study(plan, storage.open_storage(plan.flags.storage)))
    whole = Path("study.log").read_bytes()
    Path("study.log").write_bytes(whole + whole.splitlines(True)[-1][:-torn])
    study = open_study(plan, storage.open_storage(plan.flags.storage))
    assert Path("study.log").read_bytes().startswith(whole)
    assert len(study.trials) == 1 and study.trials[0].state.is_finished()
    Path("study.log").write_bytes(whole.splitlines(True)[0][:30])  # even the first one
    storage.open_storage(plan.flags.storage)
    assert Path("study.log").read_bytes() == b""


@pytest.mark.parametrize(
    "content", [b"my notes\n", b"my notes", b"[1]\n", b'{"a": 1}\n', b"\0" * 99]
)
def test_a_file_of_another_kind_is_no_journal_and_stays_as_it_is(tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match="it is a file of another kind, and no study's"):
        storage.open_storage(f"journal:{file}")
    assert file.read_bytes() == content and [*tmp_path.iterdir()] == [file]


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'dqn_tf\[search\]'"):
        storage.load_optuna()
