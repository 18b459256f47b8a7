"""The variants that are compared: named changes of the environment's plain DQN."""

import dataclasses
import hashlib
from typing import Any

from benchmarks.scores.published import protocol
from dqn_tf.config import presets, typed
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.config.preset import Preset
from dqn_tf.support.errors import UserError

# what changes no bit of a run but its seed
NOT_HASHED = ("seed", "workers", "ray_address", "worker_timeout", "accept_other_workers")
EVALUATIONS = 20  # greedy evaluations during a run: the points of its learning curve

# each improvement alone, and Rainbow's together; `recommended` is the preset's own
VARIANTS: dict[str, dict[str, Any]] = {
    "dqn": {},
    "recommended": {},
    "double": {"double": True},
    "dueling": {"dueling": True},
    "prioritized": {"prioritized": True},
    "n_step": {"n_step": 3},
    "noisy": {"noisy": True},
    "c51": {"distribution": "c51"},
    "quantile": {"distribution": "quantile"},
    "munchausen": {"munchausen": True},
    "rainbow": presets.RAINBOW,
}


def configure(env: str, variant: str, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build one run's configuration. Raises UserError.

    It is plain DQN of the environment's preset, changed by the variant, then by `overrides`, and
    tested as published scores are.
    """
    if variant not in VARIANTS:
        raise UserError(f"--variants: '{variant}' is none of {', '.join(VARIANTS)}.")
    preset = presets.find(env) or Preset({}, {}, "")
    total_steps = presets.total_steps(preset.plain | overrides)
    changes = VARIANTS[variant]
    if variant == "recommended":
        changes = preset.recommended_for(total_steps)
    values = {"env": env} | preset.plain | changes | protocol(env) | overrides
    values.setdefault("evaluation_period_env_steps", max(1, total_steps // EVALUATIONS))
    return DQNConfig(**values | {"seed": seed})


def settings(config: DQNConfig) -> str:
    """Write the flags with which `train.py` repeats the run, without `--seed`."""
    return " ".join(typed.training_flags(config, left_out=("seed",)))


def config_hash(config: DQNConfig) -> str:
    """Return twelve digits that are the same for runs that differ in their seed only.

    They are made of the values that differ from DQNConfig's defaults. So old runs keep their hash
    when DQNConfig gets a new field. Where the steps are taken changes nothing of what is learned.
    """
    default = DQNConfig()
    words = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in NOT_HASHED and value != getattr(default, field.name):
            words.append(f"{field.name}={show(value)}")
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
