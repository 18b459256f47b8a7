"""An error has a canonical code and a message; HTTP and gRPC each have a number for the code."""

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
NUMBERS = {
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
NAMES = {number: name for name, number in NUMBERS.items()}
LONGEST = 1024  # characters of a gRPC message
CUT = "...TRUNCATED"


class ServingError(Exception):
    """What a client, or the status of a version, is told: a canonical code by name, and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class StartError(Exception):
    """A sentence for the person who starts the server; it ends with status 1."""


def invalid(message: str) -> ServingError:
    """INVALID_ARGUMENT, by far the most frequent."""
    return ServingError("INVALID_ARGUMENT", message)


def shortened(message: str) -> str:
    """The message, cut where gRPC's metadata would not carry it."""
    return message if len(message) <= LONGEST else message[: LONGEST - len(CUT)] + CUT


def translated(error: Exception) -> ServingError:
    """Any exception as a ServingError:

    TensorFlow's keep their code, anything unforeseen is INTERNAL and tells no more than its kind.
    """
    if isinstance(error, ServingError):
        return error
    if isinstance(error, StartError):
        return invalid(str(error))
    code = NAMES.get(getattr(error, "error_code", None), "INTERNAL")
    return ServingError(
        code, getattr(error, "message", None) or f"Internal error: {type(error).__name__}"
    )
