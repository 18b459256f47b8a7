"""Hugging Face's layout: config.json, model.safetensors or its parts, tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.language.byte_pairs import BytePairs, of_file
from dqn_tf.language.llama import LlamaShape
from dqn_tf.language.packages import import_extra, refuse
from dqn_tf.support.errors import describe_error

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
FAMILY = "llama"
# What this family may be, and the blocks here are not.
PLAIN: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", None),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "rope_scaling": (None,),
}


class HuggingFaceFiles:
    """The files of a folder. Raises UserError where one of them is not what it says."""

    def __init__(self, model: str, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self._config = self._json(CONFIG)
        self.shape = self._shape()
        self.weight_files = self._weight_files()

    def tokenizer(self) -> BytePairs:
        """Return the tokenizer."""
        return of_file(self.model, self.folder / TOKENIZER)

    def files(self) -> list[Path]:
        """Return all files that make the model what it is."""
        names = {CONFIG, TOKENIZER, *self.weight_files.values()}
        return [self.folder / name for name in sorted(names)]

    def array(self, name: str) -> np.ndarray | None:
        """Return a weight as float32; None if there is none of this name."""
        if name not in self.weight_files:
            return None
        with self._open(self.weight_files[name]) as weights:
            if name not in weights.keys():  # noqa: SIM118, it is no dict
                return None
            return np.asarray(weights.get_tensor(name)).astype(np.float32)

    def _weight_files(self) -> dict[str, str]:
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
        except (ValueError, RecursionError) as error:
            raise refuse(self.model, f"{name} is no JSON ({describe_error(error)}).") from error
        if not isinstance(content, dict):
            raise refuse(self.model, f"{name} must hold a JSON object.")
        return content

    def _shape(self) -> LlamaShape:
        config = self._config
        family = config.get("model_type")
        if family != FAMILY:
            raise refuse(
                self.model,
                f"{CONFIG} says model_type={family!r}, and only models of the family {FAMILY!r} are"
                " read, such as SmolLM2 and Llama.",
            )
        for name, allowed in PLAIN.items():
            if config.get(name) not in allowed:
                raise refuse(
                    self.model,
                    f"{CONFIG} says {name}={config[name]!r}, and only {allowed[0]!r} is read.",
                )
        heads = self._number("num_attention_heads")
        width = self._number("hidden_size")
        return LlamaShape(
            vocabulary=self._number("vocab_size"),
            width=width,
            layers=self._number("num_hidden_layers"),
            heads=heads,
            key_value_heads=self._number("num_key_value_heads", heads),
            head_width=self._number("head_dim", width // heads),
            hidden=self._number("intermediate_size"),
            rotary_base=self._rotary_base(),
            epsilon=float(self._real("rms_norm_eps", config.get("rms_norm_eps", 1e-6))),
            is_tied=bool(config.get("tie_word_embeddings", False)),
        )

    def _rotary_base(self) -> float:
        """Return the base, which earlier versions of the layout have beside the other numbers."""
        rotary = self._config.get("rope_parameters") or {}
        if not isinstance(rotary, dict) or rotary.get("rope_type", "default") != "default":
            raise refuse(self.model, f"{CONFIG} scales its rotary positions, which is not read.")
        base = rotary.get("rope_theta", self._config.get("rope_theta", 10_000.0))
        return self._real("rope_theta", base)

    def _number(self, name: str, default: int | None = None) -> int:
        value = self._config.get(name)
        if value is None:
            value = default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise refuse(
                self.model, f"{CONFIG} says {name}={value!r}, and it must be a number above 0."
            )
        return value

    def _real(self, name: str, value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
            raise refuse(
                self.model, f"{CONFIG} says {name}={value!r}, and it must be a number above 0."
            )
        return float(value)
