"""TensorFlow is loaded once, quietly, before any test file imports it."""

from collections.abc import Callable

import numpy as np
import pytest

from dqn_tf.support import tensorflow_loading

tensorflow_loading.load_tensorflow()


@pytest.fixture
def generator() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(7)


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
