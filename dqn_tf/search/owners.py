"""Who runs a trial, and which running trials nobody runs any more.

A process that is killed leaves its trial running, and a sampler stays away from where others are
at work. So each trial names its process and, now and then, the time. Of this machine, one can look
whether the process is there; of another one, only how long nothing was heard.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

OWNER, REASON = "owner", "reason"  # attributes of a trial
BEAT_SECONDS = 30.0
NAMELESS_SECONDS = 60.0  # a trial has its owner some milliseconds after it has begun


def own() -> dict[str, Any]:
    """Return what tells this process from all others, and the time, for JSON."""
    where = {"host": socket.gethostname(), "boot": _boot(), "namespace": _namespace()}
    return where | _process(os.getpid()) | {"alive": time.time()}


def heart(trial: optuna.Trial) -> Callable[[], None]:
    """Name this process as the trial's owner; return what, called often, says that it lives."""
    trial.set_user_attr(OWNER, own())
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > BEAT_SECONDS:
            trial.set_user_attr(OWNER, own())
            last = time.monotonic()

    return beat


class StaleTrials:
    """Finds the running trials of a study that nobody runs, again and again."""

    def __init__(self, study: optuna.Study, stale_seconds: float) -> None:
        """Take the study, and after how long a silence another machine's trial has failed."""
        self._study = study
        self._stale_seconds = stale_seconds
        # by trial, when it was first seen without an owner: its own time may be of another zone
        self._nameless: dict[int, float] = {}

    def fail(self) -> list[str]:
        """Tell the study that trials without a process have failed; return a sentence each."""
        sentences = []
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            reason = self._gone(trial)
            if not reason:
                continue
            try:
                self._study.tell(trial.number, state=TrialState.FAIL)
            except (RuntimeError, ValueError):
                continue  # another process was faster
            sentences.append(f"trial {trial.number} has failed: {reason}; it is done anew")
        return sentences

    def _gone(self, trial: FrozenTrial) -> str:
        """Say why nobody can be running this trial; empty if somebody may."""
        owner = trial.user_attrs.get(OWNER)
        if owner is None:
            since = self._nameless.setdefault(trial.number, time.monotonic())
            if time.monotonic() - since > NAMELESS_SECONDS:
                return "its process ended before it had named itself"
            return ""
        here = own()
        # containers of one machine may have its name, and each its own numbers of processes
        if all(owner.get(name) == here[name] for name in ("host", "boot", "namespace")):
            alive = _process(owner["pid"])
            is_running = alive["started"] == owner["started"]
            return "" if is_running else f"process {owner['pid']} has ended"
        silence = time.time() - owner["alive"]
        if silence > self._stale_seconds:
            return f"process {owner['pid']} of {owner['host']} has said nothing for {silence:.0f} s"
        return ""


def _process(pid: int) -> dict[str, Any]:
    """Return a process and when it began; numbers of processes are given out anew."""
    try:
        # the name, in brackets, may hold spaces; field 22 of proc(5) is the start in clock ticks
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        state, started = fields[0], int(fields[19])
        return {"pid": pid, "started": None if state == "Z" else started}
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return {"pid": pid, "started": None}
    except (OSError, ValueError, IndexError):
        pass
    return {"pid": pid, "started": 0 if _exists(pid) else None}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    """Return what numbers of processes belong to; empty where that is the whole machine."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
