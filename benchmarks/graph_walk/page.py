"""Writes the part "Walks, measured" of docs/language.md from the records; nothing is typed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate, verdict
from benchmarks.graph_walk import page_parts, plot, summary
from benchmarks.graph_walk.experiments import (
    BY_NAME,
    GRAPHS,
    MAIN,
    OFFLINE_NAME,
    ONLINE_NAME,
    Experiment,
)
from benchmarks.graph_walk.records import FILE, Row
from benchmarks.graph_walk.summary import current
from benchmarks.graph_walk.yardsticks import EXACT, exact_rows

BEGIN = "<!-- walks measured, generated -->\n"
END = "<!-- end of walks measured -->\n"
HEADER = ("return (success)", *(f"graph {graph}" for graph in GRAPHS))
WITHIN = 0.1  # of the optimum, and on graph 1 a return of at least BEST_KNOWN
BEST_KNOWN = -2.90
SEEDS, MAY_MISS = 5, 1
SECONDS = {ONLINE_NAME: 120, OFFLINE_NAME: 60}
NOT_MEASURED = "—"


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    if not rows:
        return "Not measured yet.\n"
    lines = [*_main_table(rows), *_costs(rows), *_aims(rows)]
    lines += page_parts.ablation(rows) + page_parts.acting(rows) + page_parts.units(rows)
    lines += ["", page_parts.commands(rows), "", f"Beside other work. {report.versions(rows)}", ""]
    return "\n".join(lines)


def draw(results: Path) -> None:
    """Draw the picture that the section shows, if there are runs for it."""
    rows = read(results / FILE, Row)
    optimum = exact_rows()[GRAPHS[0]][EXACT[0]][0]
    if page_parts.has_picture(rows):
        plot.ablation(rows, optimum, results / page_parts.PICTURE)


def _main_table(rows: Sequence[Row]) -> list[str]:
    exact = exact_rows()
    cells = [_exact_cells(EXACT[0], exact)]
    for experiment in MAIN:
        cells.append(_cells(experiment.title, experiment, rows))
    for name in ("monte_carlo", "cloned_successes"):
        experiment = BY_NAME[name]
        title = f"{experiment.title}, trained"
        cells.append(_cells(title, experiment, rows))
    for name, title in (
        ("best", "the language model, best of 8"),
        ("sampled", "the language model, sampled"),
        ("greedy", "the language model, greedy"),
    ):
        cells.append(_model_cells(name, title, rows))
    cells += [_exact_cells(title, exact) for title in EXACT[1:]]
    cells = [line for line in cells if set(line[1:]) != {NOT_MEASURED}]
    return [
        "Mean return over all 39 starts, and the share of them from which the goal is reached: the"
        " mean of the runs and its 95 % interval. Tables are exact. The language model is the"
        " pretrained behaviour head by itself; cloning of successes is the same, taught the walks"
        " that arrive; Monte-Carlo Q is the offline agent, taught each walk's own return.",
        "",
        *tables.markdown(HEADER, cells),
        "",
    ]


def _cells(title: str, experiment: Experiment, rows: Sequence[Row]) -> list[str]:
    cells = [title]
    for graph in GRAPHS:
        runs = current(experiment, graph, rows)
        cells.append(_show(runs) if runs else NOT_MEASURED)
    return cells


def _show(runs: Sequence[Row]) -> str:
    score = estimate([run.score for run in runs])
    share = float(np.mean([run.success for run in runs]))
    few = "" if len(runs) == 5 else f", {len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    return f"{score.show(2)} ({share:.1%}){few}"


def _model_cells(way: str, title: str, rows: Sequence[Row]) -> list[str]:
    cells = [title]
    for graph in GRAPHS:
        runs = current(BY_NAME[ONLINE_NAME], graph, rows)
        if not runs:
            cells.append(NOT_MEASURED)
            continue
        score, share = summary.model(runs, way)
        cells.append(f"{score.show(2)} ({share.value:.1%})")
    return cells


def _exact_cells(title: str, exact: dict[str, dict[str, tuple[float, float]]]) -> list[str]:
    pairs = [exact[graph][title] for graph in GRAPHS]
    return [f"{title}, table", *(f"{score:.2f} ({share:.1%})" for score, share in pairs)]


def _costs(rows: Sequence[Row]) -> list[str]:
    header = ("", "steps", "updates", "CPU s", "of it compiling", "s, without compiling", "nats")
    cells = []
    for experiment in MAIN:
        runs = [run for graph in GRAPHS for run in current(experiment, graph, rows)]
        if not runs:
            continue
        cells.append(
            (
                experiment.title,
                f"{runs[-1].env_steps:,}",
                f"{runs[-1].updates:,}",
                *(
                    f"{np.median([getattr(run, name) for run in runs]):.0f}"
                    for name in ("cpu_seconds", "compiling_cpu_seconds", "seconds")
                ),
                _nats(runs),
            )
        )
    return [
        "What a run costs, as medians over seeds and graphs; nats are the cross-entropy of the"
        " language model on held-out walks, after pretraining and at the end.",
        "",
        *tables.markdown(header, cells),
        "",
    ]


def _nats(runs: Sequence[Row]) -> str:
    """Show the mean cross-entropies of the runs that have a language model."""
    pairs = [
        (run.pretrained_cross_entropy, run.held_out_cross_entropy)
        for run in runs
        if run.pretrained_cross_entropy is not None and run.held_out_cross_entropy is not None
    ]
    if not pairs:
        return NOT_MEASURED
    before, after = np.mean(pairs, axis=0)
    return f"{before:.2f} → {after:.2f}"


def _aims(rows: Sequence[Row]) -> list[str]:
    """Say for each aim whether it is met."""
    lines = [
        "Aims: a return within 0.1 of the optimum (on graph 1 of at least -2.90) and all starts"
        " successful in at least four of five seeds. Open is what too few runs tell.",
        "",
    ]
    for experiment in MAIN:
        parts = list(_met_by_graph(experiment.name, rows))
        runs = [run for graph in GRAPHS for run in current(experiment, graph, rows)]
        if not runs:
            continue
        limit = SECONDS[experiment.name]
        seconds = float(np.median([run.cpu_seconds for run in runs]))
        quick = f"within {limit} s {verdict(seconds <= limit)}, {seconds:.1f} CPU s"
        lines.append(f"- {experiment.title}: {'; '.join(parts)}; {quick}.")
    return [*lines, ""]


def _met_by_graph(name: str, rows: Sequence[Row]) -> Iterator[str]:
    for graph in GRAPHS:
        runs = current(BY_NAME[name], graph, rows)
        if not runs:
            continue
        least = least_return(graph)
        good = sum(run.score >= least and run.success == 1.0 for run in runs)
        if len(runs) - good > MAY_MISS:
            shown = verdict(False)
        else:
            shown = verdict(True) if good >= SEEDS - MAY_MISS else "open"
        yield f"graph {graph} {shown}, {good} of {len(runs)}"


def least_return(graph: str) -> float:
    """Return the aim on a graph."""
    if graph == GRAPHS[0]:
        return BEST_KNOWN
    return exact_rows()[graph][EXACT[0]][0] - WITHIN
