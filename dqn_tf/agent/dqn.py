"""The agent: online and target networks, and the Bellman update."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent import episode_batch, logged_losses, losses
from dqn_tf.agent.auxiliary import make_auxiliary_losses, reductions
from dqn_tf.agent.column import Batch
from dqn_tf.agent.columns import Columns
from dqn_tf.agent.keras_model import TransitionModel, kept_options
from dqn_tf.agent.networks.layers import DTYPE, require_keras
from dqn_tf.agent.networks.q_network import Forward, QNetwork
from dqn_tf.agent.networks.torsos import TorsoMaker
from dqn_tf.agent.optimizers import make_optimizer, optimizer_variables
from dqn_tf.agent.packed_batches import Batches
from dqn_tf.agent.program import Learned, UpdateProgram
from dqn_tf.agent.update_metrics import IMITATION_METRICS, BlockMetrics
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.seeding import generators, with_seed
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

# The forward passes of an update that draw noise of their own.
ONLINE, TARGET, CHOICE = 0, 1, 2


@tf.keras.utils.register_keras_serializable("dqn_tf")
class DQN(TransitionModel):
    """A deep Q-network with its target (Mnih et al. 2015), as a Keras model.

        agent = DQN(config)
        agent.compile()                     # or compile(optimizer=…, loss=…), as any Keras model
        agent(observation)                  # q_values [B, A]
        agent.fit(dataset_of_transitions)   # offline
        agent.learn(batches, updates)       # so many updates in one compiled call

    A batch of transitions is a dict of observation [B, *shape], action [B] int32, reward [B]
    float32, discount [B] float32 (gamma, or 0 at a termination) and next_observation [B, *shape].

    Without `spaces` they are those of `config.env`. `torso` is a class of your own, or a function
    of (spaces, config, seeds) that makes a torso, in place of the one that `config.network` names.
    Without a seed in `config` one is drawn, which `settings` then holds.

    With `num_agents=K`, K independent agents are stacked and updated together. The first B / K rows
    of a batch are the first agent's; each has its own loss, gradient norm and metrics. `arrays` and
    `load_arrays` speak of one of them.

    It computes in float32 whatever Keras's global policy is. Raises UserError if it cannot be made.
    """

    def __init__(
        self,
        config: DQNConfig,
        spaces: Spaces | None = None,
        num_agents: int = 1,
        torso: TorsoMaker | None = None,
    ) -> None:
        require_keras()
        _require_usable(config)
        super().__init__(name="dqn", dtype=DTYPE)
        self.settings = config = with_seed(config)
        self.spaces = registry.spaces(config) if spaces is None else spaces
        self.num_agents = num_agents
        self.torso_maker = torso
        self.columns = Columns(self.spaces, num_agents)
        generator = generators(config.seed or 0)["weights"]
        self.online = QNetwork(self.spaces, config, generator, num_agents, torso)
        self.target = QNetwork(self.spaces, config, generator, num_agents, torso)
        # Before the target is frozen: Keras 2 then has its variables in another order.
        pairs = list(zip(self.target.variables, self.online.variables, strict=True))
        self._target_and_online = lambda: pairs  # Keras would count those of a list twice
        for target, online in pairs:
            target.assign(online)
        self.target.trainable = False
        self.auxiliary_losses = make_auxiliary_losses(config)
        self.block_metrics = BlockMetrics(reductions(self.auxiliary_losses), num_agents)
        names = ["loss", "q_selected", *(loss.name for loss in self.auxiliary_losses)]
        self.fit_metrics = [tf.keras.metrics.Mean(name, dtype=DTYPE) for name in names]
        shape = (num_agents, *self.spaces.observation_shape)
        self(tf.zeros(shape, self.spaces.observation_dtype))

    def compile(
        self,
        optimizer: tf.keras.optimizers.Optimizer | str | None = None,
        loss: losses.KerasLoss | None = None,
        **keras_options: Any,
    ) -> None:
        """Set optimizer and loss ("huber", "mse" or Keras's); the config's if not given.

        Whatever the optimizer, it gets gradients within the config's `max_gradient_norm`. The other
        options are Keras's; its `metrics` compare the Bellman target with the selected Q-value.
        Raises UserError on what cannot be kept.
        """
        config = self.settings
        uses_xla = self.online.torso.uses_xla
        optimizer = optimizer or make_optimizer(config, fused=not uses_xla)
        per_example_loss = losses.per_example(loss or config.loss, config.huber_delta)
        super().compile(optimizer=optimizer, **kept_options(keras_options))
        if not hasattr(self.optimizer, "build"):
            raise UserError(
                f"compile(optimizer={optimizer!r}): an optimizer of tf.keras.optimizers.legacy"
                " cannot be used. Take the one of the same name in tf.keras.optimizers."
            )
        self.optimizer.build(self.online.trainable_variables)
        self.compiled_with = loss
        self.per_example_loss = per_example_loss
        # where a NumPy twin acts with them, and copying them is cheap
        hands_over = not self.online.is_large and self.online.plan() is not None
        flat_weights = self.online.flat_weights_tensor if hands_over else None
        self.program = UpdateProgram(
            self.update, self.block_metrics, flat_weights, config.prioritized, uses_xla
        )
        metrics = BlockMetrics(IMITATION_METRICS, self.num_agents)
        self.imitation_program = UpdateProgram(self.imitate, metrics, flat_weights, False, uses_xla)

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Return the online network's Q-values [B, A] float32."""
        return self.online(observation)

    def update(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Take one gradient step on one batch; update the target network when it is due.

        Returns what `measure` does and gradient_norm [num_agents], before it is limited.
        """
        batch = self._read(batch)
        target = self.bellman_target(batch)
        with tf.GradientTape() as tape:
            metrics = self._compare(batch, target)
        metrics["gradient_norm"] = self._descend(tape, metrics["loss"])
        if episode_batch.is_of_episodes(batch):
            metrics["error"] = episode_batch.priorities(metrics["error"], batch)
        self.update_target()
        return metrics

    def imitate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Take one gradient step on the cross-entropy of the behaviour head alone.

        Q-values are not learned from; the target network is updated when it is due. Returns loss
        and gradient_norm [num_agents].
        """
        batch = self._read(batch)
        with tf.GradientTape() as tape:
            forward = self._forward(self.online, batch, "observation", None, training=True)
            rows = logged_losses.cross_entropy(
                forward.behaviour, batch["action"], batch.get("action_mask")
            )
            loss = self._with_keras_losses(self._mean(rows, batch))
        gradient_norm = self._descend(tape, loss)
        self.update_target()
        return {"loss": loss, "gradient_norm": gradient_norm}

    def _read(self, batch: Batch) -> Batch:
        """Return the columns of transitions, also where the rows of a batch are whole episodes."""
        if episode_batch.is_of_episodes(batch):
            return episode_batch.flattened(batch, self.spaces)
        return self.columns.read(batch)

    def measure(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return the metrics of one batch, without learning from it and without noise.

        They are loss, q_selected (its mean) and each auxiliary loss by its name, [num_agents] each.
        Of each transition there are error, target and selected, [B]; of distributions the means.
        """
        batch = self._read(batch)
        return self._compare(batch, self.bellman_target(batch, learns=False), learns=False)

    def _compare(
        self, batch: Batch, target: tf.Tensor, learns: bool = True
    ) -> dict[str, tf.Tensor]:
        """Return the metrics of the online network against a Bellman target [B] or [B, N]."""
        values = self.online.values
        metrics = {}
        forward = self._forward(
            self.online, batch, "observation", ONLINE if learns else None, training=learns
        )
        selected = losses.select(forward.outputs, batch["action"])  # [B], or [B, N]
        rows, error = values.loss(target, selected, self.per_example_loss)  # [B] each
        for auxiliary in self.auxiliary_losses:
            terms = auxiliary.rows(batch, forward, values.q_values(forward.outputs))  # [B]
            metrics[auxiliary.name] = self._mean(terms, batch)
            rows += auxiliary.weight * terms
        rows = rows * batch["weight"] if "weight" in batch else rows
        loss = self._with_keras_losses(self._mean(rows, batch))  # [num_agents]
        if values.atoms > 1:
            target = values.expected(target)
            selected = values.q_values(selected[:, tf.newaxis])[:, 0]
        metrics |= {"loss": loss, "q_selected": self._mean(selected, batch), "error": error}
        metrics |= {"target": target, "selected": selected}
        return metrics

    def _descend(self, tape: tf.GradientTape, loss: tf.Tensor) -> tf.Tensor:
        """Take one step of the optimizer; return the norm of the gradient [num_agents]."""
        variables = self.online.trainable_variables
        gradients = [
            # None: it has no effect. An embedding's gradient comes as rows.
            tf.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True)
        ]
        gradients, norm = losses.limit_gradients(
            gradients,
            self.settings.max_gradient_norm,
            self.num_agents,
            uses_xla=self.online.torso.uses_xla,
        )
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return norm

    def _with_keras_losses(self, loss: tf.Tensor) -> tf.Tensor:
        """Add what layers add by `add_loss` and `kernel_regularizer` to a loss [num_agents]."""
        keras_losses = self.online.losses
        return loss + tf.add_n(keras_losses) / self.num_agents if keras_losses else loss

    def _mean(self, rows: tf.Tensor, batch: Batch) -> tf.Tensor:
        """[B] → the mean of each agent's share, [num_agents]."""
        if episode_batch.is_of_episodes(batch):
            return episode_batch.mean_of_steps(rows, batch)
        return tf.reduce_mean(tf.reshape(rows, (self.num_agents, -1)), axis=1)

    def bellman_target(self, batch: Batch, learns: bool = True) -> tf.Tensor:
        """Return the Bellman target of the selected outputs, [B] or [B, N], without gradient.

        There is no noise if it is not to be learned from.
        """
        config = self.settings
        values = self.target.values
        use = TARGET if learns else None
        next_mask = batch.get("next_action_mask")
        choosing = self._forward(self.target, batch, "next_observation", use)
        next_outputs = choosing.outputs
        if config.munchausen:
            munchausen = losses.munchausen_target(
                batch["reward"],
                batch["discount"],
                self._forward(self.target, batch, "observation", use).outputs,
                batch["action"],
                next_outputs,
                batch.get("action_mask"),
                next_mask,
                config.munchausen_alpha,
                config.munchausen_temperature,
                config.munchausen_clip,
            )
            return values.clipped(munchausen, config)
        if config.double:
            # The online network chooses, the target network values (van Hasselt et al. 2016,
            # equation 4).
            use = CHOICE if learns else None
            choosing = self._forward(self.online, batch, "next_observation", use)
        candidates = self.online.supported(choosing.behaviour, next_mask)
        next_action = losses.greedy(values.q_values(choosing.outputs), candidates)
        next_selected = losses.select(next_outputs, next_action)
        target = values.target(batch["reward"], batch["discount"], next_selected)
        return values.clipped(target, config)

    def _forward(
        self, network: QNetwork, batch: Batch, name: str, use: int | None, training: bool = False
    ) -> Forward:
        """Do one forward pass of an update over the named observations, with its use's noise."""
        noise_seed = self._noise_seed(use)
        if episode_batch.is_of_episodes(batch):
            position = batch[episode_batch.POSITIONS[name]]
            sequence = batch[episode_batch.SEQUENCE]
            return network.forward_steps(sequence, position, noise_seed, training)
        return network.forward(batch[name], noise_seed, training)

    def _noise_seed(self, use: int | None) -> tf.Tensor | None:
        """Return the seed of one forward pass's noise, int32 [2]; None if it has none.

        It is a function of the update's number, so a resumed run draws the same noise.
        """
        config = self.settings
        if use is None or not (config.noisy or config.feature_noise or config.dropout):
            return None
        number = tf.cast(self.updates, tf.int32) * 3 + use
        return tf.stack([number, tf.constant((self.settings.seed or 0) % 2**31, tf.int32)])

    def update_target(self) -> None:
        """Move the target to tau · online + (1 - tau) · target, when an update's turn has come.

        That is every `target_update_period_updates`-th update. tau = 1 is the hard copy of Mnih et
        al. 2015; smaller is the soft update of Lillicrap et al. 2016.
        """
        tau = self.settings.tau
        is_due = tf.equal(self.updates % self.settings.target_update_period_updates, 0)
        if self.online.torso.uses_xla:
            self._move_target(tf.where(is_due, tf.constant(tau, tf.float32), 0.0))
        else:  # where the weights are not to be copied onto themselves
            tf.cond(is_due, lambda: self._move_target(tau), lambda: None)

    def copy_to_target(self) -> None:
        """Make the target network a copy of the online network."""
        self._move_target(1.0)

    def _move_target(self, share: tf.Tensor | float) -> None:
        for target, online in self._target_and_online():
            if tf.as_dtype(target.dtype).is_floating:
                # Not target + share · (online - target): a hard copy must be exact to the bit.
                target.assign(share * online + (1.0 - share) * target)
            else:  # such as the seed of a dropout layer
                target.assign(tf.where(share > 0.0, online, target))

    @property
    def updates(self) -> tf.Variable:
        """Gradient steps taken, a scalar int64 variable: the learner's only clock."""
        self._require_compiled()
        return self.optimizer.iterations

    def _require_compiled(self) -> None:
        if getattr(self, "program", None) is None:
            raise UserError("The agent is not compiled yet: call agent.compile() first.")

    def learn(self, batches: Batches, updates: int) -> Learned:
        """Do so many updates on the first rows of `batches`, in one compiled call.

        Each column is [U, B, ...]. Values are not looked at; what the replay holds was. Raises
        UserError where a column's shape or dtype is wrong.
        """
        self._require_compiled()
        return self.program.begin(batches, updates)()

    def pretrain(self, batches: Batches, updates: int) -> Learned:
        """Do what `learn` does with `imitate` in place of `update`: learn to act as was logged."""
        self._require_compiled()
        return self.imitation_program.begin(batches, updates)()

    def arrays(self, index: int = 0) -> dict[str, np.ndarray]:
        """Return everything that learning moves, by name: both networks and the optimizer.

        With several agents, it is that of one of them, as if it were alone.
        """
        variables = self._named().items()
        return {name: self._part(variable.numpy(), index) for name, variable in variables}

    def load_arrays(self, arrays: dict[str, np.ndarray], index: int = 0) -> None:
        """Set what `arrays` returned, be it of a DQN with another number of agents."""
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
        named = {}
        for group, variables in groups.items():
            for number, variable in enumerate(variables):
                named[f"{group}/{number}"] = variable
        return named

    def _part(self, value: np.ndarray, index: int) -> np.ndarray:
        """Return a view of one agent's part; all agents share the optimizer's count of updates."""
        return value[index] if self.num_agents > 1 and value.ndim else value[...]


def weights_sha256(weights: list[np.ndarray]) -> str:
    """Return the SHA-256 over shape, dtype and bytes of each array in turn.

    It is equal if and only if the weights are, to the bit.
    """
    digest = hashlib.sha256()
    for array in weights:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _require_usable(config: DQNConfig) -> None:
    """Raise UserError for what is no configuration or no place to make an agent in.

    Warn where Keras is told of another precision than an agent has.
    """
    if not isinstance(config, DQNConfig):
        raise UserError(
            f"DQN takes a DQNConfig, and this is {config!r}: DQN(DQNConfig(env='CartPole-v1'))."
        )
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise UserError(
            f"A tf.distribute strategy of {replicas} replicas is active: DQN learns on one device."
            " Make the agent outside of strategy.scope()."
        )
    policy = tf.keras.mixed_precision.global_policy()
    if policy.compute_dtype != DTYPE:
        warnings.warn(
            f"Keras's global policy is {policy.name}; DQN computes in {DTYPE} all the same.",
            stacklevel=3,
        )
