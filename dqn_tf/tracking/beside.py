"""Starts a follower beside a training, and says at the end what became of it.

Nothing that happens to the follower reaches the training: it is a process of its own, in a session
of its own, with a log of its own.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import dqn_tf
from dqn_tf.support.command_line import other_command
from dqn_tf.support.errors import UserError
from dqn_tf.tracking.destination import default_uri
from dqn_tf.tracking.flags import NICENESS
from dqn_tf.tracking.tracker import require_packages

# Loading a tracker takes seconds of a core, which a training beside it feels: one of this length
# hardly, and a shorter one has ended by then.
DELAY_SECONDS = 60
LOG = "tracking.log"  # in the run directory, or in the one above several seeds' runs


class FollowerBeside:
    """The process that follows a training, or why there is none."""

    def __init__(
        self, run: Path, to: str, uri: str | None, project: str | None, has_several: bool
    ) -> None:
        """Start it; what keeps it from starting is kept for `closing_line` and raises nothing.

        `run` is what `--resume` takes, with `has_several` a directory above the seeds' runs.
        """
        self._to = to
        chosen = [f"--project={project}"] if project else []
        self._words = [
            f"--run={run.absolute()}",
            f"--to={to}",
            f"--tracking_uri={uri or default_uri(run, to, has_several)}",
            *chosen,
            f"--niceness={NICENESS}",
            f"--delay_seconds={DELAY_SECONDS}",
        ]
        # what a user types for the same
        self._typed = [f"--run={run}", f"--to={to}"]
        self._typed += [f"--tracking_uri={uri}"] if uri else []
        self._typed += chosen
        self._log = run / LOG
        self._log_start = 0
        self._process: subprocess.Popen | None = None
        self.refusal = ""  # why there is no process
        try:
            require_packages(to)
            self._start()
        except UserError as error:
            self.refusal = str(error)
        except OSError as error:
            self.refusal = f"no process can be started beside the training: {error}"

    def closing_line(self, patience: float) -> str:
        """Return what was sent, once all of it is; after `patience` seconds, that it goes on."""
        if self._process is None:
            return self._failure(self.refusal)
        try:
            status = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return (
                f"Process {self._process.pid} is still sending to {self._to};"
                f" {self._log} will say what was sent."
            )
        if status < 0:
            return self._failure(f"its process was ended by signal {-status}")
        last = self._last_line() or f"exit status {status}, and nothing in {self._log}"
        return self._failure(last.removeprefix("error: ")) if status else last

    def _last_line(self) -> str:
        """Return the last line of the log; nothing if there is none, or no log any more."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._log_start)
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def _start(self) -> None:
        variables = dict(os.environ)
        package = Path(dqn_tf.__file__).parents[1]
        if package.name not in ("site-packages", "dist-packages"):  # a checkout
            earlier = filter(None, [os.environ.get("PYTHONPATH")])
            variables["PYTHONPATH"] = os.pathsep.join([str(package), *earlier])
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dqn_tf.tracking", *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables,
                start_new_session=True,  # Ctrl-C stops the training and not what sends it
            )

    def _failure(self, reason: str) -> str:
        return (
            f"Not all was sent to {self._to}: {reason.rstrip('.')}. The training is not touched by"
            f" this. Send the rest with: {other_command('tracking')} {shlex.join(self._typed)}"
        )
