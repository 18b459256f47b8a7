"""What a language model takes of memory, by what of it learns."""

from __future__ import annotations

import math
from typing import NamedTuple

from dqn_tf.language import llama
from dqn_tf.language.model_files import ModelFiles

FLOAT_BYTES = 4
# Where the model learns: online network, target, gradients, two arrays of the optimizer and the
# best weights so far, and for a moment a checkpoint's copy of the first two and the optimizer's.
COPIES_OF_ALL = 10
STREAM_BYTES = 2**28  # for what is kept of messages below changed layers, if that is enough
MOST_MESSAGES = 16_384  # whose features are kept; at 576 numbers each 36 MiB


class ModelMemory(NamedTuple):
    """The weights of the layers in use, and the bytes that they and what is kept of texts take."""

    weights: int
    bytes: int


def memory_of(files: ModelFiles, layers: int, fine_tune: str) -> ModelMemory:
    """Return what the first so many layers take."""
    sizes = (llama.size_of(files.shape, name) for name in files.names(layers))
    weights = sum(math.prod(size) for size in sizes if size is not None)
    copies = COPIES_OF_ALL if fine_tune == "all" else 1
    features = FLOAT_BYTES * MOST_MESSAGES * files.shape.width
    kept = {"head": features, "lora": STREAM_BYTES, "all": 0}[fine_tune]
    return ModelMemory(weights, FLOAT_BYTES * weights * copies + kept)


def stream_rows(numbers: int, at_once: int) -> int:
    """Return for how many messages of so many numbers there is room; `at_once` must fit twice."""
    rows = STREAM_BYTES // (FLOAT_BYTES * numbers)
    return max(min(rows, MOST_MESSAGES), 2 * at_once)
