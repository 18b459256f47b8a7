"""Hugging Face's layout: config.json, model.safetensors or its parts, tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.language import rotary
from dqn_tf.language.byte_pairs import BytePairs, of_file
from dqn_tf.language.claims import Claims
from dqn_tf.language.llama import LlamaShape, StoredWeight
from dqn_tf.language.packages import import_extra, refuse
from dqn_tf.support.errors import describe_error

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
FAMILY = "llama"
FLOATS = ("F32", "F16", "BF16", "F64")  # the kinds of numbers that are read
# What this family may be, and the blocks here are not.
PLAIN: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "partial_rotary_factor": (1.0,),
    "quantization_config": (),
    "compression_config": (),
}


class HuggingFaceFiles:
    """The files of a folder. Raises UserError where one of them is not what it says."""

    def __init__(self, model: str, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.shape = self._shape(Claims(model, CONFIG, self._json(CONFIG).get))
        self._file_of = self._index()
        self.weights = self._stored()

    def tokenizer(self) -> BytePairs:
        """Return the tokenizer."""
        return of_file(self.model, self.folder / TOKENIZER)

    def files(self) -> list[Path]:
        """Return all files that make the model what it is."""
        names = {CONFIG, TOKENIZER, *self._file_of.values()}
        return [self.folder / name for name in sorted(names)]

    def array(self, name: str) -> np.ndarray:
        """Return one of the `weights` as float32. Raises UserError, and what reading raises."""
        if self.weights[name].kind == "BF16":
            import_extra("ml_dtypes", self.model)  # NumPy has bfloat16 once this is imported
        with self._open(self.weights[name].file) as weights:
            return np.asarray(weights.get_tensor(name)).astype(np.float32)

    def _stored(self) -> dict[str, StoredWeight]:
        """Return all weights as the heads of the files describe them. Raises UserError."""
        stored = {}
        for file in sorted(set(self._file_of.values())):
            with self._open(file) as weights:
                for name in weights.keys():  # noqa: SIM118, it is no dict
                    if self._file_of.get(name, file) == file:
                        stored[name] = self._described(weights, file, name)
        for name, file in self._file_of.items():
            if name not in stored:
                raise refuse(
                    self.model, f"{INDEX} says that the weight {name} is in {file}, and it is not."
                )
        return stored

    def _described(self, weights: Any, file: str, name: str) -> StoredWeight:
        try:
            part = weights.get_slice(name)
            kind, shape = part.get_dtype(), tuple(part.get_shape())
        except Exception as error:
            raise refuse(
                self.model,
                f"its weight {name} in {file} cannot be read ({describe_error(error)}).",
            ) from error
        return StoredWeight(file, shape, kind, kind in FLOATS)

    def _index(self) -> dict[str, str]:
        """Return in which file each weight lies."""
        if (self.folder / INDEX).is_file():
            files = self._json(INDEX).get("weight_map")
            if not isinstance(files, dict) or not all(isinstance(f, str) for f in files.values()):
                raise refuse(self.model, f"{INDEX} has no weight_map, from weights to files.")
            for name in sorted(set(files.values())):
                if Path(name).name != name or not (self.folder / name).is_file():
                    raise refuse(self.model, f"{INDEX} names {name}, and there is no such file.")
            return dict(files)
        if not (self.folder / WEIGHTS).is_file():
            others = sorted(self.folder.glob("*.bin"))
            pickled = f" {others[0].name} is a pickle, which is not read." if others else ""
            raise refuse(
                self.model,
                f"there is no {WEIGHTS} in it.{pickled} Hugging Face's models write it with"
                " save_pretrained.",
            )
        with self._open(WEIGHTS) as weights:
            return dict.fromkeys(weights.keys(), WEIGHTS)

    def _open(self, name: str) -> Any:
        safetensors = import_extra("safetensors", self.model)
        try:
            return safetensors.safe_open(str(self.folder / name), framework="numpy")
        except Exception as error:
            raise refuse(
                self.model,
                f"{name} is no whole safetensors file ({describe_error(error)}). Download it"
                " again.",
            ) from error

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            raise refuse(
                self.model,
                f"there is no {name} in it. It must be a folder in Hugging Face's layout, with"
                f" {CONFIG}, {WEIGHTS} and {TOKENIZER}, or a .gguf file.",
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise refuse(self.model, f"{name} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise refuse(self.model, f"{name} is no JSON ({describe_error(error)}).") from error
        if not isinstance(content, dict):
            raise refuse(self.model, f"{name} must hold a JSON object.")
        return content

    def _shape(self, config: Claims) -> LlamaShape:
        family = config.value("model_type")
        if family != FAMILY:
            raise config.wrong(
                "model_type",
                f"only models of the family {FAMILY!r} are read, such as SmolLM2 and Llama",
            )
        config.require_plain(PLAIN)
        heads = config.part("num_attention_heads", "hidden_size")
        width = config.count("hidden_size")
        head_width = config.count("head_dim", width // heads)
        base, divisors = rotary.of_config(config, head_width)
        return LlamaShape(
            vocabulary=config.count("vocab_size"),
            width=width,
            layers=config.count("num_hidden_layers"),
            heads=heads,
            key_value_heads=config.count("num_key_value_heads", heads),
            head_width=head_width,
            hidden=config.count("intermediate_size"),
            rotary_base=base,
            epsilon=config.real("rms_norm_eps", 1e-6),
            is_tied=config.is_true("tie_word_embeddings"),
            rotary_divisors=divisors,
        )
