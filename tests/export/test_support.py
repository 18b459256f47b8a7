"""Exports of agents that choose among the actions that their data support."""

import json

import numpy as np
import pytest
import tensorflow as tf

import server_process
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.export import gate, publish
from dqn_tf.export.prediction_log import Request
from logged_oracles import MASKED, logged_agent, supported_by_hand
from sample_agents import observations

TAU = 0.4
SEEN = observations(MASKED, 64)
MASK = np.random.default_rng(3).random((64, 4)) < 0.5
MASK[:, 1] |= ~MASK.any(axis=1)


@pytest.fixture(scope="module")
def agent():
    return logged_agent(MASKED, support=TAU)


@pytest.fixture(scope="module")
def version(agent, tmp_path_factory):
    directory = tmp_path_factory.mktemp("supported") / "zoo"
    return publish.export(agent, directory, SEEN, {"env": "masked"})


def best(agent, mask: np.ndarray) -> np.ndarray:
    """The best legal and supported action of each observation, by hand."""
    q_values, logits = (
        part.numpy() for part in agent.online.q_values_and_behaviour(tf.constant(SEEN))
    )
    candidates = supported_by_hand(logits, TAU, mask)
    return np.where(candidates, q_values, -np.inf).argmax(axis=1)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all legal", "masked"])
def test_every_signature_chooses_the_best_supported_action(agent, version, mask):
    legal = np.ones((64, 4), bool) if mask is None else mask
    expected = best(agent, legal)
    q_values = agent(tf.constant(SEEN)).numpy()
    free = np.where(legal, q_values, -np.inf).argmax(axis=1)
    assert (expected != free).sum() > 5, "the support changes too little to be seen"
    policy = ExportedPolicy(version, MASKED)
    assert policy(SEEN, mask).tolist() == expected.tolist()
    inputs = {"observation": tf.constant(SEEN)}
    suffix = ""
    if mask is not None:
        inputs["action_mask"], suffix = tf.constant(mask), "_masked"
    explored = {"epsilon": tf.zeros(64), "seed": tf.range(64, dtype=tf.int64)}
    for name, more in {"serving_default": {}, "action": {}, "epsilon_greedy": explored}.items():
        answer = policy.loaded.signatures[name + suffix](**inputs, **more)
        assert answer["action"].numpy().tolist() == expected.tolist(), name
        if "q_values" in answer:  # they are what the agent expects, of every action
            np.testing.assert_allclose(answer["q_values"], q_values, rtol=1e-4, atol=1e-4)
    explored["epsilon"] = tf.ones(64)
    answer = policy.loaded.signatures["epsilon_greedy" + suffix](**inputs, **explored)
    drawn = answer["action"].numpy()
    assert legal[np.arange(64), drawn].all() and set(drawn) == {0, 1, 2, 3}


def test_the_server_gives_the_same_actions(agent, version):
    flags = f"--model_base_path={version.parent}", f"--model_name={server_process.NAME}"
    with server_process.embedded(version.parent.parent, *flags) as server:
        for signature, mask in (("serving_default", None), ("serving_default_masked", MASK)):
            inputs = {"observation": SEEN.tolist()}
            if mask is not None:
                inputs["action_mask"] = mask.tolist()
            body = {"signature_name": signature, "inputs": inputs}
            path = f"/v1/models/{server_process.NAME}:predict"
            status, _, answer = server.ask("POST", path, body)
            assert status == 200, answer
            legal = np.ones((64, 4), bool) if mask is None else mask
            assert json.loads(answer)["outputs"]["action"] == best(agent, legal).tolist()


@pytest.mark.parametrize(
    "how, fault",
    [
        ("right", ""),
        ("best of all", "an action is not a supported one"),
        ("worst supported", "an action is not the best one"),
    ],
)
def test_the_gate_holds_actions_to_the_support(agent, how, fault):
    q_values, logits = (
        part.numpy() for part in agent.online.q_values_and_behaviour(tf.constant(SEEN))
    )
    supported = supported_by_hand(logits, TAU, np.ones(q_values.shape, bool))
    actions = {
        "right": best(agent, np.ones(q_values.shape, bool)),
        "best of all": q_values.argmax(axis=1),
        "worst supported": np.where(supported, q_values, np.inf).argmin(axis=1),
    }
    request = Request("serving_default", {"observation": tf.make_tensor_proto(SEEN)})
    answer = {"q_values": q_values, "action": actions[how]}
    assert gate.find_fault(agent, request, answer, {}) == fault


def test_an_action_within_rounding_of_the_least_probability_is_supported_or_not():
    """Either answer passes: of 0.5 and 0.25, the second lies on the edge of tau = 0.5."""
    logits = np.log([[0.5, 0.25, 0.25 - 1e-6, 1e-3]]).astype(np.float32)
    choices = gate.supported_choices(logits, 0.5, np.ones((1, 4), bool))
    assert choices.certain.tolist() == [[True, False, False, False]]
    assert choices.possible.tolist() == [[True, True, True, False]]
    only = gate.supported_choices(logits, 1.0, np.ones((1, 4), bool))
    assert only.possible.tolist() == [[True, False, False, False]]
