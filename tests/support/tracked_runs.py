"""Run directories as a run leaves them, for what follows runs; made without TensorFlow."""

import csv
import fcntl
import json
import os
import platform
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from dqn_tf.config import presets
from dqn_tf.run_files.metrics_file import LOGGED_METRICS, TEST_RETURN
from dqn_tf.tracking.tracker import Scalar, scalar

SUMMARY = {"episodes": 5, "mean": 12.5, "mean_ci95": [10.0, 15.0], "iqm": 12.0}
COLUMNS = ["env_step", *LOGGED_METRICS, "cql"]


def make_run(path: Path, rows: int = 0, **settings) -> Path:
    """A run that has begun and written some rows."""
    path.mkdir(parents=True)
    write_config(path, **settings)
    with (path / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, COLUMNS).writeheader()
    append_rows(path, range(1, rows + 1))
    return path


def write_config(path: Path, **settings) -> None:
    config = presets.configure("CartPole-v1", {"seed": 1} | settings)
    record = {"config": config.to_dict(), "run_dir": str(path)}
    (path / "config.json").write_text(json.dumps(record), encoding="utf-8")


def append_rows(path: Path, numbers, loss: float = 0.0) -> None:
    """Appends, for each number, two episodes that ended at the same step, and a log row."""
    with (path / "metrics.csv").open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        for number in numbers:
            step = 10 * number
            for _ in range(2):  # equal in everything but the episode's number
                writer.writerow(
                    {"env_step": step, "episode_return": 5, "episode_length": 5, "cql": 1e-7}
                )
            values = {"loss": f"{number / 3 + loss:.8g}", "epsilon": 0.5, "updates": number}
            writer.writerow({"env_step": step} | values)


def finish_run(path: Path, env_steps: int) -> None:
    """Writes what a run leaves at its end."""
    export = path / "saved_model" / "3"
    (export / "variables").mkdir(parents=True, exist_ok=True)
    (export / "saved_model.pb").write_bytes(b"graph")
    (export / "variables" / "variables.index").write_bytes(b"index")
    (path / "learning_curve.png").write_bytes(b"picture")
    report = {
        "env": "CartPole-v1",
        "seed": 1,
        "env_steps": env_steps,
        "updates": 7,
        "weights_sha256": "abc",
        "last": SUMMARY,
        "best": {"weights_sha256": "abc", "test": SUMMARY},
        "score": SUMMARY,
        "export": str(export),
        "seconds": 1.5,
    }
    (path / "evaluation.json").write_text(json.dumps(report), encoding="utf-8")


def scalars_of(path: Path) -> Counter[Scalar]:
    """Every scalar of metrics.csv, and the test's of evaluation.json, read by the csv module."""
    found: Counter[Scalar] = Counter()
    with (path / "metrics.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("env_step"))
            for name, text in row.items():
                if text:
                    found[scalar(name, step, float(text))] += 1
    if (path / "evaluation.json").exists():
        report = json.loads((path / "evaluation.json").read_text(encoding="utf-8"))
        found[scalar(TEST_RETURN, report["env_steps"], report["score"]["mean"])] += 1
    return found


@contextmanager
def training(run: Path):
    """Holds the run's lock, as the process does that trains."""
    with (run / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} on {platform.node()}")
        lock.flush()
        yield
