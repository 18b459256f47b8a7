"""The summary of several seeds that were trained at once: summary.json and learning_curves.png."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.evaluation.statistics import bootstrap, iqm
from dqn_tf.run_files import plots
from dqn_tf.run_files.run_directory import CURVES, SUMMARY, finished_runs
from dqn_tf.support.command_line import other_command, typed_path
from dqn_tf.support.digits import return_text, return_texts
from dqn_tf.support.files import write_json, writing


def summarize(directory: Path) -> str:
    """Write summary and curves of the finished runs in `directory`; return the closing lines.

    A picture that cannot be drawn is a line among them.
    """
    runs = finished_runs(directory)
    summary = summary_of([report for _, report in runs.values()])
    with writing(directory / SUMMARY):
        write_json(directory / SUMMARY, summary)
    curves = f"Learning curves  {directory / CURVES}"
    try:
        plots.learning_curves(
            {seed: run_dir.metrics for seed, (run_dir, _) in runs.items()},
            directory / CURVES,
            f"DQN on {summary['env']}, {len(runs)} seeds",
        )
    except (OSError, ValueError, RuntimeError) as error:
        curves = f"warning: {directory / CURVES} cannot be drawn: {error}"
    paths = {seed: run_dir.path for seed, (run_dir, _) in runs.items()}
    return closing_lines(summary, paths, directory, curves)


def summary_of(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return each seed's score, and mean and IQM over the seeds with their intervals, for JSON.

    The intervals are 95 % bootstrap intervals.
    """
    scores = np.array([report["score"]["mean"] for report in reports])  # [seeds]
    rows = []
    for report in reports:
        names = ("seed", "env_steps", "updates", "weights_sha256", "export")
        rows.append({name: report[name] for name in names} | {"score": report["score"]["mean"]})
    return {
        "env": reports[0]["env"],
        "seeds": rows,
        "mean": float(scores.mean()),
        "mean_ci95": bootstrap(scores, np.mean),
        "iqm": float(iqm(scores)),
        "iqm_ci95": bootstrap(scores, iqm),
        "min": float(scores.min()),
        "max": float(scores.max()),
        "seconds": max(report["seconds"] for report in reports),
    }


def closing_lines(
    summary: Mapping[str, Any], paths: Mapping[int, Path], directory: Path, curves: str = ""
) -> str:
    """Return the last lines on the terminal; `paths` are the run directories by seed.

    `curves` is the line that says where the learning curves are, or why there are none.
    """
    rows = summary["seeds"]
    lengths = sorted({row["env_steps"] for row in rows})
    steps = " to ".join(f"{length:,}" for length in dict.fromkeys((lengths[0], lengths[-1])))
    iqm, low, high = return_texts(summary["iqm"], *summary["iqm_ci95"])
    mean, lowest, highest = return_texts(summary["mean"], summary["min"], summary["max"])
    best = max(rows, key=lambda row: row["score"])
    scores = [
        f"  seed {row['seed']}: {return_text(row['score'])}   {paths[row['seed']]}" for row in rows
    ]
    lines = [
        "",
        f"{summary['env']}: {len(rows)} seeds at once, {steps} steps each,"
        f" {summary['seconds']:.0f} s.",
        "",
        *scores,
        "",
        f"IQM of the seeds {iqm} (95 % interval {low} to {high}), mean {mean}, lowest {lowest},"
        f" highest {highest}; each the mean of its test on seeds used nowhere else",
        "",
        f"Summary          {directory / SUMMARY}",
        curves,
        "",
        "Next:",
        f"  {other_command('evaluation')} --model={typed_path(paths[best['seed']])}",
    ]
    return "\n".join(lines)
