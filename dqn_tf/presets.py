"""DQNConfig values for named environments, each with the claim that docs/results.md holds it to."""

from typing import Any, NamedTuple

from dqn_tf.config import DQNConfig


class Preset(NamedTuple):
    """Plain DQN tuned for one environment, the improvements recommended on top of it, and what a run with both should reach."""

    plain: dict[str, Any]
    recommended: dict[str, Any]
    claim: str

    @property
    def values(self) -> dict[str, Any]:
        """What differs from DQNConfig's defaults in a run of `train.py`: the recommended values on top of the plain ones."""
        return self.plain | self.recommended


PRESETS = {
    "CartPole-v1": Preset(
        {"total_steps": 50_000, "hidden_units": (128, 128), "loss": "mse", "learning_rate": 5e-3, "learning_rate_end": 1e-5, "batch_size": 64,
         "target_update_period_env_steps": 128, "updates_per_block": 32, "epsilon_decay_env_steps": 8_000, "v_min": 0.0, "v_max": 100.0},
        {"n_step": 3},
        "greedy return of at least 490 over 100 episodes, as the IQM of ten runs",
    ),
    "Acrobot-v1": Preset(
        {"hidden_units": (128, 128), "learning_rate": 1e-3, "learning_rate_end": 1e-5, "target_update_period_env_steps": 250,
         "replay_capacity": 50_000, "env_steps_per_update": 4.0, "epsilon_decay_env_steps": 12_000, "v_min": -100.0, "v_max": 0.0},
        {"double": True, "n_step": 3},
        "greedy return of at least -85 over 100 episodes, as the IQM of ten runs",
    ),
    "MountainCar-v0": Preset(
        {"total_steps": 120_000, "gamma": 0.98, "hidden_units": (128, 128), "learning_rate": 4e-3, "learning_rate_end": 1e-5,
         "target_update_period_env_steps": 600, "epsilon_decay_env_steps": 24_000, "updates_per_block": 32, "v_min": -50.0, "v_max": 0.0},
        {"double": True, "n_step": 3},
        "greedy return of at least -110 over 100 episodes, as the IQM of ten runs",
    ),
    "LunarLander-v3": Preset(
        {"hidden_units": (128, 128), "learning_rate": 6.3e-4, "learning_rate_end": 1e-5, "target_update_period_env_steps": 1, "tau": 0.01,
         "env_steps_per_update": 1.0, "updates_per_block": 32, "epsilon_decay_env_steps": 12_000, "v_min": -200.0, "v_max": 300.0},
        {"double": True, "n_step": 3, "dueling": True},
        "greedy return of at least 200 over 100 episodes, as the IQM of ten runs",
    ),
    "dqn_tf/GridWorld-v0": Preset(
        {"total_steps": 6_000, "gamma": 0.9, "hidden_units": (32,), "batch_size": 32, "learning_rate": 5e-3, "learning_rate_end": 1e-4,
         "target_update_period_env_steps": 50, "epsilon_decay_env_steps": 5_000, "epsilon_end": 0.2, "warmup_env_steps": 500,
         "evaluation_period_env_steps": 2_000, "v_max": 0.0},
        {},
        "greedy return of -1, the shortest way, in each of 100 episodes",
    ),
}


# All of Rainbow's parts (Hessel et al. 2018) with the settings of its table 1 that do not depend on the environment.
RAINBOW = {"double": True, "dueling": True, "prioritized": True, "priority_alpha": 0.5, "n_step": 3, "noisy": True, "distribution": "c51"}


def configure(env: str, overrides: dict[str, Any]) -> DQNConfig:
    """The environment's preset, if it has one, with `overrides` on top. Raises UserError on a bad value."""
    preset = PRESETS.get(env)
    return DQNConfig(**{"env": env} | (preset.values if preset else {}) | overrides)
