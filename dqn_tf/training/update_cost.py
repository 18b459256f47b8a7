"""Says what an update costs where it costs seconds, as soon as that is known."""

from __future__ import annotations

import time

from dqn_tf.engines.engine import Block
from dqn_tf.training.run import Run, RunObserver

ENOUGH = 2  # blocks with updates: in the first one the program is compiled


class UpdateCost(RunObserver):
    """Tells the user what updates take, of the first block that has some and of the second."""

    def __init__(self) -> None:
        self._measured = 0

    def before_block(self, run: Run) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        self._updates = run.engine.updates
        self._step = run.engine.env_step

    def after_block(self, run: Run, block: Block) -> None:
        """Say what the updates of the block took, and how long those to come will."""
        updates = run.engine.updates - self._updates
        if self._measured == ENOUGH or not updates:
            return
        self._measured += 1
        seconds = time.perf_counter() - self._start
        if self._measured < ENOUGH:
            run.say(f"The first {_updates(updates)} took {seconds:.1f} s, compilation included.")
            return
        each = (seconds - block.collect_seconds) / updates
        left = run.config.total_steps - run.engine.env_step
        steps = max(1, run.engine.env_step - self._step)
        run.say(
            f"An update takes {each:.2f} s, and {steps} environment steps"
            f" {block.collect_seconds:.2f} s: about {seconds * left / steps / 60:,.0f} min for the"
            f" {left:,} steps that are left."
        )


def _updates(count: int) -> str:
    return "update" if count == 1 else f"{count} updates"
