"""Reads evaluation.json, the report of a finished run, which somebody may have edited."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

# what is read of an `Evaluation.summary`, and of the whole report: names and types
SUMMARY = {"episodes": int, "mean": float, "mean_ci95": [float, float], "iqm": float}
REPORT = {
    "env": str,
    "seed": int,
    "env_steps": int,
    "updates": int,
    "weights_sha256": str,
    "last": SUMMARY,
    "best": {"weights_sha256": str, "test": SUMMARY},
    "score": SUMMARY,
    "export": str,
    "seconds": float,
}


def read_report(path: Path, say: Callable[[str], Any]) -> dict[str, Any] | None:
    """Return the report (`report.Report`), or None if there is none that can be used.

    `say` is told if there is one that cannot.
    """
    if not path.exists():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        report = None
    if not _fits(report, REPORT):
        say(f"warning: {path} is not what a finished run writes, so it does not count.")
        return None
    return report


def _fits(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and _fits(value[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(value) == len(pattern)
            and all(map(_fits, value, pattern))
        )
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) if pattern is float else isinstance(value, pattern)
