"""Memory and CPU time of a process and of those that it started, from /proc. Standard library only.

Where there is no /proc nothing is found.
"""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
# how Ray names the processes of actors; those that wait for an actor, and its own services
ACTOR = "ray::"
NO_ACTORS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


class Process(NamedTuple):
    """A running process; `cpu_seconds` counts the children that it has waited for, too."""

    pid: int
    parent: int
    command: str
    cpu_seconds: float


class Memory(NamedTuple):
    """Memory in MiB: all that is mapped, and with shared pages divided among those who share."""

    rss: float
    pss: float


def tree(pid: int) -> list[Process]:
    """Return the process and all its descendants that run now."""
    running = {process.pid: process for process in _running()}
    found = [running[pid]] if pid in running else []
    for process in found:  # grows meanwhile
        found += [each for each in running.values() if each.parent == process.pid]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that the process and its running descendants have used."""
    return sum(process.cpu_seconds for process in tree(pid))


def actors(pid: int) -> list[int]:
    """Return the pids of the Ray actors among the descendants."""
    return [
        process.pid
        for process in tree(pid)
        if process.command.startswith(ACTOR) and not process.command.startswith(NO_ACTORS)
    ]


def memory(pid: int) -> Memory | None:
    """Return the memory of a process; None if it has ended."""
    fields = {}
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            words = line.split()
            if words[0] in ("Rss:", "Pss:"):
                fields[words[0]] = int(words[1]) / 1024
    except OSError:
        return None
    return Memory(fields["Rss:"], fields["Pss:"]) if len(fields) == 2 else None


def _running() -> list[Process]:
    found = []
    tick = os.sysconf("SC_CLK_TCK")
    for directory in PROC.glob("[0-9]*"):
        try:
            text = (directory / "stat").read_text(encoding="utf-8", errors="replace")
            command = (
                (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except OSError:
            continue  # it has just ended
        fields = text.rpartition(")")[2].split()  # the third field and those after it
        ticks = sum(int(field) for field in fields[11:15])
        found.append(Process(int(directory.name), int(fields[1]), command, ticks / tick))
    return found
