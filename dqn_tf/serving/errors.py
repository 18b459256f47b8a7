"""Errors with a canonical code and a message; HTTP and gRPC each have a number for the code."""

import time

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
GRPC_NUMBERS = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}
CODE_NAMES = {number: name for name, number in GRPC_NUMBERS.items()}
LONGEST_MESSAGE = 1024  # bytes of a gRPC message as it is sent
CUT_MARK = "...TRUNCATED"
# gRPC sends these bytes as they are, and each of the others as three: %F0
SENT_AS_THEY_ARE = frozenset(range(0x20, 0x7F)) - {ord("%")}


class ServingError(Exception):
    """An error that a client, or the status of a version, is told: a canonical code by name, and a
    message.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StartError(Exception):
    """A sentence for the person who starts the server; it ends with status 1."""


def invalid_argument(message: str) -> ServingError:
    """Return an INVALID_ARGUMENT error, by far the most frequent one."""
    return ServingError("INVALID_ARGUMENT", message)


def check_deadline(deadline: float | None) -> None:
    """Raise DEADLINE_EXCEEDED after the deadline, a time.monotonic()."""
    if deadline is not None and time.monotonic() > deadline:
        raise ServingError("DEADLINE_EXCEEDED", "The time was over before the answer was there")


def shorten(message: str) -> str:
    """Cut the message where gRPC's metadata would not carry it."""
    message = message.encode("utf-8", "replace").decode()
    if _sent_bytes(message[: LONGEST_MESSAGE + 1]) <= LONGEST_MESSAGE:
        return message
    room = LONGEST_MESSAGE - len(CUT_MARK)
    end = 0
    while (room := room - _sent_bytes(message[end])) >= 0:
        end += 1
    return message[:end] + CUT_MARK


def _sent_bytes(text: str) -> int:
    return sum(1 if byte in SENT_AS_THEY_ARE else 3 for byte in text.encode())


def to_serving_error(error: Exception) -> ServingError:
    """Turn any exception into a ServingError.

    TensorFlow's errors keep their code. An unforeseen exception is INTERNAL, and tells the client
    no more than its type.
    """
    if isinstance(error, ServingError):
        return error
    if isinstance(error, StartError):
        return invalid_argument(str(error))
    code = CODE_NAMES.get(getattr(error, "error_code", -1), "INTERNAL")
    message = getattr(error, "message", None) or f"Internal error: {type(error).__name__}"
    return ServingError(code, message)
