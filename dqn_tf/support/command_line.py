"""What every command shares: absl flags read, help printed, errors as one sentence.

Nothing here imports TensorFlow, so `--help` and every mistake in a flag are answered at once.
"""

import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags

from dqn_tf.support.errors import UserError


def run(main: Callable[[Any], Any], parse: Callable[[Sequence[str]], Any]) -> None:
    """Runs `main(parse(argv))` under absl; a UserError ends it with its sentence and exit status 1."""
    try:
        app.run(main, flags_parser=parse)
    except UserError as error:
        if verbose():
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)


def verbose() -> bool:
    """Whether tracebacks and TensorFlow's own log are wanted; known even where the flags are not in
    order.
    """
    return any(word.lstrip("-") in ("verbose", "verbose=true") for word in sys.argv[1:])


def parse(argv: Sequence[str], help_text: Callable[[Sequence[str]], str]) -> dict[str, Any]:
    """All flag values by name. Raises UserError on an unknown or malformed flag or a stray word."""
    if any(word in ("--help", "-h", "-help", "--helpfull", "--helpshort") for word in argv[1:]):
        print(help_text(argv))
        sys.exit(0)
    try:
        stray = flags.FLAGS(list(argv))[1:]
    except flags.Error as error:
        raise UserError(
            f"{' '.join(str(error).split())} ({argv[0]} --help lists the flags)"
        ) from error
    if stray:
        raise UserError(
            f"'{stray[0]}' is not a flag; flags look like --name=value ({argv[0]} --help lists"
            " them)."
        )
    return flags.FLAGS.flag_values_dict()


def indented(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
