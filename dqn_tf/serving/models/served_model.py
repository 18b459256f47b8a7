"""The versions of one model: their states, and who holds them.

A version is START, LOADING, AVAILABLE, UNLOADING, END. It is closed when the last request that
holds it has ended.
"""

import dataclasses
import logging
import threading

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.models.batching import Batcher
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.models.version_policy import ModelConfig

log = logging.getLogger("dqn_tf.serving")


@dataclasses.dataclass
class ReadyVersion:
    """A version in memory, and the batcher that joins its requests, if any."""

    model: LoadedModel
    batcher: Batcher | None = None

    def close(self) -> None:
        """Free its memory and threads."""
        if self.batcher is not None:
            self.batcher.close()
        self.model.close()


@dataclasses.dataclass
class VersionEntry:
    """One version, from its first sight on; it stays listed when it has ended."""

    version: int
    state: str = "START"
    error: ServingError | None = None
    ready: ReadyVersion | None = None
    holders: int = 0
    failures: int = 0
    retry_at: float = 0.0
    was_unwanted: bool = False  # reload it if it is wanted again


class ServedModel:
    """The versions of one model, and who holds them. Any thread may hold and release."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.labels: dict[str, int] = {}
        self.entries: dict[int, VersionEntry] = {}
        self.newest: int | None = None  # the newest that is AVAILABLE
        self.has_versions = False  # whether the last poll found any version to serve
        self.lock = threading.Lock()
        self._announced: set[tuple[str, int]] = set()  # labels that wait for their version

    def available(self) -> list[int]:
        """Return the versions that answer, newest first."""
        entries = list(self.entries.values())  # which another thread may add to
        return sorted((e.version for e in entries if e.state == "AVAILABLE"), reverse=True)

    def assign_due_labels(self) -> None:
        """Give each label of the configuration to its version, as soon as that is AVAILABLE.

        Until then the label stays where it was; labels that are not in the configuration go.
        """
        available = self.available()
        labels = {}
        for label, version in self.config.labels:
            if version in available:
                labels[label] = version
            elif label in self.labels:
                labels[label] = self.labels[label]
            if labels.get(label) != version and (label, version) not in self._announced:
                self._announced.add((label, version))
                log.info(
                    "%s label %r waits for version %d, which is not available",
                    self.config.name,
                    label,
                    version,
                )
        self.labels = labels

    def hold(self, version: int | None) -> "VersionHandle | None":
        """Hold that version, or the newest; None if it does not answer."""
        with self.lock:
            chosen = self.newest if version is None else version
            entry = None if chosen is None else self.entries.get(chosen)
            if entry is None or entry.state != "AVAILABLE" or entry.ready is None:
                return None
            entry.holders += 1
            return VersionHandle(self, entry, entry.ready)

    def release(self, entry: VersionEntry) -> None:
        """End a `hold`; the last holder of a version that is being unloaded closes it."""
        with self.lock:
            entry.holders -= 1
            is_last = entry.holders == 0 and entry.state == "UNLOADING"
        if is_last:  # closing takes longer than the event loop may wait
            threading.Thread(target=self._end, args=(entry,), name="unload", daemon=True).start()

    def move_to(self, entry: VersionEntry, state: str) -> None:
        """Move a version to a state; one that is unloaded and not held ends at once."""
        with self.lock:
            entry.state = state
            self.newest = max(self.available(), default=None)
            is_last = state == "UNLOADING" and entry.holders == 0
        log.info("%s version %d: %s", self.config.name, entry.version, state)
        if is_last:
            self._end(entry)

    def _end(self, entry: VersionEntry) -> None:
        ready, entry.ready = entry.ready, None
        if ready is not None:
            ready.close()
        self.move_to(entry, "END")


class VersionHandle:
    """Keeps a version open until `release`, which is called once, or at the end of a `with`."""

    __slots__ = ("_entry", "_served", "batcher", "model")

    def __init__(self, served: ServedModel, entry: VersionEntry, ready: ReadyVersion) -> None:
        self._served = served
        self._entry = entry
        self.model = ready.model
        self.batcher = ready.batcher

    @classmethod
    def unlisted(cls, model: LoadedModel) -> "VersionHandle":
        """Hold a version that no manager lists yet."""
        ready = ReadyVersion(model)
        entry = VersionEntry(model.version, ready=ready, holders=1)
        return cls(ServedModel(ModelConfig(model.name, "")), entry, ready)

    def duplicate(self) -> "VersionHandle":
        """Hold the version once more, for somebody else."""
        with self._served.lock:
            self._entry.holders += 1
        return VersionHandle(self._served, self._entry, ReadyVersion(self.model, self.batcher))

    def release(self) -> None:
        """Let the version go."""
        self._served.release(self._entry)

    def __enter__(self) -> "VersionHandle":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
