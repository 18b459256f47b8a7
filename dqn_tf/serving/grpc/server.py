"""Starts gRPC's server with both services and, if it is turned on, the health service."""

import logging
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from dqn_tf.serving.grpc.services import ModelService, PredictionService
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.options import Options

LARGEST_MESSAGE = 2**31 - 1  # bytes


def start(runner: SignatureRunner, options: Options) -> tuple[grpc.Server, int]:
    """Return a server that answers, and its port. Raises OSError."""
    # they would show a traceback for each message that cannot be read
    for name in ("grpc._common", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    server = grpc.server(
        futures.ThreadPoolExecutor(options.grpc_max_threads, "grpc"),
        maximum_concurrent_rpcs=options.max_concurrent_requests,
        options=[
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),
            *options.channel_arguments(),
        ],
    )
    prediction_service = PredictionService(runner, options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction_service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(runner, options), server)
    if options.enable_grpc_healthcheck_service:
        _add_health(server)
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        port = server.add_insecure_port(f"{host}:{max(options.port, 0)}")
    except RuntimeError as error:
        raise OSError(0, str(error)) from error
    if port == 0:
        raise OSError(0, "the address cannot be bound")
    server.start()
    return server, port


def _add_health(server: grpc.Server) -> None:
    servicer = health.HealthServicer()
    for name in ("ModelService", "PredictionService"):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
