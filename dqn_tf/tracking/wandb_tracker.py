"""A run in Weights & Biases, written offline: `wandb sync` sends what lies there.

Each follower writes a part of its own below <place>/wandb, with the scalars that no earlier part
has; all parts have the run's id.
"""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dqn_tf.support.errors import UserError
from dqn_tf.support.files import require_directory
from dqn_tf.tracking import wandb_files
from dqn_tf.tracking.tracker import Identity, Row, Scalar, scalar

STEP = "env_step"
OWN = ("_step", "_runtime", "_timestamp", "_wandb")  # names of W&B's
PATIENCE = 60  # seconds
ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


def require_uri(uri: str) -> None:
    """Raise UserError on a place that cannot be written to."""
    require_directory("tracking_uri", Path(uri))


class WandbTracker:
    """One run of Weights & Biases; nothing is written before there is something to write."""

    def __init__(self, identity: Identity) -> None:
        # Of whoever started this process and uses W&B: its service would keep the run of a follower
        # that was killed.
        os.environ.pop("WANDB_SERVICE", None)
        self._identity = identity
        self._directory = Path(identity.uri).absolute()
        self._run: Any = None
        self._settings: dict[str, Any] = {}
        self._is_complete = True

    def sent(self) -> Counter[Scalar]:
        """Read all parts of the run in the project, of which none is open then."""
        self.close()
        scalars: Counter[Scalar] = Counter()
        key = self._identity.key
        for path in self._directory.glob(f"wandb/offline-run-*-{key}*/run-{key}.wandb"):
            if wandb_files.project(path) not in ("", self._identity.project):
                continue
            for row in wandb_files.history(path):
                if STEP not in row:
                    continue
                step = int(row[STEP])
                for name, value in row.items():
                    if name != STEP and name not in OWN:
                        scalars[scalar(name, step, value)] += 1
        return scalars

    def send(self, rows: Sequence[Row]) -> None:
        """Log the rows; W&B's own step counts them, `env_step` is what they are drawn over."""
        run = self._open()
        for row in rows:
            run.log({STEP: row.env_step, **row.values, "_timestamp": row.time})

    def send_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration, at once if the run is open and else when it is opened."""
        self._settings = dict(settings)
        if self._run is not None:
            self._run.config.update(self._settings, allow_val_change=True)

    def send_files(self, paths: Mapping[str, Path]) -> None:
        """Write one artifact of all files; W&B keeps equal ones once."""
        import wandb

        artifact = wandb.Artifact(f"run-{self._identity.key}", type="dqn_tf-run")
        for name, path in paths.items():
            if path.is_dir():
                artifact.add_dir(str(path), f"{name}/{path.name}")
            else:
                artifact.add_file(str(path), name)
        self._open().log_artifact(artifact)

    def end(self, is_complete: bool) -> None:
        """Keep how the training ended, for `close`."""
        self._is_complete = is_complete

    def close(self) -> None:
        """Write the part to its end. After an error it ends where it stands."""
        run, self._run = self._run, None
        if run is not None:
            with _ending_after_errors():
                run.finish(exit_code=0 if self._is_complete else 1)
                _wait_until_written(Path(run.settings.sync_file))

    def _open(self) -> Any:
        """Begin a part of the run."""
        if self._run is not None:
            return self._run
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import wandb

        self._directory.mkdir(parents=True, exist_ok=True)
        with _ending_after_errors():
            self._run = self._begin(wandb)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)
        return self._run

    def _begin(self, wandb: Any) -> Any:
        return wandb.init(
            mode="offline",
            dir=self._directory,
            project=self._identity.project,
            id=self._identity.key,
            name=self._identity.name,
            resume="allow",
            config=self._settings,
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )


def _wait_until_written(path: Path) -> None:
    """Wait for W&B's own process, which goes on writing when `finish` has returned."""
    deadline = time.monotonic() + PATIENCE
    while not wandb_files.has_ended(path):
        if time.monotonic() > deadline:
            raise UserError(f"W&B has not written {path} to its end within {PATIENCE} s.")
        time.sleep(0.05)


@contextlib.contextmanager
def _ending_after_errors() -> Iterator[None]:
    """End W&B's own process after an error: it would keep the run's id from the next try."""
    try:
        yield
    except Exception:
        import wandb

        wandb.teardown()
        raise
