"""A GGUF file: shape, weights, often of 4 or 8 bits, and the vocabulary in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.language import llama
from dqn_tf.language.byte_pairs import BytePairs, of_merges
from dqn_tf.language.packages import import_extra, refuse
from dqn_tf.support.errors import describe_error

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
        self._tensors = {str(tensor.name): tensor for tensor in self._reader.tensors}
        self.shape = self._shape()
        names = llama.weights(self.shape)
        self.weight_files = {name: path.name for name in names if gguf_name(name) in self._tensors}

    def tokenizer(self) -> BytePairs:
        """Return the tokenizer."""
        kind = self._value("tokenizer.ggml.model")
        if kind != BYTE_PAIRS:
            raise refuse(
                self.model,
                f"its tokenizer is of the kind {kind!r}, and only byte pairs ({BYTE_PAIRS!r}) are"
                " read from GGUF files.",
            )
        names = self._value("tokenizer.ggml.tokens")
        kinds = self._value("tokenizer.ggml.token_type", [NORMAL] * len(names))
        special = [name for name, kind in zip(names, kinds, strict=True) if kind != NORMAL]
        merges = self._value("tokenizer.ggml.merges")
        return of_merges(
            self.model, self._value("tokenizer.ggml.pre", "default"), names, merges, special
        )

    def files(self) -> list[Path]:
        """Return all files that make the model what it is."""
        return [self.path]

    def array(self, name: str) -> np.ndarray | None:
        """Return a weight as float32; None if there is none of this name."""
        tensor = self._tensors.get(gguf_name(name))
        if tensor is None:
            return None
        try:
            array = self._gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except Exception as error:
            kind = getattr(tensor.tensor_type, "name", tensor.tensor_type)
            raise refuse(
                self.model,
                f"its numbers of the kind {kind} cannot be read: {describe_error(error)}.",
            ) from error
        array = np.array(array, np.float32)  # of its own, not the file's memory
        if name.endswith(llama.QUERY):
            return unpermuted(array, self.shape.heads)
        if name.endswith(llama.KEY):
            return unpermuted(array, self.shape.key_value_heads)
        return array

    def _shape(self) -> llama.LlamaShape:
        family = self._value("general.architecture")
        if family != FAMILY:
            raise refuse(
                self.model,
                f"it says general.architecture={family!r}, and only models of the family"
                f" {FAMILY!r} are read, such as SmolLM2 and Llama.",
            )
        if "rope_freqs.weight" in self._tensors or f"{FAMILY}.rope.scaling.type" in self._fields:
            raise refuse(self.model, "it scales its rotary positions, which is not read.")
        vocabulary = len(self._value("tokenizer.ggml.tokens"))
        heads = self._number("attention.head_count")
        width = self._number("embedding_length")
        return llama.LlamaShape(
            vocabulary=self._number("vocab_size", vocabulary),
            width=width,
            layers=self._number("block_count"),
            heads=heads,
            key_value_heads=self._number("attention.head_count_kv", heads),
            head_width=self._number("attention.key_length", width // heads),
            hidden=self._number("feed_forward_length"),
            rotary_base=float(self._value(f"{FAMILY}.rope.freq_base", 10_000.0)),
            epsilon=float(np.float32(self._value(f"{FAMILY}.attention.layer_norm_rms_epsilon"))),
            is_tied=WHOLE[llama.OUTPUT] not in self._tensors,
        )

    @property
    def _fields(self) -> Any:
        return self._reader.fields

    def _number(self, name: str, default: int | None = None) -> int:
        value = self._value(f"{FAMILY}.{name}", default)
        if not isinstance(value, int) or value < 1:
            raise refuse(
                self.model, f"it says {FAMILY}.{name}={value!r}, and it must be a number above 0."
            )
        return value

    def _value(self, name: str, default: Any = None) -> Any:
        field = self._fields.get(name)
        value = default if field is None else field.contents()
        if value is None:
            raise refuse(self.model, f"it does not say {name}, which a whole model's file does.")
        return value


def gguf_name(name: str) -> str:
    """Return GGUF's name of a weight that Hugging Face gives this name."""
    if name in WHOLE:
        return WHOLE[name]
    number, _, weight = name.removeprefix("model.layers.").partition(".")
    return f"blk.{number}.{IN_BLOCK[weight]}"


def unpermuted(array: np.ndarray, heads: int) -> np.ndarray:
    """Return the rows of queries or keys [out, in] in Hugging Face's order.

    A pair that a rotary position turns lies side by side in GGUF; here it is a number of a head's
    first half and the one at its place in the second. Without this the model still answers, and
    worse.
    """
    out, width = array.shape
    pairs = array.reshape(heads, out // heads // 2, 2, width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(out, width)
