"""The walks of a graph as logged data, which `--data` reads."""

from __future__ import annotations

import numpy as np

from dqn_tf.envs.text.graphs import Graph, walker


def logged_walks(graph: Graph, walks: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of logged data of walks [N, L] of tokens: see docs/language.md.

    A walk that does not reach the goal is cut after its last move, which is no end.
    """
    length = 1 + graph.limit
    whole = np.zeros((len(walks), length), np.int32)
    whole[:, : walks.shape[1]] = walks
    row, place = np.nonzero(walks[:, 1:] > 0)
    is_written = np.arange(length) <= place[:, np.newaxis]
    action = whole[row, place + 1]
    moves = (walks[:, 1:] > 0).sum(axis=1)
    is_last = place + 1 == moves[row]
    reached = action == graph.goal + 1
    return {
        "observation": np.where(is_written, whole[row], 0),
        "action": action,
        "reward": np.full(len(row), -1.0, np.float32),
        "terminated": reached,
        "truncated": is_last & ~reached,
        "propensity": walker(graph)[whole[row, place] - 1, action - 1],
        "episode": row,
        "final_observation": whole,
    }


def with_suffixes(walks: np.ndarray) -> np.ndarray:
    """Return walks [N, L], and what is left of each from each of its later nodes on, [M, L].

    A walk from any of its nodes is a walk. It has at least one move.
    """
    length = walks.shape[1]
    parts = [walks]
    for begin in range(1, length - 1):
        goes_on = walks[walks[:, begin + 1] > 0]
        suffix = np.zeros_like(goes_on)
        suffix[:, : length - begin] = goes_on[:, begin:]
        parts.append(suffix)
    return np.concatenate(parts)
