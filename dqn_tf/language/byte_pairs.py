"""A language model's own tokens: byte pair encoding, as the library `tokenizers` does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dqn_tf.language.packages import import_extra, refuse
from dqn_tf.support.errors import describe_error, describe_value

LEAST_SHARE = 0.9  # of the embedding's rows that have a token; models round their number up
# Each must have tokens of its own: who has none for one of them drops texts, or stops at them.
PROBES = ("a", "0", "\u00e9", "\u8ba2", "\U0001f600", "\U0001f643")
# How GGUF files name what stands before the merges.
SMOLLM, GPT2 = "smollm", ("gpt-2", "default")


class BytePairs:
    """Texts to numbers of tokens and back.

    No text stands for a special token: `<|im_end|>` in a message is eight characters, not a sign
    that the message ends.

    Attributes:
      tokenizer: the `tokenizers.Tokenizer`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()

    def encode(self, text: str | bytes) -> list[int]:
        """Return the numbers of a text's tokens; bytes that are no UTF-8 become U+FFFD."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        # half of a surrogate pair, as JSON can hold it, is no character
        text = text.encode("utf-8", "replace").decode("utf-8")
        numbers: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return numbers

    def decode(self, numbers: Sequence[int]) -> str:
        """Return the text of tokens."""
        text: str = self.tokenizer.decode(list(numbers), skip_special_tokens=False)
        return text

    def to_json(self) -> str:
        """Return it as the text of a tokenizer.json."""
        text: str = self.tokenizer.to_str()
        return text

    @property
    def size(self) -> int:
        """The largest number of a token, and 1."""
        return 1 + max(self.tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)


def of_file(model: str, path: Path) -> BytePairs:
    """Return the tokenizer of a tokenizer.json. Raises UserError."""
    tokenizers = import_extra("tokenizers", model)
    if not path.is_file():
        raise refuse(
            model,
            f"there is no {path.name} in it, so texts cannot be made tokens. Hugging Face's"
            " tokenizers write it with save_pretrained.",
        )
    try:
        return BytePairs(tokenizers.Tokenizer.from_file(str(path)))
    except Exception as error:
        raise refuse(
            model, f"{path.name} cannot be read as a tokenizer ({describe_error(error)})."
        ) from error


def of_merges(
    model: str, kind: str, names: Sequence[str], merges: Sequence[str], special: Sequence[str]
) -> BytePairs:
    """Return the tokenizer of a GGUF file's vocabulary and merges. Raises UserError.

    `kind` is how GGUF names what cuts a text before the merges.
    """
    tokenizers = import_extra("tokenizers", model)
    before = [tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    if kind == SMOLLM:
        before.insert(0, tokenizers.pre_tokenizers.Digits(individual_digits=True))
    elif kind not in GPT2:
        raise refuse(
            model,
            f"its tokenizer is of the kind {describe_value(kind)}, and only {SMOLLM!r} and"
            f" {GPT2[0]!r} are read from GGUF files. Give the folder with config.json,"
            " model.safetensors and tokenizer.json.",
        )
    numbers = {name: number for number, name in enumerate(names)}
    try:
        pairs = [tuple(merge.split(" ", 1)) for merge in merges]
        made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=numbers, merges=pairs))
    except Exception as error:
        raise refuse(
            model, f"its vocabulary and its merges do not fit ({describe_error(error)})."
        ) from error
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(before)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([tokenizers.AddedToken(name, special=True) for name in special])
    return BytePairs(made)


def require_fit(model: str, tokenizer: BytePairs, vocabulary: int) -> None:
    """Raise UserError unless a tokenizer's numbers are those of an embedding's rows."""
    if not LEAST_SHARE * vocabulary <= tokenizer.size <= vocabulary:
        raise refuse(
            model,
            f"its tokenizer has {tokenizer.size:,} tokens, and its embedding {vocabulary:,} rows:"
            " they are of two models. Give it the tokenizer that it was trained with.",
        )


def require_every_text(model: str, tokenizer: BytePairs) -> None:
    """Raise UserError unless a tokenizer makes tokens of every text, also of rare characters."""
    seen: dict[tuple[int, ...], str] = {}
    for probe in PROBES:
        numbers, reason = _numbers_or_reason(tokenizer, probe)
        if numbers in seen:
            reason = f"those of {seen[numbers]!a}"
        if reason:
            kind = type(tokenizer.tokenizer.model).__name__
            raise refuse(
                model,
                f"its tokenizer ({kind}) has no tokens of its own for {probe!a}, but {reason}: it"
                " must make tokens of every text, as byte pairs do.",
            )
        seen[numbers] = probe


def _numbers_or_reason(tokenizer: BytePairs, text: str) -> tuple[tuple[int, ...], str]:
    """Return the numbers of a text's tokens; without any, what there is in their place."""
    try:
        numbers = tuple(tokenizer.encode(text))
    except Exception as error:
        return (), describe_error(error)
    return numbers, "" if numbers else "nothing"
