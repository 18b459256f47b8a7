"""Writes the baselines of docs/offline.md from the records alone: nothing is typed by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import tables
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import read
from benchmarks.offline import methods, records, summary
from benchmarks.offline.data_sets import NONE, PRESET_THEN, SETS
from benchmarks.offline.methods import METHODS, NUMBERS, Job
from benchmarks.offline.records import DataRow, Row
from benchmarks.scores import records as score_records
from benchmarks.scores import summary as score_summary
from benchmarks.scores.variants import config_hash
from dqn_tf.config.notation import flag_words
from dqn_tf.support.errors import UserError

BEGIN = "<!-- baselines, generated -->\n"
END = "<!-- end of baselines -->\n"
WITHOUT = "without data"
WITHIN = 20.0  # of the data's return; the aim on other environments than CartPole
AIMED = "replay"
STEPS_HEADER = ("run", "data", "runs", "reached", "steps, median [95 %]", "of online alone")
DATA_HEADER = ("data", "steps", "episodes", "mean return [95 %]", "best 10 %", "policy")

Cells = dict[tuple[str, str], list[Row]]  # by method and data set
Timed = dict[tuple[str, str], summary.Steps]


def render(results: Path, scores: Path = RESULTS / "scores") -> str:
    """Write the section between the markers from all records in `results`.

    The runs of `online_alone` are in the records of benchmarks.scores, where they are long.
    """
    data_rows = read(results / records.DATA_SETS, DataRow)
    sections = []
    for env in methods.ENVS:
        of_env = [row for row in data_rows if row.env == env]
        rows = read(records.path(results, env), Row)
        if rows and of_env:
            alone = _alone(env, scores) if NUMBERS[env].alone_in_scores else None
            sections.append(_section(env, rows, of_env, alone))
    return "\n".join(sections) or "Not measured yet.\n"


def write(page: Path, text: str) -> None:
    """Put the text between the markers of a page. Raises UserError if it has none."""
    old = page.read_text(encoding="utf-8") if page.exists() else BEGIN + END
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{page} has no lines {BEGIN.strip()} and {END.strip()} to write between.")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def counted(env: str, rows: Sequence[Row], data_rows: Sequence[DataRow]) -> list[Row]:
    """Select the runs of today's settings on the data sets as they are recorded."""
    digests = {""} | {row.digest for row in data_rows} | {row.best_digest for row in data_rows}

    def current(row: Row) -> str:
        job = Job(env, row.data_set, row.method, row.seed)
        return config_hash(methods.nameless(methods.configure(job, Path(), {})))

    known = [row for row in rows if row.method in METHODS and row.digest in digests]
    return summary.newest(known, current)


def _alone(env: str, scores: Path) -> summary.Steps | None:
    """Return the steps of `recommended` to the threshold, None if there are no such runs."""
    rows = read(score_records.path(scores, env), score_records.Row)
    for found in score_summary.summaries(env, rows, PRESET_THEN.get(env, {})):
        if found.variant == "recommended":
            return summary.steps([(row.steps_to_threshold, row.total_steps) for row in found.rows])
    return None


def _section(
    env: str,
    rows: Sequence[Row],
    all_data: Sequence[DataRow],
    alone: summary.Steps | None,
) -> str:
    by_name = {row.data_set: row for row in all_data}  # of the same set, the row made last
    data_rows = [by_name[name] for name in SETS if name in by_name]
    runs = counted(env, rows, data_rows)
    cells: Cells = {}
    for row in runs:
        cells.setdefault((row.method, row.data_set), []).append(row)
    lines = [f"### {env}", "", *tables.markdown(DATA_HEADER, map(_data_cells, data_rows)), ""]
    lines += [*tables.markdown(*_score_table(cells, data_rows)), ""]
    lines += [*_score_aim(env, cells, data_rows), ""]
    timed = _timed(cells)
    if alone is not None:
        timed = {("online_alone", NONE): alone} | timed
    if timed:
        lines += [*tables.markdown(STEPS_HEADER, _steps_table(timed)), "", *_steps_aim(timed), ""]
    lines += [*_settings(env, cells), ""]
    if runs:
        lines += [_versions(runs), ""]
    outdated = len(rows) - len(runs)
    if outdated:
        lines += [f"{outdated} further rows are of other settings or data and do not count.", ""]
    return "\n".join(lines)


def _data_cells(row: DataRow) -> tuple[str, ...]:
    return (
        row.data_set,
        f"{row.rows:,}",
        f"{row.episodes:,}",
        f"{row.mean:.1f} [{row.low:.1f}, {row.high:.1f}]",
        f"{row.best_mean:.1f}",
        "—" if row.policy is None else f"{row.policy:.1f}",
    )


def _score_table(
    cells: Cells, data_rows: Sequence[DataRow]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    names = [row.data_set for row in data_rows]
    header = ("method", *names, WITHOUT, "runs", "CPU seconds")
    data_means = [f"{row.mean:.1f} [{row.low:.1f}, {row.high:.1f}]" for row in data_rows]
    lines = [("the data's own return", *data_means, "—", "—", "—")]
    for name, method in METHODS.items():
        found = {key: summary.score(rows) for key, rows in cells.items() if key[0] == name}
        if not method.is_scored or not found:
            continue
        shown = []
        for data_set in (*names, NONE):
            score = found.get((name, data_set))
            shown.append("—" if score is None else score.mean.show())
        counts = sorted({score.runs for score in found.values()})
        seconds = max(score.cpu_seconds for score in found.values())
        runs = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
        lines.append((method.title, *shown, runs, f"{seconds:.1f}"))
    return header, lines


def _score_aim(env: str, cells: Cells, data_rows: Sequence[DataRow]) -> list[str]:
    """Say for each method whether it meets the aim on the data set that it is about."""
    best = max(data_rows, key=lambda row: row.mean)
    policy = max(row.policy or -np.inf for row in data_rows)
    if env == "CartPole-v1":
        bars = {"at least Gymnasium's threshold": NUMBERS[env].threshold}
    else:
        bars = {
            f"within {WITHIN:g} of the best data's return, that of `{best.data_set}`": best.mean,
            f"within {WITHIN:g} of the best policy that played": policy,
        }
        bars = {words: value - WITHIN for words, value in bars.items()}
    lines = []
    for words, bar in bars.items():
        lines += [f"Aim: offline from `{AIMED}` {words} ({bar:.1f}).", ""]
        for name, method in METHODS.items():
            rows = cells.get((name, AIMED))
            if rows and method.is_scored:
                mean = summary.score(rows).mean
                verdict = "met" if mean.value >= bar else "missed"
                lines.append(f"- {method.title}: **{verdict}**, {mean.show()}.")
        lines.append("")
    return lines[:-1]


def _timed(cells: Cells) -> Timed:
    """Return the steps to the threshold by method and data set, in the order of the table."""
    order = (*SETS, NONE)
    keys = [key for key in cells if not METHODS[key[0]].is_scored]
    keys.sort(key=lambda key: (list(METHODS).index(key[0]), order.index(key[1])))
    pairs = {key: [(row.steps_to_threshold, row.env_steps) for row in cells[key]] for key in keys}
    return {key: summary.steps(runs) for key, runs in pairs.items()}


def _steps_table(timed: Timed) -> list[tuple[str, ...]]:
    alone = timed.get(("online_alone", NONE))
    lines: list[tuple[str, ...]] = []
    for (name, data_set), found in timed.items():
        ratio = "—"
        if alone and name != "online_alone":
            ratio = found.share_of(alone)
        shown = "—" if data_set == NONE else data_set
        line = (METHODS[name].title, shown, str(found.runs), str(found.reached), found.show())
        lines.append((*line, ratio))
    return lines


def _steps_aim(timed: Timed) -> list[str]:
    """Say for each data set whether online after offline needs at most half the steps."""
    alone = timed.get(("online_alone", NONE))
    verdicts = []
    for (name, data_set), found in timed.items():
        if name == "offline_first" and alone:
            verdict = "met" if found.median.value <= alone.median.value / 2 else "missed"
            verdicts.append(f"- after `{data_set}`: **{verdict}**.")
    return ["Aim: at most half the steps of online alone.", "", *verdicts]


def _settings(env: str, cells: Cells) -> list[str]:
    """List the flags of each method, as they are recorded."""
    lines = []
    if then := PRESET_THEN.get(env):
        words = [word for name, value in then.items() for word in flag_words(name, value)]
        lines += [
            f"The preset has other values by now: to repeat a run, add `{' '.join(words)}`.",
            "",
        ]
    lines += ["Flags of `train.py`, here with the data set that is named:", ""]
    for name, method in METHODS.items():
        of_method = [(key, rows) for key, rows in cells.items() if key[0] == name]
        if of_method:
            chosen = dict(of_method).get((name, AIMED), of_method[0][1])
            lines.append(f"- {method.title}: `{chosen[-1].settings}`")
    return lines


def _versions(rows: Sequence[Row]) -> str:
    parts = []
    for name in ("dqn_tf", "tensorflow", "gymnasium", "numpy", "python"):
        versions = sorted({getattr(row, name) for row in rows})
        parts.append(f"{name} {' and '.join(versions)}")
    machines = sorted({row.machine for row in rows})
    dates = sorted({row.date for row in rows})
    days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return f"One thread; {' and '.join(machines)}; {', '.join(parts)}; {days}."
