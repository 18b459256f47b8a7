"""The gate: nothing is published that answers otherwise than the agent.

Every signature is called with no observation and with 256 that the run has seen. (Where a language
model reads them, those that read the same once more get every eighth.) The requests of the warm-up
file are read from the disk and sent as well. So is one request to each further format.

Q-values pass if they are the agent's within TOLERANCE · max(1, largest |Q| of the row), since
float32 has no more digits for large returns. A greedy action passes if it is the best one by the
agent's Q-values within twice that. Of two actions whose Q-values lie closer than the rounding of
either, each is as good as the other. With --support it is to be the best supported one; an action
whose probability lies as close to the least one may count as supported or not. With --q_weight the
best is that of the sum of log-probability and weighted Q-value. A propensity is to be that of the
action, greedy or not.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dqn_tf.agent.dqn import DQN
from dqn_tf.envs import tokenizer
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.exploration import preferences
from dqn_tf.export import runtimes
from dqn_tf.export.message_samples import agent_features, agent_values, said_inputs
from dqn_tf.export.prediction_log import Request
from dqn_tf.export.run_snapshot import GATE_OBSERVATIONS
from dqn_tf.export.sample_requests import WARMUP, make_requests, read_warmup, take_batch
from dqn_tf.export.signatures import ExportModule
from dqn_tf.support.errors import UserError

TOLERANCE = 1e-4
# signatures that read what serving_default reads; of a language model they are sent every FEW-th
READ_AGAIN = ("action", "epsilon_greedy", "q_values")
FEW = 8
PROCESS_TIMEOUT = 3600  # seconds; a language model reads for minutes on a busy machine
MODEL_NAMES = {"savedmodel": "SavedModel", "tflite": "TFLite model", "onnx": "ONNX model"}

FormatRequest = tuple[str, Request]  # a request, and the format that it is sent to


class Choices(NamedTuple):
    """What a greedy policy chooses from, [B, A] bool each: the legal and supported actions."""

    certain: np.ndarray  # without those that rounding may leave out
    possible: np.ndarray  # with those that rounding may let in


def gate(
    version: Path,
    agent: DQN,
    module: ExportModule,
    observations: np.ndarray,
    metadata: dict[str, Any],
    formats: list[str],
    fresh: bool,
    rounding: float | None = None,
) -> None:
    """Raise UserError unless the files at `version` answer as the agent does, in each format.

    With `fresh` they are loaded in a process of their own, in which dqn_tf does not exist. That
    takes as long as importing TensorFlow. `rounding` takes TOLERANCE's place where weights are
    rounded.
    """
    requests = gate_requests(version, agent, module, observations, metadata, formats)
    ask = _ask_in_fresh_process if fresh else _ask_in_this_process
    answers = ask(version, serialise(requests))
    for (kind, request), answer in zip(requests, answers, strict=True):
        fault = find_fault(agent, request, answer, metadata, rounding or TOLERANCE)
        if fault:
            advice = ""
            if rounding:
                advice = f" --float16 rounds weights, and --tolerance={rounding:g} is allowed."
            raise UserError(
                f"The exported {MODEL_NAMES[kind]}, asked for {request.signature}, answered"
                f" otherwise than the agent: {fault}. Nothing was published.{advice}"
            )


def gate_requests(
    version: Path,
    agent: DQN,
    module: ExportModule,
    observations: np.ndarray,
    metadata: dict[str, Any],
    formats: list[str],
) -> list[FormatRequest]:
    """Return everything that the gate asks."""
    signatures = module.input_specs()
    warmup = _read_warmup(version)
    if {request.signature for request in warmup} != set(signatures):
        raise UserError(f"{version / WARMUP} does not ask every signature. Nothing was published.")

    spaces = agent.spaces
    keys = list(metadata)
    empty = take_batch(observations, 0, spaces)
    batch = take_batch(observations, GATE_OBSERVATIONS, spaces)
    mask = forbid_best(agent(tf.constant(batch)).numpy())
    said = said_inputs(agent, batch) if "from_features" in signatures else {}
    # a language model reads for a minute what the first of these has read already
    again = {name for name in signatures if spaces.messages and name.startswith(READ_AGAIN)}
    first, others = (
        {name: specs for name, specs in signatures.items() if (name in again) == is_again}
        for is_again in (False, True)
    )
    few = batch[::FEW]
    requests = [
        *warmup,
        *make_requests(signatures, spaces, empty, 0.0, keys, None, module.tokenizer),
        *make_requests(first, spaces, batch, 0.0, keys, mask, module.tokenizer, said),
        *make_requests(others, spaces, few, 0.0, keys, mask[::FEW]),
    ]
    plain = Request("serving_default", {"observation": tf.make_tensor_proto(batch)})
    kinds = [kind for kind in formats if kind != "savedmodel"]
    return [("savedmodel", request) for request in requests] + [(kind, plain) for kind in kinds]


def serialise(requests: list[FormatRequest]) -> list[runtimes.Question]:
    """Return the requests as the runtimes take them."""
    questions = []
    for kind, request in requests:
        inputs = {name: tensor.SerializeToString() for name, tensor in request.inputs.items()}
        questions.append((kind, request.signature, inputs))
    return questions


def forbid_best(q_values: np.ndarray) -> np.ndarray:
    """Return a mask [B, A] that forbids the best action, or none where all are equally good."""
    mask = q_values < q_values.max(axis=1, keepdims=True)
    return mask | ~mask.any(axis=1, keepdims=True)


def find_fault(
    agent: DQN,
    request: Request,
    answer: runtimes.Answer,
    metadata: dict[str, Any],
    tolerance: float = TOLERANCE,
) -> str:
    """Say what is wrong with an answer; empty if nothing is."""
    inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    if "text" in inputs:
        inputs["observation"] = read_texts(inputs, agent.spaces, metadata)
    if request.signature == "metadata":
        return check_metadata(answer["value"], inputs["key"], metadata)
    if "tokens" in inputs:
        features = agent_features(agent, inputs["tokens"])
        return check_features(answer["features"], features, tolerance)
    expected, behaviour = agent_outputs(agent, inputs)  # [B, A] each
    allowed = tolerance * np.abs(expected).max(axis=1, keepdims=True, initial=1.0)  # [B, 1]
    fault = ""
    if "q_values" in answer:
        fault = check_q_values(answer["q_values"], expected, allowed)
    if "action" in answer and not fault:
        start = agent.spaces.action_start
        legal = inputs.get("action_mask", np.ones(expected.shape, bool))
        choices = Choices(legal, legal)
        scores = preferences(expected, behaviour, agent.settings.q_weight)
        allowed = tolerance * np.abs(scores).max(axis=1, keepdims=True, initial=1.0)
        if agent.settings.support and behaviour is not None:
            choices = supported_choices(behaviour, agent.settings.support, legal, tolerance)
        fault = check_actions(answer["action"], start, scores, allowed, inputs, choices)
        if "propensity" in answer and not fault:
            chosen = (answer["action"] - start)[:, np.newaxis]
            fault = check_propensities(
                answer["propensity"], chosen, scores, allowed, inputs, choices
            )
    if "action_text" in answer and not fault:
        fault = check_action_texts(answer, inputs, agent.spaces, metadata)
    return fault


def check_metadata(value: np.ndarray, keys: np.ndarray, metadata: dict[str, Any]) -> str:
    """Say what is wrong with the values [B] for these keys [B]."""
    expected = [json.dumps(metadata[key.decode()]).encode() for key in keys]
    return "" if value.tolist() == expected else "its value is another"


def read_texts(
    inputs: dict[str, np.ndarray], spaces: Spaces, metadata: dict[str, Any]
) -> np.ndarray:
    """Return the observations that Python's tokenizer makes of texts [B] and their choices."""
    reader = tokenizer.of_names(metadata, spaces)
    assert reader is not None
    choices = inputs.get("choices")
    beside = None if choices is None else choices.tolist()
    return reader.observations(inputs["text"].tolist(), beside)


def check_action_texts(
    answer: runtimes.Answer,
    inputs: dict[str, np.ndarray],
    spaces: Spaces,
    metadata: dict[str, Any],
) -> str:
    """Say what is wrong with the names of an answer's actions, or with the chosen texts."""
    places = answer["action"] - spaces.action_start
    if "choices" in inputs:
        expected = [row[place] for row, place in zip(inputs["choices"], places, strict=True)]
    else:
        names = [name.encode() for name in metadata["action_meanings"]]
        expected = [names[place] for place in places]
    return "" if answer["action_text"].tolist() == expected else "an action has another name"


def check_features(features: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    """Say what is wrong with what a language model says of texts, [N, W]."""
    allowed = tolerance * np.abs(expected).max(axis=1, keepdims=True, initial=1.0)
    if features.shape != expected.shape or features.dtype != np.float32:
        return f"its features are {features.dtype} {list(features.shape)}"
    difference = np.abs(features - expected)
    if not (difference <= allowed).all():
        return f"a feature differs by {difference.max():.2g}"
    return ""


def check_q_values(q_values: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> str:
    """Say what is wrong with Q-values that should be `expected` [B, A] within `allowed` [B, 1]."""
    if q_values.shape != expected.shape or q_values.dtype != np.float32:
        return f"its Q-values are {q_values.dtype} {list(q_values.shape)}"
    difference = np.abs(q_values - expected)
    # Not `difference > allowed`: that is false for NaN.
    if not (difference <= allowed).all():
        return f"a Q-value differs by {difference.max():.2g}"
    return ""


def check_actions(
    action: np.ndarray,
    action_start: int,
    expected: np.ndarray,
    allowed: np.ndarray,
    inputs: dict[str, np.ndarray],
    choices: Choices,
) -> str:
    """Say what is wrong with actions [B], given the scores `expected` [B, A], such as Q-values.

    Where the request's epsilon is above 0, any legal action is right.
    """
    batch, actions = expected.shape
    if action.shape != (batch,) or action.dtype != np.int64:
        return f"its actions are {action.dtype} {list(action.shape)}"
    chosen = (action - action_start)[:, np.newaxis]  # [B, 1], counted from 0
    legal = inputs.get("action_mask", np.ones((batch, actions), bool))  # [B, A]
    is_known = (chosen >= 0) & (chosen < actions)  # [B, 1]
    if not is_known.all() or not np.take_along_axis(legal, chosen, axis=1).all():
        return "an action is not a legal one"
    is_greedy = inputs.get("epsilon", np.zeros(batch)) == 0.0  # [B]
    if not np.take_along_axis(choices.possible, chosen, axis=1)[is_greedy].all():
        return "an action is not a supported one"
    certain_q = np.where(choices.certain, expected, -np.inf)  # [B, A]
    best = certain_q.max(axis=1, keepdims=True, initial=-np.inf)  # [B, 1]
    regret = best - np.take_along_axis(expected, chosen, axis=1)  # [B, 1]
    if not (regret <= 2 * allowed)[is_greedy].all():
        return "an action is not the best one"
    return ""


def check_propensities(
    propensity: np.ndarray,
    chosen: np.ndarray,
    expected: np.ndarray,
    allowed: np.ndarray,
    inputs: dict[str, np.ndarray],
    choices: Choices,
) -> str:
    """Say what is wrong with the probabilities [B] of the actions [B, 1], counted from 0.

    It is epsilon divided by the number of legal actions, and 1 - epsilon more for the greedy one.
    Where rounding decides which one that is, either is right.
    """
    batch, actions = expected.shape
    if propensity.shape != (batch,) or propensity.dtype != np.float32:
        return f"its propensities are {propensity.dtype} {list(propensity.shape)}"
    epsilon = np.clip(inputs["epsilon"].astype(np.float64), 0.0, 1.0)
    share = epsilon / inputs.get("action_mask", np.ones((batch, actions), bool)).sum(axis=1)
    q = np.take_along_axis(expected, chosen, axis=1)
    is_chosen = np.arange(actions) == chosen
    rivals = np.where(choices.possible & ~is_chosen, expected, -np.inf).max(axis=1, initial=-np.inf)
    best = np.where(choices.certain, expected, -np.inf).max(axis=1, initial=-np.inf)
    margin = 2 * allowed[:, 0]
    is_surely_greedy = (choices.certain & is_chosen).any(axis=1) & (q[:, 0] - rivals > margin)
    may_be_greedy = (choices.possible & is_chosen).any(axis=1) & (best - q[:, 0] <= margin)
    as_greedy = np.isclose(propensity, 1.0 - epsilon + share, rtol=1e-5)
    as_other = np.isclose(propensity, share, rtol=1e-5)
    if not ((as_greedy & may_be_greedy) | (as_other & ~is_surely_greedy)).all():
        return "a propensity is not that of the action"
    return ""


def supported_choices(
    behaviour: np.ndarray, tau: float, legal: np.ndarray, tolerance: float = TOLERANCE
) -> Choices:
    """Return what a greedy policy chooses from, given the behaviour's logits [B, A]."""
    legal_logits = np.where(legal, behaviour, -np.inf)
    least = legal_logits.max(axis=1, keepdims=True, initial=-np.inf) + np.log(tau)
    size = np.abs(behaviour).max(axis=1, keepdims=True, initial=1.0)
    rounding = tolerance * size
    return Choices(legal & (behaviour >= least + rounding), legal & (behaviour >= least - rounding))


def agent_outputs(
    agent: DQN, inputs: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the live agent's Q-values [B, A] for a request's observations.

    Where acting needs them, the logits [B, A] of its behaviour head are beside them.
    """
    spaces = agent.spaces
    acts_by_behaviour = bool(agent.settings.support or agent.settings.q_weight)
    if "observation" in inputs:
        observation = inputs["observation"]
    elif "features" in inputs:
        observation = inputs["features"]
    else:
        content = b"".join(inputs["observation_bytes"].tolist())
        observation = np.frombuffer(content, np.uint8).reshape(-1, *spaces.observation_shape)
    if not len(observation):
        nothing = np.zeros((0, spaces.actions), np.float32)
        return nothing, nothing if acts_by_behaviour else None
    if "features" in inputs:
        q_values, behaviour = agent_values(agent, inputs)
    else:
        q_values, behaviour = agent.online.q_values_and_behaviour(tf.constant(observation))
    if not acts_by_behaviour or behaviour is None:
        return q_values.numpy(), None
    return q_values.numpy(), behaviour.numpy()


def last_line(error: Exception | str) -> str:
    """Return the end of a long error: what follows its last "error: ", or its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in reversed(lines):
        if "error: " in line and line[-1] != ":":
            return line.rpartition("error: ")[2]
    return lines[-1] if lines else type(error).__name__


def _read_warmup(version: Path) -> list[Request]:
    try:
        return read_warmup(version)
    except (ValueError, DecodeError, tf.errors.OpError) as error:
        raise UserError(
            f"{version / WARMUP} cannot be read: {last_line(error)}. Nothing was published."
        ) from error


def _ask_in_this_process(
    version: Path, questions: list[runtimes.Question]
) -> list[runtimes.Answer]:
    try:
        return runtimes.answer_questions(version, questions)
    except Exception as error:  # each runtime has its own kinds
        raise _no_answer(error) from error


def _ask_in_fresh_process(
    version: Path, questions: list[runtimes.Question]
) -> list[runtimes.Answer]:
    with tempfile.TemporaryDirectory(prefix="dqn_tf-gate-") as work:
        runtimes.write_questions(Path(work), questions)
        # Not Python's isolated mode: TensorFlow may be installed for the user, or be found by
        # PYTHONPATH.
        try:
            process = subprocess.run(
                [sys.executable, runtimes.__file__, str(version), work],
                capture_output=True,
                text=True,
                timeout=PROCESS_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _no_answer(f"error: it took more than {PROCESS_TIMEOUT:,} s") from error
        if process.returncode:
            raise _no_answer(process.stderr)
        return runtimes.read_answers(Path(work))


def _no_answer(error: Exception | str) -> UserError:
    return UserError(
        f"The export, loaded anew, does not answer: {last_line(error)}. Nothing was published."
    )
