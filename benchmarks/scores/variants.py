"""What is compared: named sets of values on top of the environment's plain DQN."""

import dataclasses
import hashlib
from typing import Any

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig, show
from dqn_tf.support.errors import UserError

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
    """One run's configuration:

    plain DQN of the environment's preset, the variant, then `overrides`. Raises UserError.
    """
    if variant not in VARIANTS:
        raise UserError(f"--variants: '{variant}' is none of {', '.join(VARIANTS)}.")
    preset = presets.find(env) or presets.Preset({}, {}, "")
    changes = preset.recommended if variant == "recommended" else VARIANTS[variant]
    values = {"env": env} | preset.plain | changes | overrides
    total_steps = values.get("total_steps", DQNConfig.total_steps)
    return DQNConfig(
        **{"evaluation_period_env_steps": max(1, total_steps // EVALUATIONS)}
        | values
        | {"seed": seed}
    )


def settings(config: DQNConfig) -> str:
    """The flags that make `train.py` repeat the run, but for `--seed`:

    all that differs from what it would take by itself.
    """
    base = presets.configure(config.env, {})
    words = [f"--env={config.env}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in ("env", "seed") and value != getattr(base, field.name):
            words.append(
                f"--{'' if value else 'no'}{field.name}"
                if isinstance(value, bool)
                else f"--{field.name}={show(value)}"
            )
    return " ".join(words)


def config_hash(config: DQNConfig) -> str:
    """Twelve digits that are the same for runs that differ in their seed only.

    Over the values that differ from DQNConfig's defaults: a new field does not make old runs look
    like others.
    """
    default = DQNConfig()
    words = [
        f"{field.name}={show(value)}"
        for field in dataclasses.fields(config)
        if field.name != "seed"
        and (value := getattr(config, field.name)) != getattr(default, field.name)
    ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
