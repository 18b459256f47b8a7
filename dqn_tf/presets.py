"""DQNConfig values for named environments, each with the claim that docs/results.md holds it to."""

from typing import Any, NamedTuple

from dqn_tf.config import DQNConfig


class Preset(NamedTuple):
    """Values that differ from DQNConfig's defaults, and what a run with them is expected to reach."""

    values: dict[str, Any]
    claim: str


PRESETS = {
    "CartPole-v1": Preset(
        {"total_steps": 50_000, "hidden_units": (128, 128), "loss": "mse", "learning_rate": 3e-3, "learning_rate_end": 1e-5, "batch_size": 64,
         "target_update_period_env_steps": 128, "updates_per_block": 32, "epsilon_decay_env_steps": 8_000},
        "greedy return of at least 475 over 100 episodes",
    ),
}


def configure(env: str, overrides: dict[str, Any]) -> DQNConfig:
    """The environment's preset, if it has one, with `overrides` on top. Raises UserError on a bad value."""
    preset = PRESETS.get(env)
    return DQNConfig(**{"env": env} | (preset.values if preset else {}) | overrides)
