"""Converts the body of a classify or regress request to tf.Examples, and the results to JSON."""

import json
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from dqn_tf.serving.errors import invalid_argument
from dqn_tf.serving.http import json_tensors, json_writer

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


def read_input(document: dict[str, Any]) -> input_pb2.Input:
    """Read `examples`, a list of objects of features, and the features of `context` for each.

    Raises INVALID_ARGUMENT.
    """
    objects = document.get("examples")
    if not isinstance(objects, list) or not objects:
        raise invalid_argument(
            "JSON Value: key 'examples' is expected to be a list/array that is not empty"
        )
    request_input = input_pb2.Input()
    if "context" in document:
        with_context = request_input.example_list_with_context
        _fill_example(with_context.context, document["context"])
        examples = with_context.examples
    else:
        examples = request_input.example_list.examples
    for features in objects:
        _fill_example(examples.add(), features)
    return request_input


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


def _fill_example(example: example_pb2.Example, features: Any) -> None:
    if not isinstance(features, dict):
        raise invalid_argument("Example must be JSON object")
    for name, content in features.items():
        feature = example.features.feature[name.encode("utf-8", "replace").decode()]
        _fill_feature(feature, name, content if isinstance(content, list) else [content])


def _fill_feature(feature: feature_pb2.Feature, name: str, values: list) -> None:
    kinds = {_kind(value, name) for value in values}
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


def _kind(value: Any, name: str) -> str:
    is_integer = isinstance(value, int) and INT64_MIN <= value <= INT64_MAX
    if isinstance(value, bool) or is_integer:
        return "int64_list"
    if isinstance(value, float):
        return "float_list"
    is_base64 = isinstance(value, dict) and not json_tensors.is_named(value)
    if isinstance(value, str) or is_base64:
        return "bytes_list"
    raise invalid_argument(
        f"Feature: {name} has element with unexpected JSON type, or an integer beyond 64 bits"
    )
