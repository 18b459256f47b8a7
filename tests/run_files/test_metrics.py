"""dqn_tf.run_files.metrics: columns, what a resumed run keeps, and torn lines."""

import csv

import pytest
import tensorflow as tf

from dqn_tf.run_files import metrics_file
from dqn_tf.run_files.metrics import MetricsWriter
from dqn_tf.run_files.metrics_file import LOGGED_METRICS


def write_rows(directory, env_step: int, *rows: tuple[int, dict], extra_names=()) -> None:
    """Opens metrics.csv of a run that has reached `env_step` and appends rows."""
    writer = MetricsWriter(
        directory / "metrics.csv", directory / "tensorboard", env_step, extra_names
    )
    for step, values in rows:
        writer.write(step, **values)
    writer.close()


def header(directory) -> list[str]:
    with (directory / "metrics.csv").open(encoding="utf-8") as file:
        return next(csv.reader(file))


def test_a_row_holds_the_metrics_of_one_event(tmp_path):
    write_rows(tmp_path, 0, (10, {"episode": 1, "episode_return": 2.5}), (20, {"loss": 1 / 3}))
    assert header(tmp_path) == ["env_step", *LOGGED_METRICS]
    first, second = metrics_file.read(tmp_path / "metrics.csv")
    assert {name: text for name, text in first.items() if text} == {
        "env_step": "10",
        "episode": "1",
        "episode_return": "2.5",
    }
    assert {name: text for name, text in second.items() if text} == {
        "env_step": "20",
        "loss": "0.33333333",
    }


def test_a_resumed_run_drops_the_rows_after_its_checkpoint(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0}), (20, {"loss": 2.0}), (30, {"loss": 3.0}))
    write_rows(tmp_path, 20, (25, {"loss": 4.0}))
    rows = metrics_file.read(tmp_path / "metrics.csv")
    assert [(row["env_step"], row["loss"]) for row in rows] == [
        ("10", "1"),
        ("20", "2"),
        ("25", "4"),
    ]


def test_a_new_run_drops_every_row(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0}))
    write_rows(tmp_path, 0)
    assert metrics_file.read(tmp_path / "metrics.csv") == []


def test_extra_columns_follow_and_a_resumed_run_keeps_them(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0, "cql": 0.5}), extra_names=["cql"])
    assert header(tmp_path) == ["env_step", *LOGGED_METRICS, "cql"]
    write_rows(tmp_path, 10, (20, {"imitation": 7.0}), extra_names=["imitation", "cql"])
    assert header(tmp_path) == ["env_step", *LOGGED_METRICS, "cql", "imitation"]
    rows = metrics_file.read(tmp_path / "metrics.csv")
    assert [(row["cql"], row["imitation"]) for row in rows] == [("0.5", ""), ("", "7")]


def test_a_name_that_is_no_column_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="cql"):
        write_rows(tmp_path, 0, (10, {"cql": 0.5}))


def test_a_torn_last_line_is_left_out(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0}), (20, {"loss": 2.0}))
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-3])
    assert [row["env_step"] for row in metrics_file.read(path)] == ["10"]
    write_rows(tmp_path, 20)
    assert [row["env_step"] for row in metrics_file.read(path)] == ["10"]


def three_rows(directory):
    """A metrics.csv of the steps 10, 20 and 30."""
    write_rows(directory, 0, (10, {"loss": 1.0}), (20, {"loss": 2.0}), (30, {"loss": 3.0}))
    return directory / "metrics.csv"


def steps(path) -> list[str]:
    return [row["env_step"] for row in metrics_file.read(path)]


@pytest.mark.parametrize(
    "edited",
    [
        lambda text: "\ufeff" + text,  # a byte-order mark
        lambda text: text.partition("\r\n")[2],  # no header
        lambda text: text.replace("\r\n", "\n"),
    ],
)
def test_what_an_editor_may_have_changed_is_read_all_the_same(tmp_path, edited):
    path = three_rows(tmp_path)
    path.write_text(edited(path.read_bytes().decode()), encoding="utf-8", newline="")
    assert steps(path) == ["10", "20", "30"]
    write_rows(tmp_path, 20)
    assert steps(path) == ["10", "20"] and header(tmp_path) == ["env_step", *LOGGED_METRICS]
    assert not list(tmp_path.glob("*damaged*"))


@pytest.mark.parametrize(
    ("edited", "kept"),
    [
        (lambda text: text.replace("20,", "twenty,"), ["10", "30"]),
        (lambda text: text.replace("20,", "²,"), ["10", "30"]),
        (lambda text: text.replace(",", ";"), []),
        (lambda text: text.replace("env_step", "step"), []),
        (lambda text: text.replace("epsilon", "loss"), []),
        (lambda text: text.replace("30,", '"30,'), ["10", "20"]),
        (lambda text: "\x00" * 50 + "\r\n" + text, []),
        (lambda text: text.replace("20,,", "20,,,"), ["10", "30"]),
    ],
)
def test_a_damaged_file_is_kept_beside_the_new_one(tmp_path, edited, kept):
    path = three_rows(tmp_path)
    text = edited(path.read_bytes().decode())
    path.write_text(text, encoding="utf-8", newline="")
    assert steps(path) == kept
    said = []
    for number in (1, 2):
        path.write_text(text, encoding="utf-8", newline="")
        MetricsWriter(path, tmp_path / "tensorboard", 30, say=said.append).close()
        copy = tmp_path / f"metrics.damaged-{number}.csv"
        assert copy.read_bytes().decode() == text and str(copy) in said[-1]
        assert steps(path) == kept


def events(directory) -> list[tuple[int, str, float]]:
    """Step, tag and value of every event in `directory`/tensorboard, oldest file first."""
    found = []
    for path in sorted((directory / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.append((event.step, value.tag, float(tf.make_ndarray(value.tensor))))
    return found


def test_tensorboard_never_goes_back(tmp_path):
    three_rows(tmp_path)
    (events_file,) = (tmp_path / "tensorboard").iterdir()
    with events_file.open("ab") as file:
        file.write(b"\x18\x00\x00")  # torn by a crash
    write_rows(tmp_path, 20, (25, {"loss": 4.0}), (2**40, {"loss": 5.0}))
    assert events(tmp_path) == [
        (10, "loss", 1.0),
        (20, "loss", 2.0),
        (25, "loss", 4.0),
        (2**40, "loss", 5.0),
    ]
    write_rows(tmp_path, 25)
    assert [step for step, _, _ in events(tmp_path)] == [10, 20, 25]
    write_rows(tmp_path, 0)
    assert events(tmp_path) == []


def test_events_are_those_of_tensorflow(tmp_path):
    three_rows(tmp_path)
    directory = tmp_path / "theirs"
    with tf.summary.create_file_writer(str(directory)).as_default():
        for step, value in ((10, 1.0), (20, 2.0), (30, 3.0)):
            tf.summary.scalar("loss", value, step=step)
    ours, theirs = (
        [
            tf.compat.v1.Event.FromString(record.numpy())
            for path in folder.iterdir()
            for record in tf.data.TFRecordDataset(str(path))
        ]
        for folder in (tmp_path / "tensorboard", directory)
    )
    assert [event.file_version for event in ours] == [event.file_version for event in theirs]
    for our, their in zip(ours, theirs, strict=True):
        for one, other in zip(our.summary.value, their.summary.value, strict=True):
            assert one.metadata == other.metadata and one.tag == other.tag
            assert tf.make_ndarray(one.tensor) == tf.make_ndarray(other.tensor)
            assert one.tensor.dtype == other.tensor.dtype
            assert tf.make_ndarray(one.tensor).shape == ()


def test_what_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_rows(tmp_path, 0)
    (tmp_path / "metrics.csv").rmdir()
    (tmp_path / "tensorboard").touch()
    with pytest.raises(OSError) as error:
        write_rows(tmp_path, 0)
    assert "{{" not in error.value.strerror


def test_a_tensorboard_that_watches_sees_the_run_go_back(tmp_path):
    multiplexer = pytest.importorskip(
        "tensorboard.backend.event_processing.plugin_event_multiplexer"
    )
    three_rows(tmp_path)
    (events_file,) = (tmp_path / "tensorboard").iterdir()
    # as of a second ago: names of files tell the second only
    earlier = events_file.name.replace(events_file.name.split(".")[3], "1700000000")
    events_file.rename(events_file.with_name(earlier))
    watching = multiplexer.EventMultiplexer()
    watching.AddRunsFromDirectory(str(tmp_path / "tensorboard"))

    def points() -> list[tuple[int, float]]:
        watching.Reload()
        tensors = watching.Tensors(".", "loss")
        return [(one.step, float(tf.make_ndarray(one.tensor_proto))) for one in tensors]

    assert points() == [(10, 1.0), (20, 2.0), (30, 3.0)]
    write_rows(tmp_path, 10, (20, {"loss": 5.0}))
    assert points() == [(10, 1.0), (20, 5.0)]
