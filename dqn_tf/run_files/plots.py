"""Learning curves: what a person looks at first."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dqn_tf.run_files import metrics_file
from dqn_tf.support import files
from dqn_tf.support.figures import Axes, Figure, FigureCanvasAgg

EPISODE_COLOR = "#9db7d5"
SMOOTHED_COLOR = "#1f4e8c"
EVALUATION_COLOR = "#c8452d"


def learning_curve(csv_path: Path, png_path: Path, title: str) -> None:
    """Draw the returns of training episodes, their running mean, and the greedy evaluations."""
    rows = metrics_file.read(csv_path)
    episodes = _series(rows, "episode_return")
    evaluations = _series(rows, "evaluation_return")
    figure, axes = _canvas(title)
    if len(episodes):
        _draw_episodes(axes, episodes)
    if len(evaluations):
        axes.plot(
            *evaluations.T,
            "o-",
            color=EVALUATION_COLOR,
            linewidth=1,
            markersize=5,
            label="greedy evaluation",
        )
    if len(episodes) or len(evaluations):
        axes.legend(frameon=False, fontsize=9)
    _save(figure, png_path)


def learning_curves(csv_paths: Mapping[int, Path], png_path: Path, title: str) -> None:
    """Draw the greedy evaluations of several seeds, and their mean if all have as many."""
    curves = {
        seed: _series(metrics_file.read(path), "evaluation_return")
        for seed, path in csv_paths.items()
    }
    figure, axes = _canvas(title)
    for curve in curves.values():
        axes.plot(*curve.T, "o-", color=EPISODE_COLOR, linewidth=1, markersize=3)
    lengths = {len(curve) for curve in curves.values()}
    if len(lengths) == 1:
        mean_curve = np.mean(list(curves.values()), axis=0)
        axes.plot(
            *mean_curve.T,
            "o-",
            color=EVALUATION_COLOR,
            linewidth=2,
            markersize=5,
            label=f"greedy evaluation, mean of {len(curves)} seeds",
        )
        axes.legend(frameon=False, fontsize=9)
    _save(figure, png_path)


def _save(figure: Figure, png_path: Path) -> None:
    with files.replaced(png_path) as aside:
        figure.savefig(aside)


def _draw_episodes(axes: Axes, episodes: np.ndarray) -> None:
    """Draw training episodes [E, 2] of (environment step, return) as dots and as running mean."""
    axes.plot(
        *episodes.T,
        ".",
        markersize=3,
        color=EPISODE_COLOR,
        label="one training episode (exploring)",
    )
    steps, returns = episodes.T
    window = max(1, len(episodes) // 25)
    axes.plot(
        steps[window - 1 :],
        np.convolve(returns, np.ones(window) / window, "valid"),
        color=SMOOTHED_COLOR,
        linewidth=2,
        label=f"mean of the last {window} episodes" if window > 1 else "training episodes",
    )


def _canvas(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return")
    axes.set_title(title, loc="left")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _series(rows: Sequence[Mapping[str, str]], name: str) -> np.ndarray:
    """Return (environment step, value) [n, 2] of the rows that have the metric."""
    pairs = [(int(row["env_step"]), float(row[name])) for row in rows if row[name]]
    return np.array(pairs, float).reshape(-1, 2)
