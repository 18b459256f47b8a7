"""Time and memory of one process. Standard library only."""

import os
import platform
import resource
import sys
import time

PARTS = 10  # the timed steps are marked in tenths


class Stopwatch:
    """Marks the time when a run passes `start`, and each tenth of the `steps` after it."""

    def __init__(self, start: int, steps: int) -> None:
        self._start, self._steps, self._part = start, steps, 0
        self.marks: list[tuple[int, float]] = []  # (environment step, seconds)
        self.import_rss_mib = float("nan")

    def imported(self) -> None:
        """To be called once all libraries are loaded and nothing is built yet."""
        self.import_rss_mib = peak_rss_mib()
        self.at(0)

    def at(self, env_step: int) -> None:
        """To be called when all that is due up to this environment step, updates too, is done; as
        often as you like.
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
        """Their time."""
        return self.marks[-1][1] - self.marks[0][1]

    def tenths(self) -> list[tuple[int, float]]:
        """(steps since the start, microseconds per step) of each part between two marks."""
        return [
            (step - self.marks[0][0], (now - then) / (step - before) * 1e6)
            for (before, then), (step, now) in zip(self.marks, self.marks[1:], strict=False)
        ]


def peak_rss_mib() -> float:
    """The most memory that this process has held, in MiB.

    Linux hands a parent's `ru_maxrss` down to its children, so there it is read from /proc, which
    counts this program alone.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )


def machine() -> str:
    """Cores that this process may use, their kind, the system."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(
                (line.partition(":")[2].strip() for line in file if line.startswith("model name")),
                model,
            )
    except OSError:
        pass
    return f"{cores()} cores, {model}, {platform.system()}"


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
