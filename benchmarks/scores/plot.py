"""Learning curves: the interquartile mean of the greedy evaluations, and its interval."""

from pathlib import Path

import numpy as np

from benchmarks.scores import statistics
from benchmarks.scores.summary import Summary
from dqn_tf.support.figures import Axes, Figure, FigureCanvasAgg

PLAIN_COLOR = "#777777"
COLORS = ("#1f4e8c", "#c8452d", "#2e8b57")
MOST_IN_ONE_PANEL = 3  # more variants than this beside plain DQN get a panel each
COLUMNS = 3


def curves(env: str, env_summaries: list[Summary], file: Path) -> None:
    """Draw one panel, or for many variants a panel for each, with plain DQN behind it."""
    plain = [summary for summary in env_summaries if summary.variant == "dqn"]
    others = [summary for summary in env_summaries if summary.variant != "dqn"]
    if len(others) <= MOST_IN_ONE_PANEL:
        panels = [plain + others]
    else:
        panels = [[*plain, summary] for summary in others]
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(
        figsize=(8, 4.5) if len(panels) == 1 else (4 * columns, 2.8 * lines),
        dpi=120,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    places = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("environment steps", fontsize=10)
    figure.supylabel("greedy return: IQM of the runs, 95 % interval", fontsize=10)
    figure.suptitle(f"DQN on {env}", x=0.02, ha="left", fontsize=12)
    figure.savefig(file)


def _draw_panel(axes: Axes, panel: list[Summary]) -> None:
    colors = iter(COLORS)
    for summary in panel:
        _draw_curve(axes, summary, PLAIN_COLOR if summary.variant == "dqn" else next(colors))
    threshold = panel[0].rows[0].threshold
    if threshold is not None:
        axes.axhline(
            threshold,
            color="black",
            linewidth=0.8,
            linestyle=":",
            label="threshold of Gymnasium",
        )
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k")


def _draw_curve(axes: Axes, summary: Summary, color: str) -> None:
    points = [row.points() for row in summary.rows]
    steps = points[0][:, 0]
    if not all(len(run) and np.array_equal(run[:, 0], steps) for run in points):
        return  # no evaluations during the runs
    middle, low, high = statistics.curve(np.stack([run[:, 1] for run in points])).T
    label = f"{summary.variant}, {len(points)} runs"
    axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
    axes.plot(steps, middle, color=color, linewidth=1.8, label=label)
