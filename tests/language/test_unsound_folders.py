"""What is said of folders in Hugging Face's layout that are not what they say.

All of it is told by config.json, tokenizer.json and the heads of the weights' files, before a
network is built.
"""

import json
import shutil
import struct

import numpy as np
import pytest

from dqn_tf.language.model_files import ModelFiles
from dqn_tf.support.errors import UserError
from tiny_language_model import LLAMA3, TinyShape, write_hugging_face

for package in ("safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")

QUERY = "model.layers.1.self_attn.q_proj.weight"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SECOND = "model-2.safetensors"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model in one file of weights, and in three."""
    base = tmp_path_factory.mktemp("model")
    write_hugging_face(base / "one")
    write_hugging_face(base / "parts", parts=3)
    return base


def config(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def scaling(**changes):
    return config(rope_scaling=LLAMA3 | changes)


def index(**changes):
    def change(folder):
        path = folder / INDEX
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"weight_map": content["weight_map"] | changes}))

    return change


def weights(change):
    """Rewrite the weights by a function of their dict."""

    def rewrite(folder):
        from safetensors.numpy import load_file, save_file

        arrays = load_file(folder / WEIGHTS)
        save_file(arrays | change(arrays), folder / WEIGHTS)

    return rewrite


def stored_as(kind, bits):
    """Store the query's numbers in another kind, as a file says it."""

    def rewrite(folder):
        from safetensors.numpy import load_file

        head, content = {}, b""
        for name, array in load_file(folder / WEIGHTS).items():
            is_changed = name == QUERY
            raw = bytes(array.size * bits // 8) if is_changed else array.tobytes()
            head[name] = {
                "dtype": kind if is_changed else "F32",
                "shape": list(array.shape),
                "data_offsets": [len(content), len(content) + len(raw)],
            }
            content += raw
        text = json.dumps(head).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + content)

    return rewrite


def tokens(make):
    """Write a tokenizer with a model of `tokenizers.models`."""

    def rewrite(folder):
        import tokenizers

        made = tokenizers.Tokenizer(make(tokenizers.models))
        made.save(str(folder / "tokenizer.json"))

    return rewrite


def cut(name, to):
    def change(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:to])

    return change


WORDS = ["a", "0", *(f"w{number}" for number in range(338))]
NUMBERS = {word: number for number, word in enumerate(WORDS)}

FAULTS = {
    # config.json
    "family": (config(model_type="gpt2"), "model_type='gpt2', and only models of the family"),
    "no family": (config(model_type=None), r"config\.json does not say model_type"),
    "number": (config(hidden_size="16"), "hidden_size='16'"),
    "true": (config(hidden_size=True), "hidden_size=True"),
    "many layers": (config(num_hidden_layers=10**9), "num_hidden_layers=1000000000"),
    "too many layers": (config(num_hidden_layers=3_000_000), r"no weight model\.layers\.2\."),
    "heads": (config(num_key_value_heads=3), "4 heads of queries and 3"),
    "odd heads": (config(head_dim=5), "5 numbers each"),
    "more heads than numbers": (
        config(num_attention_heads=17),
        "num_attention_heads=17, and it must be at most hidden_size, 16",
    ),
    "epsilon of 400 digits": (config(rms_norm_eps=10**400), "rms_norm_eps=1000.*finite number"),
    "epsilon": (config(rms_norm_eps="small"), "rms_norm_eps='small'"),
    "no epsilon at all": (config(rms_norm_eps=1e-60), "rms_norm_eps=1e-60"),
    "tied": (config(tie_word_embeddings="false"), "tie_word_embeddings='false'.*true or false"),
    "activation": (config(hidden_act="gelu"), "hidden_act='gelu', and only 'silu' is read"),
    "said biases": (config(attention_bias=True), "attention_bias=True"),
    "said quantised": (
        config(quantization_config={"quant_method": "fp8"}),
        "quantization_config=.*'fp8'.* models with it are not read",
    ),
    "said compressed": (config(compression_config={}), "compression_config={}"),
    # rotary positions
    "base": (config(rope_theta=float("inf")), "rope_theta=inf"),
    "no base": (config(rope_theta=0), "rope_theta=0"),
    "base within": (config(rope_parameters={"rope_theta": -1.0}), "rope_theta=-1.0"),
    "linear": (config(rope_parameters={"rope_type": "linear"}), "rope_type='linear'"),
    "linear, earlier": (config(rope_scaling={"type": "linear", "factor": 4.0}), "type='linear'"),
    "linear, mixed": (config(rope_parameters={"type": "linear"}), "type='linear', and only"),
    "two kinds": (scaling(type="default"), "type='default', and rope_type is 'llama3'"),
    "no kind": (config(rope_scaling={"factor": 4.0}), "rope_scaling, says factor=4.0"),
    "a list for a kind": (config(rope_scaling={"type": ["llama3"]}), r"type=\['llama3'\]"),
    "no object": (config(rope_scaling="llama3"), "rope_scaling='llama3', and it must be an object"),
    "part": (config(partial_rotary_factor=0.5), "partial_rotary_factor=0.5, and only 1.0"),
    "part within": (
        config(rope_parameters={"partial_rotary_factor": 0.5}),
        "rope_parameters, says partial_rotary_factor=0.5",
    ),
    "unknown scaling": (scaling(attention_factor=2.0), "attention_factor=2.0"),
    "no factor": (scaling(factor=None), "rope_scaling, does not say factor"),
    "factor": (scaling(factor="8"), "factor='8'"),
    "no length": (scaling(original_max_position_embeddings=0), "position_embeddings=0"),
    "low above high": (scaling(low_freq_factor=4.0), "high_freq_factor=4.0.*above low_freq_f"),
    "two scalings": (
        config(rope_scaling=LLAMA3, rope_parameters={"rope_type": "default"}),
        "rope_parameters and rope_scaling, and they differ",
    ),
    # files
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "no json": (lambda f: (f / "config.json").write_text("{"), "config.json is no JSON"),
    "truncated": (cut(WEIGHTS, -9), "model.safetensors is no whole safetensors file"),
    "empty": (cut(WEIGHTS, 0), "no whole safetensors file"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no model.safetensors"),
    "pickle": (
        lambda f: (f / WEIGHTS).rename(f / "pytorch_model.bin"),
        "is a pickle, which is not read",
    ),
    # weights
    "missing": (config(num_hidden_layers=3), r"no weight model\.layers\.2\."),
    "one too many": (config(num_hidden_layers=1), r"has a weight model\.layers\.1\."),
    "untied": (config(tie_word_embeddings=False), r"no weight lm_head\.weight"),
    "wrong size": (config(intermediate_size=32), r"is \[24, 16\], and"),
    "wrong vocabulary": (config(vocab_size=700), r"is \[340, 16\], and"),
    "bias": (
        weights(lambda arrays: {QUERY.replace("weight", "bias"): np.ones(16, np.float32)}),
        r"has a weight model\.layers\.1\.self_attn\.q_proj\.bias, which such a model",
    ),
    "scale": (
        weights(lambda arrays: {f"{QUERY}_scale": np.ones((16, 1), np.float32)}),
        r"has a weight model\.layers\.1\.self_attn\.q_proj\.weight_scale",
    ),
    "whole numbers": (
        weights(lambda arrays: {QUERY: arrays[QUERY].astype(np.int8)}),
        r"q_proj\.weight is stored as I8, which is not read\. Give",
    ),
    "8 bits": (stored_as("F8_E4M3", 8), "is stored as F8_E4M3, which"),
    "other 8 bits": (stored_as("F8_E5M2", 8), "is stored as F8_E5M2, which"),
    "complex": (stored_as("C64", 64), "is stored as C64, which"),
    "6 bits": (stored_as("F6_E2M3", 6), r"F6_E2M3"),
    # tokenizer.json
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    "bad tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "cannot be read"),
    "other tokenizer": (tokens(lambda m: m.WordLevel({"a": 0}, "a")), "of two models"),
    "words": (tokens(lambda m: m.WordLevel(NUMBERS)), r"\(WordLevel\) has no tokens of its own"),
    "words, unknown": (tokens(lambda m: m.WordLevel(NUMBERS, "w0")), "those of"),
    "pieces": (tokens(lambda m: m.WordPiece(NUMBERS)), r"\(WordPiece\) has no tokens"),
    "unigram": (tokens(lambda m: m.Unigram([(w, -1.0) for w in WORDS])), r"\(Unigram\) has no"),
    "some characters": (tokens(lambda m: m.BPE(NUMBERS, [])), r"\(BPE\) .*'\\xe9', but nothing"),
}
FAULTS_OF_PARTS = {
    "truncated": (cut(SECOND, -1), f"{SECOND} is no whole safetensors file"),
    "no part": (lambda f: (f / SECOND).unlink(), f"names {SECOND}, and there is no such file"),
    "elsewhere": (index(**{QUERY: "model-1.safetensors"}), "q_proj.weight is in model-1.*not"),
    "not there": (index(**{"model.other": SECOND}), f"model.other is in {SECOND}, and it is not"),
    "outside": (index(**{QUERY: "../one/model.safetensors"}), r"names \.\./one"),
    "no map": (lambda f: (f / INDEX).write_text("{}"), "has no weight_map"),
    "no names": (index(**{QUERY: 3}), "has no weight_map, from weights to files"),
}
ALL_FAULTS = [("one", name) for name in FAULTS] + [("parts", name) for name in FAULTS_OF_PARTS]


@pytest.mark.parametrize(("layout", "fault"), ALL_FAULTS)
def test_it_is_a_sentence(folders, tmp_path, layout, fault):
    change, sentence = (FAULTS if layout == "one" else FAULTS_OF_PARTS)[fault]
    copied = shutil.copytree(folders / layout, tmp_path / "copy")
    change(copied)
    with pytest.raises(UserError, match=sentence) as raised:
        files = ModelFiles(str(copied))
        files.require_weights(files.shape.layers)
        _ = files.tokenizer
    assert str(raised.value).startswith(f"--language_model={copied}: ")
    assert str(raised.value).isascii() and len(str(raised.value)) < 700


def test_layers_that_nobody_asks_for_cost_nothing(folders, tmp_path):
    copied = shutil.copytree(folders / "one", tmp_path / "copy")
    config(num_hidden_layers=16_000_000)(copied)
    files = ModelFiles(str(copied))
    files.require_weights(1)
    assert len(list(files.names(1))) == 10
    assert files.array(QUERY).shape == (16, 16)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_a_sentence(folders, tmp_path, number):
    copied = shutil.copytree(folders / "one", tmp_path / "copy")
    weights(lambda arrays: {QUERY: np.full((16, 16), number, np.float32)})(copied)
    with pytest.raises(UserError, match=rf"its weight {QUERY} holds numbers that are not finite"):
        ModelFiles(str(copied)).array(QUERY)


SAME_SCALING = {
    "earlier spelling": {"rope_scaling": {**LLAMA3, "type": "llama3"}},
    "earliest": {"rope_scaling": {"type": "llama3", **LLAMA3, "rope_type": None}},
    "now": {"rope_parameters": {"rope_theta": 1_000.0, **LLAMA3}, "rope_theta": None},
    "both": {"rope_parameters": {"rope_theta": 1_000.0, **LLAMA3}},
}


@pytest.mark.parametrize("spelling", SAME_SCALING)
def test_all_spellings_of_a_scaling_are_the_same(tmp_path, spelling):
    shape = TinyShape(head_dim=8, rope_scaling=LLAMA3)
    write_hugging_face(tmp_path, shape)
    expected = ModelFiles(str(tmp_path)).shape
    assert expected.rotary_divisors[0] == 1.0 and expected.rotary_divisors[-1] == 8.0
    if spelling != "both":
        config(rope_scaling=None)(tmp_path)
    config(**SAME_SCALING[spelling])(tmp_path)
    assert ModelFiles(str(tmp_path)).shape == expected


@pytest.mark.parametrize("name", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("value", [None, {}, {"rope_type": "default"}, {"type": "default"}])
def test_without_scaling_nothing_is_divided(folders, tmp_path, name, value):
    copied = shutil.copytree(folders / "one", tmp_path / "copy")
    config(**{name: value})(copied)
    assert ModelFiles(str(copied)).shape.rotary_divisors == ()
