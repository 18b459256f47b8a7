"""Reads evaluation.json, the report of a finished run, which somebody may have edited."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dqn_tf.support.errors import UserError
from dqn_tf.support.json_files import fits, read_object

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


def is_complete(report: Mapping[str, Any], total_steps: int, logged_updates: int) -> bool:
    """Tell whether a run that wrote this report has no step and no update left to do."""
    if not report["env_steps"] and report.get("offline_updates", 0) < logged_updates:
        return False
    return bool(report["env_steps"] >= total_steps)


def read_report(path: Path, say: Callable[[str], Any]) -> dict[str, Any] | None:
    """Return the report (`report.Report`), or None if there is none that can be used.

    `say` is told if there is one that cannot.
    """
    if not path.exists():
        return None
    report = None
    with contextlib.suppress(OSError, UserError):
        report = read_object(path)
    if not fits(report, REPORT):
        say(f"warning: {path} is not what a finished run writes, so it does not count.")
        return None
    return report
