"""TensorFlow is loaded once, quietly, before any test file imports it."""

import numpy as np
import pytest

from dqn_tf import quiet

quiet.load_tensorflow()


@pytest.fixture
def generator() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(7)
