"""The report of a finished run: evaluation.json, and the last lines on the terminal."""

import dataclasses
from pathlib import Path
from typing import Any

from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.support.command_line import other_command, typed_path
from dqn_tf.support.digits import return_text, return_texts


@dataclasses.dataclass(frozen=True)
class BestWeights:
    """The weights that did best in an evaluation between blocks, and their final test."""

    env_step: int  # of that evaluation
    mean: float | None  # its mean return; None if the run was never evaluated
    weights_sha256: str
    test: dict[str, Any]  # `Evaluation.summary`


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run reached: the contents of evaluation.json, in its order."""

    env: str
    protocol: str  # how an Atari game is played; "" elsewhere
    seed: int
    env_steps: int
    offline_updates: int  # on logged data alone, before the first environment step
    updates: int
    behaviour: dict[str, float]  # of the behaviour head on held-out data, where it was pretrained
    weights_sha256: str  # of the last weights
    last: dict[str, Any]  # `Evaluation.summary` of their final test
    best: BestWeights
    score: dict[str, Any]  # the final test of the exported weights
    exported: str  # last or best
    export: str  # path of the exported version
    advice: list[str]  # lines of `what_to_try`, none if the score is good
    seconds: float  # wall time, before a resume too
    timings: dict[str, float]  # seconds by part of the process that wrote this, see `Timings`

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return dataclasses.asdict(self)


def closing_lines(report: Report, files: RunDirectory, export_dir: Path) -> str:
    """Return the last lines of a run: its scores, its files, and what to type next."""
    best = report.best
    version = export_dir / Path(report.export).name
    offline = ""
    if report.offline_updates:
        offline = f", {report.offline_updates:,} of them on logged data alone"
    lines = [
        "",
        f"{report.env}: {report.env_steps:,} steps, {report.updates:,} updates{offline},"
        f" {report.seconds:.0f} s.",
        f"Score of the last weights: {score_line(report.last)}",
    ]
    if best.weights_sha256 != report.weights_sha256:
        lines.append(f"Score of the best, step {best.env_step:,}: {score_line(best.test)}")
        if best.test["mean"] > report.last["mean"] and report.exported == "last":
            lines += [
                "(The SavedModel holds the last weights; in training, --export_weights=best would"
                " take the best. Now:",
                f"  {other_command('export')} --run={typed_path(files.path)} --weights=best)",
            ]
    lines += report.advice
    lines += [
        f"weights_sha256 {report.weights_sha256}",
        "",
        f"Run directory   {files.path}  (config, metrics.csv, tensorboard, checkpoints,"
        " evaluation.json)",
        f"Learning curve  {files.learning_curve}",
        f"SavedModel      {version}",
        "",
        "Next:",
        f"  {other_command('evaluation')} --model={typed_path(version.parent)}",
        f"  tensorboard --logdir={typed_path(files.tensorboard)}",
    ]
    return "\n".join(lines)


def score_line(summary: dict[str, Any]) -> str:
    """Return one evaluation's summary as a line."""
    mean, low, high = return_texts(summary["mean"], *summary["mean_ci95"])
    episodes = f"{summary['episodes']} greedy episodes"
    if summary.get("epsilon"):  # earlier versions had none
        episodes = f"{summary['episodes']} episodes with epsilon {summary['epsilon']:g}"
    return (
        f"mean {mean} (95 % interval {low} to {high}), IQM {return_text(summary['iqm'])},"
        f" {episodes} on seeds used nowhere else"
    )
