"""A process for one run. TensorFlow is restricted to one thread; RLlib runs elsewhere."""

import os
from typing import Any

from benchmarks.common import machine, one_thread
from benchmarks.common.one_thread import Answer
from benchmarks.common.processes import Child
from benchmarks.distributed.experiments import RLLIB, RLLIB_PYTHON
from dqn_tf.support.errors import UserError


def _load() -> Answer:
    from benchmarks.distributed.run_one import run

    def answer(order: dict[str, Any]) -> dict[str, Any]:
        if order["system"] == RLLIB:
            return _rllib(order)
        return run(order) | {"versions": machine.show_versions(machine.versions(("ray",)))}

    return answer


def _rllib(order: dict[str, Any]) -> dict[str, Any]:
    """Have the interpreter that has RLlib do the order. Raises UserError."""
    python = os.environ.get(RLLIB_PYTHON)
    if not python:
        raise UserError(f"{RLLIB_PYTHON} is not set: name the interpreter that has RLlib.")
    with Child("benchmarks.distributed.rllib_worker", python=python) as child:
        result = child.ask(order)
        child.finish()
    return result


if __name__ == "__main__":
    one_thread.carry_out(_load)
