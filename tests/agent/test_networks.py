import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.agent.networks.torsos import CNN, automatic
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

VECTOR = Spaces((3,), "float32", 2)


def network(
    spaces: Spaces, kind: str = "auto", hidden_units: tuple[int, ...] = (4, 5), seed: int = 0
) -> QNetwork:
    return QNetwork(
        spaces, DQNConfig(network=kind, hidden_units=hidden_units), np.random.default_rng(seed)
    )


def identity(spaces: Spaces) -> QNetwork:
    """A network that returns its features: no hidden layer, and the unit matrix for a head."""
    result = network(spaces, "mlp", ())
    result.set_weights(
        [
            np.eye(*result.get_weights()[0].shape, dtype=np.float32),
            np.zeros(spaces.actions, np.float32),
        ]
    )
    return result


@pytest.mark.parametrize(
    "spaces",
    [
        VECTOR,
        Spaces((), "int64", 3, categories=6),
        Spaces((4,), "uint16", 3, categories=6),
        Spaces((2, 3), "float32", 5),
        Spaces((4,), "uint8", 2),
        Spaces((2,), "int32", 2),
        Spaces((3,), "bool", 2),
        Spaces((40, 36, 1), "uint8", 2),
    ],
    ids=str,
)
def test_any_observation_gives_one_float_for_each_action(spaces):
    # TensorFlow's convolution on the CPU returns its input's shape for an empty batch (seen in
    # 2.21), so no 0 for images.
    for batch in (1, 4) if spaces.picture else (0, 1, 4):
        q_values = network(spaces)(
            tf.zeros((batch, *spaces.observation_shape), spaces.observation_dtype)
        )
        assert q_values.shape == (batch, spaces.actions)
        assert q_values.dtype == tf.float32


def test_discrete_observations_are_one_hot_from_their_own_start():
    spaces = Spaces((), "int64", 3, categories=3, category_start=-1)
    np.testing.assert_array_equal(
        identity(spaces)(tf.constant([-1, 0, 1, 0], tf.int64)), np.eye(3)[[0, 1, 2, 1]]
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint16", "int64"])
def test_tokens_are_one_hot_one_after_the_other(dtype):
    spaces = Spaces((2,), dtype, 6, categories=3, category_start=1, padding=1)
    expected = [[0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1]]
    tokens = tf.constant(np.array([[2, 1], [3, 3]], dtype))
    np.testing.assert_array_equal(identity(spaces)(tokens), expected)


def test_boxes_are_flattened_row_by_row_and_otherwise_left_as_they_are():
    values = np.arange(12).reshape(2, 2, 3)
    for dtype in ("float32", "uint8", "int32"):
        features = identity(Spaces((2, 3), dtype, 6))(tf.constant(values.astype(dtype)))
        np.testing.assert_array_equal(features, values.reshape(2, 6))


@pytest.mark.parametrize(
    ("dtype", "kind", "expected"),
    [("uint8", "mlp", 1.0), ("float32", "mlp", 255.0), ("uint8", "nature_cnn", 1.0)],
)
def test_only_images_of_bytes_are_scaled(dtype, kind, expected):
    model = network(Spaces((36, 36, 1), dtype, 2), kind)
    features = model.torso.encode(tf.cast(tf.fill((1, 36, 36, 1), 255), dtype))
    assert float(tf.reduce_max(features)) == float(tf.reduce_min(features)) == expected
    small = network(Spaces((4, 4, 1), "uint8", 2))
    assert float(tf.reduce_max(small.torso.encode(tf.fill((1, 4, 4, 1), np.uint8(255))))) == 255.0


def test_auto_takes_the_convolutions_for_images_that_they_can_see():
    for shape, expected in (
        ((36, 36, 1), True),
        ((84, 84, 4), True),
        ((35, 84, 4), True),
        ((84, 84), True),
        ((7, 7, 3), False),
        ((3,), False),
    ):
        torso = network(Spaces(shape, "uint8", 2), "auto").torso
        assert isinstance(torso, CNN) == expected
    assert not isinstance(network(Spaces((84, 84, 4), "uint8", 2), "mlp").torso, CNN)


def test_nature_cnn_is_the_papers():
    """Mnih et al.

    2015: 32 8x8 stride 4, 64 4x4 stride 2, 64 3x3 stride 1, 512; 1,687,206 weights for 6 actions on
    84x84x4.
    """
    model = network(Spaces((84, 84, 4), "uint8", 6))
    assert sum(array.size for array in model.get_weights()) == 1_687_206
    assert [array.shape for array in model.get_weights()[::2]] == [
        (8, 8, 4, 32),
        (4, 4, 32, 64),
        (3, 3, 64, 64),
        (3136, 512),
        (512, 6),
    ]


def test_nips_cnn_is_the_papers():
    """Mnih et al. 2013, section 4.1: 16 8x8 stride 4, 32 4x4 stride 2, 256."""
    model = network(Spaces((84, 84, 4), "uint8", 6), "nips_cnn")
    assert [array.shape for array in model.get_weights()[::2]] == [
        (8, 8, 4, 16),
        (4, 4, 16, 32),
        (2592, 256),
        (256, 6),
    ]


def test_small_cnn_looks_at_a_quarter_of_the_pixels_in_as_many_places():
    """16 4x4 stride 2, 32 4x4 stride 3, 256, on 42x42; the first layer has the 20x20 places of
    nips_cnn on 84x84."""
    model = network(Spaces((42, 42, 4), "uint8", 6), "small_cnn")
    assert [array.shape for array in model.get_weights()[::2]] == [
        (4, 4, 4, 16),
        (4, 4, 16, 32),
        (6 * 6 * 32, 256),
        (256, 6),
    ]
    assert model.torso.convolutions[0](np.zeros((1, 42, 42, 4), "float32")).shape == (1, 20, 20, 16)


def test_hidden_units_are_the_widths():
    assert [array.shape for array in network(VECTOR, hidden_units=(7, 9)).get_weights()[::2]] == [
        (3, 7),
        (7, 9),
        (9, 2),
    ]


def test_the_generator_decides_every_weight_and_nothing_else_does():
    def weights(seed: int) -> list[np.ndarray]:
        return network(VECTOR, hidden_units=(4, 4, 4), seed=seed).get_weights()

    first = weights(0)
    tf.random.set_seed(123)
    np.random.seed(123)
    for one, other, different in zip(first, weights(0), weights(1), strict=True):
        np.testing.assert_array_equal(one, other)
        assert (one != different).any()
    assert (first[2] != first[4]).any(), "layers of one shape have weights of their own"


def test_weights_and_biases_begin_uniform_within_one_over_the_root_of_the_fan_in():
    weights = network(Spaces((300,), "float32", 400), hidden_units=(200,)).get_weights()
    convolutions = network(Spaces((84, 84, 4), "uint8", 400)).get_weights()
    for arrays, fan_ins in (
        (weights, (300, 200)),
        (convolutions, (8 * 8 * 4, 4 * 4 * 32, 3 * 3 * 64, 3136, 512)),
    ):
        for kernel, bias, fan_in in zip(arrays[::2], arrays[1::2], fan_ins, strict=True):
            bound = fan_in**-0.5
            for array, slack in ((kernel, 0.01), (bias, 0.3)):
                assert bound * (1 - slack) < np.abs(array).max() <= bound
                assert abs(array.mean()) < bound * 5 / np.sqrt(3 * array.size)
            assert abs(kernel.var() / (bound**2 / 3) - 1) < 0.05


def test_minatars_network_by_hand(generator):
    """One convolution of 16 filters 3x3 and a dense layer of 128 (Young and Tian 2019), on what is
    there or not.
    """
    spaces = Spaces((10, 10, 4), "bool", 6)
    model = network(spaces)
    assert [weights.shape for weights in model.get_weights()] == [
        (3, 3, 4, 16),
        (16,),
        (1024, 128),
        (128,),
        (128, 6),
        (6,),
    ]
    observation = generator.random((2, 10, 10, 4)) < 0.3
    kernel, bias, *dense = model.get_weights()
    features = np.array(
        [
            [
                [np.tensordot(image[i : i + 3, j : j + 3], kernel, 3) + bias for j in range(8)]
                for i in range(8)
            ]
            for image in observation
        ]
    )
    hidden = np.maximum(np.maximum(features, 0.0).reshape(2, -1) @ dense[0] + dense[1], 0.0)
    np.testing.assert_allclose(
        model(tf.constant(observation)), hidden @ dense[2] + dense[3], atol=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((10, 10, 4), "bool", "minatar_cnn"),
        ((10, 10, 4), "uint8", "minatar_cnn"),
        ((2, 10, 4), "bool", "mlp"),
        ((84, 84, 4), "bool", "nature_cnn"),
    ],
)
def test_auto_knows_minatars_pictures(shape, dtype, expected):
    assert automatic(Spaces(shape, dtype, 2)) == expected


@pytest.mark.parametrize(
    ("shape", "kind", "sentence"),
    [
        ((4,), "minatar_cnn", r"need observations of shape .* it is \[4\]"),
        ((20, 20, 3), "nature_cnn", "too small for these convolutions"),
    ],
)
def test_observations_that_cannot_be_convolved(shape, kind, sentence):
    with pytest.raises(UserError, match=sentence):
        network(Spaces(shape, "uint8", 2), kind)


@pytest.fixture
def other_keras():
    """Keras as a keras.json or another library may have set it up."""
    yield
    tf.keras.mixed_precision.set_global_policy("float32")
    tf.keras.backend.set_floatx("float32")
    tf.keras.backend.set_image_data_format("channels_last")


@pytest.mark.parametrize("kind", ["mlp", "nature_cnn"])
def test_layers_have_their_type_and_layout_outright(kind, other_keras):
    spaces = Spaces((44, 44, 3), "uint8", 2)
    images = tf.cast(np.random.default_rng(0).integers(0, 256, (2, 44, 44, 3)), tf.uint8)
    before = network(spaces, kind)(images).numpy()
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    tf.keras.backend.set_image_data_format("channels_first")
    made = network(spaces, kind)
    assert {variable.dtype for variable in made.trainable_variables} <= {"float32", tf.float32}
    np.testing.assert_array_equal(made(images).numpy(), before)


def test_an_agent_says_what_keras_was_set_up_for(other_keras, monkeypatch):
    tf.keras.backend.set_floatx("float16")
    with pytest.raises(UserError, match=r"type of numbers is float16 .*set_floatx\('float32'\)"):
        DQN(DQNConfig(), VECTOR)
    monkeypatch.setattr(tf.keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="imported with the backend jax, and dqn_tf needs"):
        DQN(DQNConfig(), VECTOR)
