"""Which observations are taken for pictures, and what becomes of them."""

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.networks import choice
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.training.plan import require_same_spaces
from sample_agents import agent, observations

ACTIONS = gym.spaces.Discrete(3)


def seen(shape, dtype=np.uint8, high=255) -> Spaces:
    return describe(gym.spaces.Box(0, high, shape, dtype), ACTIONS)


@pytest.mark.parametrize(
    ("shape", "layout", "picture", "torso"),
    [
        ((84, 84, 4), "HWC", (84, 84, 4), "nature_cnn"),
        ((210, 160, 3), "HWC", (210, 160, 3), "nature_cnn"),
        ((4, 84, 84), "CHW", (84, 84, 4), "nature_cnn"),
        ((3, 84, 84), "CHW", (84, 84, 3), "nature_cnn"),
        ((84, 84), "HW", (84, 84, 1), "nature_cnn"),
        ((4, 48, 48, 3), "SHWC", (48, 48, 12), "nature_cnn"),
        ((4, 3, 48, 48), "SCHW", (48, 48, 12), "nature_cnn"),
        ((4, 84, 84, 1), "SHWC", (84, 84, 4), "nature_cnn"),
        ((32, 32, 3), "HWC", (32, 32, 3), "nips_cnn"),
        ((3, 32, 32), "CHW", (32, 32, 3), "nips_cnn"),
        ((28, 28), "HW", (28, 28, 1), "nips_cnn"),
        ((35, 84, 4), "HWC", (35, 84, 4), "nips_cnn"),
        ((10, 10, 3), "HWC", (10, 10, 3), "minatar_cnn"),
        ((40, 40, 40), "HWC", (40, 40, 40), "nature_cnn"),
        ((7, 7, 3), "", None, "mlp"),  # MiniGrid's, which are codes and no pixels
        ((4, 84, 4), "", None, "mlp"),
        ((5, 5), "", None, "mlp"),
        ((3, 4, 48, 48, 3), "", None, "mlp"),
        ((12,), "", None, "mlp"),
    ],
)
def test_layouts_of_bytes(shape, layout, picture, torso):
    spaces = seen(shape)
    assert (spaces.picture, spaces.picture_shape) == (layout, picture)
    assert choice.automatic(spaces) == torso
    assert spaces.scales_pixels == bool(layout)
    assert Spaces(shape, "uint8", 3) == spaces
    assert Spaces.from_dict(spaces.to_dict()) == spaces


@pytest.mark.parametrize(
    ("shape", "dtype", "high", "layout"),
    [
        ((3, 84, 84), np.float32, 1.0, "CHW"),
        ((84, 84, 3), np.float32, 1.0, "HWC"),
        ((32, 32, 3), np.float32, 1.0, ""),  # a small array of floats may be anything
        ((84, 84), np.float32, 1.0, ""),
        ((8, 8, 12), np.uint8, 1, ""),  # planes of a board
        ((10, 10, 4), np.bool_, 1, ""),
    ],
)
def test_what_a_space_says_of_its_values_counts_for_small_ones(shape, dtype, high, layout):
    spaces = seen(shape, dtype, high)
    assert spaces.picture == layout and not spaces.scales_pixels


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 36, 40), (1, 2, 0)),
        ((36, 40), (0, 1)),
        ((3, 36, 40, 2), (1, 2, 0, 3)),
        ((3, 2, 36, 40), (2, 3, 0, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_picture_is_the_same_in_every_layout(shape, axes, dtype):
    """The network on turned pictures, the NumPy twin, and the same weights on channels last."""
    spaces = Spaces(shape, dtype, 3, picture=seen(shape).picture)
    turned = agent(spaces, network="nips_cnn")
    images = observations(spaces, 4)
    last = images.transpose(0, *(axis + 1 for axis in axes)).reshape(4, *spaces.picture_shape)
    plain = agent(Spaces(spaces.picture_shape, dtype, 3), network="nips_cnn")
    plain.online.set_weights(turned.online.get_weights())
    q_values = turned(tf.constant(images)).numpy()
    np.testing.assert_allclose(q_values, plain(tf.constant(last)).numpy(), rtol=1e-5, atol=1e-5)
    q_function = make_q_function(turned)
    np.testing.assert_allclose(q_function.q_values(images), q_values, rtol=1e-4, atol=1e-4)


def test_what_is_chosen_is_said_and_why():
    config = DQNConfig()
    assert choice.explain(config, seen((4, 84, 84))) == (
        "Network: nature_cnn (chosen by --network=auto) for pictures of 84x84 with 4 channels"
        " ([4, 84, 84]: channels or stacked frames first), pixels scaled to [0, 1]."
    )
    assert "mlp (chosen by --network=auto) for 4 numbers" in choice.explain(
        config, Spaces((4,), "float32", 2)
    )
    assert "not taken for pictures" in choice.explain(config, seen((7, 7, 3)))
    assert "Network: mlp for pictures" in choice.explain(
        DQNConfig(network="mlp"), seen((32, 32, 3))
    )


def test_spaces_of_an_earlier_version_stay_what_they_were():
    """Such a run goes on with the network that it has."""
    former = seen((4, 84, 84)).to_dict()
    del former["picture"]
    before = Spaces.from_dict(former)
    assert before.picture == "" and not before.scales_pixels
    require_same_spaces(before, seen((4, 84, 84)))
    former = seen((84, 84, 4)).to_dict()
    del former["picture"]
    assert Spaces.from_dict(former) == seen((84, 84, 4))
