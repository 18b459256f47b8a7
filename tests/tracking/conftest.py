"""The trackers whose packages are installed here, and where they keep runs."""

import importlib.util
import os
from pathlib import Path

import pytest

from dqn_tf.tracking import beside
from dqn_tf.tracking.tracker import TRACKERS


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """Where the trackers keep their runs: trackio has one place for each process."""
    return tmp_path_factory.mktemp("trackers")


@pytest.fixture(autouse=True)
def own_priority(monkeypatch) -> None:
    """Leaves the tests' process, and what they start beside a run, its priority.

    Beside other tests, a process that steps back for all of them is not done within minutes.
    """
    monkeypatch.setattr(os, "nice", lambda increment: 0)
    monkeypatch.setattr(beside, "NICENESS", 0)


@pytest.fixture(params=list(TRACKERS))
def to(request) -> str:
    """The name of a tracker that is installed."""
    missing = [
        name for name in TRACKERS[request.param].modules if not importlib.util.find_spec(name)
    ]
    if missing:
        pytest.skip(f"{request.param} is not installed: {', '.join(missing)}")
    return request.param
