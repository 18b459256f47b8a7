"""Models in memory: which of their runs the event loop may do, and what they keep."""

import threading
import time

import numpy as np
import pytest

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.models import loaded_model, loading
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.served_model import ReadyVersion
from dqn_tf.serving.models.version_policy import ModelConfig
from dqn_tf.serving.options import Options
from server_process import ROOT

ROW = {"observation": np.float32([[1.0, 2.0, 3.0, 4.0]])}


@pytest.fixture(scope="module")
def zoo(zoo_models) -> LoadedModel:
    return loading.load("zoo", 1, zoo_models / "zoo" / "1", Options())


@pytest.mark.parametrize(
    "name, expected",
    [("serving_default", True), ("two", True), ("slow", False), ("classify", False)],
)
def test_only_what_depends_on_shapes_alone_may_hold_up_the_event_loop(zoo, name, expected):
    assert zoo.signature(name).is_shape_bound == expected


def test_the_shipped_agents_are_fast():
    path = ROOT / "saved_models" / "CartPole-v1" / "1"
    model = loading.load("dqn", 1, path, Options())
    signature = model.signature("")
    assert signature.is_shape_bound and not signature.is_fast(ROW)
    for _ in range(20):
        model.run(signature, ROW)
    assert signature.is_fast(ROW)
    assert not signature.is_fast({"observation": np.zeros((2, 4), np.float32)}), "it is larger"
    signature.note_run(ROW, 1.0)
    assert not signature.is_fast(ROW)
    model.close()


def test_a_run_that_is_disturbed_once_is_still_a_fast_one(zoo):
    signature = zoo.signature("serving_default")
    for seconds, expected in [
        *((0.001, True), (0.01, True), (0.01, True), (0.001, True), (0.01, True), (0.01, True)),
        *((0.01, False), (0.01, False), (0.001, True), (0.1, False)),
    ]:
        signature.note_run(ROW, seconds)
        assert signature.is_fast(ROW) == expected


def test_a_slow_signature_is_never_fast(zoo):
    signature = zoo.signature("slow")
    inputs = {"seconds": np.float32([0.0])}
    for _ in range(40):
        zoo.run(signature, inputs)
    assert not signature.is_fast(inputs)


def test_there_is_an_end_to_prepared_runs(zoo, monkeypatch):
    """Each is a copy of a graph, for the outputs and the deadline that a client chose."""
    monkeypatch.setattr(loaded_model, "MOST_PREPARED", 3)
    signature = zoo.signature("slow")
    for power in range(12):
        deadline = time.monotonic() + 2.0**power
        outputs = zoo.run(signature, {"seconds": np.float32([0.0])}, None, deadline)
        assert outputs["done"].tolist() == [0.0]
    for names in (("action",), ("q_values",), ("action", "q_values"), ("q_values", "action")):
        outputs = zoo.run(zoo.signature(""), ROW, names)
        assert set(outputs) == set(names)
    assert len(zoo._prepared) == 3


@pytest.mark.parametrize("rank", [33, 40, 64])
@pytest.mark.parametrize("dtype", ["string", "float32"])
def test_no_array_reaches_tensorflow_that_it_cannot_hold(zoo, dtype, rank):
    """The last check before the session, whoever made the array."""
    try:
        array = np.full([1] * rank, b"a" if dtype == "string" else 1, object)
    except ValueError:
        pytest.skip("this NumPy has no such arrays")
    array = array if dtype == "string" else array.astype(dtype)
    with pytest.raises(ServingError) as caught:
        zoo.run(zoo.signature(f"echo_{dtype}"), {"x": array})
    assert caught.value.code == "INVALID_ARGUMENT"


class SlowlyClosed(LoadedModel):
    """A version whose memory takes a second to be freed."""

    def __init__(self) -> None:
        self.name, self.version = "m", 1
        self.closed_by = ""

    def close(self) -> None:
        time.sleep(1.0)
        self.closed_by = threading.current_thread().name


def test_the_last_request_does_not_wait_until_its_version_is_closed(tmp_path):
    (tmp_path / "1").mkdir()
    model = SlowlyClosed()
    manager = ModelManager(lambda name, version, path: ReadyVersion(model), 0, 0.0)
    manager.configure([ModelConfig("m", str(tmp_path))])
    manager.poll()
    handle = manager.hold("m")
    manager.configure([])
    started = time.monotonic()
    handle.release()
    assert time.monotonic() - started < 0.5
    end = time.monotonic() + 10
    while not model.closed_by:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert model.closed_by != threading.main_thread().name
