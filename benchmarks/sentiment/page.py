"""Writes the part "Sentiment" of docs/language.md and its picture from the records."""

import os
from pathlib import Path

from benchmarks.common import report, tables
from benchmarks.common.flags import DOCS
from benchmarks.common.records import read
from benchmarks.scores.statistics import Estimate
from benchmarks.scores.variants import config_hash
from benchmarks.sentiment import experiments
from benchmarks.sentiment.experiments import EXPERIMENTS, LABELS, Experiment
from benchmarks.sentiment.records import FILE, Row
from dqn_tf.support.figures import Figure, FigureCanvasAgg

BEGIN = "<!-- sentiment measured, generated -->\n"
END = "<!-- end of sentiment measured -->\n"
PICTURE = "accuracy.png"
COLORS = ("#1f4e8c", "#c8452d")


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    lines = _runs(results)
    if not lines:
        return "Not measured yet.\n"
    header = ("right on the test [95 %]", *(f"{labels:,} labels" for labels in LABELS), "runs")
    cells = [
        (each.title, *(_show(shares[labels]) for labels in LABELS), str(len(lines[each])))
        for each, shares in _curves(lines).items()
    ]
    picture = os.path.relpath(results / PICTURE, DOCS)
    used = [row for runs in lines.values() for row in runs]
    parts = [
        *tables.markdown(header, cells),
        "",
        f"![Share of the test that is right, by the number of labels]({picture})",
        "",
        f"Beside other work. {report.versions(used)}",
    ]
    return "\n".join([*parts, ""])


def current(experiment: Experiment, rows: list[Row]) -> list[Row]:
    """Select an experiment's runs of today's settings; of a seed done twice, the later."""
    found = {
        row.seed: row
        for row in rows
        if row.experiment == experiment.name
        and row.seed in experiment.seeds
        and row.config_hash == config_hash(experiments.configure(experiment, row.seed, {}))
    }
    return list(found.values())


def curve(runs: list[Row]) -> dict[int, Estimate]:
    """Return the mean share over the runs by the number of labels."""
    return {labels: report.estimate([run.by_labels()[labels] for run in runs]) for labels in LABELS}


def draw(results: Path) -> None:
    """Draw each method's mean with its interval over the number of labels, if there are runs."""
    lines = _runs(results)
    if not lines:
        return
    figure = Figure(figsize=(6, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for color, (experiment, shares) in zip(COLORS, _curves(lines).items(), strict=False):
        means = [share.value for share in shares.values()]
        low = [share.value - share.low for share in shares.values()]
        high = [share.high - share.value for share in shares.values()]
        axes.errorbar(
            list(shares), means, yerr=[low, high], color=color, capsize=3, label=experiment.title
        )
    axes.set_xscale("log")
    axes.set_xticks(LABELS, minor=False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
    axes.set_xlabel("labels, or outcomes of one", fontsize=9)
    axes.set_ylabel("right on the test", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(results / PICTURE)


def _runs(results: Path) -> dict[Experiment, list[Row]]:
    rows = read(results / FILE, Row)
    return {each: runs for each in EXPERIMENTS if (runs := current(each, rows))}


def _curves(lines: dict[Experiment, list[Row]]) -> dict[Experiment, dict[int, Estimate]]:
    return {each: curve(runs) for each, runs in lines.items()}


def _show(share: Estimate) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"
