"""Requests to an export: those of its warm-up file, and those that the gate asks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.prediction_log import Request, decode, encode

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
WARMUP_BATCHES = (1, 8)
WARMUP_EPSILON = 0.1


def requests(
    signatures: Mapping[str, list[tf.TensorSpec]],
    spaces: Spaces,
    observation: np.ndarray,
    epsilon: float,
    keys: list[str],
    mask: np.ndarray | None = None,
) -> list[Request]:
    """One request to each signature, given by its inputs, about these observations [B, *shape].

    Rows are numbered for seeds; `keys` are those that `metadata` is asked for, in turn. All actions
    are legal unless `mask` [B, A] bool is given.
    """
    batch = len(observation)
    rows = {
        "observation": observation,
        "observation_bytes": [row.tobytes() for row in observation],
        "epsilon": np.full(batch, epsilon),
        "seed": np.arange(batch),
        "key": np.resize(np.array(keys, object), batch),
        "action_mask": np.ones((batch, spaces.actions), bool) if mask is None else mask,
    }
    return [
        Request(
            name,
            {
                spec.name: tf.make_tensor_proto(
                    rows[spec.name], spec.dtype, np.shape(rows[spec.name])
                )
                for spec in inputs
            },
        )
        for name, inputs in signatures.items()
    ]


def fitted(observations: np.ndarray, batch: int, spaces: Spaces) -> np.ndarray:
    """`batch` of the observations, the same ones again where there are fewer; zeros where there are
    none.
    """
    return np.resize(observations, (batch, *spaces.observation_shape)).astype(
        spaces.observation_dtype
    )


def write_warmup(version: Path, records: list[Request]) -> None:
    """The file that TensorFlow Serving sends through a version before it goes live.

    Raises tf.errors.OpError.
    """
    (version / WARMUP).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(version / WARMUP)) as writer:
        for record in records:
            writer.write(encode(record))


def read_warmup(version: Path) -> list[Request]:
    """What `write_warmup` wrote, as it lies on the disk."""
    return [
        decode(record)
        for record in tf.data.TFRecordDataset(str(version / WARMUP)).as_numpy_iterator()
    ]
