"""Calls one method for every shard at the worker that owns it, and survives the loss of workers.

A worker is lost when its process dies, its machine is gone, or it does not answer in time. Its
shards go to others, which play the running episodes back, and what was unanswered is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.distributed.notes import say
from dqn_tf.distributed.pool import Member, Pool, refusal
from dqn_tf.support.errors import UserError

ATTEMPTS = 3  # of one shard's block, after which it is at fault and not the worker
LOOK_SECONDS = 1.0  # until it is seen who has answered, and who is lost, while others are at work

Request = Callable[[Member, int], Any]  # a worker and a shard → a reference of Ray


class ShardCalls:
    """Who owns which shard, and calls to them.

    `is_cold` tells of each shard whether its owner has yet to be sent its running episodes.
    """

    def __init__(self, ray: Any, config: DQNConfig, pool: Pool) -> None:
        self._ray = ray
        self._config = config
        self._pool = pool
        self._owners = self._shared()
        self.is_cold = [False] * config.shards

    def ask(self, request: Request) -> list[Any]:
        """Return the answers to a request, in the order of shards, as `Round.answers` does."""
        asked = Round(self, request)
        asked.send()
        return asked.answers()

    def grow(self) -> None:
        """Give shards to new workers in place of lost ones, if there is room for such.

        No request may be unanswered: its answer would be of an owner before.
        """
        if self._pool.grow():
            self._share_anew()

    def _shared(self) -> list[Member]:
        members = self._pool.members
        return [members[shard % len(members)] for shard in range(self._config.shards)]

    def _share_anew(self) -> None:
        """Give shards to workers that have come in place of lost ones."""
        owners = self._shared()
        for shard, (before, now) in enumerate(zip(self._owners, owners, strict=True)):
            if before is not now:
                before.actor.drop.remote(shard)
                self.is_cold[shard] = True
        self._owners = owners
        say(f"note: {len(self._pool.members)} workers are there again.")


class Round:
    """One request to all shards: what is answered, and what is waited for.

    A round may be sent while another one before it is waited for: a worker answers in order. If a
    worker is lost meanwhile, `send` once the round before is answered.
    """

    def __init__(self, calls: ShardCalls, request: Request) -> None:
        """Take a request, which is called again where an answer is lost."""
        self._calls = calls
        self._request = request
        self._answers: list[Any] = [None] * len(calls._owners)
        self._attempts = [0] * len(calls._owners)
        self._asked: list[Member | None] = [None] * len(calls._owners)
        self._waiting: dict[Any, int] = {}  # shards by reference
        self._heard: dict[int, float] = {}  # when each worker last answered, by its number

    @property
    def is_sent(self) -> bool:
        """Whether it was sent at all."""
        return any(self._asked)

    def send(self) -> None:
        """Ask every shard's owner that was not asked yet."""
        shards = range(len(self._asked))
        to_ask = [shard for shard in shards if self._asked[shard] is not self._owner(shard)]
        self._waiting = {
            reference: shard for reference, shard in self._waiting.items() if shard not in to_ask
        }
        self._send(to_ask)

    def answers(self) -> list[Any]:
        """Wait for the answers, and return them in the order of shards.

        Raises UserError if a worker refuses, or if workers are lost again and again.
        """
        now = time.monotonic()
        self._heard = {self._owner(shard).number: now for shard in self._waiting.values()}
        while self._waiting:
            self._take()
        return self._answers

    def _take(self) -> None:
        """Take the answers, and give up workers that are silent for too long."""
        ray, patience = self._calls._ray, self._calls._config.worker_timeout
        busy = {self._owner(shard).number for shard in self._waiting.values()}
        left = min(self._heard[number] for number in busy) + patience - time.monotonic()
        # All at once: each call takes as long as a few steps of a fast environment.
        references = list(self._waiting)
        seconds = min(max(0.0, left), LOOK_SECONDS)
        done, _ = ray.wait(references, num_returns=len(references), timeout=seconds)
        try:
            answers = ray.get(done)
        except ray.exceptions.RayError:
            self._take_each(done)
        else:
            for reference, answer in zip(done, answers, strict=True):
                self._accept(reference, answer)
        now = time.monotonic()
        silent = {self._owner(shard).number: self._owner(shard) for shard in self._waiting.values()}
        for number, member in silent.items():
            if now - self._heard[number] >= patience:
                self._lose(member, f"has not answered for {patience:g} seconds (--worker_timeout)")

    def _take_each(self, done: Iterable[Any]) -> None:
        """Take answers one by one, where one of them is an error."""
        exceptions = self._calls._ray.exceptions
        for reference in done:
            if reference not in self._waiting:  # asked again, as its worker is lost
                continue
            member = self._owner(self._waiting[reference])
            try:
                answer = self._calls._ray.get(reference)
            except exceptions.RayTaskError as error:
                raise UserError(refusal(error, member.name)) from error
            except exceptions.RayError:
                self._lose(member, "is lost")
            else:
                self._accept(reference, answer)

    def _accept(self, reference: Any, answer: Any) -> None:
        shard = self._waiting.pop(reference)
        self._answers[shard] = answer
        self._heard[self._owner(shard).number] = time.monotonic()

    def _lose(self, member: Member, what: str) -> None:
        """Give a worker's shards to others, and ask again for what it owes. Raises UserError."""
        calls = self._calls
        owed = sorted(shard for shard in self._waiting.values() if self._owner(shard) is member)
        self._waiting = {
            reference: shard for reference, shard in self._waiting.items() if shard not in owed
        }
        at_work = owed[0]  # they are taken in order
        self._attempts[at_work] += 1
        if self._attempts[at_work] >= ATTEMPTS:
            envs = calls._config.shard_ranges[at_work]
            raise UserError(
                f"{member.name[0].upper()}{member.name[1:]} {what}, as others before it in the same"
                f" block of {_named(envs)}. They end or stop the process that plays them: look at"
                " them with --workers=0, or give a longer --worker_timeout."
            )
        calls._pool.replace(member)
        lost = [shard for shard, owner in enumerate(calls._owners) if owner is member]
        for shard in lost:
            calls.is_cold[shard] = True
            calls._owners[shard] = self._least_busy(member)
        takers = sorted({calls._owners[shard].number for shard in lost})
        say(
            f"note: {member.name} {what}: its block is played again by worker"
            f"{'s' * (len(takers) > 1)} {', '.join(map(str, takers))}."
        )
        self._send(owed)

    def _least_busy(self, lost: Member) -> Member:
        owned = {member.number: 0 for member in self._calls._pool.members}
        for owner in self._calls._owners:
            if owner is not lost and owner.number in owned:
                owned[owner.number] += 1
        return min(self._calls._pool.members, key=lambda member: owned[member.number])

    def _send(self, shards: Iterable[int]) -> None:
        for shard in shards:
            member = self._owner(shard)
            self._waiting[self._request(member, shard)] = shard
            self._asked[shard] = member
            self._heard[member.number] = time.monotonic()
            self._calls.is_cold[shard] = False

    def _owner(self, shard: int) -> Member:
        return self._calls._owners[shard]


def _named(envs: range) -> str:
    if len(envs) == 1:
        return f"environment {envs.start}"
    return f"environments {envs.start} to {envs.stop - 1}"
