"""What is right, worked out without dqn_tf. Each `check_…` raises AssertionError if dqn_tf differs.

They are functions of their own because they are called twice: by the tests of the code as it is,
and by test_mutations.py, which breaks the code and demands that they notice.
"""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import tensorflow as tf
from gymnasium.wrappers import TimeLimit

from dqn_tf.agent import losses
from dqn_tf.agent.autograph import compile_loops
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.program import Learned
from dqn_tf.agent.update_metrics import UPDATE_METRICS
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.factory import make_host_engine
from dqn_tf.engines.host import HostEngine
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.experience import exploration, replay, transitions
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.experience.steps import Steps
from dqn_tf.support.errors import UserError
from environments import Counter, Maze, Pendulum, maze_legal

BOX = Spaces((3,), "float32", 4)
COUNTER = Spaces((2,), "float32", 3)
BETA_1, BETA_2, RHO = 0.9, 0.999, 0.9  # of Keras's Adam and RMSprop


# --- building what is tested ----------------------------------------------------------------------


def make_config(**overrides: Any) -> DQNConfig:
    """A small configuration; epsilon of the optimizer large enough that rounding is not blown up to
    a whole step.
    """
    return DQNConfig(
        **{
            "seed": 3,
            "hidden_units": (6,),
            "batch_size": 5,
            "learning_rate": 1e-2,
            "optimizer_epsilon": 1e-4,
            "env_steps_per_update": 1.0,
            "target_update_period_env_steps": 2,
            "warmup_env_steps": 8,
            "total_steps": 64,
            "replay_capacity": 64,
        }
        | overrides
    )


def make_agent(
    config: DQNConfig | None = None, spaces: Spaces = BOX, **compile_options: Any
) -> DQN:
    """A compiled agent."""
    agent = DQN(config or make_config(), spaces)
    agent.compile(**compile_options)
    return agent


def leave_out_xla(agent: DQN) -> None:
    """Has its program of updates traced only, which takes a fraction of XLA's time."""
    agent.program.function = compile_loops(agent.program.block, jit_compile=False)


def part_networks(agent: DQN) -> None:
    """Gives the target weights of its own:

    where online and target are equal, half of the mistakes cannot be seen.
    """
    generator = np.random.default_rng(11)
    agent.target.set_weights(
        [
            generator.normal(size=array.shape).astype(np.float32)
            for array in agent.target.get_weights()
        ]
    )


def make_batch(number: int, size: int = 5, spaces: Spaces = BOX) -> dict[str, np.ndarray]:
    """A batch of made-up transitions, some of them terminal, with TD errors on both sides of
    Huber's bend.
    """
    generator = np.random.default_rng(number)
    shape = (size, *spaces.observation_shape)
    return {
        "observation": generator.normal(size=shape).astype(np.float32),
        "action": generator.integers(spaces.actions, size=size).astype(np.int32),
        "reward": generator.normal(scale=2.0, size=size).astype(np.float32),
        "discount": np.where(np.arange(size) % 3 == 1, 0.0, 0.9).astype(np.float32),
        "next_observation": generator.normal(size=shape).astype(np.float32),
    }


def tensors(batch: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """The same batch as tensors."""
    return {name: tf.constant(column) for name, column in batch.items()}


def make_engine(
    config: DQNConfig,
    make: Callable,
    agent: DQN | None = None,
    logged: Sequence[SharedEpisodes] = (),
) -> HostEngine:
    """A host engine on `config.num_envs` environments."""
    if agent is None:
        agent = make_agent(config, CheckedEnv(make(), "The environment").spaces)
    return make_host_engine(config, agent, make, logged)


def run(engine: HostEngine) -> HostEngine:
    """Runs the engine to its end."""
    while not engine.finished:
        engine.run_block()
    return engine


def without_learning(agent: DQN) -> list[int]:
    """Takes learning out of the agent; returns the list of counts it is asked for, filled as it is
    asked.
    """
    counts: list[int] = []

    def learn(batches, count):
        rows = len(batches["action"])
        assert 0 < int(count) <= rows, f"{int(count)} updates of {rows} batches"
        counts.append(int(count))
        return Learned(dict.fromkeys(UPDATE_METRICS, 0.0), None, None)

    agent.learn = learn
    return counts


def close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """AssertionError unless shapes are the same and values are within the tolerance."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape} instead of {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def equal(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """AssertionError unless both hold the same arrays to the bit."""
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes(), np.abs(
            one - other
        ).max()


def refused(function: Callable, *arguments: Any) -> None:
    """AssertionError unless the call raises ValueError."""
    try:
        result = function(*arguments)
    except ValueError:
        return
    raise AssertionError(f"accepted, with a result of shape {result.shape}")


# --- losses ---------------------------------------------------------------------------------------

# 99 is a decoy: its row is terminal
NEXT_Q = [[1.0, 7.0, -2.0], [3.0, 0.5, 99.0], [-4.0, -6.0, -5.0]]


def check_td_target() -> None:
    """r + discount · max, by hand, with a terminal row and one of negative values only; no gradient
    to any input.
    """
    inputs = [tf.constant([1.0, 2.0, -1.0]), tf.constant([0.5, 0.0, 0.9]), tf.constant(NEXT_Q)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        target = td_target_of_the_best(*inputs)
    close(target, [1.0 + 0.5 * 7.0, 2.0, -1.0 + 0.9 * -4.0], 1e-6)
    assert tape.gradient(target, inputs) == [None, None, None], "the target has a gradient"


def td_target_of_the_best(reward: Any, discount: Any, next_q_values: Any) -> tf.Tensor:
    """The target from all next Q-values [B, A], as plain DQN puts it together."""
    next_q_values = tf.convert_to_tensor(next_q_values)
    return losses.td_target(
        tf.convert_to_tensor(reward),
        tf.convert_to_tensor(discount),
        losses.select(next_q_values, losses.greedy(next_q_values)),
    )


def check_select() -> None:
    """The selected Q-values, whatever the others are, and a gradient that reaches these alone."""
    q_values = tf.constant([[1.0, 1e6, -1e6], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    with tf.GradientTape() as tape:
        tape.watch(q_values)
        selected = losses.select(q_values, tf.constant([0, 2, 1]))
    close(selected, [1.0, 6.0, 8.0], 1e-6)
    close(
        tape.gradient(selected, q_values), [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], 0.0
    )


def check_td_loss() -> None:
    """Huber and MSE by hand: [B] for [B], each row from its own target alone."""
    target, q_selected = tf.constant([0.5, -3.0, 10.0, 1.0]), tf.constant([0.0, 0.0, 8.0, 1.0])
    errors = {
        ("huber", 1.0): [0.125, 2.5, 1.5, 0.0],
        ("huber", 2.5): [0.125, 4.375, 2.0, 0.0],
        ("mse", 1.0): [0.25, 9.0, 4.0, 0.0],
    }
    for (name, delta), expected in errors.items():
        close(losses.td_loss(losses.per_example(name, delta), target, q_selected), expected, 1e-6)


def check_shapes_refused() -> None:
    """No [B, 1], no other batch size and no missing axis gets through where it would broadcast."""
    row, column, table, loss = (
        tf.zeros(3),
        tf.zeros((3, 1)),
        tf.zeros((3, 2)),
        losses.per_example("huber", 1.0),
    )
    for arguments in (
        (column, row, row),
        (row, column, row),
        (row, row, column),
        (column, column, row),
        (column, column, column),
        (row, row, table),
        (row[:1], row[:1], row),
        (row[:1], row, row),
        (row, row, row[:1]),
        (row, row[:1], row),
        (row, row, table[:, tf.newaxis]),
    ):
        refused(losses.td_target, *arguments)
    for q_values in (row, table[:, tf.newaxis], row[0]):
        refused(losses.greedy, q_values)
    action, atoms = tf.zeros(3, tf.int32), tf.zeros((3, 2, 4))
    for arguments in (
        (table, action[:, tf.newaxis]),
        (row, action),
        (table[:1], action),
        (table, action[:1]),
        (atoms[:1], action),
        (atoms, action[:, tf.newaxis]),
    ):
        refused(losses.select, *arguments)
    for arguments in (
        (row, column),
        (column, row),
        (column, column),
        (row, row[:1]),
        (row[:1], row),
    ):
        refused(losses.td_loss, loss, *arguments)


# --- the agent ------------------------------------------------------------------------------------


class NumpyAgent:
    """DQN with one hidden layer, in float64, every derivative written out by hand."""

    def __init__(self, agent: DQN) -> None:
        self.config = agent.settings
        self.online = [array.astype(np.float64) for array in agent.online.get_weights()]
        self.target = [array.astype(np.float64) for array in agent.target.get_weights()]
        self.first, self.second = (
            [np.zeros_like(array) for array in self.online],
            [np.zeros_like(array) for array in self.online],
        )
        self.updates = 0

    @staticmethod
    def forward(
        weights: list[np.ndarray], observation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Hidden activations and Q-values."""
        hidden = np.maximum(observation @ weights[0] + weights[1], 0.0)
        return hidden, hidden @ weights[2] + weights[3]

    def target_and_selected(self, batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The Bellman target of each row, and the Q-value of its action."""
        next_q_values = self.forward(self.target, batch["next_observation"])[1]
        q_values = self.forward(self.online, batch["observation"])[1]
        selected = q_values[np.arange(len(q_values)), batch["action"]]
        return batch["reward"] + batch["discount"] * next_q_values.max(axis=1), selected

    def gradients(
        self, batch: dict[str, np.ndarray]
    ) -> tuple[float, float, list[np.ndarray], np.ndarray]:
        """Loss, mean selected Q-value, the loss's derivative by each weight, and each row's |TD
        error|.
        """
        size, rows = len(batch["action"]), np.arange(len(batch["action"]))
        td_target, q_selected = self.target_and_selected(batch)
        hidden, q_values = self.forward(self.online, batch["observation"])
        error, delta = q_selected - td_target, self.config.huber_delta
        if self.config.loss == "mse":
            loss, slope = error**2, 2 * error
        else:
            loss = np.where(
                np.abs(error) <= delta, error**2 / 2, delta * np.abs(error) - delta**2 / 2
            )
            slope = np.clip(error, -delta, delta)
        by_q = np.zeros_like(q_values)
        by_q[rows, batch["action"]] = slope / size
        by_hidden = (by_q @ self.online[2].T) * (hidden > 0)
        return (
            loss.mean(),
            q_selected.mean(),
            [
                batch["observation"].T @ by_hidden,
                by_hidden.sum(axis=0),
                hidden.T @ by_q,
                by_q.sum(axis=0),
            ],
            np.abs(error),
        )

    def update(self, batch: dict[str, np.ndarray]) -> dict[str, float]:
        """One update, as Mnih et al. 2015 (algorithm 1) with Keras's Adam or RMSprop."""
        loss, q_selected, gradients, error = self.gradients(batch)
        pair = self.target_and_selected(batch)
        norm, most = (
            np.sqrt(sum((gradient**2).sum() for gradient in gradients)),
            self.config.max_gradient_norm,
        )
        self.updates += 1
        for number, gradient in enumerate(gradients):
            self.online[number] -= self.step(
                number, gradient * min(1.0, most / norm) if most else gradient
            )
        if self.updates % self.config.target_update_period_updates == 0:
            tau = self.config.tau
            self.target = [
                tau * online + (1 - tau) * target
                for online, target in zip(self.online, self.target, strict=True)
            ]
        metrics = {"loss": loss, "q_selected": q_selected, "gradient_norm": norm, "error": error}
        return metrics | dict(zip(("target", "selected"), pair, strict=True))

    def step(self, number: int, gradient: np.ndarray) -> np.ndarray:
        """What the optimizer takes off this weight."""
        rate, epsilon, first, second = (
            self.config.learning_rate,
            self.config.optimizer_epsilon,
            self.first,
            self.second,
        )
        if self.config.optimizer == "rmsprop":
            second[number] = RHO * second[number] + (1 - RHO) * gradient**2
            return rate * gradient / np.sqrt(second[number] + epsilon)
        first[number] = BETA_1 * first[number] + (1 - BETA_1) * gradient
        second[number] = BETA_2 * second[number] + (1 - BETA_2) * gradient**2
        rate *= np.sqrt(1 - BETA_2**self.updates) / (1 - BETA_1**self.updates)
        return rate * first[number] / (np.sqrt(second[number]) + epsilon)


def check_update(**overrides: Any) -> None:
    """Four updates, from networks that differ, equal those of NumpyAgent:

    metrics, online and target weights.
    """
    agent = make_agent(make_config(**overrides))
    part_networks(agent)
    oracle = NumpyAgent(agent)
    for number in range(4):
        batch = make_batch(number)
        actual, expected = agent.update(tensors(batch)), oracle.update(batch)
        assert set(actual) == set(expected)
        for name, value in expected.items():
            close(actual[name], value if np.ndim(value) else [value])
        for network, weights in ((agent.online, oracle.online), (agent.target, oracle.target)):
            for one, other in zip(network.get_weights(), weights, strict=True):
                close(one, other)


HEADS = (
    {},
    {"double": True},
    {"dueling": True},
    {"dueling": True, "double": True},
    {"distribution": "c51", "atoms": 7},
    {"distribution": "c51", "atoms": 7, "double": True, "dueling": True},
    {"distribution": "quantile", "atoms": 5},
    {"distribution": "quantile", "atoms": 5, "double": True},
    {"munchausen": True},
    {"munchausen": True, "dueling": True},
)


def check_masked_target(**overrides: Any) -> None:
    """The Bellman target of any head, by hand, where an illegal action has by far the largest
    value, online and in the target network.
    """
    spaces, size, decoy = Spaces((3,), "float32", 4, masked=True), 12, 2
    config = make_config(**overrides)
    agent, generator = make_agent(config, spaces), np.random.default_rng(5)
    part_networks(agent)
    for network in (agent.online, agent.target):
        *_, last = network.head.streams[-1]
        bias = np.zeros((4, agent.online.values.atoms), np.float32)
        bias[decoy, -1] = 100.0  # of c51, the atom of the largest return
        last.bias.assign_add(bias.reshape(-1))
    mask, next_mask = generator.random((2, size, 4)) < 0.6
    mask[:, decoy] = next_mask[:, decoy] = False
    mask[:, 0] = next_mask[:, 3] = True
    batch = make_batch(0, size, spaces) | {
        "action": np.where(generator.random(size) < 0.5, 0, mask.argmax(axis=1)).astype(np.int32)
    }
    masks = {"action_mask": mask, "next_action_mask": next_mask}
    next_outputs = (
        agent.target.forward(batch["next_observation"]).outputs.numpy().astype(np.float64)
    )
    chooser = agent.online if config.double else agent.target
    choosing, q_values, expected = (
        chooser(batch["next_observation"]).numpy(),
        agent.target(batch["observation"]).numpy(),
        [],
    )
    for row, (reward, discount) in enumerate(
        zip(batch["reward"].tolist(), batch["discount"].tolist(), strict=True)
    ):
        legal = np.flatnonzero(next_mask[row]).tolist()
        chosen = next_outputs[row, max(legal, key=lambda action: choosing[row, action])]
        if config.munchausen:
            soft = soft_value(next_outputs[row, legal], config.munchausen_temperature)
            here = np.flatnonzero(mask[row])
            bonus = q_values[row, batch["action"][row]] - soft_value(
                q_values[row, here].astype(np.float64), config.munchausen_temperature
            )
            expected.append(
                reward
                + config.munchausen_alpha * max(bonus, config.munchausen_clip)
                + discount * soft
            )
        elif config.distribution == "c51":
            weights = np.exp(chosen - chosen.max())
            expected.append(
                projected(
                    reward,
                    discount,
                    weights / weights.sum(),
                    np.linspace(config.v_min, config.v_max, config.atoms),
                )
            )
        else:
            expected.append(reward + discount * chosen)
    close(agent.bellman_target(tensors(batch | masks)), expected, 1e-4)
    unmasked = (
        np.abs(agent.bellman_target(tensors(batch)).numpy() - np.array(expected))
        .reshape(size, -1)
        .max(axis=1)
    )
    assert (unmasked[batch["discount"] > 0] > 0.01).all(), "the decoy should be seen without a mask"


def soft_value(q_values: np.ndarray, temperature: float) -> float:
    """Σ π (Q - τ log π) for π = softmax(Q / τ), which is τ log Σ exp(Q / τ); and τ log π(a) is Q(a)
    less this.
    """
    return q_values.max() + temperature * np.log(
        np.exp((q_values - q_values.max()) / temperature).sum()
    )


def projected(
    reward: float, discount: float, probabilities: np.ndarray, support: np.ndarray
) -> np.ndarray:
    """The distribution of r + discount · Z on the atoms, atom by atom (Bellemare et al.

    2017, algorithm 1).
    """
    result, spacing = np.zeros(len(support)), support[1] - support[0]
    for probability, atom in zip(probabilities, support, strict=True):
        place = (min(max(reward + discount * atom, support[0]), support[-1]) - support[0]) / spacing
        below = min(int(np.floor(place + 1e-9)), len(support) - 1)
        share = max(0.0, place - below)
        result[below] += probability * (1 - share)
        result[min(below + 1, len(support) - 1)] += probability * share
    return result


def check_target_at_birth() -> None:
    """The target is born as a copy of the online network, and as one of its own."""
    agent = make_agent()
    equal(agent.target.get_weights(), agent.online.get_weights())
    agent.online.variables[0].assign_add(tf.ones_like(agent.online.variables[0]))
    assert not np.array_equal(agent.target.get_weights()[0], agent.online.get_weights()[0])


def check_hard_copies() -> None:
    """With tau = 1 the target is the online network, to the bit, after every third update, and else
    does not move.
    """
    agent = make_agent(make_config(target_update_period_env_steps=3))
    part_networks(agent)
    for number in range(1, 8):
        before = agent.target.get_weights()
        agent.update(tensors(make_batch(number)))
        equal(agent.target.get_weights(), agent.online.get_weights() if number % 3 == 0 else before)


# --- experience -----------------------------------------------------------------------------------


def check_discounts() -> None:
    """terminated, truncated, both, neither → 0, gamma, 0, gamma."""
    steps = Steps.empty(4, 1, COUNTER)
    steps.terminated[:, 0], steps.truncated[:, 0] = (
        [True, False, True, False],
        [
            False,
            True,
            True,
            False,
        ],
    )
    close(
        transitions.NStep(1, 0.75, 1, COUNTER).add(steps)["discount"], [0.0, 0.75, 0.0, 0.75], 0.0
    )


def random_steps(
    generator: np.random.Generator, length: int, num_envs: int, spaces: Spaces
) -> Steps:
    """Steps of made-up episodes with ends of every kind; an observation says (time, environment),
    and is negative as a next one.
    """
    steps = Steps.empty(length, num_envs, spaces)
    place = np.stack(np.indices((length, num_envs)) + 1, axis=-1)
    steps.observation[:], steps.next_observation[:] = place, -place
    steps.action[:] = generator.integers(spaces.actions, size=(length, num_envs))
    steps.reward[:] = generator.normal(size=(length, num_envs))
    steps.terminated[:], steps.truncated[:] = generator.random((2, length, num_envs)) < 0.15
    for mask in (steps.action_mask, steps.next_action_mask):
        mask[:] = generator.random(mask.shape) < 0.6
    return steps


def n_step_rows(steps: Steps, env: int, n_step: int, gamma: float) -> list[tuple]:
    """The finished windows of one environment in the order of time, one after the other:

    what `NStep` is to give as rows.
    """
    rows = []
    for start in range(len(steps.action)):
        reward, discount = 0.0, 1.0
        for t in range(start, min(start + n_step, len(steps.action))):
            reward, discount = reward + discount * float(steps.reward[t, env]), discount * gamma
            if steps.terminated[t, env] or steps.truncated[t, env] or t == start + n_step - 1:
                rows.append(
                    (
                        steps.observation[start, env],
                        steps.action[start, env],
                        reward,
                        0.0 if steps.terminated[t, env] else discount,
                        steps.next_observation[t, env],
                        steps.action_mask[start, env],
                        steps.next_action_mask[t, env],
                    )
                )
                break
    return rows


def check_n_step(n_step: int = 3, num_envs: int = 2, masked: bool = True, seed: int = 0) -> None:
    """After every block of any length the rows given so far are those of the plain loop, also if
    restored from a state on the way.
    """
    generator, spaces = np.random.default_rng(seed), Spaces((2,), "float32", 3, masked=masked)
    steps, gamma = random_steps(generator, 60, num_envs, spaces), 0.9
    windows, given, cut = transitions.NStep(n_step, gamma, num_envs, spaces), [0] * num_envs, 0
    while cut < 60:
        before, cut = cut, min(60, cut + int(generator.integers(1, 9)))
        rows = windows.add(steps.part(slice(before, cut)))
        assert ("action_mask" in rows) == masked
        assert (np.diff(rows["observation"][:, 0]) >= 0).all(), "not in the order of time"
        for env in range(num_envs):
            expected = n_step_rows(steps.part(slice(cut)), env, n_step, gamma)[given[env] :]
            own = rows["observation"][:, 1] == env + 1
            assert own.sum() == len(expected), f"{own.sum()} rows instead of {len(expected)}"
            # without masks, the plain loop's are left over
            for column, right in zip(rows.values(), zip(*expected, strict=True), strict=False):
                close(column[own], np.array(right))
            given[env] += len(expected)
        if generator.random() < 0.3:
            saved = {name: array.copy() for name, array in windows.state().items()}
            windows = transitions.NStep(n_step, gamma, num_envs, spaces)
            windows.restore(saved)


def counter_ends(episode: int) -> tuple[int, str]:
    """Lengths and ends of all kinds, one-step episodes among them."""
    return 1 + episode * 5 % 7, ("truncated", "terminated", "both")[episode % 3]


def check_stored_rows(num_envs: int = 3, in_place: bool = False) -> None:
    """Every row that an engine stores is one step of one episode:

    no reset is a step, no two moments are mixed.
    """
    config = make_config(
        num_envs=num_envs,
        gamma=0.5,
        updates_per_block=7,
        total_steps=num_envs * 50,
        warmup_env_steps=num_envs * 50 - 1,
        replay_capacity=num_envs * 50,
    )
    engine = make_engine(config, lambda: Counter(counter_ends, in_place))
    without_learning(engine.agent)
    rows = run(engine).replay.rows()
    expected = {name: [] for name in ("observation", "reward", "discount", "next_observation")}
    episode, number = np.ones(num_envs, int), np.zeros(num_envs, int)
    for _ in range(50):
        for index in range(num_envs):
            expected["observation"].append((episode[index], number[index]))
            number[index] += 1
            expected["reward"].append(100 * episode[index] + number[index])
            expected["next_observation"].append((episode[index], number[index]))
            length, how = counter_ends(episode[index])
            expected["discount"].append(
                0.0 if number[index] == length and how != "truncated" else 0.5
            )
            if number[index] == length:
                episode[index], number[index] = episode[index] + 1, 0
    for name, values in expected.items():
        close(rows[name], values, 0.0)


def check_stored_masks(kind: str = "info", n_step: int = 1) -> None:
    """Each mask that is stored is its own observation's, also where the time limit cut an episode
    and another began in its place.
    """
    config = make_config(
        num_envs=3,
        n_step=n_step,
        updates_per_block=10,
        total_steps=300,
        warmup_env_steps=299,
        replay_capacity=300,
        epsilon_end=1.0,
    )
    spaces = dataclasses.replace(SeededVectorEnv(lambda: Maze(kind), 1, 0).spaces, masked=True)
    engine = make_engine(config, lambda: TimeLimit(Maze(kind), 4), make_agent(config, spaces))
    without_learning(engine.agent)
    try:
        rows = run(engine).replay.rows()
    except UserError as error:
        raise AssertionError("an illegal action") from error
    for mask, observation in (
        ("action_mask", "observation"),
        ("next_action_mask", "next_observation"),
    ):
        state = rows[observation].argmax(axis=1) if kind == "dict" else rows[observation]
        assert (rows[mask] == maze_legal()[state]).all(), mask
    assert len(rows["action"]) > 290 and engine.episodes > 60


def check_replay_order() -> None:
    """A full buffer holds the newest rows, each where its number modulo the capacity says, columns
    in step.
    """
    buffer = replay.UniformReplay(
        5, {"a": ((), "int64"), "b": ((2,), "float32")}, np.random.default_rng(0)
    )
    added = 0
    for count in (3, 1, 4, 12, 2, 5):
        numbers = np.arange(added, added + count)
        buffer.add({"a": numbers, "b": np.stack([numbers, -numbers], axis=1).astype(np.float32)})
        added += count
        newest = sorted(range(max(0, added - 5), added), key=lambda number: number % 5)
        rows = buffer.rows()
        close(rows["a"], newest, 0.0)
        close(rows["b"], [(number, -number) for number in newest], 0.0)


def check_epsilon() -> None:
    """Epsilon begins at its start, is half-way at half-time, and stays at its end."""
    close(
        exploration.linear_epsilon(np.array([0, 50, 100, 10_000]), 0.9, 0.1, 100),
        [0.9, 0.5, 0.1, 0.1],
        1e-12,
    )


def check_explores_as_often_as_epsilon_says() -> None:
    """About epsilon of 20,000 steps explore (five standard deviations)."""
    explore, _ = exploration.draw_exploration(np.random.default_rng(0), np.full(20_000, 0.2))
    assert abs(explore.mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 20_000), explore.mean()


def check_update_count(
    num_envs: int = 3,
    updates_per_block: int = 4,
    env_steps_per_update: float = 2.5,
    agent: DQN | None = None,
) -> None:
    """One update for each full `env_steps_per_update` steps after warm-up, and none within it."""
    config = make_config(
        num_envs=num_envs,
        updates_per_block=updates_per_block,
        env_steps_per_update=env_steps_per_update,
        total_steps=173,
        warmup_env_steps=31,
        replay_capacity=200,
    )
    engine = make_engine(config, lambda: Counter(counter_ends), agent)
    counts = without_learning(engine.agent)
    while engine.env_step < config.total_steps:
        engine.run_block()
        due = Fraction(max(0, engine.env_step - 31)) / Fraction(
            env_steps_per_update
        ).limit_denominator(1000)
        assert sum(counts) == engine.updates == int(due), (engine.env_step, counts, due)
    assert 173 <= engine.env_step < 173 + num_envs, "the run's length"


# --- learning -------------------------------------------------------------------------------------

PENDULUM_GAMMA = 0.8
# Q(0) = γ Q(1), Q(1) = 1 + γ Q(0)
PENDULUM_Q = np.array([PENDULUM_GAMMA, 1.0]) / (1 - PENDULUM_GAMMA**2)
# what a learner finds that takes the time limit for an end
PENDULUM_Q_AS_DEATH = np.array([0.0, 1.0])


def pendulum_q_values(**overrides: Any) -> np.ndarray:
    """Q-values [2] learned where every episode is truncated after one step."""
    config = make_config(
        gamma=PENDULUM_GAMMA,
        hidden_units=(),
        batch_size=16,
        updates_per_block=50,
        total_steps=1600,
        warmup_env_steps=100,
        replay_capacity=2000,
        epsilon_end=1.0,
        learning_rate=5e-2,
        learning_rate_end=1e-3,
        target_update_period_env_steps=20,
        **overrides,
    )
    engine = run(make_engine(config, lambda: TimeLimit(Pendulum(), 1)))
    return engine.agent(tf.range(2, dtype=tf.int64)).numpy().mean(axis=1)


def check_truncation_bootstraps(**overrides: Any) -> None:
    """What lies beyond a time limit is counted."""
    close(pendulum_q_values(**overrides), PENDULUM_Q, 1e-2)
