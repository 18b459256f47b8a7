"""Ways to act by the same weights: Q alone, within the support, log π + βQ, or the model alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.text.graphs import Graph
from dqn_tf.envs.text.walk_baselines import BEST_OF
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.experience import exploration

SUPPORT = 0.005
Q_WEIGHTS = (1.0, 4.0, 16.0)
SAMPLES = 64  # walks of the model from each start
SAMPLE_SEED = 20_171


class Scores(NamedTuple):
    """Of one walk from each start: returns [N], and whether each arrived [N]."""

    returns: np.ndarray
    succeeded: np.ndarray


class Acting(NamedTuple):
    """One way: within a support if there is one; `q_weight` 0 is Q alone."""

    support: float = 0.0
    q_weight: float = 0.0
    only_behaviour: bool = False

    def policy(self, q_function: Any, first: int) -> ActFunction:
        """Return the greedy policy of these Q-values; `first` is the number of action 0."""

        def act(observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
            if self.only_behaviour:
                return first + exploration.greedy_action(q_function.behaviour(observation))
            scores = q_function.q_values(observation)
            if self.support or self.q_weight:
                behaviour = q_function.behaviour(observation)
                scores = exploration.preferences(scores, behaviour, self.q_weight)
                if self.support:
                    mask = exploration.supported_actions(behaviour, self.support)
            return first + exploration.greedy_action(scores, mask)

        return act


def own_way(config: DQNConfig) -> Acting:
    """Return how a run of these settings acts."""
    return Acting(config.support, config.q_weight)


def all_ways() -> dict[str, Acting]:
    """Return all ways, by name."""
    ways = {"q": Acting(), "support": Acting(support=SUPPORT)}
    ways |= {f"beta_{weight:g}": Acting(q_weight=weight) for weight in Q_WEIGHTS}
    return ways | {"model": Acting(only_behaviour=True)}


def play(policy: ActFunction, graph: Graph, starts: np.ndarray) -> Scores:
    """Write a walk from each node of `starts` [N], all together, by GraphWalk's own rules."""
    count = len(starts)
    tokens = np.zeros((count, 1 + graph.limit), np.int32)
    tokens[:, 0] = starts + 1
    returns, succeeded = np.zeros(count), np.zeros(count, bool)
    running = np.arange(count)
    for written in range(graph.limit):
        actions = policy(tokens[running], None)
        node, following = tokens[running, written] - 1, actions - 1
        is_legal = graph.edges[node, following]
        is_goal = is_legal & (following == graph.goal)
        returns[running] += np.where(is_legal, -1.0, written - float(graph.limit))
        succeeded[running] = is_goal
        tokens[running, written + 1] = actions
        running = running[is_legal & ~is_goal]
        if not len(running):
            break
    return Scores(returns, succeeded)


def sampled(q_function: Any, graph: Graph, first: int) -> dict[str, float]:
    """Return what the model alone scores: greedy, sampled, and the best of eight samples.

    Its policy depends on all tokens so far, so there is no table of it: SAMPLES walks are drawn
    from each start. `first` is the number of action 0.
    """
    generator = np.random.default_rng(SAMPLE_SEED)

    def draw(observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        logits = q_function.behaviour(observation)
        return first + exploration.drawn_action(logits, generator.random(len(logits)))

    starts = np.array(graph.starts)
    scores = play(draw, graph, np.repeat(starts, SAMPLES))
    shape = (len(starts), SAMPLES // BEST_OF, BEST_OF)
    greedy = play(Acting(only_behaviour=True).policy(q_function, first), graph, starts)
    best = Scores(
        scores.returns.reshape(shape).max(axis=2),
        np.asarray(scores.succeeded.reshape(shape).any(axis=2)),
    )
    rows = {"greedy": greedy, "sampled": scores, "best": best}
    means = {name: float(row.returns.mean()) for name, row in rows.items()}
    return means | {f"{name}_success": float(row.succeeded.mean()) for name, row in rows.items()}
