"""train.py with a clock in it: python -m benchmarks.speed.timed_train FILE BEGAN --env=... --seed=...

Runs train.py itself, with the functions named here timed, and writes to FILE, as JSON, the seconds
of each part. BEGAN is `time.time()` of when the process was started. What a version of dqn_tf has
no such function for is left out.
"""

import json
import runpy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dqn_tf.support import tensorflow_loading

PARTS = {"evaluate": "_play", "checkpoint": "save", "record": "record"}  # methods of trainer.Run


class Clock:
    """Seconds by part; of the engine's blocks, each one's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.blocks: list[float] = []

    def timed(self, part: str, function: Callable) -> Callable:
        """The function, its time added to the part's."""

        def called(*arguments: Any, **keywords: Any) -> Any:
            clock = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                seconds = time.perf_counter() - clock
                if part == "block":
                    self.blocks.append(seconds)
                else:
                    self.seconds[part] = self.seconds.get(part, 0.0) + seconds

        return called

    def parts(self) -> dict[str, float]:
        """All parts.

        `compile` is what the slowest block took beyond the median one, `train` is all blocks but
        for that.
        """
        if not self.blocks:
            return self.seconds
        compiling = max(self.blocks) - statistics.median(self.blocks)
        return self.seconds | {"compile": compiling, "train": sum(self.blocks) - compiling}


def main() -> None:
    """Put the clock in and runs train.py."""
    file, began, *words = sys.argv[1:]
    clock = Clock()
    tensorflow_loading.load_tensorflow()
    from dqn_tf.training import trainer

    clock.seconds["import"] = time.time() - float(began)
    trainer.start, trainer.run_block = (
        clock.timed("build", trainer.start),
        clock.timed("block", trainer.run_block),
    )
    for part, name in PARTS.items():
        if hasattr(trainer.Run, name):
            setattr(trainer.Run, name, clock.timed(part, getattr(trainer.Run, name)))
    if hasattr(trainer, "export"):
        trainer.export = clock.timed("export", trainer.export)
    if hasattr(trainer, "plots"):
        trainer.plots.learning_curve = clock.timed("plot", trainer.plots.learning_curve)
    sys.argv = ["train.py", *words]
    try:
        runpy.run_path(str(Path(__file__).resolve().parents[2] / "train.py"), run_name="__main__")
    finally:
        Path(file).write_text(json.dumps(clock.parts()), encoding="utf-8")


if __name__ == "__main__":
    main()
