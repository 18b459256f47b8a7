"""What is sent to the signatures of a language model: the messages of observations, taken apart."""

from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.envs.dialogues import PADDING, ROLES
from dqn_tf.envs.spaces import Spaces

Arrays = dict[str, Any]


def message_inputs(observation: np.ndarray, spaces: Spaces) -> Arrays:
    """Return the tokens of all texts [N, L], who spoke [B, M], and names for choices [B, C]."""
    places = _places(observation, spaces)
    names = np.array([name.encode() for name in ROLES], object)
    # made-up observations may hold any number
    speaker = np.where(places[..., 0] == PADDING, 0, np.clip(places[..., 0], 1, len(ROLES) - 1))
    role = names[speaker]
    inputs: Arrays = {"tokens": _flat(places[..., 1:]), "role": role}
    if spaces.choices:
        tokens = _choices(observation, spaces)
        texts = np.array([f"choice {place}".encode() for place in range(spaces.choices)], object)
        inputs["choices"] = np.where((tokens != PADDING).any(axis=2), texts, b"")
        if spaces.choice_tokens == places.shape[2] - 1:
            inputs["tokens"] = np.concatenate([inputs["tokens"], _flat(tokens)])
    return inputs


def said_inputs(agent: DQN, observation: np.ndarray) -> Arrays:
    """Return what the agent's language model says of the messages and the choices."""
    spaces = agent.spaces
    said = {"features": _said(agent, _places(observation, spaces)[..., 1:])}
    if spaces.choices:
        said["choice_features"] = _said(agent, _choices(observation, spaces))
    return said


def agent_features(agent: DQN, tokens: np.ndarray) -> np.ndarray:
    """Return what the live agent's language model says of texts, [N, W] of tokens [N, L]."""
    torso: Any = agent.online.torso
    features: np.ndarray = torso.text_features(tf.constant(tokens, tf.int32)).numpy()
    return features


def agent_values(agent: DQN, inputs: Arrays) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Return the live agent's Q-values and behaviour [B, A] for inputs of `from_features`."""
    numbers = {name.encode(): number for number, name in enumerate(ROLES)} | {b"": PADDING}
    role = np.array([numbers[name] for name in inputs["role"].flat], np.int32)
    choices = inputs.get("choice_features")
    return agent.online.values_of_features(
        tf.constant(inputs["features"]),
        tf.constant(role.reshape(inputs["role"].shape)),
        None if choices is None else tf.constant(choices),
    )


def _said(agent: DQN, tokens: np.ndarray) -> np.ndarray:
    features = agent_features(agent, _flat(tokens))
    return features.reshape(*tokens.shape[:2], features.shape[1])


def _places(observation: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return messages, each the number of who spoke and its tokens, [B, M, 1 + L]."""
    length = spaces.text_tokens // spaces.messages
    state = observation[:, : spaces.text_tokens]
    return state.reshape(len(observation), spaces.messages, length)


def _choices(observation: np.ndarray, spaces: Spaces) -> np.ndarray:
    return observation[:, spaces.text_tokens :].reshape(
        len(observation), spaces.choices, spaces.choice_tokens
    )


def _flat(tokens: np.ndarray) -> np.ndarray:
    return tokens.reshape(-1, tokens.shape[2])
