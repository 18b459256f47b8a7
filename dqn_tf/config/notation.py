"""How settings are written: sizes, schedules, names of a user's own parts, and values as typed."""

import itertools
import json
import math
import re
from typing import Any

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def show(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, default=repr)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def flag_words(name: str, value: Any) -> list[str]:
    """Return a setting as words of a command line; texts of a tuple are given one by one."""
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no{name}"]
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return [f"--{name}={part}" for part in value]
    return [f"--{name}={show(value)}"]


def is_atari(env: str) -> bool:
    """Return whether this id is one of ale-py's games."""
    return env.startswith("ALE/")


def namespace_of(env: str) -> str:
    """`my_module:MinAtar/Breakout-v1` → `MinAtar`; "" without one."""
    return env.rpartition(":")[2].rpartition("/")[0]


def is_version_of(name: str, env: str) -> bool:
    """Return whether `name` is the id `env`, which has no version, with one."""
    return re.fullmatch(rf"{re.escape(env)}-v\d+", name) is not None


def is_import_name(value: str) -> bool:
    """Return whether this is `my_module:Name`."""
    return re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", value) is not None


def import_names(text: str) -> list[str]:
    """Return the parts of `my_module:name,...`; empty if `text` is empty or not written so."""
    names = [part.strip() for part in text.split(",")]
    return names if all(map(is_import_name, names)) else []


def is_json_object(value: Any) -> bool:
    """Return whether this is a dict that JSON can hold: its names, and those within, are texts."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and _has_names(value)


def _has_names(value: Any) -> bool:
    """Tell whether all keys within are texts: JSON would make texts of others without a word."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and _has_names(part) for name, part in value.items())
    return not isinstance(value, list | tuple) or all(map(_has_names, value))


def weighted_names(text: str) -> list[tuple[str, float]]:
    """Return the parts of `my_module:name=weight,...`; a weight that is not given is 1.

    The list is empty if `text` is empty or not written so.
    """
    names = []
    for part in text.split(","):
        name, has_weight, weight = part.strip().partition("=")
        try:
            number = float(weight) if has_weight else 1.0
        except ValueError:
            return []
        if not is_import_name(name) or not math.isfinite(number):
            return []
        names.append((name, number))
    return names


def memory_bytes(size: str) -> int:
    """Return the bytes of a size such as 2GiB; 0 if it is not a size."""
    number, unit = size[:-3], size[-3:]
    try:
        return int(float(number) * UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        return 0


def epsilon_points(schedule: str) -> list[tuple[int, float]]:
    """Return the points of `step:epsilon,step:epsilon,...`.

    The list is empty if `schedule` is not written so, if steps do not rise, or if an epsilon is
    not in [0, 1].
    """
    points = []
    try:
        for point in schedule.split(","):
            step, epsilon = point.split(":")
            points.append((int(step), float(epsilon)))
    except ValueError:
        return []
    steps_rise = all(earlier < later for (earlier, _), (later, _) in itertools.pairwise(points))
    in_range = all(0.0 <= epsilon <= 1.0 for _, epsilon in points)
    return points if steps_rise and in_range else []
