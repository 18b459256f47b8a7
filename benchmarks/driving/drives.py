"""The score of drives. Needs nothing but Python, so that another project's interpreter has it."""

from collections.abc import Sequence
from typing import Any

SECONDS = 30  # of a drive, a step each, where nothing ends it before: only a crash does


def scores(returns: Sequence[float], lengths: Sequence[int]) -> dict[str, Any]:
    """Return the mean return and the share of drives without a crash, by column of the record."""
    drives = len(returns)
    whole = sum(length == SECONDS for length in lengths)
    return {"score": sum(returns) / drives, "without_crash": whole / drives, "episodes": drives}
