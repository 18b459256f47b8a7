"""Exports of agents that weigh the behaviour's log-probability and Q-values against each other."""

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.networks.fast_forward import CompiledQFunction, make_q_function
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.export import gate, publish
from dqn_tf.export.prediction_log import Request
from logged_oracles import MASKED, logged_agent, supported_by_hand
from sample_agents import observations

WEIGHT = 2.0
TAU = 0.2
SEEN = observations(MASKED, 64)
MASK = np.random.default_rng(3).random((64, 4)) < 0.5
MASK[:, 1] |= ~MASK.any(axis=1)
LEGAL = np.ones((64, 4), bool)


@pytest.fixture(scope="module", params=[0.0, TAU], ids=["alone", "within the support"])
def agent(request):
    return logged_agent(MASKED, q_weight=WEIGHT, support=request.param, imitation=0.1)


def best(agent, mask: np.ndarray) -> np.ndarray:
    """The legal action of the largest log π + 2 Q of each observation, by hand."""
    outputs = agent.online.q_values_and_behaviour(tf.constant(SEEN))
    q_values, logits = (part.numpy().astype(np.float64) for part in outputs)
    log_policy = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    if agent.settings.support:
        mask = supported_by_hand(logits, TAU, mask)
    return np.where(mask, log_policy + WEIGHT * q_values, -np.inf).argmax(axis=1)


def test_it_matters(agent):
    q_values = agent(tf.constant(SEEN)).numpy()
    assert (best(agent, LEGAL) != q_values.argmax(axis=1)).sum() > 5


@pytest.mark.parametrize("mask", [None, MASK], ids=["all legal", "masked"])
@pytest.mark.parametrize("make", [make_q_function, CompiledQFunction], ids=["NumPy", "compiled"])
def test_acting_takes_the_largest_sum(agent, make, mask):
    expected = best(agent, LEGAL if mask is None else mask)
    assert make(agent).greedy_action(SEEN, mask).tolist() == expected.tolist()


@pytest.mark.parametrize("make", [make_q_function, CompiledQFunction], ids=["NumPy", "compiled"])
def test_the_behaviour_is_that_of_the_head(agent, make):
    expected = agent.online.q_values_and_behaviour(tf.constant(SEEN))[1].numpy()
    np.testing.assert_allclose(make(agent).behaviour(SEEN), expected, rtol=1e-4, atol=1e-4)


def test_an_export_takes_the_largest_sum(agent, tmp_path):
    version = publish.export(agent, tmp_path / "zoo", SEEN, {"env": "masked"})
    policy = ExportedPolicy(version, MASKED)
    for mask in (None, MASK):
        expected = best(agent, LEGAL if mask is None else mask)
        assert policy(SEEN, mask).tolist() == expected.tolist()


def test_the_gate_refuses_the_largest_q_value(agent):
    q_values = agent(tf.constant(SEEN)).numpy()
    request = Request("serving_default", {"observation": tf.make_tensor_proto(SEEN)})
    answer = {"q_values": q_values, "action": best(agent, LEGAL)}
    assert gate.find_fault(agent, request, answer, {}) == ""
    answer["action"] = q_values.argmax(axis=1)
    assert gate.find_fault(agent, request, answer, {}) != ""
