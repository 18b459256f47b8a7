"""A process for one order of `run_one`. TensorFlow is restricted to one thread."""

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer


def _load() -> Answer:
    from benchmarks.uses.run_one import run

    return run


if __name__ == "__main__":
    one_thread.carry_out(_load)
