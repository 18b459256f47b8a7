"""A process for one run. TensorFlow is restricted to one thread; RLlib runs elsewhere."""

from typing import Any

from benchmarks.common import machine, one_thread
from benchmarks.common.one_thread import Answer
from benchmarks.common.processes import ask_elsewhere
from benchmarks.distributed.experiments import RLLIB, RLLIB_PYTHON


def _load() -> Answer:
    from benchmarks.distributed.run_one import run

    def answer(order: dict[str, Any]) -> dict[str, Any]:
        if order["system"] == RLLIB:
            return ask_elsewhere("benchmarks.distributed.rllib_worker", RLLIB_PYTHON, order)
        return run(order) | {"versions": machine.show_versions(machine.versions(("ray",)))}

    return answer


if __name__ == "__main__":
    one_thread.carry_out(_load)
