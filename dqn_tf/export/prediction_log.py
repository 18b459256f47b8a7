"""Writes and reads TensorFlow Serving's PredictionLog without the package that defines it.

A warm-up record is a PredictionLog with a predict_log, whose request names a signature and holds
its inputs. Only the fields that are needed are written. All of them are length-delimited
(tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto):

    PredictionLog.predict_log = 6
      PredictLog.request = 1
        PredictRequest.model_spec = 1
          ModelSpec.name = 1, signature_name = 3
        PredictRequest.inputs = 2, a map: each entry key = 1, value = 2 (TensorProto)
"""

from collections.abc import Iterator
from typing import NamedTuple

from tensorflow.core.framework.tensor_pb2 import TensorProto

MODEL = "dqn"  # a request must name a model; in a warm-up file the name is ignored
LENGTH_DELIMITED = 2


class Request(NamedTuple):
    """The inputs that one signature is called with."""

    signature: str
    inputs: dict[str, TensorProto]


def encode(request: Request) -> bytes:
    """Return the request as a serialised PredictionLog."""
    model_spec = _field(1, MODEL.encode()) + _field(3, request.signature.encode())
    message = _field(1, model_spec)
    for name, tensor in request.inputs.items():
        message += _field(2, _field(1, name.encode()) + _field(2, tensor.SerializeToString()))
    return _field(6, _field(1, message))


def decode(record: bytes) -> Request:
    """Read what `encode` wrote. Raises ValueError on anything else."""
    message = _only_field(_only_field(record, 6), 1)
    signature = _only_field(_only_field(message, 1), 3).decode()
    inputs = {}
    for number, entry in _fields(message):
        if number == 2:
            name = _only_field(entry, 1).decode()
            inputs[name] = TensorProto.FromString(_only_field(entry, 2))
    return Request(signature, inputs)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return a number in groups of 7 bits, the lowest first; the top bit says that more follow."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _only_field(message: bytes, number: int) -> bytes:
    contents = [content for other, content in _fields(message) if other == number]
    if len(contents) != 1:
        raise ValueError(f"field {number} is there {len(contents)} times")
    return contents[0]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each field."""
    offset = 0
    while offset < len(message):
        tag, offset = _read_varint(message, offset)
        length, offset = _read_varint(message, offset)
        if tag & 7 != LENGTH_DELIMITED or offset + length > len(message):
            raise ValueError("not a record of this kind")
        yield tag >> 3, message[offset : offset + length]
        offset += length


def _read_varint(message: bytes, offset: int) -> tuple[int, int]:
    """Return the number at `offset` and the offset behind it."""
    value = 0
    shift = 0
    while offset < len(message):
        byte = message[offset]
        value |= (byte & 0x7F) << shift
        offset += 1
        shift += 7
        if byte < 0x80:
            return value, offset
    raise ValueError("it ends amid a number")
