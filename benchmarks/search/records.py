"""What was measured: sessions.csv with what each call of a search cost, and the search's own files.

A search is stopped and goes on, so its cost is the sum over its sessions.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common.records import read
from benchmarks.search.searches import Search

FILE = "sessions.csv"
WINNER, TRIALS, STUDY, RL_ZOO = "winner.json", "trials.csv", "study.db", "rl_zoo.json"


class Session(NamedTuple):
    """One call of a search's command."""

    search: str
    words: str
    processes: int
    seconds: float
    cpu_seconds: float
    status: int
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    optuna: str
    machine: str
    date: str


class Finished(NamedTuple):
    """A search that came to its end, with the sum of what its sessions cost.

    Attributes:
      states: how many trials there are of each state.
    """

    search: Search
    sessions: list[Session]
    winner: dict[str, Any]
    states: Counter[str]


def words_of(search: Search) -> str:
    """Return what tells this search from one with other flags of the same name."""
    return " ".join(search.words)


def rl_zoo_name(search: Search) -> str:
    """Return what the sessions of rl-zoo3's search beside this one are called."""
    return f"{search.name}_rl_zoo"


def of_rl_zoo(results_dir: Path, search: Search) -> tuple[list[Session], dict[str, Any]] | None:
    """Return what rl-zoo3's search beside this one cost and found; None if there is none."""
    sessions = _sessions(results_dir, search, rl_zoo_name(search))
    file = results_dir / search.name / RL_ZOO
    if not file.exists() or not any(session.status == 0 for session in sessions):
        return None
    return sessions, json.loads(file.read_text(encoding="utf-8"))


def finished(results_dir: Path, search: Search) -> Finished | None:
    """Return what is recorded of the search; None if it has not come to its end."""
    sessions = _sessions(results_dir, search, search.name)
    if not any(session.status == 0 for session in sessions):
        return None
    directory = results_dir / search.name
    winner = json.loads((directory / WINNER).read_text(encoding="utf-8"))
    states = Counter(row["state"] for row in _trials(results_dir, search))
    return Finished(search, sessions, winner, states)


def cpu_seconds_of_trials(results_dir: Path, search: Search) -> float:
    """Return what all trials of a search cost, without its test."""
    return sum(float(row["cpu_seconds"] or 0.0) for row in _trials(results_dir, search))


def _trials(results_dir: Path, search: Search) -> list[dict[str, str]]:
    with (results_dir / search.name / TRIALS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _sessions(results_dir: Path, search: Search, name: str) -> list[Session]:
    return [
        session
        for session in read(results_dir / FILE, Session)
        if session.search == name and session.words == words_of(search)
    ]
