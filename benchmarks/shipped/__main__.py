"""The agents that the project ships, and saved_models/README.md about them: python -m
benchmarks.shipped --run=RUN_DIR.

    saved_models/Pong-v5/1/                                 the export, as train.py published it
    saved_models/Pong-v5/training/1/evaluation.json         the run's report, its learning curve and metrics
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.scores.variants import settings
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.find_export import PROGRAM, find_export
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
TRAINING, REPORT, CURVE = "training", "evaluation.json", "learning_curve.png"
KEPT = (CURVE, "metrics.csv")  # of a run directory, beside its report
HEAD = """# saved_models

`python train.py --env=ENV` publishes here: `ENV/VERSION/`, each version a SavedModel laid out as
TF Serving expects it, with a manifest in `assets.extra/dqn_tf.json`. Versions are numbered from 1
and never overwritten.

## Shipped

Written by `python -m benchmarks.shipped` from the manifests and from what the runs recorded; do
not edit it. A score is the mean return of greedy episodes of the weights that are shipped, on
seeds used nowhere else, with its 95 % bootstrap interval. Seconds are those of the whole run on
two CPU cores, evaluations and the final test included. The hash is the beginning of the SHA-256
of the weights, `weights_sha256`.

"""


class Shipped(NamedTuple):
    """One version, what its manifest says, and the report of the run that trained it."""

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
        """What trains it anew, to the bit on the same kind of machine."""
        config = DQNConfig.from_dict(self.manifest["config"])
        return f"python train.py {settings(config)} --seed={config.seed}"

    @property
    def megabytes(self) -> float:
        """Of all its files."""
        return sum(path.stat().st_size for path in self.version.rglob("*") if path.is_file()) / 1e6


class ShippedFlags(NamedTuple):
    """A run to ship, or none to write the page anew, and where both lie."""

    run: str | None
    saved_models: Path


def parse(argv: Sequence[str]) -> ShippedFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    flags.DEFINE_string(
        "run",
        None,
        "run directory of train.py, its export lying in --saved_models; without it, only the page"
        " is written anew",
    )
    flags.DEFINE_string(
        "saved_models", os.path.relpath(ROOT / "saved_models"), "where exports and the page lie"
    )
    flags.DEFINE_bool("verbose", False, "tracebacks")
    values = command_line.parse(["python -m benchmarks.shipped", *argv[1:]], _help)
    return ShippedFlags(values["run"], Path(values["saved_models"]))


def _help(argv: Sequence[str]) -> str:
    return "\n".join(
        [
            __doc__,
            *(
                f"  --{name}\n      {flags.FLAGS[name].help}"
                for name in (*ShippedFlags._fields, "verbose")
            ),
        ]
    )


def main(wanted: ShippedFlags) -> None:
    """Keep the run's records beside its export, and write the page."""
    if wanted.run:
        print(f"Kept the run's records in {keep(Path(wanted.run), wanted.saved_models)}.")
    page = wanted.saved_models / "README.md"
    page.write_text(render(wanted.saved_models), encoding="utf-8")
    print(f"Wrote {page}.")


def keep(run: Path, saved_models: Path) -> Path:
    """Copy what a reader wants to know of the run to its export.

    Raises UserError if the run is unfinished or its export elsewhere.
    """
    version = find_export(str(run)).path.resolve()
    if version.parent.parent != saved_models.resolve():
        raise UserError(
            f"--run={run} was exported to {version}, and what is shipped lies in"
            f" {saved_models}/ENV/VERSION."
        )
    records = saved_models / version.parent.name / TRAINING / version.name
    records.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(run / name, records / name)
    report = json.loads((run / REPORT).read_text(encoding="utf-8"))
    files.write_json(
        records / REPORT,
        report | {"export": f"{saved_models.name}/{version.parent.name}/{version.name}"},
    )
    return records


def shipped(saved_models: Path) -> list[Shipped]:
    """All versions whose run's records are kept, in the order of their names."""
    found = []
    for report in sorted(saved_models.glob(f"*/{TRAINING}/*/{REPORT}")):
        version = report.parents[2] / report.parent.name
        if not (version / PROGRAM).is_file():
            raise UserError(f"{report.parent} tells of a version that is not there: {version}.")
        found.append(
            Shipped(
                version,
                find_export(str(version)).manifest,
                json.loads(report.read_text(encoding="utf-8")),
                report.parent,
            )
        )
    return found


def render(saved_models: Path) -> str:
    """The page, Markdown."""
    agents = shipped(saved_models)
    lines = [
        "| agent | score [95 %] | episodes | training | seconds | size | hash |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for agent in agents:
        score, (low, high) = agent.manifest["score"], agent.manifest["score"]["mean_ci95"]
        lines.append(
            f"| [{agent.name}]({agent.name}) | {score['mean']:.1f} [{low:.1f}, {high:.1f}] |"
            f" {score['episodes']} | `{agent.command}` | {agent.report['seconds']:,.0f} |"
            f" {agent.megabytes:.1f} MB | `{agent.manifest['weights_sha256'][:12]}` |"
        )
    for agent in agents:
        name, records = agent.name, agent.records.relative_to(saved_models).as_posix()
        protocol = agent.manifest["score"]["protocol"].get("game")
        lines += [
            "",
            f"### {name}",
            "",
            f"{agent.manifest['env']}"
            + (f": {protocol}" if protocol else "")
            + f". {agent.manifest['env_steps']:,} environment steps, {agent.report['updates']:,}"
            " updates.",
            "",
            f"`python evaluate.py --model=saved_models/{name}`",
            "",
            f"![Learning curve of {name}]({records}/{CURVE})",
            "",
            f"[metrics.csv]({records}/metrics.csv), [{REPORT}]({records}/{REPORT})",
        ]
    return HEAD + "\n".join(lines if agents else ["No trained agent is shipped yet."]) + "\n"


if __name__ == "__main__":
    command_line.run(main, parse)
