"""Writes the metrics of a run: metrics.csv and TensorBoard's events."""

import contextlib
import csv
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from dqn_tf.run_files import hparams
from dqn_tf.run_files.event_files import drop_later_events
from dqn_tf.run_files.metrics_file import LOGGED_METRICS, TEST_RETURN, read_table
from dqn_tf.support import files


class MetricsWriter:
    """Appends rows to metrics.csv and to TensorBoard.

    A row holds the metrics of one event; the other columns stay blank.
    """

    def __init__(
        self,
        csv_path: Path,
        tensorboard_dir: Path,
        env_step: int,
        extra_names: Sequence[str] = (),
        say: Callable[[str], Any] = print,
    ) -> None:
        """Open the files of a run that has reached `env_step`.

        Rows and events of later steps, which an interrupted run wrote after its last checkpoint,
        are dropped. The columns are env_step, LOGGED_METRICS, and `extra_names`, such as auxiliary
        losses. A resumed run keeps the extra columns that it had. If metrics.csv holds what is no
        row, it is kept beside the new one, and `say` is told. Raises OSError.
        """
        rows = _kept_rows(csv_path, say) if env_step else []
        earlier_names = list(rows[0]) if rows else []
        names = dict.fromkeys(["env_step", *LOGGED_METRICS, *earlier_names, *extra_names])
        with files.replaced(csv_path) as aside:
            # stays open after it is renamed
            self._file = aside.open("w", newline="", encoding="utf-8")
            self._csv = csv.DictWriter(self._file, list(names))
            self._csv.writeheader()
            self._csv.writerows(row for row in rows if int(row["env_step"]) <= env_step)
            self._file.flush()
        drop_later_events(tensorboard_dir, env_step)
        with _os_errors():
            if env_step and tensorboard_dir.is_dir():
                _restart_events(tensorboard_dir, env_step)
            self._events = EventWriter(tensorboard_dir)

    def write(self, env_step: int, **values: float) -> None:
        """Write one row. Raises OSError, and ValueError on a name that is no column."""
        texts = {name: f"{value:.8g}" for name, value in values.items()}
        self._csv.writerow({"env_step": env_step} | texts)
        with _os_errors():
            self._events.write(env_step, values)

    def end(self, env_step: int, test_return: float) -> None:
        """Tell TensorBoard that the run has ended well, and its test's mean return.

        A run that is resumed has not ended: the end is an event of the step after the last, and
        goes with those that are dropped. Raises OSError.
        """
        with _os_errors():
            self._events.write(env_step, {TEST_RETURN: test_return})
            self._events.write_summary(env_step + 1, hparams.end_summary())
            self._events.flush()

    def flush(self) -> None:
        """Bring what was written to disk. Raises OSError."""
        self._file.flush()
        with _os_errors():
            self._events.flush()

    def close(self) -> None:
        """Close both files; what cannot be brought to disk any more is lost."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError), _os_errors():
            self._events.close()


class EventWriter:
    """Appends events to a new file in TensorBoard's directory.

    `tf.summary.scalar` takes 300 µs for each number, and this 2: of short episodes there are
    thousands a minute. The file is there with the first event, and its events are those that
    `tf.summary` writes.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}.{time.monotonic_ns()}.v2"
        self._file = tf.io.TFRecordWriter(str(directory / name))
        version = tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2")
        self._file.write(version.SerializeToString())
        self._scalars = tf.compat.v1.SummaryMetadata()
        self._scalars.plugin_data.plugin_name = "scalars"

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write one event with these numbers by name."""
        event = tf.compat.v1.Event(wall_time=time.time(), step=step)
        for name, value in values.items():
            entry = event.summary.value.add(tag=name, metadata=self._scalars)
            entry.tensor.dtype = tf.float32.as_datatype_enum
            entry.tensor.tensor_shape.SetInParent()  # of a single number
            entry.tensor.float_val.append(value)
        self._file.write(event.SerializeToString())

    def write_summary(self, step: int, summary: tf.compat.v1.Summary) -> None:
        """Write one event with this summary."""
        event = tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary)
        self._file.write(event.SerializeToString())

    def flush(self) -> None:
        """Bring what was written to disk."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _restart_events(directory: Path, env_step: int) -> None:
    """Tell a TensorBoard that has been reading all the while to forget what came after `env_step`.

    It reads files in the order of their names, which begin with a time. It takes the first start
    that it sees for the run's own, so there are two.
    """
    now = time.time()
    start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    path = directory / f"events.out.tfevents.{int(now)}.-resumed-at-{env_step}"
    with tf.io.TFRecordWriter(str(path)) as file:
        version = tf.compat.v1.Event(wall_time=now, file_version="brain.Event:2")
        restart = tf.compat.v1.Event(wall_time=now, step=env_step + 1, session_log=start)
        for event in (version, restart, restart):
            file.write(event.SerializeToString())


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Turn what TensorFlow raises on a full disk into OSError."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(0, files.reason_of(error.message)) from error


def _kept_rows(csv_path: Path, say: Callable[[str], Any]) -> list[dict[str, str]]:
    """Read the rows of a resumed run's metrics.csv; keep a copy of one that holds anything else."""
    if not csv_path.exists():
        return []
    rows, is_whole = read_table(csv_path)
    if not is_whole:
        number = 1
        while (copy := csv_path.with_name(f"metrics.damaged-{number}.csv")).exists():
            number += 1
        shutil.copyfile(csv_path, copy)
        say(
            f"warning: {csv_path} holds lines that are not metrics of dqn_tf. It goes on with the"
            f" {len(rows):,} rows that are; what was there is kept in {copy}."
        )
    return rows
