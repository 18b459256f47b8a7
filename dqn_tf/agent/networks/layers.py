"""Dense layers that Keras does not have, and how weights start."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks import numpy_layers
from dqn_tf.agent.networks.kernels import Matmul, training_matmul
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError

# Layers have it outright: Keras's own default comes from keras.json, or from whoever sets a policy.
DTYPE = "float32"


def require_keras() -> None:
    """Raise UserError if Keras was set up for something else than float32 on TensorFlow."""
    keras = tf.keras.backend
    backend = keras.backend() if hasattr(keras, "backend") else "tensorflow"
    if backend != "tensorflow":
        raise UserError(
            f"Keras was imported with the backend {backend}, and dqn_tf needs tensorflow: import"
            " dqn_tf before keras, or set KERAS_BACKEND=tensorflow."
        )
    if keras.floatx() != DTYPE:
        raise UserError(
            f"Keras's type of numbers is {keras.floatx()} here, by keras.json or set_floatx, and"
            f" dqn_tf learns in {DTYPE}: call tf.keras.backend.set_floatx({DTYPE!r}) first."
        )


class DenseLayers:
    """Makes the dense layers of one network, as its configuration has them.

    Every layer draws its weights from seeds of its own, the next ones of `seeds`.
    """

    def __init__(
        self, config: DQNConfig, seeds: Iterator[int], uses_xla: bool, num_agents: int = 1
    ) -> None:
        self._noisy_sigma = config.noisy_sigma if config.noisy else None
        self._seeds = seeds
        self._uses_xla = uses_xla
        self._num_agents = num_agents

    def hidden(
        self, fan_in: int, widths: tuple[int, ...], name: str
    ) -> list[tf.keras.layers.Layer]:
        """Return layers with relu, one after another."""
        layers = []
        for number, units in enumerate(widths):
            layers.append(self._layer(fan_in, units, "relu", f"{name}_{number}"))
            fan_in = units
        return layers

    def output(self, fan_in: int, units: int, name: str) -> tf.keras.layers.Layer:
        """Return a layer without activation."""
        return self._layer(fan_in, units, None, name)

    def _layer(
        self, fan_in: int, units: int, activation: str | None, name: str
    ) -> tf.keras.layers.Layer:
        kernel = fan_in_uniform(fan_in, next(self._seeds))
        bias = fan_in_uniform(fan_in, next(self._seeds))
        multiply = training_matmul(units, activation is None, self._uses_xla)
        if self._num_agents > 1:
            return StackedDense(self._num_agents, units, activation, kernel, bias, multiply, name)
        if self._noisy_sigma is not None:
            number = next(self._seeds)
            return NoisyDense(units, activation, kernel, bias, self._noisy_sigma, number, name)
        return TrainingDense(
            units,
            multiply,
            activation=activation,
            kernel_initializer=kernel,
            bias_initializer=bias,
            name=name,
            dtype=DTYPE,
        )


class NoisyDense(tf.keras.layers.Layer):
    """A dense layer with factorised Gaussian noise (Fortunato et al. 2018, equations 9 to 11).

        y = x·(μ_w + σ_w ∘ f(ε_in) f(ε_out)ᵀ) + μ_b + σ_b ∘ f(ε_out),   f(ε) = sign(ε) √|ε|

    The noise is drawn statelessly from a seed and the layer's own number: the same seed gives the
    same noise. Without a seed the layer is its means, as evaluation and export use it. σ starts at
    `sigma` / √inputs.
    """

    def __init__(
        self,
        units: int,
        activation: str | None,
        kernel_initializer: tf.keras.initializers.Initializer,
        bias_initializer: tf.keras.initializers.Initializer,
        sigma: float,
        number: int,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.units = units
        self.activation = tf.keras.activations.get(activation)
        self.sigma = sigma
        self.number = number
        self._initializers = {"kernel": kernel_initializer, "bias": bias_initializer}

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make the means and the sizes of the noise, of kernel and bias."""
        inputs = int(input_shape[-1])
        size = tf.keras.initializers.Constant(self.sigma / np.sqrt(inputs))
        self.kernel = self.add_weight(
            name="kernel", shape=(inputs, self.units), initializer=self._initializers["kernel"]
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer=self._initializers["bias"]
        )
        self.kernel_sigma = self.add_weight(
            name="kernel_sigma", shape=(inputs, self.units), initializer=size
        )
        self.bias_sigma = self.add_weight(name="bias_sigma", shape=(self.units,), initializer=size)

    def call(
        self, inputs: tf.Tensor, noise_seed: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Return [B, units] float32 of [B, inputs] float32, with the noise of an int32 [2] seed.

        `training` changes nothing.
        """
        outputs = tf.matmul(inputs, self.kernel) + self.bias
        if noise_seed is not None:
            noise_in, noise_out = self.noise(noise_seed, inputs.shape[-1])
            # The outer product is never formed: x·(σ ∘ a bᵀ) = ((x ∘ a)·σ) ∘ b.
            noisy = tf.matmul(inputs * noise_in, self.kernel_sigma) + self.bias_sigma
            outputs += noisy * noise_out
        return self.activation(outputs)

    def noise(self, seed: tf.Tensor, inputs: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return f(ε_in) [inputs] and f(ε_out) [units]."""
        layer_seed = seed + tf.constant([0, self.number % 2**31], tf.int32)
        drawn = tf.random.stateless_normal((inputs + self.units,), layer_seed)
        scaled = tf.sign(drawn) * tf.sqrt(tf.abs(drawn))
        return scaled[:inputs], scaled[inputs:]


class TrainingDense(tf.keras.layers.Dense):
    """A dense layer that forms its gradient in training as `multiply` does, which is faster.

    It computes what `Dense` computes.
    """

    def __init__(self, units: int, multiply: Matmul, **options: object) -> None:
        super().__init__(units, **options)
        self.multiply = multiply

    def call(
        self, inputs: tf.Tensor, noise_seed: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Return [B, units] float32 of [B, inputs] float32; there is no noise.

        Without `training` it is plain `Dense`, so an export holds nothing unusual.
        """
        if not training:
            return super().call(inputs)
        return self.activation(self.multiply(inputs, tf.convert_to_tensor(self.kernel)) + self.bias)


class StackedDense(tf.keras.layers.Layer):
    """The dense layers of K independent networks, computed together.

    It is `Dense` with one more axis, of length K, in front of everything.
    """

    def __init__(
        self,
        num_agents: int,
        units: int,
        activation: str | None,
        kernel_initializer: tf.keras.initializers.Initializer,
        bias_initializer: tf.keras.initializers.Initializer,
        multiply: Matmul,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.num_agents = num_agents
        self.units = units
        self.activation = tf.keras.activations.get(activation)
        self.multiply = multiply
        self._initializers = {"kernel": kernel_initializer, "bias": bias_initializer}

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make kernels [K, inputs, units] and biases [K, units]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_agents, int(input_shape[-1]), self.units),
            initializer=self._initializers["kernel"],
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.num_agents, self.units), initializer=self._initializers["bias"]
        )

    def call(
        self, inputs: tf.Tensor, noise_seed: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Return [K, B, units] float32 of [K, B, inputs] float32; there is no noise."""
        multiply = self.multiply if training else tf.matmul
        product = multiply(inputs, tf.convert_to_tensor(self.kernel))
        return self.activation(product + self.bias[:, tf.newaxis])


def fan_in_uniform(fan_in: int, seed: int) -> tf.keras.initializers.Initializer:
    """Return the uniform initializer in ±1/sqrt(fan_in), for kernel and bias alike.

    It is that of LeCun et al. 1998 and of the original DQN. Biases must not start at zero: without
    them a fresh ReLU network is homogeneous in its input and extrapolates every value it learns
    along rays.
    """
    limit = 1.0 / np.sqrt(fan_in)
    return tf.keras.initializers.RandomUniform(-limit, limit, seed=seed)


def make_embedding(tokens: int, width: int, seed: int, name: str) -> tf.keras.layers.Layer:
    """Return an embedding of so many tokens as vectors of `width`, with entries of size 1."""
    return tf.keras.layers.Embedding(
        tokens,
        width,
        embeddings_initializer=tf.keras.initializers.RandomNormal(seed=seed, stddev=1.0),
        name=name,
        dtype=DTYPE,
    )


def planned(layer: tf.keras.layers.Layer, places: numpy_layers.Places) -> numpy_layers.PlannedLayer:
    """Describe a layer with weights as plain data, for its forward pass in NumPy.

    Raises TypeError for a kind of layer, or an activation, that NumPy's forward pass does not have.
    """
    is_convolution = isinstance(layer, tf.keras.layers.Conv2D) and layer.padding == "valid"
    if not is_convolution and not isinstance(layer, (tf.keras.layers.Dense, NoisyDense)):
        raise TypeError(f"no NumPy twin of a layer of type {type(layer).__name__}")
    is_rectified = layer.activation is tf.keras.activations.relu
    is_linear = layer.activation is tf.keras.activations.linear
    if not is_rectified and (is_convolution or not is_linear):
        raise TypeError(f"no NumPy twin of the activation {layer.activation.__name__}")
    kernel, bias, *sigmas = (places[id(variable)] for variable in layer.variables)
    if is_convolution:
        return numpy_layers.Convolution(kernel, bias, layer.strides[0])
    if isinstance(layer, NoisyDense):
        kernel_sigma, bias_sigma = sigmas
        return numpy_layers.NoisyDense(kernel, bias, kernel_sigma, bias_sigma, is_rectified)
    return numpy_layers.Dense(kernel, bias, is_rectified)
