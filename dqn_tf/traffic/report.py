"""What `python -m dqn_tf.traffic` prints about a candidate."""

from typing import Any

from dqn_tf.envs.tokens import numbered
from dqn_tf.evaluation.find_export import MANIFEST, action_start

# How many are printed; the JSON file has all.
MAX_COMPONENTS = 16
MAX_ACTIONS = 20
MAX_DIFFERENCES = 10

Record = dict[str, Any]  # what the command found, as it stands in the JSON file
Row = tuple[str, ...]


def to_text(record: Record, manifest: dict[str, Any]) -> str:
    """Return the report for a reader; `manifest` is the candidate's."""
    total = record["total"]
    requests = _count(total["requests"], "request")
    rows = _count(total["rows"], "row")
    files = _count(record["files"], "file")
    lines = [f"{record['model']} against {requests} of {rows} in {files} of {record['logs']}"]
    lines += record["damaged"]
    for reason, count in record["skipped"].items():
        lines.append(f"Left out: {_count(count, 'request')} {reason}.")
    if total["rows"]:
        lines += ["", *_agreement_lines(record)]
        lines += ["", *_action_lines(record["confusion"], manifest)]
    return "\n".join([*lines, "", *_drift_lines(record, manifest)])


def _agreement_lines(record: Record) -> list[str]:
    header = ("served version", "requests", "rows", "equal actions", "mean |ΔQ|", "largest |ΔQ|")
    rows = [_agreement_row(number, summary) for number, summary in record["versions"].items()]
    if len(rows) > 1:
        rows.append(_agreement_row("all", record["total"]))
    lines = _align([header, *rows])
    not_finite = record["total"]["q_differences_not_finite"]
    if not_finite:
        lines.append(f"{not_finite:,} Q-values are not finite and count in neither of the two.")
    return lines


def _agreement_row(name: str, summary: dict[str, Any]) -> Row:
    return (
        name,
        f"{summary['requests']:,}",
        f"{summary['rows']:,}",
        f"{summary['equal_actions']:.1%}",
        _difference(summary["q_difference_mean"]),
        _difference(summary["q_difference_max"]),
    )


def _difference(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _action_lines(confusion: list[list[int]], manifest: dict[str, Any]) -> list[str]:
    """Return a table with a row for each served action and a column for each of the candidate's."""
    counts = {(served, candidate): count for served, candidate, count in confusion}
    actions = sorted({action for pair in counts for action in pair})
    if len(actions) > MAX_ACTIONS:
        return _difference_lines(counts, manifest)
    names = [_action_name(action, manifest) for action in actions]
    rows = []
    for served, name in zip(actions, names, strict=True):
        cells = [f"{counts.get((served, candidate), 0):,}" for candidate in actions]
        rows.append((name, *cells))
    title = "Actions: a row for what was served, a column for what this model would do"
    return [title, *_align([("", *names), *rows])]


def _difference_lines(counts: dict[tuple[int, int], int], manifest: dict[str, Any]) -> list[str]:
    """Return the most frequent differences, where a table of all actions would be too large."""
    found = [(count, *pair) for pair, count in counts.items() if pair[0] != pair[1]]
    if not found:
        return []
    found.sort(key=lambda difference: (-difference[0], difference[1:]))
    rows = [
        (_action_name(served, manifest), _action_name(candidate, manifest), f"{count:,}")
        for count, served, candidate in found[:MAX_DIFFERENCES]
    ]
    title = f"The most frequent of {_count(len(found), 'difference')} (--json=FILE holds all)"
    return [title, *_align([("served", "this model", "rows"), *rows])]


def _action_name(action: int, manifest: dict[str, Any]) -> str:
    meanings = manifest.get("action_meanings") or []
    place = action - action_start(manifest)
    return numbered(action, meanings[place]) if 0 <= place < len(meanings) else str(action)


def _drift_lines(record: Record, manifest: dict[str, Any]) -> list[str]:
    components = record["inputs"]
    if not components:
        return ["No observation of this model's shape was served, so nothing can be said of drift."]
    title = f"{record['observations']:,} observations, each component's range"
    if not record["ranged"]:
        title = (
            f"{MANIFEST} of this model holds no ranges of its training, so drift cannot be told."
            f" {title}; outside is what is not finite"
        )
    shown = components
    if len(components) > MAX_COMPONENTS:
        shown = sorted(components, key=lambda component: -component["outside"])[:MAX_COMPONENTS]
    rows = [_component_row(component, manifest) for component in shown]
    lines = [title, *_align([("component", "seen", "in training", "outside"), *rows])]
    if len(shown) < len(components):
        beyond = sum(component["outside"] > 0 for component in components)
        lines.append(
            f"The {len(shown)} of {len(components):,} components with most outside; {beyond:,} have"
            " any."
        )
    return lines


def _component_row(component: dict[str, Any], manifest: dict[str, Any]) -> Row:
    return (
        ",".join(map(str, component["component"])) or "the number",
        _span(component["seen"], manifest),
        _span(component["trained"], manifest),
        f"{component['outside']:.2%}",
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _span(ends: list[float] | None, manifest: dict[str, Any]) -> str:
    if ends is None:
        return "-"
    return " to ".join(_number(end, manifest) for end in ends)


def _number(value: float, manifest: dict[str, Any]) -> str:
    """Return a number of an observation; where it is a token, its name too."""
    names = manifest.get("tokens") or []
    spaces = manifest.get("spaces")
    start = spaces.get("category_start", 0) if isinstance(spaces, dict) else 0
    place = value - start
    if not place.is_integer() or not 0 <= place < len(names):
        return f"{value:.4g}"
    return numbered(int(value), names[int(place)])


def _align(rows: list[Row]) -> list[str]:
    """Return the rows as lines; the first column stands to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("   ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines
