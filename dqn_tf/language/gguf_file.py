"""A GGUF file: shape, weights, often of 4 or 8 bits, and the vocabulary in one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.language import llama
from dqn_tf.language.byte_pairs import BytePairs, of_merges
from dqn_tf.language.claims import UNREAD, Claims
from dqn_tf.language.packages import import_extra, refuse
from dqn_tf.support.errors import describe_error, describe_value

FAMILY = "llama"
BYTE_PAIRS = "gpt2"  # what GGUF calls byte pairs
NORMAL = 1  # the kind of a token that texts are made of
# Hugging Face's names of weights, and GGUF's
WHOLE = {
    llama.EMBEDDING: "token_embd.weight",
    llama.LAST_NORM: "output_norm.weight",
    llama.OUTPUT: "output.weight",
}
IN_BLOCK = {
    "input_layernorm.weight": "attn_norm.weight",
    llama.QUERY: "attn_q.weight",
    llama.KEY: "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}

THEIRS = {ours: theirs for theirs, ours in WHOLE.items()}
THEIRS_IN_BLOCK = {ours: theirs for theirs, ours in IN_BLOCK.items()}
BLOCK = re.compile(r"blk\.(0|[1-9][0-9]*)\.(.+)")
TOKENS, TOKEN_KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
DIVISORS = "rope_freqs.weight"  # of the rotary positions' frequencies
NATIVE = "I"  # how the package gguf calls the byte order of this machine
# What the metadata of the family say of the numbers, and is read.
HEADS, WIDTH = "llama.attention.head_count", "llama.embedding_length"
KEY_HEADS, HEAD_WIDTH = "llama.attention.head_count_kv", "llama.attention.key_length"
LAYERS, HIDDEN = "llama.block_count", "llama.feed_forward_length"
VOCABULARY, BASE = "llama.vocab_size", "llama.rope.freq_base"
EPSILON = "llama.attention.layer_norm_rms_epsilon"
# These must be as wide as the keys of a head.
AS_WIDE = ("llama.attention.value_length", "llama.rope.dimension_count")
# What does not change a number.
SILENT = (
    "llama.context_length",
    "llama.tensor_data_layout",
    "llama.rope.scaling.original_context_length",
    "llama.rope.scaling.finetuned",
)
# What this family may be, and the blocks here are not.
PLAIN: dict[str, tuple[Any, ...]] = {
    "llama.rope.scaling.type": ("none",),
    "llama.rope.scaling.factor": (1.0, 0.0),
    "llama.rope.scaling.attn_factor": (1.0,),
    "llama.rope.scale_linear": (1.0,),
    "llama.attention.sliding_window": (0,),
    "llama.attention.causal": (True,),
    "llama.expert_count": (0,),
    "llama.expert_used_count": (0,),
}
KNOWN = {
    *(HEADS, WIDTH, KEY_HEADS, HEAD_WIDTH, LAYERS, HIDDEN, VOCABULARY, BASE, EPSILON),
    *AS_WIDE,
    *SILENT,
    *PLAIN,
}


class GgufFile:
    """One file. Raises UserError if it is not what it says."""

    def __init__(self, model: str, path: Path) -> None:
        self.model = model
        self.path = path
        self._gguf = import_extra("gguf", model)
        try:
            self._reader = self._gguf.GGUFReader(path)
        except Exception as error:
            raise refuse(
                model,
                f"it is no whole GGUF file ({describe_error(error)}). Download it again.",
            ) from error
        if self._reader.byte_order != NATIVE:
            raise refuse(
                model, "its numbers are in the byte order of another kind of machine, not of this."
            )
        self._tensors = {hugging_face_name(str(t.name)): t for t in self._reader.tensors}
        self._claims = Claims(model, "it", self._contents)
        self.shape = self._shape()
        self.weights = {
            name: self._described(tensor)
            for name, tensor in self._tensors.items()
            if name != DIVISORS
        }

    def tokenizer(self) -> BytePairs:
        """Return the tokenizer. Raises UserError."""
        claims = self._claims
        kind = claims.value("tokenizer.ggml.model")
        if kind != BYTE_PAIRS:
            raise refuse(
                self.model,
                f"its tokenizer is of the kind {describe_value(kind)}, and only byte pairs"
                f" ({BYTE_PAIRS!r}) are read from GGUF files.",
            )
        names = claims.texts(TOKENS)
        kinds = claims.value(TOKEN_KINDS, [NORMAL] * len(names))
        if not isinstance(kinds, list) or len(kinds) != len(names):
            raise claims.wrong(TOKEN_KINDS, f"it must be a list of {len(names):,} numbers")
        special = [name for name, kind in zip(names, kinds, strict=True) if kind != NORMAL]
        return of_merges(
            self.model,
            claims.value("tokenizer.ggml.pre", "default"),
            names,
            claims.texts("tokenizer.ggml.merges"),
            special,
        )

    def files(self) -> list[Path]:
        """Return all files that make the model what it is."""
        return [self.path]

    def array(self, name: str) -> np.ndarray:
        """Return one of the `weights` as float32. Raises what reading raises."""
        array = self._numbers(name)
        if name.endswith(llama.QUERY):
            return unpermuted(array, self.shape.heads)
        if name.endswith(llama.KEY):
            return unpermuted(array, self.shape.key_value_heads)
        return array

    def _numbers(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        array = self._gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        return np.array(array, np.float32)  # of its own, not the file's memory

    def _described(self, tensor: Any) -> llama.StoredWeight:
        shape = tuple(int(size) for size in reversed(tensor.shape))
        kind = tensor.tensor_type
        return llama.StoredWeight(self.path.name, shape, kind.name, self._is_read(kind))

    def _is_read(self, kind: Any) -> bool:
        """Return whether the package gguf makes numbers of a kind of blocks, by one of zeros."""
        block = np.zeros((1, self._gguf.GGML_QUANT_SIZES[kind][1]), np.uint8)
        try:
            self._gguf.quants.dequantize(block, kind)
        except Exception:
            return False
        return True

    def _shape(self) -> llama.LlamaShape:
        claims = self._claims
        if claims.value("general.architecture") != FAMILY:
            raise claims.wrong(
                "general.architecture",
                f"only models of the family {FAMILY!r} are read, such as SmolLM2 and Llama",
            )
        for name in self._reader.fields:
            if name.startswith(f"{FAMILY}.") and name not in KNOWN:
                raise claims.wrong(name, UNREAD)
        claims.require_plain(PLAIN)
        heads = claims.part(HEADS, WIDTH)
        width = claims.count(WIDTH)
        head_width = claims.count(HEAD_WIDTH, width // heads)
        for name in AS_WIDE:
            if claims.count(name, head_width) != head_width:
                raise claims.wrong(name, f"only {head_width}, the width of a head, is read")
        return llama.LlamaShape(
            vocabulary=claims.count(VOCABULARY, len(claims.texts(TOKENS))),
            width=width,
            layers=claims.count(LAYERS),
            heads=heads,
            key_value_heads=claims.count(KEY_HEADS, heads),
            head_width=head_width,
            hidden=claims.count(HIDDEN),
            rotary_base=claims.real(BASE, llama.ROTARY_BASE),
            epsilon=float(np.float32(claims.real(EPSILON))),
            is_tied=llama.OUTPUT not in self._tensors,
            rotary_divisors=self._divisors(head_width),
        )

    def _divisors(self, head_width: int) -> tuple[float, ...]:
        """Return what the rotary frequencies are divided by. Raises UserError."""
        if DIVISORS not in self._tensors:
            return ()
        weight = self._described(self._tensors[DIVISORS])
        divisors = self._numbers(DIVISORS) if weight.is_read else np.zeros(0)
        is_sound = np.isfinite(divisors).all() and (divisors > 0.0).all()
        if divisors.shape != (head_width // 2,) or not is_sound:
            raise refuse(
                self.model, f"its {DIVISORS} must hold {head_width // 2} finite numbers above 0."
            )
        return tuple(divisors.tolist())

    def _contents(self, name: str) -> Any:
        """Return what the metadata say by a name; None for nothing. Raises UserError."""
        field = self._reader.fields.get(name)
        try:
            return None if field is None else field.contents()
        except Exception as error:
            raise refuse(
                self.model, f"its {name} cannot be read ({describe_error(error)})."
            ) from error


def hugging_face_name(name: str) -> str:
    """Return Hugging Face's name of a weight; GGUF's own of one that the family does not have."""
    match = BLOCK.fullmatch(name)
    if match is not None and match[2] in THEIRS_IN_BLOCK:
        return f"model.layers.{match[1]}.{THEIRS_IN_BLOCK[match[2]]}"
    return THEIRS.get(name, name)


def unpermuted(array: np.ndarray, heads: int) -> np.ndarray:
    """Return the rows of queries or keys [out, in] in Hugging Face's order.

    A pair that a rotary position turns lies side by side in GGUF; here it is a number of a head's
    first half and the one at its place in the second. Without this the model still answers, and
    worse.
    """
    out, width = array.shape
    pairs = array.reshape(heads, out // heads // 2, 2, width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(out, width)
