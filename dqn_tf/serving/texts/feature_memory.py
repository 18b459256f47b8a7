"""Keeps what a language model said of the texts that were asked about last."""

import collections
import hashlib
import threading

import numpy as np

ENTRY_BYTES = 400  # of an entry beside its numbers: key, array, place in the dictionary


class FeatureMemory:
    """Features by text, within so many bytes; those that were asked for longest ago go first.

    A text is found by its SHA-256, so a long one takes no more room. Any thread may ask.
    """

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        self._most_bytes = most_bytes
        self._features: collections.OrderedDict[bytes, np.ndarray] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many texts are kept."""
        return len(self._features)

    def find(self, kind: str, text: bytes) -> np.ndarray | None:
        """Return the features [W] of a text that was read as this kind; None if it is not kept."""
        key = _key(kind, text)
        with self._lock:
            features = self._features.get(key)
            if features is not None:
                self._features.move_to_end(key)
        return features

    def keep(self, kind: str, text: bytes, features: np.ndarray) -> None:
        """Keep the features of a text, and forget others if there is no room."""
        size = features.nbytes + ENTRY_BYTES
        if size > self._most_bytes:
            return
        key = _key(kind, text)
        with self._lock:
            if key in self._features:
                return
            self._features[key] = features
            self.bytes += size
            while self.bytes > self._most_bytes:
                _, oldest = self._features.popitem(last=False)
                self.bytes -= oldest.nbytes + ENTRY_BYTES


def _key(kind: str, text: bytes) -> bytes:
    return hashlib.sha256(kind.encode() + b"\0" + text).digest()
