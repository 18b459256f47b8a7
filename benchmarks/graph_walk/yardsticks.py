"""What is known exactly beside the runs."""

import functools

from dqn_tf.envs.text.graph_walk import walk_model
from dqn_tf.envs.text.graphs import SHIPPED, find_graph, shipped_walks
from dqn_tf.envs.text.walk_baselines import yardsticks

EXACT = (
    "optimum",
    "one-step Monte-Carlo Q, greedy",
    "cloning of successes, greedy",
    "cloning of successes, sampled",
    "best of 8 of cloning, sampled",
    "cloning, sampled",
    "cloning, greedy",
    "legal tokens at random",
    "tokens at random",
)


@functools.cache
def exact_rows() -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean return and success by graph, then by name."""
    found = {}
    for name in SHIPPED:
        graph = find_graph(name)
        found[name] = yardsticks(graph, walk_model(graph), shipped_walks(name))
    return found
