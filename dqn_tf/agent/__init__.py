"""From a batch to a gradient: networks, targets, losses and the update."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Return `DQN` or `Torso`; TensorFlow is imported when one of them is asked for."""
    if name == "DQN":
        from dqn_tf.agent.dqn import DQN

        return DQN
    if name == "Torso":
        from dqn_tf.agent.networks.torsos.base import Torso

        return Torso
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
