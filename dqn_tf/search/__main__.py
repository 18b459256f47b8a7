"""Searches for good settings: `python -m dqn_tf.search --env=CartPole-v1 --trials=50`."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from dqn_tf.search import processes
from dqn_tf.search.flags import SearchFlags, parse
from dqn_tf.search.plan import SearchPlan, prepare
from dqn_tf.search.storage import errors_told, load_optuna, open_storage
from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.support.interrupts import Interrupted, Interrupts, answer_signals

if TYPE_CHECKING:
    import optuna

TRIALS, TEST = "trials", "test"  # what --part says
STOPPED_PART = "A process of the search has stopped."
STOPPED = "Stopped. All finished trials are kept; the same command goes on."


def command() -> None:
    """Run the command that the process was started with."""
    command_line.run(main, parse)


def main(flags: SearchFlags) -> None:
    """Search; exit with 130 or 143 after a signal."""
    if not command_line.verbose():
        warnings.simplefilter("ignore")  # of Gymnasium and Optuna; dqn_tf says what matters
    work = functools.partial(search, flags)
    answer_signals(work, STOPPED_PART if flags.part else STOPPED)


def search(flags: SearchFlags, interrupts: Interrupts) -> None:
    """Do what is missing of the search, test its best settings, and print what they reach.

    Raises UserError, or Interrupted after a signal.
    """
    load_optuna()
    plan = prepare(flags)
    from dqn_tf.search import study as studies

    study = studies.open_study(plan, open_storage(flags.storage))
    check = checker(flags, interrupts)
    from dqn_tf.search.trials import Worn

    try:
        with errors_told(flags.storage):
            if flags.part:
                do_part(flags.part, plan, study, check)
                return
            introduce(plan, study)
            share(TRIALS, plan, study, check)
            finish(plan, study, check)
    except Worn:
        check()  # a signal would be forgotten
        restart()


def checker(flags: SearchFlags, interrupts: Interrupts) -> Callable[[], None]:
    """Return what raises Interrupted after a signal, or when nobody waits for the process."""
    parent = int(os.environ.get(processes.PARENT, os.getppid()))

    def check() -> None:
        interrupts.check()
        if flags.part and os.getppid() != parent:
            raise Interrupted

    return check


def introduce(plan: SearchPlan, study: optuna.Study) -> None:
    """Say what is searched, and what is there already."""
    from dqn_tf.search.study import FINISHED, counted

    done = counted(study.get_trials(deepcopy=False), *FINISHED)
    names = ", ".join(plan.space.describe())
    print(
        f"Searching {plan.base.env}: {plan.flags.trials} trials of {len(plan.seeds)} seeds,"
        f" {plan.base.total_steps:,} steps each; {done} are done. A score is the mean of"
        f" {plan.base.evaluation_episodes} greedy episodes after the last update, a trial's value"
        " the IQM over its seeds."
    )
    print(f"Tried: {names}.", flush=True)


def share(what: str, plan: SearchPlan, study: optuna.Study, check: Callable[[], None]) -> None:
    """Do a part here, or in as many processes as are wanted, and wait for it."""
    count = plan.flags.processes
    if count == 1:
        do_part(f"{what}:0/1", plan, study, check)
        return
    parts = [f"{what}:{number}/{count}" for number in range(count)]
    processes.run(sys.argv[1:], parts, check)


def do_part(part: str, plan: SearchPlan, study: optuna.Study, check: Callable[[], None]) -> None:
    """Do trials, or the share I of N of the test, as `what:I/N` says."""
    what, _, share_of = part.partition(":")
    number, count = map(int, share_of.split("/"))
    from dqn_tf.search import fresh
    from dqn_tf.search.study import FINISHED, counted
    from dqn_tf.search.trials import Training, Worker

    todo: Sequence[fresh.Part] = ()
    if what == TEST:
        todo = fresh.missing(plan, study, number, count)
        if not todo:
            return
    elif counted(study.get_trials(deepcopy=False), *FINISHED) >= plan.flags.trials:
        return
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.search import scoring

    score = scoring.test_scores if what == TEST else scoring.search_scores
    training = Training(score, scoring.LearningBroke, check, say, scoring.is_worn)
    if what == TEST:
        fresh.run(todo, study, training)
    else:
        Worker(plan, study, training).work()


def restart() -> NoReturn:
    """Become a new process that was started with the same words; what is done is in the study."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def finish(plan: SearchPlan, study: optuna.Study, check: Callable[[], None]) -> None:
    """Test the best settings, and write and print what was found."""
    from dqn_tf.search import fresh, report, trial_files
    from dqn_tf.search.study import best

    plan.output_dir.mkdir(parents=True, exist_ok=True)
    table = trial_files.write_table(plan, study)
    for sentence in trial_files.draw(plan, study):
        say(f"note: {sentence}")
    if not plan.test_seeds:
        print(f"\nAll trials   {table}\nNo test: --test_seeds=0.")
        return
    if not best(study):
        print(f"\nAll trials   {table}\nNo trial was run with all its seeds: there is no best one.")
        return
    share(TEST, plan, study, check)
    results = list(fresh.results(plan, study))
    preset = report.write(results, plan)
    print()
    print(report.text(results, plan))
    print()
    print(f"All trials   {table}")
    if preset is not None:
        print(f"As a preset  {preset}")


def say(sentence: str) -> None:
    """Say how far it is."""
    print(sentence, flush=True)


if __name__ == "__main__":
    command()
