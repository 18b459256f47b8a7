"""Prints the exact yardsticks of the environments of tokens: `python -m dqn_tf.envs.text`.

With --data it writes logged data of one of them instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config.ranges import Range
from dqn_tf.envs import applications, text
from dqn_tf.envs.applications import yardsticks
from dqn_tf.envs.text import exact, graph_walk, graphs, maze, rewrite, walk_baselines
from dqn_tf.envs.text.graph_walk import walk_model
from dqn_tf.envs.text.logged_play import logged_play
from dqn_tf.envs.text.logged_walks import logged_walks, with_suffixes
from dqn_tf.envs.text.markdown import percent, table
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError, describe_error

EPISODES = 1_000
ENTRY_POINTS = text.ENTRY_POINTS | applications.ENTRY_POINTS


class Flags(NamedTuple):
    """The values of the flags."""

    data: str | None
    env: str
    env_kwargs: dict[str, Any]
    episodes: int | None
    seed: int
    suffixes: bool


def parse(argv: Sequence[str]) -> Flags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    typed = [name for name in Flags._fields if name != "data" and values[name].present]
    if typed and values.data is None:
        raise UserError(
            f"--{typed[0]} says what logged data are to be, and no file is named for them: give"
            " --data=FILE.npz as well, or leave it out."
        )
    given = values.flag_values_dict()
    overrides = config_flags.checked_overrides(given, ("env_kwargs",))
    config_flags.require_ranges(given, {"episodes": Range(1), "seed": Range(0)})
    arguments = overrides.get("env_kwargs", {})
    return Flags(values.data, values.env, arguments, values.episodes, values.seed, values.suffixes)


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    command_line.define_path("data", None, "file.npz to write, for train.py --data", values)
    to: dict[str, Any] = {"flag_values": values}
    names = list(ENTRY_POINTS)
    flags.DEFINE_enum("env", graph_walk.ENV_ID, names, "with --data: whose", **to)
    config_flags.define_config_flags(values, ("env_kwargs",))
    flags.DEFINE_integer(
        "episodes",
        None,
        f"with --data: so many are played, {EPISODES:,} if not given; without it, GraphWalk's are"
        " the 8,000 walks that come with its graph, if any do",
        **to,
    )
    flags.DEFINE_bool(
        "suffixes",
        False,
        "with --data, of the walks that come with a graph: each walk also begins at each of its"
        " later nodes, as an episode of its own",
        **to,
    )
    flags.DEFINE_integer("seed", 0, "with --data: what is played derives from it", **to)


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [command, f'{command} --data=walks.npz --env_kwargs=\'{{"graph": "2"}}\'']
    page = """
        Prints the exact returns of the environments of tokens: of the optimum, and of all that
        needs no reinforcement learning, computed by dynamic programming.

        With --data: writes logged data, to learn from before the first step. GraphWalk is played by
        a walker who is drawn away from the goal, TextMaze by one who gives random commands, Rewrite
        by one who knows half of the tokens. The players of the applications do the best thing half
        of the time.
        """
    return command_line.help_page(usage, page, {"": command_line.entries(values)})


def main(given: Flags) -> None:
    """Print the tables, or write logged data. Raises UserError."""
    if given.data is None:
        print(f"{tables()}\n\n{yardsticks.tables()}")
        return
    path = Path(given.data)
    if path.suffix != ".npz":
        raise UserError(f"--data={path}: must end in .npz.")
    files.require_file("data", path)
    columns = _logged(given)
    with files.writing(path), files.replaced(path) as aside, aside.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
    episodes, steps = len(columns["final_observation"]), len(columns["action"])
    print(f"{given.env}: {episodes:,} episodes, {steps:,} steps, in {path}")


def _logged(given: Flags) -> dict[str, np.ndarray]:
    """Return the columns of the walks that come with a graph, or of episodes that are played."""
    graph = str(given.env_kwargs.get("graph", graphs.SHIPPED[0]))
    has_walks = given.env == graph_walk.ENV_ID and graph in graphs.SHIPPED
    if has_walks and given.episodes is None:
        walks = graphs.shipped_walks(graph)
        walks = with_suffixes(walks) if given.suffixes else walks
        return logged_walks(graphs.find_graph(graph), walks)
    if given.suffixes:
        raise UserError(
            "--suffixes is of the walks that come with the graphs of dqn_tf/GraphWalk-v0"
            f" ({', '.join(graphs.SHIPPED)}), all of them: leave it out."
        )
    if given.env not in gym.registry:
        text.register()
        applications.register()
    try:
        env: Any = gym.make(given.env, disable_env_checker=True, **given.env_kwargs)
    except TypeError as error:
        raise UserError(f"--env_kwargs: {given.env} says {describe_error(error)}.") from error
    return logged_play(env.unwrapped, given.episodes or EPISODES, given.seed)


def tables() -> str:
    """Return the yardsticks of GraphWalk, TextMaze and Rewrite as tables in Markdown."""
    return "\n\n".join([_graph_table(), _maze_table(), _rewrite_table()])


def _graph_table() -> str:
    columns = []
    for name in graphs.SHIPPED:
        graph = graphs.find_graph(name)
        walks = graphs.shipped_walks(name)
        columns.append(walk_baselines.yardsticks(graph, walk_model(graph), walks))
    cells = [
        [name, *(f"{column[name][0]:.2f} ({percent(column[name][1])})" for column in columns)]
        for name in columns[0]
    ]
    heads = [f"graph {name}" for name in graphs.SHIPPED]
    return table("GraphWalk, return (success)", heads, cells)


def _maze_table() -> str:
    choices, tokens = maze.choice_model(), maze.token_model()
    at_random = exact.uniform(choices)
    rows = {
        "optimum": (choices, exact.best_policy(choices)),
        "one of the four commands at random": (choices, at_random),
        "tokens at random": (tokens, exact.uniform(tokens)),
    }
    cells = [
        [name, f"{exact.mean_return(*row):.2f}", percent(exact.success(*row))]
        for name, row in rows.items()
    ]
    best = exact.best_of(choices, at_random, walk_baselines.BEST_OF)
    succeeds = choices._replace(reward=choices.succeeds.astype(float))
    best_success = exact.best_of(succeeds, at_random, walk_baselines.BEST_OF)
    name = f"best of {walk_baselines.BEST_OF} of commands at random"
    cells.insert(1, [name, f"{best:.2f}", percent(best_success)])
    return table("TextMaze", ["return", "success"], cells)


def _rewrite_table() -> str:
    cells = []
    for reward, name in zip(rewrite.REWARDS, ("each right token", "the end"), strict=True):
        model = rewrite.rewrite_model(rewrite.LENGTH, rewrite.SYMBOLS, reward == "token")
        at_random = exact.uniform(model)
        best = f"{exact.optimum(model):.2f}"
        mean = f"{exact.mean_return(model, at_random):.3g}"
        cells.append([name, best, mean, f"{exact.success(model, at_random):.3g}"])
    heads = ["optimum", "tokens at random", "all right at random"]
    return table("Rewrite, paid for", heads, cells)


if __name__ == "__main__":
    command_line.run(main, parse)
