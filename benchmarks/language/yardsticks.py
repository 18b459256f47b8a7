"""What is known exactly beside the runs: optimum, random, cloning. Computed, not sampled."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.text import exact, maze, rewrite
from dqn_tf.envs.text.exact import Model


class Yardstick(NamedTuple):
    """A policy's mean return, and the share of its episodes that succeed."""

    title: str
    score: float
    success: float


def yardsticks() -> dict[str, list[Yardstick]]:
    """Return the yardsticks by the id of the environment."""
    return {maze.ENV_ID: list(_of_maze()), rewrite.ENV_ID: list(_of_rewrite())}


def _of_maze() -> Iterator[Yardstick]:
    """Yield those of the maze, whose logged player gives the four commands equally often.

    So its clone is one command at random; what a greedy clone does is an accident.
    """
    choices, tokens = maze.choice_model(), maze.token_model()
    yield _yardstick("optimum", choices, exact.best_policy(choices))
    yield _yardstick(
        "commands at random, and cloning of them, sampled", choices, exact.uniform(choices)
    )
    yield _yardstick("tokens at random", tokens, exact.uniform(tokens))


def _of_rewrite() -> Iterator[Yardstick]:
    """Yield those of Rewrite, whose logged player knows half of the tokens.

    So the likeliest one is always right.
    """
    for pays_tokens, paid in ((True, "by the token"), (False, "at the end")):
        model = rewrite.rewrite_model(rewrite.LENGTH, rewrite.SYMBOLS, pays_tokens)
        cloning = np.full(model.reward.shape, (1.0 - rewrite.KNOWN) / rewrite.SYMBOLS)
        cloning[:, 0] += rewrite.KNOWN  # action 0 stands for the right token
        policies = {
            "optimum, and cloning, greedy": exact.best_policy(model),
            "cloning, sampled": cloning,
            "tokens at random": exact.uniform(model),
        }
        for title, policy in policies.items():
            yield _yardstick(f"{title}, paid {paid}", model, policy)


def _yardstick(title: str, model: Model, policy: np.ndarray) -> Yardstick:
    return Yardstick(title, exact.mean_return(model, policy), exact.success(model, policy))
