"""Makes one vector of an observation of several parts: a Dict, a Tuple, or one inside another.

The order is that of Gymnasium's `flatten`: the entries of a Dict in the order of its space, which
sorts the keys of a plain dict, those of a Tuple as they stand, the numbers of a Box row by row. A
category is told by a 1 at its place among as many numbers as there are categories: of a Discrete,
and of each number of a MultiDiscrete, in turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.envs import returned
from dqn_tf.envs.mask_entry import MaskApart, mask_names
from dqn_tf.envs.observing import Observing
from dqn_tf.envs.returned import Refused
from dqn_tf.envs.spaces import MASK, without_mask
from dqn_tf.envs.tokens import vocabulary_of
from dqn_tf.support.errors import describe_value

Path = tuple[Any, ...]  # keys of Dicts and places in Tuples, from the outside in
CATEGORY = np.uint8  # of a 1 or a 0


class Part(NamedTuple):
    """One part of an observation, and where it lies in the vector.

    Attributes:
      path: where it lies in the observation.
      space: a Box, Discrete, MultiDiscrete or MultiBinary.
      first: the place of its first number in the vector.
      size: how many numbers of the vector it is.
    """

    path: Path
    space: gym.Space
    first: int
    size: int

    @property
    def name(self) -> str:
        """How the part is reached in the observation, as Python writes it."""
        return "observation" + "".join(f"[{key!r}]" for key in self.path)

    @property
    def places(self) -> slice:
        """Its places in the vector."""
        return slice(self.first, self.first + self.size)

    def write(self, value: Any, vector: np.ndarray) -> None:
        """Write a part as it was observed to its places in `vector`, where zeros are.

        Raises Refused for another shape, type or category than its space has.
        """
        space: Any = self.space
        try:
            shape, dtype = space.shape or (), np.dtype(space.dtype)
            array = returned.observation_of(value, shape, dtype)
            if array.dtype.kind == "f":
                with np.errstate(over="ignore"):  # what is too large is refused
                    returned.require_finite(array.astype(np.float32), value)
        except Refused as refused:
            raise Refused(f"{refused} in {self.name}") from None
        if isinstance(space, gym.spaces.Box):
            vector[self.places] = array.reshape(-1)
        elif isinstance(space, gym.spaces.MultiBinary):
            vector[self.places] = self._categories(array, 0, 2)
        else:
            counts = np.reshape(_counts(space), -1)
            categories = self._categories(array, space.start, counts)
            begins = self.first + np.cumsum(counts) - counts  # of each number's places
            vector[begins + categories] = 1

    def _categories(self, array: np.ndarray, start: Any, counts: Any) -> np.ndarray:
        """Return numbers counted from 0. Raises Refused if one of them is not among its counts."""
        categories = np.subtract(array, start, dtype=np.int64).reshape(-1)
        if ((categories < 0) | (categories >= counts)).any():
            raise Refused(
                f"returned {describe_value(array.tolist())} in {self.name}, which its space does"
                f" not allow: it is {describe_value(self.space)}"
            )
        return categories


class Layout:
    """Where the parts of an observation lie in its vector.

    Attributes:
      parts: in the order of the vector.
      space: the vector's. Its type is the narrowest that holds all parts.
    """

    def __init__(self, space: gym.Space) -> None:
        """Raise ValueError for a space of which `flattens` is false, a mask apart."""
        if not _are_parts(space):
            raise ValueError(f"not of parts that are numbers: {describe_value(space)}")
        self.parts = list(_parts(space))
        self.space = self._vector_space()
        self._zeros = np.zeros_like(self.space.low)

    def vector(self, observation: Any) -> np.ndarray:
        """Return an observation as a vector [D].

        Raises Refused where a part is missing, or has another shape, type or category than its
        space. The bounds of a Box are not looked at.
        """
        vector = self._zeros.copy()
        for part in self.parts:
            part.write(_value_at(observation, part), vector)
        return vector

    def _vector_space(self) -> gym.spaces.Box:
        types = [part.space.dtype if _is_box(part.space) else CATEGORY for part in self.parts]
        dtype = np.result_type(*types)
        low = np.zeros(sum(part.size for part in self.parts), dtype)
        high = np.ones_like(low)
        for part in self.parts:
            if isinstance(part.space, gym.spaces.Box):
                low[part.places] = part.space.low.reshape(-1)
                high[part.places] = part.space.high.reshape(-1)
        return gym.spaces.Box(low, high, dtype=dtype.type)


class Flattened(Observing, gym.ObservationWrapper):
    """Observes as one vector [D] what the environment observes as parts.

    `Spaces` keeps float32 for every floating type. An `action_mask` beside an `observation` stays
    beside the vector. What the environment says of its own observations, such as the names of
    tokens, holds for none of the vector's numbers. Raises ValueError where `flattens` is false.
    """

    tokens = None
    padding = None
    choice_layout = None
    message_places = None

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        space, self._has_mask = without_mask(env.observation_space)
        self._layout = Layout(space)
        self.parts = self._layout.parts
        vector = self._layout.space
        self.observation_space: gym.Space = vector
        if self._has_mask:
            mask = env.observation_space[MASK]  # type: ignore[index]
            self.observation_space = gym.spaces.Dict(observation=vector, action_mask=mask)

    @property
    def observation_parts(self) -> list[dict[str, Any]]:
        """What lies where in the vector, ready for JSON: an entry for each part, in order."""
        return [
            {
                "part": part.name,
                "first": part.first,
                "size": part.size,
                "space": describe_value(part.space),
            }
            for part in self.parts
        ]

    def observation(self, observation: Any) -> Any:
        """Return the vector, with the mask beside it if there is one. Raises Refused."""
        if not self._has_mask:
            return self._layout.vector(observation)
        observation, mask = returned.parts_of(observation)
        return {"observation": self._layout.vector(observation), MASK: mask}


def as_vector(env: gym.Env) -> gym.Env:
    """Return the environment, one that observes several parts with its observations flattened.

    A mask among the parts is none of the observation: see `MaskApart`.
    """
    try:
        if mask_names(env.observation_space, env.action_space):
            env = MaskApart(env)
        is_of_parts = flattens(env.observation_space)
    except AttributeError:  # an environment without spaces is refused later
        return env
    return Flattened(env) if is_of_parts else env


def flattens(space: gym.Space) -> bool:
    """Tell whether a space is of several parts, all of numbers, or of bits or mixed categories.

    What the network sees without that, a Box, a Discrete or tokens, is left as it is.
    """
    return _are_parts(without_mask(space)[0])


def _are_parts(space: gym.Space) -> bool:
    """Tell what `flattens` does of a space without a mask."""
    if _is_box(space) or isinstance(space, gym.spaces.Discrete):
        return False
    is_tokens = isinstance(space, gym.spaces.MultiDiscrete) and vocabulary_of(space, None)
    try:
        return not is_tokens and sum(part.size for part in _parts(space)) > 0
    except TypeError:
        return False


def _parts(space: gym.Space, path: Path = (), first: int = 0) -> Iterator[Part]:
    """Yield the parts of a space in order. Raises TypeError for one that has no such vector."""
    if isinstance(space, (gym.spaces.Dict, gym.spaces.Tuple)):
        entries = space.items() if isinstance(space, gym.spaces.Dict) else enumerate(space)
        for key, inner in entries:
            for part in _parts(inner, (*path, key), first):
                yield part
                first += part.size
    elif _is_box(space) or isinstance(space, gym.spaces.MultiBinary):
        yield Part(path, space, first, math.prod(space.shape or ()))
    elif isinstance(space, (gym.spaces.Discrete, gym.spaces.MultiDiscrete)):
        yield Part(path, space, first, int(np.sum(_counts(space))))
    else:
        raise TypeError(f"no numbers of {type(space).__name__}")


def _value_at(observation: Any, part: Part) -> Any:
    """Return what lies at a part's path. Raises Refused if there is nothing."""
    value = observation
    for depth, key in enumerate(part.path):
        try:
            value = value[key]
        except Exception:
            outer = part._replace(path=part.path[:depth])
            raise Refused(
                f"returned {describe_value(value)} as {outer.name}, but its space says that"
                f" {part.name} is there"
            ) from None
    return value


def _counts(space: Any) -> Any:
    counts = space.n if isinstance(space, gym.spaces.Discrete) else space.nvec
    return np.asarray(counts, np.int64)  # sums of unsigned and signed ones would be floats


def _is_box(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box)
