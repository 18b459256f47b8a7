"""Runs train.py as a command, without five seconds of importing TensorFlow each time.

Run as a script, this file is a server: it imports TensorFlow, executes nothing in it, and forks
once per request; the child becomes the command, with its own working directory, output and
environment variables. Forking is safe as long as no TensorFlow operation has run before. Imported,
it is the client: `start` and `run`.
"""

import atexit
import functools
import json
import os
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
PATIENCE = 120  # seconds; every command here takes a few

# A run of a few seconds that still warms up, learns, evaluates, saves and exports.
SMALL = {
    "env": "faulty:Corridor-v0",
    "seed": 3,
    "total_steps": 400,
    "warmup_env_steps": 64,
    "batch_size": 16,
    "hidden_units": 8,
    "updates_per_block": 4,
    "epsilon_decay_env_steps": 200,
    "replay_capacity": 300,
    "target_update_period_env_steps": 50,
    "evaluation_period_env_steps": 150,
    "evaluation_episodes": 2,
    "test_episodes": 3,
    "checkpoint_period_env_steps": 100,
    "log_period_env_steps": 50,
}


class Command:
    """A running or finished train.py."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid, self._output = pid, output

    @property
    def text(self) -> str:
        """All that it has written so far, to stdout and stderr."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> int:
        """Its exit status; minus the signal's number if one killed it."""
        status = Path(f"{self._output}.status")
        until = time.monotonic() + PATIENCE
        while not status.exists():
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"no end after {PATIENCE} s:\n{self.text}")
            time.sleep(0.01)
        return int(status.read_text(encoding="ascii"))

    def wait_for(self, *, text: str = "", path: Path | None = None) -> None:
        """Returns once it has written that text or made that path; fails if it ends before."""
        until = time.monotonic() + PATIENCE
        while not ((text and text in self.text) or (path is not None and path.exists())):
            assert not Path(f"{self._output}.status").exists(), (
                f"ended before {text or path}:\n{self.text}"
            )
            assert time.monotonic() < until, f"no {text or path}:\n{self.text}"
            time.sleep(0.005)

    def kill(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)


def arguments(*words: str, **flags) -> list[str]:
    """`--name=value` for each flag, underlined names as they are; None leaves one out."""
    return [*words, *(f"--{name}={value}" for name, value in flags.items() if value is not None)]


def small(directory: Path, **flags) -> list[str]:
    """Arguments of a small run in `directory`/run that exports to `directory`/export."""
    return arguments(
        **{"run_dir": directory / "run", "export_dir": directory / "export"} | SMALL | flags
    )


def start(words: list[str], cwd: Path, **environ: str) -> Command:
    """Starts `train.py words` in directory `cwd`.

    `environ` is added to its environment variables; NOT_INSTALLED=a,b makes it believe that modules
    a and b are not.
    """
    output = Path(cwd) / f".output-{time.monotonic_ns()}"
    output.touch()
    server = _server()
    server.stdin.write(
        json.dumps(
            {
                "words": [str(word) for word in words],
                "cwd": str(cwd),
                "output": str(output),
                "environ": environ,
            }
        )
        + "\n"
    )
    server.stdin.flush()
    return Command(int(server.stdout.readline()), output)


def run(words: list[str], cwd: Path, **environ: str) -> tuple[int, str]:
    """Runs `train.py words` to its end: exit status, and all that it wrote."""
    command = start(words, cwd, **environ)
    return command.wait(), command.text


def refused(words: list[str], cwd: Path, **environ: str) -> str:
    """The sentence of a command that must end with status 1 and that one line of error, without a
    traceback.
    """
    status, text = run(words, cwd, **environ)
    assert status == 1, text
    assert "Traceback" not in text, text
    *_, last = text.strip().splitlines()
    assert last.startswith("error: ") and text.count("error: ") == 1, text
    return last


def interpreter(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess:
    """A Python interpreter of its own, for what a forked child cannot show."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=_environment() | environ,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


def report(directory: Path) -> dict:
    """The evaluation.json of the run in `directory`/run."""
    return json.loads((directory / "run" / "evaluation.json").read_text(encoding="utf-8"))


def hit(
    moment: str, count: int = 1, number: int = signal.SIGTERM, again: int = 0
) -> dict[str, str]:
    """The environment variable that makes a command signal itself, see tests/faulty.py."""
    return {
        "FAULTY": json.dumps(
            {"moment": moment, "count": count, "signal": int(number), "again": again}
        )
    }


@functools.cache
def undisturbed() -> Path:
    """A directory with a small run that nothing happened to. To look at only."""
    directory = _temporary()
    status, text = run(small(directory), directory)
    assert status == 0, text
    return directory


@functools.cache
def _stopped() -> Path:
    directory = _temporary()
    status, text = run(small(directory), directory, **hit("training", 250))
    assert status == 143, text
    return directory


def stopped(directory: Path) -> Path:
    """Copies a small run, stopped by SIGTERM at step 256 of 400 with checkpoints of steps 200 and
    256, into `directory`/run.
    """
    shutil.copytree(_stopped() / "run", directory / "run")
    return directory / "run"


def resumed(directory: Path, *words: str, **flags) -> list[str]:
    """Arguments that resume `directory`/run."""
    return arguments(
        *words, **{"resume": directory / "run", "export_dir": directory / "export"} | flags
    )


def _temporary() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="dqn_tf-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), str(SUPPORT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


_running: list[subprocess.Popen] = []


def _server() -> subprocess.Popen:
    if not _running:
        _running.append(
            subprocess.Popen(
                [sys.executable, __file__],
                env=_environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        atexit.register(_running[0].terminate)
    return _running[0]


def _serve() -> None:
    from dqn_tf.support import tensorflow_loading

    tensorflow_loading.load_tensorflow()
    from dqn_tf.training import trainer  # noqa: F401  everything that a run imports

    pending = bytearray()
    children: dict[int, tuple[int, str]] = {}
    while True:
        ready, _, _ = select.select([0, *children], [], [])
        for descriptor in set(ready) - {0}:
            pid, output = children.pop(descriptor)
            os.close(descriptor)
            aside = Path(f"{output}.status.tmp")
            aside.write_text(
                str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), encoding="ascii"
            )
            aside.rename(f"{output}.status")
        if 0 not in ready:
            continue
        if not (received := os.read(0, 1 << 16)):
            return
        pending += received
        while b"\n" in pending:
            line, _, rest = bytes(pending).partition(b"\n")
            pending = bytearray(rest)
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                os._exit(_become(request))
            children[os.pidfd_open(pid)] = pid, request["output"]
            os.write(1, f"{pid}\n".encode())


def _become(request: dict) -> int:
    """The command itself, in the forked child; returns its exit status."""
    with (
        open(request["output"], "a", encoding="utf-8") as file,
        open(os.devnull, encoding="ascii") as nothing,
    ):
        for descriptor, target in ((nothing.fileno(), 0), (file.fileno(), 1), (file.fileno(), 2)):
            os.dup2(descriptor, target)
    os.environ.update(request["environ"])
    for module in filter(None, os.environ.get("NOT_INSTALLED", "").split(",")):
        sys.modules[module] = None
    os.chdir(request["cwd"])
    sys.argv = [str(ROOT / "train.py"), *request["words"]]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    _serve()
