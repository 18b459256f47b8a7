"""The gate: nothing is published that answers otherwise than the agent.

Every signature is asked about no observation and about 256 recorded ones, the warm-up file's
requests are read from the disk and asked as well, and so is each further format. An answer passes
if its Q-values are the agent's within TOLERANCE · max(1, largest |Q| of the row), since float32 has
no more digits for large returns, and if its greedy actions are the best ones by the agent's
Q-values, within twice that: of two actions whose Q-values lie closer than the rounding of either,
each is as good as the other.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dqn_tf.agent.dqn import DQN
from dqn_tf.export import runtimes
from dqn_tf.export.prediction_log import Request
from dqn_tf.export.run_snapshot import RECORDED
from dqn_tf.export.sample_requests import WARMUP, fitted, read_warmup, requests
from dqn_tf.export.signatures import Served
from dqn_tf.support.errors import UserError

TOLERANCE = 1e-4
PATIENCE = 600  # seconds for the fresh process
NAMES = {"savedmodel": "SavedModel", "tflite": "TFLite model", "onnx": "ONNX model"}


def gate(
    version: Path,
    agent: DQN,
    served: Served,
    observations: np.ndarray,
    metadata: dict[str, Any],
    formats: list[str],
    fresh: bool,
) -> None:
    """Raises UserError unless what lies at `version` answers as the agent does, in each of the
    formats.

    `fresh` loads it in a process of its own, in which dqn_tf does not exist; that takes as long as
    importing TensorFlow.
    """
    asked = questions(version, agent, served, observations, metadata, formats)
    answers = (_answers_afresh if fresh else _answers_here)(version, serialised(asked))
    for (kind, request), answer in zip(asked, answers, strict=True):
        reason = fault(agent, request, answer, metadata)
        if reason:
            raise UserError(
                f"The exported {NAMES[kind]}, asked for {request.signature}, answered otherwise"
                f" than the agent: {reason}. Nothing was published."
            )


def questions(
    version: Path,
    agent: DQN,
    served: Served,
    observations: np.ndarray,
    metadata: dict[str, Any],
    formats: list[str],
) -> list[tuple[str, Request]]:
    """What is asked, in pairs of a format and a request."""
    signatures = {name: function.input_signature for name, function in served.endpoints.items()}
    seen, none = (fitted(observations, batch, agent.spaces) for batch in (RECORDED, 0))
    try:
        asked = read_warmup(version)
    except (ValueError, DecodeError, tf.errors.OpError) as error:
        raise UserError(
            f"{version / WARMUP} cannot be read: {last_line(error)}. Nothing was published."
        ) from error
    if {request.signature for request in asked} != set(signatures):
        raise UserError(f"{version / WARMUP} does not ask every signature. Nothing was published.")
    asked += requests(signatures, agent.spaces, none, 0.0, list(metadata))
    asked += requests(
        signatures,
        agent.spaces,
        seen,
        0.0,
        list(metadata),
        without_best(agent(tf.constant(seen)).numpy()),
    )
    plain = Request("serving_default", {"observation": tf.make_tensor_proto(seen)})
    return [("savedmodel", request) for request in asked] + [
        (kind, plain) for kind in formats if kind != "savedmodel"
    ]


def serialised(asked: list[tuple[str, Request]]) -> list[runtimes.Question]:
    """The questions as the runtimes take them."""
    return [
        (
            kind,
            request.signature,
            {name: tensor.SerializeToString() for name, tensor in request.inputs.items()},
        )
        for kind, request in asked
    ]


def without_best(q_values: np.ndarray) -> np.ndarray:
    """A mask [B, A] that forbids the best action, or none where there is no other."""
    mask = q_values < q_values.max(axis=1, keepdims=True)
    return mask | ~mask.any(axis=1, keepdims=True)


def fault(
    agent: DQN, request: Request, answer: dict[str, np.ndarray], metadata: dict[str, Any]
) -> str:
    """What is wrong with an answer; empty if nothing is."""
    inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    if request.signature == "metadata":
        expected = [json.dumps(metadata[key.decode()]).encode() for key in inputs["key"]]
        return "" if answer["value"].tolist() == expected else "its value is another"
    expected = agent_q_values(agent, inputs)
    allowed = TOLERANCE * np.abs(expected).max(axis=1, keepdims=True, initial=1.0)
    if "q_values" in answer:
        if answer["q_values"].shape != expected.shape or answer["q_values"].dtype != np.float32:
            return f"its Q-values are {answer['q_values'].dtype} {list(answer['q_values'].shape)}"
        difference = np.abs(answer["q_values"] - expected)
        if not (difference <= allowed).all():
            return f"a Q-value differs by {difference.max():.2g}"
    if "action" in answer:
        if answer["action"].shape != expected.shape[:1] or answer["action"].dtype != np.int64:
            return f"its actions are {answer['action'].dtype} {list(answer['action'].shape)}"
        return _fault_of_actions(
            answer["action"] - agent.spaces.action_start, expected, allowed, inputs
        )
    return ""


def agent_q_values(agent: DQN, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Q-values [B, A] of the live agent for a request's observations."""
    spaces = agent.spaces
    if "observation" in inputs:
        observation = inputs["observation"]
    else:
        observation = np.frombuffer(
            b"".join(inputs["observation_bytes"].tolist()), np.uint8
        ).reshape(-1, *spaces.observation_shape)
    return (
        agent(tf.constant(observation)).numpy()
        if len(observation)
        else np.zeros((0, spaces.actions), np.float32)
    )


def _fault_of_actions(
    action: np.ndarray, expected: np.ndarray, allowed: np.ndarray, inputs: dict[str, np.ndarray]
) -> str:
    legal = inputs.get("action_mask", np.ones(expected.shape, bool))
    if (
        not ((action >= 0) & (action < expected.shape[1])).all()
        or not np.take_along_axis(legal, action[:, np.newaxis], axis=1).all()
    ):
        return "an action is not a legal one"
    best = np.where(legal, expected, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    regret = best - np.take_along_axis(expected, action[:, np.newaxis], axis=1)
    greedy = (inputs["epsilon"] if "epsilon" in inputs else np.zeros(len(action))) == 0.0
    return "" if (regret <= 2 * allowed)[greedy].all() else "an action is not the best one"


def _answers_here(version: Path, asked: list[runtimes.Question]) -> list[runtimes.Answer]:
    try:
        return runtimes.answers(version, asked)
    except Exception as error:  # of whatever kind a runtime has
        raise _failed(error) from error


def _answers_afresh(version: Path, asked: list[runtimes.Question]) -> list[runtimes.Answer]:
    with tempfile.TemporaryDirectory(prefix="dqn_tf-gate-") as work:
        runtimes.write_questions(Path(work), asked)
        # Not Python's isolated mode: TensorFlow may be installed for the user, or be found by
        # PYTHONPATH.
        done = subprocess.run(
            [sys.executable, runtimes.__file__, str(version), work],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise _failed(done.stderr)
        return runtimes.read_answers(Path(work))


def last_line(error: Exception | str) -> str:
    """What an error, of a page perhaps, says in the end:

    what follows the last "error: ", or its last line.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [
        type(error).__name__
    ]
    return next(
        (
            line.rpartition("error: ")[2]
            for line in reversed(lines)
            if "error: " in line and line[-1] != ":"
        ),
        lines[-1],
    )


def _failed(error: Exception | str) -> UserError:
    return UserError(
        f"The export, loaded anew, does not answer: {last_line(error)}. Nothing was published."
    )
