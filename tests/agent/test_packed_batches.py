import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent import packed_batches
from dqn_tf.agent.packed_batches import PACKED, pack, unpack


@pytest.fixture
def batches(generator):
    """Columns [3, 4, ...] of every kind; NaN, -0.0 and a subnormal number are among the floats."""
    floats = generator.normal(size=(3, 4, 5)).astype(np.float32)
    floats[0, 0] = [np.nan, -0.0, 1e-45, -np.inf, np.finfo(np.float32).max]
    return {
        "observation": floats,
        "turned": floats.transpose(0, 1, 2)[:, ::-1],
        "action": generator.integers(-(2**31), 2**31, size=(3, 4)).astype(np.int32),
        "reward": generator.normal(size=(3, 4)).astype(np.float32),
        "mask": generator.random((3, 4, 2)) < 0.5,
        "frames": generator.integers(256, size=(3, 4, 2, 2)).astype(np.uint8),
        "double": generator.normal(size=(3, 4)),
        "long": generator.integers(2**40, size=(3, 4)),
    }


def bits(column) -> tuple[str, tuple[int, ...], bytes]:
    array = np.asarray(column)
    return str(array.dtype), array.shape, array.tobytes()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_columns_come_back_to_the_bit(batches, jit_compile):
    columns, layout = pack(batches)
    assert set(columns) == {PACKED, "mask", "frames", "double", "long"}
    assert columns[PACKED].shape == (3, 4 * (5 + 5 + 1 + 1))
    unpacking = tf.function(unpack, jit_compile=jit_compile)
    unpacked = unpacking({name: tf.constant(column) for name, column in columns.items()}, layout)
    assert {name: bits(column) for name, column in unpacked.items()} == {
        name: bits(column) for name, column in batches.items()
    }


def test_tensors_and_large_columns_stay_as_they_are(batches, monkeypatch):
    batches["reward"] = tf.constant(batches["reward"])
    monkeypatch.setattr(packed_batches, "LARGEST", batches["action"].nbytes)
    columns, layout = pack(batches)
    assert [place.name for place in layout] == ["action"]
    assert columns["reward"] is batches["reward"]
    assert columns["observation"] is batches["observation"]


def test_nothing_is_packed_where_nothing_can_be():
    column = np.zeros((2, 3), bool)
    columns, layout = pack({"mask": column})
    assert layout == () and columns == {"mask": column}
    assert unpack(columns, layout) == {"mask": column}
