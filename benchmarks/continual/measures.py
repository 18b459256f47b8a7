"""What a chain of tasks is measured by, from the returns on each task at each stage.

`returns` is [N + 1, N]: row 0 of the untrained network, row i after the i-th of N tasks.
"""

import numpy as np


def forgetting(returns: np.ndarray) -> float:
    """Return how much is lost of the best that a task had, as the mean over all but the last.

    The best is that of any stage from the task's own training on, the last one left out (Chaudhry
    et al. 2018, equation 3). Negative is possible: later tasks then helped an earlier one.
    """
    tasks = returns.shape[1]
    lost = [returns[task + 1 : -1, task].max() - returns[-1, task] for task in range(tasks - 1)]
    return float(np.mean(lost))


def forward_transfer(returns: np.ndarray) -> float:
    """Return what earlier tasks are worth on a task that is still to come.

    It is the return right before the task's training, less that of the untrained network, as the
    mean over all but the first task (Lopez-Paz and Ranzato 2017, equation 4).
    """
    tasks = returns.shape[1]
    gained = [returns[task, task] - returns[0, task] for task in range(1, tasks)]
    return float(np.mean(gained))


def with_weights_kept(returns: np.ndarray) -> np.ndarray:
    """Return the returns of a player who has the weights from right after each task's training.

    Tasks that are still to come are played with the latest.
    """
    kept = returns.copy()
    for task in range(returns.shape[1]):
        kept[task + 2 :, task] = returns[task + 1, task]
    return kept


def learned(returns: np.ndarray) -> float:
    """Return the mean over the tasks of the return right after each one's own training."""
    return float(np.diagonal(returns, offset=-1).mean())
