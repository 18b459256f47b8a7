"""The test of the best settings: runs on seeds that no trial has seen.

The best of many noisy scores is a lucky one, so what a search saw of its winner says too much.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.search.plan import BEST, SearchPlan, test_groups
from dqn_tf.search.study import best
from dqn_tf.search.trials import SCORES, Training, Worn
from dqn_tf.support.digits import return_text

START = "the start"


class Candidate(NamedTuple):
    """Settings that are tested.

    Attributes:
      number: of the trial; None for the settings that the search began with, if they are none of
        the best.
      seen: the scores that the search saw, one per seed.
    """

    number: int | None
    config: DQNConfig
    is_start: bool
    seen: tuple[float, ...] = ()

    @property
    def title(self) -> str:
        """What it is called in the report."""
        if self.number is None:
            return START
        return f"trial {self.number}" + (f" ({START})" if self.is_start else "")

    def key(self, seed: int) -> str:
        """Return the study's attribute that holds the score of this seed."""
        text = json.dumps(self.config.to_dict(), sort_keys=True)
        return f"fresh/{hashlib.sha256(text.encode()).hexdigest()[:12]}/{seed}"


class Tested(NamedTuple):
    """A candidate with the scores of its test, one per seed, and where learning broke."""

    candidate: Candidate
    scores: np.ndarray
    broke: str = ""


class Part(NamedTuple):
    """Runs that are trained together."""

    candidate: Candidate
    seeds: tuple[int, ...]


class StoredTrial:
    """Suggests the values that a finished trial had."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Take the trial's parameters."""
        self._parameters = parameters

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return the trial's value."""
        return float(self._parameters[name])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return the trial's value."""
        return int(self._parameters[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the trial's value."""
        return self._parameters[name]


def config_of(plan: SearchPlan, trial: FrozenTrial) -> DQNConfig:
    """Return the settings that a trial ran."""
    return plan.config(plan.space.propose(StoredTrial(trial.params)))


def candidates(plan: SearchPlan, study: optuna.Study) -> list[Candidate]:
    """Return the best trials of different settings, and those that the search began with."""
    start = plan.config({})
    found: list[Candidate] = []
    for trial in best(study):
        config = config_of(plan, trial)
        if any(config == other.config for other in found):
            continue
        seen = tuple(trial.user_attrs[SCORES])
        is_start = _settled(plan, config) == _settled(plan, start)
        found.append(Candidate(trial.number, config, is_start, seen))
        if len(found) == BEST:
            break
    if not any(candidate.is_start for candidate in found):
        found.append(Candidate(None, start, True))
    return found


def _settled(plan: SearchPlan, config: DQNConfig) -> DQNConfig:
    """Return the settings with the network that --network=auto stands for."""
    if config.network != "auto":
        return config
    return dataclasses.replace(config, network=plan.space.network)


def missing(plan: SearchPlan, study: optuna.Study, number: int = 0, count: int = 1) -> list[Part]:
    """Return the share `number` of `count` of the runs, without those that are done.

    They are in the parts that are trained together. Which share a part is in does not depend on
    what is done already, so that processes which begin at different times share them all.
    """
    done = study.user_attrs
    parts = []
    for candidate in candidates(plan, study):
        groups = test_groups(candidate.config, plan.test_seeds)
        parts += [Part(candidate, seeds) for seeds in groups]
    left = []
    for part in parts[number::count]:
        seeds = tuple(seed for seed in part.seeds if part.candidate.key(seed) not in done)
        left += [part._replace(seeds=seeds)] if seeds else []
    return left


def run(parts: Sequence[Part], study: optuna.Study, training: Training) -> None:
    """Train and test the parts, and store each result as it is there.

    Raises Worn where the process is, before a part.
    """
    for part in parts:
        if training.is_worn():
            raise Worn
        try:
            scores: Sequence[float | str] = training.score(
                part.candidate.config, part.seeds, training.check
            )
        except training.broke as error:
            scores = [str(error)] * len(part.seeds)
        for seed, value in zip(part.seeds, scores, strict=True):
            study.set_user_attr(part.candidate.key(seed), value)
        listed = ", ".join(_shown(value) for value in scores)
        training.say(f"test of {part.candidate.title}, {len(part.seeds)} fresh seeds: {listed}")


def results(plan: SearchPlan, study: optuna.Study) -> Iterator[Tested]:
    """Yield the candidates whose every test seed is done, with their scores."""
    done = study.user_attrs
    for candidate in candidates(plan, study):
        values = [done.get(candidate.key(seed)) for seed in plan.test_seeds]
        if not values or any(value is None for value in values):
            continue
        sentences = [value for value in values if isinstance(value, str)]
        scores = np.array([value for value in values if not isinstance(value, str)], float)
        yield Tested(candidate, scores, "".join(sentences[:1]))


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else return_text(value)
