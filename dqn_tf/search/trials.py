"""What a worker does: trial after trial, each seed by seed, until the study has enough of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

import dqn_tf
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.statistics import iqm
from dqn_tf.search import owners
from dqn_tf.search.plan import SearchPlan, groups
from dqn_tf.search.study import BROKE_OFF, FINISHED, REFUSED, SURPLUS, counted
from dqn_tf.support.digits import return_text
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupted

WAIT_SECONDS = 1.0  # between two looks at what others are doing
SCORES = "scores"  # a trial's attribute: of its seeds, as far as they were run
RUN = "run"  # a trial's attribute: its engine and what it cost
MOST_REFUSED = 100  # trials in a row whose settings cannot be run

Check = Callable[[], None]
Score = Callable[[DQNConfig, Sequence[int], Check], list[float]]
Say = Callable[[str], None]


class Worn(Exception):
    """Says that this process has done its share, and that a new one is to go on."""


class Training(NamedTuple):
    """How a process trains the runs of a search, and whom it answers to.

    Attributes:
      score: trains settings with some seeds, and returns their scores.
      broke: what `score` raises where the settings are at fault.
      check: is called often, and may raise.
      say: says how far it is.
      is_worn: tells whether a new process is better; asked before runs that belong together.
    """

    score: Score
    broke: type[UserError]
    check: Check
    say: Say
    is_worn: Callable[[], bool] = lambda: False


class Worker:
    """Does trials of a study."""

    def __init__(self, plan: SearchPlan, study: optuna.Study, training: Training) -> None:
        """Take a study of this plan."""
        self._plan = plan
        self._study = study
        self._training = training

    def work(self) -> None:
        """Do trials until the study has as many finished ones as are wanted.

        Raises UserError where no settings can be run, or one's environment fails, and Worn.
        """
        wanted = self._plan.flags.trials
        stale = owners.StaleTrials(self._study, self._plan.flags.stale_seconds)
        refused = 0
        is_waiting = False
        while True:
            self._training.check()
            for sentence in stale.fail():
                self._training.say(sentence)
            trials = self._study.get_trials(deepcopy=False)
            if counted(trials, *FINISHED) >= wanted:
                return
            if counted(trials, *FINISHED, TrialState.RUNNING) >= wanted:
                if not is_waiting:
                    self._training.say("waiting for the last trials of other processes")
                is_waiting = True
                time.sleep(WAIT_SECONDS)
                continue
            is_waiting = False
            if self._training.is_worn():
                raise Worn
            reason = self._do_trial()
            refused = refused + 1 if reason else 0
            if refused >= MOST_REFUSED:
                raise UserError(
                    f"{refused} trials in a row could not be run, the last one since {reason}"
                )

    def _do_trial(self) -> str:
        """Do one trial; return why it could not be run, or nothing."""
        trial = self._study.ask()
        try:
            return self._run(trial)
        except UpdateFinishedTrialError:
            # nobody had heard of this process for so long that another one gave the trial up
            self._training.say(
                f"trial {trial.number} was taken for lost by another process; left out"
            )
            return ""
        except BaseException as error:
            with contextlib.suppress(UpdateFinishedTrialError):
                trial.set_user_attr(owners.REASON, f"{type(error).__name__}: {error}"[:500])
                if isinstance(error, Exception) and not isinstance(error, Interrupted):
                    trial.set_user_attr(BROKE_OFF, True)
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            raise

    def _is_surplus(self, trial: optuna.Trial) -> bool:
        """Tell whether another worker has begun the last trial that was wanted."""
        trials = self._study.get_trials(deepcopy=False)
        earlier = [other for other in trials if other.number < trial.number]
        before = counted(earlier, *FINISHED, TrialState.RUNNING)
        return before >= self._plan.flags.trials

    def _run(self, trial: optuna.Trial) -> str:
        beat = owners.heart(trial)
        if self._is_surplus(trial):
            trial.set_user_attr(SURPLUS, True)
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            return ""
        proposed = self._plan.space.propose(trial)
        try:
            config = self._plan.config(proposed)
            self._plan.require_memory(config)
        except UserError as error:
            return self._refuse(trial, str(error))

        def check() -> None:
            beat()
            self._training.check()

        start, cpu_start = time.monotonic(), time.process_time()
        scores: list[float] = []
        parts = groups(config, self._plan.seeds)
        ending = ""
        for part in parts:
            try:
                new = self._training.score(config, part, check)
            except self._training.broke as error:
                ending = f"{_named(part)}: {error}"
                break
            for score in new:
                trial.report(score, step=len(scores))
                scores.append(score)
            if len(scores) < len(self._plan.seeds) and trial.should_prune():
                ending = f"worse than the best after {len(scores)} seeds"
                break
        about = {
            "engine": config.engine,
            "dqn_tf": dqn_tf.__version__,
            "seconds": round(time.monotonic() - start, 2),
            "cpu_seconds": round(time.process_time() - cpu_start, 2),
        }
        trial.set_user_attr(SCORES, scores)
        trial.set_user_attr(RUN, about)
        self._finish(trial, scores, ending)
        return ""

    def _refuse(self, trial: optuna.Trial, reason: str) -> str:
        trial.set_user_attr(REFUSED, reason)
        self._study.tell(trial, state=TrialState.PRUNED)
        self._training.say(f"trial {trial.number} cannot be run: {reason}")
        return reason

    def _finish(self, trial: optuna.Trial, scores: Sequence[float], ending: str) -> None:
        state = TrialState.PRUNED if ending else TrialState.COMPLETE
        value = None if ending else float(iqm(np.array(scores)))
        if ending:
            trial.set_user_attr(owners.REASON, ending)
        told = self._study.tell(trial, value, state=state, skip_if_finished=True)
        if told.state != state:
            raise UpdateFinishedTrialError
        self._training.say(self._sentence(trial.number, value, scores, ending))

    def _sentence(
        self, number: int, value: float | None, scores: Sequence[float], ending: str
    ) -> str:
        trials = self._study.get_trials(deepcopy=False)
        done = counted(trials, *FINISHED)
        listed = ", ".join(return_text(score) for score in scores)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        top: Any = max(complete, key=lambda trial: trial.value or 0.0, default=None)
        so_far = f"; best is trial {top.number} with {return_text(top.value)}" if top else ""
        outcome = f"stopped, {ending}" if value is None else return_text(value)
        seeds = f" ({listed})" if listed else ""
        return f"trial {number}, {done} of {self._plan.flags.trials}: {outcome}{seeds}{so_far}"


def _named(seeds: Sequence[int]) -> str:
    """Name the seeds that are trained together."""
    return f"seed{'s' * (len(seeds) > 1)} {' and '.join(map(str, seeds))}"
