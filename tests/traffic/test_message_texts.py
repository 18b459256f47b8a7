"""Served texts that a candidate on a language model cannot be asked are counted, and no more."""

import collections

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")
pytest.importorskip("safetensors", reason="the extra `language` is not installed")
pytest.importorskip("tokenizers", reason="the extra `language` is not installed")

from dqn_tf.envs import registry
from dqn_tf.envs.dialogues import PADDING
from dqn_tf.evaluation.find_export import find_export
from dqn_tf.serving.request_log import prediction_log
from dqn_tf.support.errors import UserError
from dqn_tf.traffic.candidate import Candidate
from dqn_tf.traffic.records import RecordedRequest, Traffic
from language_agent import publish, write_model

ANSWER = {"action": np.array([8]), "q_values": np.zeros((1, 12), np.float32)}
DIALOGUE = {
    "role": np.array([[b"user", b"assistant"]], object),
    "content": np.array([[b"hello", b"what is it?"]], object),
}
ONE_TEXT = {"text": np.array([b"hello"], object)}
MASK = np.ones((1, 12), bool)
NOT_TAKEN = "inputs of a shape or type, or a text, that the candidate's does not take"
# what is sent, to which signature, and why there is no answer; empty where there is one
REQUESTS = {
    "dialogue": ("messages", DIALOGUE, ""),
    "text": ("text", ONE_TEXT, ""),
    "role that is no UTF-8": (
        "messages",
        DIALOGUE | {"role": np.array([[b"user", b"\xff\xfe"]], object)},
        "",
    ),
    "text that is no UTF-8": ("text", {"text": np.array([b"\xff"], object)}, ""),
    "choices": ("text", ONE_TEXT | {"choices": np.array([[b"a", b"b"]], object)}, NOT_TAKEN),
    "flat choices": ("text", ONE_TEXT | {"choices": np.array([b"a"], object)}, NOT_TAKEN),
    "numbers for texts": ("text", {"text": np.array([7])}, NOT_TAKEN),
    "table of texts": ("text", {"text": np.array([[b"hello"]], object)}, NOT_TAKEN),
    "numbers for roles": ("messages", DIALOGUE | {"role": np.array([[1, 2]])}, NOT_TAKEN),
    "too few roles": (
        "messages",
        DIALOGUE | {"role": np.array([[b"user"]], object)},
        NOT_TAKEN,
    ),
    "mask beside no mask": ("text", ONE_TEXT | {"action_mask": MASK}, NOT_TAKEN),
    "masked": ("text_masked", ONE_TEXT | {"action_mask": MASK}, "that the candidate does not have"),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return publish(write_model(folder / "tiny"), folder / "models")


def write_log(folder, requests):
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "requests")) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log("help", 1, signature, inputs, ANSWER))
    return Traffic(folder)


@pytest.fixture(scope="module")
def candidate(published):
    return Candidate(find_export(str(published[1])))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_answered_or_counted(candidate, tmp_path, name):
    signature, inputs, reason = REQUESTS[name]
    traffic = write_log(tmp_path / "logs", [(signature, inputs), ("text", ONE_TEXT)])
    found = candidate.compare(traffic)
    assert found.total.requests == (1 if reason else 2)
    assert sum(traffic.skipped.values()) == bool(reason)
    assert all(reason in skipped for skipped in traffic.skipped)


def test_all_of_them_in_one_log(candidate, tmp_path):
    requests = [(signature, inputs) for signature, inputs, _ in REQUESTS.values()]
    traffic = write_log(tmp_path / "logs", requests)
    candidate.compare(traffic)
    expected = collections.Counter(bool(reason) for *_, reason in REQUESTS.values())
    assert sum(traffic.skipped.values()) == expected[True]


def test_a_role_that_is_no_utf_8_is_another_role(published, candidate):
    agent, _ = published
    reader = registry.make_env(agent.settings)
    length = reader.get_wrapper_attr("message_tokens")
    texts = candidate._texts
    (known,) = texts.observations(DIALOGUE)
    (odd,) = texts.observations(DIALOGUE | {"role": np.array([[b"user", b"\xff\xfe"]], object)})
    assert known.shape == reader.observation_space.shape
    different = np.flatnonzero(known != odd)
    assert different.tolist() == [1 + length] and odd[1 + length] == 3
    assert odd[-1] == PADDING


class OwnTokens:
    """A tokenizer that has no token for anything."""

    def observations(self, texts, choices):
        raise UserError("'hello' is no token: the vocabulary does not have it.")


@pytest.mark.parametrize(
    "inputs",
    [
        ONE_TEXT,
        {"text": np.array([7])},
        {"text": np.array([[b"hello"]], object)},
        {"observation_bytes": np.array([7])},
    ],
)
def test_what_an_own_tokenizer_does_not_take_has_no_observation(inputs):
    candidate = Candidate.__new__(Candidate)
    candidate._texts, candidate._tokenizer = None, OwnTokens()
    candidate._spec = tf.TensorSpec((None, 3), tf.float32)
    request = RecordedRequest(1, "text", inputs, ANSWER)
    assert candidate._observations(request, (3,)).shape == (0, 3)
