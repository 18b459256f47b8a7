"""The logged data of a run: each source with its share of a batch's logged rows."""

from collections.abc import Sequence
from typing import NamedTuple

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.requests import FindTokenizer
from dqn_tf.experience.logged.sources import Corpus, load, parse_share
from dqn_tf.support.errors import UserError


class SharedEpisodes(NamedTuple):
    """Logged episodes, and the share of a batch's logged rows that come from them."""

    episodes: LoggedEpisodes
    share: float


def load_all(
    values: Sequence[str],
    spaces: Spaces,
    corpus: Corpus | None = None,
    find_tokenizer: FindTokenizer | None = None,
) -> list[SharedEpisodes]:
    """Read and check every value of `--data`; the last two arguments are those of `load`.

    Sources without a share divide by their numbers of steps what the others leave. Raises UserError
    for what cannot be read, and if they leave nothing.
    """
    pairs = [parse_share(value) for value in values]
    episodes = [load(source, spaces, corpus, find_tokenizer) for source, _ in pairs]
    given = sum(share for _, share in pairs if share is not None)
    steps = sum(
        len(part) for part, (_, share) in zip(episodes, pairs, strict=True) if share is None
    )
    left = 1.0 - given if given else 1.0
    if steps and left <= 0:
        raise UserError(
            f"--data: the shares sum to {given:g} and leave nothing for"
            f" {next(source for source, share in pairs if share is None)}. Give it one too."
        )
    return [
        SharedEpisodes(part, len(part) * left / steps if share is None else share)
        for part, (_, share) in zip(episodes, pairs, strict=True)
    ]
