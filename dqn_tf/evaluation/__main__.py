"""Scores an exported model: `python -m dqn_tf.evaluation --model=saved_models/CartPole-v1`."""

import functools
import sys
import warnings
from pathlib import Path

from dqn_tf.evaluation.episodes import compare
from dqn_tf.evaluation.flags import EvaluateFlags, parse
from dqn_tf.evaluation.plan import play, prepare
from dqn_tf.support import command_line, files, tensorflow_loading
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupts, answer_signals


def command() -> None:
    """Run the command that the process was started with."""
    command_line.run(main, parse)


def main(flags: EvaluateFlags) -> None:
    """Evaluate; exit with 130 or 143 after a signal."""
    if not command_line.verbose():
        warnings.simplefilter("ignore")  # Gymnasium's advice; dqn_tf itself says what matters
    evaluate = estimate_from_data if flags.data else evaluate_exports
    answer_signals(
        functools.partial(evaluate, flags), "Stopped before the evaluation was complete."
    )


def evaluate_exports(flags: EvaluateFlags, interrupts: Interrupts) -> None:
    """Play, print and write. Raises UserError, or Interrupted after a signal."""
    plan = prepare(flags)
    interrupts.check()
    tensorflow_loading.load_tensorflow(command_line.verbose())
    # These import TensorFlow: not before everything else is known to be right.
    from dqn_tf.evaluation import report
    from dqn_tf.evaluation.exported_policy import ExportedPolicy

    policies = [ExportedPolicy(version.path, plan.spaces) for version in plan.versions]
    played = [
        play(plan, version, policy, interrupts.check, say)
        for version, policy in zip(plan.versions, policies, strict=True)
    ]
    comparison = None
    if flags.compare:
        first, second = played
        comparison = compare(first.evaluation, second.evaluation)
    record = report.to_record(plan, played, comparison)
    print(report.to_text(record, plan, played[0].frames), flush=True)
    write_json(flags.json, record)


def estimate_from_data(flags: EvaluateFlags, interrupts: Interrupts) -> None:
    """Estimate, print and write. Raises UserError, or Interrupted after a signal."""
    from dqn_tf.evaluation.off_policy import plan, report

    planned = plan.prepare(flags)
    interrupts.check()
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.evaluation.exported_policy import ExportedPolicy
    from dqn_tf.evaluation.off_policy.estimate import evaluate_off_policy

    policy = ExportedPolicy(planned.version.path, planned.spaces)
    evaluation = evaluate_off_policy(
        policy,
        planned.episodes,
        planned.spaces,
        planned.gamma,
        planned.epsilon,
        interrupts.check,
    )
    record = report.to_record(planned, evaluation)
    print(report.to_text(record, planned, evaluation), flush=True)
    write_json(flags.json, record)


def say(sentence: str) -> None:
    """Say how far it is, where it does not mix with the scores."""
    print(sentence, file=sys.stderr, flush=True)


def write_json(path: str | None, record: dict) -> None:
    """Write the record where a path is given. Raises UserError if the file cannot be written."""
    if not path:
        return
    try:
        files.write_json(Path(path), record)
    except OSError as error:
        raise UserError(f"--json={path} cannot be written: {error.strerror}.") from error
    print(f"\nEverything in {path}")


if __name__ == "__main__":
    command()
