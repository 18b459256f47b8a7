"""What all commands share: flags, the help page, and errors as one sentence.

Nothing here imports TensorFlow, so `--help` and a mistake in a flag are answered at once.
"""

import faulthandler
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.support import terminal
from dqn_tf.support.errors import UserError, describe_error
from dqn_tf.support.plain_paths import is_plain

WIDTH = 100
HELP_FLAGS = ("--help", "-h", "-help", "--helpfull", "--helpshort")
# what absl appends to the help of a flag that may be given several times
REPEATED = ";\n    repeat this option"
# What a checkout calls the commands that a pip installation calls dqn-train and dqn-evaluate.
SCRIPTS = {"training": "python train.py", "evaluation": "python evaluate.py"}
INSTALLED = {
    "training": "dqn-train",
    "evaluation": "dqn-evaluate",
    "export": "dqn-export",
    "serving": "dqn-serve",
    "doctor": "dqn-doctor",
    "record": "dqn-record",
    "tracking": "dqn-track",
    "search": "dqn-search",
}


class Entry(NamedTuple):
    """A flag on a help page."""

    name: str
    help: str
    value: str = ""  # the default, as it is typed; empty if there is none
    unit: str = ""


def run(main: Callable[[Any], Any], parse: Callable[[Sequence[str]], Any]) -> None:
    """Run `main(parse(argv))`; a UserError prints its sentence and ends with exit status 1.

    So does an OSError that nothing has named better, such as a full disk, and a MemoryError. Ctrl-C
    where nothing handles it ends with 130.
    """
    # a notebook's, which Matplotlib may not know here; TensorFlow imports it where it is installed
    os.environ.pop("MPLBACKEND", None)
    with terminal.lasting():
        faulthandler.enable()  # a crash in native code shows the Python lines that led to it
        try:
            sys.exit(main(parse(sys.argv)))
        except (UserError, OSError, MemoryError) as error:
            if verbose():
                raise
            sentence = _os_sentence(error) if isinstance(error, OSError) else str(error)
            if isinstance(error, MemoryError):
                sentence = f"The memory does not suffice: {describe_error(error)}."
            print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            if verbose():
                raise
            sys.exit(130)


def verbose() -> bool:
    """Return whether `--verbose` is among the words typed, even where other flags are wrong."""
    return any(word.lstrip("-") in ("verbose", "verbose=true") for word in sys.argv[1:])


class _PathParser(flags.ArgumentParser):
    """Reads a path of this machine; `~` and `~user` are home directories.

    With `of_models` it must be one below which TensorFlow finds a model's weights.
    """

    syntactic_help = "a path"

    def __init__(self, of_models: bool = False) -> None:
        self._of_models = of_models

    def parse(self, argument: str) -> str:
        """Return the path. Raises ValueError on what cannot be one."""
        if not argument:
            raise ValueError("it must name a file or a directory.")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", argument):
            raise ValueError("it is an address, and must be a path of this machine.")
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "it is not UTF-8, or Python takes names for something else (PYTHONUTF8=1 helps)."
            ) from error
        if self._of_models and not is_plain(argument):
            raise ValueError(
                "TensorFlow takes brackets and backslashes for a pattern and would find no weights"
                " there: choose another name."
            )
        path = os.path.expanduser(argument)
        if path.startswith("~") and not os.path.lexists(path):
            user = path.partition("/")[0]
            raise ValueError(f"there is no user {user[1:]!r}; a directory named so is ./{user}.")
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            pass  # it may be what is to be made
        except OSError as error:
            raise ValueError(f"{error.strerror}.") from error
        return path


def define_path(
    name: str, default: str | None, text: str, values: flags.FlagValues, of_models: bool = False
) -> None:
    """Define a flag whose value is a path, with `of_models` one that models are written to."""
    flags.DEFINE(_PathParser(of_models), name, default, text, values, flags.ArgumentSerializer())


def read_path(name: str, argument: str) -> str:
    """Read the value of `--name` as that of a path flag. Raises UserError."""
    try:
        return _PathParser().parse(argument)
    except ValueError as error:
        raise UserError(f"--{name}={argument}: {error}") from error


def define_paths(name: str, text: str, values: flags.FlagValues) -> None:
    """Define a flag that is given once for each of several paths."""
    serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
    flags.DEFINE_multi(_PathParser(), serializer, name, None, text, flag_values=values)


def parse(
    argv: Sequence[str],
    define: Callable[[flags.FlagValues], None],
    page: Callable[[str, flags.FlagValues], str],
) -> flags.FlagValues:
    """Read the flags that `define` defines, and `--verbose`; `--help` prints `page` and exits.

    `argv` begins with the program's path. `page` is given the command's name and the flags with
    their defaults. Raises UserError on an unknown or malformed flag and on a stray word.
    """
    command = command_name(argv[0])
    values = flags.FlagValues()
    define(values)
    flags.DEFINE_bool("verbose", False, "tracebacks and TensorFlow's own log", flag_values=values)
    if any(word in HELP_FLAGS for word in argv[1:]):
        print(page(command, values))
        sys.exit(0)
    try:
        stray = values(list(argv))[1:]
    except (flags.Error, ValueError) as error:  # a ValueError of `--noswitch=1`
        sentence = _flag_sentence(" ".join(str(error).split()), values)
        raise UserError(f"{sentence} ({command} --help lists the flags)") from error
    if stray:
        raise UserError(
            f"'{stray[0]}' is not a flag; flags look like --name=value ({command} --help lists"
            " them)."
        )
    return values


def _flag_sentence(sentence: str, values: flags.FlagValues) -> str:
    """Say what a number or a switch must be, where absl shows Python's own error."""
    match = re.match(
        r"flag (--([\w-]+)=.*): (?:invalid literal|could not convert|\('Non-)", sentence
    )
    if match is None:
        return sentence
    parser = values[match[2]].parser
    is_switch = isinstance(parser, flags.BooleanParser)
    right = "true or false" if is_switch else parser.syntactic_help
    return f"{match[1]}: must be {right}."


def help_page(usage: Sequence[str], text: str, sections: Mapping[str, Iterable[Entry]]) -> str:
    """Return a help page: how the command is typed, what it does, and its flags by section.

    Paragraphs of `text` are separated by an empty line. A section with an empty title has none.
    """
    lines = [*usage]
    for paragraph in text.strip().split("\n\n"):
        lines += ["", *textwrap.wrap(" ".join(paragraph.split()), WIDTH)]
    for title, entries in sections.items():
        lines.append("")
        if title:
            lines.append(f"{title}:")
        for entry in entries:
            value = f"={entry.value}" if entry.value else ""
            unit = f"  [{entry.unit}]" if entry.unit else ""
            lines.append(f"  --{entry.name}{value}{unit}")
            lines += textwrap.wrap(
                entry.help, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
    return "\n".join(lines)


def entries(values: flags.FlagValues, *names: str) -> list[Entry]:
    """Return the help page's entries of these flags, or of all, in the order of definition."""
    shown = []
    for name in names or values:
        text, _, _ = values[name].help.partition(REPEATED)
        shown.append(Entry(name, text, _typed(values[name].default)))
    return shown


def words(flag: str, text: str, known: Collection[str]) -> list[str]:
    """Return the words of a list separated by commas, each once. Raises UserError on others."""
    names = ", ".join(known)
    chosen = list(dict.fromkeys(word for word in text.split(",") if word))
    if not chosen:
        raise UserError(f"--{flag}={text}: name at least one of {names}.")
    for word in chosen:
        if word not in known:
            raise UserError(f"--{flag}={text}: '{word}' is none of {names}.")
    return chosen


def command_name(program: str) -> str:
    """Return how the command is typed: dqn-train, python train.py, python -m dqn_tf.training.

    `program` is `sys.argv[0]`: a console script, or the file of a script or a module.
    """
    path = Path(program)
    if path.suffix != ".py":
        return path.name
    parts = [path.stem]
    while (path.parent / "__init__.py").exists():
        path = path.parent
        parts.insert(0, path.name)
    if len(parts) == 1:
        return f"python {program}"
    return f"python -m {'.'.join(parts).removesuffix('.__main__')}"


def other_command(folder: str) -> str:
    """Return how the command in `dqn_tf/<folder>` is typed, in the way this one was typed."""
    if Path(sys.argv[0]).name.startswith("dqn-"):
        return INSTALLED[folder]
    return SCRIPTS.get(folder, f"python -m dqn_tf.{folder}")


def resume_command(path: str | Path) -> str:
    """Return the command that goes on with the run, or the seeds, in a directory."""
    return f"{other_command('training')} --resume={typed_path(path)}"


def _os_sentence(error: OSError) -> str:
    if error.errno is None:  # of somebody's own code, not of the system
        return f"{describe_error(error)}."
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename:
        return f"{error.filename}: {reason}."
    try:
        os.getcwd()
    except FileNotFoundError:
        return "The directory in which this is run has been removed: change into another one."
    temporary = os.environ.get("TMPDIR", "/tmp")
    return f"{reason}; no file is named, so it may be a temporary one, in {temporary}."


def typed_path(path: str | Path) -> str:
    """Return a path as it is typed in a shell, in quotes where it needs them."""
    return shlex.quote(str(path))


def _typed(default: Any) -> str:
    """Return a flag's default as it is typed; empty for what need not be given."""
    if default is None or default is False or default == "":
        return ""
    if default is True:
        return "true"
    if isinstance(default, list):
        return ",".join(default)
    return str(default)
