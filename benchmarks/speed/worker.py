"""One timed run in a process of its own: the order is a job, the answer what was measured.

Runs under any interpreter that has the system's libraries. So only the standard library is imported
before the job is known.
"""

import platform
import sys
import warnings
from typing import Any

import dqn_tf
from benchmarks.common import machine
from benchmarks.common.processes import Orders
from benchmarks.speed import systems
from benchmarks.speed.settings import Setting
from benchmarks.speed.stopwatch import Stopwatch


def main() -> None:
    """Carry out the one order."""
    orders = Orders()
    warnings.simplefilter("ignore")
    orders.carry_out(lambda order: measure(**order))


def measure(system: str, setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """Measure times and memory by column of the record, for the system with this key.

    Raises UserError.
    """
    timed = systems.BY_KEY[system]
    work = Setting(**setting | {"hidden_units": tuple(setting["hidden_units"])})
    watch = Stopwatch(work.start, work.steps)
    bytes_per_transition = timed.run(work, seed, watch)
    return {
        "steps": watch.steps,
        "seconds": watch.seconds,
        "env_steps_per_second": watch.steps / watch.seconds,
        "import_rss_mib": watch.import_rss_mib,
        "peak_rss_mib": machine.peak_rss_mib(),
        "replay_bytes_per_transition": bytes_per_transition,
        "tenths": " ".join(f"{step}:{cost:.2f}" for step, cost in watch.tenths()),
        "threads": systems.threads(timed),
        "versions": _versions(timed),
        "machine": machine.describe(),
    }


def _versions(timed: systems.System) -> str:
    """Format the versions of the system's packages, and name what else was loaded."""
    versions = {"dqn_tf": dqn_tf.__version__} if timed.name.startswith("dqn_tf") else {}
    versions |= machine.versions(timed.packages)
    versions["python"] = platform.python_version()
    text = machine.show_versions(versions)
    for name in ("tensorflow", "torch", "jax"):
        if name in sys.modules and name not in timed.packages:
            text += f", {name} loaded besides"
    return text


if __name__ == "__main__":
    main()
