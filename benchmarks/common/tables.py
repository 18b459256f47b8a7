"""Tables for a terminal and for a page, and the spread of repeated measurements in a cell."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple


class Spread(NamedTuple):
    """Median and range of one number over the rounds."""

    median: float
    low: float
    high: float

    def show(self, digits: int = 0) -> str:
        """Format as `median [low, high]`."""
        return f"{self.median:,.{digits}f} [{self.low:,.{digits}f}, {self.high:,.{digits}f}]"


def spread(values: Iterable[float]) -> Spread:
    """Compute median and range of at least one number."""
    values = list(values)
    return Spread(median(values), min(values), max(values))


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Pad the cells so that each column is aligned, for a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded_lines = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        padded_lines.append("  ".join(cells).rstrip())
    return "\n".join(padded_lines)


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """Write a table in Markdown, one string a line."""
    rule = ["---"] * len(header)
    return [f"| {' | '.join(line)} |" for line in (header, rule, *lines)]
