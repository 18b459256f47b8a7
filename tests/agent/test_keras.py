"""What a Keras user expects of a Keras model: it works, or is refused in a sentence.

test_legacy_keras.py runs this file once more under Keras 2.
"""

import json
import re
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf import DQN, DQNConfig, UserError
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.envs.spaces import Spaces
from gru_torso import GRUTorso
from oracles import BOX, close, equal, make_agent, make_batch, make_config

ROWS = 12
PIXELS = Spaces((36, 36, 2), "uint8", 3)
CATEGORIES = Spaces((), "int64", 3, categories=5, category_start=2)
MASKED = Spaces((3,), "float32", 4, masked=True)
STACKED = Spaces((4, 2), "float32", 2)  # what a GRU reads


def batch_of(spaces: Spaces = BOX, **columns) -> dict[str, np.ndarray]:
    """A batch of `ROWS` transitions, as `spaces` have them."""
    batch = make_batch(0, ROWS, spaces)
    for name in ("observation", "next_observation"):
        batch[name] = np.abs(batch[name]).astype(spaces.observation_dtype) + spaces.category_start
    if spaces.masked:
        batch |= dict.fromkeys(("action_mask", "next_action_mask"), np.ones((ROWS, 4), np.int8))
    return batch | columns


def dataset(batch: dict[str, np.ndarray], size: int = 5) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(batch).batch(size)


def eager(agent: DQN, **options) -> DQN:
    """The agent, compiled without a graph: tracing costs more than all that is asked here."""
    agent.compile(run_eagerly=True, **options)
    return agent


def same(one: DQN, other: DQN) -> None:
    equal(list(one.arrays().values()), list(other.arrays().values()))


@pytest.fixture(scope="module")
def agent() -> DQN:
    """An agent that each test may train."""
    return eager(make_agent())


# --- fit, evaluate, predict -----------------------------------------------------------------------


def test_fit_validates_and_evaluate_measures_without_learning(agent):
    batch = batch_of()
    history = agent.fit(batch, validation_data=dataset(batch), epochs=2, verbose=0).history
    assert set(history) == {"loss", "q_selected", "val_loss", "val_q_selected"}
    before = agent.arrays()
    measured = agent.evaluate(batch, verbose=0, return_dict=True)
    equal(list(agent.arrays().values()), list(before.values()))
    # what fit measured last, whatever the size of the batches: 5, 5 and 2 against 32
    close(measured["loss"], history["val_loss"][-1])
    close(measured["q_selected"], history["val_q_selected"][-1])
    # and what the next update measures before it is made
    update = agent.update({name: tf.constant(column) for name, column in batch.items()})
    close(measured["loss"], update["loss"][0])
    close(measured["q_selected"], update["q_selected"][0])


def test_validation_by_a_split_and_by_a_dict_stops_training_early(agent):
    batch = batch_of()
    stop = tf.keras.callbacks.EarlyStopping("val_loss", mode="max", patience=0)
    for options in ({"validation_split": 0.25}, {"validation_data": batch}):
        history = agent.fit(batch, epochs=9, verbose=0, callbacks=[stop], **options).history
        assert len(history["val_loss"]) < 9


def test_evaluate_of_noisy_layers_has_no_noise():
    agent = eager(make_agent(make_config(noisy=True, double=True)))
    first = agent.evaluate(batch_of(), verbose=0)
    agent.optimizer.iterations.assign_add(1)  # which the noise is drawn by
    assert agent.evaluate(batch_of(), verbose=0) == first


def test_predict_gives_q_values_of_observations_and_of_transitions(agent):
    batch = batch_of()
    q_values = agent(batch["observation"])
    close(agent.predict(batch["observation"], batch_size=5, verbose=0), q_values)
    close(agent.predict(batch, verbose=0), q_values)
    close(agent.predict(dataset(batch), verbose=0), q_values)
    close(agent.predict_on_batch(batch["observation"]), q_values)
    for method in (agent.predict, agent.predict_on_batch):
        assert method(np.zeros((0, 3))).shape == (0, 4)


def test_observations_that_are_none_are_named(agent):
    for wrong in (None, np.zeros((2, 5))):
        for method in (agent.predict, agent.predict_on_batch, agent.predict_on_batch):
            with pytest.raises(UserError, match="observation"):
                method(wrong)
            assert method(np.zeros((2, 3))).shape == (2, 4)  # and again rows that are right


def test_no_data_at_all_are_named(agent):
    for method in (agent.fit, agent.evaluate, agent.train_on_batch):
        with pytest.raises(
            UserError, match="The data are nothing, and DQN learns from a dict of col"
        ):
            method(None)
    with pytest.raises(UserError, match="The column note is a ndarray that makes no array of num"):
        agent.fit(batch_of(note=np.array(["a"] * ROWS)), verbose=0)
    with pytest.raises(UserError, match="have no column reward, but none"):
        agent.learn({}, 1)
    with pytest.raises(UserError, match="no behaviour head to imitate with: give its DQNConfig"):
        agent.imitate({name: tf.constant(column) for name, column in batch_of().items()})


def test_a_batch_is_trained_and_tested_on(agent):
    names = agent.metrics_names
    assert names[:2] == ["loss", "q_selected"]
    tested = agent.test_on_batch(batch_of())
    trained = agent.train_on_batch(batch_of(), return_dict=True)
    close(tested, [trained[name] for name in names])
    assert agent.test_on_batch(batch_of())[0] < tested[0]


@pytest.mark.parametrize("distribution", ["", "c51", "quantile"])
def test_the_metrics_of_compile_compare_target_and_selected(distribution):
    settings = {"distribution": distribution, "atoms": 5, "v_min": -9.0, "v_max": 9.0}
    agent = make_agent(make_config(**(settings if distribution else {})))
    oracles.part_networks(agent)
    eager(agent, metrics=["mae"], weighted_metrics=[tf.keras.metrics.MeanSquaredError("mse")])
    weight = np.arange(ROWS, dtype=np.float32)
    scores = agent.evaluate(batch_of(), sample_weight=weight, verbose=0, return_dict=True)
    q_values = agent(batch_of()["observation"]).numpy()
    measured = agent.measure(batch_of())
    selected = q_values[np.arange(ROWS), batch_of()["action"]]
    close(measured["selected"], selected)
    error = measured["target"].numpy() - selected
    close(scores["mae"], np.abs(error).mean())
    close(scores["mse"], np.average(error**2, weights=weight))
    if distribution != "c51":  # whose error is the cross-entropy
        close(np.abs(error), measured["error"])
    history = agent.fit(batch_of(), validation_data=batch_of(), verbose=0).history
    assert {"mae", "mse", "val_mae", "val_mse"} < set(history)


def test_sample_weights_are_the_column_weight(agent):
    batch = batch_of()
    weight = np.arange(ROWS)
    by_column = agent.evaluate(batch | {"weight": weight}, verbose=0)
    assert agent.evaluate(batch, sample_weight=weight, verbose=0) == by_column
    assert agent.evaluate((batch, None, weight), verbose=0) == by_column
    assert agent.test_on_batch(batch, sample_weight=weight) == pytest.approx(by_column)
    assert agent.evaluate(batch, verbose=0)[0] != by_column[0]
    assert agent.evaluate(batch, sample_weight=np.zeros(ROWS), verbose=0)[0] == 0.0
    one, other = eager(make_agent()), eager(make_agent())
    one.fit(batch, sample_weight=weight, shuffle=False, verbose=0)
    other.fit(dataset(batch | {"weight": weight}, ROWS), verbose=0)
    same(one, other)


def test_numpys_own_dtypes_learn_the_same():
    """float64 rewards and int64 actions, as Python's numbers become arrays."""
    wide = {
        name: column.astype("int64" if column.dtype.kind == "i" else "float64")
        for name, column in batch_of().items()
    }
    agents = [eager(make_agent()) for _ in range(4)]
    agents[0].fit(batch_of(), verbose=0, shuffle=False)
    agents[1].fit(wide, verbose=0, shuffle=False)
    agents[2].fit(dataset(wide, ROWS), verbose=0)
    agents[3].fit(
        {name: column.tolist() for name, column in wide.items()}, verbose=0, shuffle=False
    )
    for other in agents[1:]:
        same(agents[0], other)
    one, other = eager(make_agent()), eager(make_agent())
    one.update({name: tf.constant(column) for name, column in batch_of().items()})
    other.update(wide)
    same(one, other)
    assert one(wide["observation"]).dtype == tf.float32


def test_other_spaces_take_any_integers_in_range():
    for spaces, columns in (
        (PIXELS, {"observation": np.full((ROWS, 36, 36, 2), 200)}),
        (CATEGORIES, {"observation": np.full(ROWS, 6, np.int32)}),
        (MASKED, {}),
    ):
        losses = eager(make_agent(spaces=spaces)).train_on_batch(batch_of(spaces, **columns))
        assert np.isfinite(losses).all()


class Batches(tf.keras.utils.Sequence):
    """Two batches, each what `make` returns."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.make()


def test_generators_and_sequences_feed_fit(agent):
    before = int(agent.updates)
    agent.fit((batch_of() for _ in range(2)), steps_per_epoch=2, verbose=0)
    agent.fit(((batch_of(),) for _ in range(2)), steps_per_epoch=2, verbose=0)
    agent.fit(Batches(batch_of), verbose=0)
    agent.fit(Batches(lambda: (batch_of(),)), verbose=0)
    assert int(agent.updates) - before == 8
    with pytest.raises(UserError, match="as its column weight"):
        agent.fit(Batches(lambda: (batch_of(), None, np.ones(ROWS))), verbose=0)


# --- what is refused ------------------------------------------------------------------------------

WITHOUT_DISCOUNT = {name: column for name, column in batch_of().items() if name != "discount"}
# what is wrong with shapes, dtypes and names, and what the sentence says of it
WRONG = {
    "a wrong width": (
        batch_of(observation=np.zeros((ROWS, 4))),
        "observation is float64 [12, 4]; it must be float32 [B, 3]",
    ),
    "one more axis": (
        batch_of(next_observation=np.zeros((ROWS, 3, 1), np.float32)),
        "next_observation is float32 [12, 3, 1]; it must be float32 [B, 3]",
    ),
    "floats for actions": (
        batch_of(action=np.zeros(ROWS)),
        "action is float64 [12]; it must be integers from 0 to 3 [B]",
    ),
    "a column of actions": (batch_of(action=np.zeros((ROWS, 1), int)), "action is int64 [12, 1];"),
    "a column of rewards": (
        batch_of(reward=np.zeros((ROWS, 1))),
        "reward is float64 [12, 1]; it must be float32 [B]",
    ),
    "words for rewards": (batch_of(reward=np.full(ROWS, "one")), "reward is string [12];"),
    "complex rewards": (batch_of(reward=np.zeros(ROWS, complex)), "reward is complex128 [12];"),
    "done for discount": (
        WITHOUT_DISCOUNT | {"done": np.zeros(ROWS, bool)},
        "no column discount, but observation float32 [12, 3], action int32 [12], reward float32"
        " [12], next_observation float32 [12, 3], done bool [12].",
    ),
    "done as discount": (
        batch_of(discount=np.zeros(ROWS, bool)),
        "discount is bool [12]; it must be float32 [B]: gamma, or 0 where the episode terminated."
        " There is no `done` here: discount is np.where(terminated, 0.0, gamma).",
    ),
    "another name of the weight": (
        batch_of(weights=np.ones(ROWS)),
        "a column weights, which nothing reads. Is it meant to be weight?",
    ),
    "fewer rewards": (
        batch_of(reward=np.zeros(7, np.float32)),
        "different numbers of rows: observation float32 [12, 3], action int32 [12], reward float32"
        " [7]",
    ),
    "rows of two lengths": (
        batch_of(observation=[[1.0, 2.0, 3.0], [1.0]]),
        "observation is a list that makes no array of numbers",
    ),
    "nothing": ({name: column[:0] for name, column in batch_of().items()}, "no transitions"),
    "an array": (np.zeros((ROWS, 3)), "The data are float64 [12, 3], and DQN learns from a dict"),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_column_is_named_with_what_it_is_and_what_it_must_be(agent, wrong):
    batch, sentence = WRONG[wrong]
    for method in (agent.fit, agent.evaluate, agent.train_on_batch, agent.test_on_batch):
        with pytest.raises(UserError, match=re.escape(sentence)):
            method(batch)
    with pytest.raises(UserError, match=re.escape(sentence)):
        agent.fit(batch_of(), validation_data=batch, verbose=0)


@pytest.mark.parametrize(
    "data, sentence",
    [
        (
            dataset((batch_of()["observation"], batch_of()["action"])),
            "(float32 [B, 3], int32 [B]), and DQN learns from a dict of columns: observation,"
            " action, reward, discount and next_observation. It forms its targets itself",
        ),
        (dataset(tuple(batch_of().values())), "float32 [B], float32 [B], float32 [B, 3])"),
        (dataset(WITHOUT_DISCOUNT), "no column discount"),
        (
            tf.data.Dataset.from_tensor_slices(batch_of()),
            "single transitions (observation float32 [3], action int32 []",
        ),
        (
            ((batch_of()["observation"], batch_of()["action"]) for _ in range(2)),
            "and DQN learns from a dict of columns",
        ),
        (
            (WITHOUT_DISCOUNT | {"done": np.zeros(ROWS)} for _ in range(2)),
            "no column discount",
        ),
        (Batches(lambda: (batch_of()["observation"], batch_of()["action"])), "learns from a dict"),
    ],
    ids=["pairs", "five", "no discount", "unbatched", "generator", "its columns", "sequence"],
)
def test_other_data_are_refused_as_they_are_read(data, sentence):
    agent = make_agent()
    with pytest.raises(UserError, match=re.escape(sentence)) as refused:
        agent.fit(data, verbose=0)
    assert "\n" not in str(refused.value), "Keras's and TensorFlow's words are left out"


def test_keras_arguments_without_a_meaning_here_are_refused(agent):
    batch = batch_of()
    for arguments, sentence in (
        ({"y": batch["action"]}, "It forms its targets itself"),
        ({"class_weight": {0: 1.0}}, "transitions have no classes"),
        ({"x": batch | {"weight": np.ones(ROWS)}, "sample_weight": np.ones(ROWS)}, "one of them"),
        ({"x": dataset(batch), "sample_weight": np.ones(ROWS)}, "learns from a dict"),
    ):
        with pytest.raises(UserError, match=sentence):
            agent.fit(**{"x": batch, "verbose": 0} | arguments)


# what is wrong with values; each of them in the last row
VALUES = {
    "action of 4": ("action", 4, "the value 4 in row 11 of a batch; it must be from 0 to 3"),
    "action of -1": ("action", -1, "the value -1 in row 11"),
    "action of 2**32": ("action", 2**32, "the value 4294967296 in row 11"),
    "reward of nan": ("reward", np.nan, "the value nan in row 11 of a batch; it must be a finite"),
    "discount of 99": ("discount", 99.0, "the value 99 in row 11 of a batch; it must be from 0 to"),
    "weight of -1": ("weight", -1.0, "a finite number of at least 0"),
    "observation of inf": ("observation", np.inf, "the value inf in row 11"),
}


def spoilt(name: str, value: float) -> dict[str, np.ndarray]:
    batch = batch_of(weight=np.ones(ROWS, np.float32))
    if isinstance(value, int):
        batch[name] = batch[name].astype("int64")
    batch[name] = batch[name].copy()
    batch[name][-1] = value
    return batch


@pytest.mark.parametrize("wrong", VALUES, ids=str)
def test_a_value_out_of_range_is_named_and_not_learned(agent, wrong):
    name, value, sentence = VALUES[wrong]
    before = agent.arrays()
    for method in (agent.evaluate, agent.train_on_batch, agent.test_on_batch):
        with pytest.raises(UserError, match=f"The column {name} holds .*" + re.escape(sentence)):
            method(spoilt(name, value))
    with pytest.raises(UserError, match=f"The column {name} holds the value"):
        agent.fit(spoilt(name, value), verbose=0)
    equal(list(agent.arrays().values()), list(before.values()))


def test_a_value_out_of_range_stops_a_compiled_step_before_it_learns():
    agent = make_agent()
    before = agent.arrays()
    for name, value in (("action", 4), ("reward", np.nan)):
        with pytest.raises(UserError, match=f"^The column {name} holds .*row 11 of a batch"):
            agent.train_on_batch(spoilt(name, value))
    equal(list(agent.arrays().values()), list(before.values()))


def test_integers_that_a_spaces_type_does_not_hold_are_refused():
    for spaces, value, sentence in (
        (PIXELS, 300, "the value 300 in row 0 of a batch; it must be from 0 to 255"),
        (CATEGORIES, 1, "the value 1 in row 0 of a batch; it must be from 2 to 6"),
    ):
        observation = np.full((ROWS, *spaces.observation_shape), value)
        with pytest.raises(UserError, match=sentence):
            eager(make_agent(spaces=spaces)).train_on_batch(
                batch_of(spaces, observation=observation)
            )
    unscaled = batch_of(PIXELS, observation=np.zeros((ROWS, 36, 36, 2)))
    with pytest.raises(UserError, match="must be integers from 0 to 255"):
        make_agent(spaces=PIXELS).train_on_batch(unscaled)
    without = {name: column for name, column in batch_of(MASKED).items() if "mask" not in name}
    with pytest.raises(UserError, match="no column action_mask and no column next_action_mask"):
        make_agent(spaces=MASKED).train_on_batch(without)


@pytest.mark.parametrize(
    "observation, sentence",
    [
        (np.zeros((5, 4)), r"float\d\d \[5, 4\]; it must be float32 \[B, 3\]"),
        (np.zeros((5, 1, 3)), r"float\d\d \[5, 1, 3\]; it must be float32 \[B, 3\]"),
        (
            np.zeros(3),
            r"float\d\d \[3\]; it must be float32 \[B, 3\]. It lacks the axis of the batch",
        ),
        (np.full((5, 3), "a"), r"string \[5, 3\]"),
    ],
    ids=["width", "axis", "row", "words"],
)
def test_observations_of_another_shape_have_no_q_values(agent, observation, sentence):
    for method in (agent, agent.predict):
        with pytest.raises(UserError, match="^The column observation is " + sentence):
            method(observation)


def test_a_batch_that_cannot_be_divided_among_agents_is_refused():
    agent = DQN(make_config(), BOX, num_agents=5)
    agent.compile()
    with pytest.raises(UserError, match="A batch of 12 transitions cannot be divided among 5"):
        agent.train_on_batch(batch_of())


# --- compile --------------------------------------------------------------------------------------


def difference(target: tf.Tensor, q_value: tf.Tensor) -> tf.Tensor:
    return tf.abs(target - q_value)


@pytest.mark.parametrize(
    "loss", ["mae", tf.keras.losses.MeanAbsoluteError(), difference], ids=["name", "loss", "own"]
)
def test_compile_takes_any_loss_of_single_values(loss):
    agent = eager(make_agent(), loss=loss)
    measured = agent.measure(batch_of())
    close(measured["loss"], [np.mean(measured["error"])])


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"loss": "no such"}, "loss='no such'"),
        ({"loss": tf.keras.losses.Huber}, "a tf.keras.losses.Loss, or a function"),
        ({"loss": ["mse"]}, "loss="),
        ({"loss_weights": [2.0]}, "DQN has one loss"),
        ({"jit_compile": True}, "Leave jit_compile out"),
    ],
    ids=["no loss", "class", "list", "weights", "xla"],
)
def test_what_cannot_be_compiled_is_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        make_agent(**options)


def test_a_reduced_loss_is_refused():
    agent = eager(make_agent(), loss=lambda y, q: tf.reduce_mean(y - q))
    with pytest.raises(UserError, match=r"has shape \[\]; it must be one number for each"):
        agent.measure(batch_of())


def test_before_compile_the_mend_is_named():
    with pytest.raises(UserError, match=re.escape("call agent.compile() first")):
        _ = DQN(make_config(), BOX).updates


def test_a_global_policy_is_warned_of_and_changes_nothing():
    expected = eager(make_agent()).train_on_batch(batch_of())
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        with pytest.warns(UserWarning, match="mixed_bfloat16; DQN computes in float32"):
            agent = eager(make_agent())
        assert agent.train_on_batch(batch_of()) == expected
        assert agent(batch_of()["observation"]).dtype == tf.float32
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def test_several_replicas_are_refused(monkeypatch):
    two = types.SimpleNamespace(num_replicas_in_sync=2)  # a second device cannot be had here
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: two)
    with pytest.raises(UserError, match="strategy of 2 replicas"):
        DQN(make_config(), BOX)


# --- saving and loading ---------------------------------------------------------------------------


def saved_and_loaded(agent: DQN, path: Path) -> DQN:
    agent.save(path)
    return tf.keras.models.load_model(path)


@pytest.mark.parametrize(
    "settings, spaces, options",
    [
        ({"dueling": True, "noisy": True}, BOX, {}),
        ({}, PIXELS, {"metrics": ["mae"]}),  # with FusedAdam
        (
            {"distribution": "c51", "atoms": 5, "learning_rate_end": 0.0},
            MASKED,
            {"weighted_metrics": ["mse"]},
        ),
        ({}, BOX, {"optimizer": "sgd", "loss": tf.keras.losses.Huber(delta=0.25)}),
        ({}, CATEGORIES, {"loss": "mae"}),
    ],
    ids=["rainbow's head", "pixels", "masked", "huber's delta", "categories"],
)
def test_a_saved_agent_goes_on_as_if_it_had_stayed(tmp_path, settings, spaces, options):
    batch = batch_of(spaces)
    agent = eager(make_agent(make_config(**settings), spaces), **options)
    agent.train_on_batch(batch)
    loaded = saved_and_loaded(agent, tmp_path / "m.keras")
    assert type(loaded) is DQN and loaded.settings == agent.settings
    assert loaded.spaces == spaces
    same(agent, loaded)
    agent.reset_metrics()  # in earlier versions of Keras, train_on_batch goes on with the means
    assert agent.train_on_batch(batch) == loaded.train_on_batch(batch)
    assert loaded.metrics_names == agent.metrics_names
    same(agent, loaded)


def test_callbacks_save_the_whole_agent_and_its_weights(tmp_path):
    agent = eager(make_agent())
    calls = tf.keras.callbacks
    agent.fit(
        batch_of(),
        epochs=2,
        verbose=0,
        validation_data=batch_of(),
        callbacks=[
            calls.ModelCheckpoint(str(tmp_path / "best.keras"), "val_loss", save_best_only=True),
            calls.ModelCheckpoint(str(tmp_path / "last.weights.h5"), save_weights_only=True),
            calls.EarlyStopping("val_loss", restore_best_weights=True),
            calls.ReduceLROnPlateau("val_loss", patience=0),
            calls.BackupAndRestore(tmp_path / "backup"),
            calls.TerminateOnNaN(),
        ],
    )
    equal(tf.keras.models.load_model(tmp_path / "best.keras").get_weights(), agent.get_weights())
    other = make_agent(make_config(seed=9))
    other.load_weights(tmp_path / "last.weights.h5")
    equal(other.get_weights(), agent.get_weights())


def test_an_agent_is_made_of_its_configuration():
    agent = DQN(make_config(), BOX, num_agents=2)
    config = json.loads(json.dumps(agent.get_config()))
    for other in (DQN.from_config(config), tf.keras.models.clone_model(agent)):
        assert type(other) is DQN and other is not agent and other.num_agents == 2
        equal(other.get_weights(), agent.get_weights())  # of its birth
    with pytest.raises(UserError, match="no configuration of a DQN"):
        DQN.from_config({"name": "dqn"})


def test_a_torso_of_ones_own_is_found_by_its_name(tmp_path):
    agent = DQN(make_config(), STACKED, torso=GRUTorso)
    agent.compile()
    loaded = saved_and_loaded(agent, tmp_path / "m.keras")
    assert type(loaded.online.torso) is GRUTorso
    equal(loaded.get_weights(), agent.get_weights())
    nameless = DQN(make_config(), STACKED, torso=lambda *parts: GRUTorso(*parts))
    with pytest.raises(UserError, match="cannot be saved: it is found by its name"):
        nameless.get_config()


@pytest.mark.parametrize("name", ["m.h5", "m", "m.tf"])
def test_another_format_is_refused(agent, tmp_path, name):
    with pytest.raises(UserError, match=r"named \*.keras. To publish it as a SavedModel"):
        agent.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


# --- making one -----------------------------------------------------------------------------------


def test_without_a_seed_each_agent_is_another_and_says_which():
    agents = [DQN(make_config(seed=None), BOX) for _ in range(2)]
    first, second = (weights_sha256(agent.get_weights()) for agent in agents)
    assert first != second
    again = DQN(agents[0].settings, BOX)
    assert weights_sha256(again.get_weights()) == first and again.settings.seed is not None


def test_keras_set_random_seed_decides_an_agent_without_a_seed():
    agents = []
    for _ in range(2):
        tf.keras.utils.set_random_seed(5)
        agents.append(DQN(make_config(seed=None), BOX))
    assert agents[0].settings == agents[1].settings


@pytest.mark.parametrize(
    "config", ["CartPole-v1", {"env": "CartPole-v1"}, DQNConfig], ids=["id", "dict", "class"]
)
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises(UserError, match=r"DQN takes a DQNConfig, .*DQN\(DQNConfig\(env="):
        DQN(config)
