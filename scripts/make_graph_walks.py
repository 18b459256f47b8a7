"""Makes the graphs and walks of GraphWalk: `python scripts/make_graph_walks.py DIRECTORY`.

They lie in dqn_tf/envs/text/data and are not made anew: another NumPy may draw other numbers.

Each of 40 nodes has an edge to each other one with chance 0.08; node 0 is the goal and has none.
Graph 1 is of seed 12, the one of the first experiments; graphs 2 to 4 are of the next seeds from
which every node has a way to the goal, whatever can be learned on them. A walk begins at a node
that is not the goal, each equally likely, and makes eight moves, or fewer to the goal. Neighbours
are chosen in proportion to exp(0.6 · their distance from the goal): mostly away from it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dqn_tf.envs.text.graphs import LIMIT, MOVES, PULL, SHIPPED, Graph

NODES = 40
EDGE_CHANCE = 0.08
FIRST_SEED = 12
WALKS = 8_000


def graphs() -> Iterator[tuple[Graph, np.random.Generator]]:
    """Yield the graphs, each with the generator that goes on with its walks."""
    seed = FIRST_SEED
    while True:
        generator = np.random.default_rng(seed)
        edges = generator.random((NODES, NODES)) < EDGE_CHANCE
        np.fill_diagonal(edges, False)
        edges[0] = False
        graph = Graph(tuple(map(str, range(NODES))), 0, edges, LIMIT)
        if np.isfinite(graph.distances()).all():
            yield graph, generator
        seed += 1


def walks(graph: Graph, generator: np.random.Generator) -> np.ndarray:
    """Return the walks as tokens [WALKS, 1 + MOVES] uint8, padded with 0."""
    weight = np.where(graph.edges, np.exp(PULL * graph.distances()), 0.0)
    tokens = np.zeros((WALKS, 1 + MOVES), np.uint8)
    for walk in tokens:
        node = int(generator.integers(1, NODES))
        walk[0] = node + 1
        for place in range(1, 1 + MOVES):
            following = np.flatnonzero(graph.edges[node])
            chance = weight[node][following]
            node = int(generator.choice(following, p=chance / chance.sum()))
            walk[place] = node + 1
            if node == graph.goal:
                break
    return tokens


def main(directory: Path) -> None:
    """Write a graph_N.json and a walks_N.npz for each graph."""
    for name, (graph, generator) in zip(SHIPPED, graphs(), strict=False):
        pairs = np.argwhere(graph.edges).tolist()
        edges = ", ".join(json.dumps([graph.nodes[node] for node in pair]) for pair in pairs)
        head = {"nodes": graph.nodes, "goal": graph.nodes[graph.goal], "limit": graph.limit}
        text = json.dumps(head)[:-1] + f',\n "edges": [{edges}]}}\n'
        (directory / f"graph_{name}.json").write_text(text, encoding="utf-8")
        np.savez_compressed(directory / f"walks_{name}.npz", walks=walks(graph, generator))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
