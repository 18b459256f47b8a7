"""Logged episodes of several sources, one after the other."""

from collections.abc import Sequence

import numpy as np

from dqn_tf.experience.logged.episodes import LoggedEpisodes, content_digest
from dqn_tf.support.errors import UserError


def join(parts: Sequence[LoggedEpisodes]) -> LoggedEpisodes:
    """Return the episodes of all parts, in their order; a single part as it is.

    Propensities are kept only if every part has them. Raises UserError if some parts have masks
    and others have not.
    """
    if len(parts) == 1:
        return parts[0]
    with_masks = [part for part in parts if part.action_mask is not None]
    if with_masks and len(with_masks) < len(parts):
        without = next(part for part in parts if part.action_mask is None)
        raise UserError(
            f"--data={with_masks[0].source} says which actions are legal (action_mask), and"
            f" --data={without.source} does not: give all of them the column, or none."
        )
    lengths = np.concatenate([part.lengths for part in parts])
    has_propensity = all(part.propensity is not None for part in parts)
    return LoggedEpisodes(
        observation=_column(parts, "observation"),
        action=_column(parts, "action"),
        reward=_column(parts, "reward"),
        terminated=_column(parts, "terminated"),
        starts=np.concatenate([[0], lengths.cumsum()]),
        final_observation=_column(parts, "final_observation"),
        has_final=_column(parts, "has_final"),
        action_mask=_column(parts, "action_mask") if with_masks else None,
        final_mask=_column(parts, "final_mask") if with_masks else None,
        propensity=_column(parts, "propensity") if has_propensity else None,
        digest=content_digest(*(np.frombuffer(part.digest.encode(), np.uint8) for part in parts)),
        source=" ".join(part.source for part in parts),
    )


def _column(parts: Sequence[LoggedEpisodes], name: str) -> np.ndarray:
    return np.concatenate([getattr(part, name) for part in parts])
