"""Writes the tables of choices as texts in docs/language.md from the records."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.choices import experiments
from benchmarks.choices.experiments import BY_NAME, EXPERIMENTS, SEEDS
from benchmarks.choices.records import AFTER, FILE, Row
from benchmarks.common import run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate, versions
from dqn_tf.envs.applications import readers
from dqn_tf.envs.applications.issue_beliefs import IssueBeliefs

BEGIN = "<!-- choices measured, generated -->\n"
END = "<!-- end of choices measured -->\n"
NOT_MEASURED = "—"
PAIRS = (4, 5)


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    counted = [run for name in _names() for run in current(name, rows)]
    if not counted:
        return "Not measured yet.\n"
    lines = [
        *_helpdesk(rows),
        "",
        *_titles(rows),
        "",
        "Settings that are not the general defaults; no preset has a part in them:",
        "",
    ]
    for name, title in _names().items():
        if runs := current(name, rows):
            lines.append(f"- {title}: `{runs[-1].settings}`")
    return "\n".join([*lines, "", versions(counted), ""])


def current(name: str, rows: Sequence[Row]) -> list[Row]:
    """Select an experiment's runs of today's settings; of a seed done twice, the later."""
    first, is_after = name.removesuffix(AFTER), name.endswith(AFTER)
    configure = experiments.configure_after if is_after else experiments.configure
    return run_records.current(rows, name, configure(BY_NAME[first], 0, {}), SEEDS)


def _names() -> dict[str, str]:
    """Return what each run is called in the records, with its title."""
    names = {}
    for experiment in EXPERIMENTS:
        names[experiment.name] = f"{experiment.env}, {experiment.title}"
        if experiment.after is not None:
            names[experiment.name + AFTER] = f"{names[experiment.name]}, with two more answers"
    short = f"{BY_NAME['from_nothing'].env}, the same number of steps from nothing"
    return names | {"from_nothing": short}


def _helpdesk(rows: Sequence[Row]) -> list[str]:
    """Return the table of the helpdesk: what is trained on four pairs, and what comes after."""
    header = ("Helpdesk, return [95 %]", "four pairs", "five pairs", "runs", "steps", "CPU s")
    exact = [IssueBeliefs(pairs) for pairs in PAIRS]
    lines = [
        ("optimum", *(f"{beliefs.optimum():.4f}" for beliefs in exact), *["exact"] * 3),
        _cells("texts, before and right after the addition", "texts", rows),
        _cells("texts, after 2,000 more steps with five pairs", "texts" + AFTER, rows),
        _cells("texts, 2,000 steps with five pairs from nothing", "from_nothing", rows),
        _cells("numbered answers", "numbered", rows),
        (
            "best without asking",
            *(f"{beliefs.optimum_without_asking():.4f}" for beliefs in exact),
            *["exact"] * 3,
        ),
        ("at random", *(f"{beliefs.at_random():.4f}" for beliefs in exact), *["exact"] * 3),
    ]
    return tables.markdown(header, lines)


def _cells(title: str, name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    runs = current(name, rows)
    if not runs:
        return (title, *[NOT_MEASURED] * 5)
    scores = [[getattr(run, column) for run in runs] for column in ("score_four", "score_five")]
    if None in scores[0]:  # numbered: four pairs, and no fifth
        scores = [[run.score for run in runs], []]
    shown = [estimate(values).show(3) if values else NOT_MEASURED for values in scores]
    return (title, *shown, *_costs(runs))


def _titles(rows: Sequence[Row]) -> list[str]:
    """Return the table of titles in any order."""
    header = ("TitleRec, any order, return [95 %]", "return", "runs", "steps", "CPU s")
    exact = {
        "optimum": "optimum",
        "most likely click now": "greedy",
        "at random": "at_random",
    }
    lines = [(title, _reader(name), *["exact"] * 3) for title, name in exact.items()]
    trained = []
    for name in ("titles_texts", "titles_numbered"):
        if runs := current(name, rows):
            score = estimate([run.score for run in runs]).show(2)
            trained.append((BY_NAME[name].title, score, *_costs(runs)))
    return tables.markdown(header, [lines[0], *trained, *lines[1:]])


def _reader(policy: str) -> str:
    return f"{readers.mean_over_readers(policy):.2f}"


def _costs(runs: Sequence[Row]) -> tuple[str, str, str]:
    seconds = np.median([run.cpu_seconds for run in runs])
    return str(len(runs)), f"{runs[-1].env_steps:,}", f"{seconds:.0f}"
