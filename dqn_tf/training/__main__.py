"""The command that trains: `python train.py --env=CartPole-v1`, or `python -m dqn_tf.training`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from dqn_tf.run_files.run_directory import CURVES, SUMMARY, finished_runs, seed_directories
from dqn_tf.support import command_line, json_files, tensorflow_loading
from dqn_tf.support.errors import UserError
from dqn_tf.tracking.beside import FollowerBeside
from dqn_tf.training.flags import TrainingFlags, parse_training_flags
from dqn_tf.training.plan import RunPlan, prepare
from dqn_tf.training.timings import Timings, seconds_since_process_start

# seconds in which the follower of --track may send what is left, after a run that has ended and
# after one that was stopped
PATIENCE, SHORT_PATIENCE = 60.0, 5.0


def main(flags: TrainingFlags) -> None:
    """Plan the run, and only then load TensorFlow and train."""
    timings = Timings()
    timings.add("import", seconds_since_process_start())
    plans = prepare(flags)
    if not plans:
        _complete_summary(flags)
        return
    with timings.part("import"):
        tensorflow_loading.load_tensorflow(command_line.verbose())
        # imports TensorFlow: not before every flag and file is known to be right
        from dqn_tf.training import trainer

    follower = _start_follower(flags, plans)
    status = 1
    try:
        status = trainer.train(plans, timings)
    finally:
        if follower is not None:
            print(follower.closing_line(PATIENCE if status == 0 else SHORT_PATIENCE))
    sys.exit(status)


def _start_follower(flags: TrainingFlags, plans: Sequence[RunPlan]) -> FollowerBeside | None:
    """Start what sends the run to a tracker; if it cannot be started, say so and go on."""
    if not flags.track:
        return None
    follower = FollowerBeside(
        plans[0].directory,
        flags.track,
        flags.tracking_uri,
        flags.tracking_project,
        plans[0].is_one_of_several_seeds,
    )
    if follower.refusal:
        print(f"warning: --track={flags.track}: {follower.refusal} Training goes on.")
    return follower


def _complete_summary(flags: TrainingFlags) -> None:
    """Write the summary of several seeds that are all complete, unless it is that of these runs.

    It was lost with a full disk, or one of them went on by itself.
    """
    directory = Path(flags.resume or "")
    if seed_directories(directory) and not _has_summary(directory):
        tensorflow_loading.load_tensorflow(command_line.verbose())
        from dqn_tf.training import seeds_report

        print(seeds_report.summarize(directory))


def _has_summary(directory: Path) -> bool:
    """Tell whether there are curves, and a summary of the runs as they are now."""
    try:
        rows = json_files.read_object(directory / SUMMARY)["seeds"]
        summarized = {row["seed"]: row["weights_sha256"] for row in rows}
    except (OSError, UserError, KeyError, TypeError):
        return False
    finished = {
        seed: report["weights_sha256"] for seed, (_, report) in finished_runs(directory).items()
    }
    return summarized == finished and (directory / CURVES).exists()


def command() -> None:
    """Run the command with the words that were typed."""
    command_line.run(main, parse_training_flags)


if __name__ == "__main__":
    command()
