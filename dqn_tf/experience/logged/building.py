"""Builds logged episodes of columns that arrive piece by piece, and checks each piece.

A source is one part or several, such as the files of a directory. Each column has one array from
the beginning, so nothing is held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import columns
from dqn_tf.experience.logged.columns import BadValue
from dqn_tf.experience.logged.episodes import LoggedEpisodes, content_digest
from dqn_tf.support.errors import UserError

HASHED = (
    "observation",
    "action",
    "reward",
    "terminated",
    "has_final",
    "final_observation",
    "action_mask",
    "final_action_mask",
    "propensity",
)
CHECKED_ROWS = 1 << 16  # looked at together once all columns are there


class Part(NamedTuple):
    """A file of a source: its name, its numbers of steps and of final observations.

    `place` says in words where one of its rows is, such as "row 3".
    """

    name: str
    steps: int
    finals: int = 0
    place: Callable[[int], str] = "row {}".format


class EpisodesBuilder:
    """Takes the columns of parts, one part after the other, and returns all their episodes.

    `begin` a part; `put` the pieces of its columns in order, those of steps before those of
    episodes and `has_final` before the other finals; `end` it. Then `finish`.
    """

    def __init__(
        self, spaces: Spaces, source: str, parts: Collection[Part], names: Collection[str]
    ) -> None:
        """Make room for all parts; `names` are the columns that each of them has.

        Raises UserError if columns are missing, or there is nothing in them.
        """
        self._spaces = spaces
        self._source = source
        steps = sum(part.steps for part in parts)
        if not steps:
            raise UserError(f"{source} holds no steps, so there is nothing to learn from.")
        require_columns(source, names, spaces)
        self._arrays = self._room(steps, sum(part.finals for part in parts), names)
        self._filled = dict.fromkeys(columns.KNOWN, 0)
        self._starts: list[np.ndarray] = []  # of all parts that have ended

    def _room(self, steps: int, finals: int, names: Collection[str]) -> dict[str, np.ndarray]:
        dtypes = dict.fromkeys(columns.KNOWN, "bool") | {
            "observation": self._spaces.observation_dtype,
            "final_observation": self._spaces.observation_dtype,
            "action": "int32",
            "reward": "float32",
            "propensity": "float64",
        }
        room = {}
        for name in names:
            if name == "episode":  # only its changes are kept
                continue
            rows = finals if name in columns.OF_EPISODES else steps
            shape = (rows, *columns.row_shape(name, self._spaces))
            make = np.zeros if name in columns.OF_EPISODES else np.empty
            room[name] = make(shape, dtypes[name])
        if "final_observation" in names:
            room["has_final"] = np.ones(finals, bool)
        return room

    def begin(self, part: Part) -> None:
        """Begin a part; its first row begins an episode."""
        self._part = part
        self._first = self._filled["action"]
        self._first_final = self._filled["final_observation"]
        self._changes: list[np.ndarray] = []
        self._ids: list[np.ndarray] = []
        self._last_id = -1
        self._last_step = -1

    def put(self, name: str, values: np.ndarray) -> None:
        """Take the next rows of a column. Raises UserError if one of them is not right."""
        begin = self._filled[name]
        shape = columns.row_shape(name, self._spaces)
        if values.shape[1:] != shape:
            what = f"its rows have shape {list(values.shape[1:])}, and must have {list(shape)}"
            raise self._wrong(name, what)
        try:
            if name.startswith("final"):
                self._put_finals(name, values)
            else:
                converted = columns.CONVERTERS[name](values, self._spaces)
                self._keep(name, begin, converted)
        except BadValue as error:
            first = self._first_final if name in columns.OF_EPISODES else self._first
            row = None if error.row is None else begin - first + error.row
            raise self._wrong(name, str(error), row) from None
        self._filled[name] = begin + len(values)

    def _keep(self, name: str, begin: int, values: np.ndarray) -> None:
        if name == "episode":
            self._keep_starts(begin, values)
        elif name == "step":
            self._keep_firsts(begin, values)
        else:
            self._arrays[name][begin : begin + len(values)] = values

    def _keep_starts(self, begin: int, ids: np.ndarray) -> None:
        changes = np.flatnonzero(np.diff(ids, prepend=self._last_id))
        self._changes.append(changes + begin)
        self._ids.append(ids[changes])
        self._last_id = int(ids[-1])

    def _keep_firsts(self, begin: int, steps: np.ndarray) -> None:
        before = np.concatenate([[self._last_step], steps[:-1]])
        follows_on = (steps == 0) | (steps == before + 1)
        if not follows_on.all():
            row = int(np.flatnonzero(~follows_on)[0])
            raise BadValue(
                f"{steps[row]} does not follow on {before[row]}: an episode's steps are 0, 1, 2 and"
                " so on",
                row,
            )
        self._arrays["step"][begin : begin + len(steps)] = steps == 0
        self._last_step = int(steps[-1])

    def _put_finals(self, name: str, values: np.ndarray) -> None:
        """Keep the final observations or masks that are known; the others may be anything."""
        begin = self._filled[name]
        rows = np.flatnonzero(self._arrays["has_final"][begin : begin + len(values)])
        try:
            converted = columns.CONVERTERS[name](values[rows], self._spaces)
        except BadValue as error:
            raise BadValue(
                str(error), None if error.row is None else int(rows[error.row])
            ) from None
        self._arrays[name][begin + rows] = converted

    def end(self) -> None:
        """End a part. Raises UserError if its columns do not fit each other."""
        starts = np.concatenate(self._changes)
        self._require_together(starts, np.concatenate(self._ids))
        stop = self._filled["action"]
        is_last = np.zeros(stop - self._first, bool)
        is_last[starts[1:] - 1 - self._first] = True
        is_last[-1] = True
        for name in ("terminated", "truncated"):
            early = self._arrays[name][self._first : stop] & ~is_last
            if early.any():
                row = int(early.argmax())
                raise self._wrong(name, "true, and its episode goes on in the next row", row)
        if "step" in self._arrays:
            begins = self._arrays["step"][self._first : stop]
            begins[starts - self._first] ^= True
            if begins.any():
                raise self._wrong(
                    "step", "an episode begins with step 0, and only there", int(begins.argmax())
                )
        self._require_legal(stop)
        self._require_finals(starts, stop)
        self._starts.append(starts)

    def finish(self, notes: tuple[str, ...] = ()) -> LoggedEpisodes:
        """Return the episodes of all parts, and what else the user should know of them."""
        arrays = self._arrays
        steps = len(arrays["action"])
        starts = np.append(np.concatenate(self._starts), steps)
        count = len(starts) - 1
        mask = arrays.get("action_mask")
        final_mask = arrays.get("final_action_mask")
        if mask is not None and final_mask is None:
            final_mask = np.broadcast_to(True, (count, self._spaces.actions))
        if "final_observation" in arrays:
            finals, has_final = arrays["final_observation"], arrays["has_final"]
        else:
            zero = np.zeros((), self._spaces.observation_dtype)
            finals = np.broadcast_to(zero, (count, *self._spaces.observation_shape))
            has_final = np.zeros(count, bool)
        known = [arrays.get(name) for name in HASHED]
        return LoggedEpisodes(
            observation=arrays["observation"],
            action=arrays["action"],
            reward=arrays["reward"],
            terminated=arrays["terminated"],
            starts=starts,
            final_observation=finals,
            has_final=has_final,
            action_mask=mask,
            final_mask=final_mask,
            propensity=arrays.get("propensity"),
            digest=content_digest(starts, *known),
            source=self._source,
            notes=notes,
        )

    def _require_together(self, starts: np.ndarray, ids: np.ndarray) -> None:
        order = np.argsort(ids, kind="stable")
        again = order[1:][ids[order][1:] == ids[order][:-1]]
        if len(again):
            first = int(again.min())
            raise self._wrong(
                "episode",
                f"episode {ids[first]} goes on after others: all rows of an episode must be"
                " together, in the order of time",
                int(starts[first]) - self._first,
            )

    def _require_legal(self, stop: int) -> None:
        """Require that each action taken was a legal one."""
        if "action_mask" not in self._arrays:
            return
        for begin in range(self._first, stop, CHECKED_ROWS):
            rows = np.arange(begin, min(begin + CHECKED_ROWS, stop))
            actions = self._arrays["action"][rows]
            is_legal = self._arrays["action_mask"][rows, actions]
            if not is_legal.all():
                place = int(is_legal.argmin())
                number = actions[place] + self._spaces.action_start
                what = f"the mask forbids action {number}, which was taken"
                raise self._wrong("action_mask", what, begin - self._first + place)

    def _require_finals(self, starts: np.ndarray, stop: int) -> None:
        """Require a final observation of each episode, with a mask unless the episode is over."""
        if "final_observation" not in self._arrays:
            return
        if self._part.finals != len(starts):
            raise self._wrong(
                "final_observation",
                f"it has {self._part.finals:,} rows, and there are {len(starts):,} episodes",
            )
        if "final_action_mask" not in self._arrays:
            return
        finals = slice(self._first_final, self._first_final + len(starts))
        mask = self._arrays["final_action_mask"][finals]
        lasts = np.append(starts[1:], stop) - 1
        is_over = self._arrays["terminated"][lasts] | ~self._arrays["has_final"][finals]
        has_none = ~mask.any(axis=1)
        is_wrong = has_none & ~is_over
        if is_wrong.any():
            what = "it makes no action legal, and the episode did not terminate"
            raise self._wrong("final_action_mask", what, int(is_wrong.argmax()))
        mask[has_none] = True  # nothing is asked of it, and no learner meets a row without actions

    def _wrong(self, name: str, what: str, row: int | None = None) -> UserError:
        """Return the sentence that names file, row and column."""
        if row is None:
            return UserError(f"{self._part.name}, column {name}: {what}.")
        place = f"row {row}" if name in columns.OF_EPISODES else self._part.place(row)
        return UserError(f"{self._part.name}, {place}, column {name}: {what}.")


def from_columns(arrays: Mapping[str, np.ndarray], spaces: Spaces, source: str) -> LoggedEpisodes:
    """Return the episodes of columns in memory, named as in an npz file. Raises UserError."""
    require_columns(source, arrays, spaces)
    shapes = {name: column.shape for name, column in arrays.items()}
    require_shapes(source, shapes, spaces)
    steps = common_rows(source, shapes, columns.OF_STEPS)
    part = Part(source, steps, common_rows(source, shapes, columns.OF_EPISODES))
    builder = EpisodesBuilder(spaces, source, [part], arrays)
    builder.begin(part)
    for name in columns.KNOWN:
        if name in arrays:
            builder.put(name, arrays[name])
    builder.end()
    return builder.finish()


def require_columns(
    source: str, names: Collection[str], spaces: Spaces, known: Collection[str] = columns.KNOWN
) -> None:
    """Raise UserError if there are not the columns that these spaces need, or unknown ones."""
    for name in names:
        if name not in known:
            raise UserError(
                f"{source}: column {name} is none of {', '.join(known)}; rename it or leave it out."
            )
    needed = [*columns.REQUIRED]
    if spaces.masked:
        needed.append("action_mask")
        needed += ["final_action_mask"] if "final_observation" in names else []
    for name in needed:
        if name not in names:
            reason = ""
            if name.endswith("mask"):
                reason = ": the environment says which actions are legal"
            raise UserError(f"{source} has no column {name}{reason}.")
    for name in ("has_final", "final_action_mask"):
        if name in names and "final_observation" not in names:
            raise UserError(f"{source} has a column {name}, and no final_observation with it.")
    if "action_mask" in names and not spaces.masked:
        raise UserError(
            f"{source} has a column action_mask, and all actions of the environment are always"
            " legal: leave it out, or name the environment that has masks."
        )
    if "final_action_mask" in names and not spaces.masked:
        raise UserError(f"{source} has a column final_action_mask, and no action_mask with it.")


def require_shapes(source: str, shapes: Mapping[str, tuple[int, ...]], spaces: Spaces) -> None:
    """Raise UserError if the rows of a column have not the shape that these spaces need."""
    for name, shape in shapes.items():
        of_row = columns.row_shape(name, spaces)
        if shape[1:] != of_row or not shape:
            rows = "episodes" if name in columns.OF_EPISODES else "steps"
            expected = f"[{', '.join([rows, *map(str, of_row)])}]"
            raise UserError(
                f"{source}, column {name}: its shape is {list(shape)}, and must be {expected}."
            )


def common_rows(source: str, shapes: Mapping[str, tuple[int, ...]], names: Collection[str]) -> int:
    """Return the number of rows, which all these columns must have. Raises UserError."""
    lengths = {name: shapes[name][0] for name in names if name in shapes}
    if not lengths:
        return 0
    (first, rows), *others = lengths.items()
    for name, other in others:
        if other != rows:
            raise UserError(
                f"{source}, column {name}: it has {other:,} rows, and {first} has {rows:,}."
            )
    return rows
