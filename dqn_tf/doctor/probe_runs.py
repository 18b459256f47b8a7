"""Trains on a probe with the whole engine and tells from the learned Q-value what was wrong."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import flag_words
from dqn_tf.engines.factory import make_host_engine
from dqn_tf.envs import registry
from dqn_tf.envs.probes import GAMMA, Probe
from dqn_tf.support.errors import UserError

# A table (one-hot, no hidden layer) that forgets its start, so that it learns the fixed point. All
# other settings are the user's.
SETTINGS = {
    "seed": 0,
    "gamma": GAMMA,
    "network": "mlp",
    "hidden_units": (),
    "optimizer": "adam",
    "optimizer_epsilon": 1e-7,
    "batch_size": 64,
    "learning_rate": 5e-2,
    "learning_rate_end": 1e-3,
    "max_gradient_norm": 10.0,
    "target_update_period_env_steps": 20,
    "tau": 1.0,
    "v_min": -6.0,
    "v_max": 6.0,
    "total_steps": 1_400,
    "warmup_env_steps": 200,
    "env_steps_per_update": 1.0,
    "updates_per_block": 25,
    "replay_capacity": 1_400,
    "epsilon_schedule": "linear",
    "epsilon_start": 1.0,
    "epsilon_end": 1.0,
}
# settings that the probes cannot have, with the value that they do have
NOT_OF_PROBES = {"replay_unit": "transition", "workers": 0, "collector": "local"}
# No data are read, all networks begin with zeros, and there is one legal action at a step, so that
# the policy's logarithm is 0.
UNTESTED = ("munchausen", "initial_weights", "initial_replay", "data", "cql_alpha", "imitation")


class Result(NamedTuple):
    """A probe and the Q-value that was learned on it."""

    probe: Probe
    q_value: float

    @property
    def passed(self) -> bool:
        """Whether the right Q-value was learned."""
        return self._is_about(self.probe.expected)

    @property
    def verdict(self) -> str:
        """What was learned, in words."""
        if self.passed:
            return "right"
        if self._is_about(self.probe.wrong):
            return f"WRONG: {self.probe.mistake}"
        return "WRONG, and by another mistake than this probe knows"

    def _is_about(self, q_value: float) -> bool:
        return abs(self.q_value - q_value) <= self.probe.tolerance


def replaced(overrides: dict[str, Any]) -> list[str]:
    """Return the user's flags that the probes have values of their own for."""
    return [f"--{name}" for name in overrides if name in SETTINGS]


def untested(overrides: dict[str, Any]) -> list[str]:
    """Return the user's flags that change nothing of what a probe learns."""
    return [f"--{name}" for name, value in overrides.items() if value and name in UNTESTED]


def configuration(probe: Probe, overrides: dict[str, Any]) -> DQNConfig:
    """Return the user's settings, with those that the probe needs.

    Raises UserError on a value out of range.
    """
    if overrides.get("engine") == "graph":
        raise UserError(
            "--engine=graph: the probes are Gymnasium environments, which the host engine steps."
            " Leave the flag out."
        )
    for name, value in NOT_OF_PROBES.items():
        if overrides.get(name, value) != value:
            raise UserError(
                f"{' '.join(flag_words(name, overrides[name]))}: the probes learn from single steps"
                " that are taken in this process. Leave it out."
            )
    return DQNConfig(**overrides | SETTINGS | probe.overrides | {"env": probe.env})


def learn(probe: Probe, overrides: dict[str, Any]) -> Result:
    """Train on the probe's environment, from networks of zeros, and read the Q-value."""
    config = configuration(probe, overrides)
    agent = DQN(config, registry.spaces(config))
    agent.compile()
    for network in (agent.online, agent.target):
        network.set_weights([np.zeros_like(weights) for weights in network.get_weights()])
    engine = make_host_engine(config, agent, registry.maker(config))
    try:
        while engine.env_step < config.total_steps:
            engine.run_block()
    finally:
        engine.close()
    observation = tf.constant([probe.observation], agent.spaces.observation_dtype)
    return Result(probe, float(agent(observation)[0, probe.action]))
