"""Batches of whole episodes: one pass over a sequence learns what its transitions teach."""

import numpy as np
import pytest
import tensorflow as tf

import episode_batches
from episode_batches import make_agent, make_batches

SWITCHES = {
    "plain": {},
    "double": {"double": True},
    "dueling": {"double": True, "dueling": True},
    "c51": {"distribution": "c51", "v_min": -5.0, "v_max": 5.0, "atoms": 11},
    "quantile": {"distribution": "quantile", "atoms": 7},
    "munchausen": {"munchausen": True},
    "noisy": {"noisy": True, "double": True},
    "mse": {"loss": "mse"},
    "support": {"support": 0.3, "cql_alpha": 0.05, "imitation": 0.1, "double": True},
    "margin": {"imitation": 2.0, "imitation_loss": "margin"},
}


@pytest.fixture(scope="module", params=["transformer", "gru"])
def network(request):
    return request.param


@pytest.mark.parametrize(
    ("network", "name"),
    [
        *(("gru", name) for name in SWITCHES),
        *(("transformer", name) for name in ("dueling", "c51", "noisy", "support")),
    ],
)
def test_an_update_on_episodes_is_one_on_their_transitions(network, name):
    episode_batches.check_update(network, **SWITCHES[name])


def test_the_gradient_is_the_sum_over_the_transitions(network):
    whole, transitions = make_batches()
    agent = make_agent(network, double=True)
    steps = int(np.sum(whole["is_step"]))
    variables = agent.online.trainable_variables
    total = [np.zeros(variable.shape) for variable in variables]
    for row in range(steps):
        batch = {name: column[row : row + 1] for name, column in transitions.items()}
        for place, gradient in enumerate(gradients(agent, batch)):
            total[place] += gradient
    for ours, theirs in zip(gradients(agent, whole), total, strict=True):
        np.testing.assert_allclose(ours * steps, theirs, atol=1e-5)


def gradients(agent, batch):
    read = agent._read(batch)
    target = agent.bellman_target(read)
    with tf.GradientTape() as tape:
        loss = agent._compare(read, target)["loss"]
    variables = agent.online.trainable_variables
    return [
        np.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient).numpy()
        for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True)
    ]


def test_pretraining_on_episodes_is_that_on_their_transitions(network):
    episode_batches.check_pretraining(network)


def test_the_priority_of_an_episode_mixes_its_largest_and_its_mean_error():
    episode_batches.check_priorities()


def test_pretraining_leaves_the_q_head_alone():
    whole, _ = make_batches()
    agent = make_agent("gru", pretrain_updates=1, data=("FILE",))
    before = [variable.numpy() for variable in agent.online.head.variables]
    behaviour = [variable.numpy() for variable in agent.online.behaviour.variables]
    agent.imitate(whole)
    for old, variable in zip(before, agent.online.head.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert any(
        (old != variable.numpy()).any()
        for old, variable in zip(behaviour, agent.online.behaviour.variables, strict=True)
    )
