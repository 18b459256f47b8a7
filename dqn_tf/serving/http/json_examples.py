"""Converts the body of a classify or regress request to tf.Examples, and the results to JSON."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from dqn_tf.serving.errors import invalid_argument
from dqn_tf.serving.http import json_tensors, json_writer
from dqn_tf.serving.models import classify_regress

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


def check_list(examples: Any) -> list:
    """Return `examples` if it is a list that is not empty. Raises INVALID_ARGUMENT."""
    if not isinstance(examples, list) or not examples:
        raise invalid_argument(
            "JSON Value: key 'examples' is expected to be a list/array that is not empty"
        )
    return examples


def serialize(pieces: Iterable[list], context: Any) -> np.ndarray:
    """Return the serialized examples [B] of lists of objects of features.

    In place of an object there may be an Example. The features of `context`, unless it is None,
    are in each. Raises INVALID_ARGUMENT.
    """
    prefix = b"" if context is None else _serialize(context)
    serialized: list[bytes] = []
    for piece in pieces:
        serialized += [_serialize(features) for features in check_list(piece)]
        classify_regress.check_examples(len(serialized))
    return classify_regress.with_context(prefix, serialized)


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """Write a list of [label, score] pairs for each example."""
    rows = (_pairs(row) for row in result.classifications)
    return b'{"results":[%s]}' % b",".join(rows)


def regressions(result: regression_pb2.RegressionResult) -> bytes:
    """Write a list of numbers."""
    numbers = (json_writer.number(np.float32(row.value)) for row in result.regressions)
    return b'{"results":[%s]}' % b",".join(numbers)


def _pairs(row: classification_pb2.Classifications) -> bytes:
    pairs = []
    for entry in row.classes:
        label = json.dumps(entry.label, ensure_ascii=False).encode()
        score = json_writer.number(np.float32(entry.score))
        pairs.append(b"[%s,%s]" % (label, score))
    return b"[%s]" % b",".join(pairs)


def add_feature(example: example_pb2.Example, name: str, values: list) -> None:
    """Add values to a feature of the example. Raises INVALID_ARGUMENT."""
    feature = example.features.feature[name.encode("utf-8", "replace").decode()]
    kinds = {_kind(value, name) for value in values}
    present = feature.WhichOneof("kind")
    if present is not None:
        kinds.add(present)
    if len(kinds) > 1:
        raise invalid_argument(
            f"Unexpected element type in feature: {name}: it mixes {' and '.join(sorted(kinds))}"
        )
    if "bytes_list" in kinds:
        feature.bytes_list.value.extend(json_tensors.to_bytes(value, name) for value in values)
    elif "float_list" in kinds:
        feature.float_list.value.extend(float(np.float32(value)) for value in values)
    elif "int64_list" in kinds:
        feature.int64_list.value.extend(int(value) for value in values)


def _serialize(features: Any) -> bytes:
    if isinstance(features, example_pb2.Example):
        return bytes(features.SerializeToString())
    if not isinstance(features, dict):
        raise invalid_argument("Example must be JSON object")
    example = example_pb2.Example()
    for name, content in features.items():
        add_feature(example, name, content if isinstance(content, list) else [content])
    return bytes(example.SerializeToString())


def _kind(value: Any, name: str) -> str:
    is_integer = isinstance(value, int) and INT64_MIN <= value <= INT64_MAX
    if isinstance(value, bool) or is_integer:
        return "int64_list"
    if isinstance(value, float):
        return "float_list"
    if isinstance(value, (str, bytes)) or json_tensors.is_base64(value):
        return "bytes_list"
    raise invalid_argument(
        f"Feature: {name} has element with unexpected JSON type, or an integer beyond 64 bits"
    )
