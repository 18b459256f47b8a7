"""The files of all trials: a table, their history, and what mattered."""

from __future__ import annotations

import contextlib
import csv
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from dqn_tf.search.fresh import StoredTrial
from dqn_tf.search.owners import REASON
from dqn_tf.search.plan import SearchPlan
from dqn_tf.search.study import REFUSED
from dqn_tf.search.trials import RUN, SCORES
from dqn_tf.support import files

TRIALS, HISTORY, IMPORTANCES = "trials.csv", "history.png", "importances.png"
OF_TRIAL = ("trial", "state", "value", "scores", "reason", "engine", "seconds", "cpu_seconds")
FEWEST = 4  # complete trials that importances are drawn of


def write_table(plan: SearchPlan, study: optuna.Study) -> Path:
    """Write a row for each trial, with its settings. Raises UserError."""
    names = [dimension.name for dimension in plan.space.dimensions]
    path = plan.output_dir / TRIALS
    with (
        files.writing(path),
        files.replaced(path) as aside,
        aside.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*OF_TRIAL, *names])
        for trial in study.get_trials(deepcopy=False):
            table.writerow(_row(plan, trial, names))
    return path


def draw(plan: SearchPlan, study: optuna.Study) -> list[str]:
    """Draw history and importances with Optuna's Matplotlib plots; say what cannot be drawn."""
    import matplotlib

    matplotlib.use("agg")  # files, and never a window
    from optuna.visualization import matplotlib as plots

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sentences = []
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    pictures = {HISTORY: lambda: plots.plot_optimization_history(study)}
    if len({trial.value for trial in complete}) >= FEWEST:
        pictures[IMPORTANCES] = lambda: plots.plot_param_importances(study, evaluator=evaluator)
    else:
        sentences.append(f"{IMPORTANCES} needs {FEWEST} complete trials of different values.")
    for name, plot in pictures.items():
        path = plan.output_dir / name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                figure: Any = plot().figure
                with files.replaced(path) as aside:
                    figure.savefig(aside, dpi=150, bbox_inches="tight")
        except (OSError, ValueError, RuntimeError) as error:
            sentences.append(f"{path} cannot be drawn: {error}")
    return sentences


def _row(plan: SearchPlan, trial: Any, names: list[str]) -> list[Any]:
    about = trial.user_attrs
    run = about.get(RUN, {})
    state = "refused" if REFUSED in about else trial.state.name.lower()
    values = {}
    if trial.state.is_finished() and trial.params:
        with contextlib.suppress(KeyError):  # it ended before it had all its values
            values = plan.space.propose(StoredTrial(trial.params))
    shown = [values.get(name, "") for name in names]
    return [
        trial.number,
        state,
        "" if trial.value is None or state != "complete" else f"{trial.value:.4f}",
        " ".join(f"{score:.4f}" for score in about.get(SCORES, ())),
        about.get(REFUSED, about.get(REASON, "")),
        run.get("engine", ""),
        run.get("seconds", ""),
        run.get("cpu_seconds", ""),
        *(",".join(map(str, value)) if isinstance(value, tuple) else value for value in shown),
    ]
