"""How dueling streams become one: the same arithmetic for TensorFlow and for NumPy."""

from typing import Any


def combine(value: Any, advantage: Any) -> Any:
    """Return V + A - mean of A over the actions (Wang et al. 2016, equation 9).

    value [B, 1, ...] and advantage [B, A, ...], tensors or arrays, give [B, A, ...].
    """
    actions = advantage.shape[1]
    columns = (advantage[:, action : action + 1] for action in range(actions))
    return value + advantage - sum(columns) / actions
