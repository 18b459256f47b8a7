"""gRPC's server: both services and, if it is turned on, the health service.

A message is received as bytes, and looked at before protobuf reads it. To the server each call is
one with a stream of messages, of which it takes the first: so it knows of a call before its message
is there, and can end one whose message does not come.
"""

import functools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import model_management_pb2

from dqn_tf.serving.errors import (
    GRPC_NUMBERS,
    ServingError,
    invalid_argument,
    shorten,
    to_serving_error,
)
from dqn_tf.serving.grpc import health, services, wire
from dqn_tf.serving.grpc.calls import Caller
from dqn_tf.serving.grpc.lanes import Lane, Lanes
from dqn_tf.serving.grpc.pending import PendingCalls
from dqn_tf.serving.grpc.services import Method
from dqn_tf.serving.grpc.threads import Threads
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.options import Options
from dqn_tf.serving.workload import HEAVY_BYTES, LARGE_BYTES, Claim, Workload

NO_DEADLINE = 1e8  # seconds; gRPC reports a longer time for a call without deadline
LARGEST_REPLY = 2**31 - 1  # bytes
MOST_WAITING = 256  # calls whose message is not there yet
HANDSHAKE_MS = 10_000
IDLE_MS = 120_000  # that a connection may be without a call
KEEPALIVE_MS = 30_000  # after which a silent client is asked whether it is there
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}

log = logging.getLogger("dqn_tf.serving")


class GrpcServer:
    """Answers both services' calls."""

    def __init__(self, runner: SignatureRunner, options: Options, workload: Workload) -> None:
        # gRPC's own threads would log a traceback for each client that goes away
        for name in ("grpc._common", "grpc._server"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._options = options
        self._calls = PendingCalls(MOST_WAITING)
        answerer = _Answerer(runner, options, workload, self._calls)
        # one for each call that waits for its message, and for each in a lane
        threads = MOST_WAITING + options.max_concurrent_requests + options.grpc_max_threads
        self._server = grpc.server(
            Threads(threads, "grpc"),
            handlers=[answerer],
            maximum_concurrent_rpcs=2 * threads,
            options=[
                ("grpc.max_receive_message_length", options.max_request_bytes),
                ("grpc.max_send_message_length", LARGEST_REPLY),
                ("grpc.per_message_decompression", 0),  # wire.unpack does it, within a limit
                ("grpc.max_allowed_incoming_connections", options.max_connections),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.max_connection_idle_ms", IDLE_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.so_reuseport", 0),
                *options.channel_arguments(),
            ],
        )

    def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = int(self._server.add_insecure_port(address))
        except RuntimeError as error:
            raise OSError(0, str(error)) from error
        if bound == 0:
            raise OSError(0, "the address cannot be bound")
        self._server.start()
        return bound

    def stop(self, seconds: float) -> threading.Event:
        """Take no more calls; the event is set when all have ended, or were cut off in time."""
        event: threading.Event = self._server.stop(seconds)
        self._calls.stop()
        return event


class _Answerer(grpc.GenericRpcHandler):
    """Finds the method of each call, and answers it."""

    def __init__(
        self,
        runner: SignatureRunner,
        options: Options,
        workload: Workload,
        pending_calls: PendingCalls,
    ) -> None:
        self._runner = runner
        self._limit = options.max_request_bytes
        self._workload = workload
        self._pending_calls = pending_calls
        self._lanes = Lanes(options.grpc_max_threads, options.max_concurrent_requests)
        self._handlers = {
            name: grpc.stream_unary_rpc_method_handler(
                functools.partial(self._answer, name.rpartition("/")[2], method)
            )
            for name, method in services.methods(runner, options).items()
        }
        if options.enable_grpc_healthcheck_service:
            self._handlers |= health.handlers(pending_calls)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a call; None for a method that there is not."""
        return self._handlers.get(details.method)

    def _answer(
        self, api: str, method: Method, messages: Iterator[bytes], context: grpc.ServicerContext
    ) -> bytes:
        """Return the serialized response, or abort with the status of its error."""
        pending = self._pending_calls.begin(context)
        try:
            message = next(messages, None)
        except Exception:  # the client has gone, or was too slow
            return b""
        finally:
            pending.work()
        started = time.perf_counter()
        names: list[str] = []
        claim = self._workload.bytes.claim()
        try:
            reply = self._respond(method, message, context, claim, names)
            claim.set(len(reply))
            return reply
        except Exception as error:
            cause = to_serving_error(error)
            if cause.code == "INTERNAL":
                log.error("%s failed", api, exc_info=error)
            context.abort(STATUS_CODES[GRPC_NUMBERS[cause.code]], shorten(cause.message))
            raise AssertionError from error  # abort raises
        finally:
            pending.send(claim.release)
            # set by what was aborted, and by a configuration that could not be served
            code = context.code() or grpc.StatusCode.OK
            self._count(api, names, code.name, time.perf_counter() - started)

    def _respond(
        self,
        method: Method,
        message: bytes | None,
        context: grpc.ServicerContext,
        claim: Claim,
        names: list[str],
    ) -> bytes:
        if message is None:
            raise ServingError("UNIMPLEMENTED", "A call needs exactly one message")
        deadline = _deadline(context)
        lane = Lane(self._lanes)
        caller = Caller(deadline, context.is_active, claim, lane)
        claim.add(len(message))
        if wire.is_packed(message):
            with self._workload.turn(len(message), deadline):
                message = wire.unpack(message, self._limit, claim, deadline)
        size = len(message)
        if size <= HEAVY_BYTES:  # the usual case, which waits for nobody
            request = _parse(method, message)
            return self._call(method, request, context, caller, names)
        with self._workload.turn(size, deadline), lane.quick(deadline):
            wire.check(message, method.request_class.DESCRIPTOR, deadline)
            request = _parse(method, message)
            if size > LARGE_BYTES:  # its turn lasts until the reply is there
                return self._call(method, request, context, caller, names)
        with lane.quick(deadline):
            return self._call(method, request, context, caller, names)

    def _call(
        self,
        method: Method,
        request: Any,
        context: grpc.ServicerContext,
        caller: Caller,
        names: list[str],
    ) -> bytes:
        if hasattr(request, "model_spec"):
            names.append(request.model_spec.name)
        response = method.call(request, caller)
        if isinstance(response, model_management_pb2.ReloadConfigResponse):
            context.set_code(STATUS_CODES[response.status.error_code])
            context.set_details(shorten(response.status.error_message))
        return bytes(response.SerializeToString())

    def _count(self, api: str, names: list[str], code: str, seconds: float) -> None:
        # a name that nobody serves is not worth a counter of its own
        model = names[0] if names and names[0] in self._runner.manager.models else ""
        self._runner.metrics.count_request(model, api, "GRPC", code, seconds)


def _parse(method: Method, message: bytes) -> Message:
    try:
        return method.request_class.FromString(message)
    except DecodeError as error:
        raise invalid_argument(f"The message cannot be read: {error}") from None


def _deadline(context: grpc.ServicerContext) -> float | None:
    """Return the client's deadline as a time.monotonic(); None if it has none."""
    seconds = context.time_remaining()
    if seconds is None or seconds > NO_DEADLINE:
        return None
    return time.monotonic() + seconds
