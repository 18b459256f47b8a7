"""Learning curves of an environment's variants:

interquartile mean of the greedy evaluations, and its interval.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.scores import statistics
from benchmarks.scores.summary import Summary

PLAIN, OTHERS = "#777777", ("#1f4e8c", "#c8452d", "#2e8b57")
TOGETHER = 3  # more variants than this beside plain DQN get a panel each
COLUMNS = 3


def curves(env: str, found: list[Summary], file: Path) -> None:
    """Draws one panel, or for many variants a panel for each, with plain DQN behind it."""
    plain = [summary for summary in found if summary.variant == "dqn"]
    others = [summary for summary in found if summary.variant != "dqn"]
    panels = [plain + others] if len(others) <= TOGETHER else [[*plain, other] for other in others]
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
        for number, summary in enumerate(panel):
            _draw(
                axes,
                summary,
                PLAIN if summary.variant == "dqn" else OTHERS[(number - bool(plain)) % len(OTHERS)],
            )
        if panel[0].rows[0].threshold is not None:
            axes.axhline(
                panel[0].rows[0].threshold,
                color="black",
                linewidth=0.8,
                linestyle=":",
                label="threshold of Gymnasium",
            )
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k")
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("environment steps", fontsize=10)
    figure.supylabel("greedy return: IQM of the runs, 95 % interval", fontsize=10)
    figure.suptitle(f"DQN on {env}", x=0.02, ha="left", fontsize=12)
    figure.savefig(file)


def _draw(axes: Axes, summary: Summary, color: str) -> None:
    points = [row.points() for row in summary.rows]
    if not all(len(one) and np.array_equal(one[:, 0], points[0][:, 0]) for one in points):
        return  # no evaluations during the runs
    middle, low, high = statistics.curve(np.stack([one[:, 1] for one in points])).T
    axes.fill_between(points[0][:, 0], low, high, color=color, alpha=0.2, linewidth=0)
    axes.plot(
        points[0][:, 0],
        middle,
        color=color,
        linewidth=1.8,
        label=f"{summary.variant}, {len(points)} runs",
    )
