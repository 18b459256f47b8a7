"""The signature `text`: strings in, and what the tokens of Python's tokenizer would get out."""

import random

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry, tokenizer
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokenizer import Tokenizer
from dqn_tf.export.publish import export
from dqn_tf.export.signatures import ExportModule, SignatureFunctions
from dqn_tf.export.text_input import TextInput
from dqn_tf.support.errors import UserError

SMALL = {"network": "mlp", "hidden_units": (4,)}
WORDS = [
    "I",
    "don't",
    "cafe\u0301",
    "CAFÉ",
    "straße",
    "İstanbul",
    "ΟΔΟΣ",
    "我们",
    "ＡＢＣ",
    "login",
]
ODD = [
    *"aBiIİıſẞßςΣÉ\u0301’'_19 .,!<>\t\n\x00\x07\u200d\ufe0f\u3000\xa0\x85。我\ufeff\uffff\U0010ffff"
]
EMOJI = ["😀", "👩🏽\u200d🚀", "🇩🇪", "✓"]
NAMES = [
    "<pad>",
    "<unk>",
    *[
        "i",
        "b",
        "a",
        "1",
        "ß",
        "_",
        ".",
        ",",
        "'",
        "’",
        "我",
        "。",
        "é",
        "σ",
        "don't",
        "café",
        "straße",
        "istanbul",
        "οδοσ",
        "我们",
    ],
]
BYTES = [0x80, 0xBF, 0xC0, 0xC3, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF]


def odd_texts(count: int) -> list[bytes]:
    """Words and odd characters in any order; half of them with bytes that are changed."""
    draw = random.Random(3)
    texts = []
    for number in range(count):
        parts = draw.choices([*WORDS, *ODD, *EMOJI, *NAMES, " "], k=draw.randrange(20))
        text = bytearray("".join(parts).encode())
        for _ in range(draw.randrange(4) if number % 2 and text else 0):
            text[draw.randrange(len(text))] = draw.choice([*BYTES, draw.randrange(256)])
        texts.append(bytes(text))
    long = ["a" * 10_000, "don't " * 5_000, "😀" * 10_000, "a'" * 5_000, " " * 10_000, ""]
    return texts + [text.encode() for text in long] + [b"\xff" * 10_000]


@pytest.mark.parametrize("kind", tokenizer.KINDS)
def test_the_graph_makes_the_tokens_that_python_makes(kind):
    names = [name for name in NAMES if kind != "characters" or len(name) == 1 or name[0] == "<"]
    spaces = Spaces((9,), "int64", 2, categories=len(names), category_start=2, padding=2)
    reader = tokenizer.of_names({"tokens": names, "tokenizer": kind}, spaces)
    read = tf.function(TextInput(reader), input_signature=[tf.TensorSpec((None,), tf.string)])
    texts = odd_texts(2_000)
    texts += [f"a{chr(code)}b".encode() for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    tokens = read(tf.constant(texts)).numpy()
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokens, reader.observations(texts))
    assert read(tf.constant([], tf.string)).shape == (0, 9)


@pytest.fixture(scope="module")
def helpdesk(tmp_path_factory):
    return published("dqn_tf/Helpdesk-v0", tmp_path_factory.mktemp("helpdesk"))


def published(env: str, directory):
    """An untrained agent, its names, and its export."""
    config = DQNConfig(env=env, **SMALL)
    names = registry.names(config)
    agent = DQN(config)
    seen = np.stack([registry.make_env(config).reset(seed=seed)[0] for seed in range(40)])
    return agent, names, export(agent, directory, seen, {"env": env} | names)


def asked(version, texts: list) -> dict[str, np.ndarray]:
    loaded = tf.saved_model.load(str(version))
    answer = loaded.signatures["text"](text=tf.constant(texts, tf.string))
    return {name: values.numpy() for name, values in answer.items()}


def test_an_export_answers_texts_as_it_does_their_tokens(helpdesk):
    agent, names, version = helpdesk
    reader = tokenizer.of_names(names, agent.spaces)
    texts = [*odd_texts(300), b"My login is refused. > Is it slow? < No."]
    answer = asked(version, texts)
    expected = agent(tf.constant(reader.observations(texts))).numpy()
    np.testing.assert_allclose(answer["q_values"], expected, rtol=1e-4, atol=1e-5)
    assert answer["action"].tolist() == expected.argmax(axis=1).tolist()
    meanings = [names["action_meanings"][action].encode() for action in answer["action"]]
    assert answer["action_text"].tolist() == meanings


def test_a_text_with_a_token_that_no_vocabulary_has_is_refused_in_a_sentence(tmp_path):
    agent, names, version = published("dqn_tf/GraphWalk-v0", tmp_path)
    start, other = names["tokens"][3], names["tokens"][7]
    (one,) = asked(version, [f" {start}  {other}"])["q_values"]
    tokens = np.zeros((1, 16), np.int32)
    tokens[0, :2] = 3, 7
    np.testing.assert_allclose(one, agent(tf.constant(tokens)).numpy()[0], rtol=1e-4)
    said = r"text holds a token that the vocabulary does not have:\] \[nowhere\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        asked(version, [f"{start} nowhere"])


def test_masks_go_with_texts():
    spaces = Spaces((9,), "int32", 2, categories=len(NAMES), padding=0, masked=True)
    names = {"tokens": NAMES, "tokenizer": "words"}
    module = ExportModule(DQN(DQNConfig(**SMALL), spaces), names)
    answer = module.endpoints["text_masked"](
        tf.constant(["i", "b"]), tf.constant([[True, False], [False, True]])
    )
    assert answer["action"].numpy().tolist() == [0, 1] and "action_text" not in answer
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many rows"):
        module.endpoints["text_masked"](tf.constant(["i", "b"]), tf.constant([[True, False]]))


def test_who_does_not_say_how_texts_become_tokens_has_no_such_signature():
    agent = DQN(DQNConfig(**SMALL), Spaces((9,), "int32", 2, categories=len(NAMES), padding=0))
    assert "text" not in ExportModule(agent, {"tokens": NAMES}).endpoints


def test_the_gate_refuses_a_graph_that_reads_otherwise(helpdesk, tmp_path, monkeypatch):
    agent, names, _ = helpdesk
    seen = np.zeros((40, *agent.spaces.observation_shape), np.int32)
    number = Tokenizer._number_of

    def mistaken(self, part):
        return number(self, part) + (part == "stop")

    monkeypatch.setattr(Tokenizer, "_number_of", mistaken)
    with pytest.raises(UserError, match=r"asked for text, answered otherwise .*a Q-value differs"):
        export(agent, tmp_path, seen, names)
    assert not list(tmp_path.iterdir())


def test_the_gate_refuses_another_name_of_an_action(helpdesk, tmp_path, monkeypatch):
    agent, names, _ = helpdesk
    seen = np.zeros((40, *agent.spaces.observation_shape), np.int32)
    answer = SignatureFunctions.text

    def mistaken(self, text, action_mask=None):
        outputs = answer(self, text, action_mask)
        return outputs | {"action_text": tf.strings.lower(outputs["action_text"])}

    monkeypatch.setattr(SignatureFunctions, "text", mistaken)
    with pytest.raises(UserError, match="asked for text, .*: an action has another name"):
        export(agent, tmp_path, seen, names)
