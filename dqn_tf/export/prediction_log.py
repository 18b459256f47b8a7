"""TensorFlow Serving's PredictionLog on the wire, without the package that defines it.

A warm-up record is a PredictionLog with a predict_log, whose request names a signature and holds
its inputs. Of these messages only the fields that are needed are written, all of them
length-delimited (tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto):

    PredictionLog.predict_log = 6 → PredictLog.request = 1 → PredictRequest.model_spec = 1 → ModelSpec.name = 1, signature_name = 3
                                                                           .inputs = 2, a map: each entry key = 1, value = 2 (TensorProto)
"""

from collections.abc import Iterator
from typing import NamedTuple

from tensorflow.core.framework.tensor_pb2 import TensorProto

MODEL = "dqn"  # a request must name a model; in a warm-up file it is not looked at
LENGTH_DELIMITED = 2


class Request(NamedTuple):
    """What one signature is asked."""

    signature: str
    inputs: dict[str, TensorProto]


def encode(request: Request) -> bytes:
    """A serialised PredictionLog."""
    spec = _field(1, MODEL.encode()) + _field(3, request.signature.encode())
    inputs = (
        _field(2, _field(1, name.encode()) + _field(2, tensor.SerializeToString()))
        for name, tensor in request.inputs.items()
    )
    return _field(6, _field(1, _field(1, spec) + b"".join(inputs)))


def decode(record: bytes) -> Request:
    """Reads what `encode` wrote. Raises ValueError on anything else."""
    request = _one(_one(record, 6), 1)
    inputs = {}
    for number, entry in _fields(request):
        if number == 2:
            inputs[_one(entry, 1).decode()] = TensorProto.FromString(_one(entry, 2))
    return Request(_one(_one(request, 1), 3).decode(), inputs)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _one(message: bytes, number: int) -> bytes:
    found = [content for each, content in _fields(message) if each == number]
    if len(found) != 1:
        raise ValueError(f"field {number} is there {len(found)} times")
    return found[0]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        length, at = _read_varint(message, at)
        if tag & 7 != LENGTH_DELIMITED or at + length > len(message):
            raise ValueError("not a record of this kind")
        yield tag >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return value, at
    raise ValueError("it ends amid a number")
