"""What one round of a measurement consists of: systems, each at the work that it can do."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.speed import settings, systems
from benchmarks.speed.settings import SETTINGS, SWEEPS, Setting
from benchmarks.speed.systems import System
from dqn_tf.support.errors import UserError


class Job(NamedTuple):
    """A system at a setting, and where its row belongs."""

    system: System
    setting: Setting
    name: str  # of the setting, or of the sweep
    value: int | None = None  # of the sweep


def installed(chosen: Sequence[System], pythons: Mapping[str, str], python: str) -> list[System]:
    """Select the systems that can run, and print why each other one cannot.

    `pythons` are the interpreters of systems that do not run under `python`. Raises UserError if no
    system is left.
    """
    runnable = []
    for system in chosen:
        reason = systems.why_not(system, pythons.get(system.key, python))
        if reason:
            print(reason, flush=True)
        else:
            print(f"{system.name}: {system.threads}", flush=True)
            runnable.append(system)
    if not runnable:
        raise UserError("None of the systems asked for can run here.")
    return runnable


def one_round(
    kind: str, sweeps: Sequence[str], steps: int | None, chosen: Sequence[System]
) -> list[Job]:
    """List the jobs of one round, and print what is left out and why."""
    if kind == "scaling" and "seeds" in sweeps and any(not system.seeds for system in chosen):
        names = [system.name for system in chosen if system.seeds]
        print(
            f"Several seeds at once are trained by {' and '.join(names) or 'none of these'} only."
        )
    jobs = []
    for name, value, setting in _works(kind, sweeps, steps):
        for system in chosen:
            fitted = _fit(system, name, value, setting)
            if fitted is not None:
                jobs.append(Job(system, fitted, name, value))
    return jobs


def _works(
    kind: str, sweeps: Sequence[str], steps: int | None
) -> list[tuple[str, int | None, Setting]]:
    """List name, value of the sweep, and setting of all work of this kind."""
    if kind in SETTINGS:
        setting = SETTINGS[kind]
        return [(kind, None, dataclasses.replace(setting, steps=steps or setting.steps))]
    points = [
        (sweep, value)
        for sweep in (["memory"] if kind == "memory" else sweeps)
        for value in (settings.MEMORY if kind == "memory" else SWEEPS[sweep])
    ]
    return [(sweep, value, settings.swept(sweep, value, steps)) for sweep, value in points]


def _fit(system: System, name: str, value: int | None, setting: Setting) -> Setting | None:
    """Adapt the work to the system; None if the system cannot do it."""
    if name == "seeds" and not system.seeds:
        return None
    if not system.grows and (setting.filled or setting.num_envs > 1):
        if name != "memory" or value != settings.MEMORY[0]:
            point = name if value is None else f"{name} {value:,}"
            print(
                f"{system.name} is left out of {point}: here it runs with one environment and a"
                " replay that fills by itself."
            )
            return None
        setting = dataclasses.replace(setting, filled=False)
    envs = setting.num_envs if name == "envs" else max(system.envs, setting.num_envs)
    return dataclasses.replace(setting, num_envs=envs)
