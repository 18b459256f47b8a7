"""Places: so many requests may be at work at a time."""

from dqn_tf.serving.errors import ServingError


class Places:
    """As many places as requests may be at work. Only the event loop's thread may use it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self) -> "Place":
        """Take a place. Raises RESOURCE_EXHAUSTED if there is none."""
        if self.taken >= self.limit:
            raise ServingError(
                "RESOURCE_EXHAUSTED", f"More than {self.limit} requests at once; try again"
            )
        self.taken += 1
        return Place(self)


class Place:
    """One request's place. It is free when the last who keeps it has released it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._keepers = 1

    def keep(self) -> None:
        """Keep the place, too: for a thread that works on after its client was answered."""
        self._keepers += 1

    def release(self) -> None:
        """Give the place up."""
        self._keepers -= 1
        if self._keepers == 0:
            self._places.taken -= 1
