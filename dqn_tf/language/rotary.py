"""The rotary positions that a config.json in Hugging Face's layout asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dqn_tf.language import llama
from dqn_tf.language.claims import UNREAD, Claims
from dqn_tf.language.packages import refuse

PLACES = ("rope_parameters", "rope_scaling")  # by the layout of now, and by the earlier one
KINDS = ("rope_type", "type")  # the same
DEFAULT, LLAMA3 = "default", "llama3"
BASE = "rope_theta"
LENGTH = "original_max_position_embeddings"
PARTIAL = {"partial_rotary_factor": (1.0,)}
ALWAYS = (*KINDS, BASE, *PARTIAL)
READ = {
    DEFAULT: ALWAYS,
    LLAMA3: (*ALWAYS, "factor", "low_freq_factor", "high_freq_factor", LENGTH),
}


class Rotary(NamedTuple):
    """Base of the frequencies, and what each is divided by; empty where they are as they are."""

    base: float
    divisors: tuple[float, ...]


def of_config(config: Claims, head_width: int) -> Rotary:
    """Return the rotary positions that a config.json says, in both spellings.

    Raises UserError for a kind that is not read, and for two that differ.
    """
    said = {name: config.find(name) for name in PLACES}
    said = {name: values for name, values in said.items() if values not in (None, {})}
    found = {_of_values(config, name, values, head_width) for name, values in said.items()}
    if len(found) > 1:
        raise refuse(
            config.model,
            f"{config.place} says {' and '.join(PLACES)}, and they differ: one of them must go.",
        )
    return found.pop() if found else Rotary(config.real(BASE, llama.ROTARY_BASE), ())


def _of_values(config: Claims, name: str, values: Any, head_width: int) -> Rotary:
    """Return the rotary positions by one object in a config.json. Raises UserError."""
    if not isinstance(values, dict):
        raise config.wrong(name, "it must be an object")
    rotary = Claims(config.model, f"{config.place}, {name},", values.get)
    kind = _kind(rotary)
    for other in values:
        if other not in READ[kind] and values[other] is not None:
            raise rotary.wrong(other, UNREAD)
    rotary.require_plain(PARTIAL)
    base = rotary.real(BASE, config.real(BASE, llama.ROTARY_BASE))
    return Rotary(base, () if kind == DEFAULT else _llama3_divisors(rotary, base, head_width))


def _kind(rotary: Claims) -> str:
    """Return DEFAULT or LLAMA3. Raises UserError if another kind is said, in either spelling."""
    said = [name for name in KINDS if rotary.find(name) is not None]
    kinds = [rotary.find(name) for name in said]
    for name, kind in zip(said, kinds, strict=True):
        if kind not in (DEFAULT, LLAMA3):
            raise rotary.wrong(name, f"only {DEFAULT!r} and {LLAMA3!r} are read")
        if kind != kinds[0]:
            raise rotary.wrong(name, f"{said[0]} is {kinds[0]!r}: they must be the same")
    return kinds[0] if kinds else DEFAULT


def _llama3_divisors(rotary: Claims, base: float, head_width: int) -> tuple[float, ...]:
    """Return what Llama 3.1 divides the frequencies by. Raises UserError.

    Let a wave turn n times over the length of the first training. Its frequency stays as it is
    from n = high_freq_factor on, and is divided by `factor` up to n = low_freq_factor; between
    them the share that stays grows linearly with n.
    """
    factor, low, high = (
        rotary.real(name) for name in ("factor", "low_freq_factor", "high_freq_factor")
    )
    if high <= low:
        raise rotary.wrong("high_freq_factor", f"it must be above low_freq_factor={low}")
    turns = rotary.count(LENGTH) * llama.frequencies(base, head_width) / (2.0 * np.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    divisors: list[float] = (1.0 / ((1.0 - kept) / factor + kept)).tolist()
    return tuple(divisors)
