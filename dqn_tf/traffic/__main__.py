"""A candidate export against served traffic: `python -m dqn_tf.traffic --logs=DIR
--model=saved_models/CartPole-v1/2`.

The logs are what a server wrote with `--log_requests=DIR`. Each request is put to the candidate as
it was put to the model that served it.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.evaluation.find_export import MANIFEST, Version, find_export
from dqn_tf.support import command_line, files, tensorflow_loading
from dqn_tf.support.errors import UserError

MOST_COMPONENTS, MOST_ACTIONS = 16, 20  # that are printed; --json has all
HELP = """
Puts every request in DIR, as a server wrote them with --log_requests=DIR, to another export. Says
how often it would have acted as the version that served, how far their Q-values are apart, and
whether the observations lie where training saw them.
"""


class LogFlags(NamedTuple):
    """What the user asked for."""

    logs: str
    model: str
    json: str | None


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    flags.DEFINE_string("logs", None, "directory of the record files", flag_values=values)
    flags.DEFINE_string(
        "model",
        None,
        "the candidate: one version, a directory of versions (the newest is taken) or a run"
        " directory",
        flag_values=values,
    )
    flags.DEFINE_string(
        "json",
        None,
        "file to write everything to, each component's range too",
        flag_values=values,
    )


def parse(argv: Sequence[str]) -> LogFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    for name, example in (("logs", "logs"), ("model", "saved_models/CartPole-v1/2")):
        if not values[name].value:
            raise UserError(f"--{name} is missing: give a directory, such as --{name}={example}.")
    if values.json and not Path(values.json).absolute().parent.is_dir():
        raise UserError(
            f"--json={values.json} cannot be written: there is no directory"
            f" {Path(values.json).parent}."
        )
    return LogFlags(values.logs, values.model, values.json)


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [f"{command} --logs=DIR --model=saved_models/CartPole-v1/2"]
    return command_line.help_page(usage, HELP, {"": command_line.entries(values)})


def main(given: LogFlags) -> None:
    """Replays, prints, writes. Raises UserError."""
    version = find_export(given.model)
    if importlib.util.find_spec("tensorflow_serving") is None:
        raise UserError(
            "Reading the logs needs TF Serving's messages. Type: pip install 'dqn_tf[serving]'"
        )
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.traffic.candidate import Candidate
    from dqn_tf.traffic.records import Traffic

    traffic, candidate = Traffic(Path(given.logs)), Candidate(version)
    replayed = candidate.replay(traffic)
    if not replayed.total.rows and replayed.drift is None:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in traffic.skipped.items())
        raise UserError(
            " ".join(
                [
                    (
                        f"--logs={given.logs}: no request that {version.path} could be asked"
                        f" ({reasons or 'none at all'})."
                    ),
                    *traffic.damaged,
                ]
            )
        )
    found = {
        "logs": given.logs,
        "files": len(traffic.files),
        "model": str(version.path),
        "damaged": traffic.damaged,
        "skipped": dict(traffic.skipped),
        "total": replayed.total.summary(),
        "versions": {str(number): one.summary() for number, one in replayed.versions.items()},
        "confusion": [[*pair, count] for pair, count in sorted(replayed.total.confusion.items())],
        "ranged": candidate.ranged,
        "observations": replayed.drift.rows if replayed.drift else 0,
        "inputs": replayed.drift.summary() if replayed.drift else [],
    }
    if given.json:
        try:
            files.write_json(Path(given.json), found)
        except OSError as error:
            raise UserError(f"--json={given.json} cannot be written: {error.strerror}.") from error
    print(text(found, version))


def text(found: dict[str, Any], version: Version) -> str:
    """The report for a reader."""
    total = found["total"]
    lines = [
        (
            f"{found['model']} against {_count(total['requests'], 'request')} of"
            f" {_count(total['rows'], 'row')} in {_count(found['files'], 'file')} of"
            f" {found['logs']}"
        ),
        *found["damaged"],
        *(
            f"Left out: {_count(count, 'request')} {reason}."
            for reason, count in found["skipped"].items()
        ),
    ]
    if total["rows"]:
        header = (
            "served version",
            "requests",
            "rows",
            "equal actions",
            "mean |ΔQ|",
            "largest |ΔQ|",
        )
        rows = [_agreement(number, one) for number, one in found["versions"].items()]
        lines += [
            "",
            *_aligned([header, *rows, *([_agreement("all", total)] if len(rows) > 1 else [])]),
        ]
        if total["q_differences_not_finite"]:
            lines.append(
                f"{total['q_differences_not_finite']:,} Q-values are not finite and count in"
                " neither of the two."
            )
        lines += [
            "",
            *_confusion(
                found["confusion"],
                version.manifest.get("action_meanings") or [],
                version.manifest.get("spaces", {}).get("action_start", 0),
            ),
        ]
    return "\n".join([*lines, "", *_drift(found)])


def _agreement(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    differences = (
        "-" if one[key] is None else f"{one[key]:.4g}"
        for key in ("q_difference_mean", "q_difference_max")
    )
    return (
        name,
        f"{one['requests']:,}",
        f"{one['rows']:,}",
        f"{one['equal_actions']:.1%}",
        *differences,
    )


def _confusion(counts: list[list[int]], meanings: list[str], start: int) -> list[str]:
    actions = sorted({action for *pair, _ in counts for action in pair})
    if len(actions) > MOST_ACTIONS:
        return [f"The actions' table has {len(actions)} rows: --json=FILE holds it."]
    table = {(served, own): count for served, own, count in counts}
    names = [
        (
            f"{action} {meanings[action - start]}"
            if 0 <= action - start < len(meanings)
            else str(action)
        )
        for action in actions
    ]
    rows = [
        (name, *(f"{table.get((served, own), 0):,}" for own in actions))
        for served, name in zip(actions, names, strict=True)
    ]
    return [
        "Actions: a row for what was served, a column for what this model would do",
        *_aligned([("", *names), *rows]),
    ]


def _drift(found: dict[str, Any]) -> list[str]:
    parts = found["inputs"]
    if not parts:
        return ["No observation of this model's shape was served, so nothing can be said of drift."]
    shown = (
        sorted(parts, key=lambda one: -one["outside"])[:MOST_COMPONENTS]
        if len(parts) > MOST_COMPONENTS
        else parts
    )
    opening = f"{found['observations']:,} observations, each component's range"
    if not found["ranged"]:
        opening = (
            f"{MANIFEST} of this model holds no ranges of its training, so drift cannot be told."
            f" {opening}; outside is what is not finite"
        )
    rows = [
        (
            ",".join(map(str, one["component"])) or "the number",
            _span(one["seen"]),
            _span(one["trained"]),
            f"{one['outside']:.2%}",
        )
        for one in shown
    ]
    lines = [opening, *_aligned([("component", "seen", "in training", "outside"), *rows])]
    if len(shown) < len(parts):
        beyond = sum(one["outside"] > 0 for one in parts)
        lines.append(
            f"The {len(shown)} of {len(parts):,} components with most outside; {beyond:,} have any."
        )
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _span(ends: list[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """The first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "   ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]


if __name__ == "__main__":
    command_line.run(main, parse)
