"""The flags of dqn-search, and the checks that need nothing but the flags."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.ranges import Range
from dqn_tf.config.searched import Searched
from dqn_tf.search import narrowing, storage
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

# fields of DQNConfig that belong to a run of train.py, and that a search sets itself
OF_RUNS = (
    "seed",
    "evaluation_period_env_steps",
    "evaluation_envs",
    "checkpoint_period_env_steps",
    "export_weights",
    "log_period_env_steps",
    "initial_replay",
)
RANGES = {
    "trials": Range(1),
    "seeds": Range(1),
    "processes": Range(1),
    "test_seeds": Range(0),
    "stale_seconds": Range(60),
    "seed": Range(0),
    "prune_p": Range(0, 1),
}
# of the search itself, in the order of the help page
OWN = (
    "trials",
    "seeds",
    "test_seeds",
    "seed",
    "from_defaults",
    "range",
    "ranges",
    "prune_p",
    "most_work",
    "storage",
    "study",
    "processes",
    "stale_seconds",
    "output_dir",
)


class SearchFlags(NamedTuple):
    """The flags' values.

    Attributes:
      overrides: settings of train.py that hold for all trials.
      own: the user's ranges by setting.
      part: of a process that `processes` started, what it does.
    """

    overrides: dict[str, Any]
    own: Mapping[str, Searched]
    trials: int
    seeds: int
    test_seeds: int
    seed: int
    from_defaults: bool
    prune_p: float
    most_work: float
    storage: str
    study: str | None
    processes: int
    stale_seconds: int
    output_dir: str | None
    part: str


def parse(argv: Sequence[str]) -> SearchFlags:
    """Read and check the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    given = values.flag_values_dict()
    for name in OF_RUNS:
        if name != "seed" and given[name] is not None:
            raise UserError(
                f"--{name} is of a single run; a search scores each run once, at its end, and keeps"
                " nothing of it. Leave it out."
            )
    overrides = config_flags.config_overrides(given)
    seed = overrides.pop("seed", 0)
    own = narrowing.read(values.range or [], values.ranges)
    for name in own:
        if name in overrides:
            raise UserError(f"--{name} is given and has a range; leave out one of the two.")
    parsed = SearchFlags(
        overrides,
        own,
        seed=seed,
        **{name: given[name] for name in SearchFlags._fields[2:] if name != "seed"},
    )
    config_flags.require_ranges(parsed._asdict(), RANGES)
    if parsed.most_work != 0 and not parsed.most_work >= 1:
        raise UserError(f"--most_work={parsed.most_work}: must be at least 1, or 0 for any.")
    if not re.fullmatch(r"((trials|test):\d+/\d+)?", parsed.part):
        raise UserError(
            f"--part={parsed.part}: it is for the processes of --processes; leave it out."
        )
    return parsed._replace(storage=storage.read_place(parsed.storage))


def define(values: flags.FlagValues) -> None:
    """Define all flags; their defaults are here, in DQNConfig, and nowhere else."""
    to: dict[str, Any] = {"flag_values": values}
    config_flags.define_config_flags(values)
    flags.DEFINE_integer("trials", 50, "settings to try, with those of all other processes", **to)
    flags.DEFINE_integer(
        "seeds", 5, "runs of each trial, the same seeds for all; its value is their IQM", **to
    )
    flags.DEFINE_integer(
        "test_seeds",
        10,
        "runs of each of the best three settings and of those that the search began with, on fresh"
        " seeds; 0 leaves the test to another process",
        **to,
    )
    flags.DEFINE_bool(
        "from_defaults",
        False,
        "begin with the general defaults, not with the preset of the environment",
        **to,
    )
    flags.DEFINE_multi_string("range", None, f"{narrowing.FORMS}; once for each setting", **to)
    command_line.define_path(
        "ranges", None, "JSON file of ranges: lists of choices, or low, high and log", values
    )
    flags.DEFINE_float(
        "prune_p",
        0.3,
        "a trial stops after a seed when it is worse than the best by a paired Wilcoxon test at"
        " this level; two seeds that are both worse have p = 0.25. 0 stops none",
        **to,
    )
    flags.DEFINE_float(
        "most_work",
        8.0,
        "settings whose updates take more than so many times the multiplications of those that the"
        " search begins with are not run; 0 runs all",
        **to,
    )
    flags.DEFINE_string(
        "storage",
        "study.db",
        "the study's file, or the address of a database that Optuna takes, or journal:FILE",
        **to,
    )
    flags.DEFINE_string("study", None, "its name there; that of --env if not given", **to)
    flags.DEFINE_integer("processes", 1, "so many of this machine do trials", **to)
    flags.DEFINE_integer(
        "stale_seconds",
        600,
        "a running trial of another machine that has not been heard of for so long has failed",
        **to,
    )
    command_line.define_path(
        "output_dir", None, "where results go; searches/<study> if not given", values
    )
    flags.DEFINE_string("part", "", "set by --processes for the processes that it starts", **to)


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [
        f"{command} --env=CartPole-v1 --trials=50",
        f"{command} --env=LunarLander-v3 --range=learning_rate=1e-4:1e-2:log --processes=2",
    ]
    text = """
        Searches for good settings. Each trial is several seeds; what is clearly worse than the best
        stops early. Then the best three are trained on fresh seeds, which says how much of what the
        search saw was luck, and the winner is written as a command and as a preset. A search that
        was stopped goes on with the same command; any number of processes and machines may share a
        study.

        Flags of train.py that set the network, learning, experience or the environment may be added
        and hold for all trials. All other settings that have a range are tried: docs/search.md
        lists them. Needs the extra `search`.
        """
    env = command_line.Entry("env", values["env"].help, DQNConfig.env)
    sections = {"": [env, *command_line.entries(values, *OWN, "verbose")]}
    return command_line.help_page(usage, text, sections)


def base_config(parsed: SearchFlags) -> DQNConfig:
    """Return the settings that the search begins with. Raises UserError."""
    env = parsed.overrides.get("env", DQNConfig.env)
    # evaluations in the middle of a run are of no use here, nor what needs them
    without = {"evaluation_period_env_steps": 0, "export_weights": DQNConfig.export_weights}
    overrides = parsed.overrides | without
    if parsed.from_defaults:
        return DQNConfig(**(overrides | {"env": presets.full_id(env)}))
    return presets.configure(env, overrides)
