"""Torsos that read one step after the other: the transformer and the GRU.

test_legacy_keras.py runs some of them once more under Keras 2.
"""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.wrappers import FrameStackObservation

import oracles
from dqn_tf.agent.dqn import DQN, weights_sha256
from dqn_tf.agent.networks import causal_blocks, choice
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.publish import export
from dqn_tf.support.errors import UserError
from oracles import close, equal

TOKENS = Spaces((7,), "int16", 3, categories=9, category_start=2, padding=4)
STEPS = Spaces((4, 2), "float32", 2)
NAMES = ("transformer", "gru")
SMALL = {"layers": 2, "heads": 2, "width": 8}
SWITCHES = {
    "double": True,
    "dueling": True,
    "n_step": 3,
    "prioritized": True,
    "noisy": True,
    "imitation": 0.1,
    "support": 0.1,
}


def make(network: str, spaces: Spaces = TOKENS, **overrides) -> DQN:
    return DQN(oracles.make_config(network=network, **SMALL | overrides), spaces)


def tokens(count: int = 5, spaces: Spaces = TOKENS) -> np.ndarray:
    """Tokens without padding."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(5, 10, (count, *spaces.observation_shape))
    return drawn.astype(spaces.observation_dtype)


def batch(spaces: Spaces) -> dict[str, tf.Tensor]:
    made = oracles.make_batch(0, spaces=spaces)
    if spaces.vocabulary:
        made |= {"observation": tokens(spaces=spaces), "next_observation": tokens(spaces=spaces)}
    if spaces.masked:
        legal = np.ones((5, spaces.actions), bool)
        made |= dict.fromkeys(("action_mask", "next_action_mask"), legal)
    return oracles.tensors(made)


def features(agent: DQN, observation: np.ndarray) -> np.ndarray:
    """Of every step, [B, T, width]."""
    torso = agent.online.torso
    return torso.steps(torso.encode(tf.constant(observation))).numpy()


# --- by hand --------------------------------------------------------------------------------------


def normed(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * scale


def turned(x: np.ndarray) -> np.ndarray:
    """x [T, D]: the pair (i, i + D/2) at step t turned by t · 10,000^(-2i/D)."""
    half = x.shape[-1] // 2
    angle = np.arange(len(x))[:, np.newaxis] * 10_000.0 ** (-np.arange(half) / half)
    pairs = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angle)
    return np.concatenate([pairs.real, pairs.imag], axis=1)


def attention(x, query, key, value, output):
    """One sequence [T, 8] with two heads, one step and one head after the other."""
    read = np.zeros_like(x)
    for head in (slice(0, 4), slice(4, 8)):
        q, k, v = turned((x @ query)[:, head]), turned((x @ key)[:, head]), (x @ value)[:, head]
        for step in range(len(x)):
            weight = np.exp(k[: step + 1] @ q[step] / 2.0)
            read[step, head] = weight @ v[: step + 1] / weight.sum()
    return read @ output


def transformer(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The torso's features [T, 8] of one embedded sequence."""
    *blocks, last = weights
    while blocks:
        norm, query, key, value, output, mlp_norm, gate, up, down, *blocks = blocks
        x = x + attention(normed(x, norm), query, key, value, output)
        gated = normed(x, mlp_norm) @ gate
        x = x + (gated / (1 + np.exp(-gated)) * (normed(x, mlp_norm) @ up)) @ down
    return normed(x, last)


def gru(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The features [T, 8] of one embedded sequence; Cho et al. 2014, in cuDNN's form."""
    while weights:
        kernel, bias, recurrent, recurrent_bias, *weights = weights
        state, states = np.zeros(8), []
        for step in x:
            z_in, r_in, n_in = np.split(step @ kernel + bias, 3)
            z_of, r_of, n_of = np.split(state @ recurrent + recurrent_bias, 3)
            update, reset = (1 / (1 + np.exp(-gate)) for gate in (z_in + z_of, r_in + r_of))
            state = update * state + (1 - update) * np.tanh(n_in + reset * n_of)
            states.append(state)
        x = np.array(states)
    return x


@pytest.mark.parametrize("reference", [transformer, gru], ids=lambda function: function.__name__)
def test_the_features_are_those_by_hand(reference):
    agent = make(reference.__name__)
    torso = agent.online.torso
    generator = np.random.default_rng(1)
    for variable in torso.variables:  # biases and scales too
        variable.assign(variable + 0.3 * generator.normal(size=variable.shape))
    table, *weights = (variable.numpy().astype(np.float64) for variable in torso.variables)
    observation = tokens()
    expected = [reference(table[row - 2], weights) for row in observation]
    close(features(agent, observation), np.array(expected, np.float32))


def test_a_gru_begins_by_keeping_as_much_as_it_is_told():
    """By hand: with no weights but the bias, the state shrinks by that share at each step."""
    torso = make("gru", layers=1, keep_bias=2.0).online.torso
    recurrence = torso.recurrences[0]
    bias = recurrence.entering.bias.numpy()
    assert bias[:8].tolist() == [2.0] * 8 and not bias[8:].any()
    assert not make("gru", layers=1).online.torso.recurrences[0].entering.bias.numpy().any()
    recurrence.recurrent.kernel.assign(tf.zeros_like(recurrence.recurrent.kernel))
    kept = recurrence._next(tf.ones((1, 8)), recurrence.entering.bias[tf.newaxis])
    close(kept.numpy(), np.full((1, 8), 0.8807971, np.float32), 1e-6)


def test_a_long_sequence_is_read_in_a_loop_that_gives_the_same(monkeypatch):
    agent = make("gru")
    agent.compile()
    unrolled = features(agent, tokens())
    monkeypatch.setattr("dqn_tf.agent.networks.torsos.gru.UNROLLED", 3)
    close(features(agent, tokens()), unrolled)
    looped = make("gru")
    looped.compile()
    columns = {name: column[tf.newaxis] for name, column in batch(TOKENS).items()}
    losses = [looped.learn(columns, 1).metrics["loss"] for _ in range(2)]
    assert losses[1] < losses[0]


def test_rotary_scores_depend_on_the_distance_alone():
    cosine, sine = causal_blocks.rotary_angles(12, 6)
    query, key = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    queries = causal_blocks.rotate(tf.constant(np.tile(query, (12, 1))), cosine, sine).numpy()
    keys = causal_blocks.rotate(tf.constant(np.tile(key, (12, 1))), cosine, sine).numpy()
    close(queries, turned(np.tile(query, (12, 1))), 1e-5)
    scores = queries @ keys.T
    for distance in range(12):
        along = np.diagonal(scores, -distance)
        close(along, np.full_like(along, along[0]))
    assert abs(scores[1, 0] - scores[0, 1]) > 1e-3, "the order of two steps is seen"


# --- which steps are seen -------------------------------------------------------------------------


@pytest.mark.parametrize("network", NAMES)
@pytest.mark.parametrize("spaces", [TOKENS, STEPS], ids=["tokens", "numbers"])
def test_a_later_step_never_changes_an_earlier_feature(network, spaces):
    agent = make(network, spaces)
    observation = batch(spaces)["observation"].numpy()
    before = features(agent, observation)
    for step in range(spaces.observation_shape[0]):
        changed = observation.copy()
        changed[:, step:] += 1
        after = features(agent, changed)
        equal([before[:, :step]], [after[:, :step]])
        assert (before[:, step:] != after[:, step:]).any(axis=(1, 2)).all()


@pytest.mark.parametrize("network", NAMES)
def test_padding_changes_nothing_and_every_step_has_its_features(network):
    """The head reads at t what it reads of an observation that ends there, padded or not."""
    agent = make(network)
    whole = tokens()
    steps = features(agent, whole)
    for length in (1, 4, 7):
        padded = whole.copy()
        padded[:, length:] = 4
        torso = agent.online.torso
        close(torso(torso.encode(tf.constant(padded))), steps[:, length - 1])
        shorter = make(network, Spaces((length,), "int16", 3, categories=9, category_start=2))
        shorter.online.set_weights(agent.online.get_weights())
        close(agent(padded), shorter(whole[:, :length]))


def test_padding_within_a_sequence_is_a_token_and_nothing_but_padding_is_read_at_its_start():
    agent = make("transformer")
    last = agent.online.torso.last
    encoded = [[4, 4, 5, 5, 5, 5, 5], [4, 6, 4, 2, 2, 2, 2], [2] * 7, [2, 2, 2, 2, 2, 2, 8]]
    assert last(tf.constant(encoded)).numpy().tolist() == [6, 2, 0, 6]


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NAMES)
@pytest.mark.parametrize("dueling", [False, True])
def test_the_gradient_reaches_every_weight(network, dueling):
    agent = make(network, dueling=dueling)
    agent.compile(run_eagerly=True)
    before = agent.online.get_weights()
    agent.update(batch(TOKENS))
    for variable, old in zip(agent.online.variables, before, strict=True):
        assert (variable.numpy() != old).any(), variable.name


@pytest.mark.parametrize(
    "network, distribution",
    [("transformer", "none"), ("transformer", "c51"), ("transformer", "quantile"), ("gru", "c51")],
)
def test_every_switch_together_learns_acts_and_starts_from_the_seed(network, distribution):
    masked = Spaces((7,), "int32", 3, categories=12, padding=4, masked=True)
    overrides = SWITCHES | {"distribution": distribution, "atoms": 5}
    one, same, other = (make(network, masked, seed=seed, **overrides) for seed in (1, 1, 2))
    assert weights_sha256(one.online.get_weights()) == weights_sha256(same.online.get_weights())
    assert weights_sha256(one.online.get_weights()) != weights_sha256(other.online.get_weights())
    columns = batch(masked) | {"weight": tf.ones(5), "is_logged": tf.ones(5)}
    for agent in (one, same):
        agent.compile(run_eagerly=True)
        for _ in range(2):
            metrics = agent.update(columns)
        assert np.isfinite(metrics["loss"]).all()
    equal(list(one.arrays().values()), list(same.arrays().values()))
    same.load_arrays(other_arrays := one.arrays())
    equal(list(same.arrays().values()), list(other_arrays.values()))


class Cue(gym.Env):
    """Shows 1 or -1 in its first step, then nothing; pays for the same action in the fourth.

    What is seen in the fourth step is the same whatever was shown, so no function of it alone
    earns more than 1/2.
    """

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2))
        self.cue, self.step_number = (options or {}).get("cue", drawn), 0
        return np.array([2 * self.cue - 1, 0], np.float32), {}

    def step(self, action):
        self.step_number += 1
        ends = self.step_number == 4
        reward = float(ends and action == self.cue)
        return np.array([0, self.step_number / 4], np.float32), reward, ends, False, {}


def cue_score(network: str, make_env, **overrides) -> float:
    """The share of the two cues that a trained agent answers rightly."""
    config = DQNConfig(
        network=network,
        seed=0,
        batch_size=32,
        learning_rate=3e-3,
        gamma=0.9,
        total_steps=1600,
        warmup_env_steps=200,
        env_steps_per_update=4,
        epsilon_decay_env_steps=800,
        target_update_period_env_steps=50,
        replay_capacity=2000,
        **overrides,
    )
    engine = oracles.run(oracles.make_engine(config, make_env))
    env = make_env()
    right = 0.0
    for cue in (0, 1):
        observation, _ = env.reset(options={"cue": cue})
        ends = False
        while not ends:
            q_values = engine.agent(np.asarray(observation)[np.newaxis]).numpy()
            observation, reward, ends, *_ = env.step(int(q_values.argmax()))
        right += reward
    return right / 2


def test_no_function_of_the_observation_knows():
    """All 32 that there are, one action for each of the five observations, earn 1/2 on average."""
    for actions in itertools.product((0, 1), repeat=5):
        policy, total = {}, 0.0
        for cue in (0, 1):
            env = Cue()
            observation, _ = env.reset(options={"cue": cue})
            ends = False
            while not ends:
                place = policy.setdefault(observation.tobytes(), len(policy))
                observation, reward, ends, *_ = env.step(actions[place])
                total += reward
        assert len(policy) == 5 and total / 2 == 0.5


def test_a_feed_forward_network_cannot_know_what_it_does_not_see():
    assert cue_score("mlp", Cue, hidden_units=(16,)) == 0.5


@pytest.mark.parametrize("network", NAMES)
def test_the_last_observations_in_a_row_are_a_memory(network):
    score = cue_score(network, lambda: FrameStackObservation(Cue(), 4), layers=1, width=16)
    assert score == 1.0


# --- what else there is ---------------------------------------------------------------------------


@pytest.mark.parametrize("network, spaces", [("transformer", TOKENS), ("gru", STEPS)], ids=NAMES)
def test_an_export_passes_the_gate_in_every_format_that_holds_it(network, spaces, tmp_path):
    agent = make(network, spaces, dueling=True)
    observation = batch(spaces)["observation"].numpy()
    version = export(agent, tmp_path, observation, {}, ["savedmodel", "tflite"])
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    for rows in (0, 1, 5):
        answer = serve(observation=tf.constant(observation[:rows]))["q_values"]
        close(answer, agent(observation[:rows]).numpy() if rows else np.zeros((0, spaces.actions)))


def test_a_gru_that_tflite_cannot_hold_is_refused_in_a_sentence(tmp_path):
    spaces = Spaces((33,), "int32", 2, categories=5)
    agent = make("gru", spaces, layers=1)
    sentence = r"for tflite: a GRU reads more than 32 steps in a loop, and here there are 33\."
    with pytest.raises(UserError, match=sentence):
        export(agent, tmp_path, np.zeros((4, 33), np.int32), {}, ["savedmodel", "tflite"])
    assert not list(tmp_path.glob("[0-9]*"))


@pytest.mark.parametrize("network", NAMES)
def test_keras_saves_it_and_loads_it_again(network, tmp_path):
    agent = make(network)
    agent.compile(run_eagerly=True)
    agent.update(batch(TOKENS))
    agent.save(tmp_path / "agent.keras")
    loaded = tf.keras.models.load_model(tmp_path / "agent.keras")
    equal(list(loaded.arrays().values()), list(agent.arrays().values()))


@pytest.mark.parametrize("network", NAMES)
@pytest.mark.parametrize("spaces", [TOKENS, STEPS], ids=["tokens", "numbers"])
def test_about_how_many_weights_is_known_before_tensorflow(network, spaces):
    agent = make(network, spaces, width=64, dueling=True)
    close(choice.parameters(agent.settings, spaces), agent.online.count_params(), 0.05)


@pytest.mark.parametrize("network", NAMES)
@pytest.mark.parametrize("shape, dtype", [((3,), "float32"), ((36, 36, 3), "uint8"), ((), "int64")])
def test_what_is_no_sequence_is_refused(network, shape, dtype):
    spaces = Spaces(shape, dtype, 2, categories=0 if shape else 4)
    choice.parameters(DQNConfig(network=network), spaces)  # asked before the torso is made
    with pytest.raises(UserError, match=rf"--network={network}: it reads tokens \[T\], or"):
        make(network, spaces)


@pytest.mark.parametrize("network", ["mlp", *NAMES])
@pytest.mark.parametrize(
    "spaces",
    [
        Spaces((1,), "int32", 2, categories=5, padding=0),
        Spaces((4,), "int64", 2, categories=1),
        Spaces((4,), "uint8", 2, categories=1, padding=0),
        Spaces((4,), "int64", 2, categories=5, category_start=-2, padding=-2),
    ],
    ids=["one token long", "one token", "only padding", "from below 0"],
)
def test_the_smallest_observations_are_learned_from(network, spaces):
    """Of nothing but padding, where there is any, too."""
    agent = make(network, spaces)
    agent.compile(run_eagerly=True)
    nothing = np.full((5, *spaces.observation_shape), spaces.category_start)
    columns = oracles.make_batch(0, spaces=spaces)
    columns |= dict.fromkeys(
        ("observation", "next_observation"), nothing.astype(spaces.observation_dtype)
    )
    columns["action"] %= 2
    for _ in range(2):
        assert np.isfinite(agent.update(oracles.tensors(columns))["loss"]).all()
    assert np.isfinite(agent(columns["observation"])).all()


@pytest.mark.parametrize("flags", [{"width": 6, "heads": 2}, {"width": 10, "heads": 4}])
def test_heads_that_do_not_divide_the_width_are_refused(flags):
    with pytest.raises(UserError, match=r"--width=\d+ must be a multiple of twice --heads=\d:"):
        DQNConfig(network="transformer", **flags)
    DQNConfig(network="gru", **flags)


def test_tokens_go_to_the_transformer():
    assert choice.automatic(TOKENS) == "transformer"
    assert choice.automatic(STEPS) == "mlp"
    sentence = choice.explain(DQNConfig(), TOKENS)
    assert sentence.startswith("Network: transformer (chosen by --network=auto) for 7 tokens of a")
    assert "one-hot" not in sentence
    single = Spaces((1,), "int32", 2, categories=5)
    assert "for 1 token of a vocabulary of 5." in choice.explain(DQNConfig(), single)
