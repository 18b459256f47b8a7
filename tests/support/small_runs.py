"""A run of train.py that takes seconds, and what can become of it."""

import atexit
import functools
import json
import shutil
import signal
import tempfile
from pathlib import Path

from command_server import run

# It still warms up, learns, evaluates, saves and exports.
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


def arguments(*words: str, **flags) -> list[str]:
    """`--name=value` for each flag, underlined names as they are; None leaves one out."""
    return [*words, *(f"--{name}={value}" for name, value in flags.items() if value is not None)]


def small_run(directory: Path, **flags) -> list[str]:
    """Arguments of a small run in `directory`/run that exports to `directory`/export."""
    places = {"run_dir": directory / "run", "export_dir": directory / "export"}
    return arguments(**places | SMALL | flags)


def resume_run(directory: Path, *words: str, **flags) -> list[str]:
    """Arguments that resume `directory`/run."""
    places = {"resume": directory / "run", "export_dir": directory / "export"}
    return arguments(*words, **places | flags)


def signal_at(
    moment: str, count: int = 1, number: int = signal.SIGTERM, again: int = 0
) -> dict[str, str]:
    """The environment variable that makes a command signal itself, see faulty.py."""
    values = {"moment": moment, "count": count, "signal": int(number), "again": again}
    return {"FAULTY": json.dumps(values)}


def report(directory: Path) -> dict:
    """The evaluation.json of the run in `directory`/run."""
    return json.loads((directory / "run" / "evaluation.json").read_text(encoding="utf-8"))


@functools.cache
def finished_run(xla: bool = False) -> Path:
    """A directory with a small run that nothing happened to. To look at only.

    Its weights are, but for rounding, the same with `xla` and without.
    """
    directory = _temporary()
    status, text = run(small_run(directory), directory, xla=xla)
    assert status == 0, text
    return directory


@functools.cache
def _stopped_run() -> Path:
    directory = _temporary()
    status, text = run(small_run(directory), directory, **signal_at("training", 250))
    assert status == 143, text
    return directory


def stopped_run(directory: Path) -> Path:
    """Copies a small run, stopped by SIGTERM at step 256 of 400 with checkpoints of steps 200 and
    256, into `directory`/run.
    """
    shutil.copytree(_stopped_run() / "run", directory / "run")
    return directory / "run"


def _temporary() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="dqn_tf-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
