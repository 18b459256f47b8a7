"""Exports of a language model: texts read once, decided from features; weights of half size."""

import json

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.exported_policy import load_policy
from dqn_tf.export import gate, message_samples
from dqn_tf.export.publish import export
from dqn_tf.export.sample_requests import make_requests
from dqn_tf.export.signatures import ExportModule
from dqn_tf.support.errors import UserError
from language_agent import make_agent, write_model

for package in ("safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def test_what_was_read_once_decides_as_what_is_read_anew(model, tmp_path):
    """With matrices of half as many bytes, which are rounded in all signatures alike."""
    agent, seen, about = make_agent(model)
    version = export(agent, tmp_path, seen, about, rounding=0.01)
    served = tf.saved_model.load(str(version)).signatures
    whole = served["serving_default"](observation=tf.constant(seen))
    messages = seen.reshape(len(seen), agent.spaces.messages, -1)
    said = [
        served["text_features"](tokens=tf.constant(one[np.newaxis]))["features"]  # as a server does
        for one in messages[..., 1:].reshape(-1, messages.shape[2] - 1)
    ]
    features = tf.reshape(tf.concat(said, 0), (*messages.shape[:2], -1))
    roles = np.array(["", "user", "assistant", "system"])[np.maximum(messages[..., 0], 0)]
    apart = served["from_features"](features=features, role=tf.constant(roles))
    q_values = whole["q_values"].numpy()
    np.testing.assert_allclose(apart["q_values"], q_values, atol=1e-5)
    assert np.ptp(q_values, axis=0).max() > 1e-3, "the texts make a difference"
    assert 1e-6 < np.abs(q_values - agent(seen).numpy()).max() < 0.01
    np.testing.assert_array_equal(apart["action"], whole["action"])
    np.testing.assert_array_equal(load_policy(version)(seen), whole["action"])
    names = about["action_meanings"]
    assert [text.decode() for text in apart["action_text"].numpy()] == [
        names[place] for place in whole["action"]
    ]
    kept = json.loads((version / "assets.extra" / "tokenizer.json").read_text(encoding="utf-8"))
    assert kept["model"]["type"] == "BPE"
    stored = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    sizes = {"float16": 0, "float32": 0}
    for name in stored.get_variable_to_dtype_map():
        if name.startswith(("network_variables/", "frozen_variables/")):
            sizes[stored.get_tensor(name).dtype.name] += stored.get_tensor(name).size
    matrices = sum(int(np.prod(one.shape)) for one in agent.online.torso.halvable())
    assert sizes["float16"] == matrices > sizes["float32"]


def test_the_gate_compares_what_is_said_and_what_is_decided(model):
    """By the agent itself, whose answers are changed; rounding is allowed where it is asked for."""
    agent, seen, about = make_agent(model)
    module = ExportModule(agent, about)
    specs = module.input_specs()
    asked = {name: specs[name] for name in ("text_features", "from_features")}
    said = message_samples.said_inputs(agent, seen)
    reads, decides = make_requests(asked, agent.spaces, seen, 0.0, [], None, None, said)
    q_values = agent(seen).numpy()
    action = q_values.argmax(axis=1)
    names = np.array(about["action_meanings"], "S")
    right = {"action": action, "q_values": q_values, "action_text": names[action]}
    assert gate.find_fault(agent, decides, right, about) == ""
    off = right | {"q_values": q_values + 0.003}
    assert "a Q-value differs by 0.003" in gate.find_fault(agent, decides, off, about)
    assert gate.find_fault(agent, decides, off, about, 0.01) == ""
    other = right | {"action_text": names[action - 1]}
    assert "another name" in gate.find_fault(agent, decides, other, about)
    tokens = tf.make_ndarray(reads.inputs["tokens"])
    features = message_samples.agent_features(agent, tokens)
    assert features.any() and gate.find_fault(agent, reads, {"features": features}, about) == ""
    assert "a feature differs" in gate.find_fault(agent, reads, {"features": features[::-1]}, about)


def test_half_weights_are_for_language_models():
    agent = DQN(DQNConfig(env="CartPole-v1", hidden_units=(4,)))
    with pytest.raises(UserError, match="--float16 is for the matrices of a language model"):
        export(agent, "never", np.zeros((1, 4), np.float32), {}, rounding=0.01)
