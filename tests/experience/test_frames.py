"""Replay of frames kept once, against a naive buffer that holds every stack in full."""

import dataclasses

import numpy as np
import pytest

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import frames as frames_module
from dqn_tf.experience.frames import Frames, numbered_spaces, ring_size
from dqn_tf.experience.replay import OBSERVATIONS, PrioritizedReplay, UniformReplay
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep, columns

STACK = 4
SPACES = Spaces((6, 5, STACK), "uint8", actions=3, stack=STACK)


class Game:
    """N environments of stacked random frames. `fill` says what is in an episode's first stack."""

    def __init__(
        self, num_envs: int, fill: str, end: float, generator: np.random.Generator
    ) -> None:
        self.fill, self.end, self.generator = fill, end, generator
        self.stacks = [self.begin() for _ in range(num_envs)]

    def frame(self) -> np.ndarray:
        return self.generator.integers(256, size=SPACES.observation_shape[:2], dtype=np.uint8)

    def begin(self, before: np.ndarray | None = None) -> np.ndarray:
        frames = [self.frame() for _ in range(STACK)]
        if self.fill == "black":
            frames[:-1] = [np.zeros_like(frames[0])] * (STACK - 1)
        elif self.fill == "repeated":
            frames = frames[:1] * STACK
        # a life was lost, and the game goes on
        elif self.fill == "going on" and before is not None:
            return before
        return np.stack(frames, axis=-1)

    def steps(self, length: int) -> Steps:
        steps = Steps.empty(length, len(self.stacks), SPACES)
        steps.action[:] = self.generator.integers(3, size=steps.action.shape)
        steps.reward[:] = self.generator.normal(size=steps.reward.shape)
        kind = self.generator.random(steps.action.shape)
        steps.terminated[:], steps.truncated[:] = kind < self.end, kind > 1 - self.end
        for t, env in np.ndindex(*steps.action.shape):
            steps.observation[t, env] = self.stacks[env]
            after = np.concatenate(
                [self.stacks[env][..., 1:], self.frame()[..., np.newaxis]], axis=-1
            )
            if self.fill == "anything" and self.generator.random() < 0.1:
                after = self.begin()
            steps.next_observation[t, env] = after
            self.stacks[env] = self.begin(after) if steps.ended[t, env] else after
        return steps


class Pair:
    """The same experience in a naive buffer and in one of frames."""

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        n_step: int,
        size: int | None = None,
        prioritized: bool = False,
    ) -> None:
        self.capacity, self.num_envs, self.n_step, self.prioritized = (
            capacity,
            num_envs,
            n_step,
            prioritized,
        )
        self.frames = Frames(
            size or ring_size(capacity, num_envs, n_step, SPACES), num_envs, SPACES
        )
        self.naive, self.held = (
            self.replay(SPACES),
            self.replay(numbered_spaces(SPACES), self.frames),
        )
        self.windows = [
            NStep(n_step, 0.9, num_envs, SPACES),
            NStep(n_step, 0.9, num_envs, numbered_spaces(SPACES)),
        ]

    def replay(self, spaces: Spaces, frames: Frames | None = None) -> UniformReplay:
        generator = np.random.default_rng(5)
        if self.prioritized:
            return PrioritizedReplay(self.capacity, columns(spaces), generator, 0.6, frames=frames)
        return UniformReplay(self.capacity, columns(spaces), generator, frames)

    def add(self, steps: Steps) -> None:
        self.naive.add(self.windows[0].add(steps))
        self.held.add(self.windows[1].add(self.frames.numbered(steps)))

    def check(self, updates: int = 2) -> None:
        """All that is held, and batches drawn, are what the naive buffer has in the same places."""
        live = np.arange(self.held.added - len(self.held), self.held.added) % self.capacity
        drawn = self.held.draw(updates, 8)
        assert set(drawn["place"].ravel().tolist()) <= set(live.tolist())
        for place in (live, drawn["place"]):
            equal(self.held.take({"place": place}), self.naive.take({"place": place}))


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for name, column in one.items():
        assert column.dtype == other[name].dtype
        np.testing.assert_array_equal(column, other[name])


@pytest.mark.parametrize("fill", ["black", "repeated", "history", "going on", "anything"])
@pytest.mark.parametrize(("num_envs", "n_step"), [(1, 1), (3, 1), (2, 3)])
def test_equals_a_naive_buffer_under_random_operations(fill, num_envs, n_step, generator):
    capacity = 60
    pair, game = Pair(capacity, num_envs, n_step), Game(num_envs, fill, 0.02, generator)
    for _ in range(60):
        pair.add(game.steps(int(generator.integers(1, 9))))
        if len(pair.held):
            pair.check()
    assert pair.naive.added > 2 * capacity and len(pair.held) > capacity // 2
    if fill in ("black", "repeated", "going on"):
        assert len(pair.held) == len(pair.naive) == capacity, (
            "episodes of 25 steps leave room for all"
        )


@pytest.mark.parametrize("prioritized", [False, True])
def test_rows_whose_frames_are_gone_go_too(prioritized, generator):
    """Episodes of two steps need three frames for two transitions, more than the ring has."""
    pair, game = Pair(50, 2, 2, size=60, prioritized=prioritized), Game(2, "black", 0.25, generator)
    lengths = []
    for _ in range(80):
        pair.add(game.steps(3))
        if len(pair.held):
            pair.check(20)
            lengths.append(len(pair.held))
            if prioritized:
                pair.held.update_priorities(generator.random((20, 8)))
    assert 25 < min(lengths[20:]) < 50


@pytest.mark.parametrize("prioritized", [False, True])
def test_draws_the_rows_that_a_naive_buffer_draws(prioritized, generator):
    pair, game = Pair(60, 2, 3, prioritized=prioritized), Game(2, "black", 0.01, generator)
    for _ in range(50):
        pair.add(game.steps(4))
        if len(pair.held):
            equal(pair.held.sample(3, 5), pair.naive.sample(3, 5))
            errors = generator.random((3, 5))
            for replay in (pair.held, pair.naive):
                if prioritized:
                    replay.update_priorities(errors)


def test_a_frame_that_was_overwritten_is_not_known_any_more():
    """Not even if what lies in its place now looks the same:

    its number would stand for a row that is gone.
    """
    frames, steps = Frames(STACK - 1, 1, SPACES), Steps.empty(4, 1, SPACES)
    steps.observation[:], steps.next_observation[:] = 7, 7
    steps.terminated[2] = True
    numbers = frames.numbered(steps).observation
    assert numbers[2].min() == 0 and numbers[3].min() > 0


def test_a_frame_is_kept_once(generator):
    """One frame per step, and one for each episode's beginning; black costs nothing."""
    frames, game = Frames(1000, 2, SPACES), Game(2, "black", 0.05, generator)
    steps = game.steps(100)
    frames.numbered(steps)
    assert frames.added == 200 + 2 + steps.ended[:-1].sum()


def test_bytes_of_an_atari_transition():
    spaces = Spaces((84, 84, 4), "uint8", actions=6, stack=4)
    assert frames_module.bytes_per_frame(spaces) == 84 * 84
    assert ring_size(100_000, 8, 3, spaces) * 84 * 84 / 100_000 + 64 + 12 + 8 + 8.25 <= 7_300


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("blocks", [3, 40])
def test_restored_holds_the_same_and_draws_the_same(prioritized, blocks, generator, monkeypatch):
    monkeypatch.setattr(frames_module, "CHUNK", 7)
    pair, game = Pair(40, 2, 2, prioritized=prioritized), Game(2, "black", 0.1, generator)
    for _ in range(blocks):
        pair.add(game.steps(3))
    other = Pair(40, 2, 2, prioritized=prioritized)
    rows = {name: column.copy() for name, column in pair.held.rows().items()}
    other.held.restore(rows, pair.held.state())
    other.windows[1].restore(
        {name: column.copy() for name, column in pair.windows[1].state().items()}
    )
    other.held.generator.bit_generator.state = pair.held.generator.bit_generator.state
    for _ in range(30):
        equal(pair.held.sample(2, 6), other.held.sample(2, 6))
        steps = game.steps(2)
        other.held.add(other.windows[1].add(other.frames.numbered(steps)))
        pair.add(steps)
        assert len(pair.held) == len(other.held)


@pytest.mark.parametrize("capacity", [15, 90])
@pytest.mark.parametrize("prioritized", [False, True])
def test_another_capacity_takes_over_the_newest_that_fit(capacity, prioritized, generator):
    pair, game = Pair(40, 2, 2, prioritized=prioritized), Game(2, "black", 0.05, generator)
    for _ in range(50):
        pair.add(game.steps(3))
    other = Pair(capacity, 2, 2, prioritized=prioritized)
    other.held.restore(pair.held.rows(), pair.held.state())
    assert len(other.held) == min(capacity, len(pair.held))
    newest = np.arange(pair.held.added - len(other.held), pair.held.added) % 40
    here = np.arange(other.held.added - len(other.held), other.held.added) % capacity
    equal(other.held.take({"place": here}), pair.held.take({"place": newest}))


def test_rows_that_were_gone_do_not_come_back_in_a_larger_ring(generator):
    """Episodes are so short that the ring runs out of frames before the rows run out of room."""
    pair, game = Pair(600, 1, 1), Game(1, "black", 0.2, generator)
    for _ in range(40):
        pair.add(game.steps(50))
    assert len(pair.held) < 600
    other = Pair(2_000, 1, 1)
    other.held.restore(pair.held.rows(), pair.held.state())
    assert len(other.held) == len(pair.held)
    newest = np.arange(pair.held.added - len(pair.held), pair.held.added)
    here = np.arange(other.held.added - len(other.held), other.held.added)
    equal(other.held.take({"place": here % 2_000}), pair.held.take({"place": newest % 600}))


def test_observations_are_stacks(generator):
    pair, game = Pair(40, 1, 1), Game(1, "black", 0.05, generator)
    pair.add(game.steps(10))
    # evenly spaced
    np.testing.assert_array_equal(
        pair.held.observations(4), pair.naive.rows()["observation"][[0, 3, 6, 9]]
    )
    assert pair.held.observations(99).shape == (10, *SPACES.observation_shape)


def test_stacks_that_follow_no_others_are_compared(generator):
    game, frames = Game(2, "repeated", 0.1, generator), Frames(200, 2, SPACES)
    frames.numbered(game.steps(5))
    game.stacks = [game.begin(), game.begin()]
    frames.forget([0, 1])
    steps = game.steps(5)
    numbered = frames.numbered(steps)
    for name in ("observation", "next_observation"):
        np.testing.assert_array_equal(frames.stacks(getattr(numbered, name)), getattr(steps, name))


def test_numbered_leaves_everything_else(generator):
    frames, steps = Frames(99, 1, SPACES), Game(1, "black", 0.05, generator).steps(5)
    numbered = frames.numbered(steps)
    for field in dataclasses.fields(Steps):
        if field.name not in OBSERVATIONS:
            assert getattr(numbered, field.name) is getattr(steps, field.name)
