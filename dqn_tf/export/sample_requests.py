"""Requests to an export: those of its warm-up file, and those that the gate sends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokenizer import Tokenizer
from dqn_tf.export.message_samples import message_inputs
from dqn_tf.export.prediction_log import Request, decode, encode

WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
WARMUP_BATCHES = (1, 8)
WARMUP_EPSILON = 0.1
SAID = ("features", "choice_features")  # what a language model says of texts
# what a tokenizer has to read as the environment's does, and what is no UTF-8
ODD_TEXTS = [
    text.encode("utf-8", "surrogateescape")
    for text in (
        *("", " \t\n ", "Don't STOP", "ΟΔΟΣ İI ı ẞ É e\u0301", "👩🏽\u200d🚀 ok!", "你好，世界。"),
        *("ＡＢＣ　１２３", "a\x00b\x07c\udcff\udce2\udc82", "it’s 'so'", "word " * 300),
    )
]

InputSpecs = Mapping[str, Sequence[tf.TensorSpec]]  # the inputs of each signature


def make_requests(
    signatures: InputSpecs,
    spaces: Spaces,
    observation: np.ndarray,
    epsilon: float,
    keys: list[str],
    mask: np.ndarray | None = None,
    tokenizer: Tokenizer | None = None,
    said: Mapping[str, Any] | None = None,
) -> list[Request]:
    """Return one request to each signature about these observations [B, *shape].

    The rows' numbers are their seeds; `keys` are those that `metadata` is asked for, in turn. All
    actions are legal unless `mask` [B, A] bool is given. Texts, and those of choices, are what
    `tokenizer` makes of the observations, and in part ODD_TEXTS. `said` is what a language model
    says of their messages, 0 if it is not given.
    """
    batch = len(observation)
    inputs: dict[str, Any] = {
        "observation": observation,
        "observation_bytes": [row.tobytes() for row in observation],
        "text": [] if tokenizer is None else _texts(tokenizer, observation),
        "choices": [] if tokenizer is None else _choices(tokenizer, observation),
        "epsilon": np.full(batch, epsilon),
        "seed": np.arange(batch),
        "key": np.resize(np.array(keys, object), batch),
        "action_mask": np.ones((batch, spaces.actions), bool) if mask is None else mask,
    }
    if spaces.messages:
        inputs |= message_inputs(observation, spaces)
    inputs |= said or {}
    requests = []
    for name, specs in signatures.items():
        for spec in specs:
            if spec.name in SAID and spec.name not in inputs:
                places = spaces.choices if spec.shape[1] is None else spec.shape[1]
                inputs[spec.name] = np.zeros((batch, places, spec.shape[2]), np.float32)
        # The shape is given, since an empty list would have none.
        tensors = {
            spec.name: tf.make_tensor_proto(
                inputs[spec.name], spec.dtype, np.shape(inputs[spec.name])
            )
            for spec in specs
        }
        requests.append(Request(name, tensors))
    return requests


def make_warmup_requests(
    signatures: InputSpecs,
    spaces: Spaces,
    observations: np.ndarray,
    keys: list[str],
    tokenizer: Tokenizer | None = None,
) -> list[Request]:
    """Return a request to each signature for every batch of WARMUP_BATCHES."""
    requests = []
    for size in WARMUP_BATCHES:
        batch = take_batch(observations, size, spaces)
        requests += make_requests(signatures, spaces, batch, WARMUP_EPSILON, keys, None, tokenizer)
    return requests


def _texts(tokenizer: Tokenizer, observation: np.ndarray) -> list[bytes]:
    """Return a text for each observation; of a large batch the last ones are ODD_TEXTS."""
    texts = [tokenizer.text(tokens).encode() for tokens in observation]
    if _has_odd_ones(tokenizer, observation):
        texts[-len(ODD_TEXTS) :] = ODD_TEXTS
    return texts


def _choices(tokenizer: Tokenizer, observation: np.ndarray) -> np.ndarray:
    """Return the texts of all places of each observation, [B, C].

    Of a large batch the first ones in a row are among ODD_TEXTS, before those that `_texts` has.
    """
    texts = np.full((len(observation), tokenizer.choices), b"", object)
    for row, tokens in enumerate(observation):
        texts[row] = [text.encode() for text in tokenizer.choice_texts(tokens)]
    if tokenizer.choices and _has_odd_ones(tokenizer, observation):
        texts[-2 * len(ODD_TEXTS) : -len(ODD_TEXTS), 0] = ODD_TEXTS
    return texts


def _has_odd_ones(tokenizer: Tokenizer, observation: np.ndarray) -> bool:
    return tokenizer.unknown is not None and len(observation) > 2 * len(ODD_TEXTS)


def take_batch(observations: np.ndarray, size: int, spaces: Spaces) -> np.ndarray:
    """Return `size` observations: repeated if there are fewer, zeros if there are none."""
    batch = np.resize(observations, (size, *spaces.observation_shape))
    return batch.astype(spaces.observation_dtype)


def write_warmup(version: Path, requests: list[Request]) -> None:
    """Write the file that TensorFlow Serving sends through a version before it goes live.

    Raises tf.errors.OpError.
    """
    (version / WARMUP).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(version / WARMUP)) as writer:
        for request in requests:
            writer.write(encode(request))


def read_warmup(version: Path) -> list[Request]:
    """Read what `write_warmup` wrote."""
    records = tf.data.TFRecordDataset(str(version / WARMUP)).as_numpy_iterator()
    return [decode(record) for record in records]
