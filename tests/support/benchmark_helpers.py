"""Rows as the benchmarks would record them, and their commands as a user would run them."""

import subprocess
import sys
from pathlib import Path

from benchmarks.scores import records as score_records
from benchmarks.scores import variants
from benchmarks.speed import records as speed_records
from benchmarks.speed.settings import ANCHOR
from command_server import complete

ROOT = Path(__file__).resolve().parents[2]
HOST = "dqn_tf host"
ORIGIN = {
    "versions": "dqn_tf 1",
    "machine": "2 cores, x86_64, Linux",
    "date": "2026-01-01 00:00:00",
}


def run_benchmark(family: str, directory: Path, *words: str) -> subprocess.CompletedProcess:
    """Run `python -m benchmarks.FAMILY` with its results and its page in `directory`."""
    places = [f"--results_dir={directory}", f"--page={directory / 'page.md'}"]
    return complete([*places, *words], ROOT, f"benchmarks.{family}")


def help_without(family: str, *packages: str) -> str:
    """Return the help page of a family; fails if that loads one of the packages."""
    program = (
        f"import sys\nsys.argv = ['{family}', '--help']\n"
        f"from benchmarks.{family} import __main__ as command\n"
        "from dqn_tf.support import command_line\n"
        "try:\n    command_line.run(command.main, command.parse)\n"
        "except SystemExit:\n    pass\n"
        f"assert not set({packages!r}) & set(sys.modules)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def score_row(**values) -> score_records.Row:
    """A run as `dqn` on CartPole-v1 would leave it, if `env` or `overrides` say no other."""
    config = variants.configure(
        values.pop("env", "CartPole-v1"),
        values.pop("variant", "dqn"),
        values.pop("seed", 0),
        values.pop("overrides", {}),
    )
    result = {
        "score": 400.0,
        "score_best": 450.0,
        "curve": [(2500, 300.0), (5000, 480.0)],
        "seconds": 10.0,
        "cpu_seconds": 8.0,
        "updates": 9,
    }
    return score_records.row(config, "dqn", result | values, 475.0)


def speed_row(**values) -> speed_records.Row:
    """A run of a thousand steps."""
    return speed_records.Row(
        **{
            "setting": "anchor",
            "value": None,
            "system": HOST,
            "round": 1,
            "env": "CartPole-v1",
            "num_envs": 1,
            "steps": 1000,
            "seconds": 0.5,
            "env_steps_per_second": 2000.0,
            "wall_seconds": 6.0,
            "import_rss_mib": 300.0,
            "peak_rss_mib": 400.0,
            "replay_bytes_per_transition": 44.0,
            "tenths": "",
            "work": ANCHOR.work(),
            "threads": "TensorFlow's default",
            "command": "python -m benchmarks.speed --setting=anchor",
        }
        | ORIGIN
        | values
    )


def solve_row(**values) -> speed_records.Solved:
    """A whole run of train.py."""
    parts = dict.fromkeys((*speed_records.PARTS, "other"), 1.0) | {"wall": 20.0, "compile": 2.0}
    return speed_records.Solved(
        **{
            "env": "CartPole-v1",
            "engine": "host",
            "seed": 0,
            "env_steps": 50_000,
            "score": 500.0,
            "episodes": 100,
            "threshold": 475.0,
            "threads": "",
            "command": "python -m benchmarks.speed --solve",
        }
        | ORIGIN
        | {f"{name}_seconds": value for name, value in parts.items()}
        | values
    )
