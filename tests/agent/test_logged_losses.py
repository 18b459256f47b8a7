"""CQL, imitation and support: each loss, the update and the choice against NumPy by hand."""

import numpy as np
import pytest
import tensorflow as tf

import logged_oracles
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import CompiledQFunction, make_q_function
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from logged_oracles import MASKED, logged_agent, logged_batch
from oracles import BOX, close, equal, make_agent, make_batch, make_config, tensors
from sample_agents import KINDS, observations

CLONING = {"imitation": 0.7}
MARGIN = {"imitation": 0.7, "imitation_loss": "margin", "imitation_margin": 1.5}
ALL = {"cql_alpha": 0.4, "support": 0.5} | MARGIN


@pytest.mark.parametrize(
    "check",
    [
        logged_oracles.check_conservative,
        logged_oracles.check_cross_entropy,
        logged_oracles.check_margin,
        logged_oracles.check_supported,
    ],
)
def test_each_function_by_hand(check):
    check()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spaces", [BOX, MASKED], ids=["all legal", "masked"])
@pytest.mark.parametrize(
    "switches",
    [{"cql_alpha": 0.4}, CLONING, MARGIN, {"support": 0.5}, {"support": 0.5} | CLONING, ALL],
    ids=["cql", "cross_entropy", "margin", "support", "support and cloning", "all"],
)
def test_an_update_is_that_of_numpy(switches, spaces, weighted):
    logged_oracles.check_logged_update(spaces, weighted, **switches)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("spaces", [BOX, MASKED], ids=["all legal", "masked"])
def test_the_target_takes_the_best_supported_action(spaces, double):
    logged_oracles.check_supported_target(spaces, double=double)


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"hidden_units": ()},
        {"dueling": True},
        {"noisy": True, "dueling": True},
        {"distribution": "c51", "v_min": -3.0, "v_max": 3.0},
        {"distribution": "quantile"},
    ],
    ids=["linear", "no hidden layer", "dueling", "noisy", "c51", "quantile"],
)
def test_the_choice_is_the_best_legal_and_supported_action(head):
    logged_oracles.check_the_choice_is_supported(**head)


@pytest.mark.parametrize("distribution", ["c51", "quantile"])
@pytest.mark.parametrize("double", [False, True])
def test_the_target_of_distributions_is_that_of_the_supported_action(distribution, double):
    agent = logged_agent(MASKED, support=0.5, distribution=distribution, double=double, atoms=7)
    batch = agent.columns.read(tensors(logged_batch(2, MASKED, 40)))
    chooser = agent.online if double else agent.target
    q_values, logits = (
        part.numpy() for part in chooser.q_values_and_behaviour(batch["next_observation"])
    )
    mask = logged_oracles.supported_by_hand(logits, 0.5, batch["next_action_mask"].numpy())
    chosen = np.where(mask, q_values, -np.inf).argmax(axis=1)
    outputs = agent.target.forward(batch["next_observation"]).outputs.numpy()
    selected = tf.constant(outputs[np.arange(40), chosen])
    expected = agent.online.values.target(batch["reward"], batch["discount"], selected)
    close(agent.bellman_target(batch), expected, 1e-5)


@pytest.mark.parametrize(
    "kind", ["vector", "image", "discrete", "bytes", "masked", "picture", "discrete, linear"]
)
def test_all_torsos_have_the_head_and_their_twins_choose_alike(kind):
    spaces = KINDS[kind.partition(",")[0]]
    hidden_units = () if "linear" in kind else (16,)
    agent = make_agent(make_config(support=0.9, hidden_units=hidden_units, num_envs=1), spaces)
    generator = np.random.default_rng(2)
    for variable in agent.online.behaviour.variables:
        variable.assign(generator.normal(size=variable.shape).astype(np.float32))
    seen = observations(spaces, 32).astype(spaces.observation_dtype)
    q_values, logits = (
        part.numpy() for part in agent.online.q_values_and_behaviour(tf.constant(seen))
    )
    candidates = logged_oracles.supported_by_hand(logits, 0.9, np.ones(q_values.shape, bool))
    expected = np.where(candidates, q_values, -np.inf).argmax(axis=1)
    assert (expected != q_values.argmax(axis=1)).any()
    twin = make_q_function(agent)
    assert isinstance(twin, NumpyQFunction)
    for q_function in (twin, CompiledQFunction(agent)):
        chosen = q_function.greedy_action(seen)
        gap = q_values[np.arange(32), expected] - q_values[np.arange(32), chosen]
        assert np.take_along_axis(candidates, chosen[:, np.newaxis], axis=1).all()
        assert (np.abs(gap) < 1e-5).all()


@pytest.mark.parametrize(
    "head", [{}, {"dueling": True}, {"noisy": True}, {"distribution": "c51"}, {"hidden_units": ()}]
)
def test_the_head_is_drawn_last_and_changes_no_other_weight(head):
    plain = DQN(make_config(**head), BOX)
    for switches in ({"support": 0.1}, CLONING):
        agent = DQN(make_config(**head, **switches), BOX)
        others = len(plain.online.get_weights())
        assert len(agent.online.get_weights()) > others
        last = agent.online.variables[others:]
        assert [*map(id, last)] == [*map(id, agent.online.behaviour.variables)]
        assert not any("sigma" in weight.name for weight in last)
        equal(agent.online.get_weights()[:others], plain.online.get_weights())
        equal(agent.target.get_weights(), agent.online.get_weights())
    for switches in ({}, MARGIN, {"cql_alpha": 1.0}):
        agent = DQN(make_config(**head, **switches), BOX)
        assert agent.online.behaviour is None
        equal(agent.online.get_weights(), plain.online.get_weights())


@pytest.mark.parametrize("switches", [ALL, CLONING | {"double": True}], ids=["all", "cloning"])
def test_stacked_agents_learn_as_each_alone(switches):
    config = make_config(hidden_units=(8, 6), **switches)
    together = DQN(config, MASKED, num_agents=2)
    together.compile()
    batches = [logged_batch(number, MASKED) for number in (1, 2)]
    alone = []
    for number, batch in enumerate(batches):
        agent = make_agent(make_config(hidden_units=(8, 6), **switches, seed=number), MASKED)
        together.load_arrays(agent.arrays(), number)
        for _ in range(3):
            metrics = agent.update(tensors(batch))
        alone.append((agent, metrics))
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    for _ in range(3):
        metrics = together.update(tensors(joined))
    for number, (agent, own) in enumerate(alone):
        for name in ("loss", *(loss.name for loss in agent.auxiliary_losses)):
            close(metrics[name][number], own[name][0], 1e-4)
        for name, array in together.arrays(number).items():
            close(array, agent.arrays()[name], 1e-4)


def test_the_behaviour_head_learns_what_the_data_do():
    """Its probabilities are the shares of actions in the data, and those alone of logged rows."""
    spaces = Spaces((), "int64", 3, categories=2)
    agent = make_agent(make_config(support=0.2, hidden_units=(), learning_rate=0.1), spaces)
    generator = np.random.default_rng(0)
    state, size = generator.integers(2, size=400), 400
    shares = np.array([[0.7, 0.2, 0.1], [0.05, 0.15, 0.8]])
    action = np.array([generator.choice(3, p=shares[row]) for row in state])
    is_logged = np.arange(size) < 300
    action[~is_logged] = 0
    batch = {
        "observation": state,
        "action": action.astype(np.int32),
        "reward": np.zeros(size, np.float32),
        "discount": np.zeros(size, np.float32),
        "next_observation": state,
        "is_logged": is_logged.astype(np.float32),
    }
    repeated = {name: np.repeat(column[np.newaxis], 100, axis=0) for name, column in batch.items()}
    for _ in range(3):
        agent.learn(repeated, 100)
    logits = agent.online.q_values_and_behaviour(tf.range(2, dtype=tf.int64))[1].numpy()
    expected = [np.bincount(action[is_logged & (state == row)], minlength=3) for row in range(2)]
    expected = np.array([counts / counts.sum() for counts in expected])
    close(logged_oracles.softmax(logits, np.ones((2, 3), bool)), expected, 5e-3)


@pytest.mark.parametrize("kind", [np.float32, bool, np.int64])
def test_keras_fit_takes_the_column_and_does_without(kind):
    data = make_batch(4, 8)
    data["is_logged"] = (np.arange(8) % 2).astype(kind)
    metrics = []
    for columns in (data, {name: data[name] for name in data if name != "is_logged"}):
        agent = make_agent(make_config(cql_alpha=0.5, **CLONING))
        history = agent.fit(columns, batch_size=8, verbose=0, shuffle=False).history
        assert set(history) == {"loss", "q_selected", "cql", "imitation"}
        metrics.append((history["cql"][0], history["imitation"][0]))
    assert metrics[0] != metrics[1]


@pytest.mark.parametrize(
    "value, sentence",
    [(2.0, "from 0 to 1: 1 for a transition of logged data"), (np.nan, "from 0 to 1")],
)
def test_a_wrong_flag_of_a_row_is_a_sentence(value, sentence):
    data = make_batch(4, 8) | {"is_logged": np.ones(8, np.float32)}
    data["is_logged"][3] = value
    with pytest.raises(UserError, match=sentence):
        make_agent(make_config(cql_alpha=0.5)).fit(data, batch_size=8, verbose=0)


def test_an_agent_with_the_head_is_saved_and_loaded(tmp_path):
    agent = logged_agent(BOX, support=0.3)
    agent.update(tensors(make_batch(1)))
    agent.save(tmp_path / "agent.keras")
    loaded = tf.keras.models.load_model(tmp_path / "agent.keras")
    for name, array in loaded.arrays().items():
        close(array, agent.arrays()[name], 0.0)
    assert loaded.settings.support == 0.3 and loaded.online.behaviour is not None


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"support": 0.1, "munchausen": True}, "--munchausen and --support=0.1 cannot be combined"),
        ({"support": 0.1, "engine": "graph"}, "--support learns from logged data, which"),
        ({"cql_alpha": 0.1, "engine": "graph"}, "--cql_alpha learns from logged data, which"),
        ({"imitation": 0.1, "engine": "graph"}, "--imitation learns from logged data, which"),
        ({"support": 1.5}, "--support=1.5: must be"),
        ({"cql_alpha": -1.0}, "--cql_alpha=-1.0: must be"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        make_config(**settings)


def test_an_own_loss_cannot_take_the_name_of_a_built_in_one(monkeypatch):
    import own_losses

    monkeypatch.setattr(own_losses, "cql", own_losses.squared_q_values, raising=False)
    name = "own_losses:cql"
    assert DQN(make_config(auxiliary_losses=name), BOX).auxiliary_losses[0].name == "cql"
    with pytest.raises(UserError, match="cql is a metric already"):
        DQN(make_config(auxiliary_losses=name, cql_alpha=0.1), BOX)
