"""Scores an exported model:

`python evaluate.py --model=saved_models/CartPole-v1`. All flags: `python evaluate.py --help`.
"""

import sys
import warnings
from pathlib import Path

from dqn_tf.evaluation.episodes import compare
from dqn_tf.evaluation.flags import EvaluateFlags, parse
from dqn_tf.evaluation.plan import play, prepare
from dqn_tf.support import command_line, files, tensorflow_loading
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupted, Interrupts


def main(flags: EvaluateFlags) -> None:
    """Finds and proves everything, and only then loads TensorFlow and plays."""
    if not command_line.verbose():
        warnings.simplefilter("ignore")  # Gymnasium's advice; what matters is said by us
    with Interrupts() as interrupts:
        try:
            run(flags, interrupts)
        except Interrupted:
            print("Stopped before the evaluation was complete.")
    sys.exit(interrupts.exit_status)


def run(flags: EvaluateFlags, interrupts: Interrupts) -> None:
    """Plays, prints and writes. Raises UserError, or Interrupted after a signal."""
    plan = prepare(flags)
    interrupts.check()
    tensorflow_loading.load_tensorflow(command_line.verbose())
    # import TensorFlow: not before everything else is known to be right
    from dqn_tf.evaluation import exported_policy, report

    policies = [
        exported_policy.ServedPolicy(version.path, plan.spaces) for version in plan.versions
    ]
    played = [
        play(plan, version, policy, interrupts.check)
        for version, policy in zip(plan.versions, policies, strict=True)
    ]
    comparison = compare(*(one.evaluation for one in played)) if flags.compare else None
    record = report.record(plan, played, comparison)
    if flags.json:
        try:
            files.write_json(Path(flags.json), record)
        except OSError as error:
            raise UserError(f"--json={flags.json} cannot be written: {error.strerror}.") from error
    print(report.text(record, plan, played[0].frames))


if __name__ == "__main__":
    command_line.run(main, parse)
