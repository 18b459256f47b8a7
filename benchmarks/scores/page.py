"""Writes docs/results.md from the records alone: nothing on it is typed by hand."""

import os
from pathlib import Path

from benchmarks.common import tables
from benchmarks.common.report import judged, packages_and_days
from benchmarks.scores import records
from benchmarks.scores.published import AIMS, PUBLISHED, Aim
from benchmarks.scores.records import Row
from benchmarks.scores.summary import HEADER, Summary, cells, summaries
from benchmarks.scores.variants import configure
from dqn_tf.config.dqn_config import DQNConfig

PUBLISHED_HEADER = ("system", "score", "measured on", "source")

OPENING = """# Results

Written by `python -m benchmarks.scores --render_only` from the rows in
`benchmarks/results/scores`; do not edit it.

A run is one seed. Its score is the mean return of {episodes} greedy episodes on a separate
environment, on seeds used nowhere else, after the last update: the last weights, not the best
ones. Where published scores are of more episodes, or not of greedy ones, it is measured as they
are, and the table says how. IQM is the interquartile mean of the runs' scores, with its 95 %
stratified bootstrap interval (Agarwal et al. 2021). "Best weights" are those that did best in
the evaluations during the run, tested in the same way. P(better than dqn) is the probability
that a run of the variant scores above a run of plain DQN, ties counted half. The threshold is
Gymnasium's own; the steps to it are those of the first evaluation at or above. Seconds, CPU
seconds and steps/s are medians of collecting and learning, compilation included, one thread for
each run while other runs shared the machine. `dqn` is plain DQN of the environment's preset,
`recommended` is what `train.py` runs, every other variant is plain DQN and that one change.
"""


def render(results: Path, page: Path) -> str:
    """Write the page's text from all records in `results`; its links are relative to `page`."""
    rows_by_env = records.by_env(results)
    envs = [env for env in AIMS if env in rows_by_env]
    envs += [env for env in rows_by_env if env not in AIMS]
    sections = [_section(env, rows_by_env[env], results, page) for env in envs]
    return "\n".join([OPENING.format(episodes=DQNConfig.test_episodes), *sections])


def _section(env: str, rows: list[Row], results: Path, page: Path) -> str:
    lines = [f"## {env}", ""]
    if env in PUBLISHED:
        lines += ["Published:", "", *tables.markdown(PUBLISHED_HEADER, PUBLISHED[env]), ""]
    aims = AIMS.get(env, [])
    picture = Path(os.path.relpath(records.picture(results, env), page.parent)).as_posix()
    own = summaries(env, rows, {})
    lines += _measured(
        env, own, aims[0] if aims else None, f"![Learning curves on {env}]({picture})"
    )
    counted = _rows(own)
    for env_aim in aims[1:]:
        found = summaries(env, rows, {"total_steps": env_aim.total_steps})
        lines += ["", *_measured(env, found, env_aim)]
        counted += _rows(found)
    if counted:
        lines += ["", packages_and_days(counted)]
    outdated = len(rows) - len({(row.config_hash, row.seed) for row in counted})
    if outdated:
        lines += [
            "",
            f"{outdated} further rows are of other settings than today's and do not count.",
        ]
    return "\n".join([*lines, ""])


def _rows(env_summaries: list[Summary]) -> list[Row]:
    return [row for summary in env_summaries for row in summary.rows]


def _measured(
    env: str, env_summaries: list[Summary], env_aim: Aim | None, picture: str = ""
) -> list[str]:
    """Return the runs of one length: what became of the aim, table, picture and command."""
    lines = [] if env_aim is None else aim(env_aim, env_summaries)
    if not env_summaries:
        return lines
    if lines:
        lines.append("")
    first = env_summaries[0].rows[0]
    seeds = max(len(summary.rows) for summary in env_summaries)
    names = ",".join(summary.variant for summary in env_summaries)
    words = [f"--env={env}", f"--seeds={seeds}", f"--variants={names}"]
    config = configure(env, "dqn", 0, {})
    if first.total_steps != config.total_steps:
        words.append(f"--total_steps={first.total_steps}")
    lines += [
        f"dqn_tf after {first.total_steps:,} steps{_tested(config)}:",
        "",
        *tables.markdown(HEADER, map(cells, env_summaries)),
    ]
    if picture:
        lines += ["", picture]
    return [*lines, "", f"`python -m benchmarks.scores {' '.join(words)}`"]


def _tested(config: DQNConfig) -> str:
    """Say how a score was measured, if not by so many greedy episodes as elsewhere."""
    if (config.test_episodes, config.test_epsilon) == (DQNConfig.test_episodes, 0.0):
        return ""
    return f", scores of {config.test_episodes:,} episodes at epsilon {config.test_epsilon:g}"


def aim(env_aim: Aim, env_summaries: list[Summary]) -> list[str]:
    """Say whether an aim is met, for `recommended` and for `dqn`.

    It is judged by RUNS runs or more.
    """
    opening = f"Aim: an IQM of at least {env_aim.iqm:g} after {env_aim.total_steps:,} steps."
    by_variant = {summary.variant: summary for summary in env_summaries}
    sentences = []
    for variant in ("recommended", "dqn"):
        if variant not in by_variant:
            continue
        summary = by_variant[variant]
        runs = len(summary.rows)
        total_steps = summary.rows[0].total_steps
        in_time = total_steps <= env_aim.total_steps
        is_met = in_time and summary.iqm.value >= env_aim.iqm
        shown = f"{summary.iqm.show()} over {runs} run{'s' * (runs != 1)}"
        sentences.append(
            f"- `{variant}`: {judged(is_met, runs)}, {shown}"
            f"{'' if in_time else f', though only after {total_steps:,} steps'}."
        )
    return [opening, "", *sentences] if sentences else [opening + " Not measured yet."]
