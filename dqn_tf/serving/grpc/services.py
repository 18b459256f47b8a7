"""PredictionService, ModelService and, if wanted, the health service, on the official servicers."""

import logging
import time
from collections.abc import Callable
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from dqn_tf.serving import config_files
from dqn_tf.serving.errors import NUMBERS, invalid, shortened, translated
from dqn_tf.serving.grpc.calls import Calls
from dqn_tf.serving.models.manager import Held, Manager
from dqn_tf.serving.models.runner import Engine
from dqn_tf.serving.options import Options

LARGEST = 2**31 - 1  # bytes of a message
ENDLESS = 1e8  # seconds; gRPC's word for no deadline is longer
PAUSE = 0.05  # seconds between two looks for a model that a client waits for
STATUS = {code.value[0]: code for code in grpc.StatusCode}
STATES = {
    name: getattr(get_model_status_pb2.ModelVersionStatus, name)
    for name in ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
}

log = logging.getLogger("dqn_tf.serving")


def held(manager: Manager, spec: model_pb2.ModelSpec) -> Held:
    """The version that a spec names, the newest if it names none."""
    if not spec.name:
        raise invalid("Missing ModelSpec, or its name is empty")
    choice = spec.WhichOneof("version_choice")
    return manager.hold(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


class Answers:
    """What all calls share: the client's deadline, errors as status, counts."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def answer(self, api: str, call: Callable, request, context: grpc.ServicerContext):
        """call(request, deadline), or the status that it fails with."""
        started, code = time.perf_counter(), "OK"
        left = context.time_remaining()
        try:
            return call(
                request, None if left is None or left > ENDLESS else time.monotonic() + left
            )
        except Exception as error:
            found = translated(error)
            code = found.code
            if code == "INTERNAL":
                log.error("%s failed", api, exc_info=error)
            context.abort(STATUS[NUMBERS[code]], shortened(found.message))
        finally:
            name = request.model_spec.name if hasattr(request, "model_spec") else ""
            self.engine.metrics.request(
                name if name in self.engine.manager.models else "",
                api,
                "GRPC",
                code,
                time.perf_counter() - started,
            )


class PredictionService(Answers, prediction_service_pb2_grpc.PredictionServiceServicer):
    """See tensorflow_serving/apis/prediction_service.proto."""

    def __init__(self, engine: Engine, options: Options) -> None:
        super().__init__(engine)
        self.calls = Calls(
            engine,
            lambda spec: held(engine.manager, spec),
            options.enable_serialization_as_tensor_content,
            options.enable_signature_method_name_check,
        )

    def Predict(self, request, context):
        return self.answer("Predict", self.calls.predict, request, context)

    def Classify(self, request, context):
        return self.answer("Classify", self.calls.classify, request, context)

    def Regress(self, request, context):
        return self.answer("Regress", self.calls.regress, request, context)

    def MultiInference(self, request, context):
        return self.answer("MultiInference", self.calls.multi_inference, request, context)

    def GetModelMetadata(self, request, context):
        return self.answer("GetModelMetadata", self.calls.metadata, request, context)


class ModelService(Answers, model_service_pb2_grpc.ModelServiceServicer):
    """See tensorflow_serving/apis/model_service.proto."""

    def __init__(self, engine: Engine, options: Options) -> None:
        super().__init__(engine)
        self._to_any = options.allow_version_labels_for_unavailable_models

    def GetModelStatus(self, request, context):
        return self.answer("GetModelStatus", self._status, request, context)

    def _status(
        self, request: get_model_status_pb2.GetModelStatusRequest, _: float | None
    ) -> get_model_status_pb2.GetModelStatusResponse:
        spec = request.model_spec
        if not spec.name:
            raise invalid("Missing ModelSpec, or its name is empty")
        version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for entry in self.engine.manager.status(spec.name, version):
            added = response.model_version_status.add(
                version=entry.version, state=STATES[entry.state]
            )
            if entry.error is not None:
                added.status.error_code, added.status.error_message = (
                    NUMBERS[entry.error.code],
                    entry.error.message,
                )
            else:
                added.status.error_code = 0
        return response

    def HandleReloadConfigRequest(self, request, context):
        response = model_management_pb2.ReloadConfigResponse()
        try:
            self._reload(request, context)
        except Exception as error:
            found = translated(error)
            response.status.error_code, response.status.error_message = (
                NUMBERS[found.code],
                found.message,
            )
            context.set_code(STATUS[NUMBERS[found.code]])
            context.set_details(shortened(found.message))
        return response

    def _reload(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> None:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only"
                " model_config_list is"
            )
        self.engine.manager.configure(config_files.served(request.config))

        def patient() -> bool:
            time.sleep(PAUSE)
            return context.is_active()

        self.engine.manager.wait(patient)
        self.engine.manager.assign_labels(self._to_any)


def start(engine: Engine, options: Options) -> tuple[grpc.Server, int]:
    """A server that answers, and its port. Raises OSError."""
    # they would show a traceback for each message that cannot be read
    for name in ("grpc._common", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    server = grpc.server(
        futures.ThreadPoolExecutor(options.grpc_max_threads, "grpc"),
        maximum_concurrent_rpcs=options.max_concurrent_requests,
        options=[
            ("grpc.max_receive_message_length", LARGEST),
            ("grpc.max_send_message_length", LARGEST),
            ("grpc.so_reuseport", 0),
            *options.channel_arguments(),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(engine, options), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(engine, options), server)
    if options.enable_grpc_healthcheck_service:
        servicer = health.HealthServicer()
        for name in ("ModelService", "PredictionService"):
            servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        port = server.add_insecure_port(f"{host}:{max(options.port, 0)}")
    except RuntimeError as error:
        raise OSError(0, str(error)) from error
    if port == 0:
        raise OSError(0, "the address cannot be bound")
    server.start()
    return server, port
