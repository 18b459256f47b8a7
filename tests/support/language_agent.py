"""Agents for Helpdesk on a tiny random language model, untrained, and what they have observed."""

from pathlib import Path
from typing import Any

import numpy as np

import tiny_language_model as tiny
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.presets import configure
from dqn_tf.envs import registry
from dqn_tf.export.publish import export

ENV = "dqn_tf/Helpdesk-v0"
SETTINGS = {
    "language_layers": 1,
    "language_prompt": "{text}",
    "message_tokens": 8,
    "width": 4,
    "hidden_units": (4,),
}


def write_model(folder: Path) -> str:
    """The model's files, at this path."""
    tiny.write_hugging_face(folder)
    return str(folder)


def make_agent(model: str, **settings: Any) -> tuple[DQN, np.ndarray, dict[str, Any]]:
    """An agent, observations of some dialogues, and what its manifest says."""
    config = configure(ENV, {"language_model": model, **SETTINGS, **settings})
    agent = DQN(config)
    env = registry.make_env(config)
    seen = []
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        seen.append(observation)
        seen += [env.step(action)[0] for action in (8, 9)]
    return agent, np.array(seen), {"env": ENV} | registry.names(config)


def publish(model: str, base: Path, **settings: Any) -> tuple[DQN, Path]:
    """The agent, and where it is published."""
    agent, seen, about = make_agent(model, **settings)
    return agent, export(agent, base, seen, about)
