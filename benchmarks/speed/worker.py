"""One timed run in a process of its own: a job as JSON comes in on stdin, what was measured goes
out as JSON on stdout.

Runs under any interpreter that has the system's libraries, so only the standard library is imported
before the job is known.
"""

import json
import os
import platform
import sys
import warnings
from typing import Any

import dqn_tf
from benchmarks.speed import stopwatch, systems
from benchmarks.speed.settings import Setting
from dqn_tf.support.errors import UserError


def main() -> None:
    """Does the one job."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints stays out of the reply
    warnings.simplefilter("ignore")
    try:
        answer = measure(**json.load(sys.stdin))
    except UserError as error:
        answer = {"error": str(error)}
    with replies:
        json.dump(answer, replies)


def measure(system: str, setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """Times and memory by column of the record, for the system with this key. Raises UserError."""
    chosen, work = (
        systems.BY_KEY[system],
        Setting(**setting | {"hidden_units": tuple(setting["hidden_units"])}),
    )
    watch = stopwatch.Stopwatch(work.start, work.steps)
    row_bytes = chosen.run(work, seed, watch)
    found = {"dqn_tf": dqn_tf.__version__} if chosen.name.startswith("dqn_tf") else {}
    found |= systems.versions(chosen.packages) | {"python": platform.python_version()}
    besides = [
        name
        for name in ("tensorflow", "torch", "jax")
        if name in sys.modules and name not in chosen.packages
    ]
    return {
        "steps": watch.steps,
        "seconds": watch.seconds,
        "env_steps_per_second": watch.steps / watch.seconds,
        "import_rss_mib": watch.import_rss_mib,
        "peak_rss_mib": stopwatch.peak_rss_mib(),
        "replay_bytes_per_transition": row_bytes,
        "tenths": " ".join(f"{step}:{cost:.2f}" for step, cost in watch.tenths()),
        "threads": systems.threads(chosen),
        "versions": (
            ", ".join(f"{name} {version}" for name, version in found.items())
            + "".join(f", {name} loaded besides" for name in besides)
        ),
        "machine": stopwatch.machine(),
    }


if __name__ == "__main__":
    main()
