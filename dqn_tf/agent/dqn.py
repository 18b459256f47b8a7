"""The agent: online and target networks, the Bellman update, and the compiled block of updates."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.agent.autograph import compile_loops
from dqn_tf.agent.auxiliary import make_auxiliary_losses, reductions
from dqn_tf.agent.networks.layers import DTYPE, require_keras
from dqn_tf.agent.networks.q_network import Forward, QNetwork
from dqn_tf.agent.networks.torsos import TorsoMaker
from dqn_tf.agent.optimizers import FusedAdam
from dqn_tf.agent.update_metrics import BlockMetrics
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.seeding import generators
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces

Batch = dict[str, tf.Tensor]


class Learned(NamedTuple):
    """What a block of updates brought, in NumPy."""

    metrics: dict[str, float]  # as `update_metrics` reduces them
    weights: np.ndarray | None  # the online network's, [P] float32; None if it is large
    error: np.ndarray | None  # each transition's [updates, B], with prioritised replay


class DQN(tf.keras.Model):
    """A deep Q-network with its target (Mnih et al. 2015), as a Keras model.

        agent = DQN(config)
        agent.compile()  # or compile(optimizer=…, loss=…), as any Keras model
        agent(observation)  # q_values [B, A]
        agent.fit(dataset_of_transitions)  # offline
        agent.learn(batches, updates)  # so many updates in one compiled call

    A batch of transitions is a dict of observation [B, *shape], action [B] int32, reward [B]
    float32, discount [B] float32 (gamma, or 0 at a termination) and next_observation [B, *shape].

    With `num_agents=K`, K independent agents are stacked and updated together. The first B / K rows
    of a batch are the first agent's; each has its own loss, gradient norm and metrics. `arrays` and
    `load_arrays` speak of one of them.
    """

    def __init__(
        self,
        config: DQNConfig,
        spaces: Spaces | None = None,
        num_agents: int = 1,
        torso: TorsoMaker | None = None,
    ) -> None:
        require_keras()
        super().__init__(name="dqn", dtype=DTYPE)
        if spaces is None:
            spaces = registry.spaces(config)
        self.settings, self.spaces, self.num_agents = config, spaces, num_agents
        generator = generators(config.seed or 0)["weights"]
        self.online = QNetwork(spaces, config, generator, num_agents, torso)
        self.target = QNetwork(spaces, config, generator, num_agents, torso)
        self.target.trainable = False
        self.target.set_weights(self.online.get_weights())
        # where a NumPy twin acts with them, and copying them is cheap
        self.hands_over_weights = not self.online.is_large and self.online.plan() is not None
        self.auxiliary_losses = make_auxiliary_losses(config)
        self.block_metrics = BlockMetrics(reductions(self.auxiliary_losses), num_agents)
        names = ["loss", "q_selected", *(loss.name for loss in self.auxiliary_losses)]
        self.fit_metrics = [tf.keras.metrics.Mean(name, dtype=DTYPE) for name in names]
        self(tf.zeros((num_agents, *spaces.observation_shape), spaces.observation_dtype))

    def compile(
        self,
        optimizer: tf.keras.optimizers.Optimizer | str | None = None,
        loss: tf.keras.losses.Loss | str | None = None,
        **keras_options: Any,
    ) -> None:
        """Set optimizer and loss: "huber", "mse" or a Keras loss.

        What is not given comes from the configuration. Every optimizer gets gradients within the
        configuration's `max_gradient_norm`.
        """
        config = self.settings
        super().compile(
            optimizer=optimizer or make_optimizer(config, fused=not self.online.torso.uses_xla),
            **keras_options,
        )
        self.optimizer.build(self.online.trainable_variables)
        self.per_example_loss = losses.per_example(loss or config.loss, config.huber_delta)
        self.program = compile_loops(self._program, self.online.torso.uses_xla)
        self._traced: dict[tuple[int, ...], tf.types.experimental.ConcreteFunction] = {}

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Return Q-values [B, A] float32 of the online network."""
        return self.online(observation)

    def update(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Take one gradient step on one batch; update the target network when it is due.

        Returns loss, q_selected (its mean), gradient_norm (before it is limited) and each auxiliary
        loss by its name, [num_agents] each, and each transition's error [B].
        """
        target = self.bellman_target(batch)
        values = self.online.values
        metrics = {}
        with tf.GradientTape() as tape:
            forward = self._forward(self.online, batch["observation"], 0, training=True)
            selected = losses.select(forward.outputs, batch["action"])  # [B], or [B, N]
            rows, error = values.loss(target, selected, self.per_example_loss)  # [B] each
            for auxiliary in self.auxiliary_losses:
                terms = auxiliary.rows(batch, forward, values.q_values(forward.outputs))  # [B]
                metrics[auxiliary.name] = self._mean(terms)
                rows += auxiliary.weight * terms
            rows = rows * batch["weight"] if "weight" in batch else rows
            loss = self._mean(rows)  # [num_agents]
            if self.online.losses:  # what Keras layers add: add_loss, kernel_regularizer
                loss += tf.add_n(self.online.losses) / self.num_agents
        variables = self.online.trainable_variables
        gradients = tape.gradient(loss, variables)
        gradients, norm = losses.limit_gradients(
            gradients,
            self.settings.max_gradient_norm,
            self.num_agents,
            xla=self.online.torso.uses_xla,
        )
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.update_target()
        q_selected = values.q_values(selected[:, tf.newaxis]) if values.atoms > 1 else selected
        return metrics | {
            "loss": loss,
            "q_selected": self._mean(q_selected),
            "gradient_norm": norm,
            "error": error,
        }

    def _mean(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the mean of each agent's share: [B] → [num_agents]."""
        return tf.reduce_mean(tf.reshape(rows, (self.num_agents, -1)), axis=1)

    def bellman_target(self, batch: Batch) -> tf.Tensor:
        """Return the Bellman target of the selected outputs, without gradient.

        It is [B], or [B, N] for distributions.
        """
        config = self.settings
        next_mask = batch.get("next_action_mask")
        next_outputs = self._outputs(self.target, batch["next_observation"], 1)
        if config.munchausen:
            q_values = self._outputs(self.target, batch["observation"], 1)
            return losses.munchausen_target(
                batch["reward"],
                batch["discount"],
                q_values,
                batch["action"],
                next_outputs,
                batch.get("action_mask"),
                next_mask,
                config.munchausen_alpha,
                config.munchausen_temperature,
                config.munchausen_clip,
            )
        # Double DQN: the online network chooses, the target network values (van Hasselt et al.
        # 2016, equation 4).
        choosing = next_outputs
        if config.double:
            choosing = self._outputs(self.online, batch["next_observation"], 2)
        next_action = losses.greedy(self.target.values.q_values(choosing), next_mask)
        return self.target.values.target(
            batch["reward"], batch["discount"], losses.select(next_outputs, next_action)
        )

    def _outputs(
        self, network: QNetwork, observation: tf.Tensor, use: int, training: bool = False
    ) -> tf.Tensor:
        """Return the outputs of one forward pass of an update."""
        return self._forward(network, observation, use, training).outputs

    def _forward(
        self, network: QNetwork, observation: tf.Tensor, use: int, training: bool = False
    ) -> Forward:
        """Do one forward pass of an update, with the noise of its use."""
        return network.forward(observation, self._noise_seed(use), training)

    def _noise_seed(self, use: int) -> tf.Tensor | None:
        """Return the seed of the noise of one forward pass, int32 [2]; None without noisy layers.

        It is a function of the update's number, so a resumed run draws the same noise.
        """
        if not self.settings.noisy:
            return None
        number = tf.cast(self.updates, tf.int32) * 3 + use  # an update has three passes at most
        run_seed = tf.constant((self.settings.seed or 0) % 2**31, tf.int32)
        return tf.stack([number, run_seed])

    def update_target(self) -> None:
        """Move the target network: target ← tau · online + (1 - tau) · target.

        It happens after every `target_update_period_updates`-th update. tau = 1 is the hard copy of
        Mnih et al. 2015; a smaller one is the soft update of Lillicrap et al. 2016.
        """
        due = tf.equal(self.updates % self.settings.target_update_period_updates, 0)
        # outside XLA, where the weights are not to be copied onto themselves
        if not self.online.torso.uses_xla:
            tf.cond(due, lambda: self._move_target(self.settings.tau), lambda: None)
            return
        self._move_target(tf.where(due, tf.constant(self.settings.tau, tf.float32), 0.0))

    def _move_target(self, share: tf.Tensor | float) -> None:
        for target, online in zip(self.target.variables, self.online.variables, strict=True):
            if tf.as_dtype(target.dtype).is_floating:
                # Not target + share · (online - target): a hard copy must be exact to the bit.
                target.assign(share * online + (1.0 - share) * target)
            else:  # such as the seed of a dropout layer
                target.assign(tf.where(share > 0.0, online, target))

    @property
    def updates(self) -> tf.Variable:
        """Return the gradient steps taken, a scalar int64 variable: the learner's only clock."""
        return self.optimizer.iterations

    def learn(self, batches: dict[str, np.ndarray | tf.Tensor], updates: int) -> Learned:
        """Do so many updates in one compiled call, on the first batches of `batches`.

        Each column is [U, B, ...]; as many batches serve every call, so that it is compiled once.
        """
        arguments = (
            {name: tf.convert_to_tensor(column) for name, column in batches.items()},
            tf.constant(updates),
        )
        size = batches["reward"].shape
        # called directly, a concrete function takes half the time to enter
        if size not in self._traced:
            self._traced[size] = self.program.get_concrete_function(*arguments)
        metrics, weights, error = (output.numpy() for output in self._traced[size](*arguments))
        return Learned(
            self.block_metrics.by_name(metrics)[0],
            weights if self.hands_over_weights else None,
            error[:updates] if self.settings.prioritized else None,
        )

    def _program(self, batches: Batch, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Do `count` updates.

        Returns their metrics [metrics, num_agents], the online weights [P] and, with prioritised
        replay, the errors [U, B], which are 0 in rows that were not learned.
        """
        row = tf.constant(0)
        gathered = self.block_metrics.start()
        errors = tf.zeros(batches["reward"].shape if self.settings.prioritized else 0)
        # not `for row in tf.range(count)`: XLA would compile anew, a second or two, for each new
        # count
        while row < count:
            metrics = self.update({name: column[row] for name, column in batches.items()})
            gathered = self.block_metrics.add(gathered, metrics)
            if self.settings.prioritized:
                errors = tf.tensor_scatter_nd_update(errors, [[row]], metrics["error"][tf.newaxis])
            row += 1
        weights = self.online.flat_weights_tensor() if self.hands_over_weights else tf.zeros(0)
        return self.block_metrics.reduce(gathered, count), weights, errors

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Do one update on one batch of transitions: Keras's hook for `fit`."""
        metrics = self.update(data)
        for mean in self.fit_metrics:
            mean.update_state(metrics[mean.name])
        return {mean.name: mean.result() for mean in self.fit_metrics}

    def arrays(self, index: int = 0) -> dict[str, np.ndarray]:
        """Return everything that learning moves, by name: both networks and the optimizer.

        With several agents, it is that of one of them, as if it were alone.
        """
        return {
            name: self._part(variable.numpy(), index) for name, variable in self._named().items()
        }

    def load_arrays(self, arrays: dict[str, np.ndarray], index: int = 0) -> None:
        """Set what `arrays` returned, also of a DQN with another number of agents."""
        for name, variable in self._named().items():
            # a copy: what `numpy` gives may be the very memory that others read
            value = np.array(variable.numpy())
            self._part(value, index)[...] = arrays[name]
            variable.assign(value)

    def _named(self) -> dict[str, tf.Variable]:
        groups = {
            "online": self.online.variables,
            "target": self.target.variables,
            "optimizer": optimizer_variables(self.optimizer),
        }
        return {
            f"{group}/{number}": variable
            for group, variables in groups.items()
            for number, variable in enumerate(variables)
        }

    def _part(self, value: np.ndarray, index: int) -> np.ndarray:
        """Return a view of one agent's part; all share the optimizer's count of updates."""
        return value[index] if self.num_agents > 1 and value.ndim else value[...]


def make_optimizer(config: DQNConfig, fused: bool) -> tf.keras.optimizers.Optimizer:
    """Make Adam or RMSProp with the configuration's step size and epsilon.

    With `fused`, Adam is `FusedAdam`, which pays for large networks.
    """
    rate = config.learning_rate
    if config.learning_rate_end is not None:
        rate = tf.keras.optimizers.schedules.PolynomialDecay(
            rate, max(1, config.total_updates), config.learning_rate_end
        )
    if fused and config.optimizer == "adam":
        return FusedAdam(rate, epsilon=config.optimizer_epsilon)
    kind = {"adam": tf.keras.optimizers.Adam, "rmsprop": tf.keras.optimizers.RMSprop}[
        config.optimizer
    ]
    return kind(learning_rate=rate, epsilon=config.optimizer_epsilon)


def optimizer_variables(optimizer: tf.keras.optimizers.Optimizer) -> list[tf.Variable]:
    """Return the optimizer's count of updates and its moments.

    The step size is configuration, and not among them.
    """
    # a method in Keras 2
    variables = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    return [variable for variable in variables if "learning_rate" not in variable.name]


def weights_sha256(weights: list[np.ndarray]) -> str:
    """Return the SHA-256 over shape, dtype and bytes of each array in turn.

    It is equal if and only if the weights are, to the bit.
    """
    digest = hashlib.sha256()
    for array in weights:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
