"""Latency and requests per second by the number of clients, at one observation a request."""

from pathlib import Path
from statistics import median

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.serving.page import by_cell
from benchmarks.serving.records import Row
from benchmarks.serving.rounds import FLOOR

LOOKS = {
    ("rest", "off"): ("#1f4e8c", "o"),
    ("rest", "on"): ("#7fa6d6", "s"),
    ("grpc", "off"): ("#c8452d", "^"),
    ("grpc", "on"): ("#e5a28f", "D"),
}


def draw(rows: list[Row], file: Path) -> None:
    """Draws p50 as lines and p99 as dashes on the left, requests per second on the right, and
    writes the picture.
    """
    figure = Figure(figsize=(10, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    latency, rate = figure.subplots(1, 2)
    batch = min(row.batch for row in rows)
    cells = by_cell([row for row in rows if row.batch == batch])
    for (transport, batching), (color, mark) in LOOKS.items():
        own = {
            cell.clients: found
            for cell, found in cells.items()
            if (cell.transport, cell.batching) == (transport, batching)
        }
        if not own:
            continue
        label = (
            f"{'REST' if transport == 'rest' else 'gRPC'}{', batching' if batching == 'on' else ''}"
        )
        look = {"color": color, "marker": mark, "markersize": 5, "linewidth": 1.8}
        latency.plot(
            list(own),
            [median(row.p50_ms for row in found) for found in own.values()],
            label=label,
            **look,
        )
        latency.plot(
            list(own),
            [median(row.p99_ms for row in found) for found in own.values()],
            **look | {"linestyle": ":", "linewidth": 1.2},
        )
        rate.plot(
            list(own),
            [median(row.requests_per_second for row in found) for found in own.values()],
            label=label,
            **look,
        )
    for cell, found in cells.items():
        if cell.transport == FLOOR:
            latency.axhline(
                median(row.p50_ms for row in found),
                color="#777777",
                linewidth=1,
                label="in process",
            )
    clients = sorted({cell.clients for cell in cells if cell.transport != FLOOR})
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    rate.set_ylim(bottom=0)
    latency.set_title(
        "Latency, ms: median, and dotted the 99th percentile", fontsize=10, loc="left"
    )
    rate.set_title("Requests per second", fontsize=10, loc="left")
    for axes in (latency, rate):
        axes.set_xscale("log", base=2)
        axes.set_xticks(clients, minor=False)
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("clients", fontsize=10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    latency.legend(frameon=False, fontsize=8)
    figure.savefig(file)
