"""What a preset is: the settings for one environment, and what they should reach."""

from typing import Any, NamedTuple


class LongRun(NamedTuple):
    """What is recommended on top in runs of `total_steps` and more."""

    total_steps: int
    values: dict[str, Any]


class Preset(NamedTuple):
    """Plain DQN tuned for one environment, and the improvements recommended on top of it.

    Attributes:
      claim: what a run with both should reach.
      long_run: what helps only where there is time for it; None where nothing does.
    """

    plain: dict[str, Any]
    recommended: dict[str, Any]
    claim: str
    long_run: LongRun | None = None

    def recommended_for(self, total_steps: int) -> dict[str, Any]:
        """Return the improvements that are recommended for a run of so many steps."""
        if self.long_run is None or total_steps < self.long_run.total_steps:
            return self.recommended
        return self.recommended | self.long_run.values
