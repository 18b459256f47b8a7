"""The signature `text`: strings in, and what the tokens of Python's tokenizer would get out."""

import functools
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

SMALL = {"network": "mlp", "hidden_units": (4,), "seed": 1}
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


@functools.cache
def loaded(version):
    """The export, by TensorFlow alone."""
    return tf.saved_model.load(str(version))


def asked(version, texts: list) -> dict[str, np.ndarray]:
    answer = loaded(version).signatures["text"](text=tf.constant(texts, tf.string))
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


OFFERS = Spaces(
    (9 + 3 * 4,), "int64", 3, len(NAMES), 2, 7, True, padding=2, choices=3, choice_tokens=4
)
CHOOSES = {"tokens": NAMES, "tokenizer": "words"}


@pytest.fixture(scope="module")
def offers(tmp_path_factory):
    """An untrained agent whose choices are texts, up to three of four words, and its export."""
    agent = DQN(DQNConfig(network="transformer", layers=1, width=8), OFFERS)
    seen = np.full((40, 21), 2)
    return agent, export(agent, tmp_path_factory.mktemp("offers"), seen, CHOOSES)


def chosen(version, texts: list, choices: list, mask: list | None = None) -> dict[str, np.ndarray]:
    inputs = {"text": tf.constant(texts, tf.string), "choices": tf.constant(choices, tf.string)}
    if mask is not None:
        inputs["action_mask"] = tf.constant(mask)
    answer = loaded(version).signatures["text" if mask is None else "text_masked"](**inputs)
    return {name: values.numpy() for name, values in answer.items()}


def test_choices_are_told_as_texts_and_the_chosen_one_comes_back(offers):
    agent, version = offers
    reader = tokenizer.of_names(CHOOSES, OFFERS)
    texts = odd_texts(300)
    choices = [[texts[-row], b"" if row % 3 else texts[row // 2], texts[row]] for row in range(306)]
    choices.append([b"", b" \t", "\u3000".encode()])  # nothing to choose from
    answer = chosen(version, texts, choices)
    read = reader.observations(texts, choices)
    expected = agent(tf.constant(read)).numpy()
    np.testing.assert_allclose(answer["q_values"], expected, rtol=1e-4, atol=1e-5)
    places = answer["action"] - 7
    best = np.take_along_axis(expected, places[:, np.newaxis], axis=1)[:, 0]
    np.testing.assert_allclose(best, expected.max(axis=1), rtol=1e-4, atol=1e-5)
    assert answer["action_text"].tolist() == [
        row[p] for row, p in zip(choices, places, strict=True)
    ]
    is_there = (read[:, 9:].reshape(-1, 3, 4) != 2).any(axis=2)
    assert is_there[np.arange(307), places][is_there.any(axis=1)].all()
    assert 0 < is_there[:-1].mean() < 1 and not is_there[-1].any()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fewer_choices_have_the_values_that_they_have_among_more(offers, count):
    _, version = offers
    texts, choices = ["i", "我们 b"], [["a 1", "don't", "é"], ["straße", "b", ""]]
    whole = chosen(version, texts, choices)["q_values"]
    answer = chosen(version, texts, np.array(choices, object)[:, :count])
    np.testing.assert_allclose(answer["q_values"], whole[:, :count], rtol=1e-5, atol=1e-6)
    assert answer["q_values"].shape == (2, count)
    if not count:  # nothing to choose from
        assert answer["action"].tolist() == [7, 7] and answer["action_text"].tolist() == [b""] * 2
    only_last = np.arange(count)[np.newaxis].repeat(2, axis=0) == count - 1
    if count in (1, 2):
        answer = chosen(version, texts, np.array(choices, object)[:, :count], only_last)
        assert answer["action"].tolist() == [6 + count] * 2
        assert answer["action_text"].tolist() == [row[count - 1].encode() for row in choices]


@pytest.mark.parametrize(
    ("choices", "mask", "said"),
    [
        ([["a", "b", "1", "é"]], None, "choices has more columns than the 3 that there is room"),
        ([["a"], ["b"]], None, "choices must have as many rows as text"),
        ([["a", "b"]], [[True]], "action_mask must be as large as choices"),
    ],
)
def test_choices_that_do_not_fit_are_refused_in_a_sentence(offers, choices, mask, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        chosen(offers[1], ["i"], choices, mask)


def test_the_gate_refuses_a_graph_that_cuts_choices_otherwise(offers, tmp_path, monkeypatch):
    agent = offers[0]
    number = Tokenizer._numbers
    monkeypatch.setattr(Tokenizer, "_numbers", lambda self, text: number(self, text)[::-1])
    seen = np.random.default_rng(3).integers(3, 2 + len(NAMES), (40, 21))
    with pytest.raises(UserError, match=r"asked for text, answered otherwise .*a Q-value differs"):
        export(agent, tmp_path, seen, CHOOSES)


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
