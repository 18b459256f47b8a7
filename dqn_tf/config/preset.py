"""What a preset is: the settings for one environment, and what they should reach."""

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Plain DQN tuned for one environment, and the improvements recommended on top of it.

    `claim` is what a run with both should reach.
    """

    plain: dict[str, Any]
    recommended: dict[str, Any]
    claim: str

    @property
    def values(self) -> dict[str, Any]:
        """What differs from DQNConfig's defaults in a run of `train.py`."""
        return self.plain | self.recommended
