"""Prints the exact yardsticks of the environments of tokens: `python -m dqn_tf.envs.text`.

With --data it writes the walks of a graph as logged data instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from dqn_tf.envs.text import exact, graphs, maze, rewrite, walk_baselines
from dqn_tf.envs.text.graph_walk import walk_model
from dqn_tf.envs.text.logged_walks import logged_walks
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError


class Flags(NamedTuple):
    """The values of the flags."""

    data: str | None
    graph: str


def parse(argv: Sequence[str]) -> Flags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    return Flags(values.data, values.graph)


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    command_line.define_path(
        "data", None, "file.npz to write the walks of --graph to, for train.py --data", values
    )
    flags.DEFINE_enum(
        "graph", graphs.SHIPPED[0], graphs.SHIPPED, "whose walks --data writes", flag_values=values
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [command, f"{command} --data=walks.npz [--graph=2]"]
    text = """
        Prints the exact returns of the environments of tokens: of the optimum, and of all that
        needs no reinforcement learning, computed by dynamic programming.

        With --data: writes the walks that come with a graph as logged data.
        """
    return command_line.help_page(usage, text, {"": command_line.entries(values)})


def main(given: Flags) -> None:
    """Print the tables, or write the walks. Raises UserError."""
    if given.data is None:
        print(tables())
        return
    path = Path(given.data)
    if path.suffix != ".npz":
        raise UserError(f"--data={path}: must end in .npz.")
    files.require_file("data", path)
    walks = graphs.shipped_walks(given.graph)
    columns = logged_walks(graphs.find_graph(given.graph), walks)
    with files.replaced(path) as aside, aside.open("wb") as file:
        np.savez(file, **columns)  # type: ignore[arg-type]
    moves = len(columns["action"])
    print(f"{len(walks):,} walks of graph {given.graph}, {moves:,} moves, in {path}")


def tables() -> str:
    """Return the yardsticks of all environments as tables in Markdown."""
    return "\n\n".join([_graph_table(), _maze_table(), _rewrite_table()])


def _graph_table() -> str:
    columns = []
    for name in graphs.SHIPPED:
        graph = graphs.find_graph(name)
        walks = graphs.shipped_walks(name)
        columns.append(walk_baselines.yardsticks(graph, walk_model(graph), walks))
    cells = [
        [name, *(f"{column[name][0]:.2f} ({_percent(column[name][1])})" for column in columns)]
        for name in columns[0]
    ]
    heads = [f"graph {name}" for name in graphs.SHIPPED]
    return _table("GraphWalk, return (success)", heads, cells)


def _maze_table() -> str:
    choices, tokens = maze.choice_model(), maze.token_model()
    at_random = exact.uniform(choices)
    rows = {
        "optimum": (choices, exact.best_policy(choices)),
        "one of the four commands at random": (choices, at_random),
        "tokens at random": (tokens, exact.uniform(tokens)),
    }
    cells = [
        [name, f"{exact.mean_return(*row):.2f}", _percent(exact.success(*row))]
        for name, row in rows.items()
    ]
    best = exact.best_of(choices, at_random, walk_baselines.BEST_OF)
    succeeds = choices._replace(reward=choices.succeeds.astype(float))
    best_success = exact.best_of(succeeds, at_random, walk_baselines.BEST_OF)
    name = f"best of {walk_baselines.BEST_OF} of commands at random"
    cells.insert(1, [name, f"{best:.2f}", _percent(best_success)])
    return _table("TextMaze", ["return", "success"], cells)


def _rewrite_table() -> str:
    cells = []
    for reward, name in zip(rewrite.REWARDS, ("each right token", "the end"), strict=True):
        model = rewrite.rewrite_model(rewrite.LENGTH, rewrite.SYMBOLS, reward == "token")
        at_random = exact.uniform(model)
        best = f"{exact.optimum(model):.2f}"
        mean = f"{exact.mean_return(model, at_random):.3g}"
        cells.append([name, best, mean, f"{exact.success(model, at_random):.3g}"])
    heads = ["optimum", "tokens at random", "all right at random"]
    return _table("Rewrite, paid for", heads, cells)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[title, *heads], ["---", *["---:"] * len(heads)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    command_line.run(main, parse)
