"""Calls at hand: none may wait for its client for long.

A client owes the server something while its message is incomplete, and while it does not read its
reply. Such a call keeps a thread, or memory. After some time it is cancelled; so is the one that
waits longest, if there are too many.
"""

import threading
import time
from collections.abc import Callable

import grpc

MESSAGE_SECONDS = 30  # for the message of a call
REPLY_SECONDS = 60  # for reading the reply
SWEEP_SECONDS = 1.0


class PendingCall:
    """One call, and since when it waits for its client."""

    def __init__(self, calls: "PendingCalls", context: grpc.ServicerContext) -> None:
        self.context = context
        self.waits_since = time.monotonic()
        self.has_reply = False
        self._calls = calls

    @property
    def limit(self) -> int:
        """The seconds that it may wait."""
        return REPLY_SECONDS if self.has_reply else MESSAGE_SECONDS

    def work(self) -> None:
        """Stop waiting: the message is there."""
        self._calls.forget(self)

    def send(self, when_read: Callable[[], None]) -> None:
        """Begin to wait until the reply is read, or the call has ended otherwise."""
        self.waits_since = time.monotonic()
        self.has_reply = True
        self._calls.remember(self)

        def end() -> None:
            self.work()
            when_read()

        if not self.context.add_callback(end):  # it has ended already
            end()


class PendingCalls:
    """The calls that wait for their clients, at most `limit` of them for their messages."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[int, PendingCall] = {}
        self._lasting: dict[int, grpc.ServicerContext] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        threading.Thread(target=self._sweep, name="grpc sweep", daemon=True).start()

    def begin(self, context: grpc.ServicerContext) -> PendingCall:
        """Begin to wait for the message of a call."""
        call = PendingCall(self, context)
        with self._lock:
            oldest = next(iter(self._waiting.values()), None)
            is_full = len(self._waiting) >= self._limit
        if is_full and oldest is not None:
            oldest.context.cancel()
            self.forget(oldest)
        self.remember(call)
        return call

    def remember(self, call: PendingCall) -> None:
        """Count a call among those that wait."""
        with self._lock:
            self._waiting[id(call)] = call

    def forget(self, call: PendingCall) -> None:
        """Count a call no more."""
        with self._lock:
            self._waiting.pop(id(call), None)

    def remember_lasting(self, context: grpc.ServicerContext) -> None:
        """Count a call that ends only with its client, or with the server."""
        with self._lock:
            self._lasting[id(context)] = context

        def end() -> None:
            with self._lock:
                self._lasting.pop(id(context), None)

        if not context.add_callback(end):  # it has ended already
            end()

    def stop(self) -> None:
        """End the thread, and the calls that nothing is done for."""
        self._stop.set()
        with self._lock:
            waiting = [call.context for call in self._waiting.values() if not call.has_reply]
            waiting += self._lasting.values()
        for context in waiting:
            context.cancel()

    def _sweep(self) -> None:
        while not self._stop.wait(SWEEP_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [
                    call for call in self._waiting.values() if now - call.waits_since > call.limit
                ]
            for call in late:
                call.context.cancel()
                self.forget(call)
