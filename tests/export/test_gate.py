"""export/gate.py: what answers otherwise than the agent is not published, in any format."""

import json
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.export import gate
from dqn_tf.export import publish as module
from dqn_tf.export.formats import tflite
from dqn_tf.export.prediction_log import Request
from dqn_tf.export.sample_requests import WARMUP, read_warmup, write_warmup
from dqn_tf.export.signatures import SignatureFunctions
from dqn_tf.support.errors import UserError
from sample_agents import KINDS, agent, observations

has_onnx = pytest.mark.skipif(
    not (util.find_spec("onnx") and util.find_spec("onnxruntime")),
    reason="needs pip install -e '.[onnx]'",
)


def refused(directory: Path, made: DQN, match: str, **options) -> None:
    """Nothing is published, and nothing is left."""
    with pytest.raises(UserError, match=match + ".*Nothing was published"):
        module.export(made, directory, observations(made.spaces), {}, **options)
    assert not list(directory.iterdir())


@pytest.mark.parametrize("tamper", ["weights", "NaN"])
def test_the_gate_refuses_a_model_that_differs_from_the_agent(tmp_path, monkeypatch, tamper):
    """The agent changes between the save and the gate:

    what lies on the disk is no longer what it answers.
    """
    spaces = KINDS["vector"]
    changing, save = agent(spaces), tf.saved_model.save

    def save_then_change(*arguments, **options):
        save(*arguments, **options)
        changing.online.set_weights(
            [
                array * (np.nan if tamper == "NaN" else 1.001)
                for array in changing.online.get_weights()
            ]
        )

    monkeypatch.setattr(tf.saved_model, "save", save_then_change)
    refused(
        tmp_path,
        changing,
        "SavedModel, asked for .*, answered otherwise than the agent: a Q-value differs by",
    )


def test_the_gate_allows_for_rounding_of_large_values_and_of_ties(tmp_path):
    """float32 has no fifth decimal at 10,000; of two equal Q-values either action is the best."""
    spaces = KINDS["vector"]
    large = agent(spaces)
    large.online.set_weights([array * 300 for array in large.online.get_weights()])
    *body, kernel, bias = large.online.get_weights()
    large.online.set_weights(
        [
            *body,
            np.repeat(kernel[:, :1], spaces.actions, axis=1),
            np.repeat(bias[:1], spaces.actions),
        ]
    )
    assert np.abs(large(observations(spaces)).numpy()).max() > 10_000
    assert module.export(large, tmp_path, observations(spaces), {}).name == "1"


def another(made: DQN, factor: float) -> DQN:
    """An agent whose Q-values are other ones."""
    other = agent(made.spaces)
    other.online.set_weights([array * factor for array in made.online.get_weights()])
    return other


@pytest.mark.parametrize("fresh", [False, True])
def test_a_tflite_model_that_differs_is_refused(tmp_path, monkeypatch, fresh):
    made, write = agent(KINDS["vector"]), tflite.write_tflite
    monkeypatch.setattr(
        tflite, "write_tflite", lambda agent, version: write(another(agent, 1.001), version)
    )
    refused(
        tmp_path,
        made,
        "TFLite model, asked for serving_default, answered otherwise than the agent",
        formats=["savedmodel", "tflite"],
        fresh=fresh,
    )


@has_onnx
@pytest.mark.parametrize("part", ["combine", "activation", "start"])
def test_an_onnx_model_that_differs_is_refused(tmp_path, monkeypatch, part):
    from dqn_tf.export.formats import onnx

    made = agent(KINDS["discrete"] if part == "start" else KINDS["vector"], dueling=True)
    if part == "combine":
        monkeypatch.setattr(onnx.Graph, "reduce_mean", lambda graph, tensor, axis: tensor)
    elif part == "activation":
        monkeypatch.setattr(onnx.tf.keras.activations, "relu", onnx.tf.keras.activations.linear)
        refused(
            tmp_path,
            made,
            "This network cannot be made a model for onnx: the activation relu",
            formats=["savedmodel", "onnx"],
        )
        return
    else:
        make_model = onnx.make_model
        monkeypatch.setattr(
            onnx,
            "make_model",
            lambda network, spaces: make_model(
                network,
                KINDS["discrete"].__class__(
                    **spaces.to_dict()
                    | {
                        "observation_shape": (),
                        "action_start": spaces.action_start + 1,
                    }
                ),
            ),
        )
    refused(
        tmp_path,
        made,
        "ONNX model, asked for serving_default, answered otherwise than the agent",
        formats=["savedmodel", "onnx"],
    )


@has_onnx
def test_a_torso_without_an_onnx_twin_is_named(tmp_path, monkeypatch):
    made = agent(KINDS["vector"])
    monkeypatch.setattr(type(made.online.torso), "onnx", Torso.onnx)
    refused(
        tmp_path,
        made,
        "This network cannot be made a model for onnx: the torso MLP has no ONNX twin",
        formats=["savedmodel", "onnx"],
    )


def test_a_format_that_cannot_be_made_is_a_sentence(tmp_path):
    spaces = KINDS["vector"].__class__((3,), "uint64", actions=2)
    refused(
        tmp_path,
        agent(spaces),
        "This network cannot be made a model for tflite: 'tf.Cast' op is neither",
        formats=["savedmodel", "tflite"],
    )


@pytest.mark.parametrize(
    "fault, says",
    [
        ("signature", "does not ask every signature"),
        ("width", "loaded anew, does not answer"),
        ("record", "tf_serving_warmup_requests"),
    ],
)
def test_a_warm_up_file_that_would_keep_a_version_from_loading_is_refused(
    tmp_path, monkeypatch, fault, says
):
    def write(version, records):
        if fault == "signature":
            records = records[1:-1][:3]
        elif fault == "width":
            records[0] = Request(
                "serving_default",
                {"observation": tf.make_tensor_proto(np.zeros((1, 9), np.float32))},
            )
        write_warmup(version, records)
        if fault == "record":
            with tf.io.TFRecordWriter(str(version / WARMUP)) as writer:
                writer.write(b"no record of ours")

    monkeypatch.setattr(module, "write_warmup", write)
    refused(tmp_path, agent(KINDS["vector"]), says)


def test_the_warm_up_file_asks_every_signature_for_one_and_for_eight(tmp_path):
    spaces = KINDS["masked"]
    version = module.export(agent(spaces), tmp_path, observations(spaces), {})
    records = read_warmup(version)
    asked = {
        (record.signature, next(iter(record.inputs.values())).tensor_shape.dim[0].size)
        for record in records
    }
    assert asked == {
        (name, batch) for name in tf.saved_model.load(str(version)).signatures for batch in (1, 8)
    } and len(records) == len(asked)


def judged(signature: str, made: DQN, change=lambda answer: None, **inputs) -> str:
    """The gate's word on the agent's own answer, changed."""
    expected = made(tf.constant(inputs["observation"])).numpy()
    mask = inputs.get("action_mask", np.ones(expected.shape, bool))
    answer = {
        "q_values": expected.copy(),
        "action": np.where(mask, expected, -np.inf).argmax(axis=1) + made.spaces.action_start,
    }
    change(answer)
    request = Request(
        signature, {name: tf.make_tensor_proto(array) for name, array in inputs.items()}
    )
    return gate.find_fault(made, request, answer, {})


def test_what_is_an_action_as_good_as_the_agents():
    """By more than rounding, another action is a fault; an explored one is not, if it is legal."""
    made, seen = agent(KINDS["masked"]), observations(KINDS["masked"], 8)
    second = made(tf.constant(seen)).numpy().argsort(axis=1)[:, -2] + 7
    mask = gate.forbid_best(made(tf.constant(seen)).numpy())
    other = {"change": lambda answer: answer.update(action=second)}
    assert judged("serving_default", made, observation=seen) == ""
    assert (
        judged("serving_default", made, observation=seen, **other)
        == "an action is not the best one"
    )
    assert judged("serving_default_masked", made, observation=seen, action_mask=mask, **other) == ""
    assert (
        judged("epsilon_greedy", made, observation=seen, epsilon=np.ones(8, np.float32), **other)
        == ""
    )
    assert (
        judged("epsilon_greedy", made, observation=seen, epsilon=np.zeros(8, np.float32), **other)
        == "an action is not the best one"
    )
    best = {
        "change": lambda answer: answer.update(
            action=made(tf.constant(seen)).numpy().argmax(axis=1) + 7
        )
    }
    assert (
        judged(
            "epsilon_greedy_masked",
            made,
            observation=seen,
            epsilon=np.ones(8, np.float32),
            action_mask=mask,
            **best,
        )
        == "an action is not a legal one"
    )
    for change, says in (
        (lambda answer: answer.update(action=answer["action"] + 4), "an action is not a legal one"),
        (
            lambda answer: answer.update(action=answer["action"].astype(np.int32)),
            "its actions are int32 [8]",
        ),
        (
            lambda answer: answer.update(q_values=answer["q_values"].astype(np.float16)),
            "its Q-values are float16 [8, 4]",
        ),
        (
            lambda answer: answer.update(q_values=answer["q_values"] + 2e-4),
            "a Q-value differs by 0.0002",
        ),
    ):
        assert judged("serving_default", made, change, observation=seen) == says
    value = Request("metadata", {"key": tf.make_tensor_proto([b"env"])})
    assert (
        gate.find_fault(made, value, {"value": np.array([json.dumps("x").encode()])}, {"env": "x"})
        == ""
    )
    assert (
        gate.find_fault(made, value, {"value": np.array([b""])}, {"env": "x"})
        == "its value is another"
    )


def test_a_propensity_is_that_of_the_action():
    """Of the greedy action and of another; where rounding decides which is which, of either."""
    made, seen = agent(KINDS["masked"]), observations(KINDS["masked"], 8)
    q_values = made(tf.constant(seen)).numpy()
    mask = np.ones(q_values.shape, bool)
    mask[np.arange(8), q_values.argmin(axis=1)] = False  # three are legal
    epsilon = np.full(8, 0.3, np.float32)
    second = q_values.argsort(axis=1)[:, -2] + 7

    def word(propensity, **action):
        return judged(
            "epsilon_greedy_masked",
            made,
            lambda answer: answer.update(propensity=np.asarray(propensity), **action),
            observation=seen,
            epsilon=epsilon,
            action_mask=mask,
        )

    greedy, other = np.full(8, 0.8, np.float32), np.full(8, 0.1, np.float32)
    assert word(greedy) == "" and word(other, action=second) == ""
    wrong = "a propensity is not that of the action"
    assert word(other) == wrong and word(greedy, action=second) == wrong
    assert word(greedy * np.nan) == wrong and word(np.full(8, 0.775, np.float32)) == wrong
    assert word(greedy.astype(np.float64)) == "its propensities are float64 [8]"
    assert word(greedy[:, np.newaxis]) == "its propensities are float32 [8, 1]"
    *body, kernel, bias = made.online.get_weights()
    alike = [np.repeat(kernel[:, :1], 4, axis=1), np.repeat(bias[:1], 4)]
    made.online.set_weights([*body, *alike])
    q_values = made(tf.constant(seen)).numpy()
    of_any = {"action": np.arange(8) % 4 + 7, "q_values": q_values}
    mask[:] = True
    for share in (greedy - 0.1 + 0.075, other * 0 + 0.075):
        assert word(share.astype(np.float32), **of_any) == ""


def test_an_export_that_tells_another_propensity_is_not_published(tmp_path, monkeypatch):
    """As one would that forgot that the drawn action may be the greedy one."""
    original = SignatureFunctions.epsilon_greedy

    def forgets(self, observation, epsilon, seed, action_mask=None):
        answer = original(self, observation, epsilon, seed, action_mask)
        return answer | {"propensity": answer["propensity"] - tf.cast(epsilon, tf.float32) / 4}

    monkeypatch.setattr(SignatureFunctions, "epsilon_greedy", forgets)
    refused(tmp_path, agent(KINDS["vector"]), "asked for epsilon_greedy.* a propensity is not that")
