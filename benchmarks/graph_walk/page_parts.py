"""The further tables of the page: the ablation, the ways of acting, the units of replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.common import tables
from benchmarks.common.report import estimate, verdict
from benchmarks.graph_walk import summary
from benchmarks.graph_walk.experiments import (
    ABLATION,
    BY_NAME,
    EXPERIMENTS,
    FEWER_GRAPHS,
    GRAPHS,
    LOST_NAME,
    ONLINE_NAME,
    UNITS,
    WHOLE,
    Experiment,
    configure,
)
from benchmarks.graph_walk.records import Row
from benchmarks.graph_walk.summary import current
from benchmarks.scores.variants import settings

MOST_RISE, LEAST_LOSS = 0.15, 2.0  # nats: with rehearsal, without
GOOD = -3.0
PICTURE = "ablation.png"
WAYS = {
    "q": "Q alone",
    "support": "Q within the support of 0.005",
    "beta_1": "log π + Q",
    "beta_4": "log π + 4 Q",
    "beta_16": "log π + 16 Q",
    "model": "log π alone",
}


def ablation(rows: Sequence[Row]) -> list[str]:
    """Write the table of what is left out, and the aims of rehearsal."""
    cells = [cells for each in ABLATION if (cells := _ablation_cells(each, rows))]
    if len(cells) < 2:
        return []
    return _ablation_table(cells) + _rehearsal_aims(rows) + _picture(rows)


def _ablation_table(cells: list[list[str]]) -> list[str]:
    graphs = [f"graph {graph}" for graph in FEWER_GRAPHS]
    header = ("online, without", *graphs, "success", f"CPU s to {GOOD}", "nats", "rise", "KL")
    return [
        "### What each part brings",
        "",
        "Each row is the preset at half its steps, 20,000, with something left out: the mean return"
        " [of the worst run, of the best] and the number of runs; then over all graphs the success,"
        f" the median CPU seconds until the greedy return is first {GOOD} on graph 1 (compilation"
        " not counted), the cross-entropy of the language model on held-out walks at the end, its"
        " rise over the pretrained one, and KL(π0 || π) to the pretrained one. Batches hold walks,"
        " too, except in the last row.",
        "",
        *tables.markdown(header, cells),
        "",
    ]


def has_picture(rows: Sequence[Row]) -> bool:
    """Tell whether something was left out on the first graph, beside what it is compared with."""
    measured = [each.name for each in ABLATION if current(each, GRAPHS[0], rows)]
    return WHOLE in measured and len(measured) > 1


def _picture(rows: Sequence[Row]) -> list[str]:
    if not has_picture(rows):
        return []
    path = f"../benchmarks/results/graph_walk/{PICTURE}"
    return ["", f"![Greedy return on graph 1 with something left out, by steps]({path})", ""]


def _ablation_cells(experiment: Experiment, rows: Sequence[Row]) -> list[str]:
    by_graph = {graph: current(experiment, graph, rows) for graph in FEWER_GRAPHS}
    runs = [run for part in by_graph.values() for run in part]
    if not runs:
        return []
    return [
        experiment.title,
        *(_mean_of(by_graph[graph]) for graph in FEWER_GRAPHS),
        f"{np.mean([run.success for run in runs]):.1%}",
        _time_to_good(by_graph[FEWER_GRAPHS[0]]),
        _mean([run.held_out_cross_entropy for run in runs]),
        _mean(summary.rises(runs)),
        _mean([run.kl_to_pretrained for run in runs]),
    ]


def _mean_of(runs: Sequence[Row]) -> str:
    if not runs:
        return "—"
    values = [run.score for run in runs]
    spread = f" [{min(values):.2f}, {max(values):.2f}]" if len(runs) > 1 else ""
    return f"{np.mean(values):.2f}{spread}, {len(runs)}"


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f}" if known else "—"


def _time_to_good(runs: Sequence[Row]) -> str:
    """Return the median, of runs that get there; how many, where not all do."""
    found = [seconds for run in runs if (seconds := summary.seconds_to(run, GOOD)) is not None]
    if not found:
        return "never" if runs else "—"
    few = "" if len(found) == len(runs) else f" ({len(found)} of {len(runs)})"
    return f"{np.median(found):.0f}{few}"


def _rehearsal_aims(rows: Sequence[Row]) -> list[str]:
    lines = []
    aims: list[tuple[str, str, Callable[[float], bool]]] = [
        (ONLINE_NAME, f"at most {MOST_RISE} by the preset, with rehearsal", _is_kept),
        (LOST_NAME, f"more than {LEAST_LOSS:g} without it, in as many steps", _is_lost),
    ]
    for name, sentence, is_good in aims:
        runs = [run for graph in GRAPHS for run in current(BY_NAME[name], graph, rows)]
        found = summary.rises(runs)
        if found:
            good = sum(map(is_good, found))
            spread = f"{min(found):.2f} to {max(found):.2f}, mean {np.mean(found):.2f}"
            shown = f"in {good} of {len(found)} runs, {spread}"
            is_met = verdict(good == len(found))
            lines.append(f"- The cross-entropy rises by {sentence}: {is_met}, {shown}.")
    return lines


def _is_kept(rise: float) -> bool:
    return rise <= MOST_RISE


def _is_lost(rise: float) -> bool:
    return rise > LEAST_LOSS


def acting(rows: Sequence[Row]) -> list[str]:
    """Write the table of the ways of acting by the same weights."""
    cells = []
    for way, title in WAYS.items():
        line = [title]
        for graph in GRAPHS:
            runs = current(BY_NAME[ONLINE_NAME], graph, rows)
            pairs = [summary.acting(run)[way] for run in runs]
            score, share = np.mean(pairs, axis=0) if pairs else (np.nan, np.nan)
            line.append(f"{score:.2f} ({share:.0%})" if pairs else "—")
        cells.append(line)
    header = ["acting by", *(f"graph {graph}" for graph in GRAPHS)]
    return [
        "### Ways to act by the same weights",
        "",
        "Mean return (success) of the weights that the online runs above end with.",
        "",
        *tables.markdown(header, cells),
        "",
    ]


def units(rows: Sequence[Row]) -> list[str]:
    """Write the table of whole episodes against single transitions."""
    cells = []
    for experiment in (BY_NAME[ONLINE_NAME]._replace(title="64 whole episodes"), *UNITS):
        runs = current(experiment, GRAPHS[0], rows)
        if not runs:
            continue
        seconds = [run.cpu_seconds - run.compiling_cpu_seconds for run in runs]
        updates = np.array([run.updates for run in runs])
        cells.append(
            (
                experiment.title,
                estimate([run.score for run in runs]).show(2),
                f"{np.mean([run.success for run in runs]):.1%}",
                _time_to_good(runs),
                f"{np.median(seconds):.0f}",
                f"{1000 * np.median(seconds / updates):.0f}",
                str(len(runs)),
            )
        )
    if len(cells) < 2:
        return []
    header = (
        "a batch",
        "return",
        "success",
        f"CPU s to {GOOD}",
        "CPU s in all",
        "CPU ms an update",
        "runs",
    )
    return [
        "### Whole episodes against single transitions",
        "",
        "Graph 1, online, the preset but for `--replay_unit` and, with transitions,"
        " `--replay_capacity=100000`. As many updates; an update's time counts the 40 steps that it"
        " is due for. Compilation is not counted.",
        "",
        *tables.markdown(header, cells),
        "",
    ]


def commands(rows: Sequence[Row]) -> str:
    """List the flags of each experiment, and how to repeat it."""
    lines = ["Flags of `train.py` on graph 1, where they are not those of the preset:", ""]
    for experiment in EXPERIMENTS:
        if current(experiment, GRAPHS[0], rows):
            config = configure(experiment, GRAPHS[0], 0, {})
            lines.append(f"- {experiment.title}: `{settings(config)}`")
    return "\n".join([*lines, "", "All of it: `python -m benchmarks.graph_walk`."])
