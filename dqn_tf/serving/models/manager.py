"""Which version of which model answers: looks at the disk, loads, warms, swaps and unloads.

A version is START, LOADING, AVAILABLE, UNLOADING, END. The new one is AVAILABLE before the old one
goes, and a version is closed when the last request that holds it has ended. All that changes is
changed by one thread, the one that calls `poll`.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dqn_tf.serving.errors import ServingError, invalid, translated
from dqn_tf.serving.models import version_policy
from dqn_tf.serving.models.loaded_model import Loaded
from dqn_tf.serving.models.version_policy import ModelConfig

log = logging.getLogger("dqn_tf.serving")


@dataclasses.dataclass
class Entry:
    """One version, from its first sight on; stays listed when it has ended."""

    version: int
    state: str = "START"
    error: ServingError | None = None
    loaded: Loaded | None = None
    holders: int = 0
    failures: int = 0
    retry_at: float = 0.0
    left: bool = False  # it was not wanted for a while: should it be wanted again, it is tried anew


class Model:
    """The versions of one model, and who holds them."""

    def __init__(self, served: ModelConfig) -> None:
        self.served = served
        self.labels: dict[str, int] = {}
        self.entries: dict[int, Entry] = {}
        self.newest: int | None = None  # the newest that is AVAILABLE
        self.present = False  # whether the last look at the disk found any version to serve
        self.lock = threading.Lock()

    def available(self) -> list[int]:
        """Versions that answer, newest first."""
        return sorted(
            (version for version, entry in self.entries.items() if entry.state == "AVAILABLE"),
            reverse=True,
        )

    def hold(self, version: int | None) -> Entry | None:
        """The entry of that version, or of the newest, with one more holder; None if it does not
        answer.
        """
        with self.lock:
            entry = self.entries.get(self.newest if version is None else version)
            if entry is None or entry.state != "AVAILABLE":
                return None
            entry.holders += 1
            return entry

    def release(self, entry: Entry) -> None:
        """Ends a `hold`; the last holder of a version that is being unloaded closes it."""
        with self.lock:
            entry.holders -= 1
            last = entry.holders == 0 and entry.state == "UNLOADING"
        if last:
            self._end(entry)

    def set(self, entry: Entry, state: str) -> None:
        """Moves a version to a state."""
        with self.lock:
            entry.state = state
            self.newest = max(self.available(), default=None)
            last = state == "UNLOADING" and entry.holders == 0
        log.info("%s version %d: %s", self.served.name, entry.version, state)
        if last:
            self._end(entry)

    def _end(self, entry: Entry) -> None:
        loaded, entry.loaded = entry.loaded, None
        if loaded is not None:
            loaded.close()
        self.set(entry, "END")


class Held:
    """A version that is not closed before `release`, which is called once, or at the end of a
    `with`.
    """

    __slots__ = ("_entry", "_model", "loaded")

    def __init__(self, model: Model, entry: Entry) -> None:
        self._model, self._entry, self.loaded = model, entry, entry.loaded

    def again(self) -> "Held":
        """Holds it once more, for somebody else."""
        with self._model.lock:
            self._entry.holders += 1
        return Held(self._model, self._entry)

    def release(self) -> None:
        """Gives the version free."""
        self._model.release(self._entry)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def alone(loaded: Loaded) -> Held:
    """A version that is not listed yet, held as any other."""
    return Held(
        Model(ModelConfig(loaded.name, "")), Entry(loaded.version, loaded=loaded, holders=1)
    )


class Manager:
    """All models. `load(name, version, path)` gives a warm `Loaded` or raises."""

    def __init__(
        self, load: Callable[[str, int, Path], Loaded], retries: int, retry_seconds: float
    ) -> None:
        self.models: dict[str, Model] = {}
        self._load, self._retries, self._retry_seconds = load, retries, retry_seconds
        self._turn = threading.RLock()

    def hold(self, name: str, version: int | None = None, label: str | None = None) -> Held:
        """Holds the version that answers to `name` and, if given, to a version or a label.

        Raises ServingError.
        """
        model = self.models.get(name)
        if label is not None and model is not None:
            version = model.labels.get(label)
            if version is None:
                raise invalid(f"Unrecognized servable version label: {label}")
        entry = model.hold(version) if model is not None else None
        if entry is None:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError("NOT_FOUND", f"Servable not found for request: {wanted}")
        return Held(model, entry)

    def status(self, name: str, version: int | None = None) -> list[Entry]:
        """The version's entry, or all of the model, newest first. Raises NOT_FOUND."""
        model = self.models.get(name)
        entries = (
            []
            if model is None
            else sorted(list(model.entries.values()), key=lambda entry: -entry.version)
        )
        found = [entry for entry in entries if version is None or entry.version == version]
        if not found:
            raise ServingError(
                "NOT_FOUND",
                f"Could not find {'any versions' if version is None else f'version {version}'} of"
                f" model {name}",
            )
        return found

    def configure(self, served: list[ModelConfig]) -> None:
        """Serves exactly these: new ones at the next poll, those left out are unloaded."""
        with self._turn:
            wanted = {each.name: each for each in served}
            for name, each in wanted.items():
                if name in self.models:
                    self.models[name].served = each
                else:
                    self.models[name] = Model(each)
            for name in [name for name in self.models if name not in wanted]:
                model = self.models.pop(name)
                for version in model.available():
                    model.set(model.entries[version], "UNLOADING")

    def assign_labels(self, to_any: bool) -> None:
        """Gives each model the labels that its configuration names. Raises FAILED_PRECONDITION for
        a version that is not AVAILABLE, unless `to_any` and the label is new.
        """
        with self._turn:
            for model in self.models.values():
                wanted = dict(model.served.labels)
                for label, version in wanted.items():
                    if version not in model.available() and not (
                        to_any and model.labels.get(label, version) == version
                    ):
                        raise ServingError(
                            "FAILED_PRECONDITION",
                            f"Cannot assign label {label!r} to version {version} of"
                            f" {model.served.name}, which is not available",
                        )
                model.labels = wanted

    def wait(self, patient: Callable[[], bool]) -> None:
        """Polls until every model answers.

        Raises what kept one from it, or DEADLINE_EXCEEDED once nobody is `patient` any more.
        """
        while True:
            self.poll()
            waiting = [model for model in list(self.models.values()) if not model.available()]
            for model in waiting:
                for entry in model.entries.values():
                    if entry.error is not None:
                        name = f"{model.served.name} version {entry.version}"
                        raise ServingError(
                            entry.error.code, f"{name} cannot be loaded: {entry.error.message}"
                        )
            if not waiting:
                return
            if not patient():
                raise ServingError(
                    "DEADLINE_EXCEEDED",
                    f"No version in {', '.join(model.served.base_path for model in waiting)}",
                )

    def poll(self) -> None:
        """One look at the disk for each model, and all that follows from it."""
        with self._turn:
            for model in list(self.models.values()):
                self._poll(model)

    def _poll(self, model: Model) -> None:
        found = version_policy.versions(model.served.base_path)
        if found is None:
            if model.present:
                log.error(
                    "The directory of %s is gone: %s. What is loaded is kept.",
                    model.served.name,
                    model.served.base_path,
                )
            return
        wanted = model.served.policy.wanted(found)
        model.present = bool(wanted)
        for version in wanted:
            entry = model.entries.get(version)
            if entry is None or (entry.state == "END" and entry.left):
                entry = model.entries[version] = Entry(version)
            if entry.state == "START" or (
                entry.state == "LOADING" and time.monotonic() >= entry.retry_at
            ):
                self._try(model, entry, found[version])
        for entry in [entry for version, entry in model.entries.items() if version not in wanted]:
            entry.left = True
            if entry.state == "LOADING":
                model.set(entry, "END")
            elif entry.state == "AVAILABLE" and (
                not wanted or set(wanted) & set(model.available())
            ):
                model.set(entry, "UNLOADING")

    def _try(self, model: Model, entry: Entry, path: Path) -> None:
        if entry.state == "START":
            model.set(entry, "LOADING")
        try:
            entry.loaded = self._load(model.served.name, entry.version, path)
        except Exception as error:
            entry.error, entry.failures = translated(error), entry.failures + 1
            log.error(
                "%s version %d cannot be loaded: %s",
                model.served.name,
                entry.version,
                entry.error.message,
            )
            if entry.failures > self._retries:
                model.set(entry, "END")
            entry.retry_at = time.monotonic() + self._retry_seconds
        else:
            entry.error = None
            model.set(entry, "AVAILABLE")
