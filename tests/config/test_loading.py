"""dqn_tf.support.tensorflow_loading: what holds while TensorFlow is imported."""

import gc

import pytest

from dqn_tf.support.tensorflow_loading import uncollected


def test_garbage_is_looked_for_again_afterwards_if_it_was_before():
    assert gc.isenabled()
    with pytest.raises(KeyError), uncollected():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
