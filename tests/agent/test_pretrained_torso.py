"""The torso `pretrained`: what it reads, what of it learns, and the table of what it has read."""

import contextlib

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

import tiny_language_model as tiny
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.pretrained.feature_table import FeatureTable
from dqn_tf.agent.networks.pretrained.prompt import TEXT, Prompt
from dqn_tf.agent.networks.pretrained.readers import LEAST_DEVIATION, frozen_trunk, read_directly
from dqn_tf.agent.networks.torsos.backbone import WithBackbone
from dqn_tf.config.presets import configure
from dqn_tf.envs import registry
from dqn_tf.experience import whole_episodes
from dqn_tf.language.model_files import open_model
from dqn_tf.support.errors import UserError

for package in ("gguf", "safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")

LENGTH = 6
TEXTS = ["Where is it?", "My card!", "The line is down.", "Sorry.", "12 letters were lost."]


class Dialogue(gym.Env):
    """Tells a word more at each step; the agent is told what it said."""

    observation_space = gym.spaces.Discrete(1)
    action_space = gym.spaces.Discrete(3)
    texts = TEXTS
    max_messages = 3
    choice_texts = ("Is the line down?", "Sorry.", "Where?")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.messages = [{"role": "user", "content": TEXTS[int(self.np_random.integers(5))]}]
        return 0, self.info()

    def step(self, action):
        self.messages.append({"role": "assistant", "content": self.choice_texts[action]})
        return 0, float(action), len(self.messages) > 2, False, self.info()

    def info(self):
        return {"messages": list(self.messages), "choices": list(self.choice_texts)}


gym.register("tiny/Dialogue-v0", Dialogue)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return str(folder), tiny.write_hugging_face(folder)


def make_agent(model, torso=None, **settings):
    config = configure(
        "tiny/Dialogue-v0",
        {
            "language_model": model[0],
            "message_tokens": LENGTH,
            "skip_tokens": 1,
            "hidden_units": (7,),
            "width": 5,
            "seed": 3,
            "learning_rate": 0.003,
            "target_update_period_env_steps": 4,
            **settings,
        },
    )
    agent = DQN(config, torso=torso)
    agent.compile()
    return agent


@pytest.fixture(scope="module")
def head(model):
    return make_agent(model)


def dialogues(agent):
    """Observations of a reset and of the steps after it, [6, M · (1 + L)]."""
    env = registry.make_env(agent.settings)
    rows = []
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        rows += [observation, env.step(seed)[0]]
    return np.array(rows)


def batches(agent, updates=6):
    rows = dialogues(agent)
    batch = {
        "observation": rows[::2],
        "action": np.array([0, 1, 2], np.int32),
        "reward": np.array([1.0, -1.0, 0.5], np.float32),
        "discount": np.zeros(3, np.float32),
        "next_observation": rows[1::2],
    }
    return {name: np.repeat(column[np.newaxis], updates, 0) for name, column in batch.items()}


def features_by_hand(weights, tokens):
    """The mean of one message's states, by the oracle, without the first token."""
    states = tiny.logits(weights, tiny.TINY, list(tokens))[1][-1]
    return states[1 if len(tokens) > 1 else 0 :].mean(axis=0)


def test_q_values_are_those_of_the_weights(model, head):
    """From the texts to the Q-values, in NumPy."""
    encode = open_model(model[0]).tokenizer.encode
    all_features = np.array([features_by_hand(model[1], encode(t)[-LENGTH:]) for t in TEXTS])
    deviation = all_features.std(axis=0)
    deviation = np.maximum(deviation, LEAST_DEVIATION * np.median(deviation))
    rows = dialogues(head).reshape(6, 3, 1 + LENGTH)
    inputs = np.zeros((6, 3, 16 + 4))
    for place in np.ndindex(6, 3):
        role, *tokens = rows[place]
        tokens = [token for token in tokens if token >= 0]
        if tokens:
            features = features_by_hand(model[1], tokens)
            inputs[place][:16] = (features - all_features.mean(axis=0)) / deviation
            inputs[place][16 + role] = 1.0
    weights = {v.path.split("/", 1)[1]: v.numpy() for v in head.online.trainable_variables}
    (kernel, bias), (second, second_bias), (last, last_bias) = zip(
        list(weights.values())[::2], list(weights.values())[1::2], strict=True
    )
    messages = np.maximum(inputs @ kernel + bias, 0).reshape(6, -1)
    expected = np.maximum(messages @ second + second_bias, 0) @ last + last_bias
    found = head(dialogues(head)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(found, axis=0).min() > 1e-3  # the texts make a difference


def test_an_export_reads_by_the_model_itself(head):
    rows = dialogues(head)
    q_values = head(rows).numpy()
    with head.online.torso.for_export():
        np.testing.assert_allclose(head(rows).numpy(), q_values, atol=1e-5)
        assert head(rows[:0]).shape == (0, 3)
        wild = np.full_like(rows, 2**30)
        assert np.isfinite(head(wild).numpy()).all()


def test_what_is_in_the_table_depends_on_nothing_else(model, head):
    table = head.online.torso.reader.table
    rows = dialogues(head)
    before = head(rows).numpy()
    kept = table.rows()
    table.clear()
    assert len(table) == 0
    for row in rows[::-1]:  # one by one, in another order
        head(row[np.newaxis])
    np.testing.assert_array_equal(head(rows).numpy(), before)
    head.online.torso.restore_kept(kept)
    assert len(table) == len(kept["keys"])
    np.testing.assert_array_equal(head(rows).numpy(), before)


def test_a_full_table_starts_anew():
    asked = []

    def encode(message):
        tf.py_function(lambda m: asked.append(m.numpy().tolist()[0]), [message], [])
        return tf.cast(message, tf.float32) * 2.0

    table = FeatureTable(encode, 2, 2, room=3)
    for messages, kept in (
        ([[1, 2], [1, 2], [2, 1]], 2),
        ([[1, 2]], 2),
        ([[3, 3], [1, 2]], 3),
        ([[4, 4], [1, 2]], 2),  # no room: all but these are forgotten
        ([[1, 2], [3, 3]], 3),
    ):
        found = table.read(tf.constant(messages)).numpy()
        np.testing.assert_array_equal(found, 2.0 * np.array(messages))
        assert len(table) == kept
    assert asked == [[1, 2], [2, 1], [3, 3], [4, 4], [1, 2], [3, 3]]
    # more different ones than there is room for are read in parts, each part's once
    asked.clear()
    messages = [[number % 5, 9] for number in range(8)]
    np.testing.assert_array_equal(
        table.read(tf.constant(messages)).numpy(), 2.0 * np.array(messages)
    )
    assert asked == [[0, 9], [1, 9], [2, 9], [3, 9], [4, 9], [0, 9], [1, 9], [2, 9]]
    assert len(table) == 2


@pytest.mark.parametrize("fine_tune", ["head", "lora", "all"])
def test_what_learns_and_what_the_target_copies(model, head, fine_tune):
    agent = make_agent(model, fine_tune=fine_tune, lora_rank=2, lora_layers=1)
    torso = agent.online.torso
    frozen = [variable.numpy() for variable in frozen_trunk(model[0], 0).variables]
    rows = dialogues(agent)
    if fine_tune == "lora":  # it begins as the model is
        message = rows[:, 1 : 1 + LENGTH]
        np.testing.assert_allclose(
            torso.text_features(message), head.online.torso.text_features(message), atol=1e-5
        )
    weights = sum(array.size for array in model[1].values())
    own = {"head": 0, "lora": 2 * (16 + 16) + 2 * (16 + 8), "all": weights}[fine_tune]
    above = (20 * 5 + 5) + (15 * 7 + 7) + (7 * 3 + 3)
    assert sum(v.numpy().size for v in agent.online.trainable_variables) == own + above
    assert sum(v.numpy().size for v in agent.target.variables) == own + above + 2 * 16
    said = " ".join(torso.sentences(own + above))
    assert f"2 of 2 layers of {model[0]}" in said and f"{own + above:,} weights learn" in said
    of_memory = {"head": "for the features of 16,384", "lora": "The last 1 of these", "all": "best"}
    assert of_memory[fine_tune] in said and said.endswith(".")
    before = agent.online.get_weights()
    losses = [agent.learn(batches(agent), 6).metrics["loss"] for _ in range(4)]
    assert losses[-1] < losses[0]
    moved = [(a != b).any() for a, b in zip(before, agent.online.get_weights(), strict=True)]
    trainable = {id(variable) for variable in agent.online.trainable_variables}
    # rows of the embedding that no text has stay, and the rest of it moves
    assert moved == [id(variable) in trainable for variable in agent.online.variables]
    now = [variable.numpy() for variable in frozen_trunk(model[0], 0).variables]
    assert all((a == b).all() for a, b in zip(frozen, now, strict=True))


def test_changed_layers_go_on_from_what_the_frozen_ones_said(model):
    """Beside the whole model read anew: features, and the gradient of the changes."""
    torso = make_agent(model, fine_tune="lora", lora_rank=2, lora_layers=1).online.torso
    rows = np.full((5, LENGTH), -1, np.int32)
    for row, tokens in enumerate(([30, 40, 50], [], [60], [30, 40, 50], [9] * LENGTH)):
        rows[row, : len(tokens)] = tokens
    change = torso.changes[0]
    for layer in (change.query.up, change.value.up):
        layer.kernel.assign(np.random.default_rng(1).standard_normal(layer.kernel.shape))
    before = torso.text_features(rows[:1]).numpy()
    variables = torso.model_variables()
    assert len(variables) == 4 and torso.kept() == {}
    found = []
    for reading in (contextlib.nullcontext(), torso.for_export()):
        with reading, tf.GradientTape() as tape:
            features = torso.text_features(rows)
            loss = tf.reduce_sum(features**3)
        found.append((features.numpy(), *(g.numpy() for g in tape.gradient(loss, variables))))
    for kept, anew in zip(*found, strict=True):
        np.testing.assert_allclose(kept, anew, rtol=1e-3, atol=1e-3 * np.abs(anew).max())
        assert np.abs(anew).max() > 1e-3
    np.testing.assert_allclose(found[0][0][3], before[0], atol=1e-4)
    change.query.up.kernel.assign(tf.zeros_like(change.query.up.kernel))
    assert (torso.text_features(rows[:1]).numpy() != before).any()


def test_choices_are_read_by_the_same_model(model):
    agent = make_agent(model, choices="texts")
    rows = dialogues(agent)
    assert rows.shape[1] == 3 * (1 + LENGTH) + 3 * LENGTH
    q_values = agent(rows).numpy()
    swapped = rows.copy()
    places = swapped[:, -3 * LENGTH :].reshape(6, 3, LENGTH)
    swapped[:, -3 * LENGTH :] = places[:, ::-1].reshape(6, -1)
    np.testing.assert_allclose(agent(swapped).numpy(), q_values[:, ::-1], atol=1e-5)
    assert np.ptp(q_values, axis=1).min() > 1e-4


def test_a_backbone_of_keras_hub_reads_for_the_same_torso(model):
    models = pytest.importorskip("keras_hub", reason="KerasHub is not installed").models
    encode = open_model(model[0]).tokenizer.encode
    vocabulary = len(model[1]["model.embed_tokens.weight"])
    backbone = models.LlamaBackbone(
        vocabulary_size=vocabulary,
        num_layers=2,
        num_query_heads=4,
        hidden_dim=24,
        intermediate_dim=16,
        num_key_value_heads=2,
    )
    maker = WithBackbone(backbone)
    agent = make_agent(model, torso=maker)
    torso = agent.online.torso
    assert torso.reader is agent.target.torso.reader and torso.text_width == 24
    message = np.full((1, LENGTH), -1, np.int32)
    tokens = encode(TEXTS[1])[-LENGTH:]
    message[0, : len(tokens)] = tokens
    states = backbone({"token_ids": np.array([tokens]), "padding_mask": np.ones((1, len(tokens)))})
    expected = np.asarray(states)[0, 1:].mean(axis=0)  # one is skipped
    np.testing.assert_allclose(torso.reader(tf.constant(message)).numpy()[0], expected, atol=1e-5)
    rows, weights = dialogues(agent), backbone.get_weights()
    with torso.for_export():
        anew = agent(rows).numpy()
    np.testing.assert_allclose(agent(rows).numpy(), anew, atol=1e-4)
    losses = [agent.learn(batches(agent), 6).metrics["loss"] for _ in range(4)]
    assert losses[-1] < losses[0]
    assert all((a == b).all() for a, b in zip(weights, backbone.get_weights(), strict=True))
    with pytest.raises(UserError, match="a backbone stays frozen"):
        make_agent(model, torso=maker, fine_tune="lora")
    with pytest.raises(UserError, match="Dense is no causal Backbone of KerasHub"):
        WithBackbone(tf.keras.layers.Dense(3))


def test_equal_messages_are_read_once_and_empty_ones_not(model):
    trunk = frozen_trunk(model[0], 0)
    messages = np.full((4, LENGTH), -1, np.int32)
    messages[[0, 2], :2] = 30, 40
    features = read_directly(trunk, tf.constant(messages), Prompt(TEXT, str.split, 0)).numpy()
    assert not features[[1, 3]].any() and (features[0] == features[2]).all()
    np.testing.assert_allclose(
        features[0], tiny.logits(model[1], tiny.TINY, [30, 40])[1][-1].mean(axis=0), atol=1e-4
    )


@pytest.mark.parametrize(
    "words", ["{text}", "7 8 {text} 9", "{text} 5 {text}", "7 {text} 8 {text}"]
)
@pytest.mark.parametrize("skip", [0, 2])
def test_a_prompt_stands_around_each_message(words, skip):
    """Beside lists put one behind the other."""
    prompt = Prompt(words, lambda part: [int(number) for number in part.split()], skip)
    messages = np.full((4, LENGTH), -1, np.int32)
    for row, count in enumerate((0, 1, 3, LENGTH)):
        messages[row, :count] = 20 + np.arange(count)
    read, is_counted = (tensor.numpy() for tensor in prompt.around(tf.constant(messages)))
    assert read.shape == is_counted.shape == (4, prompt.places(LENGTH))
    for row, message in enumerate(messages):
        said = message[message >= 0].tolist()
        parts = [[int(number) for number in part.split()] for part in words.split(TEXT)]
        expected, last = parts[0], 0
        for part in parts[1:]:
            last = len(expected)
            expected = expected + said + part
        counted = len(expected) - last
        first = last + (skip if counted > skip else 0)
        assert read[row, : len(expected)].tolist() == expected
        assert (read[row, len(expected) :] == -1).all()
        assert np.flatnonzero(is_counted[row]).tolist() == list(range(first, len(expected)))


def test_a_prompt_changes_what_is_read(model):
    """Features within a prompt are the mean over its last part, by the oracle."""
    agent = make_agent(model, language_prompt="My {text}, or {text}?")
    files = open_model(model[0])
    message = files.tokenizer.encode(TEXTS[3])
    before, between, after = (files.tokenizer.encode(text) for text in ("My ", ", or ", "?"))
    tokens = [*before, *message, *between, *message, *after]
    states = tiny.logits(model[1], tiny.TINY, tokens)[1][-1]
    expected = states[len(tokens) - len(after) - len(message) + 1 :].mean(axis=0)  # one is skipped
    padded = np.full((1, LENGTH), -1, np.int32)
    padded[0, : len(message)] = message
    found = agent.online.torso.reader(tf.constant(padded)).numpy()[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_gru_reads_one_message_after_the_other(model):
    """Features after each message are those of the dialogue up to it, and the GRU's by hand."""
    agent = make_agent(model, message_torso="gru", replay_unit="episode")
    torso = agent.online.torso
    assert torso.tokens_per_step == 1 + LENGTH and torso.width == 7
    rows = dialogues(agent)[1::2]  # two messages, and room for a third
    features = torso.encode(tf.constant(rows))
    steps = torso.steps(features).numpy()
    assert steps.shape == (3, 3, 7)
    for count in (1, 2):
        beginning = rows.reshape(3, 3, 1 + LENGTH).copy()
        beginning[:, count:] = -1
        whole = torso(torso.encode(tf.constant(beginning.reshape(3, -1)))).numpy()
        np.testing.assert_allclose(whole, steps[:, count - 1], atol=1e-6)
    read = torso._read_each(features, None, {}).numpy()
    kernels = [weights.numpy() for weights in torso.recurrence.weights]
    state = np.zeros((3, 5))
    for message in range(2):
        (z_in, r_in, n_in), (z, r, n) = (
            np.split(inputs @ kernel + bias, 3, axis=1)
            for inputs, kernel, bias in ((read[:, message], *kernels[:2]), (state, *kernels[2:]))
        )
        z, r = 1 / (1 + np.exp(-z_in - z)), 1 / (1 + np.exp(-r_in - r))
        state = z * state + (1 - z) * np.tanh(n_in + r * n)
    hidden = np.maximum(state @ torso.hidden[0].kernel.numpy() + torso.hidden[0].bias.numpy(), 0)
    np.testing.assert_allclose(steps[:, 1], hidden, atol=1e-5)


def test_whole_dialogues_are_learned_in_one_pass(model):
    """Q at each step's last token is what the network says of that step's own observation."""
    agent = make_agent(model, message_torso="gru", replay_unit="episode")
    rows = dialogues(agent)
    position = whole_episodes.last_token(rows, -1).reshape(3, 2)
    found = agent.online.forward_steps(tf.constant(rows[1::2]), tf.constant(position))
    np.testing.assert_allclose(found.outputs.numpy(), agent(rows).numpy(), atol=1e-6)


def test_noise_and_dropout_are_for_learning_only(model, head):
    noisy = make_agent(model, feature_noise=1.0, dropout=0.5)
    rows = dialogues(noisy)
    np.testing.assert_array_equal(noisy(rows).numpy(), head(rows).numpy())
    torso = noisy.online.torso
    features = torso.encode(tf.constant(rows))
    plain = torso(features, training=True).numpy()
    drawn = [
        torso(features, training=True, noise_seed=tf.constant(seed)).numpy()
        for seed in ([1, 3], [1, 3], [2, 3])
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any() and (drawn[0] != plain).any()
    assert (drawn[0] == 0.0).mean() > (plain == 0.0).mean()


def test_noise_is_normal_and_not_on_what_is_not_there(model):
    torso = make_agent(model, feature_noise=0.5).online.torso
    rows = tf.concat([tf.ones((4_000, torso.text_width)), tf.zeros((4_000, 4))], axis=1)
    seed = tf.constant([5, 6])
    noise = torso._with_noise(rows, seed).numpy()[:, : torso.text_width] - 1.0
    assert abs(noise.mean()) < 0.01 and abs(noise.std() - 0.5) < 0.01
    assert not torso._with_noise(0.0 * rows, seed).numpy().any()


def test_runs_with_noise_are_a_function_of_the_seed(model):
    agents = [make_agent(model, feature_noise=1.0, dropout=0.5) for _ in range(2)]
    for agent in agents:
        agent.learn(batches(agent), 6)
    for one, other in zip(*(agent.online.get_weights() for agent in agents), strict=True):
        np.testing.assert_array_equal(one, other)
