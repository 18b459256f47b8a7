"""The metrics of a run: the name and unit of each, metrics.csv, and TensorBoard's events."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from dqn_tf.support import files

# name: unit. The columns of metrics.csv after env_step, and TensorBoard's tags.
LOGGED_METRICS = {
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
    ) -> None:
        """Open the files of a run that has reached `env_step`.

        Rows of later steps, which an interrupted run wrote after its last checkpoint, are dropped.
        The columns are env_step, LOGGED_METRICS, and `extra_names`, such as auxiliary losses. A
        resumed run keeps the extra columns that it had.
        """
        rows = read(csv_path) if env_step else []
        earlier_names = list(rows[0]) if rows else []
        names = dict.fromkeys(["env_step", *LOGGED_METRICS, *earlier_names, *extra_names])
        with files.replaced(csv_path) as aside:
            # stays open after it is renamed
            self._file = aside.open("w", newline="", encoding="utf-8")
            self._csv = csv.DictWriter(self._file, list(names))
            self._csv.writeheader()
            self._csv.writerows(row for row in rows if int(row["env_step"]) <= env_step)
            self._file.flush()
        self._events = tf.summary.create_file_writer(str(tensorboard_dir))

    def write(self, env_step: int, **values: float) -> None:
        """Write one row. Raises ValueError on a name that is no column."""
        texts = {name: f"{value:.8g}" for name, value in values.items()}
        self._csv.writerow({"env_step": env_step} | texts)
        with self._events.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=env_step)

    def flush(self) -> None:
        """Bring what was written to disk."""
        self._file.flush()
        self._events.flush()

    def close(self) -> None:
        """Flush and close both files."""
        self._file.close()
        self._events.close()


def read(csv_path: Path) -> list[dict[str, str]]:
    """Read the whole rows of a metrics.csv; a last line torn by a crash is left out."""
    if not csv_path.exists():
        return []
    text = csv_path.read_text(encoding="utf-8", errors="replace")
    whole_lines = text[: text.rfind("\n") + 1]
    return [row for row in csv.DictReader(io.StringIO(whole_lines)) if _is_whole(row)]


def _is_whole(row: dict[str, str]) -> bool:
    """Tell whether a row has exactly one text for each column, and a step."""
    return None not in row and None not in row.values() and row["env_step"].isdigit()
