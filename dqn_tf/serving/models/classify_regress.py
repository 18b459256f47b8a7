"""Classify and regress: signatures that read serialized tf.Examples.

Classify returns labels with scores for each example, regress one number.
"""

from collections.abc import Callable

import numpy as np
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.models.signature import MOST_STRINGS, Arrays, Signature

INPUT = "inputs"
CLASSES = "classes"
SCORES = "scores"
OUTPUT = "outputs"
METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}

# Each example gets a copy of the context: all together as many bytes, or as many times what was
# sent.
CONTEXT_BYTES = 4 << 20
CONTEXT_TIMES = 8

RunSignature = Callable[[Signature, Arrays, tuple[str, ...]], Arrays]


def serialized_examples(request_input: input_pb2.Input) -> np.ndarray:
    """Return the serialized examples [B], each with the features of the context, if there is one.

    Raises INVALID_ARGUMENT if there are no examples.
    """
    kind = request_input.WhichOneof("kind")
    examples = getattr(request_input, kind).examples if kind else ()
    if not examples:
        raise invalid_argument("Input is empty")
    check_examples(len(examples))
    context = b""
    if kind == "example_list_with_context":
        context = request_input.example_list_with_context.context.SerializeToString()
    return with_context(context, [example.SerializeToString() for example in examples])


def check_examples(count: int) -> None:
    """Raise INVALID_ARGUMENT for too many examples."""
    if count > MOST_STRINGS:
        raise invalid_argument(f"There are more than {MOST_STRINGS} examples in one request")


def with_context(context: bytes, serialized: list[bytes]) -> np.ndarray:
    """Return the examples [B], each with the features of the context.

    Raises INVALID_ARGUMENT if its copies were far larger than what was sent.
    """
    sent = len(context) + sum(map(len, serialized))
    copies = len(context) * len(serialized)
    if copies > max(CONTEXT_BYTES, CONTEXT_TIMES * sent):
        raise invalid_argument(
            f"The context would be copied to {copies} bytes for {len(serialized)} examples, which"
            " is too much"
        )
    flat = np.empty(len(serialized), object)
    # protobuf merges messages that are joined
    flat[:] = [context + example for example in serialized]
    return flat


def classify(
    run: RunSignature, signature: Signature, serialized: np.ndarray, check_method: bool
) -> classification_pb2.ClassificationResult:
    """Return the labels and scores, or one of them, of each example."""
    _check_signature(signature, "classify", check_method)
    names = tuple(name for name in (CLASSES, SCORES) if name in signature.outputs)
    if not names or len(signature.outputs) > 2:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"Expected classification signature outputs to be '{CLASSES}', '{SCORES}' or both",
        )
    outputs = run(signature, {INPUT: serialized}, names)
    for name in names:
        _check_class_output(name, outputs[name], len(serialized))
    if len({outputs[name].shape for name in names}) != 1:
        raise invalid_argument("Tensors class and score should match in dim_size(1)")
    rows, columns = outputs[names[0]].shape
    result = classification_pb2.ClassificationResult()
    for row in range(rows):
        classes = result.classifications.add().classes
        for column in range(columns):
            entry = classes.add()
            if CLASSES in outputs:
                entry.label = outputs[CLASSES][row, column].decode("utf-8", "replace")
            if SCORES in outputs:
                entry.score = float(outputs[SCORES][row, column])
    return result


def regress(
    run: RunSignature, signature: Signature, serialized: np.ndarray, check_method: bool
) -> regression_pb2.RegressionResult:
    """Return one number for each example."""
    _check_signature(signature, "regress", check_method)
    if list(signature.outputs) != [OUTPUT]:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"Expected the regression signature's one output to be {OUTPUT!r}",
        )
    values = run(signature, {INPUT: serialized}, (OUTPUT,))[OUTPUT]
    size = len(serialized)
    if values.shape not in ((size,), (size, 1)) or values.dtype != np.float32:
        raise invalid_argument(
            "Expected output as [batch_size] or [batch_size, 1] of float but got"
            f" {list(values.shape)} of {values.dtype.name}"
        )
    result = regression_pb2.RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add().value = value
    return result


VERBS = {"classify": classify, "regress": regress}


def _check_signature(signature: Signature, verb: str, check_method: bool) -> None:
    if check_method and signature.method_name != METHODS[verb]:
        raise invalid_argument(
            f"Expected {verb} signature method_name to be {METHODS[verb]}. Was:"
            f" {signature.method_name}"
        )
    if list(signature.inputs) != [INPUT]:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"No {verb} inputs found in SignatureDef {signature.name!r}: its one input must be"
            f" {INPUT!r}",
        )


def _check_class_output(name: str, array: np.ndarray, rows: int) -> None:
    dtype, word = (object, "string") if name == CLASSES else (np.float32, "float")
    if array.ndim != 2 or len(array) != rows or array.dtype != dtype:
        raise invalid_argument(
            f"Expected output {name!r} as [batch_size, num_classes] of {word} but got"
            f" {list(array.shape)} of {array.dtype.name}"
        )
