"""The last thing a run says: what it reached, where everything lies, what to type next."""

from pathlib import Path
from typing import Any

from dqn_tf.run_files.run_directory import RunDirectory


def text(report: dict[str, Any], files: RunDirectory, export_dir: Path) -> str:
    """The closing lines of a run."""
    best, version = report["best"], export_dir / Path(report["export"]).name
    lines = [
        "",
        (
            f"{report['env']}: {report['env_steps']:,} steps, {report['updates']:,} updates,"
            f" {report['seconds']:.0f} s."
        ),
        f"Score of the last weights: {score(report['last'])}",
    ]
    if best["weights_sha256"] != report["weights_sha256"]:
        lines += [f"Score of the best, step {best['env_step']:,}: {score(best['test'])}"]
        if best["test"]["mean"] > report["last"]["mean"] and report["exported"] == "last":
            lines += [
                "(The SavedModel holds the last weights; --export_weights=best would take the"
                " best.)"
            ]
    lines += [
        f"weights_sha256 {report['weights_sha256']}",
        "",
        (
            f"Run directory   {files.path}  (config, metrics.csv, tensorboard, checkpoints,"
            " evaluation.json)"
        ),
        f"Learning curve  {files.learning_curve}",
        f"SavedModel      {version}",
        "",
        "Next:",
        f"  python evaluate.py --model={version.parent}",
        f"  tensorboard --logdir={files.tensorboard}",
    ]
    return "\n".join(lines)


def score(summary: dict[str, Any]) -> str:
    """One evaluation on one line."""
    low, high = summary["mean_ci95"]
    return (
        f"mean {summary['mean']:.1f} (95 % interval {low:.1f} to {high:.1f}), IQM"
        f" {summary['iqm']:.1f}, {summary['episodes']} greedy episodes on seeds used nowhere else"
    )
