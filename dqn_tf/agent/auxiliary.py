"""Auxiliary losses: further terms of the update, by name.

`--auxiliary_losses=my_module:my_loss=0.1` adds 0.1 times the mean of what `my_loss` returns:

    def my_loss(batch, forward, q_values):
        return tf.reduce_logsumexp(q_values, axis=1)  # [B]

`batch` is the batch of transitions, `forward` the online network's pass over `observation`: its
`features` [B, width] and `outputs` [B, A] or [B, A, N]. `q_values` [B, A] are what these outputs
mean. The function is called inside the gradient tape. Where replay is prioritised, its rows are
multiplied by the importance weights, as those of the Bellman loss are.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from dqn_tf.agent.autograph import read_users_code
from dqn_tf.agent.networks.q_network import Forward
from dqn_tf.agent.update_metrics import MEAN, UPDATE_METRICS
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import weighted_names
from dqn_tf.support.errors import UserError
from dqn_tf.support.imports import import_named

Batch = dict[str, tf.Tensor]


class AuxiliaryLoss(NamedTuple):
    """One further term of the loss, and the name of its metric."""

    name: str
    weight: float
    function: Callable[[Batch, Forward, tf.Tensor], tf.Tensor]

    def rows(self, batch: Batch, forward: Forward, q_values: tf.Tensor) -> tf.Tensor:
        """Return the loss of each transition, [B] float32, without its weight.

        Raises UserError if the function returns another shape.
        """
        rows = tf.convert_to_tensor(self.function(batch, forward, q_values))
        if not rows.shape.is_compatible_with(batch["reward"].shape):
            raise UserError(
                f"--auxiliary_losses: {self.name} returned shape {list(rows.shape)}; it must be"
                " one number for each transition, [B]."
            )
        return tf.cast(rows, tf.float32)


def make_auxiliary_losses(config: DQNConfig) -> list[AuxiliaryLoss]:
    """Import the functions that `config.auxiliary_losses` names. Raises UserError."""
    auxiliaries: list[AuxiliaryLoss] = []
    for import_name, weight in weighted_names(config.auxiliary_losses):
        function = import_named("auxiliary_losses", import_name)
        name = import_name.partition(":")[2]
        if not callable(function):
            raise UserError(f"--auxiliary_losses: {import_name} is no function.")
        if name in UPDATE_METRICS or name in [other.name for other in auxiliaries]:
            raise UserError(
                f"--auxiliary_losses: {name} is a metric already; give the function another name."
            )
        auxiliaries.append(AuxiliaryLoss(name, weight, read_users_code(function, function)))
    return auxiliaries


def reductions(auxiliaries: Sequence[AuxiliaryLoss]) -> dict[str, str]:
    """Return how each metric of an update is reduced, those of auxiliary losses included."""
    return UPDATE_METRICS | {auxiliary.name: MEAN for auxiliary in auxiliaries}
