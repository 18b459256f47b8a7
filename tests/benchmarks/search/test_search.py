"""benchmarks.search: its searches can be typed, and the page says what is recorded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.records import append
from benchmarks.search import page, records, rl_zoo
from benchmarks.search.searches import SEARCHES
from dqn_tf.config import presets
from dqn_tf.search.flags import parse
from dqn_tf.search.plan import prepare

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_its_words_are_a_search(search):
    if search.name == "lunarlander":
        pytest.importorskip("Box2D", reason="the extra `box2d` is not installed")
    plan = prepare(parse(["search", *search.words]))
    assert not plan.flags.own and len(plan.test_seeds) == 10  # nobody narrowed a range
    assert len(plan.space.dimensions) > 20


def test_the_ranges_in_the_docs_are_those_of_the_settings():
    text = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    begin, end = page.RANGES
    shown = text.partition(begin)[2].partition(end)[0].strip()
    assert shown == page.ranges(), "python -m benchmarks.search --render_only"


def session(search, /, **other):
    row = dict.fromkeys(records.Session._fields, "1")
    cost = {"processes": 2, "seconds": 300.0, "cpu_seconds": 500.0, "status": 0}
    words = {"search": search.name, "words": records.words_of(search), "date": "2026-11-26"}
    return records.Session(**(row | cost | words | other))


def test_the_table_counts_all_sessions_and_compares_on_the_same_seeds(tmp_path):
    search = SEARCHES[0]
    assert page.found(tmp_path) == "Nothing is recorded yet."
    file = tmp_path / records.FILE
    append(file, session(search, status=130))  # it was stopped
    assert page.found(tmp_path) == "Nothing is recorded yet."
    append(file, session(search))
    append(file, session(search, words="--trials=1"))  # another search, which counts for nothing
    directory = tmp_path / search.name
    directory.mkdir()
    (directory / records.TRIALS).write_text(
        "trial,state,cpu_seconds\n0,complete,9\n1,pruned,2.5\n2,refused,\n3,complete,1\n",
        encoding="utf-8",
    )
    winner = {"seen": [500.0] * 3, "test": [480.0, 490.0], "start": [100.0, 110.0]}
    winner |= {"shrinkage": [15.0, 10.0, 20.0], "test_iqm": [485.0, 480.0, 490.0]}
    winner["config"] = presets.configure("CartPole-v1", {"double": True}).to_dict()
    (directory / records.WINNER).write_text(json.dumps(winner), encoding="utf-8")
    text = page.found(tmp_path)
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {search.title}")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert f"{search.title}: `python train.py --env=CartPole-v1 --double`" in text
    assert cells[1:3] == ["3 (1)", "500.0 [500.0, 500.0]"]
    assert cells[4] == "15.0 [10.0, 20.0]"
    assert cells[6] == "380.0 [380.0, 380.0]"
    assert cells[7:] == ["10, 2 processes", "1,000"]
    order = {"trials": 60, "cpu_seconds": 700.0}
    zoo = {"test": [200.0, 300.0], "seen": 400.0, "trials": 9, "order": order}
    (directory / records.RL_ZOO).write_text(json.dumps(zoo), encoding="utf-8")
    append(file, session(search, search=records.rl_zoo_name(search), processes=1))
    assert "700 s of CPU in all | 9 | 400.0 | 250.0 [200.0, 300.0] | 150.0 |" in page.found(
        tmp_path
    )
    assert records.cpu_seconds_of_trials(tmp_path, search) == 12.5
    assert "at least 475 on fresh seeds: **met**" in text


def test_rl_zoos_search_ends_when_its_cpu_time_is_spent(tmp_path, monkeypatch):
    monkeypatch.setattr(rl_zoo, "COMMAND", (sys.executable, "-c", "while True: pass"))
    rl_zoo.search((), tmp_path, 1.5)
    spent = json.loads((tmp_path / rl_zoo.SPENT).read_text())
    assert 0.5 < spent < 1.6  # the kernel counts in ticks
    rl_zoo.search((), tmp_path, 1.5)  # nothing is left
    assert json.loads((tmp_path / rl_zoo.SPENT).read_text()) == spent
    monkeypatch.setattr(rl_zoo, "COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(subprocess.CalledProcessError):
        rl_zoo.search((), tmp_path, spent + 5)
