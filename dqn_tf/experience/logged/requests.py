"""Joins what a server logged with what it led to: `--data=requests:LOGS+REWARDS.csv`.

LOGS is what `--log_requests` wrote, a directory or a file. A client gives each request an id, by
the header X-Request-Id or the field client_id of gRPC, and says in the reward file what came of it.
A request of several observations is one id for each, ID/0, ID/1 and so on.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.dialogues import MessageReader
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokenizer import Tokenizer
from dqn_tf.experience.logged import columns
from dqn_tf.experience.logged.building import EpisodesBuilder, Part
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.prediction_logs import LoggedRequest, parse
from dqn_tf.experience.logged.rewards import Rewards, read_rewards
from dqn_tf.experience.logged.tfrecords import DamagedFile, read_records
from dqn_tf.support.errors import UserError

# signatures that always take the greedy action
GREEDY = ("serving_default", "action", "observation_bytes", "text", "messages")
MASKED = "_masked"

FindTokenizer = Callable[[], Tokenizer | MessageReader | None]


class Step(NamedTuple):
    """One observation of a request, and what was answered; None for what the log does not say."""

    observation: np.ndarray
    action: int | None
    mask: np.ndarray | None
    propensity: float | None


def split(text: str) -> tuple[Path, Path]:
    """Split `LOGS+REWARDS.csv`. Raises UserError if there are no two paths.

    A plus may be part of a path: the first place where both paths exist is the one that is meant.
    """
    pieces = text.split("+")
    pairs = [
        (_path("+".join(pieces[:end])), _path("+".join(pieces[end:])))
        for end in range(1, len(pieces))
    ]
    for logs, rewards in pairs:
        if logs.exists() and rewards.is_file():
            return logs, rewards
    flag = f"--data=requests:{text}"
    if not pairs:
        raise UserError(
            f"{flag}: name the logs and the file of rewards, as in requests:logs+rewards.csv."
        )
    logs, rewards = pairs[-1]
    missing = logs if not logs.exists() else rewards
    raise UserError(f"{flag}: there is no {missing}.")


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))


def load(
    source: str,
    logs: Path,
    rewards_path: Path,
    spaces: Spaces,
    find_tokenizer: FindTokenizer | None = None,
) -> LoggedEpisodes:
    """Read logs and rewards, and join them; texts become tokens by the tokenizer that is found.

    Raises UserError.
    """
    rewards = read_rewards(rewards_path)
    joined = _Join(logs, rewards, spaces, find_tokenizer)
    joined.read()
    arrays = joined.arrays()
    part = Part(str(rewards_path), len(rewards.ids), place=rewards.place)
    builder = EpisodesBuilder(spaces, source, [part], arrays)
    builder.begin(part)
    for name, values in arrays.items():
        builder.put(name, values)
    builder.end()
    return builder.finish(tuple(joined.notes))


class _Join:
    """The steps of the logs that have a reward, in the order of the rewards."""

    def __init__(
        self, logs: Path, rewards: Rewards, spaces: Spaces, find_tokenizer: FindTokenizer | None
    ) -> None:
        self.notes: list[str] = []
        self._find_tokenizer = find_tokenizer
        self._logs = logs
        self._rewards = rewards
        self._spaces = spaces
        count = len(rewards.ids)
        self._rows = {name: row for row, name in enumerate(rewards.ids)}
        self._is_found = np.zeros(count, bool)
        self._observation = np.empty(
            (count, *spaces.observation_shape), np.dtype(spaces.observation_dtype)
        )
        self._action = np.zeros(count, np.int64)
        self._mask = np.ones((count, spaces.actions), bool)
        self._propensity = np.full(count, np.nan)

    def read(self) -> None:
        """Read the logs. Raises UserError if a step is not as the spaces say, or is missing."""
        requests = unnamed = unused = 0
        for request in self._requests():
            requests += 1
            unnamed += not request.id
            for number in range(request.rows if request.id else 0):
                name = request.id if request.rows == 1 else f"{request.id}/{number}"
                row = self._rows.get(name)
                if row is None:
                    unused += 1
                    continue
                if self._is_found[row]:
                    raise self._wrong(row, "id", f"{self._logs} holds two requests with it")
                self._is_found[row] = True
                self._keep(row, self._step(row, request, number))
        if requests and unnamed == requests:
            raise UserError(
                f"{self._logs}: none of its {requests:,} requests has an id: let clients send the"
                " header X-Request-Id, or over gRPC the field client_id."
            )
        if not self._is_found.all():
            row = int(self._is_found.argmin())
            raise self._wrong(row, "id", f"no request in {self._logs} has it")
        if unnamed + unused:
            self.notes.append(
                f"not used: {unnamed + unused:,} requests that have no line in {self._rewards.path}"
            )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the columns of the schema; what the reward file says goes first."""
        arrays = {"observation": self._observation, "action": self._action}
        if self._spaces.masked:
            arrays["action_mask"] = self._mask
        # the probability is that of the server's action, not of one that the client took instead
        if "action" not in self._rewards.columns and np.isfinite(self._propensity).all():
            arrays["propensity"] = self._propensity
        arrays |= self._rewards.columns
        return {name: arrays[name] for name in columns.OF_STEPS if name in arrays}

    def _requests(self) -> Iterator[LoggedRequest]:
        try:
            files = [self._logs]
            if self._logs.is_dir():
                files = sorted(path for path in self._logs.iterdir() if path.is_file())
            for path in files:
                yield from self._requests_of(path)
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read: {error.strerror}.") from error
        if not files:
            raise UserError(
                f"{self._logs} holds no logs: a server writes them with --log_requests."
            )

    def _requests_of(self, path: Path) -> Iterator[LoggedRequest]:
        count = 0
        try:
            for record in read_records(path):
                request = parse(record)
                if request is not None:
                    yield request
                count += 1
        except DamagedFile:
            if not count:
                raise UserError(
                    f"{path} is no log of requests, or damaged from its first record on."
                ) from None
            # as after a crash of the server; if something is missing, its id is told
            self.notes.append(f"{path} is damaged after {count:,} whole records; those are used")
        except ValueError as error:
            raise UserError(f"{path}: record {count} is {error}.") from error

    def _step(self, row: int, request: LoggedRequest, number: int) -> Step:
        observation = self._observed(row, request, number)
        mask = None
        if "action_mask" in request.inputs:
            mask = self._mask_of(row, request, number)
        elif "choices" in request.inputs:
            mask = self._is_there(observation)
        elif self._spaces.masked:
            what = f"the request was sent to {request.signature}, which knows no masks"
            raise self._wrong(row, "action_mask", what)
        action = None
        if "action" in request.outputs:
            action = self._answered(row, request.outputs["action"], number)
        elif "action" not in self._rewards.columns:
            what = f"{request.signature} answers without one: add a column to {self._rewards.path}"
            raise self._wrong(row, "action", what)
        return Step(observation, action, mask, self._probability(request, number))

    def _observed(self, row: int, request: LoggedRequest, number: int) -> np.ndarray:
        shape, dtype = self._spaces.observation_shape, np.dtype(self._spaces.observation_dtype)
        if "observation" in request.inputs:
            return self._shaped(row, "observation", request.inputs["observation"][number])
        if "text" in request.inputs or "content" in request.inputs:
            return self._read_text(row, request, number)
        content = request.inputs.get("observation_bytes")
        if content is None:
            raise self._wrong(row, "observation", "the request holds none")
        if not isinstance(content[number], bytes):
            raise self._wrong(row, "observation", "the request's are no bytes")
        if len(content[number]) != dtype.itemsize * int(np.prod(shape)):
            what = f"its {len(content[number])} bytes are none of {dtype} {list(shape)}"
            raise self._wrong(row, "observation", what)
        return np.frombuffer(content[number], dtype).reshape(shape)

    @functools.cached_property
    def _tokenizer(self) -> Tokenizer | MessageReader | None:
        return self._find_tokenizer and self._find_tokenizer()

    def _read_text(self, row: int, request: LoggedRequest, number: int) -> np.ndarray:
        """Return the tokens of a request's text or messages, and of its choices."""
        reader = self._tokenizer
        if reader is None:
            what = "the request holds one, and the environment does not say how texts become tokens"
            raise self._wrong(row, "text", what)
        choices = request.inputs["choices"][number] if "choices" in request.inputs else []
        if not isinstance(choices, list):
            raise self._wrong(row, "choices", "the request's are no list of texts")
        try:
            if "content" in request.inputs:
                return self._read_messages(row, request, number, choices)
            text = request.inputs["text"][number]
            if not isinstance(text, bytes):
                raise self._wrong(row, "text", "the request's is no text")
            return reader.observation(text, choices)
        except UserError as error:
            raise self._wrong(row, "text", str(error).rstrip(".")) from None

    def _read_messages(
        self, row: int, request: LoggedRequest, number: int, choices: list
    ) -> np.ndarray:
        """Return the tokens of a request's messages: those with a role or a content."""
        roles, contents = (request.inputs.get(name, [[]])[number] for name in ("role", "content"))
        if not isinstance(self._tokenizer, MessageReader):
            what = "the request holds messages, and the environment reads one text"
            raise self._wrong(row, "content", what)
        if not isinstance(roles, list) or not isinstance(contents, list):
            raise self._wrong(row, "content", "the request's are no list of texts")
        pairs = [
            (role.decode("utf-8", "replace"), content)
            for role, content in zip(roles, contents, strict=False)
            if role or content
        ]
        return self._tokenizer.of_messages(pairs, choices)

    def _mask_of(self, row: int, request: LoggedRequest, number: int) -> np.ndarray:
        """Return a request's mask [A], which its choices may be fewer than."""
        mask = np.asarray(request.inputs["action_mask"][number])
        if "choices" in request.inputs and mask.ndim == 1:
            mask = np.pad(mask, (0, max(0, self._spaces.actions - len(mask))))
        return self._shaped(row, "action_mask", mask)

    def _is_there(self, observation: np.ndarray) -> np.ndarray:
        """Return which choices an observation holds, [A]: those with a token."""
        spaces = self._spaces
        tokens = observation[spaces.text_tokens :].reshape(spaces.choices, spaces.choice_tokens)
        is_there: np.ndarray = (tokens != spaces.padding).any(axis=1)
        return is_there

    def _shaped(self, row: int, name: str, value: np.ndarray | bytes) -> np.ndarray:
        """Return one row of a tensor, which must have the shape and type of the column."""
        array = np.asarray(value)
        shape = columns.row_shape(name, self._spaces)
        wanted = "bool" if name == "action_mask" else self._spaces.observation_dtype
        if array.shape != shape or array.dtype != wanted:
            what = (
                f"the request's is {array.dtype} {list(array.shape)}, and must be {wanted}"
                f" {list(shape)}"
            )
            raise self._wrong(row, name, what)
        return array

    def _answered(self, row: int, actions: np.ndarray | list, number: int) -> int:
        if isinstance(actions, list) or actions.ndim != 1 or actions.dtype.kind not in "iu":
            raise self._wrong(row, "action", "the answer is no whole number for each observation")
        return int(actions[number])

    def _probability(self, request: LoggedRequest, number: int) -> float | None:
        """Return how likely the server's answer was, where the log says it."""
        if request.signature.removesuffix(MASKED) in GREEDY:
            return 1.0
        answered = request.outputs.get("propensity")
        if not isinstance(answered, np.ndarray) or answered.ndim != 1:
            return None
        return float(answered[number])

    def _keep(self, row: int, step: Step) -> None:
        self._observation[row] = step.observation
        if step.action is not None:
            self._action[row] = step.action
        if step.mask is not None:
            self._mask[row] = step.mask
        if step.propensity is not None:
            self._propensity[row] = step.propensity

    def _wrong(self, row: int, name: str, what: str) -> UserError:
        place = self._rewards.place(row)
        return UserError(f"{self._rewards.path}, {place}, column {name}: {what}.")
