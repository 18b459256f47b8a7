"""Writes saved_models/README.md about the agents that the project ships.

    python -m benchmarks.shipped --run=RUN_DIR

With --run it first keeps the run's records beside its export:

    saved_models/Pong-v5/1/             the export, as train.py published it
    saved_models/Pong-v5/training/1/    the run's report, its learning curve and its metrics
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common.processes import ROOT
from benchmarks.common.tables import markdown
from benchmarks.scores.variants import settings
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.find_export import PROGRAM, find_export
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError

SAVED_MODELS = ROOT / "saved_models"
TRAINING = "training"
REPORT = "evaluation.json"
CURVE = "learning_curve.png"
METRICS = "metrics.csv"
HEADER = ("agent", "score [95 %]", "episodes", "training", "seconds", "size", "hash")
HEAD = """# saved_models

`python train.py --env=ENV` publishes here: `ENV/VERSION/`, each version a SavedModel laid out as
TF Serving expects it, with a manifest in `assets.extra/dqn_tf.json`. Versions are numbered from 1
and never overwritten.

## Shipped

Written by `python -m benchmarks.shipped` from the manifests and from what the runs recorded; do
not edit it. A score is the mean return of greedy episodes of the weights that are shipped, on
seeds used nowhere else, with its 95 % bootstrap interval. Seconds are those of the whole run on
at most two CPU cores, evaluations and the final test included; other programs shared them. The
hash is the beginning of the SHA-256 of the weights, `weights_sha256`.

"""


class Shipped(NamedTuple):
    """One version, its manifest, and the report of the run that trained it."""

    version: Path
    manifest: dict[str, Any]
    report: dict[str, Any]
    records: Path

    @property
    def name(self) -> str:
        """Environment and number, which is its place in saved_models."""
        return f"{self.version.parent.name}/{self.version.name}"

    @property
    def command(self) -> str:
        """The command that trains it anew, to the bit on the same kind of machine."""
        config = DQNConfig.from_dict(self.manifest["config"])
        return f"python train.py {settings(config)} --seed={config.seed}"

    @property
    def megabytes(self) -> float:
        """The size of all its files."""
        return sum(path.stat().st_size for path in self.version.rglob("*") if path.is_file()) / 1e6


class ShippedFlags(NamedTuple):
    """A run to ship, or none to write only the page, and where both lie."""

    run: str | None
    saved_models: Path


def parse(argv: Sequence[str]) -> ShippedFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    return ShippedFlags(values.run, Path(values.saved_models))


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    command_line.define_path(
        "run",
        None,
        "run directory of train.py, its export lying in --saved_models; without it, only the page"
        " is written anew",
        values,
    )
    command_line.define_path(
        "saved_models",
        os.path.relpath(SAVED_MODELS),
        "where exports and the page lie",
        values,
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    text = """
        Writes saved_models/README.md from the manifests of the shipped agents and from what their
        runs recorded. With --run it first keeps that run's report, learning curve and metrics
        beside its export.
        """
    sections = {"": command_line.entries(values)}
    return command_line.help_page([f"{command} --run=RUN_DIR"], text, sections)


def main(options: ShippedFlags) -> None:
    """Keep the run's records beside its export, and write the page."""
    if options.run:
        records = keep(Path(options.run), options.saved_models)
        print(f"Kept the run's records in {records}.")
    page = options.saved_models / "README.md"
    page.write_text(render(options.saved_models), encoding="utf-8")
    print(f"Wrote {page}.")


def keep(run: Path, saved_models: Path) -> Path:
    """Copy report, learning curve and metrics of the run to its export.

    Raises UserError if the run is unfinished or its export elsewhere.
    """
    version = find_export(str(run)).path.resolve()
    name = version.parent.name
    if version.parent.parent != saved_models.resolve():
        raise UserError(
            f"--run={run} was exported to {version}, and what is shipped lies in"
            f" {saved_models}/ENV/VERSION."
        )
    records = saved_models / name / TRAINING / version.name
    records.mkdir(parents=True, exist_ok=True)
    for file in (CURVE, METRICS):
        shutil.copyfile(run / file, records / file)
    report = json.loads((run / REPORT).read_text(encoding="utf-8"))
    report["export"] = f"{saved_models.name}/{name}/{version.name}"
    files.write_json(records / REPORT, report)
    return records


def shipped(saved_models: Path) -> list[Shipped]:
    """List all versions whose run's records are kept, in the order of their names.

    Raises UserError if such a version is missing.
    """
    agents = []
    for report in sorted(saved_models.glob(f"*/{TRAINING}/*/{REPORT}")):
        version = report.parents[2] / report.parent.name
        if not (version / PROGRAM).is_file():
            raise UserError(f"{report.parent} tells of a version that is not there: {version}.")
        agents.append(
            Shipped(
                version,
                find_export(str(version)).manifest,
                json.loads(report.read_text(encoding="utf-8")),
                report.parent,
            )
        )
    return agents


def render(saved_models: Path) -> str:
    """Write the page's text in Markdown."""
    agents = shipped(saved_models)
    if not agents:
        return HEAD + "No trained agent is shipped yet.\n"
    lines = markdown(HEADER, [_cells(agent) for agent in agents])
    for agent in agents:
        lines += _section(agent, saved_models)
    return HEAD + "\n".join(lines) + "\n"


def _cells(agent: Shipped) -> tuple[str, ...]:
    """Format one line under HEADER."""
    score = agent.manifest["score"]
    low, high = score["mean_ci95"]
    return (
        f"[{agent.name}]({agent.name})",
        f"{score['mean']:.1f} [{low:.1f}, {high:.1f}]",
        str(score["episodes"]),
        f"`{agent.command}`",
        f"{agent.report['seconds']:,.0f}",
        f"{agent.megabytes:.1f} MB",
        f"`{agent.manifest['weights_sha256'][:12]}`",
    )


def _section(agent: Shipped, saved_models: Path) -> list[str]:
    manifest = agent.manifest
    records = agent.records.relative_to(saved_models).as_posix()
    protocol = manifest["score"]["protocol"].get("game")
    played = f"{manifest['env']}: {protocol}" if protocol else manifest["env"]
    return [
        "",
        f"### {agent.name}",
        "",
        f"{played}. {manifest['env_steps']:,} environment steps, {agent.report['updates']:,}"
        " updates.",
        "",
        f"`python evaluate.py --model=saved_models/{agent.name}`",
        "",
        f"![Learning curve of {agent.name}]({records}/{CURVE})",
        "",
        f"[{METRICS}]({records}/{METRICS}), [{REPORT}]({records}/{REPORT})",
    ]


if __name__ == "__main__":
    command_line.run(main, parse)
