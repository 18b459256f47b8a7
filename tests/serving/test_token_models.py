"""A Transformer and a GRU over tokens, as served: REST, gRPC, the names, the demo page, the log."""

import json

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from demo_server import serving
from dqn_tf.export.publish import export
from dqn_tf.traffic import __main__ as traffic_command
from dqn_tf.traffic import flags as traffic_flags
from sample_agents import observations, variant, without_rounding

NAMES = ["here", "there", "<pad>", "a", "b", "c", "d", "e", "f"]  # of the tokens 2 to 10
MOVES = ["up", "down", "stay"]


@pytest.mark.parametrize("name", ["transformer", "gru"])
def test_it_is_served_named_and_logged(name, tmp_path, capsys):
    agent = variant(name)
    spaces = agent.spaces
    seen = observations(spaces, 6)
    base = tmp_path / "models"
    manifest = {"spaces": spaces.to_dict(), "tokens": NAMES, "action_meanings": MOVES}
    export(agent, base, observations(spaces), manifest)
    expected = agent(seen).numpy()
    actions = (expected.argmax(axis=1) + spaces.action_start).tolist()
    logs = tmp_path / "logs"
    with serving(base, "--demo", "--port=-1", f"--log_requests={logs}") as server:
        rows = server.predict("dqn", instances=seen.tolist())["predictions"]
        without_rounding(np.array([row["q_values"] for row in rows], np.float32), expected)
        assert [row["action"] for row in rows] == actions
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "dqn"
        request.inputs["observation"].CopyFrom(tf.make_tensor_proto(seen))
        with grpc.insecure_channel(server.address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answer = stub.Predict(request, timeout=30)
        without_rounding(tf.make_ndarray(answer.outputs["q_values"]), expected)
        keys = ["tokens", "action_meanings", "spaces"]
        told = server.predict("dqn", signature_name="metadata", instances=keys)["predictions"]
        tokens, meanings, described = map(json.loads, told)
        assert (tokens, meanings, described["padding"]) == (NAMES, MOVES, 4)
        assert b"<title>" in server.get("/")
        assert json.loads(server.get("/page/models.json")) == {"models": ["dqn"]}
        assert "0 dropped" in server.stop()
    traffic_command.main(traffic_flags.parse(["traffic", f"--logs={logs}", f"--model={base}"]))
    printed = capsys.readouterr().out
    assert "2 requests of 12 rows" in printed and "100.0%" in printed
    assert any(f"{action} {MOVES[action - 3]}" in printed for action in actions)
    assert " <pad>" in printed, "the observations' tokens have their names"
