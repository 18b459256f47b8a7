"""Cost of an environment step as the work grows: one picture for each thing that grows."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.speed.records import Row
from benchmarks.speed.settings import AXES
from benchmarks.speed.summary import by_system, costs
from benchmarks.speed.systems import SYSTEMS

COLORS = ("#1f4e8c", "#c8452d", "#2e8b57", "#8a5fa8", "#b8860b", "#777777")
MARKS = "osD^vP"


def growth(sweep: str, rows: list[Row], file: Path) -> None:
    """Draws a line through each system's medians, with the range of the rounds, and writes the
    picture.
    """
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes, names = figure.subplots(), [system.name for system in SYSTEMS]
    ticks: set[int] = set()
    for system, own in by_system(rows).items():
        found = costs(own)
        rounds = len({row.round for row in own})
        place = names.index(system) % len(COLORS) if system in names else -1
        middle, low, high = zip(*found.values(), strict=True)
        below, above = (
            [abs(end - value) for end, value in zip(ends, middle, strict=True)]
            for ends in (low, high)
        )
        axes.errorbar(
            list(found),
            middle,
            yerr=[below, above],
            color=COLORS[place],
            marker=MARKS[place],
            markersize=5,
            linewidth=1.8,
            capsize=3,
            label=f"{system}, {rounds} round{'s' * (rounds != 1)}",
        )
        ticks |= set(found)
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
