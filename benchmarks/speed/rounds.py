"""Jobs in alternating rounds:

each once, then each once more; every run in a process of its own, one at a time.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.speed.settings import Setting
from benchmarks.speed.systems import System

ROOT = Path(__file__).resolve().parents[2]


class Job(NamedTuple):
    """A system at a setting, and where its row belongs."""

    system: System
    setting: Setting
    name: str  # of the setting, or of the sweep
    value: int | None = None  # of the sweep


def run(
    jobs: Sequence[Job], rounds: int, pythons: Mapping[str, str]
) -> Iterator[tuple[Job, int, dict[str, Any]]]:
    """Yields each job with its round, counted from 1, and its answer:

    the columns measured, or the one entry `error`, a sentence.
    """
    for number in range(1, rounds + 1):
        for job in jobs:
            yield job, number, measure(job, number, pythons.get(job.system.key, sys.executable))


def measure(job: Job, seed: int, python: str) -> dict[str, Any]:
    """One run under the interpreter `python`; `wall_seconds` is from the process's start to its
    end.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = (
        os.environ
        | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
        | dict(job.system.environment)
    )
    order = {"system": job.system.key, "setting": dataclasses.asdict(job.setting), "seed": seed}
    clock = time.perf_counter()
    status, reply, log = call(
        [python, "-m", "benchmarks.speed.worker"], environment, json.dumps(order)
    )
    seconds = time.perf_counter() - clock
    if status or not reply:
        return {
            "error": (
                f"its process ended with status {status}:"
                f" {(log.strip().splitlines() or ['it said nothing'])[-1]}"
            )
        }
    return json.loads(reply) | {"wall_seconds": seconds}


def call(
    words: Sequence[str], environment: Mapping[str, str], text: str = ""
) -> tuple[int, str, str]:
    """Runs a program to its end:

    exit status, stdout, stderr. If this process is stopped meanwhile, the program is ended.
    """
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            out, log = process.communicate(text)
        except BaseException:
            process.terminate()
            raise
    return process.returncode, out, log
