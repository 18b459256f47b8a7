"""Graphs to walk on: those that come with dqn_tf, with walks, and those of a file.

A graph's file is JSON:

    {"nodes": ["home", "park", "sea"], "goal": "sea", "limit": 15,
     "edges": [["home", "park"], ["park", "sea"], ["sea", "home"]]}

An edge leads one way. `limit` is how many tokens a walk may have, 15 if it is not there.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from dqn_tf.envs.text.token_env import PADDING_NAME
from dqn_tf.support import json_files
from dqn_tf.support.errors import UserError, describe_value

DATA = Path(__file__).parent / "data"
SHIPPED = ("1", "2", "3", "4")
LIMIT = 15
MOST_NODES = 1_000
MOST_TOKENS = 1_000
KEYS = ("nodes", "goal", "edges", "limit")
# of the walker that made the walks: so many moves, drawn away from the goal so strongly
MOVES = 8
PULL = 0.6


class Graph(NamedTuple):
    """A directed graph.

    Attributes:
      nodes: their names.
      goal: the number of the node to reach.
      edges: [N, N] bool, from a row's node to a column's.
      limit: the most tokens of a walk.
    """

    nodes: tuple[str, ...]
    goal: int
    edges: np.ndarray
    limit: int

    @property
    def starts(self) -> list[int]:
        """The numbers of the nodes in which a walk begins: all but the goal."""
        return [node for node in range(len(self.nodes)) if node != self.goal]

    def distances(self) -> np.ndarray:
        """Return the least number of moves from each node to the goal, [N] float64.

        It is infinite where there is no way.
        """
        distance = np.full(len(self.nodes), np.inf)
        distance[self.goal] = 0.0
        for _ in self.nodes:
            by_next = np.where(self.edges, distance, np.inf).min(axis=1) + 1.0
            distance = np.minimum(distance, by_next)
        return distance


def walker(graph: Graph) -> np.ndarray:
    """Return the chances with which the walker moves from node to node, [N, N] float64.

    They are in proportion to exp(PULL · distance of the next node from the goal). A node from which
    there is no way counts as one further than all others; where no edge leaves, all is equal.
    """
    distance = graph.distances()
    distance[np.isinf(distance)] = distance[np.isfinite(distance)].max() + 1.0
    weight = np.where(graph.edges, np.exp(PULL * distance), 0.0)
    weight[~graph.edges.any(axis=1)] = 1.0
    return weight / weight.sum(axis=1, keepdims=True)


def find_graph(name: str) -> Graph:
    """Return the graph "1", "2", "3" or "4", or that of a file. Raises UserError."""
    name = str(name)
    if name in SHIPPED:
        return read_graph(DATA / f"graph_{name}.json")
    path = Path(os.path.expanduser(name))
    if not path.is_file():
        raise UserError(
            f"graph={name}: there is no such file; the graphs that come with dqn_tf are"
            f" {', '.join(SHIPPED)}."
        )
    return read_graph(path)


@functools.lru_cache(maxsize=16)
def _shipped_walks(name: str) -> np.ndarray:
    with np.load(DATA / f"walks_{name}.npz", allow_pickle=False) as file:
        walks = file["walks"]
    walks.setflags(write=False)
    return walks


def shipped_walks(name: str) -> np.ndarray:
    """Return the walks that come with a graph, [8000, 9] uint8, of tokens.

    Token 0 is the padding behind a walk that reached the goal early; node n is token n + 1. They
    are those of the `walker`, MOVES moves at most. Raises UserError for a graph without walks.
    """
    if name not in SHIPPED:
        raise UserError(f"graph={name}: walks come with the graphs {', '.join(SHIPPED)} only.")
    return _shipped_walks(name)


def read_graph(path: Path) -> Graph:
    """Read a graph's file. Raises UserError for what is no graph."""
    try:
        values = json_files.read_object(path)
    except OSError as error:
        raise UserError(f"graph={path} cannot be read: {error.strerror}.") from error
    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        _refuse(path, f"{unknown[0]!r} is no key of a graph, whose keys are {', '.join(KEYS)}")
    nodes = _nodes(path, values.get("nodes"))
    numbers = {name: number for number, name in enumerate(nodes)}
    goal = values.get("goal")
    if not isinstance(goal, str) or goal not in numbers:
        _refuse(path, f"goal is {describe_value(goal)}, and must be one of the nodes")
    limit = values.get("limit", LIMIT)
    if type(limit) is not int or not 1 <= limit <= MOST_TOKENS:
        _refuse(
            path,
            f"limit is {describe_value(limit)}, and must be a whole number from 1 to {MOST_TOKENS}",
        )
    edges = _edges(path, values.get("edges"), numbers)
    graph = Graph(nodes, numbers[goal], edges, limit)
    if not np.isfinite(graph.distances()[graph.starts]).any():
        _refuse(path, f"no edge leads to the goal {goal}")
    return graph


def _nodes(path: Path, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not 2 <= len(names) <= MOST_NODES:
        _refuse(path, f"nodes must be a list of 2 to {MOST_NODES} names")
    for name in names:
        is_word = isinstance(name, str) and name and not any(map(str.isspace, name))
        if not is_word or name == PADDING_NAME:
            _refuse(path, f"{describe_value(name)} is no name of a node: it must be one word")
    if len(set(names)) < len(names):
        _refuse(path, "two nodes have the same name")
    return tuple(names)


def _edges(path: Path, pairs: Any, numbers: dict[str, int]) -> np.ndarray:
    edges = np.zeros((len(numbers), len(numbers)), bool)
    if not isinstance(pairs, list):
        _refuse(path, "edges must be a list of pairs of nodes")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not _are_names(pair, numbers):
            _refuse(path, f"{describe_value(pair)} is no edge: it must be a pair of nodes")
        edges[numbers[pair[0]], numbers[pair[1]]] = True
    return edges


def _are_names(names: Iterable[Any], numbers: dict[str, int]) -> bool:
    return all(isinstance(name, str) and name in numbers for name in names)


def _refuse(path: Path, reason: str) -> NoReturn:
    raise UserError(f"graph={path}: {reason}.")
