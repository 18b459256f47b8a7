"""The time of one process. Standard library only."""

import time

from benchmarks.common import machine

PARTS = 10  # the timed steps are marked in tenths


class Stopwatch:
    """Marks the time when a run passes `start`, and each tenth of the `steps` after it."""

    def __init__(self, start: int, steps: int) -> None:
        self._start = start
        self._steps = steps
        self._part = 0
        self.marks: list[tuple[int, float]] = []  # (environment step, seconds)
        self.import_rss_mib = float("nan")

    def imported(self) -> None:
        """Mark that all libraries are loaded and nothing is built yet."""
        self.import_rss_mib = machine.peak_rss_mib()
        self.at(0)

    def at(self, env_step: int) -> None:
        """Mark the time if a tenth has been passed; may be called as often as you like.

        All that is due up to this environment step, updates too, must be done.
        """
        if env_step < self._start + self._part * self._steps / PARTS:
            return
        self.marks.append((env_step, time.perf_counter()))
        self._part = (env_step - self._start) * PARTS // self._steps + 1

    @property
    def steps(self) -> int:
        """Environment steps between the first mark and the last."""
        return self.marks[-1][0] - self.marks[0][0]

    @property
    def seconds(self) -> float:
        """Wall time between the first mark and the last."""
        return self.marks[-1][1] - self.marks[0][1]

    def tenths(self) -> list[tuple[int, float]]:
        """Return (steps since the start, microseconds per step) of each part between two marks."""
        first_step, _ = self.marks[0]
        parts = []
        for (before, then), (step, now) in zip(self.marks, self.marks[1:], strict=False):
            parts.append((step - first_step, (now - then) / (step - before) * 1e6))
        return parts
