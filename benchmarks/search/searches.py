"""The searches that are measured: words of dqn-search for each."""

from typing import NamedTuple


class Search(NamedTuple):
    """A search, typed as a command, and what its winner should reach on fresh seeds.

    Attributes:
      claim: the IQM; None where it is compared with the settings that it began with alone.
    """

    name: str
    title: str
    words: tuple[str, ...]
    claim: float | None = None


SEARCHES = (
    Search(
        "cartpole",
        "CartPole from the general defaults",
        (
            "--env=CartPole-v1",
            "--from_defaults",
            "--total_steps=30000",
            "--trials=20",
            "--seeds=3",
            "--test_seeds=10",
        ),
        claim=475.0,
    ),
    Search(
        "lunarlander",
        "LunarLander from its preset",
        ("--env=LunarLander-v3", "--trials=8", "--seeds=2", "--test_seeds=10"),
    ),
)
BY_NAME = {search.name: search for search in SEARCHES}
