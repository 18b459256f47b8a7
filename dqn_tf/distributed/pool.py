"""The workers of a run: started, compared with this process, and replaced when they are lost."""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

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
CLOSE_SECONDS = 5.0
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
        # A worker of a Ray of our own takes no share of it: nobody else uses it.
        self._cpus = 0 if cluster.is_own else 1
        self.members: list[Member] = []
        self._require_room()
        begun = time.monotonic()
        self.members = self._start(config.workers)
        self._seconds = time.monotonic() - begun

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
        if self.members and self._cpus and self._room() < len(self.members) + 1:
            return
        try:
            self.members += self._start(1)
        except UserError:
            if not self.members:
                raise

    def end(self, member: Member) -> None:
        """End a worker at once."""
        self._ray.kill(member.actor, no_restart=True)

    def close(self) -> None:
        """Let the workers close their environments, and end them."""
        closing = [member.actor.close.remote() for member in self.members]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for member in self.members:
            self.end(member)
        self.members = []

    def _room(self) -> int:
        """Count the CPUs of the whole cluster."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def _require_room(self) -> None:
        free = int(self._ray.available_resources().get("CPU", 0))
        if not self._cpus or free >= self._config.workers:
            return
        raise UserError(
            f"--workers={self._config.workers}: the cluster has {free} free of"
            f" {self._room()} CPUs, and a worker takes one. Give fewer workers, or add machines."
        )

    def _start(self, count: int) -> list[Member]:
        """Start workers beside each other, and compare each with this process."""
        make = self._ray.remote(Worker).options(num_cpus=self._cpus, max_restarts=0)
        actors = [make.remote(os.getcwd()) for _ in range(count)]
        deadline = time.monotonic() + START_SECONDS
        try:
            asked = [actor.process.remote() for actor in actors]
            numbers = range(self._started, self._started + count)
            started = [
                Member(number, actor, self._answer(reference, f"worker {number}", deadline))
                for number, actor, reference in zip(numbers, actors, asked, strict=True)
            ]
            self._started += count
            for member in started:
                self._require_versions(member)
            config = self._config.to_dict()
            prepared = [member.actor.prepare.remote(config, self._plan) for member in started]
            for member, reference in zip(started, prepared, strict=True):
                self._require_same(member, self._answer(reference, member.name, deadline))
        except UserError:
            for actor in actors:
                self._ray.kill(actor, no_restart=True)
            raise
        return started

    def _answer(self, reference: Any, name: str, deadline: float) -> Any:
        """Wait for what a starting worker answers. Raises UserError."""
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference, timeout=max(0.0, deadline - time.monotonic()))
        except exceptions.GetTimeoutError as error:
            raise UserError(
                f"--workers={self._config.workers}: {name} has not started in {START_SECONDS:g}"
                " seconds."
            ) from error
        except exceptions.RayError as error:
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
    if "No module named 'dqn_tf" in what or "No module named 'dqn_tf" in str(cause):
        return f"{subject} has no dqn_tf: install it on every machine of the cluster."
    return f"{subject} failed: {what}"
