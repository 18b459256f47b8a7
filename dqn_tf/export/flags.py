"""The flags of `python -m dqn_tf.export`, their help page, and the checks that need only them."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError

SAVEDMODEL = "savedmodel"
# What each format needs beside TensorFlow.
PACKAGES: dict[str, tuple[str, ...]] = {
    SAVEDMODEL: (),
    "tflite": (),
    "onnx": ("onnx", "onnxruntime"),
}
MOST_TOLERANCE = 0.1  # of Q-values, where weights are rounded
FEWEST_KEPT = 2  # versions that are kept: the one that is served, and one to go back to


class ExportFlags(NamedTuple):
    """The flags' values."""

    run: str
    output: str | None
    formats: list[str]
    keep: int | None
    weights: str | None
    float16: bool
    tolerance: float | None
    hub_folder: str | None


def parse(argv: Sequence[str]) -> ExportFlags:
    """Read and check the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    parsed = ExportFlags(*(getattr(values, name) for name in ExportFlags._fields))
    if not parsed.run:
        raise UserError(
            "--run is missing: name a run directory, such as"
            " --run=runs/CartPole-v1/20260101-120000-seed1."
        )
    if parsed.keep is not None and parsed.keep < FEWEST_KEPT:
        raise UserError(
            f"--keep={parsed.keep}: must be at least {FEWEST_KEPT}, the version that is served and"
            " one to go back to."
        )
    require_formats(parsed.formats, "--formats=")
    _require_half(parsed)
    require_new_folder(parsed.hub_folder)
    return parsed._replace(formats=list(dict.fromkeys(parsed.formats)))


def define(values: flags.FlagValues) -> None:
    """Define all flags; the defaults are here and nowhere else."""
    to: dict[str, Any] = {"flag_values": values}
    command_line.define_path(
        "run", None, "run directory whose agent is published, as its last checkpoint has it", values
    )
    command_line.define_path(
        "output",
        None,
        "where the next numbered version goes; where the run itself exports to if not given",
        values,
        of_models=True,
    )
    flags.DEFINE_list(
        "formats",
        [SAVEDMODEL],
        f"what a version holds, of {', '.join(PACKAGES)}; {SAVEDMODEL} is always among them. onnx"
        " needs the packages onnx and onnxruntime",
        **to,
    )
    flags.DEFINE_integer(
        "keep",
        None,
        "afterwards, delete the oldest versions until so many are left; all are kept if not given",
        **to,
    )
    flags.DEFINE_enum(
        "weights",
        None,
        ["last", "best"],
        "the last weights, or the best by evaluation during the run; as the run was "
        "configured (--export_weights) if not given",
        **to,
    )
    flags.DEFINE_bool(
        "float16",
        False,
        "store the matrices of a language model in half as many bytes, as float16; computed is with"
        " float32. The gate decides whether the agent bears it",
        **to,
    )
    flags.DEFINE_float(
        "tolerance",
        None,
        "with --float16: Q-values may differ by so much, times the largest of a row where that is"
        " above 1; 0.0001, as of any export, if it is not given",
        **to,
    )
    command_line.define_path(
        "hub_folder",
        None,
        "write a folder for the Hugging Face Hub as well: model card, score, replay video,"
        " SavedModel and metrics. `hf upload USER/NAME FOLDER` pushes it",
        values,
        of_models=True,
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    text = (
        "Publishes a run's agent as the next version, in one format or several. Each is loaded by"
        " its own runtime in a process of its own. Nothing is published until each has given the"
        " agent's actions and Q-values on observations recorded in the run."
    )
    sections = {"": command_line.entries(values)}
    return command_line.help_page([f"{command} --run=RUN_DIR"], text, sections)


def require_new_folder(hub_folder: str | None) -> None:
    """Raise UserError unless a folder can be made there: it must be new or empty."""
    if hub_folder is None:
        return
    path = Path(hub_folder)
    files.require_directory("hub_folder", path)
    if path.is_dir() and any(path.iterdir()):
        raise UserError(f"--hub_folder={path} is not empty. Name a new one, or delete it first.")


def _require_half(parsed: ExportFlags) -> None:
    """Raise UserError for a tolerance that cannot be meant."""
    if parsed.tolerance is None:
        return
    flag = f"--tolerance={parsed.tolerance}"
    if not parsed.float16:
        raise UserError(f"{flag} is for weights that are rounded: give --float16 as well.")
    if not 0 < parsed.tolerance <= MOST_TOLERANCE:
        raise UserError(f"{flag}: must be above 0 and at most {MOST_TOLERANCE}.")


def require_formats(formats: Sequence[str], argument: str) -> None:
    """Raise UserError for a format that there is not, or that a package is missing for.

    `argument` is how a sentence begins that names them.
    """
    flag = f"{argument}{','.join(formats)}"
    for name in formats:
        if name not in PACKAGES:
            raise UserError(f"{flag}: '{name}' is none of {', '.join(PACKAGES)}.")
        missing = [
            package for package in PACKAGES[name] if importlib.util.find_spec(package) is None
        ]
        if missing:
            raise UserError(
                f"{flag}: {name} needs packages that are not installed. Type: pip install"
                f" {' '.join(missing)}"
            )
    if SAVEDMODEL not in formats:
        raise UserError(
            f"{flag}: {SAVEDMODEL} must be among them, since a version without one cannot be"
            " served."
        )
