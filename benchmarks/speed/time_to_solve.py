"""Time to solve: whole runs of train.py, from the start of the process to its end."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed import stopwatch, systems
from benchmarks.speed.records import Solved
from benchmarks.speed.rounds import ROOT, call
from dqn_tf import __version__
from dqn_tf.envs import registry
from dqn_tf.support.errors import UserError

ENV = "CartPole-v1"
PARTS = (
    "import",
    "build",
    "compile",
    "train",
    "evaluate",
    "record",
    "checkpoint",
    "export",
    "plot",
)


def run(engine: str, seed: int, date: str, command: str, more: Sequence[str] = ()) -> Solved:
    """`train.py --env=CartPole-v1 --engine=ENGINE --seed=SEED`, and `more` flags, in a directory
    that is removed after it.

    Raises UserError if it fails.
    """
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    }
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
        clock, began = time.perf_counter(), time.time()
        status, _, log = call(
            [
                sys.executable,
                "-m",
                "benchmarks.speed.timed_train",
                str(place / "parts.json"),
                repr(began),
                *words,
            ],
            environment,
        )
        wall_seconds = time.perf_counter() - clock
        if status:
            last = (log.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(
                f"train.py --engine={engine} with seed {seed} ended with status {status}: {last}"
            )
        parts = json.loads((place / "parts.json").read_text(encoding="utf-8"))
        report = json.loads((place / "run" / "evaluation.json").read_text(encoding="utf-8"))
    versions = {"dqn_tf": __version__} | systems.versions(systems.OURS)
    own = systems.BY_KEY[engine]
    return Solved(
        ENV,
        engine,
        seed,
        report["env_steps"],
        round(wall_seconds, 3),
        *(round(parts[part], 3) if part in parts else None for part in PARTS),
        round(wall_seconds - sum(parts.values()), 3),
        report["last"]["mean"],
        report["last"]["episodes"],
        float(registry.make_env(ENV).spec.reward_threshold),
        systems.threads(own),
        ", ".join(
            [
                *(f"{name} {version}" for name, version in versions.items()),
                f"python {sys.version.split()[0]}",
            ]
        ),
        stopwatch.machine(),
        date,
        command,
    )
