"""Decides which version of which model answers: polls the disk, loads, swaps and unloads.

A new version is AVAILABLE before the old one goes. One thread at a time changes anything: the one
that is in `poll`, `configure`, `reload` or `assign_labels`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dqn_tf.serving.errors import ServingError, invalid_argument, to_serving_error
from dqn_tf.serving.models import version_policy
from dqn_tf.serving.models.served_model import (
    ReadyVersion,
    ServedModel,
    VersionEntry,
    VersionHandle,
)
from dqn_tf.serving.models.version_policy import ModelConfig

log = logging.getLogger("dqn_tf.serving")


class ModelManager:
    """All models. `load(name, version, path)` returns a warm version or raises."""

    def __init__(
        self, load: Callable[[str, int, Path], ReadyVersion], retries: int, retry_seconds: float
    ) -> None:
        self.models: dict[str, ServedModel] = {}
        self._load = load
        self._retries = retries
        self._retry_seconds = retry_seconds
        self._turn = threading.RLock()
        self._reload_turn = threading.Lock()
        self._is_reloading = False  # then nothing that answers is unloaded

    def hold(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> VersionHandle:
        """Hold the version that answers to `name` and, if given, to a version or a label.

        Raises ServingError.
        """
        model = self.models.get(name)
        if label is not None:
            version = model.labels.get(label) if model is not None else None
            if version is None:
                raise invalid_argument(f"Unrecognized servable version label: {label}")
        handle = model.hold(version) if model is not None else None
        if handle is None:
            servable = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError("NOT_FOUND", f"Servable not found for request: {servable}")
        return handle

    def status(self, name: str, version: int | None = None) -> list[VersionEntry]:
        """Return the version's entry, or all of the model, newest first. Raises NOT_FOUND."""
        model = self.models.get(name)
        entries = list(model.entries.values()) if model is not None else []
        if version is not None:
            entries = [entry for entry in entries if entry.version == version]
        if not entries:
            missing = "any versions" if version is None else f"version {version}"
            raise ServingError("NOT_FOUND", f"Could not find {missing} of model {name}")
        return sorted(entries, key=lambda entry: entry.version, reverse=True)

    def configure(self, configs: list[ModelConfig]) -> None:
        """Serve exactly these models: new ones at the next poll; those left out are unloaded."""
        with self._turn:
            self._add(configs)
            self._remove(self.models.keys() - {config.name for config in configs})

    def reload(
        self,
        configs: list[ModelConfig],
        keep_waiting: Callable[[], bool],
        allow_unavailable: bool,
    ) -> None:
        """Serve exactly these models, as soon as the new ones among them answer.

        If one cannot, or a label cannot be assigned, all stays as it was. Raises ServingError as
        `wait` and `assign_labels`.
        """
        while not self._reload_turn.acquire(blocking=False):
            if not keep_waiting():
                raise ServingError("DEADLINE_EXCEEDED", "Another reload has not ended in time")
        try:
            self._reload(configs, keep_waiting, allow_unavailable)
        finally:
            self._reload_turn.release()

    def _reload(
        self,
        configs: list[ModelConfig],
        keep_waiting: Callable[[], bool],
        allow_unavailable: bool,
    ) -> None:
        with self._turn:
            before = {name: model.config for name, model in self.models.items()}
            self._is_reloading = True
            self._add(configs)
            new_names = self.models.keys() - before.keys()
        try:
            self.wait(keep_waiting, new_names)
            self.assign_labels(allow_unavailable)
        except BaseException:
            with self._turn:
                self._is_reloading = False
                self._remove(new_names & self.models.keys())
                self._add(before.values())
                for model in self.models.values():
                    model.assign_due_labels()
            raise
        with self._turn:
            self._is_reloading = False
            self._remove(before.keys() - {config.name for config in configs})
            self.poll()

    def assign_labels(self, allow_unavailable: bool) -> None:
        """Give each model the labels of its configuration.

        Raises FAILED_PRECONDITION for a version that is not AVAILABLE, unless `allow_unavailable`
        and the label is new. Then no label of any model has changed.
        """
        with self._turn:
            for model in self.models.values():
                for label, version in model.config.labels:
                    is_unchanged = model.labels.get(label, version) == version
                    if version in model.available() or (allow_unavailable and is_unchanged):
                        continue
                    raise ServingError(
                        "FAILED_PRECONDITION",
                        f"Cannot assign label {label!r} to version {version} of"
                        f" {model.config.name}, which is not available",
                    )
            for model in self.models.values():
                model.labels = dict(model.config.labels)

    def wait(self, keep_waiting: Callable[[], bool], names: Iterable[str] | None = None) -> None:
        """Poll until these models answer, or all.

        Raises the error that kept one from it, or DEADLINE_EXCEEDED once `keep_waiting()` is False.
        """
        while True:
            self.poll()
            waiting = [
                model
                for name, model in list(self.models.items())
                if (names is None or name in names) and not model.available()
            ]
            for model in waiting:
                _raise_load_error(model)
            if not waiting:
                return
            if not keep_waiting():
                paths = ", ".join(model.config.base_path for model in waiting)
                raise ServingError("DEADLINE_EXCEEDED", f"No version in {paths}")

    def poll(self) -> None:
        """Look at the disk once for each model; load and unload accordingly."""
        with self._turn:
            for model in list(self.models.values()):
                self._poll(model)
                model.assign_due_labels()

    def _add(self, configs: Iterable[ModelConfig]) -> None:
        for config in configs:
            if config.name in self.models:
                self.models[config.name].config = config
            else:
                self.models[config.name] = ServedModel(config)

    def _remove(self, names: Iterable[str]) -> None:
        for name in list(names):
            model = self.models.pop(name)
            for version in model.available():
                model.move_to(model.entries[version], "UNLOADING")

    def _poll(self, model: ServedModel) -> None:
        versions = version_policy.find_versions(model.config.base_path)
        if versions is None:
            if model.has_versions:
                log.error(
                    "The directory of %s is gone: %s. What is loaded is kept.",
                    model.config.name,
                    model.config.base_path,
                )
            model.has_versions = False  # so that this is said once
            return
        wanted = model.config.policy.select(versions)
        model.has_versions = bool(wanted)
        for version in wanted:
            self._load_if_due(model, version, versions[version])
        for entry in list(model.entries.values()):
            if entry.version not in wanted and not self._is_reloading:
                _unload_if_replaced(model, entry, wanted)

    def _load_if_due(self, model: ServedModel, version: int, path: Path) -> None:
        entry = model.entries.get(version)
        if entry is None or (entry.state == "END" and entry.was_unwanted):
            entry = model.entries[version] = VersionEntry(version)
        is_retry = entry.state == "LOADING" and time.monotonic() >= entry.retry_at
        if entry.state == "START" or is_retry:
            self._try_to_load(model, entry, path)

    def _try_to_load(self, model: ServedModel, entry: VersionEntry, path: Path) -> None:
        if entry.state == "START":
            model.move_to(entry, "LOADING")
        try:
            entry.ready = self._load(model.config.name, entry.version, path)
        except Exception as error:
            entry.error = to_serving_error(error)
            entry.failures += 1
            log.error(
                "%s version %d cannot be loaded: %s",
                model.config.name,
                entry.version,
                entry.error.message,
            )
            if entry.failures > self._retries:
                model.move_to(entry, "END")
            entry.retry_at = time.monotonic() + self._retry_seconds
        else:
            entry.error = None
            model.move_to(entry, "AVAILABLE")


def _unload_if_replaced(model: ServedModel, entry: VersionEntry, wanted: list[int]) -> None:
    """End a version that is not wanted any more, once a wanted one answers in its place."""
    entry.was_unwanted = True
    if entry.state == "LOADING":
        model.move_to(entry, "END")
    elif entry.state == "AVAILABLE":
        is_replaced = not wanted or set(wanted) & set(model.available())
        if is_replaced:
            model.move_to(entry, "UNLOADING")


def _raise_load_error(model: ServedModel) -> None:
    for entry in model.entries.values():
        if entry.error is not None:
            raise ServingError(
                entry.error.code,
                f"{model.config.name} version {entry.version} cannot be loaded:"
                f" {entry.error.message}",
            )
