"""Layers that Keras does not have, and how weights start."""

import numpy as np
import tensorflow as tf


class NoisyDense(tf.keras.layers.Layer):
    """A dense layer with factorised Gaussian noise on its weights (Fortunato et al. 2018, equations
    9 to 11).

        y = x·(μ_w + σ_w ∘ f(ε_in) f(ε_out)ᵀ) + μ_b + σ_b ∘ f(ε_out),   f(ε) = sign(ε) √|ε|

    The noise is drawn statelessly from a seed and the layer's own number: the same seed gives the
    same noise. Without a seed the layer is its means, as evaluation and export use it. σ starts at
    `sigma` / √inputs.
    """

    def __init__(
        self,
        units: int,
        activation: str | None,
        kernel_initializer,
        bias_initializer,
        sigma: float,
        number: int,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.units, self.activation = units, tf.keras.activations.get(activation)
        self.sigma, self.number = sigma, number
        self._initializers = {"kernel": kernel_initializer, "bias": bias_initializer}

    def build(self, input_shape) -> None:
        """Means and sizes of the noise, kernel and bias."""
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

    def call(self, inputs: tf.Tensor, noise_seed: tf.Tensor | None = None) -> tf.Tensor:
        """[B, inputs] float32, int32 [2] → [B, units] float32."""
        outputs = tf.matmul(inputs, self.kernel) + self.bias
        if noise_seed is not None:
            noise_in, noise_out = self.noise(noise_seed, inputs.shape[-1])
            # The outer product is never formed: x·(σ ∘ a bᵀ) = ((x ∘ a)·σ) ∘ b.
            outputs += (
                tf.matmul(inputs * noise_in, self.kernel_sigma) + self.bias_sigma
            ) * noise_out
        return self.activation(outputs)

    def noise(self, seed: tf.Tensor, inputs: int) -> tuple[tf.Tensor, tf.Tensor]:
        """f(ε_in) [inputs] and f(ε_out) [units]."""
        drawn = tf.random.stateless_normal(
            (inputs + self.units,), seed + tf.constant([0, self.number % 2**31], tf.int32)
        )
        scaled = tf.sign(drawn) * tf.sqrt(tf.abs(drawn))
        return scaled[:inputs], scaled[inputs:]


class TrainingDense(tf.keras.layers.Dense):
    """A dense layer that computes what `Dense` does, and in training forms its gradient as
    `multiply` does, which is faster.
    """

    def __init__(self, units: int, multiply, **options) -> None:
        super().__init__(units, **options)
        self.multiply = multiply

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[B, inputs] float32 → [B, units] float32.

        Without `training` it is plain `Dense`, so an export holds nothing unusual.
        """
        if not training:
            return super().call(inputs)
        return self.activation(self.multiply(inputs, tf.convert_to_tensor(self.kernel)) + self.bias)


class StackedDense(tf.keras.layers.Layer):
    """The dense layers of `num_agents` networks that never meet, computed together:

    `Dense` with one more axis in front of everything.
    """

    def __init__(
        self,
        num_agents: int,
        units: int,
        activation: str | None,
        kernel_initializer,
        bias_initializer,
        multiply,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.num_agents, self.units, self.activation, self.multiply = (
            num_agents,
            units,
            tf.keras.activations.get(activation),
            multiply,
        )
        self._initializers = {"kernel": kernel_initializer, "bias": bias_initializer}

    def build(self, input_shape) -> None:
        """Kernels [num_agents, inputs, units] and biases [num_agents, units]."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_agents, int(input_shape[-1]), self.units),
            initializer=self._initializers["kernel"],
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.num_agents, self.units), initializer=self._initializers["bias"]
        )

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[num_agents, B, inputs] float32 → [num_agents, B, units] float32."""
        multiply = self.multiply if training else tf.matmul
        return self.activation(
            multiply(inputs, tf.convert_to_tensor(self.kernel)) + self.bias[:, tf.newaxis]
        )


@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def narrow_matmul(inputs: tf.Tensor, kernel: tf.Tensor):
    """The product with a kernel of a handful of outputs, as a head has.

    Back through two outputs, XLA's matmul takes 26 µs for a batch of 128 and 84 inputs, a sum of
    two outer products 2.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_inputs = tf.add_n(
            [
                upstream[..., unit, tf.newaxis] * kernel[..., tf.newaxis, :, unit]
                for unit in range(kernel.shape[-1])
            ]
        )
        return to_inputs, tf.linalg.matrix_transpose(tf.matmul(upstream, inputs, transpose_a=True))

    return tf.matmul(inputs, kernel), gradient


@tf.autograph.experimental.do_not_convert
@tf.custom_gradient
def wide_matmul(inputs: tf.Tensor, kernel: tf.Tensor):
    """The product [B, inputs] · [inputs, units] with a kernel of thousands of inputs, outside XLA.

    Back to 3,136 inputs from 512 units, TensorFlow's matmul of two matrices takes 0.94 ms for a
    batch of 32, its batched one 0.47.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_inputs = tf.matmul(upstream[tf.newaxis], kernel[tf.newaxis], transpose_b=True)[0]
        return to_inputs, tf.matmul(inputs, upstream, transpose_a=True)

    return tf.matmul(inputs, kernel), gradient


def fan_in_uniform(fan_in: int, seed: int) -> tf.keras.initializers.Initializer:
    """Uniform in ±1/sqrt(fan_in), for kernel and bias alike (LeCun et al. 1998), as in the original
    DQN.

    Biases must not start at zero: without them a fresh ReLU network is homogeneous in its input and
    extrapolates every value it learns along rays.
    """
    limit = 1.0 / np.sqrt(fan_in)
    return tf.keras.initializers.RandomUniform(-limit, limit, seed=seed)
