"""Reads Minari data sets (https://minari.farama.org), episode by episode.

Only the data sets of this machine are read: nothing is downloaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.envs.returned import Refused
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.envs.tokens import Vocabulary, tokens_like
from dqn_tf.envs.written_observations import ObservationReader, in_written_order
from dqn_tf.experience.logged.building import EpisodesBuilder, Part
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.support.errors import UserError, describe_error

METADATA = "metadata.json"
# what must be the same in the data set and in the environment
COMPARED = (
    "observation_shape",
    "observation_dtype",
    "categories",
    "category_start",
    "actions",
    "action_start",
)


def import_minari() -> Any:
    """Return the package. Raises UserError if it is not installed."""
    for name in ("minari", "h5py"):
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"Minari data sets need {name}, which is not installed. Type: pip install"
                " 'dqn_tf[minari]'"
            )
    return importlib.import_module("minari")


def data_directory(path: Path) -> Path | None:
    """Return where the files of a data set are, of its own directory or of `data` in it."""
    for directory in (path, path / "data"):
        if (directory / METADATA).is_file():
            return directory
    return None


def find(name: str) -> Path:
    """Return the data directory of `minari:NAME`. Raises UserError if there is none."""
    root = import_minari().storage.get_dataset_path(name)
    directory = data_directory(root) if name else None
    if directory is None:
        raise UserError(
            f"--data=minari:{name}: there is no such data set in {root}. To download one, type:"
            f" minari download {name or 'ID'}"
        )
    return directory


def load(source: str, directory: Path, spaces: Spaces) -> LoggedEpisodes:
    """Read a data set. Raises UserError if it is damaged, or of other spaces than the agent's."""
    minari = import_minari()
    try:
        dataset = minari.MinariDataset(directory)
        steps, episodes = int(dataset.total_steps), int(dataset.total_episodes)
        reader = ObservationReader(_observation_space(dataset, directory), dataset.action_space)
    except Exception as error:  # by the damage: KeyError, OSError, AssertionError and others
        raise UserError(f"{source} cannot be read: {describe_error(error)}.") from error
    _require_spaces(source, reader, dataset.action_space, spaces)
    if not steps:
        raise UserError(f"{source} holds no steps, so there is nothing to learn from.")
    place = _Places()
    part = Part(source, steps, episodes, place)
    builder = None
    names: set[str] = set()
    for number, columns in enumerate(_episodes(source, dataset, spaces, reader)):
        if builder is None:
            builder = EpisodesBuilder(spaces, source, [part], columns)
            builder.begin(part)
            names = set(columns)
        for name in names ^ set(columns):
            raise UserError(
                f"{source}: some of its episodes have a column {name}, and episode"
                f" {number if name in names else 0} has none."
            )
        place.add(len(columns["action"]))
        if place.steps > steps or number >= episodes:
            break
        _put(builder, source, number, columns)
    if builder is None or place.steps != steps:
        raise UserError(
            f"{source} is damaged: its {METADATA} says {steps:,} steps in {episodes:,} episodes,"
            " and there are others."
        )
    builder.end()
    return builder.finish(_notes(minari, dataset))


class _Places:
    """Says in words where a row is: the episode and the step, both counted from 0."""

    def __init__(self) -> None:
        self.steps = 0
        self._starts: list[int] = []

    def add(self, steps: int) -> None:
        self._starts.append(self.steps)
        self.steps += steps

    def __call__(self, row: int) -> str:
        episode = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"episode {episode}, step {row - self._starts[episode]}"


def _observation_space(dataset: Any, directory: Path) -> Any:
    """Return the space with the entries of a Dict in the order in which they were written."""
    metadata = json.loads((directory / METADATA).read_text(encoding="utf-8"))
    space = dataset.observation_space
    if "observation_space" not in metadata:  # it is then that of an environment that was made
        return space
    return in_written_order(space, json.loads(metadata["observation_space"]))


def _episodes(
    source: str, dataset: Any, spaces: Spaces, reader: ObservationReader
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the columns of each episode; its id is its number."""
    try:
        for number, episode in enumerate(dataset.iterate_episodes()):
            yield _columns(source, number, episode, spaces, reader)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # by the damage
        raise UserError(f"{source} cannot be read: {describe_error(error)}.") from error


def _columns(
    source: str, number: int, episode: Any, spaces: Spaces, reader: ObservationReader
) -> dict[str, np.ndarray]:
    infos = episode.infos or {}
    try:
        observations, masks = reader.rows(episode.observations)
    except Refused as refused:
        raise UserError(f"{source}, episode {number}, {refused}.") from refused
    if masks is None and infos.get("action_mask") is not None:
        masks = np.asarray(infos["action_mask"])
    actions = np.atleast_1d(np.asarray(episode.actions))
    steps = len(actions)
    if not steps:
        raise UserError(f"{source}, episode {number}: it has no steps.")
    columns = {
        "episode": np.full(steps, number),
        "observation": observations[:-1],
        "action": actions,
        "reward": np.asarray(episode.rewards),
        "terminated": np.asarray(episode.terminations),
        "truncated": np.asarray(episode.truncations),
        "final_observation": observations[-1:],
    }
    if spaces.masked and masks is not None:
        columns |= {"action_mask": masks[:-1], "final_action_mask": masks[-1:]}
    if "propensity" in infos:
        propensity = np.asarray(infos["propensity"])
        # Minari's own collector keeps what a reset says, too, before what the steps say
        is_collected = propensity.ndim > 0 and len(propensity) == steps + 1
        columns["propensity"] = propensity[1:] if is_collected else propensity
    return columns


def _put(
    builder: EpisodesBuilder, source: str, number: int, columns: dict[str, np.ndarray]
) -> None:
    """Hand an episode on, whose columns must be of one length."""
    steps = len(columns["action"])
    for name, values in columns.items():
        expected = 1 if name.startswith("final") else steps
        if values.ndim == 0 or len(values) != expected:
            rows = len(values) if values.ndim else 0
            raise UserError(
                f"{source}, episode {number}, column {name}: it has {rows:,} rows for"
                f" {steps:,} actions; a Minari episode has one more observation than actions."
            )
        builder.put(name, values)


def _notes(minari: Any, dataset: Any) -> tuple[str, ...]:
    """Return a sentence where Minari stored pictures with losses, as it does if not told."""
    is_image = minari.dataset.minari_storage.is_image_space
    space = dataset.observation_space
    is_picture = any(is_image(inner) for inner in (space, *getattr(space, "values", tuple)()))
    # earlier versions know nothing else
    if not is_picture or not getattr(dataset.storage, "jpeg_encoding", True):
        return ()
    return ("its pictures are stored as JPEG, so they are not quite what the environment showed",)


def _require_spaces(
    source: str, reader: ObservationReader, action_space: Any, spaces: Spaces
) -> None:
    """Raise UserError if the data set's spaces are not the environment's."""
    tokens = None
    if spaces.vocabulary:  # a data set does not say whether its integers are tokens
        vocabulary = Vocabulary(spaces.vocabulary, spaces.category_start, spaces.padding)
        tokens = tokens_like(reader.space, vocabulary)
    try:
        own = describe(reader.space, action_space, tokens)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    differences = [
        f"{name} {getattr(own, name)} for {getattr(spaces, name)}"
        for name in COMPARED
        if getattr(own, name) != getattr(spaces, name)
    ]
    if differences:
        raise UserError(
            f"{source} was recorded in another environment than --env: {', '.join(differences)}."
        )
