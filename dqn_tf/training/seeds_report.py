"""Runs of several seeds that were trained at once: what they reached together."""

from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.evaluation.statistics import bootstrap, iqm
from dqn_tf.run_files import plots
from dqn_tf.run_files.run_directory import RunDirectory, finished
from dqn_tf.support.files import write_json


def summarize(directory: Path) -> str:
    """Writes summary.json and learning_curves.png into the directory that holds the runs; returns
    the closing lines.
    """
    runs = {report["seed"]: (run, report) for run, report in finished(directory)}
    summary = scores([report for _, report in runs.values()])
    write_json(directory / "summary.json", summary)
    plots.learning_curves(
        {seed: run.metrics for seed, (run, _) in runs.items()},
        directory / "learning_curves.png",
        f"DQN on {summary['env']}, {len(runs)} seeds",
    )
    best, _ = max(runs.values(), key=lambda pair: pair[1]["score"]["mean"])
    return text(summary, {seed: run for seed, (run, _) in runs.items()}, directory, best)


def scores(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The scores of the seeds, and over them mean and IQM with their 95 % bootstrap intervals,
    ready for JSON.
    """
    means = np.array([report["score"]["mean"] for report in reports])
    seeds = [
        {
            name: report[name]
            for name in ("seed", "env_steps", "updates", "weights_sha256", "export")
        }
        | {"score": report["score"]["mean"]}
        for report in reports
    ]
    return {
        "env": reports[0]["env"],
        "seeds": seeds,
        "mean": float(means.mean()),
        "mean_ci95": bootstrap(means, np.mean),
        "iqm": float(iqm(means)),
        "iqm_ci95": bootstrap(means, iqm),
        "min": float(means.min()),
        "max": float(means.max()),
        "seconds": max(report["seconds"] for report in reports),
    }


def text(
    summary: dict[str, Any], runs: dict[int, RunDirectory], directory: Path, best: RunDirectory
) -> str:
    """The closing lines."""
    low, high = summary["iqm_ci95"]
    lines = [
        "",
        (
            f"{summary['env']}: {len(runs)} seeds at once, {summary['seeds'][0]['env_steps']:,}"
            f" steps each, {summary['seconds']:.0f} s."
        ),
        "",
    ]
    lines += [
        f"  seed {row['seed']}: {row['score']:.1f}   {runs[row['seed']].path}"
        for row in summary["seeds"]
    ]
    lines += [
        "",
        (
            f"IQM of the seeds {summary['iqm']:.1f} (95 % interval {low:.1f} to {high:.1f}), mean"
            f" {summary['mean']:.1f}, lowest {summary['min']:.1f}, highest {summary['max']:.1f};"
            " each the mean of greedy episodes on seeds used nowhere else"
        ),
        "",
        f"Summary          {directory / 'summary.json'}",
        f"Learning curves  {directory / 'learning_curves.png'}",
        "",
        "Next:",
        f"  python evaluate.py --model={best.path}",
    ]
    return "\n".join(lines)
