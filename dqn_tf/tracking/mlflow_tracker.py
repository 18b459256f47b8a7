"""A run in MLflow, by its client: a SQLite file, or a server. `mlflow-skinny` is enough."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dqn_tf.config.notation import show
from dqn_tf.support.errors import UserError
from dqn_tf.support.files import require_file
from dqn_tf.tracking.destination import SQLITE
from dqn_tf.tracking.tracker import Identity, Row, Scalar, scalar

KEY_TAG = "dqn_tf.key"
MOST_METRICS, MOST_PARAMETERS, MOST_CHARACTERS = 1_000, 100, 6_000  # of one request
LARGEST = 1.7976931348623157e308  # what MLflow makes of infinity
# A server that does not answer is said to be so within a minute, not within an hour.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def require_uri(uri: str) -> None:
    """Raise UserError on a place that MLflow cannot write to."""
    if uri.startswith(SQLITE):
        require_file("tracking_uri", Path(uri.removeprefix(SQLITE)))
    elif "://" not in uri and uri != "databricks":
        raise UserError(
            f"--tracking_uri={uri}: MLflow keeps runs in a database or on a server, such as"
            f" {SQLITE}{uri}/mlflow.db or http://127.0.0.1:5000."
        )


class MlflowTracker:
    """One run of MLflow, known by a tag."""

    def __init__(self, identity: Identity) -> None:
        """Find the run, or make it."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(identity.uri)
        self._repeats: Counter[Scalar] = Counter()  # of each scalar, how many were sent
        experiment = self._experiment(identity)
        self._end: float | None = None  # the time of the last row that was sent
        self._is_open = False  # for what this process sends
        self.run_id = self._find(experiment, identity.key)
        if not self.run_id:
            run = self._client.create_run(
                experiment,
                start_time=_milliseconds(identity.start),
                tags={KEY_TAG: identity.key},
                run_name=identity.name,
            )
            self.run_id = run.info.run_id

    def sent(self) -> Counter[Scalar]:
        """Read the history of every metric."""
        history: Counter[Scalar] = Counter()
        names = self._client.get_run(self.run_id).data.metrics
        for name in names:
            for metric in self._client.get_metric_history(self.run_id, name):
                value = metric.value
                if abs(value) >= LARGEST:
                    value = float("inf") if value > 0 else float("-inf")
                history[scalar(name, metric.step, value)] += 1
        self._repeats = history.copy()
        return history

    def send(self, rows: Sequence[Row]) -> None:
        """Append the rows, as many in a request as MLflow takes."""
        from mlflow.entities import Metric

        self._go_on()
        self._end = max(self._end or 0.0, *(row.time for row in rows))
        # MLflow keeps one of two equal ones: the second of two episodes of one step that are equal
        # in everything is a millisecond later
        metrics = []
        for row in rows:
            for name, value in row.values.items():
                key = scalar(name, row.env_step, value)
                time = int(row.time * 1000) + self._repeats[key]
                self._repeats[key] += 1
                metrics.append(Metric(name, value, time, row.env_step))
        for part in _parts(metrics, MOST_METRICS):
            self._client.log_batch(self.run_id, metrics=part)

    def send_settings(self, settings: Mapping[str, Any]) -> None:
        """Write parameters; one that a resumed run has changed becomes a tag beside it.

        MLflow refuses to change a parameter.
        """
        from mlflow.entities import Param, RunTag

        before = self._client.get_run(self.run_id).data.params
        parameters = []
        changed = []
        for name, value in settings.items():
            text = show(tuple(value) if isinstance(value, list) else value)[:MOST_CHARACTERS]
            if name not in before:
                parameters.append(Param(name, text))
            elif before[name] != text:
                changed.append(RunTag(f"resumed.{name}", text))
        for part in _parts(parameters, MOST_PARAMETERS):
            self._client.log_batch(self.run_id, params=part)
        self._client.log_batch(self.run_id, tags=changed)

    def send_files(self, paths: Mapping[str, Path]) -> None:
        """Write the artifacts; those of the same name are replaced."""
        for name, path in paths.items():
            if path.is_dir():
                self._client.log_artifacts(self.run_id, str(path), f"{name}/{path.name}")
            else:
                self._client.log_artifact(self.run_id, str(path))

    def end(self, is_complete: bool) -> None:
        """Set the run's status; one that stopped early may be resumed."""
        status = "FINISHED" if is_complete else "KILLED"
        if self._client.get_run(self.run_id).info.status != status:
            end = _milliseconds(self._end)
            self._client.set_terminated(self.run_id, status, end_time=end)

    def close(self) -> None:
        """Do nothing: every request has been answered."""

    def _go_on(self) -> None:
        """Open the run again, if it had ended before what is sent now."""
        if not self._is_open:
            self._client.update_run(self.run_id, status="RUNNING")
            self._is_open = True

    def _experiment(self, identity: Identity) -> str:
        """Return the id of the project's experiment; make it if there is none."""
        from mlflow.exceptions import MlflowException

        experiment = self._client.get_experiment_by_name(identity.project)
        if experiment is not None:
            return experiment.experiment_id
        place = None
        if identity.uri.startswith(SQLITE):  # its artifacts would go to the working directory
            database = Path(identity.uri.removeprefix(SQLITE)).absolute()
            place = (database.parent / "mlflow-artifacts" / identity.project).as_uri()
        try:
            return self._client.create_experiment(identity.project, artifact_location=place)
        except MlflowException:
            found = self._client.get_experiment_by_name(identity.project)
            if found is None:
                raise
            return found.experiment_id  # another run's follower was a moment earlier

    def _find(self, experiment: str, key: str) -> str:
        found = self._client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'")
        return found[0].info.run_id if found else ""


def _parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    rest = iter(values)
    while part := list(islice(rest, most)):
        yield part


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
