"""Compares an export with served traffic: `python -m dqn_tf.traffic --logs=DIR --model=VERSION`.

The logs are what a server wrote with `--log_requests=DIR`. Each request is sent to the candidate as
it was sent to the model that served it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqn_tf.evaluation.find_export import Version, find_export
from dqn_tf.support import command_line, files, tensorflow_loading
from dqn_tf.support.errors import UserError
from dqn_tf.traffic import report
from dqn_tf.traffic.flags import TrafficFlags, parse

if TYPE_CHECKING:  # these import TensorFlow
    from dqn_tf.traffic.candidate import Comparison
    from dqn_tf.traffic.records import Traffic


def command() -> None:
    """Run the command that the process was started with."""
    command_line.run(main, parse)


def main(flags: TrafficFlags) -> None:
    """Compare, print and write. Raises UserError."""
    version = find_export(flags.model)
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.traffic.candidate import Candidate
    from dqn_tf.traffic.records import Traffic

    traffic = Traffic(Path(flags.logs))
    candidate = Candidate(version)
    comparison = candidate.compare(traffic)
    _require_requests(flags, version, traffic, comparison)
    record = {
        "logs": flags.logs,
        "files": len(traffic.files),
        "model": str(version.path),
        "damaged": traffic.damaged,
        "skipped": dict(traffic.skipped),
        "ranged": candidate.range is not None,
        **_comparison_record(comparison),
    }
    if flags.json:
        try:
            files.write_json(Path(flags.json), record)
        except OSError as error:
            raise UserError(f"--json={flags.json} cannot be written: {error.strerror}.") from error
    print(report.to_text(record, version.manifest))


def _require_requests(
    flags: TrafficFlags, version: Version, traffic: "Traffic", comparison: "Comparison"
) -> None:
    """Raise UserError if there was no request that the candidate could be sent."""
    if comparison.total.rows or comparison.drift is not None:
        return
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in traffic.skipped.items())
    sentence = (
        f"--logs={flags.logs}: no request that {version.path} could be asked"
        f" ({reasons or 'none at all'})."
    )
    raise UserError(" ".join([sentence, *traffic.damaged]))


def _comparison_record(comparison: "Comparison") -> dict[str, Any]:
    """Return the comparison, ready for JSON."""
    models = {model for model, _ in comparison.versions}
    versions = {
        f"{model} {number}".strip() if len(models) > 1 else str(number): agreement.summary()
        for (model, number), agreement in comparison.versions.items()
    }
    confusion = [[*pair, count] for pair, count in sorted(comparison.total.confusion.items())]
    drift = comparison.drift
    return {
        "total": comparison.total.summary(),
        "versions": versions,
        "confusion": confusion,
        "observations": drift.rows if drift else 0,
        "inputs": drift.summary() if drift else [],
    }


if __name__ == "__main__":
    command()
