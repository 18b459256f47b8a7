"""Writes a way through a graph, one token a node: `dqn_tf/GraphWalk-v0`.

The observation begins with a start and goes on with the tokens written so far. Each token costs 1.
The goal ends the episode. A token to which no edge leads ends it too, and its cost makes the return
-15; so does a walk that is cut after 15 tokens, whose return is -15 by then.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.text import exact, logged_play
from dqn_tf.envs.text.exact import END, Model
from dqn_tf.envs.text.graphs import MOVES, SHIPPED, Graph, find_graph, shipped_walks, walker
from dqn_tf.envs.text.logged_walks import logged_walks
from dqn_tf.envs.text.token_env import PADDING_NAME, TokenEnv, chosen_start

ENV_ID = "dqn_tf/GraphWalk-v0"
CORPUS_EPISODES = 8_000  # of a graph that comes without walks


class GraphWalk(TokenEnv):
    """Observes start and tokens so far, Box [16] int32; an action is the token of the next node.

    Token 0 is the padding, and node n is token n + 1. `graph` is "1" to "4" or a file's path;
    `reset(options={"start": node})` begins at that node's number.
    """

    behaviour_steps = MOVES

    def __init__(self, graph: str = "1", render_mode: str | None = None) -> None:
        self.graph = find_graph(graph)
        self._name = str(graph)
        self._walker = walker(self.graph)
        nodes = self.graph.nodes
        actions: gym.spaces.Discrete = gym.spaces.Discrete(len(nodes), start=1)
        super().__init__((PADDING_NAME, *nodes), 1 + self.graph.limit, actions, render_mode)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a start, each node but the goal equally likely."""
        super().reset(seed=seed)
        starts = self.graph.starts
        place = chosen_start(options, starts)
        if place is None:
            place = int(self.np_random.integers(len(starts)))
        self.written = [starts[place] + 1]
        return self.observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Append a token; truncated after `limit` of them."""
        node = self.written[-1] - 1
        following = action_of(self, action) - 1
        reward, terminated, _ = move(self.graph, len(self.written) - 1, node, following)
        self.written.append(following + 1)
        truncated = not terminated and len(self.written) > self.graph.limit
        return self.observation(), reward, terminated, truncated, {}

    def behaviour(self) -> np.ndarray:
        """Return the walker's chances of the next nodes, [N]: see `graphs.walker`."""
        return self._walker[self.written[-1] - 1]

    def corpus(self) -> dict[str, np.ndarray]:
        """Return the 8,000 walks that come with the graph, or so many of the walker on another."""
        if self._name in SHIPPED:
            return logged_walks(self.graph, shipped_walks(self._name))
        return logged_play.corpus(self, CORPUS_EPISODES)

    def model(self) -> Model:
        """Return the task as tables: see `walk_model`."""
        return walk_model(self.graph)

    def optimal_return(self) -> float:
        """Return the best mean return over the starts."""
        return exact.optimum(self.model())


def move(graph: Graph, written: int, node: int, following: int) -> tuple[float, bool, bool]:
    """Return reward, termination and success of a token after `written` tokens."""
    if not graph.edges[node, following]:
        return float(written - graph.limit), True, False
    is_goal = following == graph.goal
    return -1.0, is_goal, is_goal


def walk_model(graph: Graph) -> Model:
    """Return the walks as tables; state t · N + n is node n after t tokens, action m node m."""
    count = len(graph.nodes)
    node = np.arange(count)
    written = np.arange(graph.limit)[:, np.newaxis, np.newaxis]
    shape = (graph.limit, count, count)
    is_goal = np.broadcast_to(graph.edges & (node == graph.goal), shape)
    successor = np.broadcast_to((written + 1) * count + node, shape)
    has_ended = is_goal | ~graph.edges | (written + 1 == graph.limit)
    reward = np.where(graph.edges, -1.0, written - float(graph.limit))
    return Model(
        np.where(has_ended, END, successor).reshape(-1, count),
        np.broadcast_to(reward, shape).reshape(-1, count),
        is_goal.reshape(-1, count),
        np.array(graph.starts),
    )
