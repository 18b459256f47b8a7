"""dqn_tf.traffic: a candidate against records of what was served, from the server's own log."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")

from dqn_tf.serving.record_files import record_files
from dqn_tf.serving.request_log import RequestLog, prediction_log
from dqn_tf.support.errors import UserError
from dqn_tf.traffic import __main__ as traffic_command
from dqn_tf.traffic import flags as traffic_flags
from dqn_tf.traffic import report
from dqn_tf.traffic.agreement import Agreement, Choices, Drift
from dqn_tf.traffic.candidate import Candidate

WEIGHTS = np.array([[1.0, -1.0], [0.5, 0.25], [-1.0, 1.0]], np.float32)


class Linear(tf.Module):
    """q_values = observation · weights + offset, actions from 5 on."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = tf.Variable([offset, 0.0])

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="observation")])
    def serving_default(self, observation):
        q_values = tf.ensure_shape(observation, (None, 3)) @ WEIGHTS + self.offset
        return {"action": tf.argmax(q_values, axis=1) + 5, "q_values": q_values}

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="observation")])
    def q_values(self, observation):
        return {"q_values": self.serving_default(observation)["q_values"]}


def answer(observations: np.ndarray, offset: float = 0.0) -> dict[str, np.ndarray]:
    q_values = observations @ WEIGHTS + np.array([offset, 0], np.float32)
    return {"action": q_values.argmax(axis=1) + 5, "q_values": q_values}


@pytest.fixture(scope="module")
def candidate(tmp_path_factory):
    """Versions 1 (offset 0) and 2 (offset 2). To look at only."""
    base = tmp_path_factory.mktemp("models")
    for number, offset in ((1, 0.0), (2, 2.0)):
        module = Linear(offset)
        tf.saved_model.save(
            module,
            str(base / str(number)),
            signatures={"serving_default": module.serving_default, "q_values": module.q_values},
        )
        (base / str(number) / "assets.extra").mkdir()
        manifest = {
            "spaces": {"action_start": 5},
            "observation_range": {"observations": 50, "min": [-1, -1, -1], "max": [1, 1, 1]},
            "action_meanings": ["left", "right"],
        }
        (base / str(number) / "assets.extra" / "dqn_tf.json").write_text(
            json.dumps(manifest), encoding="utf-8"
        )
    return base


@pytest.fixture
def observations(generator):
    found = generator.uniform(-1, 1, (90, 3)).astype(np.float32)
    found[:9, 2] = 1.5
    return found


@pytest.fixture
def logs(tmp_path, observations):
    """45 rows of version 1 one by one, then 45 of version 2 in requests of 15, the last of them by
    `q_values`.
    """
    log = RequestLog(tmp_path / "logs", 1 << 20, 1.0)
    for row in observations[:45]:
        log("dqn", 1, "serving_default", {"observation": row[np.newaxis]}, answer(row[np.newaxis]))
    for start in (45, 60, 75):
        rows = observations[start : start + 15]
        outputs = answer(rows, 2.0)
        if start == 75:
            log("dqn", 2, "q_values", {"observation": rows}, {"q_values": outputs["q_values"]})
        else:
            log("dqn", 2, "serving_default", {"observation": rows}, outputs)
    log.close()
    return tmp_path / "logs"


@pytest.fixture
def command(capsys):
    """The command in this process: what it prints."""

    def run(*words: str) -> str:
        traffic_command.main(traffic_flags.parse(["traffic", *words]))
        return capsys.readouterr().out

    return run


def test_agreement_by_version_and_the_actions_table(
    command, logs, candidate, observations, tmp_path
):
    printed = command(
        f"--logs={logs}", f"--model={candidate / '1'}", f"--json={tmp_path / 'found.json'}"
    )
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    served = np.concatenate(
        [answer(observations[:45])["action"], answer(observations[45:], 2.0)["action"]]
    )
    own = answer(observations)["action"]
    assert found["versions"]["1"] == {
        "requests": 45,
        "rows": 45,
        "equal_actions": 1.0,
        "q_difference_mean": pytest.approx(0, abs=1e-6),
        "q_difference_max": pytest.approx(0, abs=1e-6),
        "q_differences_not_finite": 0,
    }
    second = found["versions"]["2"]
    assert (second["requests"], second["rows"]) == (3, 45) and 0.2 < second["equal_actions"] < 0.9
    assert second["equal_actions"] == pytest.approx((served == own)[45:].mean())
    # of two actions one has moved by 2
    assert (second["q_difference_mean"], second["q_difference_max"]) == (
        pytest.approx(1.0),
        pytest.approx(2.0),
    )
    assert found["total"]["equal_actions"] == pytest.approx((served == own).mean())
    expected = {
        (int(a), int(b)): int(((served == a) & (own == b)).sum()) for a in (5, 6) for b in (5, 6)
    }
    assert {(a, b): count for a, b, count in found["confusion"]} == {
        pair: count for pair, count in expected.items() if count
    }
    assert (
        "5 left" in printed and "6 right" in printed and f"{second['equal_actions']:.1%}" in printed
    )


def test_drift_against_the_manifest(command, logs, candidate, observations, tmp_path):
    printed = command(f"--logs={logs}", f"--model={candidate}", f"--json={tmp_path / 'found.json'}")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["model"].endswith("/2") and found["observations"] == 90
    assert [one["outside"] for one in found["inputs"]] == [0.0, 0.0, pytest.approx(0.1)]
    assert [one["component"] for one in found["inputs"]] == [[0], [1], [2]] and found["inputs"][2][
        "trained"
    ] == [-1.0, 1.0]
    np.testing.assert_allclose(
        [one["seen"] for one in found["inputs"]],
        np.stack([observations.min(axis=0), observations.max(axis=0)], axis=1),
    )
    assert "10.00%" in printed


def test_tokens_are_named():
    names = ["<pad>", *(f"n{number}" for number in range(30))]
    manifest = {
        "spaces": {"action_start": 1, "category_start": 0},
        "action_meanings": names[1:],
        "tokens": names,
    }
    agreement, drift = Agreement(), Drift((2,), np.array([1, 0]), np.array([30, 30]))
    actions = np.arange(1, 25)
    agreement.add(1, Choices(actions, None), Choices(np.where(actions > 22, 3, actions), None))
    drift.add(np.array([[5, 0], [7, 31]]))
    record = {
        "logs": "logs",
        "files": 1,
        "model": "model/1",
        "damaged": [],
        "skipped": {},
        "ranged": True,
        "total": agreement.summary(),
        "versions": {"1": agreement.summary()},
        "confusion": [[*pair, count] for pair, count in agreement.confusion.items()],
        "observations": drift.rows,
        "inputs": drift.summary(),
    }
    told = report.to_text(record, manifest)
    assert "The most frequent of 2 differences (--json=FILE holds all)" in told
    assert re.search(r"^23 n22 +3 n2 +1$", told, re.MULTILINE)
    assert re.search(r"^0 +5 n4 to 7 n6 +1 n0 to 30 n29 +0\.00%$", told, re.MULTILINE)
    # 31 is no token
    assert re.search(r"^1 +0 <pad> to 31 +0 <pad> to 30 n29 +50\.00%$", told, re.MULTILINE)


def test_without_ranges_it_says_so(command, logs, candidate, tmp_path):
    shutil.copytree(candidate / "1", tmp_path / "1", ignore=shutil.ignore_patterns("assets.extra"))
    printed = command(f"--logs={logs}", f"--model={tmp_path / '1'}")
    assert (
        "holds no ranges of its training, so drift cannot be told" in printed
        and "100.0%" in printed
    )


def test_a_damaged_end_is_reported_and_the_rest_used(command, logs, candidate):
    (path,) = record_files(logs)
    os.truncate(path, path.stat().st_size - 5)
    printed = command(f"--logs={logs}", f"--model={candidate / '1'}")
    assert f"{path} is damaged after 47 whole records; those are used." in printed
    assert "47 requests of 75 rows" in printed


def test_what_cannot_be_asked_is_left_out_with_its_reason(
    command, candidate, tmp_path, observations
):
    logs = tmp_path / "logs"
    logs.mkdir()
    good, rows = answer(observations), {"observation": observations}
    contents = [
        prediction_log("dqn", 1, "serving_default", rows, good),
        prediction_log("dqn", 1, "unknown", rows, good),
        b"\xff\xff",
        b"",
        prediction_log("dqn", 1, "serving_default", {"other": observations}, good),
        prediction_log("dqn", 1, "serving_default", {"observation": observations[:, :2]}, good),
        prediction_log("dqn", 1, "serving_default", {"observation": np.float32(1)}, good),
        prediction_log("dqn", 1, "serving_default", rows, {"value": good["q_values"]}),
        prediction_log("dqn", 1, "serving_default", rows, {"action": good["q_values"]}),
        prediction_log("dqn", 1, "serving_default", rows, {"q_values": good["action"]}),
    ]
    with tf.io.TFRecordWriter(str(logs / "theirs")) as writer:
        for content in contents:
            writer.write(content)
    printed = command(f"--logs={logs}", f"--model={candidate / '1'}")
    assert "1 request of 90 rows in 1 file " in printed and "100.0%" in printed
    for reason in (
        "by unknown, a signature that the candidate does not have",
        "no PredictionLog",
        "not of predict",
        "with inputs that the candidate's does not take",
        "of a shape or type, or a text, that the candidate's does not take",
        "without a row for each observation",
    ):
        assert f"Left out: 1 request {reason}" in printed or f"{reason}." in printed, reason
    assert "Left out: 3 requests without action and q_values" in printed


def test_what_is_refused_leaves_out_no_neighbour(command, logs, candidate, monkeypatch):
    """As of a text with a word that only this candidate does not know."""
    asked = Candidate._asked

    def refuse_what_is_outside(self, batch):
        if (batch.inputs["observation"] > 1).any():
            raise ValueError("outside")
        return asked(self, batch)

    monkeypatch.setattr(Candidate, "_asked", refuse_what_is_outside)
    printed = command(f"--logs={logs}", f"--model={candidate / '1'}")
    assert "39 requests of 81 rows" in printed
    assert "Left out: 9 requests by serving_default with inputs of a shape or type" in printed


def test_the_versions_of_two_models_are_told_apart(command, candidate, observations, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "requests")) as writer:
        for model, shift in (("one", 0.0), ("two", 2.0), ("one", 0.0)):
            rows = {"observation": observations}
            writer.write(
                prediction_log(model, 1, "serving_default", rows, answer(observations, shift))
            )
    file = tmp_path.parent / "found.json"
    printed = command(f"--logs={tmp_path}", f"--model={candidate / '1'}", f"--json={file}")
    found = json.loads(file.read_text(encoding="utf-8"))["versions"]
    assert found["one 1"]["rows"] == 180 and found["one 1"]["equal_actions"] == 1.0
    assert found["two 1"]["rows"] == 90 and found["two 1"]["equal_actions"] < 1.0
    assert "one 1 " in printed and "two 1 " in printed


def test_values_that_are_not_finite():
    drift = Drift((2,), np.zeros(2), np.ones(2))
    drift.add(np.array([[0.5, np.nan], [np.inf, 0.5]], np.float32))
    assert [one["outside"] for one in drift.summary()] == [0.5, 0.5] and drift.summary()[0][
        "seen"
    ] == [0.5, 0.5]
    agreement = Agreement()
    actions = np.array([0])
    agreement.add(
        1,
        Choices(actions, np.array([[1.0, np.nan]])),
        Choices(actions, np.array([[0.5, 0.0]])),
    )
    assert (
        agreement.summary()["q_differences_not_finite"] == 1
        and agreement.summary()["q_difference_max"] == 0.5
    )


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--model=x"], r"^--logs is missing: give a directory"),
        (["--logs=x"], r"^--model is missing"),
        (["--logs=x", "--model=nowhere"], r"^nowhere: there is no such directory"),
        (
            ["--logs=x", "--model=y", "--json=nowhere/a.json"],
            r"^--json=nowhere/a\.json cannot be written: there is no directory nowhere\.$",
        ),
        (["--logs=x", "--model=y", "--epochs=3"], r"Unknown command line flag 'epochs'"),
    ],
)
def test_a_wrong_flag_is_named(command, words, sentence):
    with pytest.raises(UserError, match=sentence):
        command(*words)


def test_logs_that_are_none_are_named(command, candidate, tmp_path):
    with pytest.raises(UserError, match=r"^--logs=nowhere cannot be read: No such file"):
        command("--logs=nowhere", f"--model={candidate}")
    with pytest.raises(UserError, match="holds no record file"):
        command(f"--logs={tmp_path}", f"--model={candidate}")
    (tmp_path / "notes").write_text("no record at all", encoding="utf-8")
    with pytest.raises(
        UserError,
        match=(
            r"no request that .* could be asked \(none at all\).*notes is damaged after 0 whole"
            r" records"
        ),
    ):
        command(f"--logs={tmp_path}", f"--model={candidate}")
