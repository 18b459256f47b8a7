"""Learning curves of the ablation: what is left out, against environment steps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.graph_walk import summary
from benchmarks.graph_walk.experiments import ABLATION, GRAPHS, WHOLE
from benchmarks.graph_walk.records import Row
from dqn_tf.support.figures import Figure, FigureCanvasAgg

COLUMNS = 4
WHOLE_COLOR, COLOR = "#777777", "#1f4e8c"


def ablation(rows: Sequence[Row], optimum: float, file: Path) -> None:
    """Draw a panel for each thing left out on the first graph, each run a line.

    Behind it, in grey, are the runs from which nothing is left out.
    """
    runs = [(each, summary.current(each, GRAPHS[0], rows)) for each in ABLATION]
    whole = next(part for each, part in runs if each.name == WHOLE)
    runs = [(each, part) for each, part in runs if part and each.name != WHOLE]
    lines = -(-len(runs) // COLUMNS)
    figure = Figure(figsize=(3 * COLUMNS, 2.6 * lines), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(lines, COLUMNS, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (experiment, own) in zip(places, runs, strict=False):
        for color, part in ((WHOLE_COLOR, whole), (COLOR, own)):
            for run in part:
                points = np.array(summary.curve(run))
                axes.plot(points[:, 0], points[:, 2], color=color, linewidth=1.4)
        axes.axhline(optimum, color="black", linewidth=0.8, linestyle=":")
        axes.set_title(f"without {experiment.title}", fontsize=8, loc="left")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k")
    for axes in places[len(runs) :]:
        axes.set_visible(False)
    figure.supxlabel("environment steps; grey: nothing left out; dotted: the optimum", fontsize=9)
    figure.supylabel("greedy return over all starts", fontsize=9)
    figure.savefig(file)
