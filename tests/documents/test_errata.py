"""Each claim of docs/errata.md marked "Seen", run. `test_a1_…` belongs to entry A1, and so on."""

import importlib
import re
import time
from collections import deque
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent import dqn as agents
from dqn_tf.agent import losses
from dqn_tf.agent.networks import q_network
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.envs.text import exact
from dqn_tf.envs.text.graph_walk import walk_model
from dqn_tf.envs.text.graphs import find_graph, shipped_walks
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.evaluation import episodes
from dqn_tf.experience import exploration, replay, transitions
from dqn_tf.experience.steps import Steps
from dqn_tf.support.errors import UserError
from environments import CHAIN_STATES, chain_q_star, chain_step

PACKAGE = Path(agents.__file__).parents[1]
TEXT = (Path(__file__).parents[2] / "docs" / "errata.md").read_text(encoding="utf-8")
ENTRIES = dict(
    re.findall(r"^### ([A-E]\d+)\. [^\n]+\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
)
CARTPOLE = Spaces((4,), "float32", 2)


def part(entry: str, label: str) -> str:
    """One labelled part of an entry, on one line."""
    found = re.search(
        rf"^- \*\*{label}:\*\* (.*?)(?=^- \*\*|^\||\Z)", ENTRIES[entry], re.MULTILINE | re.DOTALL
    )
    assert found, f"{entry} has no part {label}"
    return " ".join(found[1].split())


def make_agent(**settings) -> agents.DQN:
    options = {"seed": 0, "hidden_units": (8,)} | settings
    agent = agents.DQN(DQNConfig(**options), CARTPOLE)
    agent.compile()
    return agent


def batch(rows: int = 4, seed: int = 0) -> dict[str, tf.Tensor]:
    generator = np.random.default_rng(seed)
    return {
        "observation": tf.constant(generator.standard_normal((rows, 4)), tf.float32),
        "action": tf.constant(generator.integers(2, size=rows), tf.int32),
        "reward": tf.ones(rows),
        "discount": tf.fill((rows,), 0.99),
        "next_observation": tf.constant(generator.standard_normal((rows, 4)), tf.float32),
    }


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def fastest(call, times: int) -> float:
    """Seconds of the fastest of several calls."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# The page itself


def test_the_page_has_every_entry_with_its_parts():
    expected = [
        f"{article}{number}"
        for article, last in zip("ABCDE", (8, 12, 3, 3, 12), strict=True)
        for number in range(1, last + 1)
    ]
    assert list(ENTRIES) == expected
    for entry, text in ENTRIES.items():
        labels = re.findall(r"^- \*\*([^*]+):\*\*", text, re.MULTILINE)
        assert labels in (
            ["Says", "Seen", "Correct", "In dqn_tf"],
            ["Says", "Why", "Correct", "In dqn_tf"],
        ), entry


def test_every_entry_marked_seen_has_a_test():
    seen = {entry for entry, text in ENTRIES.items() if "- **Seen:**" in text}
    tested = {
        match[1].upper() for name in globals() if (match := re.match(r"test_([a-e]\d+)_", name))
    }
    assert seen == tested


def resolve(name: str):
    """What a dotted name such as `agent.DQN.update` stands for inside dqn_tf:

    the longest module, then attributes.
    """
    words = name.split(".")
    for split in range(len(words), 0, -1):
        path = PACKAGE.joinpath(*words[:split])
        if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
            found = importlib.import_module("dqn_tf." + ".".join(words[:split]))
            for word in words[split:]:
                found = getattr(found, word)
            return found
    raise ModuleNotFoundError(name)


def names_of_dqn_tf() -> set[str]:
    named = {
        name for entry in ENTRIES for name in re.findall(r"`([\w.]+)`", part(entry, "In dqn_tf"))
    }
    code = TEXT.split("```")[1]
    return named | {name for comment in re.findall(r"# (.*)", code) for name in comment.split(", ")}


@pytest.mark.parametrize("name", sorted(names_of_dqn_tf()))
def test_every_named_function_exists(name):
    assert "." in name
    assert callable(resolve(name)) or name.startswith("config.DQNConfig.")


@pytest.mark.parametrize(
    "name", ["losses.no_such_function", "no_such_module.select", "agent.DQN.no_such_method"]
)
def test_a_name_that_does_not_exist_is_noticed(name):
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolve(name)


def test_each_entry_names_its_function_or_says_that_there_is_none():
    for entry in ENTRIES:
        assert re.search(r"`[\w]+\.[\w.]+`", part(entry, "In dqn_tf")), entry


def test_the_algorithm_has_twelve_lines_each_with_its_function():
    lines = TEXT.split("```")[1].strip("\n").split("\n")
    assert [int(line.split()[0]) for line in lines] == list(range(1, 13))
    assert all("  # " in line for line in lines)


# Article A


def test_a1_cross_entropy_ignores_the_prediction():
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)

    def of(q_selected, target):
        q = tf.Variable(q_selected)
        with tf.GradientTape() as tape:
            value = loss(tf.constant(target), q)
        return float(value), tape.gradient(value, q).numpy()

    with pytest.warns(SyntaxWarning, match="num_classes"):
        for q in (-2.0, 50.0):
            value, gradient = of([q], [7.0])
            assert value == 0.0
            np.testing.assert_allclose(gradient, [-6.0])
    q, target = np.float32([1.0, 0.1, 3.0, 0.0]), np.float32([1, 2, 3, 4])
    value, _ = of(q, target)
    assert value == pytest.approx(21.952, abs=1e-3)
    assert of(q + 100, target)[0] == pytest.approx(value, abs=1e-3)
    assert of(q, -target)[0] == pytest.approx(-value, abs=1e-3)
    regression = losses.per_example("huber", 1.0)
    values = [
        float(losses.td_loss(regression, tf.constant([7.0]), tf.constant([prediction]))[0])
        for prediction in (-2.0, 7.0, 50.0)
    ]
    assert values == [8.5, 0.0, 42.5]


def test_a2_the_gradient_leaks_into_the_target():
    now, after = tf.Variable(0.0), tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        leaking = (0.9 * after - now) ** 2
        target = losses.td_target(tf.zeros(1), tf.fill((1,), 0.9), tf.reshape(after, (1,)))
        stopped = tf.reduce_sum((target - now) ** 2)
    assert [float(gradient) for gradient in tape.gradient(leaking, [now, after])] == pytest.approx(
        [-1.8, 1.62]
    )
    gradient_now, gradient_after = tape.gradient(stopped, [now, after])
    assert float(gradient_now) == pytest.approx(-1.8)
    assert gradient_after is None


def test_a3_an_untrained_network_repeats_one_action():
    frames = np.zeros((24, 210, 160, 3), np.uint8) + np.uint8([144, 72, 17])
    for number, frame in enumerate(frames):
        # a ball on its way
        frame[40 + 5 * number : 44 + 5 * number, 20 + 4 * number : 22 + 4 * number] = 236
    network = q_network.QNetwork(
        Spaces((210, 160, 3), "uint8", 6), DQNConfig(network="nature_cnn"), np.random.default_rng(0)
    )
    greedy = network(tf.constant(frames)).numpy().argmax(axis=1)
    assert np.bincount(greedy, minlength=6).max() >= 22
    explore, draw = exploration.draw_exploration(np.random.default_rng(0), np.ones(200))
    assert explore.all()
    assert np.bincount(exploration.random_action(draw, 6), minlength=6).min() > 10
    assert not exploration.draw_exploration(np.random.default_rng(0), np.zeros(200))[0].any()


def test_a4_gymnasium_returns_two_and_five_values():
    env = gym.make("CartPole-v1")
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'reshape'"):
        env.reset(seed=0).reshape(1, 4)
    with pytest.raises(ValueError, match=r"too many values to unpack \(expected 4\)"):
        _, _, _, _ = env.step(0)
    observation, info = env.reset(seed=0)
    assert observation.shape == (4,)
    assert info == {}
    assert [type(value) for value in env.step(0)] == [np.ndarray, float, bool, bool, dict]
    vector = SeededVectorEnv(lambda: gym.make("CartPole-v1"), 2, seed=0)
    assert vector.reset()[0].shape == (2, 4)
    assert [np.shape(value) for value in vector.step(np.zeros(2, np.int64))[:4]] == [
        (2, 4),
        (2,),
        (2,),
        (2,),
    ]
    vector.close()


def test_a4_pong_gives_raw_frames():
    ale_py = pytest.importorskip("ale_py")
    gym.register_envs(ale_py)
    env = gym.make("ALE/Pong-v5")
    assert env.reset(seed=0)[0].shape == (210, 160, 3)
    assert len(env.step(0)) == 5
    assert gym.spec("Pong-v0").kwargs["frameskip"] == (2, 5)
    env.close()


def test_a5_predict_costs_a_hundred_actions_and_more():
    agent = make_agent(hidden_units=(64, 64))
    observation, actor = np.ones((1, 4), np.float32), make_q_function(agent)
    np.testing.assert_allclose(
        agent.predict(observation, verbose=0), actor.q_values(observation), atol=1e-5
    )
    assert fastest(lambda: agent.predict(observation, verbose=0), 4) > 100 * fastest(
        lambda: actor.q_values(observation), 100
    )


@pytest.mark.parametrize("period", [1, 3])
def test_a6_a_copy_at_every_update_is_no_target_network(period):
    agent = make_agent(
        target_update_period_env_steps=period, env_steps_per_update=1.0, learning_rate=0.01
    )
    equal = []
    for _ in range(3):
        agent.update(batch())
        equal.append(same(agent.online.get_weights(), agent.target.get_weights()))
    assert equal == {1: [True, True, True], 3: [False, False, True]}[period]


def test_a7_globals_and_bools():
    class ReadsGlobal(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.head = tf.keras.layers.Dense(env.action_space.n)  # noqa: F821

    with pytest.raises(NameError, match="env"):
        ReadsGlobal()

    @tf.function
    def target(reward, done, value):
        return reward + 0.99 * value * (1 - done)

    with pytest.raises(TypeError, match="Expected bool, but got 1 of type 'int'"):
        target(tf.constant(1.0), tf.constant(True), tf.constant(2.0))
    python_bools = tf.function(target.python_function)
    assert [
        float(python_bools(tf.constant(1.0), done, tf.constant(2.0))) for done in (True, False)
    ] == pytest.approx([1.0, 2.98])
    assert python_bools.experimental_get_tracing_count() == 2
    by_discount = losses.td_target(tf.ones(2), tf.constant([0.0, 0.99]), tf.fill((2,), 2.0))
    np.testing.assert_allclose(by_discount, [1.0, 2.98], rtol=1e-6)


# Article B


def test_b1_softmax_loses_the_values():
    def fit(target):
        model = tf.keras.Sequential(
            [
                tf.keras.Input((1,)),
                tf.keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros"),
            ]
        )
        model.compile(
            tf.keras.optimizers.SGD(0.01), "categorical_crossentropy", steps_per_execution=400
        )
        rows = np.ones((800, 1), np.float32), np.tile(np.float32([target]), (800, 1))
        model.fit(*rows, batch_size=1, verbose=0)
        return model(rows[0][:1]).numpy()[0], model.evaluate(rows[0][:1], rows[1][:1], verbose=0)

    output, loss = fit([20.0, 10.0])
    np.testing.assert_allclose(output, [1, 0], atol=1e-6)
    assert loss == pytest.approx(1442, rel=0.01)
    assert fit([-1.0, -2.0])[1] == pytest.approx(-6.9, abs=0.1)
    share = np.linspace(0.01, 0.99, 981)  # of action 0, in the exact loss
    assert share[np.argmin(-20 * np.log(share) - 10 * np.log(1 - share))] == pytest.approx(
        2 / 3, abs=1e-3
    )
    agent = make_agent()
    before = agent(tf.zeros((1, 4))).numpy()
    agent.online.head.streams[0][-1].bias.assign_add([20.0, -10.0])
    # linear, so any value can be had
    np.testing.assert_allclose(agent(tf.zeros((1, 4))) - before, [[20.0, -10.0]], rtol=1e-5)


def test_b2_the_inner_loop_overwrites_the_state():
    memory, fits = [], 0
    state = 0
    for _ in range(5):
        next_state, done = state + 1, False
        memory.append((state, 0, 1.0, next_state, done))
        reached = state = next_state
        for state, _action, _reward, _next_state, done in memory:  # noqa: B007
            fits += 1
        assert state != reached
        assert state == memory[-1][0]
    assert fits > len(memory)
    rows = replay.UniformReplay(10_000, transitions.columns(CARTPOLE), np.random.default_rng(0))
    rows.add({name: np.repeat(column.numpy(), 2_500, axis=0) for name, column in batch().items()})
    assert rows.sample(1, 32)["observation"].shape == (1, 32, 4)


def test_b3_another_states_values_are_trained_into_the_other_action():
    current, remembered = np.float32([5, -5]), tf.Variable([[1.0, 2.0]])
    target = current.copy()
    target[0] = 3.0
    with tf.GradientTape(persistent=True) as tape:
        wrong = tf.reduce_mean((target - remembered) ** 2)
        selected = losses.select(remembered, tf.constant([0]))
        right = tf.reduce_mean(
            losses.td_loss(losses.per_example("mse", 1.0), tf.constant([3.0]), selected)
        )
    np.testing.assert_allclose(tape.gradient(wrong, remembered), [[-2.0, 7.0]])
    np.testing.assert_allclose(tape.gradient(right, remembered), [[-4.0, 0.0]])


def test_b4_terminal_states_do_not_bootstrap():
    steps = Steps.empty(3, 1, CARTPOLE)
    steps.reward[:] = 1.0
    steps.terminated[1], steps.truncated[2] = True, True
    discount = transitions.NStep(1, 0.99, 1, CARTPOLE).add(steps)["discount"]
    np.testing.assert_array_equal(discount, np.float32([0.99, 0.0, 0.99]))
    target = oracles.td_target_of_the_best(tf.ones(3), discount, tf.fill((3, 2), 50.0))
    np.testing.assert_allclose(target, [50.5, 1.0, 50.5])
    value = 0.0
    for _ in range(2_000):
        value = 1 + 0.99 * value
    assert value == pytest.approx(100)


def test_b5_pop_zero_moves_everything():
    def pop(length):
        rows = list(range(length))
        return fastest(lambda: rows.append(rows.pop(0)), 30)

    assert pop(1_000_000) > 20 * pop(1_000)
    ring = replay.UniformReplay(3, {"row": ((), "int64")}, np.random.default_rng(0))
    listed, bounded = [], deque(maxlen=3)
    for row in range(8):
        ring.add({"row": np.array([row])})
        listed.append(row)
        bounded.append(row)
        if len(listed) > 3:
            listed.pop(0)
    assert listed == list(bounded) == [5, 6, 7] == sorted(ring.rows()["row"].tolist())


def test_b6_the_maximum_over_actions_is_the_states_value():
    centre = value_iteration(1.0)[1, 1]
    np.testing.assert_array_equal(centre, [-3, -1, -3, -1])
    assert (centre != centre.max()).sum() == 2
    assert "(-3, -1, -3, -1)" in part("B6", "Seen")


def test_b7_without_the_gradient_q_moves_away():
    feature, weight, target, rate = -1.0, tf.Variable(0.0), 1.0, 0.1
    with tf.GradientTape() as tape:
        q = weight * feature
    error = target - float(q)
    assert (float(weight) + rate * error) * feature == pytest.approx(-0.1)
    assert (
        float(weight) + rate * error * float(tape.gradient(q, weight))
    ) * feature == pytest.approx(0.1)
    agent = make_agent(learning_rate=0.01)
    rows = batch(1) | {"discount": tf.zeros(1), "reward": tf.ones(1)}

    def distance():
        return abs(1 - float(losses.select(agent(rows["observation"]), rows["action"])[0]))

    before = distance()
    for _ in range(5):
        agent.update(rows)
    assert distance() < before


@pytest.mark.parametrize(("action", "change", "after"), [(0, ".134", ".334"), (1, ".074", ".874")])
def test_b8_the_worked_number(action, change, after):
    q = tf.constant([[0.2, 0.8]])
    selected = float(losses.select(q, tf.constant([action]))[0])
    target = float(oracles.td_target_of_the_best(tf.ones(1), tf.fill((1,), 0.54), [[1.0, 0.0]])[0])
    moved = 0.1 * (target - selected)
    assert f"{moved:.3f}".lstrip("0") == change
    assert f"{selected + moved:.3f}".lstrip("0") == after
    assert f"**{change}**" in part("B8", "Seen")
    assert after in part("B8", "Seen")
    assert f"{0.1 * (1 + 0.54 - selected):.3f}" != "0.034"


def test_b9_a_target_network_does_not_scale_the_gradient():
    agent, rows = make_agent(), batch()
    assert same(agent.online.get_weights(), agent.target.get_weights())

    def gradient(source):
        with tf.GradientTape() as tape:
            target = oracles.td_target_of_the_best(
                rows["reward"], rows["discount"], source(rows["next_observation"])
            )
            loss = tf.reduce_mean(
                (target - losses.select(agent.online(rows["observation"]), rows["action"])) ** 2
            )
        return [value.numpy() for value in tape.gradient(loss, agent.online.trainable_variables)]

    assert same(gradient(agent.target), gradient(agent.online))
    agent.online.head.streams[0][-1].bias.assign_add([1.0, 1.0])  # from here on the targets differ
    assert not same(gradient(agent.target), gradient(agent.online))


def test_b10_a_name_for_a_list_is_not_a_network():
    with pytest.raises(NameError, match="name 'dnn_weights' is not defined"):
        exec("target_network_weights = dnn_weights.copy()", {})
    agent = make_agent(target_update_period_env_steps=1_000, learning_rate=0.01)
    agent.update(batch())
    before = agent.target.get_weights()
    copied = agent.online.get_weights().copy()
    assert same(agent.target.get_weights(), before)
    assert not same(copied, before)
    agent.target.set_weights(copied)
    assert same(agent.target.get_weights(), agent.online.get_weights())


def test_b12_a_vector_is_not_an_action():
    vector, choice = gym.spaces.Box(-1, 1, (16,)), gym.spaces.Discrete(5)
    with pytest.raises(UserError, match="DQN needs a Discrete action space"):
        describe(vector, vector)
    assert describe(vector, choice).actions == 5
    assert "DQN needs a Discrete action space" in part("B12", "Seen")


# Article C


def test_c1_float64_does_not_meet_float32():
    observation = np.array([0.1, 0.2, 0.3, 0.4])
    assert observation.dtype == np.float64
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="expected to be a double tensor but is a float tensor"
    ):
        tf.matmul(tf.constant(observation[None]), tf.zeros((4, 2)))
    env = gym.make("CartPole-v1")
    assert env.reset(seed=0)[0].dtype == np.float32
    assert (
        describe(gym.spaces.Box(-1, 1, (4,), np.float64), env.action_space).observation_dtype
        == "float32"
    )


def test_c2_a_tenth_against_half():
    steps = np.arange(10_000)
    assert exploration.linear_epsilon(steps, 0.1, 0.1, 10_000).mean() == pytest.approx(0.1)
    falling = exploration.linear_epsilon(steps, 1.0, 0.05, 10_000)
    assert falling.mean() == pytest.approx(0.525, abs=5e-4)
    assert falling[0] == 1.0
    assert (np.diff(falling) < 0).all()
    assert exploration.linear_epsilon(
        np.array([10_000, 50_000]), 1.0, 0.05, 10_000
    ) == pytest.approx([0.05, 0.05])


def test_c3_storing_is_not_learning():
    agent = make_agent()
    rows = replay.UniformReplay(100, transitions.columns(CARTPOLE), np.random.default_rng(0))
    before = agent.online.get_weights()
    rows.add({name: column.numpy() for name, column in batch(100).items()})
    assert len(rows) == 100
    assert same(agent.online.get_weights(), before)
    agent.update({name: tf.constant(column[0]) for name, column in rows.sample(1, 32).items()})
    assert not same(agent.online.get_weights(), before)


# Article D


def test_d1_a_ring_keeps_exactly_the_newest():
    capacity, generator = 1_000, np.random.default_rng(0)
    ring = replay.UniformReplay(capacity, {"row": ((), "int64")}, generator)
    at_random = np.arange(capacity)
    for row in range(5 * capacity):
        ring.add({"row": np.array([row])})
        if row >= capacity:
            at_random[generator.integers(capacity)] = row
    assert sorted(ring.rows()["row"].tolist()) == list(range(4 * capacity, 5 * capacity))
    assert 5 * capacity - at_random.min() > 3 * capacity


def test_d2_through_the_target_other_values_are_learned():
    # Unknowns A, B, C. Transitions: A to B, A to C (r = 0); B ends with 1, C with 0.
    reward = np.array([0.0, 0.0, 1.0, 0.0])
    now = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    after = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], float)

    def learn(differentiated):
        values = np.zeros(3)
        for _ in range(20_000):
            error = reward + after @ values - now @ values
            values += 0.1 * differentiated.T @ error
        return values

    np.testing.assert_allclose(learn(now), [0.5, 1.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(learn(now - after), [0.5, 0.75, 0.25], atol=1e-3)


MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
GOAL = (2, 2)
STATES = [(row, column) for row in range(3) for column in range(3) if (row, column) != GOAL]


def move(state: tuple[int, int], action: int) -> tuple[tuple[int, int], float, bool]:
    row, column = (
        min(2, max(0, place + by))
        for place, by in zip(state, list(MOVES.values())[action], strict=True)
    )
    goal = (row, column) == GOAL
    return (row, column), 0.0 if goal else -1.0, goal


def value_iteration(gamma: float) -> dict[tuple[int, int], np.ndarray]:
    q = {state: np.zeros(4) for state in STATES}

    def backup(state, action):
        after, reward, ended = move(state, action)
        return reward + (0.0 if ended else gamma * q[after].max())

    while True:
        new = {state: np.array([backup(state, action) for action in range(4)]) for state in STATES}
        if all(np.array_equal(new[state], q[state]) for state in STATES):
            return new
        q = new


def table_of_the_page() -> dict[tuple[int, int], list[float]]:
    lines = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in ENTRIES["D3"].splitlines()
        if line.startswith("|")
    ]
    assert lines[0] == ["state", *MOVES, "V*"]
    return {
        tuple(map(int, re.findall(r"\d", line[0]))): list(map(float, line[1:]))
        for line in lines[2:]
    }


def test_d3_the_table_is_what_value_iteration_gives():
    table, q = table_of_the_page(), value_iteration(1.0)
    assert set(table) == set(STATES)
    for state in STATES:
        np.testing.assert_array_equal(table[state][:4], q[state])
        moves_to_goal = abs(state[0] - GOAL[0]) + abs(state[1] - GOAL[1])
        assert table[state][4] == q[state].max() == 1 - moves_to_goal


def test_d3_tabular_q_learning_reaches_the_table():
    generator, q = np.random.default_rng(0), {state: np.zeros(4) for state in STATES}
    for _ in range(1_000):
        state, ended = STATES[generator.integers(len(STATES))], False
        while not ended:
            action = int(generator.integers(4))
            after, reward, ended = move(state, action)
            target = reward + (0.0 if ended else q[after].max())
            q[state][action] += 0.5 * (target - q[state][action])
            state = after
    for state, row in table_of_the_page().items():
        np.testing.assert_allclose(q[state], row[:4], atol=1e-3)


def test_d3_dqn_reaches_the_table():
    table, updates = table_of_the_page(), 1_000
    config = DQNConfig(
        seed=0,
        gamma=1.0,
        hidden_units=(32,),
        batch_size=32,
        learning_rate=5e-3,
        loss="mse",
        target_update_period_env_steps=50,
        env_steps_per_update=1.0,
    )
    agent = agents.DQN(config, Spaces((), "int64", 4, categories=9))
    agent.compile()
    rows = [(state, action, *move(state, action)) for state in STATES for action in range(4)]
    columns = {
        "observation": np.array([3 * row[0][0] + row[0][1] for row in rows]),
        "action": np.array([row[1] for row in rows], np.int32),
        "reward": np.array([row[3] for row in rows], np.float32),
        "discount": np.array([0.0 if row[4] else 1.0 for row in rows], np.float32),
        "next_observation": np.array([3 * row[2][0] + row[2][1] for row in rows]),
    }
    agent.learn(
        {
            name: np.broadcast_to(column, (updates, *column.shape))
            for name, column in columns.items()
        },
        updates,
    )
    q = agent(tf.constant([3 * state[0] + state[1] for state in STATES])).numpy()
    np.testing.assert_allclose(q, [table[state][:4] for state in STATES], atol=0.05)


# Article E


def test_e1_choice_takes_no_tuples():
    numbers = [(0, 1, -1.0, 2, False)] * 100
    arrays = [(np.zeros(4), 0, 1.0, np.zeros(4), False)] * 100
    with pytest.raises(ValueError, match="a must be 1-dimensional"):
        np.random.choice(numbers, 32)
    with pytest.raises(ValueError, match="inhomogeneous shape after 2 dimensions"):
        np.random.choice(arrays, 32)
    rows = replay.UniformReplay(100, {"row": ((), "int64")}, np.random.default_rng(0))
    rows.add({"row": np.arange(50)})
    sample = rows.sample(20, 32)["row"]
    assert sample.shape == (20, 32)
    assert set(sample.ravel()) == set(range(50))


def test_e2_broadcasting_trains_every_action():
    q, target = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), tf.constant([[10.0], [20.0]])
    with tf.GradientTape(persistent=True) as tape:
        wrong = tf.reduce_mean((target - q) ** 2)
        selected = losses.select(q, tf.constant([0, 2]))
        right = tf.reduce_mean(
            losses.td_loss(losses.per_example("mse", 1.0), target[:, 0], selected)
        )
    assert np.count_nonzero(tape.gradient(wrong, q)) == 6
    np.testing.assert_allclose(tape.gradient(right, q), [[-9.0, 0, 0], [0, 0, -14.0]])
    assert (selected - target).shape == (2, 2)
    with pytest.raises(ValueError, match="rank 1"):
        losses.td_loss(losses.per_example("mse", 1.0), target, selected)
    with pytest.raises(TypeError, match="can't multiply sequence by non-int of type 'float'"):
        _ = 0.9 * (1.0, 2.0)


def test_e3_one_minus_a_bool_tensor():
    with pytest.raises(TypeError, match="Cannot convert 1 to EagerTensor of dtype bool"):
        1 - tf.constant([True, False])
    np.testing.assert_array_equal(1 - np.array([True, False]), [0, 1])
    assert transitions.columns(CARTPOLE)["discount"] == ((), "float32")
    assert not {"done", "gamma"} & set(transitions.columns(CARTPOLE))


def test_e4_a_printed_action_is_not_a_result():
    seeds = seeding.episode_seeds(0, seeding.TEST, 100)
    generator = np.random.default_rng(0)

    def score(policy):
        return episodes.evaluate(policy, lambda: gym.make("CartPole-v1"), seeds).summary()

    always_one = score(lambda observation, mask: np.ones(len(observation), np.int64))
    at_random = score(lambda observation, mask: generator.integers(2, size=len(observation)))
    low, high = at_random["mean_ci95"]
    assert low < at_random["mean"] < high
    numbers = [always_one["mean"], at_random["mean"], low, high]
    assert numbers == pytest.approx([9.3, 23.4, 21.1, 26.1], abs=0.06)
    assert always_one["mean_ci95"][1] < low


def test_e5_the_second_line_is_neither_target_nor_error():
    def three(reward, gamma, next_max, q):
        target = float(
            oracles.td_target_of_the_best([reward], [gamma], [[next_max, next_max - 1]])[0]
        )
        second_line = reward + gamma * max(next_max - q, next_max - 1 - q)
        return target, target - q, second_line

    assert three(1.0, 0.9, 0.6, 0.2) == pytest.approx((1.54, 1.34, 1.36))
    target, error, second = three(1.0, 1.0, 0.6, 0.2)
    assert second == pytest.approx(error)
    assert second != pytest.approx(target)
    target, error, second = three(1.0, 0.9, 0.6, 0.0)
    assert second == pytest.approx(target) == pytest.approx(error)
    generator = np.random.default_rng(0)
    for reward, next_max, q in generator.uniform(0.5, 2.0, (20, 3)).tolist():
        target, error, second = three(reward, 0.9, next_max, q)
        assert min(abs(second - target), abs(second - error)) > 0.01


def test_e5_as_an_equation_it_is_that_of_another_problem():
    def sweeps(count: int, share: float) -> np.ndarray:
        q = np.zeros((CHAIN_STATES, 2))
        for _ in range(count):
            second_line = np.zeros_like(q)
            for state, action in np.ndindex(q.shape):
                after, reward, terminated = chain_step(state, action)
                next_max = 0.0 if terminated else q[after].max()
                second_line[state, action] = reward + 0.9 * (next_max - q[state, action])
            q += share * (second_line - q)
        return q

    assert np.abs(sweeps(100, 1.0)).max() > 1e19
    fixed_point = sweeps(2_000, 0.5)
    np.testing.assert_allclose(fixed_point, chain_q_star(0.9 / 1.9) / 1.9, atol=1e-9)
    told = [0.026, 0.056, 0.118, 0.249, 0.526]
    np.testing.assert_allclose(fixed_point[:, 1], told, atol=6e-4)
    np.testing.assert_allclose(chain_q_star(0.9)[:, 1], [0.656, 0.729, 0.81, 0.9, 1], atol=6e-4)


def test_e6_replay_breaks_correlation_and_finds_nothing():
    env, generator, observations = gym.make("CartPole-v1"), np.random.default_rng(0), []
    observation, _ = env.reset(seed=0)
    for action in generator.integers(2, size=5_000):
        observations.append(observation)
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
    rows = replay.UniformReplay(5_000, {"observation": ((4,), "float32")}, generator)
    rows.add({"observation": np.array(observations)})
    drawn = rows.sample(1, 5_000)["observation"][0]

    def correlation(values):
        return np.array(
            [np.corrcoef(values[:-1, index], values[1:, index])[0, 1] for index in range(4)]
        )

    assert (correlation(np.array(observations)) > 0.75).all()
    assert (abs(correlation(drawn)) < 0.08).all()
    stored = {row.tobytes() for row in np.array(observations)}
    assert {row.tobytes() for row in drawn} < stored


def test_e7_four_inputs_are_not_four_actions():
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    inputs, actions = env.observation_space.shape[0], int(env.action_space.n)
    assert (inputs, actions) == (4, 2)
    with pytest.raises(AssertionError, match="invalid"):
        env.step(inputs - 1)
    q = np.random.default_rng(0).random((5, 2)).astype(np.float32)
    assert q.argmax(axis=0).shape == (2,)
    assert q.argmax(axis=1).shape == (5,)
    np.testing.assert_array_equal(
        oracles.td_target_of_the_best(tf.zeros(5), tf.ones(5), q), q.max(axis=1)
    )
    assert describe(env.observation_space, env.action_space).actions == 2


class Buffer:
    """A list with a position that stands still while it fills, and afterwards too unless
    `advances`.
    """

    def __init__(self, capacity: int, advances: bool) -> None:
        self.rows, self.position, self.capacity, self.advances = [], 0, capacity, advances

    def push(self, row: int) -> None:
        if len(self.rows) < self.capacity:
            self.rows.append(row)
            return
        self.rows[self.position] = row
        if self.advances:
            self.position = (self.position + 1) % self.capacity


def test_e8_length_and_position():
    with pytest.raises(TypeError, match=re.escape("object of type 'Buffer' has no len()")):
        len(Buffer(3, advances=True))
    with pytest.raises(NameError, match="name 'epsilon' is not defined"):
        exec("explore = 0.5 < epsilon", {})
    advancing, standing = Buffer(3, advances=True), Buffer(3, advances=False)
    ring = replay.UniformReplay(3, {"row": ((), "int64")}, np.random.default_rng(0))
    lengths = []
    for row in range(5):
        advancing.push(row)
        standing.push(row)
        ring.add({"row": np.array([row])})
        lengths.append(len(ring))
    assert advancing.rows == ring.rows()["row"].tolist() == [3, 4, 2]
    assert standing.rows == [4, 1, 2]
    assert lengths == [1, 2, 3, 3, 3]


def test_e10_replay_of_a_labelled_set_is_minibatch_descent():
    generator = np.random.default_rng(0)
    examples = generator.standard_normal((200, 4)).astype(np.float32)
    labels = (examples @ [1.0, -2.0, 0.5, 3.0]).astype(np.float32)
    config = oracles.make_config(hidden_units=(8,), batch_size=16, warmup_env_steps=16)
    agent = agents.DQN(config, Spaces((4,), "float32", 1))
    agent.compile(run_eagerly=True)
    network = tf.keras.Sequential([tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(1)])
    network.build((None, 4))
    network.set_weights(agent.online.get_weights())
    optimizer = tf.keras.optimizers.Adam(config.learning_rate, epsilon=config.optimizer_epsilon)
    rows = replay.UniformReplay(200, {"row": ((), "int64")}, generator)
    rows.add({"row": np.arange(200)})
    for drawn in rows.sample(10, 16)["row"]:
        step = {
            "observation": examples[drawn],
            "action": np.zeros(16, np.int32),
            "reward": labels[drawn],
            "discount": np.zeros(16, np.float32),
            "next_observation": examples[drawn],
        }
        agent.update(oracles.tensors(step))
        with tf.GradientTape() as tape:
            loss = tf.keras.losses.Huber()(labels[drawn, np.newaxis], network(examples[drawn]))
        gradients = tape.gradient(loss, network.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, config.max_gradient_norm)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    for ours, other in zip(agent.online.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-6)


def best_texts(log_likelihood: np.ndarray, sign: float, starts: list[int]) -> np.ndarray:
    """The texts of 100 words with the largest sum of sign times the log-likelihoods, [S, 101]."""
    values, plan = np.zeros(len(log_likelihood)), []
    for _ in range(100):
        scores = sign * log_likelihood + values
        values = scores.max(axis=1)
        plan.append(scores.argmax(axis=1))
    texts = [np.array(starts)]
    for best in reversed(plan):
        texts.append(best[texts[-1]])
    return np.stack(texts, axis=1)


@pytest.mark.parametrize(
    ("graph", "sign", "nats", "loop"),
    [("3", -1.0, 8.95, 1), ("3", 1.0, 0.42, 2), ("4", 1.0, 0.64, 3)],
)
def test_e11_likelihood_pays_for_surprise_or_for_loops(graph, sign, nats, loop):
    walked = find_graph(graph)
    pairs = np.stack([shipped_walks(graph)[:, :-1], shipped_walks(graph)[:, 1:]])
    before, after = pairs[:, (pairs > 0).all(axis=0)].astype(int) - 1
    counts = np.ones_like(walked.edges, float)
    np.add.at(counts, (before, after), 1.0)
    log_likelihood = np.log(counts / counts.sum(axis=1, keepdims=True))
    if graph == "3":
        assert -log_likelihood[before, after].mean() == pytest.approx(0.87, abs=5e-3)
        assert exact.optimum(walk_model(walked)) == pytest.approx(-3.26, abs=5e-3)
    texts = best_texts(log_likelihood, sign, walked.starts)
    moves = texts[:, :-1], texts[:, 1:]
    assert -log_likelihood[moves].mean() == pytest.approx(nats, abs=6e-3)
    assert walked.edges[moves].all() if sign > 0 else not walked.edges[moves].any()
    middle = texts[:, 40:70]
    assert (middle[:, loop:] == middle[:, :-loop]).all(), "it repeats itself"
    assert all(len(set(row)) == loop for row in middle.tolist())
    assert (texts[:, 1 : walked.limit + 1] != walked.goal).all(), "it never arrives"


def examples_of_ten_classes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixteen numbers each, and which of ten random linear functions of them is the largest."""
    teacher = np.random.default_rng(0).normal(size=(16, 10))
    examples = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return examples, (examples @ teacher).argmax(axis=1)


def accuracy_of_classes(count: int, by_dqn: bool) -> float:
    """Of one network after 1,500 updates on so many labels, on other examples."""
    config = oracles.make_config(
        seed=0,
        hidden_units=(64,),
        batch_size=64,
        warmup_env_steps=64,
        total_steps=640,
        learning_rate=3e-3,
        optimizer_epsilon=1e-7,
    )
    agent = oracles.make_agent(config, Spaces((16,), "float32", 10))
    examples, labels = examples_of_ten_classes(count, 0)
    generator = np.random.default_rng(50)
    answers = generator.integers(10, size=count)
    rows = generator.integers(count, size=(1_500, 64))
    if by_dqn:
        steps = {
            "observation": examples[rows],
            "action": answers[rows].astype(np.int32),
            "reward": (answers == labels)[rows].astype(np.float32),
            "discount": np.zeros(rows.shape, np.float32),
            "next_observation": examples[rows],
        }
        agent.learn(steps, 1_500)
    else:
        descend_cross_entropy(agent.online, examples[rows], labels[rows])
    others, right = examples_of_ten_classes(5_000, 999)
    return float((agent(others).numpy().argmax(axis=1) == right).mean())


def descend_cross_entropy(network, examples: np.ndarray, labels: np.ndarray) -> None:
    optimizer = tf.keras.optimizers.Adam(3e-3)
    optimizer.build(network.trainable_variables)

    @tf.function
    def descend(batches, classes):
        for row in tf.range(len(batches)):
            with tf.GradientTape() as tape:
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    classes[row], network(batches[row])
                )
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))

    descend(tf.constant(examples), tf.constant(labels))


def test_e12_one_answer_of_ten_says_less_than_the_label():
    by_label = accuracy_of_classes(250, by_dqn=False)
    one_of_ten = {count: accuracy_of_classes(count, by_dqn=True) for count in (250, 4_000)}
    assert 0.70 < by_label < 0.79
    assert one_of_ten[250] < 0.45 and 0.65 < one_of_ten[4_000] < 0.80
