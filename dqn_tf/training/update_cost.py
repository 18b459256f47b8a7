"""Says what an update costs where it costs seconds, as soon as that is known."""

from __future__ import annotations

import time

from dqn_tf.engines.engine import Block
from dqn_tf.training.run import Run, RunObserver

ENOUGH = 2  # blocks with updates: in the first one the program is compiled


class UpdateCost(RunObserver):
    """Tells the user what updates take, and how long those to come will.

    Updates on logged data, which have no environment steps between them, are told by themselves.
    """

    def __init__(self) -> None:
        self._measured = {"logged": 0, "online": 0}  # blocks with updates

    def before_block(self, run: Run) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        self._updates = run.engine.updates
        self._step = run.engine.env_step

    def after_block(self, run: Run, block: Block) -> None:
        """Say what the updates of the block took, if they are among the first of their kind."""
        updates = run.engine.updates - self._updates
        if not updates:
            return
        seconds = time.perf_counter() - self._start
        steps = run.engine.env_step - self._step
        kind = "online" if steps else "logged"
        is_first = not any(self._measured.values())
        self._measured[kind] += 1
        if is_first:
            run.say(f"The first {_updates(updates)} took {seconds:.1f} s, compilation included.")
        if self._measured[kind] != ENOUGH:
            return
        each = (seconds - block.collect_seconds) / updates
        if kind == "logged":
            left = run.config.logged_updates - run.engine.logged_updates
            run.say(
                f"An update takes {each:.2f} s: about {each * left / 60:,.0f} min for the {left:,}"
                " updates on logged data that are left."
            )
        else:
            left = run.config.total_steps - run.engine.env_step
            run.say(
                f"An update takes {each:.2f} s, and {steps} environment steps"
                f" {block.collect_seconds:.2f} s: about {seconds * left / steps / 60:,.0f} min for"
                f" the {left:,} steps that are left."
            )


def _updates(count: int) -> str:
    return "update" if count == 1 else f"{count} updates"
