"""Dialogues with an agent that was exported before: over REST and by evaluate.py."""

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from benchmarks.common import machine, records
from benchmarks.common.tables import markdown
from benchmarks.dialogues.customer import converse, pester
from benchmarks.dialogues.programs import run_program
from benchmarks.serving.server import Server
from dqn_tf.evaluation.find_export import find_export
from dqn_tf.support.errors import UserError

ENV = "dqn_tf/Helpdesk-v0"
BEGIN, END = "<!-- agents served, generated -->", "<!-- end of agents served -->"
EPISODES = 1_000
ODD_ROUNDS = 20
MEBIBYTE = 2**20


class Row(NamedTuple):
    """One export, served."""

    date: str
    network: str
    language_model: str  # empty for none
    language_layers: int
    stored_as: str  # of its matrices
    mebibytes: float
    expected: float  # evaluate.py's return
    served: float  # over REST
    equal: int  # dialogues whose return is exactly evaluate.py's
    episodes: int
    turns: int
    p50_ms: float
    p99_ms: float
    first_ms: float  # the mean of the first hundred turns, in which most texts are new
    odd_p99_ms: float
    machine: str
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str


def measure(model: str, work: Path) -> Row:
    """Hold evaluate.py's dialogues over REST, and compare. Raises UserError."""
    version = find_export(model)
    config = version.manifest.get("config")
    if not isinstance(config, dict) or config.get("env") != ENV:
        raise UserError(f"--model={model} is no agent for {ENV} that dqn_tf has exported.")
    report = work / "report.json"
    run_program(
        "evaluate.py", f"--model={version.path}", f"--episodes={EPISODES}", f"--json={report}"
    )
    expected = json.loads(report.read_text(encoding="utf-8"))
    env = gym.make(ENV, **config["env_kwargs"])
    base = work / "base"
    base.mkdir()
    (base / "1").symlink_to(version.path.resolve())
    with Server(base, "off", {"rest"}, frozenset()) as server:
        held = converse(server.ports["rest"], env, expected["seeds"])
        odd = pester(server.ports["rest"], ODD_ROUNDS)
    files = [path for path in version.path.rglob("*") if path.is_file()]
    middle, slow = np.percentile(held.milliseconds, (50, 99)).tolist()
    return Row(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        network=str(config["network"]),
        language_model=Path(str(config["language_model"])).name,
        language_layers=int(config["language_layers"]),
        stored_as=str(version.manifest.get("stored_as", "float32")),
        mebibytes=sum(path.stat().st_size for path in files) / MEBIBYTE,
        expected=expected["mean"],
        served=float(np.mean(held.returns)),
        equal=int(np.sum(np.array(held.returns) == np.array(expected["returns"]))),
        episodes=EPISODES,
        turns=len(held.milliseconds),
        p50_ms=middle,
        p99_ms=slow,
        first_ms=float(np.mean(held.milliseconds[:100])),
        odd_p99_ms=float(np.percentile(odd, 99)),
        machine=machine.describe(),
        **records.provenance(),
    )


def render(rows: Sequence[Row]) -> list[str]:
    """Return the table of the newest row of each kind of agent."""
    if not rows:
        return ["Not measured yet."]
    newest = {(row.network, row.language_model, row.stored_as): row for row in rows}
    lines = [
        [
            f"{row.language_model or row.network}, {row.stored_as}",
            f"{row.mebibytes:.0f} MiB",
            f"{row.expected:.3f}",
            f"{row.served:.3f}, {row.equal:,} of {row.episodes:,}",
            f"{row.p50_ms:.1f} / {row.p99_ms:.1f} ms",
            f"{row.first_ms:.0f} ms",
            f"{row.odd_p99_ms:.1f} ms",
        ]
        for _, row in sorted(newest.items())
    ]
    header = [
        *("agent, matrices", "export", "evaluate.py", "over REST, equal", "p50 / p99 of a turn"),
        *("mean of the first 100 turns", "odd requests, p99"),
    ]
    return [*markdown(header, lines), "", f"{made_on(rows[-1])}."]


def made_on(row: Any) -> str:
    """Return the machine and the versions that a row of either table was made with."""
    made_with = {name: getattr(row, name) for name in records.provenance()}
    return f"{row.machine}; {machine.show_versions(made_with)}"
