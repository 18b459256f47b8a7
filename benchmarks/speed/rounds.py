"""Jobs in alternating rounds: each once, then each once more.

Every run is a process of its own, one at a time.
"""

import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common.processes import Child
from benchmarks.speed.jobs import Job
from dqn_tf.support.errors import UserError


def run(
    jobs: Sequence[Job], rounds: int, pythons: Mapping[str, str]
) -> Iterator[tuple[Job, int, dict[str, Any]]]:
    """Yield each job with its round, counted from 1, and its answer.

    The answer has the columns that were measured, or the one entry `error`, a sentence.
    """
    for number in range(1, rounds + 1):
        for job in jobs:
            python = pythons.get(job.system.key, sys.executable)
            yield job, number, measure(job, number, python)


def measure(job: Job, seed: int, python: str) -> dict[str, Any]:
    """Do one run under the interpreter `python`.

    `wall_seconds` is from the process's start to its end.
    """
    order = {"system": job.system.key, "setting": dataclasses.asdict(job.setting), "seed": seed}
    variables = dict(job.system.environment)
    start = time.perf_counter()
    try:
        with Child("benchmarks.speed.worker", python=python, variables=variables) as child:
            answer = child.ask(order)
            child.finish()
            wall_seconds = time.perf_counter() - start
    except UserError as error:
        return {"error": str(error)}
    return answer | {"wall_seconds": wall_seconds}
