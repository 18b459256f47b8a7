"""The learning curve: what a person looks at first."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dqn_tf.run_files import metrics

EPISODE, SMOOTHED, EVALUATION = "#9db7d5", "#1f4e8c", "#c8452d"


def learning_curve(csv_path: Path, png_path: Path, title: str) -> None:
    """Draws return per training episode, its running mean, and the greedy evaluations over
    environment steps.
    """
    rows = metrics.read(csv_path)
    episodes, evaluations = _series(rows, "episode_return"), _series(rows, "evaluation_return")
    figure, axes = _canvas(title)
    if len(episodes):
        window = max(1, len(episodes) // 25)
        axes.plot(
            *episodes.T, ".", markersize=3, color=EPISODE, label="one training episode (exploring)"
        )
        axes.plot(
            episodes[window - 1 :, 0],
            np.convolve(episodes[:, 1], np.ones(window) / window, "valid"),
            color=SMOOTHED,
            linewidth=2,
            label=f"mean of the last {window} episodes" if window > 1 else "training episodes",
        )
    if len(evaluations):
        axes.plot(
            *evaluations.T,
            "o-",
            color=EVALUATION,
            linewidth=1,
            markersize=5,
            label="greedy evaluation",
        )
    if len(episodes) or len(evaluations):
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(png_path)


def learning_curves(csv_paths: dict[int, Path], png_path: Path, title: str) -> None:
    """Draws the greedy evaluations of several seeds over environment steps, and their mean."""
    curves = {
        seed: _series(metrics.read(path), "evaluation_return") for seed, path in csv_paths.items()
    }
    figure, axes = _canvas(title)
    for curve in curves.values():
        axes.plot(*curve.T, "o-", color=EPISODE, linewidth=1, markersize=3)
    if len({len(curve) for curve in curves.values()}) == 1:
        together = np.mean(list(curves.values()), axis=0)
        axes.plot(
            *together.T,
            "o-",
            color=EVALUATION,
            linewidth=2,
            markersize=5,
            label=f"greedy evaluation, mean of {len(curves)} seeds",
        )
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(png_path)


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


def _series(rows: list[dict[str, str]], name: str) -> np.ndarray:
    pairs = [(int(row["env_step"]), float(row[name])) for row in rows if row[name]]
    return np.array(pairs, float).reshape(-1, 2)
