"""The learning curve: what a person looks at first."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dqn_tf import metrics

EPISODE, SMOOTHED, EVALUATION = "#9db7d5", "#1f4e8c", "#c8452d"


def learning_curve(csv_path: Path, png_path: Path, title: str) -> None:
    """Draws return per training episode, its running mean, and the greedy evaluations over environment steps."""
    rows = metrics.read(csv_path)
    episodes, evaluations = _series(rows, "episode_return"), _series(rows, "evaluation_return")
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if len(episodes):
        window = max(1, len(episodes) // 25)
        axes.plot(*episodes.T, ".", markersize=3, color=EPISODE, label="one training episode (exploring)")
        axes.plot(episodes[window - 1:, 0], np.convolve(episodes[:, 1], np.ones(window) / window, "valid"), color=SMOOTHED,
                  linewidth=2, label=f"mean of the last {window} episodes" if window > 1 else "training episodes")
    if len(evaluations):
        axes.plot(*evaluations.T, "o-", color=EVALUATION, linewidth=1, markersize=5, label="greedy evaluation")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return")
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(episodes) or len(evaluations):
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(png_path)


def _series(rows: list[dict[str, str]], name: str) -> np.ndarray:
    pairs = [(int(row["env_step"]), float(row[name])) for row in rows if row[name]]
    return np.array(pairs, float).reshape(-1, 2)
