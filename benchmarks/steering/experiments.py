"""The experiment and the ways to act that are compared. To add a way, add a line.

One run learns Q-values once; all ways that use them use the same ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig

ENV = "benchmarks.steering"  # a name for the task: no environment is made
ALWAYS = float("inf")


class Way(NamedTuple):
    """One row: how a token is chosen.

    Attributes:
      beta: the policy is log π + beta · Q, π being the model's; ALWAYS is Q alone.
      is_greedy: whether the likeliest token of the policy is taken, and none is drawn.
      best_of: of so many replies the one that the paying judge likes best.
    """

    name: str
    title: str
    beta: float = 0.0
    is_greedy: bool = False
    best_of: int = 1


class Plan(NamedTuple):
    """How much is written.

    Attributes:
      rounds: of writing replies and learning from all so far; the first is the model's own.
      replies: to each complaint in a round.
      updates: of each round.
      beta: with which the later rounds are written.
      choices: tokens to choose from.
      length: tokens of the longest reply.
      pool: the model's own replies to each complaint, from which the best are taken.
      scored: replies to each complaint of each way that draws with Q.
    """

    rounds: int = 5
    replies: int = 12
    updates: int = 150
    beta: float = 8.0
    choices: int = 16
    length: int = 12
    pool: int = 32
    scored: int = 8


class Experiment(NamedTuple):
    """What is learned: a plan and the settings of the DQN."""

    name: str
    title: str
    plan: Plan
    settings: dict[str, Any]
    seeds: range


EXPERIMENT = Experiment(
    "smollm2",
    "replies of SmolLM2",
    Plan(),
    {
        "language_model": "smollm2",
        "gamma": 1.0,
        "double": True,
        "width": 128,
        "batch_size": 128,
        "learning_rate": 5e-4,
        "target_update_period_env_steps": 50,
        "env_steps_per_update": 1.0,
        "loss": "mse",
    },
    range(1, 6),
)
BY_NAME = {EXPERIMENT.name: EXPERIMENT}
WAYS = (
    Way("model", "the model, drawn"),
    Way("model_greedy", "the model, its likeliest token", is_greedy=True),
    Way("best_2", "best of 2 of the model's", best_of=2),
    Way("best_4", "best of 4", best_of=4),
    Way("best_8", "best of 8", best_of=8),
    Way("best_16", "best of 16", best_of=16),
    Way("beta_2", "log π + 2 Q, drawn", 2.0),
    Way("beta_8", "log π + 8 Q, drawn", 8.0),
    Way("beta_32", "log π + 32 Q, drawn", 32.0),
    Way("beta_8_greedy", "log π + 8 Q, the largest", 8.0, True),
    Way("q", "Q within the support, the largest", ALWAYS, True),
)


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of a run; `overrides` come last. Raises UserError.

    The plan is in `env_kwargs`: a run with another plan is another run.
    """
    values: dict[str, Any] = {"env": ENV, "env_kwargs": experiment.plan._asdict()}
    return DQNConfig(**values | experiment.settings | {"seed": seed} | overrides)
