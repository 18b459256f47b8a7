"""How much memory is left for this process: of the machine, its container and its own limit."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
# of a control group's second and first version: its limit, what it holds, and what of that is a
# cache that gives way
FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory() -> int:
    """Return the bytes that this process could take now."""
    return max(0, min([_of_machine(), *_of_groups(), *_of_process()]))


def _of_machine() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups() -> Iterator[int]:
    """Yield what is left of each control group around the process, which containers are made of."""
    for directory in _groups():
        for limit, held, cache in FILES:
            # "max" where there is none
            with contextlib.suppress(OSError, ValueError):
                most = int((directory / limit).read_text(encoding="ascii"))
                stat = (directory / "memory.stat").read_text(encoding="ascii").split()
                reclaimed = int(stat[stat.index(cache) + 1])
                yield most - int((directory / held).read_text(encoding="ascii")) + reclaimed


def _groups() -> Iterator[Path]:
    lines = []
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = GROUPS / controllers
            own = root / path.lstrip("/")
            yield own
            yield from (parent for parent in own.parents if parent.is_relative_to(root))


def _of_process() -> Iterator[int]:
    """Yield what is left of the process's own limit (`ulimit -v`), where it has one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        yield limit - pages * resource.getpagesize()
