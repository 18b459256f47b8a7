"""What a run records: every metric's name and unit, once; a CSV and TensorBoard events."""

import csv
import io
from pathlib import Path

import tensorflow as tf

from dqn_tf.support import files

METRICS = {  # name: unit. The columns of metrics.csv after env_step, and TensorBoard's tags.
    "episode": "number of the finished episode",
    "episode_return": "sum of rewards of one training episode, exploration included",
    "episode_length": "environment steps of one training episode",
    "epsilon": "probability of a random action",
    "updates": "gradient steps so far",
    "loss": "mean loss of the updates since the last row",
    "q_selected": "mean Q-value of the replayed actions",
    "gradient_norm": "largest global gradient norm, before clipping",
    "env_steps_per_second": "environment steps per second of wall time, learning included",
    "evaluation_return": "mean greedy return on a separate environment",
}
FIELDS = ("env_step", *METRICS)


class MetricsWriter:
    """Appends rows to metrics.csv and to TensorBoard. A row holds the metrics of one event; the
    others stay blank.

    Opening it at `env_step` > 0 first drops what an interrupted run wrote after its last
    checkpoint.
    """

    def __init__(self, csv_path: Path, tensorboard_dir: Path, env_step: int) -> None:
        keep = (
            [row for row in read(csv_path) if int(row["env_step"]) <= env_step] if env_step else []
        )
        with files.replaced(csv_path) as aside:
            # stays open after it is renamed
            self._file = aside.open("w", newline="", encoding="utf-8")
            self._csv = csv.DictWriter(self._file, FIELDS)
            self._csv.writeheader()
            self._csv.writerows(keep)
            self._file.flush()
        self._events = tf.summary.create_file_writer(str(tensorboard_dir))

    def write(self, env_step: int, **values: float) -> None:
        """One row, at one environment step."""
        self._csv.writerow(
            {"env_step": env_step} | {name: f"{value:.8g}" for name, value in values.items()}
        )
        with self._events.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=env_step)

    def flush(self) -> None:
        """Brings what was written to disk."""
        self._file.flush()
        self._events.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self._file.close()
        self._events.close()


def read(csv_path: Path) -> list[dict[str, str]]:
    """The whole rows of a metrics.csv; a torn last line, as a crash may leave it, is left out."""
    if not csv_path.exists():
        return []
    text = csv_path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    return [
        row
        for row in csv.DictReader(io.StringIO(whole))
        if None not in row and None not in row.values() and row["env_step"].isdigit()
    ]
