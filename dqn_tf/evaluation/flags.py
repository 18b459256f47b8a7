"""The flags of evaluate.py, their help page, and the checks that need nothing but the flags."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config.ranges import Range
from dqn_tf.evaluation.episodes import DEFAULT_EPISODES, DEFAULT_SEED, MAX_EPISODE_STEPS
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError

VIDEO_SUFFIXES = (".gif", ".mp4")
# the settings of a run that an evaluation may change
SETTINGS = ("env_kwargs", "env_wrappers", "evaluation_envs")
# what needs episodes that are played, and so no --data
OF_PLAY = (
    "compare",
    "episodes",
    "seed",
    "max_episode_steps",
    "video",
    "video_episodes",
    "render",
    "show",
    "evaluation_envs",
)
RANGES = {
    "episodes": Range(1),
    "seed": Range(0),
    "max_episode_steps": Range(1),
    "video_episodes": Range(1),
    "show": Range(0),
    "epsilon": Range(0, 1),
}


class EvaluateFlags(NamedTuple):
    """The values of evaluate.py's flags: one path in `model`, or two in `compare`."""

    model: str | None
    compare: list[str] | None
    env: str | None
    episodes: int
    seed: int
    max_episode_steps: int
    json: str | None
    video: str | None
    video_episodes: int
    render: bool
    show: int
    data: list[str]
    gamma: float | None
    epsilon: float
    # None where they are not given: then they are those of the training
    env_kwargs: dict[str, Any] | None
    env_wrappers: str | None
    evaluation_envs: int | None

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings of the run that are given."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if value is not None}


def parse(argv: Sequence[str]) -> EvaluateFlags:
    """Read and check evaluate.py's flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(_repeat_compare(argv), define, _help_page)
    given = values.flag_values_dict()
    given |= config_flags.checked_overrides(given, SETTINGS)
    given["data"] = given["data"] or []
    parsed = EvaluateFlags(*(given[name] for name in EvaluateFlags._fields))
    _require_data(parsed, [name for name in OF_PLAY if values[name].present])
    _require_models(parsed)
    config_flags.require_ranges(given, RANGES)
    if parsed.env == "":
        raise UserError("--env is empty: name an environment, or leave it out.")
    if values["video_episodes"].present and parsed.video is None:
        raise UserError("--video_episodes says what is recorded: name the file with --video.")
    _require_video(parsed)
    for name in ("json", "video"):
        path = getattr(parsed, name)
        if path is not None:
            files.require_file(name, Path(path))
    return parsed


def define(values: flags.FlagValues) -> None:
    """Define all flags; their defaults are here and nowhere else."""
    to: dict[str, Any] = {"flag_values": values}
    command_line.define_path(
        "model",
        None,
        "what to evaluate: a directory of numbered versions (the newest is taken), one version, or"
        " a run directory (its export is taken)",
        values,
    )
    command_line.define_paths(
        "compare",
        "instead of --model, as --compare A B: plays two models on the same seeds",
        values,
    )
    flags.DEFINE_string(
        "env", None, "environment id; the one that the model was trained on if not given", **to
    )
    config_flags.define_config_flags(values, SETTINGS)
    flags.DEFINE_integer("episodes", DEFAULT_EPISODES, "episodes to play", **to)
    flags.DEFINE_integer(
        "seed",
        DEFAULT_SEED,
        "the episodes' seeds derive from it; whatever it is, no training episode has one of them",
        **to,
    )
    flags.DEFINE_integer(
        "max_episode_steps",
        MAX_EPISODE_STEPS,
        "an episode that is still running after so many steps is cut there and counted",
        **to,
    )
    flags.DEFINE_float(
        "epsilon", 0.0, "probability of a random legal action instead of the model's", **to
    )
    command_line.define_path(
        "json",
        None,
        "file to write everything to: scores, seeds, returns and lengths of every episode",
        values,
    )
    command_line.define_path(
        "video", None, "file.gif or file.mp4 to record the first episodes to", values
    )
    flags.DEFINE_integer("video_episodes", 1, "with --video: how many episodes to record", **to)
    flags.DEFINE_bool("render", False, "show the episodes in a window, one after the other", **to)
    flags.DEFINE_integer(
        "show", 0, "how many episodes to print as text, of an environment that names tokens", **to
    )
    _define_estimates(to)


def _define_estimates(to: dict[str, Any]) -> None:
    flags.DEFINE_multi_string(
        "data",
        None,
        "instead of playing: logged episodes to estimate the score from, as train.py takes them",
        **to,
    )
    flags.DEFINE_float(
        "gamma",
        None,
        "with --data: discount of a step, that of the training if not given; 1 estimates the"
        " undiscounted return",
        **to,
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [
        f"{command} --model=saved_models/CartPole-v1",
        f"{command} --compare A B",
        f"{command} --model=saved_models/CartPole-v1 --data=play.npz",
    ]
    text = """
        Scores an exported model: greedy episodes, or nearly so with --epsilon, on seeds of their
        own, and the mean return with its 95 % interval.

        With --data nothing is played: the score is estimated from logged episodes.
        """
    return command_line.help_page(usage, text, {"": command_line.entries(values)})


def _repeat_compare(argv: Sequence[str]) -> list[str]:
    """Turn `--compare A B` into `--compare=A --compare=B`, which absl can read.

    Raises UserError if nothing follows.
    """
    if "--compare" not in argv:
        return list(argv)
    place = argv.index("--compare")
    following = argv[place + 1 : place + 3]
    paths = list(itertools.takewhile(lambda word: not word.startswith("-"), following))
    if not paths:
        raise _two_models()
    repeated = [f"--compare={path}" for path in paths]
    return [*argv[:place], *repeated, *argv[place + 1 + len(paths) :]]


def _require_data(parsed: EvaluateFlags, of_play: list[str]) -> None:
    """Raise UserError on flags that contradict --data, or need it."""
    if not parsed.data:
        if parsed.gamma is not None:
            raise UserError(
                "--gamma needs --data: the returns of played episodes are undiscounted."
            )
        return
    if of_play:
        raise UserError(
            f"--data and --{of_play[0]} exclude each other: logged episodes are not played."
        )
    if parsed.gamma is not None and not 0.0 < parsed.gamma <= 1.0:
        raise UserError(f"--gamma={parsed.gamma:g}: must be above 0 and at most 1.")


def _require_models(parsed: EvaluateFlags) -> None:
    if parsed.compare is None:
        if not parsed.model:
            raise UserError(
                "--model is missing: name an export, such as --model=saved_models/CartPole-v1."
            )
        return
    if len(parsed.compare) != 2:
        raise _two_models()
    for name in ("model", "video", "render", "show"):
        if getattr(parsed, name):
            raise UserError(f"--{name} and --compare exclude each other.")


def _two_models() -> UserError:
    return UserError(
        "--compare takes two models: --compare saved_models/CartPole-v1/1"
        " saved_models/CartPole-v1/2."
    )


def _require_video(parsed: EvaluateFlags) -> None:
    for name in ("video", "render"):
        if parsed.show and getattr(parsed, name):
            raise UserError(f"--show and --{name} exclude each other: one is text, one pictures.")
    if parsed.video is None:
        return
    if Path(parsed.video).suffix.lower() not in VIDEO_SUFFIXES:
        raise UserError(f"--video={parsed.video}: must end in {' or '.join(VIDEO_SUFFIXES)}.")
    if parsed.render:
        raise UserError(
            "--render and --video exclude each other: an environment draws either a window or"
            " frames."
        )
