"""Where a study lies: a SQLite file, another database by its address, or a journal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dqn_tf.support import command_line
from dqn_tf.support.addresses import without_password
from dqn_tf.support.errors import UserError, describe_error

LOCK_SECONDS = 20  # how long one waits for another process to end its write to a SQLite file
JOURNAL = "journal:"
BEGINNING = b'{"op_code"'  # of each line of a journal
OF_ANOTHER_KIND = "it is a file of another kind, and no study's. Name another file."


def load_optuna() -> Any:
    """Import Optuna, quiet but for its errors. Raises UserError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError as error:
        raise UserError(
            "A search needs Optuna, and it is not installed: pip install 'dqn_tf[search]'."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def read_place(place: str) -> str:
    """Read the value of `--storage`; of a file's name, `~` is a home directory.

    Raises UserError on a place that a search cannot go on from.
    """
    if not place:
        raise UserError("--storage is empty: name a file, such as --storage=study.db.")
    if place.startswith(JOURNAL):
        return JOURNAL + command_line.read_path("storage", place[len(JOURNAL) :])
    if "://" in place:
        if re.match(r"sqlite[^:]*://(/?$|/?\?|/:memory:|.*[?&]mode=memory)", place):
            raise UserError(
                f"--storage={place}: a study in memory is gone with its process. Name a file, such"
                " as --storage=study.db."
            )
        return place
    path = command_line.read_path("storage", place)
    if "?" in str(Path(path).absolute()):
        raise UserError(
            f"--storage={place}: SQLite's address of a file has no question mark in it. Name"
            " another file."
        )
    return path


def open_storage(place: str) -> Any:
    """Open the storage, which is made if there is none. Raises UserError."""
    optuna = load_optuna()
    if place.startswith(JOURNAL):
        # Optuna's lock is a link to the name as it is given, which leads nowhere in a directory
        file = Path(place[len(JOURNAL) :]).absolute()
        _require_directory(place, file)
        journal = optuna.storages.journal
        with errors_told(place, is_opening=True):
            lock = journal.JournalFileSymlinkLock(str(file))
            _mend_journal(place, file, lock)
            return optuna.storages.JournalStorage(journal.JournalFileBackend(str(file), lock))
    url, is_sqlite = place, place.startswith("sqlite")
    if "://" not in place:
        _require_directory(place, Path(place))
        # Optuna takes braces in an address for what it is to fill in
        name = str(Path(place).absolute()).replace("{", "{{").replace("}", "}}")
        url, is_sqlite = f"sqlite:///{name}", True
    options: dict[str, Any] = {"pool_pre_ping": True}
    if is_sqlite:
        options["connect_args"] = {"timeout": LOCK_SECONDS}
    with errors_told(place, is_opening=True):
        return optuna.storages.RDBStorage(url, engine_kwargs=options)


@contextlib.contextmanager
def errors_told(place: str, is_opening: bool = False) -> Iterator[None]:
    """Turn what a database says into a UserError that names `place`, without its password.

    While a storage `is_opening`, nothing but it can fail.
    """
    import sqlalchemy
    from optuna.exceptions import StorageInternalError

    kinds: tuple[type[Exception], ...] = (sqlalchemy.exc.SQLAlchemyError, StorageInternalError)
    if is_opening:
        # no driver for such a database, tables of another version of Optuna, no journal
        kinds += (ImportError, OSError, RuntimeError, ValueError, AssertionError, KeyError)
    try:
        yield
    except kinds as error:
        raise UserError(f"--storage={without_password(place)}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    innermost = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    text = str(innermost)
    if "is locked" in text:
        return (
            f"another process holds the file locked for more than {LOCK_SECONDS} s. Wait for it, or"
            " name another file."
        )
    if "not a database" in text:
        return OF_ANOTHER_KIND
    if "readonly" in text or "read-only" in text:
        return "it cannot be written to."
    return f"{describe_error(innermost)}."


def _mend_journal(place: str, file: Path, lock: Any) -> None:
    """Cut off a last line that is not whole, as a full disk leaves it.

    Optuna would write the next one behind it, and nobody could read either. Raises UserError for a
    file that is no journal.
    """
    if not file.is_file():
        return
    lock.acquire()
    try:
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1  # bytes of all whole lines
        first = content[: content.find(b"\n") + 1] or content
        is_journal = _is_entry(first) if whole else BEGINNING.startswith(first[: len(BEGINNING)])
        if content and not is_journal:
            raise UserError(f"--storage={place}: {OF_ANOTHER_KIND}")
        if whole < len(content):
            os.truncate(file, whole)
    finally:
        lock.release()


def _is_entry(line: bytes) -> bool:
    """Tell whether a line is one of Optuna's journals."""
    try:
        return "op_code" in json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return False


def _require_directory(place: str, file: Path) -> None:
    if not file.name or file.is_dir():
        raise UserError(f"--storage={place}: it is a directory; name a file in it.")
    if not file.absolute().parent.is_dir():
        raise UserError(f"--storage={place}: there is no directory {file.parent}.")
