"""envs/tokenizer.py: what is a token, by hand, and which environments say so."""

import hashlib

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.config import presets
from dqn_tf.envs import registry, tokenizer
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokens import tokenizer_of
from dqn_tf.support.errors import UserError

NAMES = ["<pad>", "<unk>", "i", "istanbul", "don't", "é", "我"]
SPACES = Spaces((4,), "int32", 2, categories=len(NAMES), category_start=3, padding=3)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \t\r\n\x0b\x1f\x85\xa0\u3000", []),
        (
            "Don’t 'STOP', it's x''y'",
            ["don’t", "'", "stop", "'", ",", "it's", "x", "'", "'", "y", "'"],
        ),
        ("İSTANBUL ISPARTA ısı", ["istanbul", "isparta", "ısı"]),
        ("STRAẞE ΟΔΟΣ ὈΔΌΣ", ["straße", "οδοσ", "ὀδόσ"]),
        ("ＦＵＬＬ１２，", ["ｆｕｌｌ１２", "，"]),
        ("re\u0301sume\u0301", ["re\u0301sume\u0301"]),
        ("ok👩🏽\u200d🚀!", ["ok", "👩", "🏽", "\u200d", "🚀", "!"]),
        ("a\x00b\x07_1", ["a", "\x00", "b", "\x07", "_1"]),
        ("我们。ok", ["我们", "。", "ok"]),
        ("\ufeff½€ A²", ["\ufeff", "½", "€", "a", "²"]),
    ],
)
def test_words_are_cut_by_one_rule(text, parts):
    assert tokenizer.split(text, tokenizer.WORDS) == parts


def test_characters_and_spaced_tokens():
    assert tokenizer.split("我们 Aİ。\n", tokenizer.CHARACTERS) == ["我", "们", "a", "i", "。"]
    assert tokenizer.split(" Move\tright. \u2003", tokenizer.SPACED) == ["Move", "right."]


def test_the_tables_are_those_of_every_python():
    """A Python with another Unicode must read texts as those did that exports were made by."""
    letters = sorted(tokenizer.TO_SMALL.items())
    assert hashlib.sha256(repr(letters).encode()).hexdigest()[:12] == "dafa21fabb48"
    spaces = {code for code in range(0x3001) if chr(code).isspace()}
    assert set(tokenizer.TO_SPACE) == spaces - {ord(" ")}


def test_a_text_is_its_last_tokens():
    reader = tokenizer.Tokenizer(tokenizer.WORDS, NAMES, SPACES)
    assert reader.observation("").tolist() == [3, 3, 3, 3]
    assert reader.observation("Istanbul I <pad>").tolist() == [5, 4, 4, 4]  # <, pad, >
    assert reader.observation("x x é 我 DON'T i").tolist() == [8, 9, 7, 5]
    assert reader.observation(b"\xc3\xa9 \xc3 \xe6\x88\x91").tolist() == [8, 4, 9, 3]
    assert reader.observation("i").dtype == np.int32
    for tokens in ([3, 3, 3, 3], [4, 5, 8, 3], [6, 4, 4, 7]):
        assert reader.observation(reader.text(np.array(tokens))).tolist() == tokens
    assert reader.observations(["i", "é"]).tolist() == [[5, 3, 3, 3], [8, 3, 3, 3]]


def test_a_vocabulary_without_the_unknown_refuses_it():
    spaces = Spaces((3,), "int32", 2, categories=3, padding=0)
    reader = tokenizer.Tokenizer(tokenizer.SPACED, ["<pad>", "a", "b"], spaces)
    assert reader.observation("b a").tolist() == [2, 1, 0]
    for text in ("b c", "<pad>"):
        with pytest.raises(UserError, match=r"is no token: the vocabulary does not have it\.$"):
            reader.observation(text)


@pytest.mark.parametrize(
    ("env", "arguments", "kind"),
    [
        ("dqn_tf/Helpdesk-v0", {}, "words"),
        ("dqn_tf/Helpdesk-v0", {"language": "zh"}, "characters"),
        ("dqn_tf/GraphWalk-v0", {}, "spaced"),
        ("dqn_tf/Rewrite-v0", {}, "spaced"),
    ],
)
def test_an_environment_says_how_its_texts_become_tokens(env, arguments, kind):
    config = presets.configure(env, {"env_kwargs": arguments})
    reader = registry.find_tokenizer(config)
    assert reader.kind == kind and registry.names(config)["tokenizer"] == kind
    made = gym.make(env, **arguments)
    for seed in range(20):
        observation, info = made.reset(seed=seed)
        text = info.get("text") or reader.text(observation)
        assert reader.observation(text).tolist() == observation.tolist()


def test_choices_stand_behind_the_text_as_the_environment_puts_them():
    config = presets.configure("dqn_tf/Helpdesk-v0", {"choices": "texts", "max_choices": 14})
    reader = registry.find_tokenizer(config)
    made = registry.make_env(config)
    for seed in range(5):
        observation, info = made.reset(seed=seed)
        read = reader.observation(info["text"], info["choices"])
        np.testing.assert_array_equal(read, observation)
        again = reader.observation(reader.text(read), reader.choice_texts(read))
        np.testing.assert_array_equal(again, observation)
        assert reader.reads(info["text"], observation, info["choices"])
        assert not reader.reads(info["text"], observation, info["choices"][:-1])
    with pytest.raises(UserError, match="15 choices are more than the 14 that there is room for"):
        reader.observation("", [""] * 15)


class Reversed(gym.ObservationWrapper):
    def observation(self, observation):
        return observation[::-1]


class Shouting(Helpdesk):
    """Observes other tokens than those of the text that it tells."""

    def encode(self, text):
        return [len(self.tokens) - 1, *super().encode(text)]


def test_an_environment_that_reads_otherwise_than_it_says_has_none():
    gym.register("Shouting-v0", Shouting)
    config = presets.configure("Shouting-v0", {})
    assert registry.find_tokenizer(config) is None
    assert "tokenizer" not in registry.names(config) and registry.names(config)["tokens"]


def test_who_cannot_be_sure_has_none():
    """Not with a wrapper between that changes what is observed, and not with odd names."""
    env = gym.make("dqn_tf/GraphWalk-v0")
    assert tokenizer_of(env) == "spaced" and tokenizer_of(Reversed(env)) is None
    names = {"tokens": NAMES, "tokenizer": "words"}
    assert tokenizer.of_names(names, SPACES)
    for other in (
        {"tokens": [*NAMES[:-1], "two words"]},
        {"tokens": [*NAMES[:-1], "Capital"]},
        {"tokens": NAMES[:-1]},
        {"tokens": None},
        {"tokenizer": "bytes"},
    ):
        assert tokenizer.of_names(names | other, SPACES) is None
    numbers = Spaces((4,), "float32", 2)
    assert tokenizer.of_names(names, numbers) is None
    without_padding = Spaces((4,), "int32", 2, categories=len(NAMES))
    assert tokenizer.of_names(names, without_padding) is None
