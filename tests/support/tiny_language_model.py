"""A random model of the Llama family, small enough for a test, in both layouts of files.

`logits` computes what such a model says from its weights alone, in float64 and loops over heads: it
shares nothing with dqn_tf.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SENTENCES = (
    "The parcel has not come.",
    "My card was charged twice, and I want the money back!",
    "Is the line down or is your login refused?",
    "We are sorry to hear that: 12 of 345 letters were lost.",
    "Where is the parcel that I paid for with the card?",
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# as Llama 3.1's config has it, with numbers for a tiny model
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 0.5,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


class TinyShape(NamedTuple):
    """Sizes as Hugging Face names them."""

    hidden_size: int = 16
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    intermediate_size: int = 24
    head_dim: int = 4
    rope_theta: float = 1_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True
    rope_scaling: dict[str, Any] | None = None  # Llama 3.1's, or none


TINY = TinyShape()


def tokenizer() -> Any:
    """A `tokenizers.Tokenizer` with merges learned from the sentences, as SmolLM2 cuts texts."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=340,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return made


def arrays(shape: TinyShape, vocabulary: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights by Hugging Face's names, of a scale at which every part matters."""
    generator = np.random.default_rng(seed)
    width, hidden, head = shape.hidden_size, shape.intermediate_size, shape.head_dim
    inner, shared = shape.num_attention_heads * head, shape.num_key_value_heads * head

    def dense(out: int, into: int) -> np.ndarray:
        return (generator.standard_normal((out, into)) * 1.5 / into**0.5).astype(np.float32)

    def norm() -> np.ndarray:
        return generator.uniform(0.5, 1.5, width).astype(np.float32)

    made = {"model.embed_tokens.weight": dense(vocabulary, width)}
    for number in range(shape.num_hidden_layers):
        made |= {
            f"model.layers.{number}.{name}": array
            for name, array in {
                "input_layernorm.weight": norm(),
                "self_attn.q_proj.weight": dense(inner, width),
                "self_attn.k_proj.weight": dense(shared, width),
                "self_attn.v_proj.weight": dense(shared, width),
                "self_attn.o_proj.weight": dense(width, inner),
                "post_attention_layernorm.weight": norm(),
                "mlp.gate_proj.weight": dense(hidden, width),
                "mlp.up_proj.weight": dense(hidden, width),
                "mlp.down_proj.weight": dense(width, hidden),
            }.items()
        }
    made["model.norm.weight"] = norm()
    if not shape.tie_word_embeddings:
        made["lm_head.weight"] = dense(vocabulary, width)
    return made


def write_hugging_face(
    folder: Path,
    shape: TinyShape = TINY,
    weights: dict[str, np.ndarray] | None = None,
    parts: int = 1,
) -> dict[str, np.ndarray]:
    """Write config.json, model.safetensors (or so many parts with an index), tokenizer.json."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    texts = tokenizer()
    texts.save(str(folder / "tokenizer.json"))
    weights = weights or arrays(shape, texts.get_vocab_size())
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": texts.get_vocab_size(),
        "hidden_act": "silu",
        "max_position_embeddings": 128,
        **shape._asdict(),
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if parts == 1:
        save_file(weights, str(folder / "model.safetensors"))
        return weights
    names = sorted(weights)
    files = {name: f"model-{place % parts + 1}.safetensors" for place, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in names if files[name] == file}, folder / file)
    index = json.dumps({"metadata": {}, "weight_map": files})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    return weights


def write_gguf(
    path: Path,
    shape: TinyShape = TINY,
    kind: str = "F32",
    architecture: str = "llama",
    change: Callable[[Any], None] = lambda writer: None,
    big_endian: bool = False,
) -> dict[str, np.ndarray]:
    """Write the same model as one file; return the weights as `kind` keeps them.

    `change` is what is done with the writer before the file is written.
    """
    import gguf

    texts = tokenizer()
    weights = arrays(shape, texts.get_vocab_size())
    order = gguf.GGUFEndian.BIG if big_endian else gguf.GGUFEndian.LITTLE
    writer = gguf.GGUFWriter(str(path), architecture, endianess=order)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    content = json.loads(texts.to_str())["model"]
    names = sorted(content["vocab"], key=content["vocab"].get)
    writer.add_token_list(names)
    writer.add_token_types([3 if name in SPECIAL else 1 for name in names])
    writer.add_token_merges([" ".join(pair) for pair in content["merges"]])
    kept = {}
    for name, array in weights.items():
        if array.ndim == 1:
            writer.add_tensor(_gguf_name(name), array)
            kept[name] = array
            continue
        number_type = gguf.GGMLQuantizationType[kind]
        stored = gguf.quants.quantize(_turned(name, array, shape), number_type)
        raw = None if stored.dtype in (np.float16, np.float32) else number_type
        writer.add_tensor(_gguf_name(name), stored, raw_dtype=raw)
        read = gguf.quants.dequantize(stored, number_type)
        kept[name] = _turned(name, np.asarray(read, np.float32), shape, back=True)
    if shape.rope_scaling:
        speeds = rotary_speeds(shape._replace(rope_scaling=None)) / rotary_speeds(shape)
        writer.add_tensor("rope_freqs.weight", speeds.astype(np.float32))
    change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kept


def logits(
    weights: dict[str, np.ndarray], shape: TinyShape, tokens: list[int]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits [T, vocabulary], and the stream [T, width] before the first and after each block."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    stream = weights["model.embed_tokens.weight"][tokens]
    states = [stream]
    for number in range(shape.num_hidden_layers):
        own = f"model.layers.{number}."
        block = {n.removeprefix(own): a for n, a in weights.items() if n.startswith(own)}
        normed = _normed(stream, block["input_layernorm.weight"], shape.rms_norm_eps)
        stream = stream + _attention(normed, block, shape)
        normed = _normed(stream, block["post_attention_layernorm.weight"], shape.rms_norm_eps)
        gate = normed @ block["mlp.gate_proj.weight"].T
        up = normed @ block["mlp.up_proj.weight"].T
        stream = stream + (gate / (1 + np.exp(-gate)) * up) @ block["mlp.down_proj.weight"].T
        states.append(stream)
    states[-1] = _normed(stream, weights["model.norm.weight"], shape.rms_norm_eps)
    table = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return states[-1] @ table.T, states


def _attention(inputs: np.ndarray, block: dict[str, np.ndarray], shape: TinyShape) -> np.ndarray:
    steps, width = len(inputs), shape.head_dim
    sharing = shape.num_attention_heads // shape.num_key_value_heads
    queries = inputs @ block["self_attn.q_proj.weight"].T
    keys = inputs @ block["self_attn.k_proj.weight"].T
    values = inputs @ block["self_attn.v_proj.weight"].T
    read = np.zeros((steps, shape.num_attention_heads * width))
    for head in range(shape.num_attention_heads):
        group = head // sharing
        for step in range(steps):
            query = _rotated(queries[step, head * width :][:width], step, shape)
            scores = np.array(
                [
                    query @ _rotated(keys[s, group * width :][:width], s, shape) / width**0.5
                    for s in range(step + 1)
                ]
            )
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            seen = values[: step + 1, group * width : (group + 1) * width]
            read[step, head * width : (head + 1) * width] = shares @ seen
    return read @ block["self_attn.o_proj.weight"].T


def _rotated(vector: np.ndarray, position: int, shape: TinyShape) -> np.ndarray:
    """Multiply a pair of numbers, as one complex number, by its position's turn."""
    half = shape.head_dim // 2
    turns = np.exp(1j * position * rotary_speeds(shape))
    turned = (vector[:half] + 1j * vector[half:]) * turns
    return np.concatenate([turned.real, turned.imag])


def rotary_speeds(shape: TinyShape) -> np.ndarray:
    """Angles from one position to the next, one a pair, as Llama 3.1's own code computes them."""
    half = shape.head_dim // 2
    speeds = [shape.rope_theta ** (-2.0 * pair / shape.head_dim) for pair in range(half)]
    scaling = shape.rope_scaling
    if scaling is None:
        return np.array(speeds)
    factor, length = scaling["factor"], scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    scaled = []
    for speed in speeds:
        wave = 2 * np.pi / speed
        if wave < length / high:
            scaled.append(speed)
        elif wave > length / low:
            scaled.append(speed / factor)
        else:
            smooth = (length / wave - low) / (high - low)
            scaled.append((1 - smooth) * speed / factor + smooth * speed)
    return np.array(scaled)


def _normed(stream: np.ndarray, scale: np.ndarray, epsilon: float) -> np.ndarray:
    return stream / np.sqrt((stream**2).mean(axis=1, keepdims=True) + epsilon) * scale


def _turned(name: str, array: np.ndarray, shape: TinyShape, back: bool = False) -> np.ndarray:
    """Put the rows of queries and keys in GGUF's order: row by row, pairs side by side."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return array
    half = shape.head_dim // 2
    order = [
        start + place + part * half
        for start in range(0, len(array), shape.head_dim)
        for place in range(half)
        for part in (0, 1)
    ]
    return array[np.argsort(order)] if back else array[order]


def _gguf_name(name: str) -> str:
    for theirs, ours in (
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("mlp.", "ffn_"),
        ("_proj", ""),
    ):
        name = name.replace(theirs, ours)
    return name
