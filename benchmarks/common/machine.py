"""The machine and the versions that a measurement was made with. Standard library only."""

import os
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata


def describe() -> str:
    """Name the cores that this process may use, their model and the operating system."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    model = line.partition(":")[2].strip()
                    break
    except OSError:
        pass
    count = cores()
    return f"{count} core{'s' * (count != 1)}, {model}, {platform.system()}"


def cores() -> int:
    """Count the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_rss_mib() -> float:
    """Return the most memory that this process has held, in MiB.

    Linux hands a parent's `ru_maxrss` down to its children. So there it is read from /proc, which
    counts this program alone.
    """
    peak = status_mib(os.getpid(), "VmHWM")
    if peak is not None:
        return peak
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def status_mib(pid: int, field: str) -> float | None:
    """Read a memory field of a process from /proc, in MiB; None where there is none."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Look up the version of each package that is installed here."""
    installed = {}
    for package in packages:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def show_versions(installed: Mapping[str, str]) -> str:
    """Format versions as `numpy 2.1.0, gymnasium 1.2.0`."""
    return ", ".join(f"{name} {version}" for name, version in installed.items())
