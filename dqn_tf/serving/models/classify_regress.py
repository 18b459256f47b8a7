"""Classify and regress:

examples in, labels with scores or one number out, through signatures that read tf.Example.
"""

from collections.abc import Callable

import numpy as np
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from dqn_tf.serving.errors import ServingError, invalid
from dqn_tf.serving.models.loaded_model import Signature

INPUT, CLASSES, SCORES, OUTPUT = "inputs", "classes", "scores", "outputs"
METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}
Run = Callable[[Signature, dict[str, np.ndarray], tuple[str, ...]], dict[str, np.ndarray]]


def examples(given: input_pb2.Input) -> np.ndarray:
    """The examples [B], serialized; each with the context's features, where there is one.

    Raises INVALID_ARGUMENT if there are none.
    """
    kind = given.WhichOneof("kind")
    found = getattr(given, kind).examples if kind else ()
    if not found:
        raise invalid("Input is empty")
    context = (
        given.example_list_with_context.context.SerializeToString()
        if kind == "example_list_with_context"
        else b""
    )
    flat = np.empty(len(found), object)
    # joined messages are merged when they are read
    flat[:] = [context + example.SerializeToString() for example in found]
    return flat


def classify(
    run: Run, signature: Signature, serialized: np.ndarray, check_method: bool
) -> classification_pb2.ClassificationResult:
    """Labels and scores, or one of them, of each example."""
    _check(signature, "classify", check_method)
    names = tuple(name for name in (CLASSES, SCORES) if name in signature.outputs)
    if not names or len(signature.outputs) > 2:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"Expected classification signature outputs to be '{CLASSES}', '{SCORES}' or both",
        )
    outputs = run(signature, {INPUT: serialized}, names)
    for name in names:
        wanted = object if name == CLASSES else np.float32
        if (
            outputs[name].ndim != 2
            or len(outputs[name]) != len(serialized)
            or outputs[name].dtype != wanted
        ):
            raise invalid(
                f"Expected output {name!r} as [batch_size, num_classes] of"
                f" {'string' if name == CLASSES else 'float'} but got {list(outputs[name].shape)}"
                f" of {outputs[name].dtype.name}"
            )
    if len({outputs[name].shape for name in names}) != 1:
        raise invalid("Tensors class and score should match in dim_size(1)")
    result = classification_pb2.ClassificationResult()
    for row in range(len(serialized)):
        classes = result.classifications.add().classes
        for column in range(outputs[names[0]].shape[1]):
            added = classes.add()
            if CLASSES in outputs:
                added.label = _label(outputs[CLASSES][row, column])
            if SCORES in outputs:
                added.score = float(outputs[SCORES][row, column])
    return result


def regress(
    run: Run, signature: Signature, serialized: np.ndarray, check_method: bool
) -> regression_pb2.RegressionResult:
    """One number of each example."""
    _check(signature, "regress", check_method)
    if list(signature.outputs) != [OUTPUT]:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"Expected the regression signature's one output to be {OUTPUT!r}",
        )
    values = run(signature, {INPUT: serialized}, (OUTPUT,))[OUTPUT]
    if values.shape not in ((len(serialized),), (len(serialized), 1)) or values.dtype != np.float32:
        raise invalid(
            "Expected output as [batch_size] or [batch_size, 1] of float but got"
            f" {list(values.shape)} of {values.dtype.name}"
        )
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add().value = value
    return result


VERBS = {"classify": classify, "regress": regress}


def _check(signature: Signature, verb: str, check_method: bool) -> None:
    if check_method and signature.method_name != METHODS[verb]:
        raise invalid(
            f"Expected {verb} signature method_name to be {METHODS[verb]}. Was:"
            f" {signature.method_name}"
        )
    if list(signature.inputs) != [INPUT]:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"No {verb} inputs found in SignatureDef {signature.name!r}: its one input must be"
            f" {INPUT!r}",
        )


def _label(value: bytes) -> str:
    return value.decode("utf-8", "replace")
