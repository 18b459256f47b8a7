"""Writes recorded episodes as a Minari data set, without losses: pictures are not made JPEG."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.minari_data import import_minari
from dqn_tf.record.npz_output import ended
from dqn_tf.record.play import Episode
from dqn_tf.support.errors import UserError, describe_error


def require_new(name: str) -> None:
    """Raise UserError if there is such a data set, its name is none, or Minari is missing."""
    minari = import_minari()
    flag = f"--output=minari:{name}"
    try:
        minari.dataset.minari_dataset.parse_dataset_id(name)
        path = minari.storage.get_dataset_path(name)
    except OSError as error:
        where = error.filename or "Minari's directory"
        raise UserError(f"{flag}: {where}: {error.strerror or error}.") from error
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{flag}: an id is a name and a version, such as minari:cartpole/random-v0; before"
            " a slash are two characters or more."
        ) from error
    if path.exists():
        raise UserError(f"{flag}: there is such a data set, in {path}: delete it, or name another.")


def write(
    name: str, episodes: Sequence[Episode], env: gym.Env, spaces: Spaces, algorithm: str
) -> None:
    """Write a data set. Raises UserError if it cannot be written."""
    minari = import_minari()
    is_dict = isinstance(env.observation_space, Mapping)
    buffers = [_buffer(episode, is_dict, spaces) for episode in episodes]
    try:
        minari.create_dataset_from_buffers(
            name,
            buffers,
            env=env if _is_told(env) else None,
            observation_space=env.observation_space,
            action_space=env.action_space,
            algorithm_name=algorithm,
            data_format="hdf5",
            jpeg_encoding=False,
        )
    except Exception as error:  # whatever HDF5 or Minari raise
        shutil.rmtree(minari.storage.get_dataset_path(name), ignore_errors=True)
        raise UserError(
            f"--output=minari:{name} cannot be written: {describe_error(error)}."
        ) from error


def _is_told(env: gym.Env) -> bool:
    """Tell whether it can be written how the environment is made again."""
    try:
        env.spec.to_json()  # type: ignore[union-attr]
    except Exception:  # a spec may hold any object
        return False
    return True


def _buffer(episode: Episode, is_dict: bool, spaces: Spaces) -> Any:
    """Return an episode as Minari takes it; observations have one more entry than actions."""
    minari = import_minari()
    observations: Any = np.asarray(episode.observations, spaces.observation_dtype)
    infos: dict[str, np.ndarray] = {"propensity": np.asarray(episode.propensities)}
    if is_dict:
        mask = np.asarray(episode.masks, np.int8)
        observations = {"observation": observations, "action_mask": mask}
    elif episode.masks:
        infos["action_mask"] = np.asarray(episode.masks)
    return minari.data_collector.EpisodeBuffer(
        seed=episode.seed,
        observations=observations,
        actions=np.asarray(episode.actions, np.int64),
        rewards=np.asarray(episode.rewards),
        terminations=ended(episode, episode.terminated),
        truncations=ended(episode, not episode.terminated),
        infos=infos,
    )
