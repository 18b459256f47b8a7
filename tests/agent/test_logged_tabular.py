"""Is the learner fooled by what was never tried? On small random MDPs, against value iteration.

What is right is Q on the data's support: value iteration on the empirical MDP, its actions those
that the data hold. Three policies made the data: a uniform one, a bad one that rarely does anything
but the worst, and one that never takes the best half of the actions. All three learn at once, as
stacked agents, each on all its rows at every update.

* A naive learner is right where everything was tried. Of an action that never was it only knows
  what its weights began with, and its target takes the best of all.
* `support` leaves what was never taken out of the maximum: Q is exact.
* `cql_alpha` and the margin push it below the best one that was taken. They move the others too:
  where the squared error is learned, CQL's Q is the Bellman backup minus
  alpha/2 · (softmax Q / data's share - 1). So they are exact as their weight goes to 0, and a large
  alpha is held to its own fixed point.
* The cross-entropy alone trains the behaviour head and the torso. Q stays naive.
"""

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.agent.dqn import DQN
from dqn_tf.envs.spaces import Spaces
from oracles import close, make_config

STATES, ACTIONS, GAMMA = 6, 4, 0.9
SPACES = Spaces((), "int64", ACTIONS, categories=STATES)
UNIFORM, BAD, PARTIAL = 0, 1, 2
ENDS = 0.05  # probability of an end after any step
UPDATES, REPEATED = 3000, 100
TOLERANCE = 2e-2
TAU = 0.01
Rows = dict[str, np.ndarray]

SUPPORT = {"support": TAU}
CQL = {"cql_alpha": 1e-4}
MARGIN = {"imitation": 5e-5, "imitation_loss": "margin"}
SWITCHES = {
    "support": SUPPORT,
    "cql": CQL,
    "margin": MARGIN,
    "all": SUPPORT | CQL | MARGIN | {"double": True, "dueling": True},
}
DISTRIBUTIONS = {
    "c51": {"distribution": "c51", "atoms": 25, "v_min": -11.0, "v_max": 1.0},
    "quantile": {"distribution": "quantile", "atoms": 4, "huber_delta": 0.1},
}


class RandomMDP:
    """Random transitions and rewards of at most 0, so that weights of about 0 are too hopeful."""

    def __init__(self, deterministic: bool) -> None:
        self.generator = np.random.default_rng(0)
        self.next = self.generator.dirichlet(np.full(STATES, 0.5), (STATES, ACTIONS))
        self.noise, self.ends = 0.1, np.full((STATES, ACTIONS), ENDS)
        if deterministic:
            self.next = np.eye(STATES)[self.next.argmax(axis=2)]
            self.noise, self.ends = 0.0, np.zeros((STATES, ACTIONS))
        self.reward = -self.generator.random((STATES, ACTIONS))

    def rows(self, policy: np.ndarray, count: int) -> Rows:
        """Transitions of a policy [S, A], from each state equally often."""
        state = np.arange(count) % STATES
        draw = self.generator.choice
        action = np.array([draw(ACTIONS, p=policy[row]) for row in state])
        after = [draw(STATES, p=self.next[row]) for row in zip(state, action, strict=True)]
        noise = self.noise * self.generator.normal(size=count)
        ended = self.generator.random(count) < self.ends[state, action]
        return {
            "observation": state,
            "action": action.astype(np.int32),
            "reward": (self.reward[state, action] + noise).astype(np.float32),
            "discount": np.where(ended, 0.0, GAMMA).astype(np.float32),
            "next_observation": np.array(after),
        }

    def data(self, count: int) -> list[Rows]:
        """The rows of the three policies."""
        everything = np.ones((STATES, ACTIONS), bool)
        q_star = fixed_point(self.reward, self.next * (1 - self.ends)[:, :, np.newaxis], everything)
        uniform = np.full((STATES, ACTIONS), 1 / ACTIONS)
        bad = np.full((STATES, ACTIONS), 0.02)
        bad[np.arange(STATES), q_star.argmin(axis=1)] = 0.94
        partial = np.where(q_star.argsort().argsort() < ACTIONS // 2, 0.5, 0.0)
        return [self.rows(policy, count) for policy in (uniform, bad, partial)]


def empirical(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts [S, A], mean rewards [S, A], and shares of each next state that goes on [S, A, S]."""
    pair = (rows["observation"], rows["action"])
    count, reward = np.zeros((2, STATES, ACTIONS))
    after = np.zeros((STATES, ACTIONS, STATES))
    np.add.at(count, pair, 1)
    np.add.at(reward, pair, rows["reward"])
    np.add.at(after, (*pair, rows["next_observation"]), rows["discount"] / GAMMA)
    divisor = np.maximum(count, 1)
    return count, reward / divisor, after / divisor[:, :, np.newaxis]


def fixed_point(reward: np.ndarray, after: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Q [S, A] by value iteration over the actions that were seen; -inf for all others."""
    q = np.where(seen, 0.0, -np.inf)
    for _ in range(400):
        q = np.where(seen, reward + GAMMA * after @ q.max(axis=1), -np.inf)
    return q


def conservative_fixed_point(rows: Rows, alpha: float) -> np.ndarray:
    """Q [S, A] where (Q - backup)² + alpha · CQL has no slope, on the actions that were seen."""
    count, reward, after = empirical(rows)
    share = count / count.sum(axis=1, keepdims=True)
    q = np.where(count, 0.0, -np.inf)
    for _ in range(3000):
        weights = np.exp(q - q.max(axis=1, keepdims=True))
        ratio = weights / weights.sum(axis=1, keepdims=True) / np.where(count, share, 1.0)
        backup = reward + GAMMA * after @ q.max(axis=1) - alpha / 2 * (ratio - 1)
        # a step of a fifth: a whole one overshoots where an action is rare
        q = np.where(count, 0.8 * np.where(count, q, 0.0) + 0.2 * backup, -np.inf)
    return q


@functools.cache
def data(deterministic: bool = False) -> list[Rows]:
    return RandomMDP(deterministic).data(96 if deterministic else 400)


@functools.cache
def right(deterministic: bool = False) -> np.ndarray:
    """Q of each data's support, [3, S, A]."""
    found = [empirical(rows) for rows in data(deterministic)]
    return np.array([fixed_point(reward, after, count > 0) for count, reward, after in found])


def learn(deterministic: bool = False, **switches: Any) -> tuple[np.ndarray, np.ndarray]:
    """Q-values [3, S, A] learned from the three data, and the greedy actions [3, S]."""
    parts = data(deterministic)
    batch = {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}
    size = len(batch["action"])
    config = make_config(
        **{
            "hidden_units": (),
            "loss": "mse",
            "learning_rate": 0.05,
            "learning_rate_end": 5e-4,
            "optimizer_epsilon": 1e-8,
            "max_gradient_norm": 0.0,
            "batch_size": size,
            "replay_capacity": size,
            "warmup_env_steps": size,
            "total_steps": size + UPDATES,
            "target_update_period_env_steps": 1,
            "tau": 0.1,
            "gamma": GAMMA,
        }
        | switches
    )
    agent = DQN(config, SPACES, num_agents=len(parts))
    agent.compile()
    batches = {
        name: np.repeat(column[np.newaxis], REPEATED, axis=0) for name, column in batch.items()
    }
    for _ in range(UPDATES // REPEATED):
        agent.learn(batches, REPEATED)
    states = tf.constant(np.tile(np.arange(STATES), len(parts)))
    q_values, behaviour = agent.online.q_values_and_behaviour(states)
    action = losses.greedy(q_values, agent.online.supported(behaviour))
    shape = (len(parts), STATES)
    return q_values.numpy().reshape(*shape, ACTIONS), action.numpy().reshape(shape)


@functools.cache
def naive() -> np.ndarray:
    return learn()[0]


def overestimation(q_values: np.ndarray) -> np.ndarray:
    """By how much the best state of each of the three is taken for better than it is, [3]."""
    return (q_values.max(axis=2) - right().max(axis=2)).max(axis=1)


def require_right(q_values: np.ndarray, action: np.ndarray, expected: np.ndarray) -> None:
    """AssertionError unless Q is right on the support, and the best action of it is chosen."""
    seen = np.isfinite(expected)
    close(q_values[seen], expected[seen], TOLERANCE)
    chosen = np.take_along_axis(expected, action[:, :, np.newaxis], axis=2)[:, :, 0]
    assert (chosen >= expected.max(axis=2) - 2 * TOLERANCE).all(), "an action never tried, or worse"


def test_the_oracle_is_right_where_it_can_be_seen():
    """A chain of two states by hand; and without alpha, CQL's fixed point is value iteration's."""
    reward, after = np.zeros((STATES, ACTIONS)), np.zeros((STATES, ACTIONS, STATES))
    seen = np.zeros((STATES, ACTIONS), bool)
    seen[:, 0] = seen[0, 1] = True
    reward[1, 0], reward[0, 2] = 1.0, 100.0  # the second was never seen
    after[0, 1, 1] = 1.0
    q = fixed_point(reward, after, seen)
    assert (q[0, 1], q[1, 0], q[0, 2]) == (GAMMA, 1.0, -np.inf)
    close(conservative_fixed_point(data()[BAD], 0.0), right()[BAD], 1e-9)
    seen = [np.isfinite(q) for q in right()]
    assert seen[UNIFORM].all() and (seen[PARTIAL].sum(axis=1) == 2).all()


def test_a_naive_learner_overestimates_what_was_never_tried():
    uniform, bad, partial = overestimation(naive())
    assert abs(uniform) < TOLERANCE and bad > 0.2 and partial > 3.0, (uniform, bad, partial)
    close(naive()[UNIFORM], right()[UNIFORM], TOLERANCE)


@pytest.mark.parametrize("name", SWITCHES)
def test_q_on_the_support_is_that_of_value_iteration(name):
    q_values, action = learn(**SWITCHES[name])
    require_right(q_values, action, right())
    assert np.abs(naive() - right())[np.isfinite(right())].max() > 2.0  # what it does without


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_means_of_distributions_are_right_on_the_support(name):
    """Where all is deterministic: of a random return, quantiles know the mean but roughly."""
    q_values, action = learn(deterministic=True, **SUPPORT, **DISTRIBUTIONS[name])
    require_right(q_values, action, right(deterministic=True))


def test_a_large_alpha_learns_the_fixed_point_of_its_own():
    alpha = 0.1
    q_values, _ = learn(cql_alpha=alpha)
    for learned, rows, exact in zip(q_values, data(), right(), strict=True):
        expected = conservative_fixed_point(rows, alpha)
        seen = np.isfinite(expected)
        close(learned[seen], expected[seen], TOLERANCE)
        assert np.abs(expected[seen] - exact[seen]).max() > TOLERANCE  # not that of value iteration
        assert (learned.max(axis=1) < exact.max(axis=1)).all(), "conservative: below it"
        assert (learned.max(axis=1) == np.where(seen, learned, -np.inf).max(axis=1)).all()


def test_the_cross_entropy_alone_leaves_q_naive():
    q_values, _ = learn(imitation=1.0)
    close(q_values, naive(), 1e-3)
