"""The one exception that a user is meant to read, and how foreign values and errors are told."""

MOST_CHARACTERS = 200  # of a value or an error that somebody else wrote


class UserError(Exception):
    """A sentence that names the flag, file or value at fault and says what would be right.

    The commands print it as one line and exit with status 1; `--verbose` adds the traceback.
    """


class UsersCode:
    """Code of the user's own, called `name`: what it raises becomes a UserError that names it.

    It is entered around each call.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, UserError):
            raise UserError(f"{self.name} raised {describe_error(error)}") from error


def describe_error(error: BaseException) -> str:
    """Return an error's type and message on one line, `OSError: no such port`.

    The message is that of somebody else's code: it may be long, or raise when it is asked for.
    """
    try:
        message = _shortened(str(error))
    except Exception:
        message = "(its message cannot be read)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def describe_value(value: object) -> str:
    """Return a value's `repr` on one line, cut where it is long; its type if it has none."""
    try:
        return _shortened(repr(value))
    except Exception:
        return f"a value of type {type(value).__name__}"


def _shortened(text: str) -> str:
    # not split whole: it may be a book
    line = " ".join(text[: 2 * MOST_CHARACTERS].split())
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]}..."
