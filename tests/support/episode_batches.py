"""Batches of whole episodes, and the same steps as transitions: what both must teach."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry

EPISODES = 5
LENGTH = 10  # tokens of an observation


def make_agent(network, **switches):
    config = DQNConfig(
        env="dqn_tf/Rewrite-v0",
        env_kwargs={"length": 4, "symbols": 5},
        network=network,
        width=16,
        seed=3,
        gamma=0.9,
        **switches,
    )
    spaces = dataclasses.replace(registry.spaces(config), masked=True)
    assert spaces.observation_shape == (LENGTH,)
    agent = DQN(config, spaces)
    agent.compile()
    move_target(agent)
    return agent


def move_target(agent):
    """Give the target network other weights than the online one."""
    generator = np.random.default_rng(4)
    for variable in agent.target.variables:
        noise = generator.normal(0.0, 0.1, variable.shape)
        variable.assign(variable + tf.constant(noise, variable.dtype))


def make_batches(actions=5):
    """Return a batch of whole episodes, and the same steps as a batch of transitions.

    The observations of an episode begin with two to four tokens, and each step adds one or two.
    """
    generator = np.random.default_rng(5)
    size = (EPISODES, LENGTH)
    whole = {
        "sequence": np.zeros(size, np.int32),
        "position": np.zeros(size, np.int32),
        "next_position": np.zeros(size, np.int32),
        "is_step": np.zeros(size, np.float32),
        "action": np.zeros(size, np.int32),
        "reward": np.zeros(size, np.float32),
        "discount": np.zeros(size, np.float32),
        "action_mask": np.zeros((*size, actions), bool),
        "next_action_mask": np.zeros((*size, actions), bool),
    }
    rows = []
    for episode in range(EPISODES):
        places = [int(generator.integers(1, 4))]
        for _ in range(int(generator.integers(1, 4))):
            places.append(places[-1] + int(generator.integers(1, 3)))
        tokens = generator.integers(1, 9, places[-1] + 1)
        whole["sequence"][episode, : len(tokens)] = tokens
        for step, (here, there) in enumerate(itertools.pairwise(places)):
            row = {
                "action": generator.integers(actions),
                "reward": generator.normal(),
                "discount": 0.0 if there == places[-1] else 0.9,
                "action_mask": generator.random(actions) < 0.7,
                "next_action_mask": generator.random(actions) < 0.7,
            }
            row["action_mask"][row["action"]] = True
            row["next_action_mask"][0] = True
            whole["is_step"][episode, step] = 1.0
            whole["position"][episode, step] = here
            whole["next_position"][episode, step] = there
            for name, value in row.items():
                whole[name][episode, step] = value
            row["observation"] = np.where(np.arange(LENGTH) <= here, whole["sequence"][episode], 0)
            row["next_observation"] = np.where(
                np.arange(LENGTH) <= there, whole["sequence"][episode], 0
            )
            row["episode"] = episode
            rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    episode = columns.pop("episode")
    columns = {
        name: column.astype(whole[name].dtype if name in whole else np.int32)
        for name, column in columns.items()
    }
    of_episodes = {
        "is_logged": np.array([1, 0, 1, 1, 0], np.float32),
        "weight": np.array([1.0, 0.5, 0.25, 1.0, 0.75], np.float32),
    }
    return as_tensors(whole | of_episodes), as_tensors(
        columns | {name: values[episode] for name, values in of_episodes.items()}
    )


def as_tensors(columns):
    return {name: tf.constant(column) for name, column in columns.items()}


def near(value):
    return pytest.approx(value, rel=1e-5, abs=1e-5)


def check_update(network="gru", **switches):
    """An update on whole episodes must be one on their transitions."""
    whole, transitions = make_batches()
    agents = [make_agent(network, **switches) for _ in range(2)]
    metrics = [
        agent.update(batch) for agent, batch in zip(agents, (whole, transitions), strict=True)
    ]
    names = set(metrics[0]) - {"error", "target", "selected"}
    assert len(names) >= 3
    for name in names:
        assert metrics[0][name].numpy() == near(metrics[1][name].numpy()), name
    moved = [agent.online.get_weights() for agent in agents]
    for ours, theirs in zip(*moved, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def check_switched_update():
    """`check_update` with all that makes a row differ from another."""
    check_update(double=True, imitation=0.5, cql_alpha=0.1)


def check_priorities():
    """An episode's priority mixes its largest and its mean error."""
    whole, transitions = make_batches()
    agent = make_agent("gru", prioritized=True)
    expected = []
    errors = agent.measure(transitions)["error"].numpy()
    for count in np.sum(whole["is_step"], axis=1).astype(int):
        of_episode, errors = errors[:count], errors[count:]
        expected.append(0.9 * of_episode.max() + 0.1 * of_episode.mean())
    assert agent.update(whole)["error"].numpy() == near(np.array(expected))


def check_pretraining(network="gru"):
    """Pretraining on episodes must be that on their transitions."""
    whole, transitions = make_batches()
    agents = [make_agent(network, pretrain_updates=1, data=("FILE",)) for _ in range(2)]
    first, second = (
        agent.imitate(batch) for agent, batch in zip(agents, (whole, transitions), strict=True)
    )
    assert set(first) == {"loss", "gradient_norm"}
    assert first["loss"].numpy() == near(second["loss"].numpy())
    assert first["gradient_norm"].numpy() == near(second["gradient_norm"].numpy())
