"""The generated parts of docs/search.md: the ranges of all settings, and what searches found."""

from pathlib import Path

import numpy as np

from benchmarks.common.report import verdict, versions
from benchmarks.common.tables import markdown
from benchmarks.search.records import Finished, finished, of_rl_zoo
from benchmarks.search.searches import SEARCHES
from dqn_tf.config.conditions import describe_conditions, shown_value
from dqn_tf.config.dqn_config import FIELDS, DQNConfig
from dqn_tf.config.searched import Searched
from dqn_tf.evaluation.statistics import bootstrap, iqm
from dqn_tf.search import winner
from dqn_tf.search.space import when_tried

RANGES = ("<!-- ranges: begin -->", "<!-- ranges: end -->")
FOUND = ("<!-- searches: begin -->", "<!-- searches: end -->")


def ranges() -> str:
    """Return the table of all settings that have a range of their own."""
    lines = []
    for name, field in FIELDS.items():
        searched = field.metadata["search"]
        if searched is not None:
            lines.append((f"`--{name}`", _range(searched), describe_conditions(when_tried(name))))
    return "\n".join(markdown(("setting", "tried", "where"), lines))


def found(results_dir: Path) -> str:
    """Return the table of the searches that came to their end."""
    done = [result for search in SEARCHES if (result := finished(results_dir, search))]
    if not done:
        return "Nothing is recorded yet."
    header = (
        "search",
        "trials (stopped early)",
        "search saw",
        "fresh seeds",
        "shrinkage",
        "began with",
        "gain",
        "minutes",
        "CPU s",
    )
    lines = []
    for result in done:
        lines.append(_line(result))
        lines += _line_of_rl_zoo(results_dir, result)
    text = markdown(header, lines)
    for result in done:
        # not the one recorded: presets may have changed since
        command = winner.command(DQNConfig.from_dict(result.winner["config"]))
        text += ["", f"{result.search.title}: `{command}`"]
        if result.search.claim is not None:
            is_met = result.winner["test_iqm"][0] >= result.search.claim
            text[-1] += f"; at least {result.search.claim:g} on fresh seeds: {verdict(is_met)}"
    sessions = [session for result in done for session in result.sessions]
    text += [
        "",
        "IQM over seeds with 95 % bootstrap intervals. *Gain*: mean difference over the same fresh"
        " seeds from the settings that the search began with. *Minutes* and *CPU s*: of the whole"
        " command, with the test; some ran beside other work, which makes minutes longer."
        f" {versions(sessions)}",
    ]
    return "\n".join(text)


def _line(result: Finished) -> tuple[str, ...]:
    winner, states = result.winner, result.states
    seen, test = (np.array(winner[name], float) for name in ("seen", "test"))
    began = gain = "-"
    if winner["start"] is not None:
        start = np.array(winner["start"], float)
        began = _interval(float(iqm(start)), bootstrap(start, iqm))
        gain = _interval(float((test - start).mean()), bootstrap(test - start, np.mean))
    counted = states.get("complete", 0) + states.get("pruned", 0)
    minutes = sum(session.seconds for session in result.sessions) / 60
    processes = max(session.processes for session in result.sessions)
    return (
        result.search.title,
        f"{counted} ({states.get('pruned', 0)})",
        _interval(float(iqm(seen)), bootstrap(seen, iqm)),
        _interval(float(iqm(test)), bootstrap(test, iqm)),
        _interval(winner["shrinkage"][0], winner["shrinkage"][1:]),
        began,
        gain,
        f"{minutes:.0f}, {processes} processes",
        f"{sum(session.cpu_seconds for session in result.sessions):,.0f}",
    )


def _line_of_rl_zoo(results_dir: Path, result: Finished) -> list[tuple[str, ...]]:
    """Return the line of rl-zoo3's search beside this one, if there is one.

    It has no other seeds in a trial, and its value is that of the best evaluation.
    """
    found = of_rl_zoo(results_dir, result.search)
    if found is None:
        return []
    sessions, zoo = found
    test = np.array(zoo["test"], float)
    shown = (
        f"rl-zoo3 beside it: one run a trial, {zoo['order']['cpu_seconds']:,.0f} s of CPU in all",
        str(zoo["trials"]),
        f"{zoo['seen']:.1f}",
        _interval(float(iqm(test)), bootstrap(test, iqm)),
        f"{zoo['seen'] - float(iqm(test)):.1f}",
        "-",
        "-",
        f"{sum(session.seconds for session in sessions) / 60:.0f}, 1 process",
        f"{sum(session.cpu_seconds for session in sessions):,.0f}",
    )
    return [shown]


def _interval(value: float, ends: list[float]) -> str:
    return f"{value:.1f} [{ends[0]:.1f}, {ends[1]:.1f}]"


def _range(searched: Searched) -> str:
    if searched.choices:
        shown = [shown_value(value) for value in searched.choices]
        return "; ".join(shown) if any("," in word for word in shown) else ", ".join(shown)
    by_ratio = ", by ratio" if searched.log else ""
    if searched.of_run:
        return f"{searched.low:.0%} to {searched.high:.0%} of the run{by_ratio}"
    return f"{searched.low:g} to {searched.high:g}{by_ratio}"
