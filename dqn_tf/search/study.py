"""An Optuna study of ours: its sampler, its pruner, and the protocol that its trials share."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from dqn_tf.search.plan import SearchPlan, difference
from dqn_tf.search.storage import errors_told
from dqn_tf.support.addresses import without_password
from dqn_tf.support.errors import UserError

PROTOCOL = "dqn_tf"  # the study's attribute that holds what all trials share
REFUSED = "refused"  # a trial's attribute: why its settings cannot be run
BROKE_OFF = "broke_off"  # a trial's attribute: it ended with an error, and by no signal
SURPLUS = "surplus"  # a trial's attribute: one more than was asked for
STARTUP = 10  # trials that are drawn at random before TPE begins
SAME_ERRORS = 3  # in a study, before other settings are drawn where one was
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class RepeatableSampler(optuna.samplers.BaseSampler):
    """TPE whose random numbers follow from the search's seed and the number of the trial's draw.

    The draw of a trial that failed is the next one's. So a search by one worker that was killed and
    resumed proposes what it would have proposed, and two workers never draw the same.

    The first trial has the settings that the search begins with, and where it fails, the next one
    that is asked for. They are not queued in the study: on SQLite, two processes that ask at the
    same moment can both be given a queued trial.
    """

    def __init__(self, seed: int, start: Mapping[str, Any]) -> None:
        """Take the seed of the search, and the parameters it begins with; none if it has none."""
        self._seed = seed
        self._start = start
        self._given: Mapping[str, Any] = {}  # of this trial
        self._tpe = make_tpe(seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Draw for this trial with numbers of its own."""
        earlier = not_failed_before(study, trial.number)
        words = [self._seed, draw_of(study.get_trials(deepcopy=False), trial.number)]
        # The same again after an error that may have passed, but not for ever.
        errors = sum(BROKE_OFF in other.user_attrs for other in study.get_trials(deepcopy=False))
        if errors >= SAME_ERRORS:
            words.append(errors)
        entropy = np.random.SeedSequence(words)
        self._tpe = make_tpe(int(entropy.generate_state(1)[0]))
        has_start = any(self._may_be_start(other) for other in earlier)
        self._given = {} if has_start else self._start

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """Ask TPE, where nothing is given."""
        if self._given:
            return {}
        space: dict[str, Any] = self._tpe.infer_relative_search_space(study, trial)
        return space

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Ask TPE."""
        values: dict[str, Any] = self._tpe.sample_relative(study, trial, search_space)
        return values

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """Return what is given, or ask TPE."""
        if name in self._given:
            return self._given[name]
        return self._tpe.sample_independent(study, trial, name, distribution)

    def _may_be_start(self, trial: FrozenTrial) -> bool:
        """Tell whether a trial has the start's parameters, as far as it has been given any."""
        return all(self._start.get(name) == value for name, value in trial.params.items())


def make_tpe(seed: int) -> optuna.samplers.TPESampler:
    """Return TPE with every argument that is not the same by default in Optuna 4 and 5."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Optuna 4, which calls some of them experimental
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=STARTUP,
            n_ei_candidates=24,
            multivariate=True,
            group=False,
            constant_liar=True,
        )


def make_pruner(level: float) -> optuna.pruners.WilcoxonPruner:
    """Return the paired test against the best trial, from the second seed on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is called experimental
        return optuna.pruners.WilcoxonPruner(p_threshold=level, n_startup_steps=2)


def open_study(plan: SearchPlan, storage: Any) -> optuna.Study:
    """Make the study, or open the one that is there. Raises UserError if it is another one's."""
    place = plan.flags.storage
    with errors_told(place):
        study = optuna.create_study(
            storage=storage,
            study_name=plan.study,
            load_if_exists=True,
            direction="maximize",
            sampler=RepeatableSampler(plan.flags.seed, plan.space.base_parameters() or {}),
            pruner=make_pruner(plan.flags.prune_p),
        )
        stored = study.user_attrs.get(PROTOCOL)
        trials = study.get_trials(deepcopy=False)
    where = f"--storage={without_password(place)}"
    if stored is None and trials:
        raise UserError(
            f"{where} has a study {plan.study!r} that is not of dqn-search. Name another --study."
        )
    own = plan.protocol()
    with errors_told(place):
        if stored is None:
            study.set_user_attr(PROTOCOL, own)
            stored = own
    reason = difference(stored, own)
    if reason:
        raise UserError(
            f"{where} has a study {plan.study!r} of another search: {reason}. Give what it was"
            " begun with, or another --study."
        )
    return study


def not_failed_before(study: optuna.Study, number: int) -> list[FrozenTrial]:
    """Return the trials before this one that have not failed."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.number < number and trial.state != TrialState.FAIL]


def draw_of(trials: Sequence[FrozenTrial], number: int) -> int:
    """Return which draw of the search is a trial's: the first that was free when it began.

    One is free until a trial takes it, and again once that trial has failed.
    """
    held: set[int] = set()
    lost: list[tuple[FrozenTrial, int]] = []
    draw = 0
    for trial in sorted(trials, key=lambda trial: trial.number)[: number + 1]:
        not_yet_lost = {lost_draw for other, lost_draw in lost if _overlap(other, trial)}
        busy = held | not_yet_lost
        draw = next(count for count in itertools.count() if count not in busy)
        if trial.state == TrialState.FAIL:
            lost.append((trial, draw))
        else:
            held.add(draw)
    return draw


def _overlap(earlier: FrozenTrial, later: FrozenTrial) -> bool:
    """Tell whether a trial still ran when a later one began."""
    ended, began = earlier.datetime_complete, later.datetime_start
    return ended is not None and began is not None and ended > began


def counted(trials: Sequence[FrozenTrial], *states: TrialState) -> int:
    """Count the trials in these states, but for those that could not be run."""
    return sum(trial.state in states and REFUSED not in trial.user_attrs for trial in trials)


def best(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that all seeds ran, the best ones first; of equals, the earlier."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))
