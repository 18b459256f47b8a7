"""What acts: Q-values and choices, as whoever takes steps sees them."""

from typing import Protocol

import numpy as np


class QFunction(Protocol):
    """Q-values and choices under the newest weights that it was given."""

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return Q-values: [N, *shape] → [N, A] float32.

        With a generator, noisy layers draw their noise from it.
        """

    def greedy_action(
        self,
        observation: np.ndarray,
        mask: np.ndarray | None = None,
        generator: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Return the best actions [N] int64, counted from 0, as the run chooses.

        It is the largest Q-value's among the legal actions, `mask` [N, A] bool, and with --support
        among those that the data support. With --q_weight the behaviour's log-probability counts,
        too.
        """

    def behaviour(self, observation: np.ndarray) -> np.ndarray:
        """Return the behaviour head's logits: [N, *shape] → [N, A] float32.

        Only of a run that learns the behaviour of logged data.
        """

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Take over the weights, one after the other in one array [P] float32.

        None stands for the agent's own, as they are now.
        """
