"""TensorFlow is loaded once, quietly, before any test file imports it."""

import numpy as np
import pytest

from dqn_tf.support import tensorflow_loading

tensorflow_loading.load_tensorflow()


@pytest.fixture
def generator() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(7)
