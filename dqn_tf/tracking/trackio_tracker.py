"""A run in trackio, in its SQLite files on this machine."""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dqn_tf.support.errors import UserError
from dqn_tf.support.files import require_directory
from dqn_tf.tracking.tracker import Identity, Row, Scalar, scalar

NOT_METRICS = ("step", "timestamp")


def require_uri(uri: str) -> None:
    """Raise UserError on a place that cannot be written to."""
    require_directory("tracking_uri", Path(uri))


class TrackioTracker:
    """One run of trackio.

    Rows go into its storage in one transaction: `trackio.log` hands them to a thread, and whoever
    is killed then has lost them.
    """

    def __init__(self, identity: Identity) -> None:
        # read when trackio is imported, so one process writes to one place
        os.environ["TRACKIO_DIR"] = str(Path(identity.uri).absolute())
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):  # nothing leaves this machine
            os.environ.pop(name, None)
        from trackio.sqlite_storage import SQLiteStorage

        self._storage = SQLiteStorage
        self._identity = identity
        self._settings: dict[str, Any] | None = None
        try:
            SQLiteStorage.validate_project_name(identity.project)
        except ValueError as error:
            raise UserError(f"--project={identity.project}: {error}") from error

    def sent(self) -> Counter[Scalar]:
        """Read all rows of the run."""
        scalars: Counter[Scalar] = Counter()
        for row in self._storage.get_logs(*self._run):
            for name, value in row.items():
                if name not in NOT_METRICS:
                    scalars[scalar(name, row["step"], float(value))] += 1
        return scalars

    def send(self, rows: Sequence[Row]) -> None:
        """Append the rows, and the settings if they are new."""
        self._storage.bulk_log(
            self._identity.project,
            self._identity.name,
            [dict(row.values) for row in rows],
            steps=[row.env_step for row in rows],
            timestamps=[datetime.fromtimestamp(row.time, timezone.utc).isoformat() for row in rows],
            config=self._settings,
            run_id=self._identity.key,
        )
        self._settings = None

    def send_settings(self, settings: Mapping[str, Any]) -> None:
        """Keep the configuration for the next rows, which it is written with."""
        self._settings = dict(settings)

    def send_files(self, paths: Mapping[str, Path]) -> None:
        """Write one artifact of all files; trackio keeps equal ones once."""
        import trackio

        artifact = trackio.Artifact(f"run-{self._identity.key}", "dqn_tf-run")
        for name, path in paths.items():
            if path.is_dir():
                artifact.add_dir(path, f"{name}/{path.name}")
            else:
                artifact.add_file(path, name)
        with contextlib.redirect_stdout(io.StringIO()):  # it tells of itself
            trackio.init(
                self._identity.project,
                self._identity.name,
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
            trackio.log_artifact(artifact)
            trackio.finish()

    def end(self, is_complete: bool) -> None:
        """Do nothing: trackio's runs have no status."""

    def close(self) -> None:
        """Do nothing: everything is in its files."""

    @property
    def _run(self) -> tuple[str, str, None, str]:
        return self._identity.project, self._identity.name, None, self._identity.key
