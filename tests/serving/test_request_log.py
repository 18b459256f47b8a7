"""dqn_tf.serving.request_log:

what is served is on the disk as TF Serving's own logger would write it, within its bounds.
"""

import re
import shutil
import threading
import time
import urllib.error

import numpy as np
import pytest
import tensorflow as tf

grpc = pytest.importorskip("grpc", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")
from tensorflow_serving.apis import (  # noqa: E402
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from demo_server import balance, publish, serving  # noqa: E402
from dqn_tf.serving import options, record_files, request_log  # noqa: E402
from dqn_tf.serving import server as server_module  # noqa: E402
from dqn_tf.serving.errors import StartError  # noqa: E402
from dqn_tf.serving.request_log import RequestLog  # noqa: E402

INPUTS = {"observation": np.array([[0.1, -2, 3, np.inf]], np.float32)}
OUTPUTS = {"action": np.array([1]), "q_values": np.array([[0.5, 0.75]], np.float32)}


def logs(directory) -> list[prediction_log_pb2.PredictionLog]:
    names = [str(path) for path in record_files.record_files(directory)]
    return [
        prediction_log_pb2.PredictionLog.FromString(one.numpy())
        for one in tf.data.TFRecordDataset(names)
    ]


def until(condition) -> None:
    """Waits for the thread."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_record_holds_request_response_and_version(tmp_path):
    log = RequestLog(tmp_path / "new" / "logs", 1 << 20, 1.0)
    log("dqn", 7, "serving_default", INPUTS, OUTPUTS)
    log("dqn", 8, "tags", {"name": np.array([b"x" * 9], object)}, {"length": np.array([[9]])})
    until(lambda: log.written == 2)  # readable while the server goes on
    first, second = logs(tmp_path / "new" / "logs")
    request, response = first.predict_log.request, first.predict_log.response
    for specification in (request.model_spec, response.model_spec):
        assert (specification.name, specification.version.value, specification.signature_name) == (
            "dqn",
            7,
            "serving_default",
        )
    assert first.log_metadata.sampling_config.sampling_rate == 1.0
    np.testing.assert_array_equal(
        tf.make_ndarray(request.inputs["observation"]), INPUTS["observation"]
    )
    np.testing.assert_array_equal(
        tf.make_ndarray(response.outputs["q_values"]), OUTPUTS["q_values"]
    )
    assert (
        tf.make_ndarray(response.outputs["action"]).tolist() == [1]
        and response.outputs["action"].dtype == tf.int64
    )
    assert second.predict_log.response.model_spec.version.value == 8
    assert tf.make_ndarray(second.predict_log.request.inputs["name"]).tolist() == [b"x" * 9]
    log.close()


def test_closing_writes_all_that_is_queued_and_reports(tmp_path, capsys):
    log = RequestLog(tmp_path, 1 << 20, 1.0)
    for number in range(300):
        log("dqn", number, "serving_default", INPUTS, OUTPUTS)
    log.close()
    log.close()
    log("dqn", 0, "serving_default", INPUTS, OUTPUTS)  # too late
    assert [one.predict_log.response.model_spec.version.value for one in logs(tmp_path)] == list(
        range(300)
    )
    assert capsys.readouterr().err == "request log: 300 requests written, 0 dropped.\n"


def test_the_oldest_go_and_the_directory_never_holds_more_than_its_bytes(tmp_path):
    most, size = (
        8 * 1024,
        len(request_log.prediction_log("dqn", 1, "serving_default", INPUTS, OUTPUTS))
        + record_files.FRAME_BYTES,
    )
    for server in range(3):  # one after the other in the same directory
        log = RequestLog(tmp_path, most, 1.0)
        for number in range(40):
            log("dqn", 1 + server * 40 + number, "serving_default", INPUTS, OUTPUTS)
            until(lambda: log.written + log.dropped == number + 1)  # noqa: B023
            assert sum(path.stat().st_size for path in record_files.record_files(tmp_path)) <= most
        log.close()
    kept = [one.predict_log.response.model_spec.version.value for one in logs(tmp_path)]
    assert kept == list(range(121 - len(kept), 121)), "the newest, in their order"
    assert len(kept) * size > most * 0.6, "and not far fewer than fit"


def test_a_sample_is_that_share(tmp_path):
    log = RequestLog(tmp_path, 1 << 24, 0.1)
    for _ in range(3000):
        log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
    log.close()
    assert 200 < log.written < 400 and log.written == len(logs(tmp_path)) and log.dropped == 0
    assert logs(tmp_path)[0].log_metadata.sampling_config.sampling_rate == pytest.approx(0.1)


def test_a_slow_disk_costs_records_and_no_time(tmp_path, monkeypatch, capsys):
    blocked = threading.Event()
    monkeypatch.setattr(request_log, "MAX_QUEUED_REQUESTS", 5)
    log = RequestLog(tmp_path, 1 << 20, 1.0)
    monkeypatch.setattr(log._files, "flush", blocked.wait)
    log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
    until(lambda: log._unflushed == 1 and not log._queue)
    for _ in range(25):
        log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
    assert log.dropped == 20
    blocked.set()
    log.close()
    assert log.written == 6
    first, last = capsys.readouterr().err.splitlines()
    assert (
        first == "request log: dropping requests: requests come faster than they can be written."
        and "20 dropped" in last
    )


def test_large_requests_fill_the_queue_by_their_bytes(tmp_path, monkeypatch):
    blocked = threading.Event()
    log = RequestLog(tmp_path, 1 << 30, 1.0)
    monkeypatch.setattr(log._files, "write", lambda content: blocked.wait())
    large = {"observation": np.zeros((1, 20 << 20), np.uint8)}
    for _ in range(6):
        log("dqn", 1, "serving_default", large, OUTPUTS)
    assert log.dropped >= 2
    blocked.set()
    log.close()


def test_a_directory_that_goes_away_costs_its_records_only(tmp_path, capsys):
    log = RequestLog(tmp_path / "logs", 1 << 20, 1.0)
    shutil.rmtree(tmp_path / "logs")
    log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
    until(lambda: log.dropped == 1)
    assert "No such file" in capsys.readouterr().err
    (tmp_path / "logs").mkdir()
    log("dqn", 2, "serving_default", INPUTS, OUTPUTS)
    log.close()
    assert [
        one.predict_log.response.model_spec.version.value for one in logs(tmp_path / "logs")
    ] == [2]


def test_a_request_that_makes_no_record_is_dropped_alone(tmp_path, capsys):
    log = RequestLog(tmp_path, 1 << 20, 1.0)
    log("a\udcff", 1, "serving_default", INPUTS, OUTPUTS)  # protobuf takes no such text
    until(lambda: log.dropped == 1)
    log("dqn", 2, "serving_default", INPUTS, OUTPUTS)
    log.close()
    assert (log.written, log.dropped) == (1, 1) and len(logs(tmp_path)) == 1
    assert "dropping requests: " in capsys.readouterr().err


def test_a_record_above_the_cap_is_refused_alone(tmp_path):
    log = RequestLog(tmp_path, 4096, 1.0)
    log("dqn", 1, "serving_default", {"observation": np.zeros((1, 5000), np.uint8)}, OUTPUTS)
    log("dqn", 2, "serving_default", INPUTS, OUTPUTS)
    log.close()
    assert (log.written, log.dropped) == (1, 1)


def test_a_server_flushes_on_sigterm_and_its_log_is_what_was_served(tmp_path):
    """Through the flags, over REST and gRPC; a request that failed is not in it."""
    base = tmp_path / "models"
    publish(base, 1, (4,), tf.float32, balance, 2)
    with serving(
        base, f"--log_requests={tmp_path / 'logs'}", "--log_requests_max_bytes=1000000", "--port=-1"
    ) as server:
        rows = [[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, -0.1, 0.0]]
        answers = [
            server.predict("dqn", "visit 1" * (number == 3), instances=rows)["predictions"]
            for number in range(20)
        ]
        with pytest.raises(urllib.error.HTTPError):
            server.predict("dqn", instances=[[1.0, 2.0]])
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "dqn"
        request.inputs["observation"].CopyFrom(tf.make_tensor_proto(np.array(rows, np.float32)))
        request.client_id = b"visit 2"
        with grpc.insecure_channel(server.address) as channel:
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
        publish(base, 2, (4,), tf.float32, lambda observation: balance(observation, -1.0), 2)
        until(lambda: server.predict("dqn", instances=rows)["predictions"] != answers[0])
        said = server.stop()
    assert re.search(r"request log: \d+ requests written, 0 dropped\.", said), said
    served = logs(tmp_path / "logs")
    versions = [one.predict_log.response.model_spec.version.value for one in served]
    assert versions == sorted(versions) and set(versions) == {1, 2} and versions.count(1) >= 21
    ids = [one.predict_log.request.client_id for one in served[:21]]
    assert ids == [b""] * 3 + [b"visit 1"] + [b""] * 16 + [b"visit 2"]
    for one in served[:21]:
        np.testing.assert_array_equal(
            tf.make_ndarray(one.predict_log.request.inputs["observation"]),
            np.array(rows, np.float32),
        )
        found = tf.make_ndarray(one.predict_log.response.outputs["q_values"])
        np.testing.assert_array_equal(
            found, np.array([row["q_values"] for row in answers[0]], np.float32)
        )


@pytest.mark.parametrize(
    "word, sentence",
    [
        (
            "--log_requests_sample=0",
            "--log_requests_sample=0.0 must be a share of the requests: above 0 and at most 1.",
        ),
        ("--log_requests_sample=1.5", "above 0 and at most 1"),
        ("--log_requests_max_bytes=1000", "--log_requests_max_bytes=1000 must be at least 65,536."),
    ],
)
def test_a_wrong_flag_is_named(word, sentence):
    with pytest.raises(StartError, match=re.escape(sentence)):
        options.parse(["--model_base_path=x", word])


def test_a_place_that_is_no_directory_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        StartError, match=f"--log_requests={tmp_path / 'file'} cannot be made a directory"
    ):
        server_module.run(options.Options(model_base_path="x", log_requests=str(tmp_path / "file")))


def test_a_directory_that_takes_no_file_is_named():
    with pytest.raises(StartError, match="--log_requests=/proc/self cannot be .* written to: "):
        server_module.run(options.Options(model_base_path="x", log_requests="/proc/self"))


class FullDisk:
    """A writer on a disk that takes nothing any more."""

    def __init__(self, path: str) -> None:
        assert path

    def write(self, record: bytes) -> None:
        assert record

    def flush(self) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    close = flush


def test_a_full_disk_leaves_no_empty_files(tmp_path, monkeypatch, capsys):
    log = RequestLog(tmp_path, 1 << 20, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(record_files.tf.io, "TFRecordWriter", FullDisk)
        for number in range(20):
            log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
            until(lambda: log.dropped == number + 1)  # noqa: B023
    assert list(tmp_path.iterdir()) == [] and "No space left" in capsys.readouterr().err
    log("dqn", 2, "serving_default", INPUTS, OUTPUTS)  # there is space again
    log.close()
    assert (log.written, log.dropped) == (1, 20)
    assert [one.predict_log.response.model_spec.version.value for one in logs(tmp_path)] == [2]


def test_what_is_removed_while_it_is_written_is_counted_and_said(tmp_path, capsys):
    """The disk takes records for a file that has no name any more: nobody could read them."""
    directory = tmp_path / "logs"
    log = RequestLog(directory, 1 << 20, 1.0)
    log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
    until(lambda: log.written == 1)
    shutil.rmtree(directory)
    log("dqn", 2, "serving_default", INPUTS, OUTPUTS)
    until(lambda: log.dropped == 1)
    assert "requests-00000001.tfrecord was removed" in capsys.readouterr().err
    directory.mkdir()
    log("dqn", 3, "serving_default", INPUTS, OUTPUTS)
    log.close()
    assert (log.written, log.dropped) == (2, 1)
    assert [one.predict_log.response.model_spec.version.value for one in logs(directory)] == [3]


def test_closing_has_an_end_though_the_disk_hangs(tmp_path, monkeypatch, capsys):
    blocked = threading.Event()
    log = RequestLog(tmp_path, 1 << 20, 1.0)
    monkeypatch.setattr(log._files, "write", lambda content: blocked.wait())
    for _ in range(5):
        log("dqn", 1, "serving_default", INPUTS, OUTPUTS)
    started = time.monotonic()
    log.close(0.5)
    assert time.monotonic() - started < 10 and "0 requests written" in capsys.readouterr().err
    blocked.set()
