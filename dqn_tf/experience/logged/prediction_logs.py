"""Reads what a server logged of its predict requests, without TensorFlow.

A record is a PredictionLog of TensorFlow Serving. Only the fields that are needed are declared; the
others are skipped (tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto;
tensorflow/core/framework: tensor.proto, tensor_shape.proto, types.proto;
google/protobuf/wrappers.proto).
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

# fields of each message: name → (number, type, whether it is repeated)
MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Dim": {"size": (1, "int64", False)},
    "Shape": {"dim": (2, "Dim", True)},
    "Tensor": {
        "dtype": (1, "int32", False),
        "tensor_shape": (2, "Shape", False),
        "tensor_content": (4, "bytes", False),
        "float_val": (5, "float", True),
        "double_val": (6, "double", True),
        "int_val": (7, "int32", True),
        "string_val": (8, "bytes", True),
        "int64_val": (10, "int64", True),
        "bool_val": (11, "bool", True),
        "half_val": (13, "int32", True),
        "uint32_val": (16, "uint32", True),
        "uint64_val": (17, "uint64", True),
    },
    "NamedTensor": {"key": (1, "string", False), "value": (2, "Tensor", False)},
    "Number": {"value": (1, "int64", False)},
    "ModelSpec": {
        "name": (1, "string", False),
        "version": (2, "Number", False),
        "signature_name": (3, "string", False),
    },
    "Request": {
        "model_spec": (1, "ModelSpec", False),
        "inputs": (2, "NamedTensor", True),
        "client_id": (6, "bytes", False),
    },
    "Response": {"outputs": (1, "NamedTensor", True), "model_spec": (2, "ModelSpec", False)},
    "PredictLog": {"request": (1, "Request", False), "response": (2, "Response", False)},
    "PredictionLog": {"predict_log": (6, "PredictLog", False)},
}
# DataType → dtype, and the field that holds values which are not in tensor_content
DTYPES = {
    1: ("<f4", "float_val"),
    2: ("<f8", "double_val"),
    3: ("<i4", "int_val"),
    4: ("|u1", "int_val"),
    5: ("<i2", "int_val"),
    6: ("|i1", "int_val"),
    9: ("<i8", "int64_val"),
    10: ("|b1", "bool_val"),
    17: ("<u2", "int_val"),
    19: ("<f2", "half_val"),
    22: ("<u4", "uint32_val"),
    23: ("<u8", "uint64_val"),
}
STRING = 7
HALF = 19
NO_ROWS = "a request without a row for each observation"
NOT_WHOLE = "a request with a tensor that is not whole"
# A shape is a claim. The last value stands for all that follow, within the server's own limits: as
# many bytes or strings, or as many times the values that were sent.
UNFOLDED_BYTES = 256 << 10
UNFOLDED_STRINGS = 256
UNFOLDED_TIMES = 8


class LoggedRequest(NamedTuple):
    """A request and its answer; arrays [B, ...], or where tensors hold strings, lists.

    Such a list holds bytes, or of strings [B, K] B lists of them.
    """

    id: str  # empty where the client gave none
    version: int  # that answered; 0 where the log does not say
    signature: str
    inputs: dict[str, np.ndarray | list]
    outputs: dict[str, np.ndarray | list]
    model: str = ""

    @property
    def rows(self) -> int:
        """The number of observations."""
        return len(next(iter(self.inputs.values())))


def parse(record: bytes) -> LoggedRequest | None:
    """Return the request; None for a record of another call.

    Raises ValueError on what cannot be used, whose message completes "this is ...".
    """
    try:
        log = _classes()["PredictionLog"].FromString(record)
    except message.DecodeError as error:
        raise ValueError("no PredictionLog") from error
    if not log.HasField("predict_log"):
        return None
    request, response = log.predict_log.request, log.predict_log.response
    inputs = {entry.key: _values(entry.value) for entry in request.inputs}
    outputs = {entry.key: _values(entry.value) for entry in response.outputs}
    lengths = {len(values) for values in (*inputs.values(), *outputs.values())}
    if not inputs or not outputs or len(lengths) != 1:
        raise ValueError(NO_ROWS)
    client_id = request.client_id.decode("utf-8", "backslashreplace")
    signature = request.model_spec.signature_name or "serving_default"
    version = response.model_spec.version.value or request.model_spec.version.value
    model = request.model_spec.name
    return LoggedRequest(client_id, version, signature, inputs, outputs, model)


def _values(tensor: Any) -> np.ndarray | list:
    """Return a tensor's values. Raises ValueError if it is not whole, or of another type."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    count = math.prod(shape)
    if not shape or min(shape) < 0:
        raise ValueError(NO_ROWS)
    if tensor.dtype == STRING:
        sent = len(tensor.tensor_content) or len(tensor.string_val)
        _require_likely(shape, sent, UNFOLDED_STRINGS)
        return _strings(tensor, shape)
    if tensor.dtype not in DTYPES:
        raise ValueError(f"a request with a tensor of type {tensor.dtype}, which is not known here")
    dtype = np.dtype(DTYPES[tensor.dtype][0])
    sent = len(tensor.tensor_content) // dtype.itemsize or len(_listed(tensor))
    _require_likely(shape, sent, UNFOLDED_BYTES // dtype.itemsize)
    try:
        values = _numbers(tensor, dtype)
        if not tensor.tensor_content:
            values = values[:count]
            values = np.append(values, np.repeat(values[-1:], count - len(values)))
        return values.reshape(shape)
    except ValueError as error:  # half a value, another number of them, or too many dimensions
        raise ValueError(NOT_WHOLE) from error


def _strings(tensor: Any, shape: list[int]) -> list:
    """Return a tensor's strings, in lists. Raises ValueError as `_values` does."""
    count = math.prod(shape)
    strings = list(tensor.string_val[:count])
    if tensor.tensor_content:
        try:
            strings = _split(tensor.tensor_content, count)
        except ValueError as error:
            raise ValueError(NOT_WHOLE) from error
    strings += strings[-1:] * (count - len(strings))
    if len(strings) != count or len(shape) > 2:
        raise ValueError(NOT_WHOLE)
    nested: list = np.array(strings, object).reshape(shape).tolist()
    return nested


def _split(content: bytes, count: int) -> list[bytes]:
    """Return the `count` strings of a `tensor_content`: first all lengths, as varints, then all.

    dqn_tf.serving reads them in the same way. Raises ValueError if the content is anything else.
    """
    place = 0
    sizes = []
    for _ in range(count):
        size, shift, more = 0, 0, True
        while more:
            if place == len(content) or shift > 28:  # no more than 32 bits
                raise ValueError("a length of a string is not whole")
            size |= (content[place] & 127) << shift
            more = content[place] > 127
            place += 1
            shift += 7
        sizes.append(size)
    if place + sum(sizes) != len(content):
        raise ValueError("the strings have other lengths in all")
    strings = []
    for size in sizes:
        strings.append(content[place : place + size])
        place += size
    return strings


def _require_likely(shape: list[int], sent: int, free: int) -> None:
    """Raise ValueError if a shape claims far more values than were sent; `free` ones it may."""
    claimed = math.prod(max(1, size) for size in shape)  # a 0 does not make the others possible
    if claimed > max(free, UNFOLDED_TIMES * sent):
        raise ValueError(NOT_WHOLE)


def _listed(tensor: Any) -> Any:
    """Return the list of a tensor's values that are not in `tensor_content`."""
    return getattr(tensor, DTYPES[tensor.dtype][1])


def _numbers(tensor: Any, dtype: np.dtype) -> np.ndarray:
    """Return the values that were sent, [N]. Raises ValueError if the last one is not whole."""
    if tensor.tensor_content:
        if dtype.kind == "b":  # the server takes any other byte than 0 for true
            return np.frombuffer(tensor.tensor_content, np.uint8) != 0
        return np.frombuffer(tensor.tensor_content, dtype)
    if tensor.dtype == HALF:  # its bits, in a wider type
        return np.array(_listed(tensor), np.int64).astype(np.uint16).view(dtype)
    if dtype.kind in "iu" and dtype.itemsize < 4:  # in int_val, whose upper bits nobody reads
        return np.array(_listed(tensor), np.int64).astype(dtype)
    return np.array(_listed(tensor), dtype)


@functools.cache
def _classes() -> dict[str, Any]:
    """Return the classes of the messages, in a pool of their own."""
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="dqn_tf/prediction_log.proto", package="dqn_tf", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        described = file.message_type.add(name=name)
        for field_name, (number, kind, is_repeated) in fields.items():
            label = field_type.LABEL_REPEATED if is_repeated else field_type.LABEL_OPTIONAL
            field = described.field.add(name=field_name, number=number, label=label)
            if kind in MESSAGES:
                field.type = field_type.TYPE_MESSAGE
                field.type_name = f".dqn_tf.{kind}"
            else:
                field.type = getattr(field_type, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"dqn_tf.{name}"))
        for name in MESSAGES
    }
