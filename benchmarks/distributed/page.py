"""Writes the measured part of docs/distributed.md from the records."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate, paired_difference
from benchmarks.common.tables import spread
from benchmarks.distributed import slow_env
from benchmarks.distributed.experiments import (
    BY_NAME,
    LEARNING,
    MILLISECONDS,
    TARGET,
    WORKERS,
    Experiment,
    configure,
)
from benchmarks.distributed.records import FILE, Row
from benchmarks.distributed.returns import EPISODES

BEGIN = "<!-- distributed measured, generated -->\n"
END = "<!-- end of distributed measured -->\n"
STEPS_HEADER = (
    "a step costs",
    "workers",
    "steps/s",
    "of linear",
    "ready after, s",
    "memory of a worker: RSS, PSS, MiB",
    "CPU s",
    "rounds",
)
SYSTEM_HEADER = (
    "system",
    "steps/s",
    f"seconds to a mean return of {TARGET:.0f}",
    "steps to it",
    "steps per update",
    "ready after, s",
    "memory of a worker: RSS, PSS, MiB",
    "CPU s",
    "rounds",
)
LINEAR = 0.75  # of linear, which is aimed at up to 16 workers at 5 ms a step
TWICE = 1.7  # times the steps/s of one worker, which is aimed at with two on highway-env
KINDS = {slow_env.SLEEP: "waiting", slow_env.COMPUTE: "computing"}
Runs = dict[str, list[Row]]


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    found = run_records.by_experiment(read(results / FILE, Row), BY_NAME, configure)
    runs = {name: found.get(name, []) for name in BY_NAME}
    counted = [row for own in runs.values() for row in own]
    parts: list[tuple[str, str, Callable[[Runs], list[str]]]] = [
        ("Steps per second by workers", "steps", _steps),
        ("Overhead: CartPole", "overhead", _overhead),
        ("A slow simulator: highway-env", "highway", _highway),
        ("Beside RLlib's DQN", "rllib", _rllib),
        ("What the lag does to learning", "lag", _lag),
    ]
    lines = []
    for title, measure, write in parts:
        lines += [f"### {title}", "", *(write(runs) or [_not_yet(measure), ""])]
    if counted:
        beside = sorted({row.versions for row in counted if row.versions})
        lines += [f"{report.versions(counted)} Beside them: {'; '.join(beside)}.", ""]
    return "\n".join(lines)


def share_of_linear(runs: Runs, kind: str, milliseconds: int, workers: int) -> float | None:
    """Divide the median steps/s by that of one worker times `workers`; None if not measured."""
    own = runs[f"{kind}_{milliseconds}_{workers}"]
    one = runs[f"{kind}_{milliseconds}_1"]
    if not workers or not own or not one:
        return None
    return _speed(own) / (workers * _speed(one))


def _steps(runs: Runs) -> list[str]:
    cells = []
    for kind, counts in WORKERS.items():
        for milliseconds in MILLISECONDS:
            for count in counts:
                own = runs[f"{kind}_{milliseconds}_{count}"]
                if own:
                    share = share_of_linear(runs, kind, milliseconds, count)
                    cells.append(
                        (
                            f"{milliseconds} ms, {KINDS[kind]}",
                            str(count) if count else "0, this process",
                            _speeds(own),
                            "—" if share is None else f"{share:.2f}",
                            *_costs(own),
                        )
                    )
    if not cells:
        return []
    lines = [*tables.markdown(STEPS_HEADER, cells), ""]
    shares = {
        count: share_of_linear(runs, slow_env.SLEEP, 5, count)
        for count in WORKERS[slow_env.SLEEP]
        if 1 < count <= 16
    }
    known = {count: share for count, share in shares.items() if share is not None}
    if known:
        least = min(known, key=lambda count: known[count])
        lines += [
            f"At 5 ms a step, waiting: at least {LINEAR:g} of linear up to {max(known)} workers"
            f" {report.verdict(known[least] >= LINEAR)}, {known[least]:.2f} with {least}.",
            "",
        ]
    settings = runs_of(runs, "steps")[-1].settings
    return [*lines, f"One of them: `{settings}`", ""]


def _overhead(runs: Runs) -> list[str]:
    base = runs["cartpole_lag_0"]
    cells = []
    for experiment in _measured(runs, "overhead"):
        own = runs[experiment.name]
        ratio = f"{_speed(own) / _speed(base):.2f}" if base else "—"
        cells.append((experiment.title, _speeds(own), ratio, *_costs(own)))
    if not cells:
        return []
    header = ("CartPole-v1", "steps/s", "of the first", *STEPS_HEADER[4:])
    return [*tables.markdown(header, cells), ""]


def _highway(runs: Runs) -> list[str]:
    cells = []
    lines = []
    for experiment in _measured(runs, "highway"):
        own = runs[experiment.name]
        speeds = (f"{speed(own):,.1f}" for speed in (_training_speed, _speed))
        cells.append((experiment.title, *speeds, *_costs(own)))
        points = [point.split(":") for point in own[-1].curve.split()]
        shown = ", ".join(f"{int(step):,}: {float(mean):.1f}" for step, mean in points)
        lines.append(f"- {experiment.title}, mean greedy return by step: {shown}")
    if not cells:
        return []
    one, two = runs["highway_1"], runs["highway_2"]
    if one and two:
        ratio = _training_speed(two) / _training_speed(one)
        whole = _speed(two) / _speed(one)
        lines.append(
            f"- two workers at least {TWICE:g} times one {report.verdict(ratio >= TWICE)},"
            f" {ratio:.2f}; with the evaluations, which this process plays alone, {whole:.2f}"
        )
    header = ("highway-fast-v0", "steps/s", "with evaluations", *STEPS_HEADER[4:])
    return [*tables.markdown(header, cells), "", *lines, ""]


def _rllib(runs: Runs) -> list[str]:
    cells = []
    for experiment in _measured(runs, "rllib"):
        own = runs[experiment.name]
        cells.append(
            (
                experiment.title,
                _speeds(own),
                _reached([row.target_seconds for row in own], 1),
                _reached([row.target_steps for row in own], 0),
                f"{median(_steps_per_update(row) for row in own):.2f}",
                *_costs(own),
            )
        )
    if not cells:
        return []
    text = (
        f"5 ms a step, 16 workers, 128 environments; the return is the mean of the last {EPISODES}"
        " episodes of training."
    )
    return [text, "", *tables.markdown(SYSTEM_HEADER, cells), ""]


def _lag(runs: Runs) -> list[str]:
    measured = _measured(runs, "lag")
    if not measured:
        return []
    cells = []
    for experiment in measured:
        scores = [_score(row) for row in runs[experiment.name]]
        cells.append((experiment.title, estimate(scores).show(1), str(len(scores))))
    lines = [*tables.markdown(("CartPole-v1", "return [95 %]", "seeds"), cells), ""]
    before, after = ({row.seed: _score(row) for row in runs[f"lag_{lag}"]} for lag in (0, 1))
    words = paired_difference(before, after, digits=1)
    if words:
        lines += [f"Lag 1 less lag 0, {words}", ""]
    return lines


def runs_of(runs: Runs, measure: str) -> list[Row]:
    """Return all runs of a measure."""
    return [row for each in _measured(runs, measure) for row in runs[each.name]]


def _measured(runs: Runs, measure: str) -> list[Experiment]:
    return [each for each in BY_NAME.values() if each.measure == measure and runs[each.name]]


def _speed(rows: Sequence[Row]) -> float:
    return median(row.steps_per_second for row in rows)


def _training_speed(rows: Sequence[Row]) -> float:
    """Return the steps/s of collecting and learning alone, from the first step on."""
    return median(row.env_steps / row.seconds for row in rows)


def _speeds(rows: Sequence[Row]) -> str:
    speeds = [row.steps_per_second for row in rows]
    return spread(speeds).show() if len(speeds) > 1 else f"{speeds[0]:,.0f}"


def _costs(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the cells of start, memory, CPU time and rounds."""
    memory = [(row.worker_rss_mib, row.worker_pss_mib) for row in rows]
    known = [(rss, pss) for rss, pss in memory if rss is not None and pss is not None]
    shown = "—"
    if known:
        shown = ", ".join(f"{median(column):.0f}" for column in zip(*known, strict=True))
    return (
        f"{median(row.start_seconds or 0 for row in rows):.1f}",
        shown,
        f"{median(row.cpu_seconds for row in rows):.0f}",
        str(len(rows)),
    )


def _reached(values: Sequence[float | None], digits: int) -> str:
    """Return median and range of those that reached it, and how many that are."""
    known = [value for value in values if value is not None]
    if not known:
        return f"none of {len(values)}"
    shown = spread(known).show(digits)
    return shown if len(known) == len(values) else f"{shown}, {len(known)} of {len(values)}"


def _steps_per_update(row: Row) -> float:
    """Divide the steps after warm-up by the updates."""
    return (row.env_steps - LEARNING["warmup_env_steps"]) / max(1, row.updates)


def _score(row: Row) -> float:
    assert row.score is not None
    return row.score


def _not_yet(measure: str) -> str:
    return f"Not measured yet: `python -m benchmarks.distributed --measures={measure}`."
