"""Pictures of the cost of an environment step: one for each thing that grows."""

from pathlib import Path

from benchmarks.speed.records import Row
from benchmarks.speed.settings import AXES
from benchmarks.speed.summary import by_system, costs
from benchmarks.speed.systems import SYSTEMS
from dqn_tf.support.figures import Figure, FigureCanvasAgg

COLORS = ("#1f4e8c", "#c8452d", "#2e8b57", "#8a5fa8", "#b8860b", "#777777")
MARKERS = "osD^vP"


def growth(sweep: str, rows: list[Row], file: Path) -> None:
    """Draw a line through each system's medians, with the range of the rounds.

    Writes the picture to `file`.
    """
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = [system.name for system in SYSTEMS]
    ticks: set[int] = set()
    for system, runs in by_system(rows).items():
        points = costs(runs)
        spreads = list(points.values())
        rounds = len({row.round for row in runs})
        style = names.index(system) % len(COLORS) if system in names else -1
        axes.errorbar(
            list(points),
            [cost.median for cost in spreads],
            yerr=[
                [cost.median - cost.low for cost in spreads],
                [cost.high - cost.median for cost in spreads],
            ],
            color=COLORS[style],
            marker=MARKERS[style],
            markersize=5,
            linewidth=1.8,
            capsize=3,
            label=f"{system}, {rounds} round{'s' * (rounds != 1)}",
        )
        ticks |= set(points)
    if sweep != "length":
        axes.set_xscale("log", base=2 if sweep != "capacity" else 10)
        axes.set_xticks(sorted(ticks), minor=False)
        axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(AXES[sweep], fontsize=10)
    axes.set_ylabel("µs per environment step, learning included", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Cost of an environment step by {AXES[sweep]}", x=0.02, ha="left", fontsize=12)
    figure.savefig(file)
