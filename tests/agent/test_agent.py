import time

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.dqn import DQN, weights_sha256
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from environments import CHAIN_STATES, chain_q_star, chain_transitions
from oracles import close, equal, make_agent, make_batch, make_config, tensors

CHAIN = Spaces((), "int64", 2, categories=CHAIN_STATES)


def stacked(count: int) -> dict[str, np.ndarray]:
    """`count` batches as `learn` takes them."""
    batches = [make_batch(number) for number in range(count)]
    return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}


@pytest.fixture(scope="module")
def learner():
    """One agent, compiled once, and what it was at birth."""
    agent = make_agent()
    oracles.part_networks(agent)
    return agent, agent.arrays()


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"max_gradient_norm": 0.1},
        {"max_gradient_norm": 0.0},
        {"loss": "mse"},
        {"huber_delta": 2.5},
        {"tau": 0.25},
        {"tau": 0.01, "target_update_period_env_steps": 1},
        {"target_update_period_env_steps": 3},
        {"env_steps_per_update": 0.5},
        {"optimizer": "rmsprop"},
        {"optimizer": "rmsprop", "max_gradient_norm": 0.5, "loss": "mse"},
    ],
    ids=str,
)
def test_update_equals_the_oracle(overrides):
    oracles.check_update(**overrides)


def test_target_is_a_copy_at_birth():
    oracles.check_target_at_birth()


def test_hard_copies_are_exact_and_on_time():
    oracles.check_hard_copies()


def test_tau_of_zero_never_moves_the_target():
    agent = make_agent(make_config(tau=0.0, target_update_period_env_steps=1))
    before = agent.target.get_weights()
    agent.update(tensors(make_batch(0)))
    equal(agent.target.get_weights(), before)


def test_gradient_reaches_the_selected_actions_column_and_nothing_of_the_target():
    agent = make_agent(
        make_config(target_update_period_env_steps=1000), optimizer=tf.keras.optimizers.SGD(1.0)
    )
    oracles.part_networks(agent)
    oracle, online, target = (
        oracles.NumpyAgent(agent),
        agent.online.get_weights(),
        agent.target.get_weights(),
    )
    batch = make_batch(0) | {"action": np.full(5, 2, np.int32)}
    agent.update(tensors(batch))
    for before, after, gradient in zip(
        online, agent.online.get_weights(), oracle.gradients(batch)[2], strict=True
    ):
        close(before - after, gradient)
    moved = (agent.online.get_weights()[2] != online[2]).any(axis=0)
    assert moved.tolist() == [False, False, True, False]
    equal(agent.target.get_weights(), target)
    assert agent.target.trainable_variables == []


def test_learn_is_that_many_updates_on_the_first_rows(learner):
    agent, birth = learner
    batches = stacked(5)
    agent.load_arrays(birth)
    metrics, singly = [], []
    for count in range(3):
        metrics.append(
            agent.update({name: tf.constant(column[count]) for name, column in batches.items()})
        )
    eager = agent.arrays()
    agent.load_arrays(birth)
    for count in range(3):
        singly.append(
            agent.learn(
                {name: np.roll(column, -count, axis=0) for name, column in batches.items()}, 1
            ).metrics
        )
    one_by_one = agent.arrays()
    agent.load_arrays(birth)
    # Not a number anywhere in the rows that are not to be used.
    spoilt = {
        name: (
            column
            if name == "action"
            else np.concatenate([column[:3], np.full_like(column[3:], np.nan)])
        )
        for name, column in batches.items()
    }
    learned = agent.learn(spoilt, 3)
    for name, array in agent.arrays().items():
        assert array.tobytes() == one_by_one[name].tobytes(), name
        close(array, eager[name])
    assert int(agent.updates) == 3 and learned.error is None
    equal(
        [learned.weights], [np.concatenate([array.ravel() for array in agent.online.get_weights()])]
    )
    for source in (metrics, singly):
        for name, merge in (("loss", np.mean), ("q_selected", np.mean), ("gradient_norm", np.max)):
            close(learned.metrics[name], merge([np.squeeze(values[name]) for values in source]))


def test_learn_asks_for_as_many_batches_as_updates(learner):
    agent, birth = learner
    agent.load_arrays(birth)
    with pytest.raises(UserError, match=r"^6 updates need as many batches, and there are 5\.$"):
        agent.learn(stacked(5), 6)
    equal(list(agent.arrays().values()), list(birth.values()))
    for learn in ("learn", "pretrain"):
        with pytest.raises(UserError, match=r"call agent\.compile\(\) first"):
            getattr(DQN(make_config(), oracles.BOX), learn)(stacked(5), 1)


def test_learn_takes_columns_of_other_types_of_the_same_shape(learner):
    agent, _ = learner
    batches = stacked(5)
    agent.learn(batches, 2)
    agent.learn(batches | {"weight": np.ones_like(batches["reward"])}, 2)
    agent.learn(batches | {"reward": batches["reward"].astype(np.float64)}, 2)


def test_learn_of_no_updates_changes_nothing(learner):
    agent, birth = learner
    agent.load_arrays(birth)
    agent.learn(stacked(5), 0)
    equal(list(agent.arrays().values()), list(birth.values()))


def test_learn_is_traced_once_and_compiled_once(learner):
    """XLA compiles behind the trace, anew if a count were a constant to it:

    that would show as a second or two for each count.
    """
    agent = make_agent()
    started = time.perf_counter()
    agent.learn(stacked(5), 5)
    first, started = time.perf_counter() - started, time.perf_counter()
    for count in (4, 3, 2, 1, 0, 5, 4, 3, 2, 1):
        agent.learn(stacked(5), count)
    assert time.perf_counter() - started < first
    assert agent.program.function.experimental_get_tracing_count() == 1


def test_learning_rate_falls_linearly():
    agent = make_agent(make_config(learning_rate_end=0.0, total_steps=18))  # 10 updates
    rates = []
    for number in range(11):
        # of the next update; Keras 2 has that of the last one under its public name
        schedule = agent.optimizer._learning_rate
        rates.append(float(schedule(agent.optimizer.iterations)))
        agent.update(tensors(make_batch(number)))
    close(rates, np.linspace(1e-2, 0.0, 11), 1e-6)


def test_call_is_the_online_network():
    agent = make_agent()
    oracles.part_networks(agent)
    observation = make_batch(0)["observation"]
    close(
        agent(observation), oracles.NumpyAgent.forward(agent.online.get_weights(), observation)[1]
    )
    assert agent(observation).dtype == tf.float32


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam", "loss": "mse"},
        {"optimizer": tf.keras.optimizers.Adam},
        {"loss": tf.keras.losses.MeanSquaredError},
    ],
    ids=str,
)
def test_compile_takes_names_and_keras_objects(options):
    """What is given is used; what is not comes from the config."""
    options = {
        name: value if isinstance(value, str) else value(0.03) if name == "optimizer" else value()
        for name, value in options.items()
    }
    agent = make_agent(make_config(max_gradient_norm=0.0, loss="huber"), **options)
    (error,) = agent.update(tensors(make_batch(0)))["loss"].numpy()
    oracle = oracles.NumpyAgent(
        make_agent(make_config(loss="mse" if "loss" in options else "huber"))
    )
    close(error, oracle.gradients(make_batch(0))[0])
    expected = (
        0.01 if "optimizer" not in options else 0.001 if options["optimizer"] == "adam" else 0.03
    )
    close(float(tf.convert_to_tensor(agent.optimizer.learning_rate)), expected)


def test_arrays_hold_everything_that_learning_moves():
    first = make_agent()
    first.update(tensors(make_batch(0)))
    second = make_agent(make_config(seed=99))
    second.load_arrays({name: array.copy() for name, array in first.arrays().items()})
    for agent in (first, second):
        for number in range(1, 4):
            agent.update(tensors(make_batch(number)))
    for name, array in second.arrays().items():
        assert array.tobytes() == first.arrays()[name].tobytes(), name


def test_seed_decides_the_weights():
    sums = [
        weights_sha256(DQN(make_config(seed=seed), oracles.BOX).get_weights()) for seed in (1, 1, 2)
    ]
    assert sums[0] == sums[1] != sums[2]


def test_without_spaces_they_are_those_of_the_configured_environment():
    assert DQN(make_config(env="CartPole-v1")).spaces == Spaces((4,), "float32", 2)


def test_weights_sha256_sees_values_shapes_and_dtypes():
    array = np.arange(6, dtype=np.float32)
    others = [
        array + 1e-6,
        array.reshape(2, 3),
        array.astype(np.float64),
        array.view(np.int32),
        -array * 0 + array[::-1],
    ]
    sums = {weights_sha256([other]) for other in (array, *others)}
    assert len(sums) == 6
    assert weights_sha256([array.reshape(2, 3)]) == weights_sha256(
        [np.asfortranarray(array.reshape(2, 3))]
    )


# --- offline, by Keras's fit ----------------------------------------------------------------------


def chain_dataset(gamma: float, repeat: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(chain_transitions(gamma)).repeat(repeat).batch(10)


def test_fit_on_all_transitions_of_the_chain_learns_q_star():
    config = make_config(
        hidden_units=(),
        learning_rate=3e-2,
        learning_rate_end=3e-4,
        total_steps=1008,
        target_update_period_env_steps=25,
    )
    agent = make_agent(config, CHAIN)
    history = agent.fit(chain_dataset(0.9, 1000), epochs=1, verbose=0).history
    close(agent(tf.range(CHAIN_STATES, dtype=tf.int64)), chain_q_star(0.9), 1e-2)
    assert int(agent.updates) == 1000
    assert set(history) >= {"loss", "q_selected"}


def test_fit_with_ordinary_keras_callbacks(tmp_path):
    agent = make_agent(make_config(hidden_units=(8,), target_update_period_env_steps=7), CHAIN)
    birth = agent.online.get_weights()
    calls = tf.keras.callbacks
    history = agent.fit(
        chain_dataset(0.5, 30),
        epochs=12,
        verbose=0,
        callbacks=[
            calls.EarlyStopping("loss", patience=100),
            calls.CSVLogger(tmp_path / "log.csv"),
            calls.ModelCheckpoint(
                tmp_path / "best.weights.h5", monitor="loss", save_weights_only=True
            ),
            calls.LearningRateScheduler(lambda epoch, _: 0.01 / (1 + epoch)),
        ],
    ).history
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert all(
        (before != after).any()
        for before, after in zip(birth, agent.online.get_weights(), strict=True)
    )
    assert int(agent.updates) == 360 and 360 % 7
    last_copy = agent.target.get_weights()
    assert all((before != after).any() for before, after in zip(birth, last_copy, strict=True))
    assert any(
        (one != other).any()
        for one, other in zip(agent.online.get_weights(), last_copy, strict=True)
    )
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 13
    close(float(tf.convert_to_tensor(agent.optimizer.learning_rate)), 0.01 / 12)
    loaded = make_agent(make_config(hidden_units=(8,), seed=77), CHAIN)
    loaded.load_weights(tmp_path / "best.weights.h5")
    equal(loaded.online.get_weights(), agent.online.get_weights())
    equal(loaded.target.get_weights(), agent.target.get_weights())


def test_fit_stops_early():
    agent = make_agent(make_config(hidden_units=(8,)), CHAIN)
    stop = tf.keras.callbacks.EarlyStopping("loss", mode="max")  # stops as soon as the loss falls
    assert (
        len(agent.fit(chain_dataset(0.5, 2), epochs=9, verbose=0, callbacks=[stop]).history["loss"])
        < 9
    )


def test_fit_and_update_are_the_same_step():
    fitted, updated = make_agent(), make_agent()
    batch = make_batch(0)
    fitted.fit(tf.data.Dataset.from_tensors(batch).repeat(3), verbose=0)
    for _ in range(3):
        updated.update(tensors(batch))
    for name, array in updated.arrays().items():
        close(fitted.arrays()[name], array)
