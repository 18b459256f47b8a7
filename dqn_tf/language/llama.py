"""The shape of a language model of the Llama family, and the weights that it has."""

from __future__ import annotations

from typing import NamedTuple

EMBEDDING = "model.embed_tokens.weight"
LAST_NORM = "model.norm.weight"
OUTPUT = "lm_head.weight"
QUERY, KEY = "self_attn.q_proj.weight", "self_attn.k_proj.weight"


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


def weights(shape: LlamaShape) -> dict[str, tuple[int, ...]]:
    """Return all weights by Hugging Face's names, with their shapes."""
    table = (shape.vocabulary, shape.width)
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: table}
    for number in range(shape.layers):
        for name, size in block_weights(shape).items():
            shapes[in_block(number, name)] = size
    shapes[LAST_NORM] = (shape.width,)
    return shapes if shape.is_tied else shapes | {OUTPUT: table}
