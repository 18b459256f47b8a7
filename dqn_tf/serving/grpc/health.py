"""gRPC's health service, for ModelService and PredictionService."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.grpc.pending import PendingCalls
from dqn_tf.serving.workload import Places

NAMES = ("ModelService", "PredictionService")
MOST_WATCHERS = 128


def handlers(pending_calls: PendingCalls) -> dict[str, grpc.RpcMethodHandler]:
    """Return the methods' handlers by their full names."""
    servicer = health.HealthServicer()
    for name in NAMES:
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)

    watchers = Places(MOST_WATCHERS)

    def check(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        return servicer.Check(_first(pending_calls, messages, context), context)

    def watch(
        messages: Iterator[Any], context: grpc.ServicerContext, send: Callable[[Any], None]
    ) -> None:
        message = _first(pending_calls, messages, context)
        try:
            watchers.take()
        except ServingError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, error.message)
        if not context.add_callback(watchers.free):  # it has ended already
            watchers.free()
        pending_calls.remember_lasting(context)
        servicer.Watch(message, context, send)

    # so that it does not keep a thread for as long as a client watches
    watch.experimental_non_blocking = True  # type: ignore[attr-defined]
    serialization = {
        "request_deserializer": health_pb2.HealthCheckRequest.FromString,
        "response_serializer": health_pb2.HealthCheckResponse.SerializeToString,
    }
    return {
        "/grpc.health.v1.Health/Check": grpc.stream_unary_rpc_method_handler(
            check, **serialization
        ),
        "/grpc.health.v1.Health/Watch": grpc.stream_stream_rpc_method_handler(
            watch, **serialization
        ),
    }


def _first(
    pending_calls: PendingCalls, messages: Iterator[Any], context: grpc.ServicerContext
) -> Any:
    """Return the message of a call. Raises grpc.RpcError if the client goes away."""
    pending = pending_calls.begin(context)
    try:
        message = next(messages, None)
    finally:
        pending.work()
    if message is None:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "A call needs exactly one message")
    return message
