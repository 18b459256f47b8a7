"""The body of a classify or regress request → tf.Examples, and their results → JSON."""

import json
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from dqn_tf.serving.errors import invalid
from dqn_tf.serving.http import json_tensors, json_writer

LEAST, BEYOND = -(2**63), 2**63


def given(document: dict[str, Any]) -> input_pb2.Input:
    """`examples`, a list of objects of features, with the features of `context` in each.

    Raises INVALID_ARGUMENT.
    """
    found = input_pb2.Input()
    listed = document.get("examples")
    if not isinstance(listed, list) or not listed:
        raise invalid("JSON Value: key 'examples' is expected to be a list/array that is not empty")
    if "context" in document:
        _fill(found.example_list_with_context.context, document["context"])
    examples = (
        found.example_list_with_context.examples
        if "context" in document
        else found.example_list.examples
    )
    for each in listed:
        _fill(examples.add(), each)
    return found


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """A list of [label, score] pairs for each example."""
    rows = (
        b",".join(
            b"[%s,%s]"
            % (
                json.dumps(each.label, ensure_ascii=False).encode(),
                json_writer.number(np.float32(each.score)),
            )
            for each in row.classes
        )
        for row in result.classifications
    )
    return b'{"results":[%s]}' % b",".join(b"[%s]" % row for row in rows)


def regressions(result: regression_pb2.RegressionResult) -> bytes:
    """A list of numbers."""
    return b'{"results":[%s]}' % b",".join(
        json_writer.number(np.float32(each.value)) for each in result.regressions
    )


def _fill(example: example_pb2.Example, features: Any) -> None:
    if not isinstance(features, dict):
        raise invalid("Example must be JSON object")
    for name, content in features.items():
        _feature(
            example.features.feature[name.encode("utf-8", "replace").decode()],
            name,
            content if isinstance(content, list) else [content],
        )


def _feature(feature: feature_pb2.Feature, name: str, values: list) -> None:
    kinds = {_kind(value, name) for value in values}
    if len(kinds) > 1:
        raise invalid(
            f"Unexpected element type in feature: {name}: it mixes {' and '.join(sorted(kinds))}"
        )
    for kind in kinds:
        if kind == "bytes_list":
            feature.bytes_list.value.extend(
                json_tensors.text_bytes(value, name) for value in values
            )
        elif kind == "float_list":
            feature.float_list.value.extend(float(np.float32(value)) for value in values)
        else:
            feature.int64_list.value.extend(map(int, values))


def _kind(value: Any, name: str) -> str:
    if isinstance(value, bool) or (isinstance(value, int) and LEAST <= value < BEYOND):
        return "int64_list"
    if isinstance(value, float):
        return "float_list"
    if isinstance(value, str) or (isinstance(value, dict) and not json_tensors.is_named(value)):
        return "bytes_list"
    raise invalid(
        f"Feature: {name} has element with unexpected JSON type, or an integer beyond 64 bits"
    )
