"""What a search found, in words and in files: how much of it was luck, and the winner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.evaluation.statistics import FEWEST_DIFFERING, bootstrap, difference_interval, iqm
from dqn_tf.search import winner
from dqn_tf.search.fresh import Tested
from dqn_tf.search.plan import SearchPlan
from dqn_tf.support import files
from dqn_tf.support.digits import return_text, return_texts


class Interval(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "{} [{}, {}]".format(*return_texts(*self))


def iqm_of(scores: np.ndarray) -> Interval:
    """Return the IQM of scores [seeds]."""
    return Interval(float(iqm(scores)), *bootstrap(scores, iqm))


def shrinkage(tested: Tested, plan: SearchPlan) -> Interval | None:
    """Return by how much the test is below what the search saw, as a difference of IQMs.

    None where the search saw nothing, learning broke, or the test plays otherwise than the search.
    """
    if not tested.candidate.seen or tested.broke or plan.base.test_epsilon:
        return None
    seen = np.array(tested.candidate.seen)
    value = float(iqm(seen) - iqm(tested.scores))
    return Interval(value, *difference_interval(seen, tested.scores, iqm))


def choose(results: Sequence[Tested]) -> Tested | None:
    """Return the trial with the best test, or the start where that trial is worse.

    None where learning broke in all of them.
    """
    whole = [one for one in results if not one.broke and one.candidate.number is not None]
    best = max(whole, key=lambda one: float(iqm(one.scores)), default=None)
    start = _start(results)
    if best and start and _differs(best, start) and _gain(best, start).high < 0:
        return start
    return best


def versus_start(best: Tested, results: Sequence[Tested]) -> str:
    """Compare the winner with the settings that the search began with, on the same seeds."""
    if best.candidate.is_start:
        return "No trial was better than the settings that the search began with."
    start = _start(results)
    if start is None:
        return ""
    gain = _gain(best, start)
    verdict = "which shows no difference"
    if _differs(best, start) and gain.low > 0:
        verdict = "so it is better"
    return (
        f"Against the settings that the search began with: {gain} on average over the same"
        f" {len(best.scores)} seeds, {verdict}."
    )


def _start(results: Sequence[Tested]) -> Tested | None:
    """Return the test of the settings that the search began with, if learning did not break."""
    return next((one for one in results if one.candidate.is_start and not one.broke), None)


def _gain(best: Tested, start: Tested) -> Interval:
    """Return by how much one is above the other, in the mean over the same seeds."""
    differences = best.scores - start.scores
    return Interval(float(differences.mean()), *bootstrap(differences, np.mean))


def _differs(best: Tested, start: Tested) -> bool:
    """Tell whether so many seeds have other scores that an interval says something."""
    return int((best.scores != start.scores).sum()) >= FEWEST_DIFFERING


def table(results: Sequence[Tested], plan: SearchPlan) -> list[str]:
    """Return the lines of what was seen and what was tested."""
    rows = [
        (
            "settings",
            f"search, {len(plan.seeds)} seeds",
            f"test, {len(plan.test_seeds)} fresh seeds{_played(plan)}",
            "shrinkage",
        )
    ]
    for one in results:
        seen = str(iqm_of(np.array(one.candidate.seen))) if one.candidate.seen else "-"
        lost = str(shrinkage(one, plan) or "-")
        test = one.broke or str(iqm_of(one.scores))
        rows.append((one.candidate.title, seen, test, lost))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _played(plan: SearchPlan) -> str:
    epsilon = plan.base.test_epsilon
    return f", epsilon {epsilon:g}" if epsilon else ""


def text(results: Sequence[Tested], plan: SearchPlan) -> str:
    """Return the closing lines: the table, the luck in it, and the winner."""
    lines = ["IQM over the seeds with 95 % bootstrap intervals:", "", *table(results, plan), ""]
    lost = [shrunk for one in results if (shrunk := shrinkage(one, plan))]
    if lost:
        mean = float(np.mean([shrunk.value for shrunk in lost]))
        luck = f"{return_text(mean)} too high on average: the best of many trials is a lucky one"
        saw = f"What the search saw of its best {len(lost)} was"
        lines.append(f"{saw} {luck if mean > 0 else 'no higher than the test'}.")
    best = choose(results)
    if best is None:
        return "\n".join([*lines, "Learning broke in the test of each of them: no winner."])
    lines += [f"Winner: {best.candidate.title}. {versus_start(best, results)}", ""]
    lines += ["Train with it:", f"  {winner.command(best.candidate.config)}"]
    return "\n".join(lines)


def claim(best: Tested, plan: SearchPlan) -> str:
    """Return what the preset of the winner claims, in words."""
    value, low, high = return_texts(*iqm_of(best.scores))
    epsilon = plan.base.test_epsilon
    kind = f"return with epsilon {epsilon:g}" if epsilon else "greedy return"
    return (
        f"{kind} of {value} (95 % interval {low} to {high}) over"
        f" {plan.base.test_episodes} episodes, as the IQM of {len(best.scores)} runs"
    )


def write(results: Sequence[Tested], plan: SearchPlan) -> Path | None:
    """Write winner.json and preset.txt; return the preset's path. Raises UserError."""
    best, start = choose(results), _start(results)
    if best is None:
        return None
    lost = shrinkage(best, plan)
    summary: dict[str, Any] = {
        "env": plan.base.env,
        "trial": best.candidate.number,
        "seeds": list(plan.seeds),
        "seen": list(best.candidate.seen),
        "test_seeds": list(plan.test_seeds),
        "test": best.scores.tolist(),
        "test_iqm": list(iqm_of(best.scores)),
        "shrinkage": list(lost) if lost else None,
        "start": start.scores.tolist() if start else None,
        "command": winner.command(best.candidate.config),
        "config": best.candidate.config.to_dict(),
    }
    path = plan.output_dir / "winner.json"
    with files.writing(path):
        files.write_json(path, summary)
    preset = plan.output_dir / "preset.txt"
    with files.writing(preset), files.replaced(preset) as aside:
        aside.write_text(winner.snippet(best.candidate.config, claim(best, plan)), encoding="utf-8")
    return preset
