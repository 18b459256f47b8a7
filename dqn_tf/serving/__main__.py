"""`python -m dqn_tf.serving`: starts, says where it listens, and drains on SIGTERM."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from dqn_tf.serving import options
from dqn_tf.serving.errors import StartError


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Nothing is written to file descriptor 2 meanwhile, unless it ends in an exception:

    TensorFlow's libraries do before any log level holds.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(terminal, aside.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def main(words: list[str]) -> int:
    """Exit status: 0 after SIGTERM or SIGINT, 1 for what a person has to mend."""
    try:
        parsed = options.parsed(words)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quietly():
            from dqn_tf.serving import server  # TensorFlow, after the flags
        return server.run(parsed)
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
