"""The Torso door: torsos of one's own, and what the network demands of them."""

import functools
import json
import pickle
import signal

import numpy as np
import pytest
import tensorflow as tf

import oracles
from command_server import interpreter, refusal, run, start
from dqn_tf.agent import Torso
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import (
    CompiledQFunction,
    make_q_function,
    random_observations,
)
from dqn_tf.agent.networks.layers import planned
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.agent.networks.torsos import TORSOS
from dqn_tf.agent.networks.torsos.mlp import MLP
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export import publish
from dqn_tf.support.errors import UserError
from gru_torso import GRUTorso
from small_runs import report, resume_run, small_run

STACKED = Spaces((8, 4), "float32", 2)
GRU = {
    "env": "gru_torso:StackedCartPole-v0",
    "network": "gru_torso:GRUTorso",
    "total_steps": 500,
    "env_steps_per_update": 4,
    "hidden_units": None,
}


class DropoutTorso(Torso):
    """Its variables are not all floats: a dropout layer has a seed of whole numbers."""

    width = 6

    def __init__(self, spaces, config, seeds):
        super().__init__(spaces, config, seeds)
        initializer = tf.keras.initializers.GlorotUniform(next(seeds))
        self.dense = tf.keras.layers.Dense(6, kernel_initializer=initializer)
        self.dropout = tf.keras.layers.Dropout(0.5, seed=next(seeds))

    def call(self, features, training=False):
        return self.dropout(self.dense(features), training=training)


class WrongTwin(MLP):
    """Has its first layer twice in NumPy, and not its last."""

    def plan(self, places):
        first, _ = super().plan(places)
        return first, first


def make_agent(torso, spaces: Spaces = oracles.BOX, **overrides) -> DQN:
    agent = DQN(oracles.make_config(**overrides), spaces, torso=torso)
    agent.compile()
    return agent


# --- from the command line -----------------------------------------------------------------


def test_a_torso_of_ones_own_is_trained_resumed_exported_and_evaluated(tmp_path):
    """A run that was killed and resumed ends with the weights of one that was not."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    commands = {}
    for directory in (undisturbed, killed):
        directory.mkdir()
        commands[directory] = start(small_run(directory, **GRU), directory)
    commands[killed].wait_for(text="step 304: greedy return")
    commands[killed].kill(signal.SIGKILL)
    assert commands[killed].wait() == -signal.SIGKILL
    commands[killed] = start(resume_run(killed), killed)
    for command in commands.values():
        assert command.wait() == 0, command.text
    assert report(killed)["weights_sha256"] == report(undisturbed)["weights_sha256"]
    recorded = json.loads((killed / "run" / "config.json").read_text(encoding="utf-8"))
    assert recorded["config"]["network"] == GRU["network"]
    words = [f"--run={killed / 'run'}", "--weights=best", "--output=again"]
    status, text = run(words, killed, "dqn_tf.export")
    assert status == 0, text
    words = ["--model=again", f"--env={GRU['env']}", "--episodes=2"]
    status, text = run(words, killed, "evaluate.py")
    assert status == 0 and "2 episodes" in text, text


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ({"env": "CartPole-v1"}, "a GRU reads observations of shape [steps, numbers], and here"),
        ({"network": "gru_torso:Missing"}, "gru_torso has nothing named 'Missing'."),
        ({"network": "gru_torso:make_stacked_cartpole"}, "is no subclass of dqn_tf.agent.Torso."),
        (
            {"network": "resnet"},
            "minatar_cnn, transformer, gru, bag_of_words, pretrained or my_module:MyTorso",
        ),
    ],
    ids=str,
)
def test_what_is_no_torso_for_the_environment_is_said(flags, sentence, tmp_path):
    text = refusal(small_run(tmp_path, **GRU | flags), tmp_path)
    assert "--network=" in text and sentence in text


def test_the_names_in_the_help_are_those_in_the_table():
    for name in ("auto", *TORSOS):
        DQNConfig(network=name, language_model="smollm2" if name == "pretrained" else "")
    with pytest.raises(UserError) as refused:
        DQNConfig(network="none")
    assert all(name in str(refused.value) for name in TORSOS)


# --- from Python ---------------------------------------------------------------------------


@pytest.mark.parametrize("torso", [GRUTorso, functools.partial(GRUTorso)], ids=str)
def test_dqn_takes_a_torso_from_python(torso):
    agent = make_agent(torso, STACKED)
    assert isinstance(agent.online.torso, GRUTorso) and isinstance(agent.target.torso, GRUTorso)
    assert agent.online.torso is not agent.target.torso
    oracles.equal(agent.online.get_weights(), agent.target.get_weights())


def test_the_runs_seed_decides_the_weights_of_a_torso_of_ones_own():
    first, same, other = (make_agent(GRUTorso, STACKED, seed=seed) for seed in (1, 1, 2))
    oracles.equal(first.online.get_weights(), same.online.get_weights())
    assert (first.online.get_weights()[0] != other.online.get_weights()[0]).any()


def test_a_torso_that_returns_another_width_is_refused():
    wider = type("Wider", (GRUTorso,), {"width": 16})
    with pytest.raises(UserError, match=r"Wider says that its width is 17, and returns \[1, 16\]"):
        make_agent(lambda *made_of: _with_width(wider(*made_of), 17), STACKED)


def _with_width(torso: Torso, width: int) -> Torso:
    torso.width = width
    return torso


def test_a_torso_that_cannot_be_stacked_says_so():
    with pytest.raises(UserError, match="cannot train several seeds at once"):
        DQN(oracles.make_config(network="gru_torso:GRUTorso"), STACKED, num_agents=2)


def test_agents_that_are_stacked_have_no_noise_and_say_so():
    with pytest.raises(UserError, match="--noisy has noise for one agent, and here are 2"):
        DQN(DQNConfig(env="CartPole-v1", noisy=True), num_agents=2)


@pytest.mark.parametrize("head", [{}, {"dueling": True, "distribution": "c51"}, {"noisy": True}])
def test_a_torso_without_a_numpy_twin_acts_by_the_compiled_call(head, generator):
    agent = make_agent(GRUTorso, STACKED, **head)
    q_function = make_q_function(agent)
    assert isinstance(q_function, CompiledQFunction)
    observation = generator.normal(size=(3, 8, 4)).astype(np.float32)
    oracles.close(q_function.q_values(observation), agent(observation))
    drawn = q_function.q_values(observation, generator)
    assert (np.abs(drawn - q_function.q_values(observation)).max() > 1e-4) == bool("noisy" in head)
    batches = {
        name: column[np.newaxis] for name, column in oracles.make_batch(1, 5, STACKED).items()
    }
    learned = agent.learn(batches, 1)
    assert learned.weights is None
    q_function.refresh(learned.weights)
    oracles.close(q_function.q_values(observation), agent(observation))


def test_a_torso_without_an_onnx_twin_is_not_exported_to_onnx(tmp_path):
    pytest.importorskip("onnx")
    agent = make_agent(GRUTorso, STACKED)
    observations = random_observations(STACKED, 4)
    with pytest.raises(UserError, match="for onnx: the torso GRUTorso has no ONNX twin. Nothing"):
        publish.export(agent, tmp_path, observations, {}, ("savedmodel", "onnx"))
    assert not list(tmp_path.iterdir())


def test_variables_that_are_not_floats_are_copied_and_never_mixed(generator):
    """Soft target updates mix the floats; a resume takes over everything."""
    overrides = {"tau": 0.25, "target_update_period_env_steps": 2, "hidden_units": ()}
    agent, resumed = (make_agent(DropoutTorso, **overrides) for _ in range(2))
    kinds = {tf.as_dtype(variable.dtype).is_floating for variable in agent.online.variables}
    assert kinds == {True, False}
    batches = [
        {name: column[np.newaxis] for name, column in oracles.make_batch(number).items()}
        for number in range(6)
    ]
    for number, batch in enumerate(batches[:4], 1):
        before = [variable.numpy() for variable in agent.target.variables]
        agent.learn(batch, 1)
        share = 0.25 if number % 2 == 0 else 0.0
        pairs = zip(before, agent.target.variables, agent.online.variables, strict=True)
        for old, target, online in pairs:
            if old.dtype == np.float32:
                mixed = share * online.numpy() + (1 - share) * old
                np.testing.assert_allclose(target.numpy(), mixed, rtol=1e-6)
            else:
                np.testing.assert_array_equal(target.numpy(), online.numpy() if share else old)
    resumed.load_arrays(agent.arrays())
    for batch in batches[4:]:
        agent.learn(batch, 1)
        resumed.learn(batch, 1)
    oracles.equal(list(resumed.arrays().values()), list(agent.arrays().values()))


# --- the twin in NumPy ---------------------------------------------------------------------


def test_a_wrong_numpy_twin_is_an_error_and_no_silent_difference():
    spaces = Spaces((7,), "float32", 2)
    agent = make_agent(WrongTwin, spaces, hidden_units=(7, 7))
    with pytest.raises(UserError, match="NumPy twin of the torso WrongTwin .* differ from the net"):
        make_q_function(agent)


def test_layers_without_a_numpy_twin_are_named():
    places = {}
    for layer, sentence in (
        (tf.keras.layers.Dense(2, activation="gelu"), "the activation gelu"),
        (tf.keras.layers.LayerNormalization(), "a layer of type LayerNormalization"),
        (tf.keras.layers.Conv2D(2, 3, padding="same", activation="relu"), "of type Conv2D"),
    ):
        layer.build((None, 5, 5, 2))
        with pytest.raises(TypeError, match=sentence):
            planned(layer, places)


ACTS_WITHOUT_TENSORFLOW = """
import pickle, sys
import numpy as np
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
with open(sys.argv[1], "rb") as file:
    plan, weights, observation, expected = pickle.load(file)
q_values = NumpyQFunction(plan, weights).q_values(observation)
assert not {"tensorflow", "keras"} & set(sys.modules)
np.testing.assert_array_equal(q_values, expected)
"""


@pytest.mark.parametrize(
    "spaces, overrides",
    [
        (oracles.BOX, {"noisy": True, "dueling": True, "distribution": "c51", "atoms": 7}),
        (Spaces((36, 36, 2), "uint8", 3), {"distribution": "quantile", "atoms": 5}),
        (Spaces((), "int64", 3, categories=4), {}),
    ],
    ids=str,
)
def test_a_plan_and_weights_act_in_a_process_without_tensorflow(spaces, overrides, tmp_path):
    agent = oracles.make_agent(oracles.make_config(**overrides), spaces)
    observation = random_observations(spaces, 3)
    sent = agent.online.plan(), agent.online.flat_weights(), observation
    expected = make_q_function(agent).q_values(observation)
    (tmp_path / "sent").write_bytes(pickle.dumps((*sent, expected)))
    done = interpreter("-c", ACTS_WITHOUT_TENSORFLOW, str(tmp_path / "sent"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_weights_that_are_not_the_plans_are_refused():
    agent = oracles.make_agent()
    q_function = NumpyQFunction(agent.online.plan(), agent.online.flat_weights())
    with pytest.raises(ValueError, match="weights, where the plan has"):
        q_function.refresh(np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="there is no network to read them from"):
        q_function.refresh()
