"""DQNConfig values for named environments, each with the claim that docs/results.md holds it to."""

import dataclasses
import numbers
from typing import Any

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.language_checks import without_unread
from dqn_tf.config.notation import is_version_of
from dqn_tf.config.preset import LongRun, Preset
from dqn_tf.config.settings.learning import BESIDE_MUNCHAUSEN
from dqn_tf.config.settings.logged import LoggedDataSettings
from dqn_tf.config.text_presets import TEXT_PRESETS, WHERE_MODEL_LEARNS, WITH_LANGUAGE_MODEL

# For any Atari game: the settings of Mnih et al. 2015 cut to what fits into a night, with Adam, a
# smaller replay and a faster falling epsilon.
ATARI = Preset(
    {
        "total_steps": 2_000_000,
        "num_envs": 8,
        "learning_rate": 1e-4,
        "optimizer_epsilon": 1.5e-4,
        "batch_size": 32,
        "replay_capacity": 200_000,
        "warmup_env_steps": 20_000,
        "env_steps_per_update": 4.0,
        "target_update_period_env_steps": 8_000,
        "epsilon_end": 0.01,
        "epsilon_decay_env_steps": 250_000,
        "evaluation_period_env_steps": 250_000,
        "evaluation_episodes": 10,
        "test_episodes": 30,
        "checkpoint_period_env_steps": 100_000,
    },
    {"double": True, "n_step": 3},
    "none: it was tuned on no game",
)

# For any MinAtar game: the settings of the published rows (Obando-Ceron and Castro 2021; Daley et
# al. 2025), and Munchausen's reward on top. Their loss is half the squared error with an epsilon of
# 3.125e-4: with twice the gradient, twice the epsilon is the same step.
MINATAR = Preset(
    {
        "total_steps": 1_000_000,
        "learning_rate": 2.5e-4,
        "optimizer_epsilon": 6.25e-4,
        "loss": "mse",
        "max_gradient_norm": 0.0,
        "batch_size": 32,
        "env_steps_per_update": 4.0,
        "target_update_period_env_steps": 1_000,
        "epsilon_end": 0.01,
        "epsilon_decay_env_steps": 250_000,
        "evaluation_period_env_steps": 100_000,
        "checkpoint_period_env_steps": 100_000,
    },
    {"munchausen": True},
    "the mean of the published DQN rows at a million steps",
)
FAMILIES = {"ALE": ATARI, "MinAtar": MINATAR}
# Modules whose ids are known without them, and how those begin.
REGISTERED_BY = {"ale_py": "ALE/", "minatar": "MinAtar/", "gymnasium": ""}

PRESETS = {
    "ALE/Pong-v5": Preset(
        {
            "total_steps": 500_000,
            "num_envs": 8,
            "network": "nips_cnn",
            "learning_rate": 2e-4,
            "optimizer_epsilon": 1.5e-4,
            "batch_size": 32,
            "warmup_env_steps": 8_000,
            "target_update_period_env_steps": 2_000,
            "epsilon_end": 0.02,
            "epsilon_decay_env_steps": 100_000,
            "evaluation_period_env_steps": 25_000,
            "evaluation_episodes": 8,
            "test_episodes": 30,
            "export_weights": "best",
            "checkpoint_period_env_steps": 25_000,
            "sticky_actions": 0.0,
        },
        {"n_step": 3},
        "greedy return of at least 18 over 30 episodes without sticky actions",
    ),
    # Three-step returns double its score, and halve that of Asterix: docs/notes/measurements.md.
    "MinAtar/Breakout-v1": MINATAR._replace(recommended=MINATAR.recommended | {"n_step": 3}),
    "CartPole-v1": Preset(
        {
            "total_steps": 50_000,
            "hidden_units": (128, 128),
            "loss": "mse",
            "learning_rate": 1e-2,
            "learning_rate_end": 1e-5,
            "batch_size": 64,
            "target_update_period_env_steps": 128,
            "updates_per_block": 32,
            "epsilon_decay_env_steps": 8_000,
            "v_min": 0.0,
            "v_max": 100.0,
        },
        {"n_step": 3},
        "greedy return of at least 490 over 100 episodes, as the IQM of ten runs",
    ),
    "Acrobot-v1": Preset(
        {
            "hidden_units": (128, 128),
            "learning_rate": 1e-3,
            "learning_rate_end": 1e-5,
            "target_update_period_env_steps": 250,
            "replay_capacity": 50_000,
            "env_steps_per_update": 4.0,
            "epsilon_decay_env_steps": 12_000,
            "v_min": -100.0,
            "v_max": 0.0,
        },
        {"double": True, "n_step": 3},
        "greedy return of at least -85 over 100 episodes, as the IQM of ten runs",
    ),
    "MountainCar-v0": Preset(
        {
            "total_steps": 120_000,
            "gamma": 0.98,
            "hidden_units": (128, 128),
            "learning_rate": 4e-3,
            "learning_rate_end": 1e-5,
            "target_update_period_env_steps": 600,
            "epsilon_decay_env_steps": 24_000,
            "updates_per_block": 32,
            "v_min": -50.0,
            "v_max": 0.0,
        },
        {"double": True, "n_step": 3},
        "greedy return of at least -110 over 100 episodes, as the IQM of ten runs",
    ),
    "LunarLander-v3": Preset(
        {
            "hidden_units": (128, 128),
            "learning_rate": 6.3e-4,
            "learning_rate_end": 1e-5,
            "target_update_period_env_steps": 1,
            "tau": 0.01,
            "env_steps_per_update": 1.0,
            "updates_per_block": 32,
            "epsilon_decay_env_steps": 12_000,
            "v_min": -200.0,
            "v_max": 300.0,
        },
        {
            "double": True,
            "n_step": 3,
            "dueling": True,
            # so that the lander neither hovers nor waits on the ground: docs/notes/failures.md
            "gamma": 0.995,
            "learning_rate": 3e-4,
            "epsilon_decay_env_steps": 50_000,
            # of nine runs with more updates two were lost; with targets that are cut, none of ten
            "env_steps_per_update": 0.5,
            "clip_targets": True,
            "v_min": -500.0,
        },
        "greedy return of at least 200 over 100 episodes, as the IQM of ten runs, and of 270 after"
        " 300,000 steps",
        # The 100 for having landed, and the -100 of a crash, come seldom from states that look
        # alike, and a bend at 1 takes them for outliers. It takes its time: after 100,000 steps
        # scores are lower with a bend at 30.
        LongRun(
            300_000,
            {"huber_delta": 30.0, "max_gradient_norm": 300.0, "epsilon_end": 0.1},
        ),
    ),
    # highway-env's documentation trains Stable-Baselines3's DQN like this; what it does not name is
    # that library's default. An update a step, and a short horizon: a step is a second of driving.
    "highway_env:highway-fast-v0": Preset(
        {
            "total_steps": 20_000,
            "optimizer_epsilon": 1e-8,
            "gamma": 0.8,
            "batch_size": 32,
            "replay_capacity": 15_000,
            "warmup_env_steps": 200,
            "env_steps_per_update": 1.0,
            "target_update_period_env_steps": 50,
            "epsilon_decay_env_steps": 2_000,
            "evaluation_period_env_steps": 5_000,
        },
        {},
        "greedy return of at least 20 over 100 episodes, as the mean of ten runs",
    ),
    "dqn_tf/GridWorld-v0": Preset(
        {
            "total_steps": 6_000,
            "gamma": 0.9,
            "hidden_units": (32,),
            "batch_size": 32,
            "learning_rate": 5e-3,
            "learning_rate_end": 1e-4,
            "target_update_period_env_steps": 50,
            "epsilon_decay_env_steps": 5_000,
            "epsilon_end": 0.2,
            "warmup_env_steps": 500,
            "evaluation_period_env_steps": 2_000,
            "v_max": 0.0,
        },
        {},
        "greedy return of -1, the shortest way, in each of 100 episodes",
    ),
    **TEXT_PRESETS,
}


# All of Rainbow's parts (Hessel et al. 2018) with the settings of its table 1 that do not depend on
# the environment.
RAINBOW: dict[str, Any] = {
    "double": True,
    "dueling": True,
    "prioritized": True,
    "priority_alpha": 0.5,
    "n_step": 3,
    "noisy": True,
    "distribution": "c51",
}


DIALOGUE_TOKENS = 128  # of one that is read as a whole; a Chinese one of Helpdesk has 128 at most
OF_LOGGED_DATA = frozenset(field.name for field in dataclasses.fields(LoggedDataSettings))


def general(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return what an environment without a preset gets beside `overrides`.

    An action that was seldom taken is valued by few rewards, so half of the run explores. Huber's
    loss settles between mean and median where rewards are drawn by lot, and only the mean is the
    Q-value. At the end the step size falls so far that the last batches no longer move it.
    """
    return {
        "loss": "mse",
        "learning_rate_end": 1e-5,
        "epsilon_decay_env_steps": max(1, total_steps(overrides) // 2),
    }


def total_steps(values: dict[str, Any]) -> int:
    """Return the length of a run with these values.

    It is the default where they name none, or something that is no number: DQNConfig refuses that.
    """
    steps = values.get("total_steps")
    return int(steps) if isinstance(steps, numbers.Integral) else DQNConfig.total_steps


def without_rise(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with an end of the step size that is not above the one in `overrides`."""
    rate, end = overrides.get("learning_rate"), values.get("learning_rate_end")
    if not isinstance(rate, numbers.Real) or end is None:
        return values  # DQNConfig refuses what is no number
    return values | {"learning_rate_end": min(end, float(rate))}


def without_excluded(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return `values` without the bootstrap that is excluded by one in `overrides`.

    So `--rainbow` can be typed where a preset has Munchausen's, and `--munchausen` where it has
    double DQN's. Of two that are both typed, DQNConfig refuses one.
    """
    excluded = set(BESIDE_MUNCHAUSEN) if overrides.get("munchausen") else set()
    for name, allowed in BESIDE_MUNCHAUSEN.items():
        if overrides.get(name, allowed[0]) not in allowed:
            excluded.add("munchausen")
    return {name: value for name, value in values.items() if name not in excluded}


def find(env: str) -> Preset | None:
    """Return the environment's preset, or that of its family (Atari, MinAtar), or None."""
    env = full_id(env)
    return PRESETS.get(env) or FAMILIES.get(env.rpartition("/")[0])


def full_id(env: str) -> str:
    """Return an id with its version: CartPole is the CartPole-v1 that has a preset.

    Gymnasium takes the newest version of an id without one. An id that has no preset is returned as
    it is, but for a module that need not be named: `ale_py:ALE/Pong-v5` is `ALE/Pong-v5`.
    """
    module, _, own = env.rpartition(":")
    prefix = REGISTERED_BY.get(module)
    if prefix is not None and own.startswith(prefix):
        env = own
    return next((name for name in PRESETS if is_version_of(name, env)), env)


def configure(env: str, overrides: dict[str, Any] | None = None) -> DQNConfig:
    """Return the configuration of the environment's preset, with `overrides` on top.

    Without a preset the values are `general` ones. A policy that has learned from logged data has
    no need of random actions at first: where there are offline updates, or `initial_weights`,
    exploration begins with `epsilon_end`. Where `data` is overridden by none, so is all that the
    preset would have learned from them. A language model brings its torso, and has values of its
    own; what it reads as one text may be long. Workers are a block behind. A step size that is
    below the end of the preset's stays as it is, and a bootstrap that excludes the preset's takes
    its place. Raises UserError on a bad value.
    """
    env = full_id(env)
    preset = find(env)
    overrides = overrides or {}
    chosen = _of_preset(preset, overrides) if preset else general(overrides)
    if "data" in overrides and not overrides["data"]:
        chosen = {name: value for name, value in chosen.items() if name not in OF_LOGGED_DATA}
    if overrides.get("language_model"):
        chosen |= _with_language_model(env, overrides)
    if overrides.get("workers"):
        chosen["lag"] = 1
    chosen = without_excluded(without_rise(chosen, overrides), overrides)
    values = chosen | overrides | {"env": env}
    config = DQNConfig(**values)
    if (config.offline_updates or config.initial_weights) and "epsilon_start" not in values:
        return dataclasses.replace(config, epsilon_start=config.epsilon_end)
    return config


def _with_language_model(env: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return what changes where a language model reads the texts.

    What it says is read by the torso that is made for it. Another one reads its tokens, and has
    none of that torso's settings.
    """
    chosen: dict[str, Any] = {"network": "pretrained", "replay_unit": DQNConfig.replay_unit}
    if env in WITH_LANGUAGE_MODEL:
        chosen |= WITH_LANGUAGE_MODEL[env]
        chosen |= WHERE_MODEL_LEARNS.get(overrides.get("fine_tune", "head"), {})
    typed = {name: overrides[name] for name in ("language_model", "network") if name in overrides}
    chosen = without_unread(chosen | typed)
    if overrides.get("dialogue") == "text":
        chosen["message_tokens"] = DIALOGUE_TOKENS
    return chosen


def _of_preset(preset: Preset, overrides: dict[str, Any]) -> dict[str, Any]:
    length = total_steps(preset.plain | overrides)
    return preset.plain | preset.recommended_for(length)
