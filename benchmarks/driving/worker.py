"""A process for one run. TensorFlow has one thread; Stable-Baselines3 runs elsewhere."""

from typing import Any

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer
from benchmarks.common.processes import ask_elsewhere
from benchmarks.driving.experiments import SB3, SB3_PYTHON


def _load() -> Answer:
    from benchmarks.driving.run_one import run

    def answer(order: dict[str, Any]) -> dict[str, Any]:
        if order["system"] == SB3:
            return ask_elsewhere("benchmarks.driving.sb3_worker", SB3_PYTHON, order)
        return run(order)

    return answer


if __name__ == "__main__":
    one_thread.carry_out(_load)
