"""Runs `python -m dqn_tf.serving`: starts, prints its addresses, and drains on SIGTERM."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from dqn_tf.serving import options
from dqn_tf.serving.errors import StartError
from dqn_tf.serving.output import survive_lost_output


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Discard what is written to file descriptor 2, unless the block raises.

    TensorFlow's libraries write there before any log level holds.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as discarded:
        os.dup2(discarded.fileno(), 2)
        try:
            yield
        except BaseException:
            discarded.seek(0)
            os.write(terminal, discarded.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def main(words: list[str]) -> int:
    """Return the exit status: 0 after SIGTERM or SIGINT, 1 for what a person has to mend."""
    try:
        parsed = options.parse(words)
        options.check_addresses(parsed)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        # a notebook's, which Matplotlib may not know here; TensorFlow imports it if it is installed
        os.environ.pop("MPLBACKEND", None)
        try:
            with silence():
                from dqn_tf.serving import server  # imports TensorFlow, so only after the flags
        except Exception as error:  # also what keras.json makes Keras raise
            raise StartError(
                f"TensorFlow cannot be imported: {type(error).__name__}: {error}"
            ) from error
        server.run(parsed)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Not sys.exit: it would wait for every thread, however long its model runs.
    os._exit(0)


def command() -> None:
    """Run the command with the words that were typed."""
    survive_lost_output()
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    command()
