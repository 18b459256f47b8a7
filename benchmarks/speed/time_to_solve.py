"""Time to solve: whole runs of train.py, from the start of the process to its end."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import machine, processes
from benchmarks.speed import systems
from benchmarks.speed.records import PARTS, Solved
from dqn_tf import __version__
from dqn_tf.envs import registry
from dqn_tf.support.errors import UserError

ENV = "CartPole-v1"


def run(engine: str, seed: int, date: str, command: str, more: Sequence[str] = ()) -> Solved:
    """Run `train.py --env=CartPole-v1 --engine=ENGINE --seed=SEED` with `more` flags.

    The directory of the run is removed after it. Raises UserError if it fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        words = [
            f"--env={ENV}",
            f"--engine={engine}",
            f"--seed={seed}",
            f"--run_dir={place / 'run'}",
            f"--export_dir={place / 'export'}",
            *more,
        ]
        start = time.perf_counter()
        process = subprocess.run(
            [sys.executable, str(processes.ROOT / "train.py"), *words],
            env=processes.environment({}),
            capture_output=True,
            text=True,
            check=False,
        )
        wall_seconds = time.perf_counter() - start
        if process.returncode:
            raise UserError(
                f"train.py --engine={engine} with seed {seed} ended with status"
                f" {process.returncode}: {processes.last_line(process.stderr)}"
            )
        report = json.loads((place / "run" / "evaluation.json").read_text(encoding="utf-8"))
    seconds = report["timings"]
    seconds["train"] = seconds.pop("collect") + seconds.pop("learn")
    other_seconds = wall_seconds - sum(seconds.values())
    versions = {"dqn_tf": __version__} | machine.versions(systems.OURS)
    versions["python"] = sys.version.split()[0]
    spec = registry.make_env(ENV).spec
    assert spec is not None and spec.reward_threshold is not None
    columns: dict[str, Any] = {f"{part}_seconds": seconds[part] for part in PARTS}
    return Solved(
        env=ENV,
        engine=engine,
        seed=seed,
        env_steps=report["env_steps"],
        wall_seconds=round(wall_seconds, 3),
        **columns,
        other_seconds=round(other_seconds, 3),
        score=report["last"]["mean"],
        episodes=report["last"]["episodes"],
        threshold=float(spec.reward_threshold),
        threads=systems.threads(systems.BY_KEY[engine]),
        versions=machine.show_versions(versions),
        machine=machine.describe(),
        date=date,
        command=command,
    )
