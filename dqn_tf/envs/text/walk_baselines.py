"""What can be made of logged walks without reinforcement learning, as exact policies in tables.

A policy is the chance of each next node in each node, [N, N]. Where a policy has learned nothing of
a node, it writes the node's own token, to which the graphs that come with dqn_tf have no edge.
"""

from __future__ import annotations

import numpy as np

from dqn_tf.envs.text import exact
from dqn_tf.envs.text.exact import END, Model
from dqn_tf.envs.text.graphs import Graph

BEST_OF = 8


def cloned(graph: Graph, walks: np.ndarray, successes_only: bool = False) -> np.ndarray:
    """Return the policy that moves as often as the walks did, or as those that reached the goal."""
    node, following, _, reached = _moves(graph, walks)
    used = reached if successes_only else np.ones(len(node), bool)
    counts = _sums(graph, node[used], following[used], np.ones(used.sum()))
    return _shares(counts)


def monte_carlo(graph: Graph, walks: np.ndarray) -> np.ndarray:
    """Return the mean return from each move on, [N, N], -inf for a move that no walk made.

    A walk that does not reach the goal counts as lost: its return is that of a cut one.
    """
    node, following, left, reached = _moves(graph, walks)
    place = np.concatenate([np.arange(length) for length in _lengths(walks)])
    returns = np.where(reached, -left, place - float(graph.limit))
    counts = _sums(graph, node, following, np.ones(len(node)))
    sums = _sums(graph, node, following, returns)
    return np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)


def legal(graph: Graph) -> np.ndarray:
    """Return the policy that takes each edge of a node equally often."""
    return _shares(graph.edges.astype(float))


def in_every_state(graph: Graph, policy: np.ndarray) -> np.ndarray:
    """Return a policy of the nodes [N, N] for the states of `walk_model`, [limit · N, N]."""
    return np.tile(policy, (graph.limit, 1))


def supported(model: Model, graph: Graph, walks: np.ndarray) -> Model:
    """Return the task in which only moves that a walk made are no mistake.

    Its optimum is the best that is known of the goal without a move that was never seen.
    """
    node, following, _, _ = _moves(graph, walks)
    seen = in_every_state(graph, _sums(graph, node, following, np.ones(len(node)))) > 0
    states = np.arange(len(model.reward))[:, np.newaxis]
    lost = (states // len(graph.nodes)) - float(graph.limit)
    return model._replace(
        successor=np.where(seen, model.successor, END),
        reward=np.where(seen, model.reward, lost),
        succeeds=model.succeeds & seen,
    )


def walks_return(graph: Graph, walks: np.ndarray) -> tuple[float, float]:
    """Return the walks' own mean return and the share of them that reach the goal.

    A walk that does not reach it counts as lost.
    """
    reached = _reached(graph, walks)
    returns = np.where(reached, -_lengths(walks).astype(float), -float(graph.limit))
    return float(returns.mean()), float(reached.mean())


def yardsticks(graph: Graph, model: Model, walks: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return mean return and success of the optimum and of every baseline, by name."""
    sampled = cloned(graph, walks)
    of_successes = cloned(graph, walks, successes_only=True)
    by_returns = exact.greedy(monte_carlo(graph, walks))
    policies = {
        "one-step Monte-Carlo Q, greedy": by_returns,
        "cloning of successes, greedy": exact.greedy(of_successes),
        "cloning of successes, sampled": of_successes,
        "legal tokens at random": legal(graph),
        "cloning, sampled": sampled,
        "cloning, greedy": exact.greedy(sampled),
        "tokens at random": np.full(sampled.shape, 1.0 / len(graph.nodes)),
    }
    within = supported(model, graph, walks)
    rows = {
        "optimum": _measured(model, exact.best_policy(model)),
        "optimum on the walks' moves": _measured(within, exact.best_policy(within)),
    }
    of_states = {name: in_every_state(graph, policy) for name, policy in policies.items()}
    rows |= {name: _measured(model, policy) for name, policy in of_states.items()}
    # the chance that one of several tries succeeds differs from start to start
    best = exact.best_of(model, of_states["cloning, sampled"], BEST_OF)
    one_succeeds = model._replace(reward=model.succeeds.astype(float))
    best_success = exact.best_of(one_succeeds, of_states["cloning, sampled"], BEST_OF)
    rows[f"best of {BEST_OF} of cloning, sampled"] = (best, best_success)
    rows["the walks themselves"] = walks_return(graph, walks)
    return rows


def _measured(model: Model, policy: np.ndarray) -> tuple[float, float]:
    return exact.mean_return(model, policy), exact.success(model, policy)


def _moves(graph: Graph, walks: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return node, next node, moves left to the walk's end, and whether it reaches the goal.

    Each is [M], of all moves of all walks in their order.
    """
    is_move = walks[:, 1:] > 0
    row, place = np.nonzero(is_move)
    tokens = walks.astype(np.int64)
    left = _lengths(walks)[row] - place
    return tokens[row, place] - 1, tokens[row, place + 1] - 1, left, _reached(graph, walks)[row]


def _lengths(walks: np.ndarray) -> np.ndarray:
    return (walks[:, 1:] > 0).sum(axis=1)


def _reached(graph: Graph, walks: np.ndarray) -> np.ndarray:
    return (walks[:, 1:] == graph.goal + 1).any(axis=1)


def _sums(graph: Graph, node: np.ndarray, following: np.ndarray, values: np.ndarray) -> np.ndarray:
    count = len(graph.nodes)
    flat = np.bincount(node * count + following, values, minlength=count * count)
    return flat.reshape(count, count)


def _shares(counts: np.ndarray) -> np.ndarray:
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1.0), np.eye(len(counts)))
