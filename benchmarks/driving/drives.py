"""The score of drives. Needs nothing but Python, so that another project's interpreter has it."""

from collections.abc import Sequence
from typing import Any

SECONDS = 30  # of a whole drive, a step each; a crash ends it before


def scores(returns: Sequence[float], lengths: Sequence[int]) -> dict[str, Any]:
    """Return the mean return and the share of whole drives, by column of the record."""
    drives = len(returns)
    whole = sum(length == SECONDS for length in lengths)
    return {"score": sum(returns) / drives, "whole": whole / drives, "episodes": drives}
