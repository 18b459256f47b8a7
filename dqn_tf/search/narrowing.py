"""The user's own ranges: `--range`, once for each setting, and a JSON file, `--ranges`.

--range=learning_rate=1e-4:1e-2:log --range=double=true,false --range=hidden_units=64,64|256,256

The file holds an object with a range or a list of choices for each setting:

{"learning_rate": {"low": 1e-4, "high": 1e-2, "log": true}, "double": [true, false]}
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dqn_tf.config.dqn_config import FIELDS
from dqn_tf.config.notation import show
from dqn_tf.config.searched import Searched
from dqn_tf.config.settings.setting import ATARI, RECORDS, RUN, WORKERS
from dqn_tf.search.space import typed_value
from dqn_tf.support.errors import UserError, describe_value
from dqn_tf.support.json_files import fits, read_object

# what decides which scores can be compared, or what a score is
SAME_FOR_ALL = (RUN, RECORDS, ATARI, WORKERS)
FORMS = (
    "a setting with LOW:HIGH, LOW:HIGH:log or choices, such as learning_rate=1e-4:1e-2:log,"
    " double=true,false or hidden_units=64,64|128,128"
)


def read(ranges: Sequence[str], file: str | None) -> dict[str, Searched]:
    """Return the user's ranges by setting; flags go before the file. Raises UserError."""
    own = read_file(Path(file)) if file else {}
    seen: set[str] = set()
    for word in ranges:
        name, _, text = word.partition("=")
        typed = f"--range={word}"
        _require_searchable(typed, name)
        if name in seen:
            raise UserError(f"{typed}: {name} has a range already; give one of them.")
        seen.add(name)
        is_range = ":" in text and _kind(name) in ("int", "float")
        own[name] = (_parse_range if is_range else _parse_choices)(typed, name, text)
    return own


def read_file(path: Path) -> dict[str, Searched]:
    """Return the ranges of a JSON file. Raises UserError."""
    try:
        values = read_object(path)
    except OSError as error:
        raise UserError(f"--ranges={path} cannot be read: {error.strerror}.") from error
    own = {}
    for name, value in values.items():
        place = f"{path}: {name}"
        _require_searchable(place, name)
        if isinstance(value, list):
            own[name] = choices_of(place, name, value)
        elif _is_range(value):
            own[name] = range_of(place, name, value["low"], value["high"], value.get("log", False))
        else:
            raise UserError(
                f"{place} is {describe_value(value)}: must be a list of choices, or an object with"
                " low, high and, if wanted, log."
            )
    return own


def _is_range(value: Any) -> bool:
    """Tell whether a value of the file is an object with low, high and, if wanted, log."""
    if not fits(value, {"low": float, "high": float}) or not set(value) <= {"low", "high", "log"}:
        return False
    return isinstance(value.get("log", False), bool)


def range_of(place: str, name: str, low: Any, high: Any, log: Any) -> Searched:
    """Return a checked range of numbers. Raises UserError, which begins with `place`."""
    ends = []
    for end in (low, high):
        try:
            value = typed_value(name, end)
        except TypeError as error:
            raise UserError(f"{place}: {show(end)} is no value of --{name}.") from error
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{place}: --{name} has no numbers from low to high; give choices.")
        _require_allowed(place, name, value)
        ends.append(value)
    if not ends[0] < ends[1]:
        raise UserError(f"{place}: {show(low)} must be below {show(high)}.")
    if log and ends[0] <= 0:
        raise UserError(f"{place}: a range by ratio (log) begins above 0.")
    return Searched(ends[0], ends[1], bool(log))


def choices_of(place: str, name: str, values: Sequence[Any]) -> Searched:
    """Return checked choices. Raises UserError, which begins with `place`."""
    typed = []
    for value in values:
        try:
            typed.append(typed_value(name, value))
        except TypeError as error:
            raise UserError(f"{place}: {describe_value(value)} is no value of --{name}.") from error
        if typed[-1] is not None:
            _require_allowed(place, name, typed[-1])
    if len(set(typed)) < len(typed) or len(typed) < 2:
        raise UserError(f"{place}: name at least two values, each once.")
    return Searched(choices=tuple(typed))


def _require_allowed(place: str, name: str, value: Any) -> None:
    allowed = FIELDS[name].metadata["allowed"]
    if allowed is not None and value not in allowed:
        raise UserError(f"{place}: {show(value)} is not allowed, --{name} must be {allowed}.")


def _require_searchable(place: str, name: str) -> None:
    if name not in FIELDS:
        raise UserError(f"{place}: there is no setting {name!r}; train.py --help lists them.")
    field = FIELDS[name]
    if field.metadata["group"] in SAME_FOR_ALL or str(field.type).startswith(
        ("dict[", "tuple[str")
    ):
        raise UserError(
            f"{place}: --{name} is the same for all trials, or their scores could not be compared;"
            f" give one value as --{name}."
        )


def _parse_range(typed: str, name: str, text: str) -> Searched:
    words = text.split(":")
    if len(words) not in (2, 3) or (len(words) == 3 and words[2] not in ("log", "linear")):
        raise UserError(f"{typed}: must be {FORMS}.")
    low, high = (_word(name, word) for word in words[:2])
    return range_of(typed, name, low, high, words[2:] == ["log"])


def _parse_choices(typed: str, name: str, text: str) -> Searched:
    is_list = _kind(name).startswith("tuple[")
    words = text.split("|") if is_list or "|" in text else text.split(",")
    if not text:
        raise UserError(f"{typed}: must be {FORMS}.")
    return choices_of(typed, name, [_word(name, word) for word in words])


def _kind(name: str) -> str:
    return str(FIELDS[name].type).removesuffix(" | None")


def _word(name: str, word: str) -> Any:
    """Return what a word means: JSON where it is some, names and other texts as they are."""
    kind = _kind(name)
    if kind.startswith("tuple[int"):
        return [_json(part) for part in word.split(",") if part]
    if kind == "str" and word != "null":
        return word
    return _json(word)


def _json(word: str) -> Any:
    constants: Mapping[str, Any] = {"None": None, "True": True, "False": False}
    if word in constants:
        return constants[word]
    try:
        return json.loads(word)
    except ValueError:
        pass
    try:
        return float(word)  # 1e-4 is JSON, and .5 is not
    except ValueError:
        return word
