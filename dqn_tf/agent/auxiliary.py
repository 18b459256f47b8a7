"""Auxiliary losses: further terms of the update, the built-in ones and a user's own, by name.

`--auxiliary_losses=my_module:my_loss=0.1` adds 0.1 times the mean of what `my_loss` returns:

    def my_loss(batch, forward, q_values):
        return tf.reduce_logsumexp(q_values, axis=1)  # [B]

`batch` is the batch of transitions, with `action_mask` [B, A] bool where the environment says which
actions are legal. `forward` is the online network's pass over `observation`: its `features`
[B, width], `outputs` [B, A] or [B, A, N] and, where there is a behaviour head, `behaviour` [B, A].
`q_values` [B, A] are what the outputs mean. The function is called inside the gradient tape. Where
replay is prioritised, its rows are multiplied by the importance weights, as those of the Bellman
loss are.

The built-in ones, of `logged_losses`, count the rows of logged data alone: the column `is_logged`
[B] of a batch is 1 there and 0 elsewhere. A batch without that column is logged as a whole.

    cql        --cql_alpha
    imitation  --imitation, as cross-entropy of the behaviour head or as a margin of Q-values
    behaviour  the cross-entropy, with weight 1, where --support needs the head and --imitation does
               not train it
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from dqn_tf.agent import logged_losses
from dqn_tf.agent.autograph import read_users_code
from dqn_tf.agent.networks.q_network import Forward
from dqn_tf.agent.update_metrics import MEAN, UPDATE_METRICS
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import weighted_names
from dqn_tf.support.errors import UserError
from dqn_tf.support.imports import import_named

Batch = dict[str, tf.Tensor]


# of metrics beside the auxiliary ones: of an update, and of a row of metrics.csv
TAKEN_NAMES = (
    *UPDATE_METRICS,
    "error",
    "target",
    "selected",
    "env_step",
    "epsilon",
    "updates",
    "env_steps_per_second",
    "step",  # a tracker's own
    "timestamp",
)


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
    """Return the built-in ones that are switched on, then those of `config.auxiliary_losses`.

    Raises UserError on a function that cannot be imported.
    """
    auxiliaries = built_in_losses(config)
    for import_name, weight in weighted_names(config.auxiliary_losses):
        function = import_named("auxiliary_losses", import_name)
        name = import_name.partition(":")[2]
        if not callable(function):
            raise UserError(f"--auxiliary_losses: {import_name} is no function.")
        if name in TAKEN_NAMES or name in [other.name for other in auxiliaries]:
            raise UserError(
                f"--auxiliary_losses: {name} is a metric already; give the function another name."
            )
        auxiliaries.append(AuxiliaryLoss(name, weight, read_users_code(function, function)))
    return auxiliaries


def built_in_losses(config: DQNConfig) -> list[AuxiliaryLoss]:
    """Return the losses on logged rows that are switched on."""

    def conservative(batch: Batch, forward: Forward, q_values: tf.Tensor) -> tf.Tensor:
        mask = batch.get("action_mask")
        return _logged(batch, logged_losses.conservative(q_values, batch["action"], mask))

    def cross_entropy(batch: Batch, forward: Forward, q_values: tf.Tensor) -> tf.Tensor:
        mask = batch.get("action_mask")
        terms = logged_losses.cross_entropy(forward.behaviour, batch["action"], mask)
        return _logged(batch, terms)

    def margin(batch: Batch, forward: Forward, q_values: tf.Tensor) -> tf.Tensor:
        mask = batch.get("action_mask")
        size = config.imitation_margin
        return _logged(batch, logged_losses.margin(q_values, batch["action"], size, mask))

    auxiliaries = []
    clones = config.imitation > 0 and config.imitation_loss == "cross_entropy"
    if config.cql_alpha:
        auxiliaries.append(AuxiliaryLoss("cql", config.cql_alpha, conservative))
    if config.imitation:
        imitation = cross_entropy if clones else margin
        auxiliaries.append(AuxiliaryLoss("imitation", config.imitation, imitation))
    if config.support and not clones:
        auxiliaries.append(AuxiliaryLoss("behaviour", 1.0, cross_entropy))
    return auxiliaries


def _logged(batch: Batch, terms: tf.Tensor) -> tf.Tensor:
    """Return the terms [B] of logged rows, and 0 for all others."""
    return terms * batch["is_logged"] if "is_logged" in batch else terms


def reductions(auxiliaries: Sequence[AuxiliaryLoss]) -> dict[str, str]:
    """Return how each metric of an update is reduced, those of auxiliary losses included."""
    return UPDATE_METRICS | {auxiliary.name: MEAN for auxiliary in auxiliaries}
