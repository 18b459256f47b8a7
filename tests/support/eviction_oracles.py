"""Is what a full replay holds a uniform sample of all rows ever added? Counted many times."""

import itertools

import numpy as np
from scipy import stats

from dqn_tf.experience.eviction import Reservoir
from dqn_tf.experience.replay import UniformReplay

COLUMNS = {"number": ((), "int64")}
REPLAYS = 1500
LEAST_P = 1e-4


def reservoir(capacity: int, seed: int) -> UniformReplay:
    """An empty replay from which random rows give way."""
    generator = np.random.default_rng(seed)
    return UniformReplay(capacity, COLUMNS, generator, eviction=Reservoir(capacity, generator))


def filled(capacity: int, chunks: tuple[int, ...], seed: int) -> UniformReplay:
    """One to which rows numbered from 0 were added, so many at once."""
    replay = reservoir(capacity, seed)
    for count in chunks:
        replay.add({"number": replay.added + np.arange(count)})
    return replay


def held(replay: UniformReplay) -> tuple[int, ...]:
    """The numbers that it holds, ascending."""
    return tuple(sorted(replay.rows()["number"].tolist()))


def require_equally_likely(samples: list[tuple[int, ...]], rows: int, capacity: int) -> None:
    """Each set of `capacity` of so many rows must come about as often as any other."""
    sets = list(itertools.combinations(range(rows), capacity))
    counts = [samples.count(each) for each in sets]
    assert sum(counts) == len(samples), "a row lost, or twice there"
    assert stats.chisquare(counts).pvalue > LEAST_P


def check_every_sample_is_as_likely() -> None:
    """So is each sample, whether rows come one by one, in pieces, or all at once."""
    for chunks in ((1,) * 6, (2, 3, 1), (6,)):
        samples = [held(filled(2, chunks, seed)) for seed in range(REPLAYS)]
        require_equally_likely(samples, 6, 2)


def check_a_smaller_one_is_as_likely() -> None:
    """A smaller replay takes over a uniform sample of a sample, and goes on from there."""
    samples = []
    for seed in range(REPLAYS):
        larger = filled(4, (5,), seed)
        smaller = reservoir(2, REPLAYS + seed)
        smaller.restore(larger.rows(), larger.state())
        smaller.add({"number": np.array([5])})
        samples.append(held(smaller))
    require_equally_likely(samples, 6, 2)
