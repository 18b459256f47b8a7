"""support/terminal.py and support/interrupts.py: what a command writes to, and what ends it."""

import io
import os
import signal
import sys

import pytest

from dqn_tf.support import command_line, terminal
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupted, Interrupts


class Broken(io.StringIO):
    """A stream whose writes fail."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


def lost(monkeypatch, number: int, status: int = 0) -> int:
    """The exit status of a command that prints into a broken stdout."""
    monkeypatch.setattr(sys, "stdout", Broken(number))
    monkeypatch.setattr(terminal.os, "dup2", lambda *_: None)  # pytest needs its descriptors
    with pytest.raises(SystemExit) as end, terminal.lasting():
        print("one")
        print("two", flush=True)
        sys.exit(status)
    return end.value.code


def test_a_reader_that_has_gone_changes_nothing(monkeypatch):
    assert lost(monkeypatch, 32) == 0  # EPIPE
    assert lost(monkeypatch, 5) == 0  # EIO, of a terminal that was closed
    assert lost(monkeypatch, 32, status=3) == 3


def test_output_that_is_lost_otherwise_is_a_failure(monkeypatch, capsys):
    assert lost(monkeypatch, 28) == 1  # ENOSPC
    assert "The output is lost: No space left on device." in capsys.readouterr().err
    assert lost(monkeypatch, 28, status=143) == 143


def test_missing_streams_lead_to_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with terminal.lasting():
        print("nobody")
        print("reads", file=sys.stderr)
    assert sys.stdout is None and sys.stderr is None


def test_characters_that_a_terminal_lacks_are_escaped(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii", "strict"))
    with terminal.lasting():
        print("naïve \udcff")
    assert written.getvalue() == b"na\\xefve \\udcff\n"


def test_a_working_directory_that_was_removed_is_named(monkeypatch, tmp_path, capsys):
    def main(_):
        os.getcwd()

    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(command_line.faulthandler, "enable", lambda: None)
    with pytest.raises(SystemExit):
        command_line.run(main, lambda words: words)
    assert "The directory in which this is run has been removed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("one\nsentence"), 1, "error: one sentence\n"),
        (OSError(28, "No space left on device", "x"), 1, "error: x: No space left on device.\n"),
        (
            OSError(28, "No space left on device"),
            1,
            "error: No space left on device; no file is named, so it may be a temporary one, in"
            " /scratch.\n",
        ),
        (ConnectionError("no simulator"), 1, "error: ConnectionError: no simulator.\n"),
        (MemoryError("9 GiB"), 1, "error: The memory does not suffice: MemoryError: 9 GiB.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_command_ends_in_a_sentence(monkeypatch, capsys, error, status, said):
    def main(_):
        raise error

    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setenv("TMPDIR", "/scratch")
    monkeypatch.setattr(command_line.faulthandler, "enable", lambda: None)
    with pytest.raises(SystemExit) as end:
        command_line.run(main, lambda words: words)
    assert end.value.code == status and capsys.readouterr().err == said


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["INT", "TERM", "HUP"]
)
def test_the_first_signal_is_remembered(number):
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        interrupts.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted):
            interrupts.check()
    assert interrupts.exit_status == 128 + number
    assert signal.getsignal(number) is before


def test_a_handler_that_somebody_else_put_in_place_gives_way():
    with Interrupts() as interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        interrupts.check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            interrupts.check()


def test_an_ignored_hangup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            interrupts.check()
    finally:
        signal.signal(signal.SIGHUP, before)
