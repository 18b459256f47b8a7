"""What is right of the losses on logged rows and of the support, in NumPy and by hand.

As in oracles.py, each `check_…` raises AssertionError if dqn_tf differs.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent import logged_losses, losses
from dqn_tf.agent.dqn import DQN
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import exploration
from oracles import close, make_agent, make_batch, make_config, part_networks, tensors

MASKED = Spaces((3,), "float32", 4, masked=True)
SIZE = 12
ROWS = np.array([[1.0, 2.0, 0.0], [-1.0, 5.0, 4.5], [3.0, -2.0, 1.0], [0.0, 0.0, 9.0]])
ACTION = np.array([1, 0, 2, 0], np.int32)
LEGAL = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]], bool)


def softmax(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Probabilities [B, A], 0 where an action is not legal."""
    legal = np.where(mask, logits.astype(np.float64), -np.inf)
    weights = np.exp(legal - legal.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def one_hot(action: np.ndarray, actions: int) -> np.ndarray:
    return np.eye(actions)[action]


def value_and_gradient(loss: Any, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the loss returns for [B, A] values, and the derivative of its sum by them."""
    inputs = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        rows = loss(inputs)
    return rows.numpy(), tape.gradient(rows, inputs).numpy()


def check_conservative() -> None:
    """log Σ exp Q - Q(s, a) over the legal actions; its gradient is softmax minus the one-hot."""
    for mask in (None, LEGAL):
        legal = np.ones_like(LEGAL) if mask is None else mask
        rows, gradient = value_and_gradient(
            lambda q, mask=mask: logged_losses.conservative(q, tf.constant(ACTION), mask), ROWS
        )
        exponentials = np.exp(ROWS) * legal
        close(rows, np.log(exponentials.sum(axis=1)) - ROWS[np.arange(4), ACTION])
        close(gradient, softmax(ROWS, legal) - one_hot(ACTION, 3))


def check_cross_entropy() -> None:
    """-log π(a|s) with π over the legal actions; an illegal one has no gradient."""
    for mask in (None, LEGAL):
        legal = np.ones_like(LEGAL) if mask is None else mask
        rows, gradient = value_and_gradient(
            lambda x, mask=mask: logged_losses.cross_entropy(x, tf.constant(ACTION), mask), ROWS
        )
        probabilities = softmax(ROWS, legal)
        close(rows, -np.log(probabilities[np.arange(4), ACTION]))
        close(gradient, probabilities - one_hot(ACTION, 3))


def check_margin() -> None:
    """max [Q + l] - Q(a), by hand: ahead by more than the margin, behind, within it, masked."""
    rows, gradient = value_and_gradient(
        lambda q: logged_losses.margin(q, tf.constant(ACTION), 0.5), ROWS
    )
    close(rows, [0.0, 6.5, 2.5, 9.5])
    close(gradient, [[0, 0, 0], [-1, 1, 0], [1, 0, -1], [-1, 0, 1]])
    rows, gradient = value_and_gradient(
        lambda q: logged_losses.margin(q, tf.constant(ACTION), 0.5, LEGAL), ROWS
    )
    close(rows, [0.0, 6.0, 0.0, 0.5])
    close(gradient, [[0, 0, 0], [-1, 0, 1], [0, 0, 0], [-1, 1, 0]])


def check_supported() -> None:
    """At least tau times the likeliest legal one's probability; by hand, and alike in NumPy."""
    probabilities = np.array([[0.5, 0.3, 0.2], [0.05, 0.05, 0.9], [0.7, 0.2, 0.1]])
    mask = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 1]], bool)
    all_legal = {
        0.001: [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
        0.39: [[1, 1, 1], [0, 0, 1], [1, 0, 0]],
        0.5: [[1, 1, 0], [0, 0, 1], [1, 0, 0]],
        1.0: [[1, 0, 0], [0, 0, 1], [1, 0, 0]],
    }
    masked = {
        0.001: [[1, 1, 1], [1, 1, 0], [0, 1, 1]],
        0.39: [[1, 1, 1], [1, 1, 0], [0, 1, 1]],
        0.51: [[1, 1, 0], [1, 1, 0], [0, 1, 0]],
        1.0: [[1, 0, 0], [1, 1, 0], [0, 1, 0]],
    }
    logits = (np.log(probabilities) + np.array([[3.0], [-40.0], [0.0]])).astype(np.float32)
    for legal, table in ((None, all_legal), (mask, masked)):
        for tau, expected in table.items():
            found = losses.supported(tf.constant(logits), tau, legal).numpy()
            assert found.tolist() == np.array(expected, bool).tolist(), (tau, legal)
            in_numpy = exploration.supported_actions(logits, tau, legal)
            assert in_numpy.tolist() == found.tolist(), (tau, legal)
    nothing = losses.supported(tf.constant(logits), 0.5, np.zeros((3, 3), bool)).numpy()
    assert not nothing.any(), "an illegal action is supported"


# --- the update -----------------------------------------------------------------------------------


def logged_batch(number: int, spaces: Spaces, size: int = SIZE) -> dict[str, np.ndarray]:
    """A batch of which some rows are logged, with masks where the spaces have them."""
    generator = np.random.default_rng(number)
    batch = make_batch(number, size, spaces)
    batch["is_logged"] = (np.arange(size) % 3 != 1).astype(np.float32)
    if spaces.masked:
        mask, next_mask = generator.random((2, size, spaces.actions)) < 0.6
        mask[np.arange(size), batch["action"]] = True
        next_mask[:, 2] = True
        batch |= {"action_mask": mask, "next_action_mask": next_mask}
    return batch


def logged_agent(spaces: Spaces, **overrides: Any) -> DQN:
    """An agent with weights that make Q-values and behaviour differ much from row to row."""
    agent = make_agent(make_config(max_gradient_norm=0.0, **overrides), spaces)
    part_networks(agent)
    generator = np.random.default_rng(23)
    weights = [
        generator.normal(size=array.shape).astype(np.float32)
        for array in agent.online.get_weights()
    ]
    agent.online.set_weights(weights)
    return agent


class NumpyNetwork:
    """One hidden layer, a head of Q-values and, if it is there, one of the behaviour; float64."""

    def __init__(self, weights: list[np.ndarray], observation: np.ndarray) -> None:
        self.weights = [array.astype(np.float64) for array in weights]
        kernel, bias, q_kernel, q_bias, *behaviour = self.weights
        self.observation = observation.astype(np.float64)
        self.hidden = np.maximum(self.observation @ kernel + bias, 0.0)
        self.q_values = self.hidden @ q_kernel + q_bias
        self.logits = self.hidden @ behaviour[0] + behaviour[1] if behaviour else None

    def gradients(self, by_q: np.ndarray, by_logits: np.ndarray | None) -> list[np.ndarray]:
        """The derivatives by each weight, given those by the outputs [B, A]."""
        by_hidden = by_q @ self.weights[2].T
        last = [self.hidden.T @ by_q, by_q.sum(axis=0)]
        if by_logits is not None:
            by_hidden += by_logits @ self.weights[4].T
            last += [self.hidden.T @ by_logits, by_logits.sum(axis=0)]
        by_hidden *= self.hidden > 0
        return [self.observation.T @ by_hidden, by_hidden.sum(axis=0), *last]


def supported_by_hand(logits: np.ndarray, tau: float, mask: np.ndarray) -> np.ndarray:
    """[B, A] bool, by probabilities."""
    probabilities = softmax(logits, mask)
    return mask & (probabilities >= tau * probabilities.max(axis=1, keepdims=True))


def target_by_hand(agent: DQN, batch: dict[str, np.ndarray]) -> np.ndarray:
    """The Bellman target [B] of Q-values, chosen among the legal and supported next actions."""
    config = agent.settings
    target = NumpyNetwork(agent.target.get_weights(), batch["next_observation"])
    chooser = target
    if config.double:
        chooser = NumpyNetwork(agent.online.get_weights(), batch["next_observation"])
    mask = batch.get("next_action_mask", np.ones(target.q_values.shape, bool))
    if config.support:
        mask = supported_by_hand(chooser.logits, config.support, mask)
    chosen = np.where(mask, chooser.q_values, -np.inf).argmax(axis=1)
    value = target.q_values[np.arange(len(chosen)), chosen]
    return batch["reward"] + batch["discount"] * value


def check_supported_target(spaces: Spaces = MASKED, **overrides: Any) -> None:
    """The target's next action is the best supported one, by the network that chooses."""
    agent = logged_agent(spaces, support=0.9, **overrides)
    batch = logged_batch(3, spaces, 100)
    expected = target_by_hand(agent, batch)
    close(agent.bellman_target(agent.columns.read(tensors(batch))), expected, 1e-5)
    free = logged_agent(spaces, **overrides)
    free.online.set_weights(agent.online.get_weights()[:4])
    free.target.set_weights(agent.target.get_weights()[:4])
    unlike = np.abs(target_by_hand(free, batch) - expected) > 1e-3
    assert unlike.sum() > 10, "the support changes too little to be seen"


def terms_by_hand(
    agent: DQN, batch: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray | None, NumpyNetwork]:
    """Each built-in loss [B] by its name, and the derivatives by Q-values and by logits."""
    config = agent.settings
    network = NumpyNetwork(agent.online.get_weights(), batch["observation"])
    q_values, action = network.q_values, batch["action"]
    size, actions = q_values.shape
    rows = np.arange(size)
    mask = batch.get("action_mask", np.ones((size, actions), bool))
    logged = batch.get("is_logged", np.ones(size))
    weight = batch.get("weight", np.ones(size)) * logged / size
    taken, terms = one_hot(action, actions), {}
    by_q, by_logits = np.zeros_like(q_values), None
    if config.cql_alpha:
        exponentials = np.where(mask, np.exp(q_values), 0.0)
        terms["cql"] = logged * (np.log(exponentials.sum(axis=1)) - q_values[rows, action])
        by_q += config.cql_alpha * weight[:, np.newaxis] * (softmax(q_values, mask) - taken)
    is_margin = config.imitation_loss == "margin"
    if config.imitation and is_margin:
        raised = np.where(mask, q_values + config.imitation_margin * (1 - taken), -np.inf)
        terms["imitation"] = logged * (raised.max(axis=1) - q_values[rows, action])
        best = one_hot(raised.argmax(axis=1), actions)
        by_q += config.imitation * weight[:, np.newaxis] * (best - taken)
    if network.logits is not None:
        probabilities = softmax(network.logits, mask)
        clones = config.imitation > 0 and not is_margin
        terms["imitation" if clones else "behaviour"] = -logged * np.log(
            probabilities[rows, action]
        )
        share = config.imitation if clones else 1.0
        by_logits = share * weight[:, np.newaxis] * (probabilities - taken)
    return terms, by_q, by_logits, network


def check_logged_update(spaces: Spaces = MASKED, weighted: bool = False, **overrides: Any) -> None:
    """Metrics and every gradient of one update, with built-in losses on the logged rows alone."""
    agent = logged_agent(spaces, loss="mse", **overrides)
    for columns in (("is_logged",), ()):  # without the column, every row is logged
        batch = logged_batch(7, spaces)
        batch = {name: batch[name] for name in batch if name != "is_logged" or name in columns}
        if weighted:
            batch["weight"] = np.linspace(0.2, 1.0, SIZE).astype(np.float32)
        terms, by_q, by_logits, network = terms_by_hand(agent, batch)
        weight = batch.get("weight", np.ones(SIZE))
        rows = np.arange(SIZE)
        error = network.q_values[rows, batch["action"]] - target_by_hand(agent, batch)
        by_q[rows, batch["action"]] += 2 * weight * error / SIZE
        expected = network.gradients(by_q, by_logits)
        given: list[np.ndarray] = []
        agent.optimizer.apply_gradients = lambda pairs, given=given: given.extend(
            np.array(gradient) for gradient, _ in pairs
        )
        metrics = agent.update(tensors(batch))
        assert len(given) == len(expected), (len(given), len(expected))
        for gradient, right in zip(given, expected, strict=True):
            close(gradient, right, 1e-4)
        shares = {"cql": agent.settings.cql_alpha, "behaviour": 1.0}
        shares["imitation"] = agent.settings.imitation
        loss = np.mean(weight * error**2)
        for name, term in terms.items():
            close(metrics[name], [term.mean()], 1e-5)
            loss += shares[name] * np.mean(weight * term)
        assert {"cql", "imitation", "behaviour"} & set(metrics) == set(terms)
        close(metrics["loss"], [loss], 1e-4)


def check_the_choice_is_supported(**overrides: Any) -> None:
    """The NumPy twin and the compiled call choose the best legal and supported action."""
    from dqn_tf.agent.networks.fast_forward import CompiledQFunction
    from dqn_tf.agent.networks.numpy_forward import NumpyQFunction

    agent = logged_agent(MASKED, support=0.4, **overrides)
    batch = logged_batch(1, MASKED, 200)
    observation, mask = batch["observation"], batch["next_action_mask"]
    q_values, logits = (
        part.numpy() for part in agent.online.q_values_and_behaviour(tf.constant(observation))
    )
    twin = NumpyQFunction(agent.online.plan(), agent.online.flat_weights())
    for legal in (None, mask):
        allowed = np.ones(mask.shape, bool) if legal is None else legal
        candidates = supported_by_hand(logits, 0.4, allowed)
        expected = np.where(candidates, q_values, -np.inf).argmax(axis=1)
        free = np.where(allowed, q_values, -np.inf).argmax(axis=1)
        assert (expected != free).mean() > 0.1, "the support changes too little to be seen"
        for q_function in (twin, CompiledQFunction(agent)):
            chosen = q_function.greedy_action(observation, legal)
            assert chosen.tolist() == expected.tolist(), type(q_function).__name__
            close(q_function.q_values(observation), q_values, 1e-5)
