"""Steps come out of a worker's answer with every bit that went in."""

import numpy as np
import pytest

from dqn_tf.distributed.packing import pack, unpack
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps

T, N = 9, 3


def played(generator, shape, dtype, stack):
    """Steps of environments whose episodes end, and which sometimes do not follow their rules."""
    spaces = Spaces(shape, dtype, 4, masked=True)
    steps = Steps.empty(T, N, spaces)

    def drawn():
        if dtype == "float32":
            return generator.choice([0.0, -0.0, np.nan, 1.5], shape).astype(dtype)
        return generator.integers(0, 3, shape).astype(dtype)

    observation = np.array([drawn() for _ in range(N)])
    before = observation.copy()
    for t, env in np.ndindex(T, N):
        steps.observation[t, env] = observation[env]
        after = drawn()
        if stack and generator.random() < 0.8:  # one newer frame
            after[..., :-1] = observation[env][..., 1:]
        steps.next_observation[t, env] = after
        ended = generator.random() < 0.3
        steps.terminated[t, env] = ended
        observation[env] = drawn() if ended else after
    for name in ("action", "reward", "env_reward", "action_mask", "next_action_mask", "env_ended"):
        column = getattr(steps, name)
        column[...] = generator.integers(0, 2, column.shape)
    return steps, before, observation


@pytest.mark.parametrize(
    ("shape", "dtype", "stack"),
    [((3,), "float32", 0), ((), "int64", 0), ((2, 3, 4), "uint8", 4), ((2, 2, 3), "float32", 3)],
)
def test_what_is_unpacked_is_what_was_packed(shape, dtype, stack, generator):
    steps, before, after = played(generator, shape, dtype, stack)
    packed = pack(steps, after, stack)
    found, last = unpack(packed, before)
    assert last.tobytes() == after.tobytes()
    for name, column in vars(steps).items():
        other = getattr(found, name)
        assert other.dtype == column.dtype and other.shape == column.shape
        assert other.tobytes() == column.tobytes(), name
        assert other.flags.writeable


def test_a_frame_travels_once():
    """Of stacks of four, a step brings one frame."""
    frames = np.arange(200, dtype=np.uint8).reshape(50, 2, 2)
    stacks = np.stack([frames[start : start + 4] for start in range(40)]).transpose(0, 2, 3, 1)
    steps = Steps.empty(30, 1, Spaces((2, 2, 4), "uint8", 2))
    steps.observation[:, 0] = stacks[:30]
    steps.next_observation[:, 0] = stacks[1:31]
    packed = pack(steps, stacks[30:31], 4)
    pixels = [array for name, array in packed.items() if array.dtype == np.uint8]
    assert sum(array.nbytes for array in pixels) == 30 * 4
