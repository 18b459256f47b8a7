"""How much of a run the graph engine does in one call.

To enter a compiled program takes as long as several updates of a small network. So a call takes
several portions, each as long as the configuration's blocks. Random numbers are drawn for one
portion after the other: a run is the same whatever the length of its calls.
"""

import math

from dqn_tf.config.dqn_config import DQNConfig

UPDATES = 256  # of a call at most, unless one portion has more


def most_portions(config: DQNConfig) -> int:
    """Return the largest number of portions that a call can have."""
    portion = _env_steps_of_portion(config)
    return min(_together(config), *(math.ceil(period / portion) for period in _periods(config)))


def steps_of_call(config: DQNConfig, env_step: int) -> int:
    """Return the steps of each environment in the call that begins at this environment step.

    It ends with the portion in which an evaluation, a checkpoint or a row of metrics gets due, and
    before the run's end. It depends on the step alone: a run that resumes has the calls that it
    would have had.
    """
    portion = _env_steps_of_portion(config)
    periods = _periods(config)
    last = max(env_step // period * period for period in periods)
    end = min((env_step // period + 1) * period for period in periods)
    together = _together(config)
    until_due = math.ceil((end - env_step) / portion)
    until_longest = together - (env_step - last) // portion % together
    left = math.ceil((config.total_steps - env_step) / config.num_envs)
    return min(left, min(until_due, until_longest) * config.block_steps)


def _together(config: DQNConfig) -> int:
    return max(1, UPDATES // config.most_updates)


def _env_steps_of_portion(config: DQNConfig) -> int:
    return config.block_steps * config.num_envs


def _periods(config: DQNConfig) -> list[int]:
    """Return the periods that end a call, at least one: rows of metrics always have one."""
    periods = (
        config.evaluation_period_env_steps,
        config.checkpoint_period_env_steps,
        config.log_period_env_steps,
    )
    return [period for period in periods if period]
