"""From a batch to a gradient: networks, targets, losses and the update."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`dqn_tf.agent.DQN`; TensorFlow is imported when it is asked for."""
    if name == "DQN":
        from dqn_tf.agent.dqn import DQN

        return DQN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
