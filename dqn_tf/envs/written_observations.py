"""Makes of observations that were written down elsewhere what the agent sees of an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.flattened import Layout, flattens
from dqn_tf.envs.mask_entry import beside_mask, mask_names, named_pair
from dqn_tf.envs.returned import Refused
from dqn_tf.envs.spaces import MASK, without_mask


class ObservationReader:
    """What `flattened.as_vector` makes of the observations of a space.

    Attributes:
      space: what the agent sees, without a mask.
    """

    def __init__(self, space: gym.Space, action_space: gym.Space) -> None:
        names = mask_names(space, action_space)
        pair = named_pair(space, names) if names else space
        self.space, self._is_masked = without_mask(pair)
        self._names = names or ("observation",)
        self._layout = Layout(self.space) if flattens(self.space) else None
        if self._layout is not None:
            self.space = self._layout.space

    def rows(self, observations: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Return observations [N, *shape] and their masks, of parts that have N rows each.

        The masks are None where none are among the parts. Raises Refused for what the space of a
        part does not allow.
        """
        masks = None
        if self._is_masked:
            masks = np.asarray(observations[MASK])
            observations = beside_mask(observations, self._names)
        if self._layout is None:
            return np.asarray(observations), masks
        vectors = []
        for number, row in enumerate(_rows_of(observations)):
            try:
                vectors.append(self._layout.vector(row))
            except Refused as refused:
                raise Refused(f"step {number} {refused}") from None
        return np.stack(vectors), masks


def in_written_order(space: gym.Space, written: Mapping[str, Any]) -> gym.Space:
    """Return a space with the entries of each Dict in the order of Minari's text about it.

    Minari's own reader sorts them, and the environment may have another order.
    """
    if isinstance(space, gym.spaces.Dict):
        entries = written["subspaces"].items()
        return gym.spaces.Dict([(key, in_written_order(space[key], each)) for key, each in entries])
    if isinstance(space, gym.spaces.Tuple):
        pairs = zip(space.spaces, written["subspaces"], strict=True)
        return gym.spaces.Tuple([in_written_order(inner, each) for inner, each in pairs])
    return space


def _rows_of(observations: Any) -> Iterator[Any]:
    """Yield the observations of arrays that are the entries of dicts and tuples, row by row."""
    first = observations
    while isinstance(first, (Mapping, tuple)):
        first = next(iter(first.values() if isinstance(first, Mapping) else first))
    for row in range(len(first)):
        yield _row_of(observations, row)


def _row_of(observations: Any, row: int) -> Any:
    if isinstance(observations, Mapping):
        return {key: _row_of(inner, row) for key, inner in observations.items()}
    if isinstance(observations, tuple):
        return tuple(_row_of(inner, row) for inner in observations)
    return observations[row]
