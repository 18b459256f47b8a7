"""The columns of a batch of transitions: what each must be, and what it is turned into.

Whatever is wrong with one is said in a sentence with its name, its dtype and shape, and what is
expected. Names, shapes and dtypes are looked at while a graph is traced, which costs a compiled
update nothing. Values are looked at inside the graph, where Keras feeds a user's data.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.column import (
    DISCOUNT_OF,
    Batch,
    describe,
    describe_all,
    is_row,
    make_column,
    require_column,
    shape_of,
)
from dqn_tf.agent.value_checks import of_one_length, of_shape, within_range
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import transitions
from dqn_tf.support.errors import UserError

NUMBERS = "biufV"  # kinds of NumPy dtypes; V is bfloat16's


class Columns:
    """Reads batches of transitions for environments with these spaces.

    With `num_agents` stacked agents, each reads its share of a batch.
    """

    def __init__(self, spaces: Spaces, num_agents: int = 1) -> None:
        self._num_agents = num_agents
        shapes = transitions.columns(spaces)
        self._required = {
            name: make_column(name, shape, tf.as_dtype(dtype), spaces)
            for name, (shape, dtype) in shapes.items()
        }
        optional = ("weight", "is_logged")
        self._known = {name: make_column(name, (), tf.float32, spaces) for name in optional}
        if not spaces.masked:
            for name in ("action_mask", "next_action_mask"):
                self._known[name] = make_column(name, (spaces.actions,), tf.bool, spaces)
        self._known |= self._required

    def read(self, data: Any, checks_values: bool = False) -> Batch:
        """Return a batch of tensors in the dtypes that an update takes.

        `data` is a dict of columns [B, ...], alone or as Keras hands it on: (dict,), (dict, None)
        or (dict, None, weights). Columns that are not known go through as they are. With
        `checks_values` nothing is computed from a batch with a value out of range. Raises UserError
        where names, shapes or dtypes are wrong.
        """
        named = unpack(data)
        tensors = {name: _to_tensor(name, value) for name, value in named.items()}
        self.require(tensors)
        length = shape_of(tensors["reward"])[0]
        if length is not None and length % self._num_agents:
            raise UserError(
                f"A batch of {length} transitions cannot be divided among {self._num_agents}"
                " agents: its size must be a multiple of their number."
            )
        if checks_values:
            tensors = of_one_length(tensors, [name for name in tensors if name in self._known])
        batch = {}
        for name, tensor in tensors.items():
            column = self._known.get(name)
            if column is not None:
                if checks_values:
                    tensor = of_shape(name, tensor, column)
                    tensor = within_range(name, tensor, column)
                tensor = tf.cast(tensor, column.dtype)
            batch[name] = tensor
        return batch

    def arrays(self, data: Any) -> Any:
        """Return what Keras's `fit` takes, its columns looked at as far as that goes beforehand.

        Those of a dict become arrays, those of a `tf.data.Dataset` are known by its specification.
        Anything else is looked at batch by batch. Raises UserError.
        """
        if isinstance(data, tf.data.Dataset):
            self.require(unpack(data.element_spec))
            return data
        if isinstance(data, tf.keras.utils.Sequence):
            self._require_sequence(data[0])
            return data
        if isinstance(data, Generator):  # of which Keras wants tuples
            return (batch if isinstance(batch, tuple) else (batch,) for batch in data)
        is_named = data is None or isinstance(data, (Mapping, tuple, list))
        if not is_named and not hasattr(data, "dtype"):
            return data
        named = {name: _to_array(name, value) for name, value in unpack(data).items()}
        self.require(named)
        for name, value in named.items():
            if isinstance(value, np.ndarray) and value.dtype.kind not in NUMBERS:
                raise _no_array(name, value)
        if not len(named["reward"]):
            raise UserError("There are no transitions to learn from: the columns have no rows.")
        return named

    def _require_sequence(self, first: Any) -> None:
        self.require({name: _to_array(name, value) for name, value in unpack(first).items()})
        if isinstance(first, (tuple, list)) and len(first) == 3:
            raise UserError(
                "A batch of the Sequence is a tuple of three parts: give the dict of columns alone,"
                " with the weights as its column weight."
            )

    def read_observation(self, observation: Any) -> tf.Tensor:
        """Return observations as a tensor whose shape is that of the space. Raises UserError."""
        tensor = _to_tensor("observation", observation)
        column = self._known["observation"]
        require_column("observation", tensor, column)
        return of_shape("observation", tensor, column)

    def observation_arrays(self, data: Any) -> Any:
        """Return what Keras's `predict` takes, looked at as far as that goes. Raises UserError."""
        if isinstance(data, Mapping):
            if "observation" not in data:
                raise UserError(f"The data have no column observation, but {describe_all(data)}.")
            data = data["observation"]
        if data is None or isinstance(data, list):
            data = _to_array("observation", data)
        if hasattr(data, "dtype"):
            require_column("observation", data, self._known["observation"])
        return data

    def require(self, named: Mapping[str, Any]) -> None:
        """Raise UserError where names, shapes or dtypes are wrong.

        The values are tensors, arrays or their specifications.
        """
        self._require_names(named)
        known = {name: self._known[name] for name in named if name in self._known}
        unbatched = [name for name, column in known.items() if is_row(named[name], column)]
        if len(unbatched) == len(known):
            raise UserError(
                f"The columns are single transitions ({describe_all(named)}): make batches of"
                " them, as with dataset.batch(64)."
            )
        for name, column in known.items():
            require_column(name, named[name], column)
        self._require_lengths({name: named[name] for name in known})

    def _require_names(self, named: Mapping[str, Any]) -> None:
        missing = [name for name in self._required if name not in named]
        if missing:
            raise UserError(
                f"The data have no column {' and no column '.join(missing)}, but"
                f" {describe_all(named)}. A batch of transitions has the columns"
                f" {_list(self._required)}." + (f" {DISCOUNT_OF}" if "discount" in missing else "")
            )
        for name in named:
            if name not in self._known and ("weight" in name or "mask" in name):
                raise UserError(
                    f"The data have a column {name}, which nothing reads. Is it meant to be"
                    f" {'weight' if 'weight' in name else 'action_mask or next_action_mask'}?"
                )

    def _require_lengths(self, named: Mapping[str, Any]) -> None:
        lengths = {name: shape_of(value)[0] for name, value in named.items()}
        known = {length for length in lengths.values() if length is not None}
        if len(known) > 1:
            raise UserError(f"The columns have different numbers of rows: {describe_all(named)}.")


def unpack(data: Any) -> dict[str, Any]:
    """Return the dict of columns that Keras hands on, alone or in a tuple with sample weights.

    Raises UserError if it is none.
    """
    parts = list(data) if isinstance(data, (tuple, list)) else [data]
    while len(parts) > 1 and parts[-1] is None:
        parts.pop()
    named = parts[0] if parts else None
    targets = parts[1] if len(parts) > 1 else None
    if not isinstance(named, Mapping) or targets is not None or len(parts) > 3:
        found = ", ".join(describe(part) for part in parts)
        if len(parts) != 1:
            found = f"({found})"
        raise UserError(
            f"The data are {found}, and DQN learns from a dict of columns: observation, action,"
            " reward, discount and next_observation. It forms its targets itself, so there is no y."
        )
    return with_weight(named, parts[2] if len(parts) > 2 else None)


def with_weight(named: Mapping[str, Any], weights: Any) -> dict[str, Any]:
    """Return the columns with Keras's `sample_weight`, if there is one, as the column weight."""
    if weights is None:
        return dict(named)
    if "weight" in named:
        raise UserError("The data have a column weight and a sample_weight too: give one of them.")
    return {**named, "weight": weights}


def _to_tensor(name: str, value: Any) -> tf.Tensor:
    try:
        return tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise _no_array(name, value) from error


def _to_array(name: str, value: Any) -> np.ndarray | tf.Tensor:
    if isinstance(value, tf.Tensor):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise _no_array(name, value) from error
    if array.dtype == object:
        raise _no_array(name, value)
    return array


def _no_array(name: str, value: Any) -> UserError:
    return UserError(
        f"The column {name} is a {type(value).__name__} that makes no array of numbers: it must be"
        " [B, ...], with rows of one shape."
    )


def _list(names: Mapping[str, Any]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"
