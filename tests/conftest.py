"""TensorFlow is loaded once, quietly, before any test file imports it."""

import gc
from collections.abc import Callable

import numpy as np
import pytest

from dqn_tf.support import tensorflow_loading


def pytest_configure(config: pytest.Config) -> None:
    """Loads TensorFlow, but not where other processes run the tests."""
    is_worker = hasattr(config, "workerinput")
    if is_worker or not getattr(config.option, "numprocesses", 0):
        tensorflow_loading.load_tensorflow()


def pytest_collection_finish() -> None:
    """Has Python look for garbage among what tests make, not among all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def generator() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(7)


@pytest.fixture
def traced_updates(monkeypatch) -> None:
    """Leaves XLA out of the host engine's updates, for tests of a run's course.

    What XLA makes of an update is asked by tests of learning and by test_resume_switches.py; here
    compiling one would take longer than all of its updates.
    """
    from dqn_tf.agent import program

    compile_loops = program.compile_loops
    monkeypatch.setattr(program, "compile_loops", lambda block, _: compile_loops(block, False))


@pytest.fixture
def evaluate_py(capsys) -> Callable[..., str]:
    """Runs evaluate.py in this process with the given words; returns what it printed."""
    from dqn_tf.evaluation import __main__ as command
    from dqn_tf.evaluation import flags as evaluate_flags

    def run(*words, status: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            command.main(evaluate_flags.parse(["evaluate.py", *map(str, words)]))
        assert end.value.code == status
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run
