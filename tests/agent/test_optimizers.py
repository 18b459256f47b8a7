"""The fused Adam of convolutional networks against Keras's own, and the target that is left alone
until its turn.
"""

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.optimizers import FusedAdam
from dqn_tf.envs.spaces import Spaces

IMAGES = Spaces((36, 36, 2), "uint8", actions=3)


def keras_adam(config) -> tf.keras.optimizers.Adam:
    rate = config.learning_rate
    if config.learning_rate_end is not None:
        rate = tf.keras.optimizers.schedules.PolynomialDecay(
            rate, config.total_updates, config.learning_rate_end
        )
    return tf.keras.optimizers.Adam(
        rate, epsilon=config.optimizer_epsilon, global_clipnorm=config.max_gradient_norm or None
    )


def batches(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    def image():
        return generator.integers(256, size=(count, 4, *IMAGES.observation_shape), dtype=np.uint8)

    return {
        "observation": image(),
        "action": generator.integers(3, size=(count, 4)).astype(np.int32),
        "reward": generator.normal(scale=3.0, size=(count, 4)).astype(np.float32),
        "discount": np.full((count, 4), 0.9, np.float32),
        "next_observation": image(),
    }


@pytest.mark.parametrize(
    ("max_norm", "clips", "rate_end"),
    [(0.0, False, 1e-5), (0.3, True, None), (1e3, False, 1e-5)],
)
def test_equals_keras_adam(max_norm, clips, rate_end, generator):
    config = oracles.make_config(
        max_gradient_norm=max_norm,
        learning_rate=1e-3,
        learning_rate_end=rate_end,
        optimizer_epsilon=1e-4,
        batch_size=4,
    )
    agents = (
        oracles.make_agent(config, IMAGES),
        oracles.make_agent(config, IMAGES, optimizer=keras_adam(config)),
    )
    assert isinstance(agents[0].optimizer, FusedAdam) and not isinstance(
        agents[1].optimizer, FusedAdam
    )
    data, before = batches(5, generator), agents[0].online.get_weights()
    metrics = [agent.learn(data, 5).metrics for agent in agents]
    assert (metrics[0]["gradient_norm"] > max_norm > 0) == clips
    for name, value in metrics[0].items():
        np.testing.assert_allclose(value, metrics[1][name], rtol=1e-4)
    assert int(agents[0].updates) == 5
    for first, one, other in zip(
        before, *(agent.online.get_weights() for agent in agents), strict=True
    ):
        moved = np.abs(one - first).max()
        assert moved > 1e-4 and np.abs(one - other).max() < 0.01 * moved


@pytest.mark.parametrize("tau", [1.0, 0.25])
def test_the_target_moves_when_it_is_due_and_then_only(tau, generator):
    config = oracles.make_config(
        target_update_period_env_steps=6, env_steps_per_update=2.0, tau=tau, batch_size=4
    )
    agent, data = oracles.make_agent(config, IMAGES), batches(1, generator)
    for update in range(1, 8):
        before = agent.target.get_weights()
        agent.learn(data, 1)
        share = tau if update % 3 == 0 else 0.0
        for old, new, online in zip(
            before, agent.target.get_weights(), agent.online.get_weights(), strict=True
        ):
            np.testing.assert_allclose(
                new, share * online + (1 - share) * old, rtol=1e-5, atol=1e-8
            )
            assert np.array_equal(new, old) == (share == 0.0)
