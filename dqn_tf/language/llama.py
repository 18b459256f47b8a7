"""The shape of a language model of the Llama family, and the weights that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

EMBEDDING = "model.embed_tokens.weight"
LAST_NORM = "model.norm.weight"
OUTPUT = "lm_head.weight"
QUERY, KEY = "self_attn.q_proj.weight", "self_attn.k_proj.weight"
# What earlier versions of Hugging Face's layout kept, and nobody reads: it follows from the config.
FREQUENCIES = ".rotary_emb.inv_freq"
IN_BLOCK = re.compile(r"model\.layers\.(0|[1-9][0-9]{0,9})\.(.+)")
ROTARY_BASE = 10_000.0  # where nothing else is said


class LlamaShape(NamedTuple):
    """The sizes of a stream of causal blocks (Touvron et al. 2023).

    Attributes:
      vocabulary: number of tokens.
      width: numbers of the stream at each token.
      layers: number of blocks.
      heads: heads of queries.
      key_value_heads: heads of keys and of values; as many heads of queries share each.
      head_width: numbers of a head.
      hidden: width inside the gated MLP.
      rotary_base: base of the rotary positions' frequencies.
      epsilon: what RMS norms add to the mean square.
      is_tied: whether the embedding is the output's weight, too.
      rotary_divisors: what the frequencies are divided by, [head_width / 2]; empty for nothing.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    hidden: int
    rotary_base: float
    epsilon: float
    is_tied: bool = True
    rotary_divisors: tuple[float, ...] = ()


class StoredWeight(NamedTuple):
    """A weight as a file's head describes it.

    Attributes:
      file: the name of the file that it is in.
      shape: its shape [out, in].
      kind: how its numbers are stored, such as F16.
      is_read: whether numbers of this kind are read.
    """

    file: str
    shape: tuple[int, ...]
    kind: str
    is_read: bool


def frequencies(base: float, head_width: int, divisors: tuple[float, ...] = ()) -> np.ndarray:
    """Return the frequencies of the rotary positions, [head_width / 2] float64."""
    frequency = base ** (-np.arange(0, head_width, 2) / head_width)
    return frequency / np.array(divisors) if divisors else frequency


def block_weights(shape: LlamaShape) -> dict[str, tuple[int, ...]]:
    """Return the weights of a block by Hugging Face's names, with their shapes [out, in]."""
    width, hidden = shape.width, shape.hidden
    inner, shared = shape.heads * shape.head_width, shape.key_value_heads * shape.head_width
    return {
        "input_layernorm.weight": (width,),
        QUERY: (inner, width),
        KEY: (shared, width),
        "self_attn.v_proj.weight": (shared, width),
        "self_attn.o_proj.weight": (width, inner),
        "post_attention_layernorm.weight": (width,),
        "mlp.gate_proj.weight": (hidden, width),
        "mlp.up_proj.weight": (hidden, width),
        "mlp.down_proj.weight": (width, hidden),
    }


def in_block(number: int, name: str) -> str:
    """Return the whole name of a block's weight."""
    return f"model.layers.{number}.{name}"


def names(shape: LlamaShape) -> Iterator[str]:
    """Yield Hugging Face's names of all weights.

    There may be as many as a damaged file says: whoever asks stops at the first that is missing.
    """
    yield EMBEDDING
    of_block = list(block_weights(shape))
    for number in range(shape.layers):
        for name in of_block:
            yield in_block(number, name)
    yield LAST_NORM
    if not shape.is_tied:
        yield OUTPUT


def size_of(shape: LlamaShape, name: str) -> tuple[int, ...] | None:
    """Return the shape of the weight of this name; None if the model has no such weight."""
    match = IN_BLOCK.fullmatch(name)
    if match is not None:
        return block_weights(shape).get(match[2]) if int(match[1]) < shape.layers else None
    table = (shape.vocabulary, shape.width)
    whole = {EMBEDDING: table, LAST_NORM: (shape.width,)}
    return (whole if shape.is_tied else whole | {OUTPUT: table}).get(name)
