"""What the server's logger wrote, joined with rewards, is episodes; else a sentence says why."""

import re

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")

from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokenizer import Tokenizer
from dqn_tf.experience.logged import sources
from dqn_tf.experience.logged.prediction_logs import parse
from dqn_tf.experience.logged.summary import summarize
from dqn_tf.serving.request_log import RequestLog, prediction_log
from dqn_tf.support.errors import UserError

SPACES = Spaces((2,), "float32", 3, action_start=1)
MASKED = Spaces((2,), "float32", 3, action_start=1, masked=True)


def observation(*firsts):
    return np.array([[first, 0.5] for first in firsts], np.float32)


def answer(*actions):
    return {"action": np.array(actions), "q_values": np.zeros((len(actions), 3), np.float32)}


@pytest.fixture
def log(tmp_path):
    """Logs requests, each (id, inputs, outputs[, signature]), with the server's own logger."""

    def write(*requests):
        logger = RequestLog(tmp_path / "logs", 1 << 24, 1.0)
        for name, inputs, outputs, *signature in requests:
            logger("dqn", 1, *(signature or ["serving_default"]), inputs, outputs, name.encode())
        logger.close()
        return tmp_path / "logs"

    return write


def plain(*names):
    """Requests whose observation is their number and whose action is 1, 2, 3, 1, ..."""
    return [
        (name, {"observation": observation(number)}, answer(number % 3 + 1))
        for number, name in enumerate(names)
    ]


def rewards(tmp_path, *lines, names="id,reward,end"):
    path = tmp_path / "rewards.csv"
    path.write_text("\n".join([names, *lines]) + "\n", encoding="utf-8")
    return path


def load(logs, path, spaces=SPACES):
    return sources.load(f"requests:{logs}+{path}", spaces)


def test_requests_and_rewards_are_episodes(tmp_path, log):
    logs = log(*plain("a", "b", "c", "d", "e"))
    path = rewards(tmp_path, "a,1,", "b,2.5,terminated", "c,-1,", "d,0,", "e,7,truncated")
    episodes = load(logs, path)
    assert episodes.starts.tolist() == [0, 2, 5]
    assert episodes.observation.tolist() == [[0, 0.5], [1, 0.5], [2, 0.5], [3, 0.5], [4, 0.5]]
    assert episodes.action.tolist() == [0, 1, 2, 0, 1]
    assert episodes.reward.tolist() == [1, 2.5, -1, 0, 7]
    assert episodes.terminated.tolist() == [False, True, False, False, False]
    assert episodes.propensity.tolist() == [1, 1, 1, 1, 1]  # the greedy action, always
    assert not episodes.has_final.any()
    assert not episodes.notes
    (file,) = logs.iterdir()
    assert load(file, path).digest == episodes.digest


def test_the_order_is_that_of_the_rewards_and_episodes_may_be_interleaved(tmp_path, log):
    logs = log(*plain("a", "b", "c", "d"))
    lines = ["d,4,,second", "a,1,,first", "c,3,Terminated,second", "b,2,,first"]
    path = rewards(tmp_path, *lines, names="id,reward,end,episode")
    episodes = load(logs, path)
    assert episodes.starts.tolist() == [0, 2, 4]
    assert episodes.observation[:, 0].tolist() == [3, 2, 0, 1]
    assert episodes.reward.tolist() == [4, 3, 1, 2]
    assert episodes.terminated.tolist() == [False, True, False, False]


def test_requests_of_several_rows_and_without_rewards(tmp_path, log):
    logs = log(
        ("many", {"observation": observation(5, 6, 7)}, answer(1, 2, 3)),
        ("", {"observation": observation(8)}, answer(1)),
        ("other", {"observation": observation(9)}, answer(1)),
    )
    path = rewards(tmp_path, "many/2,1,", "many/0,2,terminated")
    episodes = load(logs, path)
    assert episodes.observation[:, 0].tolist() == [7, 5]
    assert episodes.action.tolist() == [2, 0]
    told = summarize(episodes, SPACES)
    assert f"\n  not used: 3 requests that have no line in {path}" in told


def test_propensities_are_those_that_were_answered(tmp_path, log):
    inputs = {"observation": observation(1, 2)}
    explored = answer(1, 2) | {"propensity": np.array([0.75, 0.125], np.float32)}
    requests = [
        ("explored", inputs, explored, "epsilon_greedy"),
        ("greedy", {"observation": observation(1)}, answer(1), "action"),
        ("old", {"observation": observation(1)}, answer(1), "epsilon_greedy"),
    ]
    logs = log(*requests)
    lines = ["explored/0,1,", "explored/1,1,", "greedy,1,"]
    assert load(logs, rewards(tmp_path, *lines)).propensity.tolist() == [0.75, 0.125, 1]
    # of an export that does not answer it, it is not known
    assert load(logs, rewards(tmp_path, *lines, "old,1,")).propensity is None


def test_masks_are_those_of_the_requests(tmp_path, log):
    inputs = {"observation": observation(1), "action_mask": np.array([[True, False, True]])}
    logs = log(("a", inputs, answer(3), "serving_default_masked"))
    episodes = load(logs, rewards(tmp_path, "a,1,"), MASKED)
    assert episodes.action_mask.tolist() == [[True, False, True]]
    assert episodes.propensity.tolist() == [1]


def test_what_the_client_did_instead_is_what_counts(tmp_path, log):
    logs = log(*plain("a", "b"), ("q", {"observation": observation(2)}, {"q_values": np.eye(1, 3)}))
    lines = ["a,1,,3", "b,1,,3", "q,1,,2"]
    episodes = load(logs, rewards(tmp_path, *lines, names="id,reward,end,action"))
    assert episodes.action.tolist() == [2, 2, 1]
    assert episodes.propensity is None
    lines = ["a,1,,3,0.5", "b,1,,3,1", "q,1,,2,0.25"]
    path = rewards(tmp_path, *lines, names="id,reward,end,action,propensity")
    assert load(logs, path).propensity.tolist() == [0.5, 1, 0.25]


def test_pictures_as_bytes(tmp_path, log, generator):
    spaces = Spaces((3, 2, 1), "uint8", 3, action_start=1)
    pictures = generator.integers(0, 256, (2, 3, 2, 1), np.uint8)
    texts = np.array([picture.tobytes() for picture in pictures], object)
    logs = log(("a", {"observation_bytes": texts}, answer(1, 2), "observation_bytes"))
    episodes = load(logs, rewards(tmp_path, "a/0,1,", "a/1,1,"), spaces)
    assert (episodes.observation == pictures).all()


@pytest.mark.parametrize(
    "dtype",
    [
        *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "bool"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_tensors_of_every_type(dtype, count, generator):
    """Of one element and of several, since TensorFlow writes these in different fields."""
    values = generator.integers(0, 2, (count, 1)).astype(dtype) * np.array(100, dtype)
    record = prediction_log("dqn", 1, "f", {"x": values}, {"y": values}, b"id")
    request = parse(record)
    assert (request.id, request.signature, request.rows) == ("id", "f", count)
    for read in (request.inputs["x"], request.outputs["y"]):
        assert read.dtype == dtype
        assert (read == values).all()


TEXTS = Spaces((3,), "int32", 2, categories=4, padding=0)
READER = Tokenizer("words", ["<pad>", "<unk>", "help", "é"], TEXTS)


def text(*given):
    return {"text": np.array([one.encode("utf-8", "surrogateescape") for one in given], object)}


def load_texts(logs, path, reader=READER):
    return sources.load(f"requests:{logs}+{path}", TEXTS, None, lambda: reader)


def test_texts_are_made_tokens_as_the_export_does(tmp_path, log):
    """Of one request and of several rows; what was no UTF-8 too."""
    answered = {"action": np.array([1]), "action_text": np.array([b"ask"], object)}
    both = {"action": np.array([0, 1])}
    logs = log(
        ("a", text("HELP me, É"), answered, "text"),
        ("b", text("", "\udcff help"), both, "text"),
    )
    path = rewards(tmp_path, "a,-0.1,", "b/0,1,", "b/1,-1,terminated")
    episodes = load_texts(logs, path)
    assert episodes.observation.tolist() == [[1, 1, 3], [0, 0, 0], [1, 2, 0]]
    assert episodes.observation.dtype == np.int32
    assert episodes.action.tolist() == [1, 0, 1] and episodes.propensity.tolist() == [1, 1, 1]


def test_texts_that_cannot_be_read(tmp_path, log):
    logs = log(("a", text("help nobody"), answer(1), "text"))
    path = rewards(tmp_path, "a,1,terminated")
    without = Tokenizer("words", ["<pad>", "x", "help", "é"], TEXTS)
    place = re.escape(f"{path}, line 2 (id a), column text: ")
    with pytest.raises(UserError, match=place + "'nobody' is no token: the vocabulary does not"):
        load_texts(logs, path, without)
    for load_without in (lambda: load_texts(logs, path, None), lambda: load(logs, path, TEXTS)):
        with pytest.raises(UserError, match=place + "the request holds one, and the environment"):
            load_without()
    numbers = log(("b", {"text": np.array([1])}, answer(1), "text"))
    with pytest.raises(UserError, match="column text: the request's is no text"):
        load_texts(numbers, rewards(tmp_path, "b,1,terminated"))


OFFERS = Spaces((7,), "int32", 2, categories=4, padding=0, masked=True, choices=2, choice_tokens=2)
CHOOSER = Tokenizer("words", ["<pad>", "<unk>", "help", "é"], OFFERS)


def offered(told, *choices):
    return text(told) | {"choices": np.array([[one.encode() for one in choices]], object)}


def test_choices_are_made_tokens_with_a_mask_of_those_that_are_there(tmp_path, log):
    barred = {"action_mask": np.array([[True, False]])}
    logs = log(
        ("a", offered("help", "", "é me help"), answer(1), "text"),
        ("b", offered("é", "é", "help") | barred, answer(0), "text_masked"),
    )
    path = rewards(tmp_path, "a,1,", "b,1,terminated")
    episodes = sources.load(f"requests:{logs}+{path}", OFFERS, None, lambda: CHOOSER)
    assert episodes.observation.tolist() == [
        [2, 0, 0, 0, 0, 3, 1],
        [3, 0, 0, 3, 0, 2, 0],
    ]
    assert episodes.action_mask.tolist() == [[False, True], [True, False]]
    assert episodes.propensity.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (np.array([["é"] * 3], object), "column text: 3 choices are more than the 2 that"),
        (np.array([b"help"], object), "column choices: the request's are no list of texts"),
    ],
)
def test_choices_that_cannot_be_read(tmp_path, log, choices, said):
    logs = log(("a", text("help") | {"choices": choices}, answer(1), "text"))
    with pytest.raises(UserError, match=said):
        path = rewards(tmp_path, "a,1,terminated")
        sources.load(f"requests:{logs}+{path}", OFFERS, None, lambda: CHOOSER)


def test_a_log_whose_end_was_lost(tmp_path, log):
    logs = log(*plain("a", "b", "c"))
    (file,) = logs.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    episodes = load(logs, rewards(tmp_path, "a,1,", "b,2,"))
    assert episodes.notes == (f"{file} is damaged after 2 whole records; those are used",)
    told = sentence(logs, rewards(tmp_path, "a,1,", "c,2,"))
    assert told.endswith(f"rewards.csv, line 3 (id c), column id: no request in {logs} has it.")


def sentence(logs, path, spaces=SPACES):
    with pytest.raises(UserError) as caught:
        load(logs, path, spaces)
    told = str(caught.value)
    assert told.endswith(".") and "\n" not in told
    return told


BAD_REWARDS = {
    "no column": ("id,reward", ["a,1"], " has no column end: it needs id, reward and end."),
    "an unknown column": ("id,reward,end,note", ["a,1,,x"], ": column note is none of id, reward"),
    "semicolons": ("id;reward;end", ["a;1;"], ", line 1: its columns are separated by semicolons"),
    "no reward": ("id,reward,end", ["a,1,", "b,,"], ", line 3, column reward: the cell is empty."),
    "a reward of NaN": ("id,reward,end", ["a,nan,"], ", line 2 (id a), column reward: nan is no"),
    "no id": ("id,reward,end", [",1,"], ", line 2, column id: the cell is empty."),
    "an id twice": (
        "id,reward,end",
        ["a,1,", "b,1,", "a,1,"],
        ", line 4, column id: a has a reward in line 2 already.",
    ),
    "an end that is none": (
        "id,reward,end",
        ["a,1,yes"],
        ", line 2, column end: 'yes' must be terminated, truncated, or empty.",
    ),
    "an end amid an episode": (
        "id,reward,end,episode",
        ["a,1,terminated,x", "b,1,,x"],
        ", line 2 (id a), column terminated: true, and its episode goes on in the next row.",
    ),
    "an episode without a name": (
        "id,reward,end,episode",
        ["a,1,,"],
        ", line 2, column episode: the cell is empty.",
    ),
    "a step left out": (
        "id,reward,end,step",
        ["a,1,,0", "b,1,,2"],
        ", line 3 (id b), column step: 2 does not follow on 0",
    ),
    "an action of no environment": (
        "id,reward,end,action",
        ["a,1,,4"],
        ", line 2 (id a), column action: 4 is no action",
    ),
    "a propensity of 0": (
        "id,reward,end,propensity",
        ["a,1,,0"],
        ", line 2 (id a), column propensity: 0.0 must be above 0",
    ),
    "a request that was not logged": (
        "id,reward,end",
        ["a,1,", "z,1,"],
        ", line 3 (id z), column id: no request in {logs} has it.",
    ),
    "nothing": ("id,reward,end", [], " holds no rewards."),
}


@pytest.mark.parametrize("case", BAD_REWARDS)
def test_rewards_that_are_wrong(tmp_path, log, case):
    names, lines, expected = BAD_REWARDS[case]
    logs = log(*plain("a", "b"))
    path = rewards(tmp_path, *lines, names=names)
    assert sentence(logs, path).startswith(f"{path}{expected.format(logs=logs)}")


def test_requests_that_are_wrong(tmp_path, log):
    three = np.zeros((1, 3), np.float32)
    logs = log(
        *plain("twice", "twice"),
        ("shape", {"observation": three}, answer(1)),
        ("type", {"observation": observation(1).astype(np.float64)}, answer(1)),
        ("nan", {"observation": observation(np.nan)}, answer(1)),
        ("other", {"state": observation(1)}, answer(1)),
        ("bytes", {"observation_bytes": np.array([b"abc"], object)}, answer(1)),
        ("values", {"observation": observation(1)}, {"q_values": three}, "q_values"),
        ("floats", {"observation": observation(1)}, {"action": np.array([1.0])}),
        ("action", {"observation": observation(1)}, answer(0)),
    )
    expected = {
        "twice": f"id: {logs} holds two requests with it.",
        "shape": "observation: the request's is float32 [3], and must be float32 [2].",
        "type": "observation: the request's is float64 [2], and must be float32 [2].",
        "nan": "observation: nan is no finite float32",
        "other": "observation: the request holds none.",
        "bytes": "observation: its 3 bytes are none of float32 [2].",
        "values": "action: q_values answers without one: add a column to ",
        "floats": "action: the answer is no whole number for each observation.",
        "action": "action: 0 is no action of the environment, whose actions are 1 to 3",
    }
    for name, what in expected.items():
        path = rewards(tmp_path, f"{name},1,")
        start = f"{path}, line 2 (id {name}), column {what}"
        assert sentence(logs, path).startswith(start)
    path = rewards(tmp_path, "nan,1,")
    assert "serving_default, which knows no masks" in sentence(logs, path, MASKED)


def test_logs_that_are_none(tmp_path, log):
    path = rewards(tmp_path, "a,1,")
    logs = log(*plain("", ""))
    assert sentence(logs, path) == (
        f"{logs}: none of its 2 requests has an id: let clients send the header X-Request-Id, or"
        " over gRPC the field client_id."
    )
    (tmp_path / "empty").mkdir()
    assert "empty holds no logs: a server writes them" in sentence(tmp_path / "empty", path)
    (tmp_path / "text").write_text("no log at all, and long enough to have a head")
    assert "is no log of requests, or damaged" in sentence(tmp_path / "text", path)
    with tf.io.TFRecordWriter(str(tmp_path / "other")) as writer:
        writer.write(b"not a message")
    assert sentence(tmp_path / "other", path).endswith("other: record 0 is no PredictionLog.")


def test_names_of_the_two_files(tmp_path, log):
    logs = log(*plain("a")).rename(tmp_path / "logs+2026")
    path = rewards(tmp_path, "a,1,").rename(tmp_path / "a+b.csv")
    assert len(load(logs, path)) == 1
    for spec, expected in (
        (f"{logs}", f"there is no {tmp_path / 'logs'}."),
        ("logs", "name the logs and the file of rewards, as in requests:logs+rewards.csv."),
        (f"{logs}+nowhere.csv", "there is no nowhere.csv."),
    ):
        with pytest.raises(UserError) as caught:
            sources.load(f"requests:{spec}", SPACES)
        assert str(caught.value) == f"--data=requests:{spec}: {expected}"
