"""What is said of GGUF files that are not what they say, or that have what is not read."""

import numpy as np
import pytest

from dqn_tf.language.model_files import ModelFiles
from dqn_tf.support.errors import UserError
from tiny_language_model import LLAMA3, TinyShape, write_gguf

gguf = pytest.importorskip("gguf", reason="the extra `language` is not installed")
pytest.importorskip("tokenizers", reason="the extra `language` is not installed")

KINDS = gguf.GGUFValueType
BASE, EPSILON = "llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon"
TOKENS, TOKEN_TYPE = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
PRE, MERGES = "tokenizer.ggml.pre", "tokenizer.ggml.merges"
ONE, ZERO = np.ones(2, np.float32), np.zeros(2, np.float32)


def said(name, value, kind):
    """Say a value of the metadata, in place of another one."""

    def change(writer):
        for values in writer.kv_data:
            values.pop(name, None)
        writer.kv_data[0][name] = gguf.gguf_writer.GGUFValue(value, kind)

    return change


def real(name, value):
    return said(name, value, KINDS.FLOAT32)


def count(name, value):
    return said(name, value, KINDS.UINT32)


def text(name, value):
    return said(name, value, KINDS.STRING)


def array(name, value):
    return said(name, value, KINDS.ARRAY)


def added(name, numbers):
    return lambda writer: writer.add_tensor(name, numbers)


def without(name):
    def change(writer):
        for values in writer.kv_data:
            values.pop(name, None)

    return change


FAULTS = {
    # what the blocks here do not have
    **{
        f"bias of {name}": (
            added(f"blk.0.attn_{name}.bias", np.ones(size, np.float32)),
            rf"has a weight blk\.0\.attn_{name}\.bias, which such a model does not have",
        )
        for name, size in (("q", 16), ("k", 8), ("v", 8))
    },
    "block too many": (count("llama.block_count", 1), r"has a weight model\.layers\.1\."),
    "experts": (count("llama.expert_count", 8), r"llama\.expert_count=8, and only 0 is read"),
    "window": (count("llama.attention.sliding_window", 4), r"sliding_window=4, and only 0"),
    "scale": (real("llama.rope.scale_linear", 4.0), r"rope\.scale_linear=4\.0, and only 1\.0"),
    "factor": (real("llama.rope.scaling.factor", 4.0), r"rope\.scaling\.factor=4\.0"),
    "kind of scaling": (text("llama.rope.scaling.type", "yarn"), "scaling.type='yarn'"),
    "turned in part": (count("llama.rope.dimension_count", 2), "dimension_count=2, and only 4"),
    "turned in no part": (text("llama.rope.dimension_count", "4"), "dimension_count='4'"),
    "width of values": (count("llama.attention.value_length", 8), "value_length=8, and only 4"),
    "unknown": (real("llama.attention.clamp_kqv", 8.0), "clamp_kqv=8.0, and models with it"),
    "scaled stream": (real("llama.residual_scale", 0.2), "residual_scale=0.2"),
    "few divisors": (added("rope_freqs.weight", ONE[:1]), r"rope_freqs\.weight must hold 2"),
    "no divisors": (added("rope_freqs.weight", ZERO), r"rope_freqs\.weight must hold 2"),
    # numbers that are none
    "no base": (real(BASE, 0.0), r"freq_base=0\.0, and it must be a finite number above 0"),
    "endless base": (real(BASE, np.inf), "freq_base=inf"),
    "base": (text(BASE, "x"), "freq_base='x'"),
    "epsilon": (text(EPSILON, "x"), "rms_epsilon='x'"),
    "epsilon below": (real(EPSILON, -1.0), r"rms_epsilon=-1\.0"),
    "no epsilon": (without(EPSILON), "does not say llama.attention.layer_norm_rms_epsilon"),
    "many layers": (count("llama.block_count", 10**9), "block_count=1000000000"),
    "too many layers": (count("llama.block_count", 3_000_000), r"no weight model\.layers\.2\."),
    "true layers": (said("llama.block_count", True, KINDS.BOOL), "block_count=True"),
    "heads by layer": (array("llama.attention.head_count", [4, 4]), r"head_count=\[4, 4\]"),
    "more heads than numbers": (
        count("llama.attention.head_count", 17),
        "head_count=17, and it must be at most llama.embedding_length, 16",
    ),
    "wrong size": (count("llama.feed_forward_length", 32), r"is \[24, 16\], and by the sizes"),
    # tokens
    "tokens": (count(TOKENS, 5), "tokens=5, and it must be a list of texts"),
    "tokens as numbers": (array(TOKENS, [1, 2]), r"tokens=\[1, 2\], and it must be a list"),
    "no tokens": (without(TOKENS), "does not say tokenizer.ggml.tokens"),
    "merges": (count(MERGES, 5), "merges=5, and it must be a list of texts"),
    "merges that do not fit": (array(MERGES, ["no such"]), "vocabulary and its merges do not fit"),
    "few types": (array(TOKEN_TYPE, [1, 1, 1]), r"token_type=\[1, 1, 1\].*a list of 340 numbers"),
    "one type": (count(TOKEN_TYPE, 1), "token_type=1, and it must be a list of 340"),
    "pre": (array(PRE, [1]), r"of the kind \[1\], and only 'smollm'"),
    "other pre": (text(PRE, "llama-bpe"), "of the kind 'llama-bpe', and only 'smollm'"),
    "other model": (text("tokenizer.ggml.model", "llama"), "of the kind 'llama', and only byte"),
    "no UTF-8": (text(PRE, b"\xff"), "tokenizer.ggml.pre cannot be read"),
}
PLAIN = {
    "no experts": count("llama.expert_count", 0),
    "no window": count("llama.attention.sliding_window", 0),
    "no scale": real("llama.rope.scale_linear", 1.0),
    "no kind": text("llama.rope.scaling.type", "none"),
    "turned whole": count("llama.rope.dimension_count", 4),
    "context": count("llama.context_length", 8),
}


def open_whole(path):
    files = ModelFiles(str(path))
    files.require_weights(files.shape.layers)
    _ = files.tokenizer
    return files


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_a_sentence(tmp_path, fault):
    change, sentence = FAULTS[fault]
    path = tmp_path / "tiny.gguf"
    write_gguf(path, change=change)
    with pytest.raises(UserError, match=sentence) as raised:
        open_whole(path)
    assert str(raised.value).startswith(f"--language_model={path}: ")
    assert str(raised.value).isascii() and len(str(raised.value)) < 700


@pytest.mark.parametrize("name", PLAIN)
def test_what_changes_no_number_may_be_said(tmp_path, name):
    write_gguf(tmp_path / "plain.gguf")
    write_gguf(tmp_path / "tiny.gguf", change=PLAIN[name])
    assert open_whole(tmp_path / "tiny.gguf").shape == open_whole(tmp_path / "plain.gguf").shape


def test_numbers_of_a_kind_that_is_not_read(tmp_path):
    def change(writer):
        (tensors,) = writer.tensors
        tensors["blk.1.ffn_up.weight"].dtype = gguf.GGMLQuantizationType.I32

    write_gguf(tmp_path / "tiny.gguf", change=change)
    with pytest.raises(UserError, match=r"1\.mlp\.up_proj\.weight is stored as I32, which is not"):
        open_whole(tmp_path / "tiny.gguf")


def test_another_byte_order(tmp_path):
    write_gguf(tmp_path / "tiny.gguf", big_endian=True)
    with pytest.raises(UserError, match="byte order of another kind of machine"):
        ModelFiles(str(tmp_path / "tiny.gguf"))


def test_divisors_of_frequencies_are_read(tmp_path):
    write_gguf(tmp_path / "tiny.gguf", TinyShape(head_dim=8, rope_scaling=LLAMA3))
    divisors = open_whole(tmp_path / "tiny.gguf").shape.rotary_divisors
    assert len(divisors) == 4 and divisors[0] == 1.0 and divisors[-1] == 8.0


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.6, 0.999])
def test_a_truncated_file(tmp_path, share):
    path = tmp_path / "short.gguf"
    write_gguf(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="no whole GGUF file"):
        ModelFiles(str(path))


def test_another_family(tmp_path):
    write_gguf(tmp_path / "other.gguf", architecture="bert")
    with pytest.raises(UserError, match=r"general\.architecture='bert'"):
        ModelFiles(str(tmp_path / "other.gguf"))
