"""The workers of a run: started, compared with this process, and replaced when they are lost."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any, NamedTuple

import dqn_tf
from dqn_tf.agent.networks.numpy_forward import ForwardPlan
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.distributed.fingerprint import (
    Fingerprint,
    difference,
    differing_versions,
    versions,
)
from dqn_tf.distributed.notes import say
from dqn_tf.distributed.ray_cluster import RayCluster
from dqn_tf.distributed.worker import Process, Worker
from dqn_tf.support.errors import UserError, describe_error

START_SECONDS = 120.0  # in which a worker must have started
REPLACE_SECONDS = 30.0  # for one in place of a lost one, where others live
ROOM_SECONDS = 10.0  # until CPUs that somebody has just left are free
CLOSE_SECONDS = 5.0
POLL_SECONDS = 0.5
RETRY_SECONDS = 60.0
ACCEPT = "--accept_other_workers"


class Member(NamedTuple):
    """A worker as this process knows it: its number, its handle in Ray, and where it runs."""

    number: int
    actor: Any
    process: Process

    @property
    def name(self) -> str:
        """What sentences call it."""
        return f"worker {self.number} (process {self.process.pid} on {self.process.host})"


class Pool:
    """The workers. `own` is this process's fingerprint, which theirs must equal."""

    def __init__(
        self, cluster: RayCluster, config: DQNConfig, plan: ForwardPlan, own: Fingerprint
    ) -> None:
        self._ray = cluster.ray
        self._config = config
        self._plan = plan
        self._own = own
        self._started = 0
        self._has_warned = False
        self._next_try = 0.0  # to replace lost workers
        self._has_said_why = False  # they are not replaced
        # A worker of a Ray of our own takes no share of it: nobody else uses it.
        self._cpus = 0 if cluster.is_own else 1
        self.members: list[Member] = []
        self._require_room()
        begun = time.monotonic()
        self.members = self._start(config.workers, START_SECONDS)
        self._seconds = time.monotonic() - begun

    @property
    def missing(self) -> int:
        """The workers that are lost and not yet replaced."""
        return self._config.workers - len(self.members)

    def describe(self) -> str:
        """Say where the workers run, how long they took to start and what memory they have."""
        processes = [member.process for member in self.members]
        hosts = sorted({process.host for process in processes})
        memory = max(process.memory for process in processes)
        loaded = "with" if any(process.has_tensorflow for process in processes) else "without"
        return (
            f"Workers: {len(processes)} on {', '.join(hosts)}, started in {self._seconds:.1f} s,"
            f" {memory / 2**20:.0f} MiB each at most, {loaded} TensorFlow."
        )

    def replace(self, member: Member) -> None:
        """End a worker and start another one, where there is room for it.

        Raises UserError if none is left.
        """
        self.end(member)
        self.members.remove(member)
        try:
            self.members += self._start(1, REPLACE_SECONDS if self.members else START_SECONDS)
        except UserError as error:
            if not self.members:
                raise UserError(f"The last worker is lost, and no other starts: {error}") from error
            self._put_off(error)

    def grow(self) -> bool:
        """Start workers in place of lost ones, if the cluster has room again; tell whether it did.

        It is tried once in a while.
        """
        missing = self.missing
        if not missing or time.monotonic() < self._next_try:
            return False
        if self._cpus:
            missing = min(missing, int(self._ray.available_resources().get("CPU", 0)))
        if not missing:
            self._put_off()
            return False
        try:
            self.members += self._start(missing, REPLACE_SECONDS)
        except UserError as error:
            self._put_off(error)
            return False
        return True

    def _put_off(self, error: UserError | None = None) -> None:
        """Try again in a while; say once why it is not done."""
        self._next_try = time.monotonic() + RETRY_SECONDS
        if error is not None and not self._has_said_why:
            self._has_said_why = True
            say(f"note: no worker takes the place of one that is lost: {error}")

    def end(self, member: Member) -> None:
        """End a worker at once."""
        self._ray.kill(member.actor, no_restart=True)

    def close(self) -> None:
        """Let the workers close their environments, and end them."""
        with contextlib.suppress(self._ray.exceptions.RayError):  # it may be gone
            closing = [member.actor.close.remote() for member in self.members]
            if closing:
                self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
            for member in self.members:
                self.end(member)
        self.members = []

    def _has_room(self, count: int) -> bool:
        """Tell whether the whole cluster has CPUs for so many more workers than there are."""
        return not self._cpus or self._all_cpus() >= len(self.members) + count

    def _all_cpus(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 0))

    def _require_room(self) -> None:
        """Wait for CPUs of the cluster to be free. Raises UserError if it has too few."""
        needed = self._config.workers * self._cpus
        deadline = time.monotonic() + ROOM_SECONDS
        while (free := int(self._ray.available_resources().get("CPU", 0))) < needed:
            if not self._has_room(needed) or time.monotonic() > deadline:
                raise UserError(
                    f"--workers={needed}: the cluster has {free} free of {self._all_cpus()} CPUs,"
                    " and a worker takes one. Give fewer workers, or add machines."
                )
            time.sleep(POLL_SECONDS)

    def _start(self, count: int, seconds: float) -> list[Member]:
        """Start workers beside each other, and compare each with this process.

        Raises UserError if one cannot be started in so many seconds, does not play its first steps
        within --worker_timeout, or is not to be used.
        """
        make = self._ray.remote(Worker).options(num_cpus=self._cpus, max_restarts=0)
        path = [os.path.abspath(place) for place in ("", *sys.path)]
        actors = [make.remote(path) for _ in range(count)]
        deadline = time.monotonic() + seconds
        silence = "does not start. `ray status` says what the cluster has"
        try:
            asked = [actor.process.remote() for actor in actors]
            numbers = range(self._started, self._started + count)
            started = []
            for number, actor, reference in zip(numbers, actors, asked, strict=True):
                process = self._answer(reference, f"worker {number}", deadline, silence)
                started.append(Member(number, actor, process))
            self._started += count
            for member in started:
                self._require_versions(member)
            config = self._config.to_dict()
            prepared = [member.actor.prepare.remote(config, self._plan) for member in started]
            patience = self._config.worker_timeout
            deadline = time.monotonic() + patience
            silence = f"has not played its first steps in {patience:g} seconds (--worker_timeout)"
            for member, reference in zip(started, prepared, strict=True):
                theirs = self._answer(reference, member.name, deadline, silence)
                self._require_same(member, theirs)
        except UserError:
            for actor in actors:
                self._ray.kill(actor, no_restart=True)
            raise
        return started

    def _answer(self, reference: Any, name: str, deadline: float, silence: str) -> Any:
        """Wait for what a starting worker answers.

        Raises UserError; `silence` says what it means that there is no answer.
        """
        while not self._ray.wait([reference], timeout=POLL_SECONDS)[0]:
            if time.monotonic() > deadline or not self._has_room(1):
                raise UserError(f"--workers={self._config.workers}: {name} {silence}.")
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise UserError(refusal(error, name)) from error

    def _require_versions(self, member: Member) -> None:
        differing = differing_versions(versions(), member.process.versions)
        if differing:
            self._refuse_or_say(f"{member.name} has {differing}")

    def _require_same(self, member: Member, theirs: Fingerprint) -> None:
        what = difference(self._own, theirs)
        if what:
            self._refuse_or_say(f"{member.name} {what}")

    def _refuse_or_say(self, clause: str) -> None:
        sentence = f"{clause[0].upper()}{clause[1:]}, so that the run could not be repeated"
        if not self._config.accept_other_workers:
            raise UserError(f"{sentence}. Use machines alike, or add {ACCEPT}.")
        if not self._has_warned:
            self._has_warned = True
            say(f"warning: {sentence}; it goes on because of {ACCEPT}.")


def refusal(error: Exception, name: str) -> str:
    """Return the sentence of what a worker raised, or of why it did not start."""
    cause = getattr(error, "cause", None) or error
    subject = f"{name[0].upper()}{name[1:]}"
    if isinstance(cause, UserError):
        return f"{subject}: {cause}"
    # of Ray's own text, the last line says what was raised
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    what = lines[-1] if lines and cause is error else describe_error(cause)
    texts = (what, str(cause))
    if any("No module named 'dqn_tf'" in text for text in texts):
        return f"{subject} has no dqn_tf: install it on every machine of the cluster."
    if any("No module named 'dqn_tf." in text for text in texts):
        return (
            f"{subject} has another dqn_tf: install {dqn_tf.__version__} on every machine of the"
            " cluster."
        )
    return f"{subject} failed: {what}"
