"""The compiled block: the updates of a block in one call into TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.agent.autograph import compile_loops
from dqn_tf.agent.column import Batch, describe_all
from dqn_tf.agent.packed_batches import Batches, Layout, pack, unpack
from dqn_tf.agent.update_metrics import BlockMetrics
from dqn_tf.agent.value_checks import plain_sentences
from dqn_tf.support.errors import UserError


class Learned(NamedTuple):
    """What a block of updates brought, in NumPy."""

    metrics: dict[str, float]  # of the first agent, reduced over the block
    # the online network's, one after another, [P] float32; None if they are not handed over
    weights: np.ndarray | None
    error: np.ndarray | None  # of each transition, [updates, B], with prioritised replay


class UpdateProgram:
    """Runs updates on rows of batches, as many as are asked for, in one compiled call.

    `update` does one update on one batch and returns its metrics. `flat_weights` returns what is
    handed over after the last update; None hands over nothing. `function` is the tf.function.
    """

    def __init__(
        self,
        update: Callable[[Batch], dict[str, tf.Tensor]],
        metrics: BlockMetrics,
        flat_weights: Callable[[], tf.Tensor] | None,
        keeps_errors: bool,
        uses_xla: bool,
    ) -> None:
        self.metrics = metrics
        self._update = update
        self._flat_weights = flat_weights
        self._keeps_errors = keeps_errors
        self.function = compile_loops(self.block, uses_xla)
        self._concrete: dict[Any, Callable[..., tuple[tf.Tensor, ...]]] = {}

    def begin(
        self, batches: Batches, updates: int, helper: Executor | None = None
    ) -> Callable[[], Learned]:
        """Do so many updates on the first rows of `batches`, whose columns are [U, B, ...].

        Returns what gives their outcome and, where a `helper` does them in its thread, waits for
        it. Raises UserError if there are not so many batches.
        """
        if "reward" not in batches:
            raise UserError(
                f"The batches have no column reward, but {describe_all(batches) or 'none'}."
            )
        if updates > len(batches["reward"]):
            raise UserError(
                f"{updates} updates need as many batches, and there are {len(batches['reward'])}."
            )
        packed, layout = pack(batches)
        # not `convert_to_tensor`, which takes twice as long to come to the same
        columns = {name: tf.constant(column) for name, column in packed.items()}
        count = tf.constant(updates)
        others = tuple((name, column.dtype, column.shape) for name, column in columns.items())
        kind = (layout, others)
        with plain_sentences():
            if kind not in self._concrete:
                # called directly, a concrete function takes half the time to enter
                self._concrete[kind] = self.function.get_concrete_function(columns, count, layout)
            function = self._concrete[kind]
            if helper is not None:
                # the call alone: for all else the helper would wait until this thread pauses
                wait = helper.submit(function, columns, count, layout).result
                return lambda: self._learned(wait, updates)
            outcome = function(columns, count, layout)
        return lambda: self._learned(lambda: outcome, updates)

    @plain_sentences()
    def _learned(self, wait: Callable[[], Sequence[tf.Tensor]], updates: int) -> Learned:
        """Read what `block` returned, after so many updates."""
        metrics, weights, error = wait()
        return Learned(
            metrics=self.metrics.by_name(metrics.numpy())[0],
            weights=None if self._flat_weights is None else weights.numpy(),
            error=error.numpy()[:updates] if self._keeps_errors else None,
        )

    def block(
        self, columns: Batch, count: tf.Tensor, layout: Layout
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Do `count` updates on the columns that `pack` packed in this layout.

        Returns metrics [metrics, num_agents], weights [P] and errors [U, B], which are 0 where
        nothing was learned. What is not kept is empty.
        """
        batches = unpack(columns, layout)
        row = tf.constant(0)
        gathered = self.metrics.start()
        errors = tf.zeros(batches["reward"].shape[:2] if self._keeps_errors else 0)
        # not `for row in tf.range(count)`: XLA would compile anew, a second or two, for each new
        # count
        while row < count:
            metrics = self._update({name: column[row] for name, column in batches.items()})
            gathered = self.metrics.add(gathered, metrics)
            if self._keeps_errors:
                errors = tf.tensor_scatter_nd_update(errors, [[row]], metrics["error"][tf.newaxis])
            row += 1
        weights = tf.zeros(0) if self._flat_weights is None else self._flat_weights()
        return self.metrics.reduce(gathered, count), weights, errors
