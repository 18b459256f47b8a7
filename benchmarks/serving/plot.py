"""Latency and requests per second by the number of clients, at one observation a request."""

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving.page import by_cell
from benchmarks.serving.records import Row
from benchmarks.serving.rounds import FLOOR, Cell
from dqn_tf.support.figures import Axes, Figure, FigureCanvasAgg

# (transport, batching): label, colour and marker
STYLES = {
    ("rest", "off"): ("REST", "#1f4e8c", "o"),
    ("rest", "on"): ("REST, batching", "#7fa6d6", "s"),
    ("grpc", "off"): ("gRPC", "#c8452d", "^"),
    ("grpc", "on"): ("gRPC, batching", "#e5a28f", "D"),
}


def draw(rows: list[Row], file: Path) -> None:
    """Draw latency on the left and requests per second on the right, and write the picture."""
    figure = Figure(figsize=(10, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    latency, rate = figure.subplots(1, 2)
    batch = min(row.batch for row in rows)
    cells = by_cell([row for row in rows if row.batch == batch])
    for transport, batching in STYLES:
        _draw_lines(latency, rate, cells, transport, batching)
    for cell, rounds in cells.items():
        if cell.transport == FLOOR:
            p50_ms = median(row.p50_ms for row in rounds)
            latency.axhline(p50_ms, color="#777777", linewidth=1, label="in process")
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    latency.set_title(
        "Latency, ms: median, and dotted the 99th percentile", fontsize=10, loc="left"
    )
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    rate.set_ylim(bottom=0)
    rate.set_title("Requests per second", fontsize=10, loc="left")
    clients = sorted({cell.clients for cell in cells if cell.transport != FLOOR})
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


def _draw_lines(
    latency: Axes, rate: Axes, cells: dict[Cell, list[Row]], transport: str, batching: str
) -> None:
    """Draw the medians over the rounds of one transport, with or without batching."""
    by_clients = {
        cell.clients: rounds
        for cell, rounds in cells.items()
        if (cell.transport, cell.batching) == (transport, batching)
    }
    if not by_clients:
        return
    clients = list(by_clients)
    p50_ms = [median(row.p50_ms for row in rounds) for rounds in by_clients.values()]
    p99_ms = [median(row.p99_ms for row in rounds) for rounds in by_clients.values()]
    rates = [median(row.requests_per_second for row in rounds) for rounds in by_clients.values()]
    label, color, marker = STYLES[transport, batching]
    style: dict[str, Any] = {"color": color, "marker": marker, "markersize": 5}
    latency.plot(clients, p50_ms, label=label, linewidth=1.8, **style)
    latency.plot(clients, p99_ms, linestyle=":", linewidth=1.2, **style)
    rate.plot(clients, rates, label=label, linewidth=1.8, **style)
