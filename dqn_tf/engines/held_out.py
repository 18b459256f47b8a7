"""How well the behaviour head predicts logged actions that it was never taught."""

from collections.abc import Sequence

import numpy as np

from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.held_out import hold_out
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.experience.q_function import QFunction

CROSS_ENTROPY = "held_out_cross_entropy"
DIVERGENCE = "kl_to_pretrained"
METRICS = {CROSS_ENTROPY: "held-out cross-entropy", DIVERGENCE: "KL to the pretrained model"}
MOST = 1_000  # steps that are looked at
AT_ONCE = 256  # observations of one forward pass
PRETRAINED = "held_out/pretrained"  # its array in a checkpoint


class HeldOut:
    """Steps that no update sees, and what the behaviour head said of them once pretrained.

    With several sources there are as many steps of each.
    """

    def __init__(self, sources: Sequence[LoggedEpisodes]) -> None:
        most = MOST // len(sources)
        parts = [(episodes, np.arange(len(episodes))[:most]) for episodes in sources]
        self._observation = np.concatenate([part.observation[rows] for part, rows in parts])
        self._action = np.concatenate([part.action[rows] for part, rows in parts])
        masks = [part.action_mask[rows] for part, rows in parts if part.action_mask is not None]
        self._mask = np.concatenate(masks) if len(masks) == len(parts) else None
        self._pretrained: np.ndarray | None = None  # log π0, [N, A]

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self._action)

    def remember(self, q_function: QFunction) -> None:
        """Keep the policy as it is now, to compare later ones with."""
        self._pretrained = self._log_policy(q_function)

    def measure(self, q_function: QFunction) -> dict[str, float]:
        """Return the cross-entropy -log π(a|s) and KL(π0 || π), nats a step.

        π0 is what `remember` kept; before that the divergence is left out.
        """
        log_policy = self._log_policy(q_function)
        taken = np.take_along_axis(log_policy, self._action[:, np.newaxis], axis=1)
        metrics = {CROSS_ENTROPY: float(-taken.mean())}
        if self._pretrained is not None:
            ratio = self._pretrained - log_policy
            metrics[DIVERGENCE] = float((np.exp(self._pretrained) * ratio).sum(axis=1).mean())
        return metrics

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays that a checkpoint needs."""
        return {} if self._pretrained is None else {PRETRAINED: self._pretrained}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned, among the rest of a checkpoint."""
        self._pretrained = arrays.get(PRETRAINED)

    def _log_policy(self, q_function: QFunction) -> np.ndarray:
        """Return log π(a|s) of all actions [N, A] float64, about -1e9 for illegal ones."""
        starts = range(0, len(self._observation), AT_ONCE)
        parts = [q_function.behaviour(self._observation[at : at + AT_ONCE]) for at in starts]
        logits = np.concatenate(parts).astype(np.float64)
        if self._mask is not None:
            logits = np.where(self._mask, logits, -1e9)
        logits -= logits.max(axis=1, keepdims=True)
        normed: np.ndarray = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return normed


def hold_out_all(
    logged: Sequence[SharedEpisodes],
) -> tuple[list[SharedEpisodes], list[LoggedEpisodes]]:
    """Return each source without what is held out of it, and what is."""
    rest, held_out = [], []
    for source in logged:
        kept, apart = hold_out(source.episodes)
        rest.append(source._replace(episodes=kept))
        held_out.append(apart)
    return rest, held_out
