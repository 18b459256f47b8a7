"""The flags of `python -m dqn_tf.record`, and the checks that need nothing but the flags."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config.ranges import Range
from dqn_tf.evaluation.episodes import MAX_EPISODE_STEPS
from dqn_tf.evaluation.flags import SETTINGS
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError

MINARI = "minari:"
DEFAULT_EPISODES = 100
RANGES = {
    "episodes": Range(1),
    "steps": Range(1),
    "seed": Range(0),
    "max_episode_steps": Range(1),
    "epsilon": Range(0, 1),
}


class RecordFlags(NamedTuple):
    """The flags' values; None where they are not given."""

    env: str | None
    model: str | None
    epsilon: float | None
    episodes: int | None
    steps: int | None
    seed: int
    max_episode_steps: int
    output: str
    env_kwargs: dict[str, Any] | None
    env_wrappers: str | None
    evaluation_envs: int | None

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings of the environment that are given."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def minari_id(self) -> str | None:
        """The id of the Minari data set to write; None for a file."""
        return self.output[len(MINARI) :] if self.output.startswith(MINARI) else None


def parse(argv: Sequence[str]) -> RecordFlags:
    """Read and check the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    given = values.flag_values_dict()
    given |= config_flags.checked_overrides(given, SETTINGS)
    parsed = RecordFlags(*(given[name] for name in RecordFlags._fields))
    config_flags.require_ranges(given, RANGES)
    _require_behaviour(parsed)
    if parsed.episodes is not None and parsed.steps is not None:
        raise UserError("--episodes and --steps exclude each other: each says when to stop.")
    if parsed.episodes is None and parsed.steps is None:
        parsed = parsed._replace(episodes=DEFAULT_EPISODES)
    _require_output(parsed)
    return parsed


def define(values: flags.FlagValues) -> None:
    """Define all flags; their defaults are here and nowhere else."""
    to: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_string(
        "env", None, "environment id; with --model the one that it was trained on", **to
    )
    command_line.define_path(
        "model",
        None,
        "the export that plays, as evaluate.py takes it; without one, all actions are random",
        values,
    )
    flags.DEFINE_float(
        "epsilon",
        None,
        "with --model: the probability of a random action instead of the model's; 0 if not given",
        **to,
    )
    flags.DEFINE_integer(
        "episodes", None, f"whole episodes to record; {DEFAULT_EPISODES} if not given", **to
    )
    flags.DEFINE_integer(
        "steps", None, "instead of --episodes: so many steps, the last episode is cut there", **to
    )
    flags.DEFINE_integer(
        "seed",
        0,
        "the episodes' seeds and the random actions derive from it; no episode of a training or an"
        " evaluation has one of these seeds",
        **to,
    )
    flags.DEFINE_integer(
        "max_episode_steps",
        MAX_EPISODE_STEPS,
        "an episode that is still running after so many steps is cut there",
        **to,
    )
    command_line.define_path(
        "output",
        None,
        "file.npz to write, or minari:ID for a Minari data set, such as minari:cartpole/random-v0",
        values,
    )
    config_flags.define_config_flags(values, SETTINGS)


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [
        f"{command} --env=CartPole-v1 --episodes=100 --output=random.npz",
        f"{command} --model=saved_models/CartPole-v1 --epsilon=0.3 --steps=100000 --output=a.npz",
    ]
    text = """
        Records episodes as logged data, which training reads with --data. They are those of an
        export, of a mixture of an export and random actions, or of random play. The file holds the
        probability with which each action was chosen, too.
        """
    return command_line.help_page(usage, text, {"": command_line.entries(values)})


def _require_behaviour(parsed: RecordFlags) -> None:
    if not parsed.model and not parsed.env:
        raise UserError(
            "--env is missing: name what to play, such as --env=CartPole-v1, or a --model."
        )
    if parsed.epsilon is not None and not parsed.model:
        raise UserError(
            "--epsilon needs a --model: it says how often a random action takes the place of the"
            " model's, and without a model all are random."
        )


def _require_output(parsed: RecordFlags) -> None:
    if not parsed.output:
        raise UserError("--output is missing: name a file, such as --output=random.npz.")
    if parsed.minari_id is not None:
        return
    if Path(parsed.output).suffix.lower() != ".npz":
        raise UserError(f"--output={parsed.output}: must end in .npz, or be minari:ID.")
    files.require_file("output", Path(parsed.output))
