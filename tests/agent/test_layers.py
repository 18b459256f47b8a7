import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.networks.kernels import narrow_matmul, wide_matmul
from dqn_tf.agent.networks.layers import NoisyDense, TrainingDense, fan_in_uniform

INPUTS, UNITS = 6, 4
SEED = tf.constant([3, 5], tf.int32)


def layer(
    activation: str | None = None,
    number: int = 1,
    sigma: float = 0.5,
    inputs: int = INPUTS,
    units: int = UNITS,
) -> NoisyDense:
    """A built layer whose sigmas all differ."""
    made = NoisyDense(
        units,
        activation,
        fan_in_uniform(inputs, 1),
        fan_in_uniform(inputs, 2),
        sigma,
        number,
        "noisy",
    )
    made.build((None, inputs))
    return made


def spread(made: NoisyDense, generator: np.random.Generator) -> None:
    """Gives each weight a sigma of its own:

    with equal ones a transposed or summed product could not be told.
    """
    for sigma in (made.kernel_sigma, made.bias_sigma):
        sigma.assign(generator.normal(size=sigma.shape).astype(np.float32))


def test_equals_the_formula_with_the_outer_product_formed(generator):
    made = layer()
    spread(made, generator)
    inputs = generator.normal(size=(5, INPUTS)).astype(np.float32)
    noise_in, noise_out = (array.numpy().astype(np.float64) for array in made.noise(SEED, INPUTS))
    assert noise_in.shape == (INPUTS,) and noise_out.shape == (UNITS,)
    kernel = made.kernel.numpy() + made.kernel_sigma.numpy() * np.outer(noise_in, noise_out)
    bias = made.bias.numpy() + made.bias_sigma.numpy() * noise_out
    oracles.close(made(tf.constant(inputs), SEED), inputs @ kernel + bias, 1e-5)


def test_activation_comes_after_the_noise(generator):
    made, linear = layer("relu"), layer()
    inputs = tf.constant(generator.normal(size=(20, INPUTS)).astype(np.float32))
    oracles.close(made(inputs, SEED), np.maximum(linear(inputs, SEED), 0.0), 0.0)
    assert (made(inputs, SEED).numpy() == 0.0).any()


@pytest.mark.parametrize("activation", [None, "relu"])
def test_without_a_seed_it_is_dense(activation, generator):
    made = layer(activation)
    spread(made, generator)
    dense = tf.keras.layers.Dense(
        UNITS,
        activation,
        kernel_initializer=fan_in_uniform(INPUTS, 1),
        bias_initializer=fan_in_uniform(INPUTS, 2),
    )
    inputs = tf.constant(generator.normal(size=(5, INPUTS)).astype(np.float32))
    oracles.close(made(inputs), dense(inputs), 0.0)


def test_noise_has_the_moments_of_f_of_a_gaussian():
    """f(ε) = sign(ε) √|ε|:

    mean 0, E f² = E|ε| = √(2/π), E f⁴ = E ε² = 1, and in- and outgoing noise not correlated; five
    deviations.
    """
    made = NoisyDense(50_000, None, None, None, 0.5, 1, "never_built")
    noise_in, noise_out = (array.numpy().astype(np.float64) for array in made.noise(SEED, 50_000))
    for noise in (noise_in, noise_out):
        deviation = np.sqrt(np.sqrt(2 / np.pi) / noise.size)
        assert abs(noise.mean()) < 5 * deviation
        assert abs((noise**2).mean() - np.sqrt(2 / np.pi)) < 5 * noise.size**-0.5 * np.sqrt(
            1 - 2 / np.pi
        )
        assert abs((noise**4).mean() - 1.0) < 5 * np.sqrt(2 / noise.size)
    assert abs((noise_in * noise_out).mean()) < 5 * np.sqrt(2 / np.pi / noise_in.size)


def test_noise_belongs_to_a_seed_and_a_layer():
    first, second = layer(number=1), layer(number=2)
    oracles.close(first.noise(SEED, INPUTS)[0], layer(number=1).noise(SEED, INPUTS)[0], 0.0)
    for other in (
        first.noise(SEED + tf.constant([1, 0]), INPUTS),
        first.noise(SEED + tf.constant([0, 7]), INPUTS),
        second.noise(SEED, INPUTS),
    ):
        for one, another in zip(first.noise(SEED, INPUTS), other, strict=True):
            assert (one.numpy() != another.numpy()).all()


def test_noise_begins_at_sigma_over_the_root_of_the_inputs():
    made = layer(sigma=0.5, inputs=16)
    oracles.close(made.kernel_sigma, np.full((16, UNITS), 0.125), 1e-7)
    oracles.close(made.bias_sigma, np.full(UNITS, 0.125), 1e-7)


def test_gradients_reach_means_and_sigmas(generator):
    """∂/∂σ_w = Σ_b x a bᵀ, by hand."""
    made, inputs = layer(), generator.normal(size=(5, INPUTS)).astype(np.float32)
    weights = [made.kernel, made.bias, made.kernel_sigma, made.bias_sigma]
    assert len(made.trainable_variables) == 4
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(made(tf.constant(inputs), SEED))
    noise_in, noise_out = (array.numpy() for array in made.noise(SEED, INPUTS))
    summed = inputs.sum(axis=0)
    expected = [
        np.outer(summed, np.ones(UNITS)),
        np.full(UNITS, 5.0),
        np.outer(summed * noise_in, noise_out),
        5.0 * noise_out,
    ]
    for gradient, right in zip(tape.gradient(total, weights), expected, strict=True):
        oracles.close(gradient, right, 1e-5)


@pytest.mark.parametrize("fan_in", [4, 100])
def test_weights_start_within_one_over_the_root_of_the_inputs(fan_in):
    drawn = fan_in_uniform(fan_in, 3)((fan_in, 1000)).numpy()
    limit = fan_in**-0.5
    assert np.abs(drawn).max() <= limit and abs(drawn.std() - limit / np.sqrt(3)) < 0.05 * limit


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    "multiply, units",
    [
        (narrow_matmul, 1),
        (narrow_matmul, 2),
        (narrow_matmul, 3),
        (narrow_matmul, 4),
        (wide_matmul, 1),
        (wide_matmul, 6),
    ],
)
def test_training_dense_is_a_dense_layer_with_its_gradients(multiply, units, jit, generator):
    inputs, upstream = (
        generator.normal(size=(7, width)).astype(np.float32) for width in (5, units)
    )
    layers = [TrainingDense(units, multiply), tf.keras.layers.Dense(units)]
    for layer in layers:
        layer.build((None, 5))
    weights = [generator.normal(size=shape).astype(np.float32) for shape in ((5, units), (units,))]

    def outputs_and_gradients(layer):
        layer.set_weights(weights)

        @tf.function(jit_compile=jit)
        def call(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = (
                    layer(inputs, training=True)
                    if isinstance(layer, TrainingDense)
                    else layer(inputs)
                )
            return outputs, *tape.gradient(outputs, [inputs, *layer.trainable_variables], upstream)

        return call(tf.constant(inputs))

    faster, dense = map(outputs_and_gradients, layers)
    for one, other, by_hand in zip(
        faster,
        dense,
        (
            inputs @ weights[0] + weights[1],
            upstream @ weights[0].T,
            inputs.T @ upstream,
            upstream.sum(axis=0),
        ),
        strict=True,
    ):
        oracles.close(one, other, 1e-6)
        oracles.close(one, by_hand)


@pytest.mark.parametrize("multiply", [narrow_matmul, wide_matmul])
def test_training_dense_is_plain_outside_training(multiply):
    """An export holds no gradient of its own."""
    made, spec = TrainingDense(2, multiply), tf.TensorSpec((None, 5), tf.float32)
    made.build((None, 5))
    for training, unusual in ((False, False), (True, True)):
        graph = (
            tf.function(lambda inputs, training=training: made(inputs, training=training))
            .get_concrete_function(spec)
            .graph
        )
        assert ("IdentityN" in {operation.type for operation in graph.get_operations()}) == unusual
