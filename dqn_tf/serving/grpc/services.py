"""PredictionService and ModelService on the official servicers."""

import logging
import time
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from dqn_tf.serving import config_files
from dqn_tf.serving.errors import GRPC_NUMBERS, invalid_argument, shorten, to_serving_error
from dqn_tf.serving.grpc.calls import PredictionCalls
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.options import Options

NO_DEADLINE = 1e8  # seconds; gRPC reports a longer time for a call without deadline
POLL_SECONDS = 0.05  # between two polls for a model that a client waits for
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
STATES = {
    name: getattr(get_model_status_pb2.ModelVersionStatus, name)
    for name in ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
}

log = logging.getLogger("dqn_tf.serving")


def hold_version(manager: ModelManager, spec: model_pb2.ModelSpec) -> VersionHandle:
    """Hold the version that a spec names, the newest if it names none. Raises ServingError."""
    _check_spec(spec)
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    label = spec.version_label if choice == "version_label" else None
    return manager.hold(spec.name, version, label)


class Service:
    """What all calls share: the client's deadline, errors as status, counts."""

    def __init__(self, runner: SignatureRunner) -> None:
        self.runner = runner

    def answer(
        self, api: str, call: Callable[..., Any], request: Any, context: grpc.ServicerContext
    ) -> Any:
        """Return call(request, deadline), or abort with the status of its error."""
        started = time.perf_counter()
        code = "OK"
        try:
            return call(request, _deadline(context))
        except Exception as error:
            cause = to_serving_error(error)
            code = cause.code
            if code == "INTERNAL":
                log.error("%s failed", api, exc_info=error)
            context.abort(STATUS_CODES[GRPC_NUMBERS[code]], shorten(cause.message))
        finally:
            seconds = time.perf_counter() - started
            name = request.model_spec.name if hasattr(request, "model_spec") else ""
            # a name that nobody serves is not worth a counter of its own
            model = name if name in self.runner.manager.models else ""
            self.runner.metrics.count_request(model, api, "GRPC", code, seconds)


class PredictionService(Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """PredictionService of tensorflow_serving/apis/prediction_service.proto."""

    def __init__(self, runner: SignatureRunner, options: Options) -> None:
        super().__init__(runner)
        self.calls = PredictionCalls(
            runner,
            lambda spec: hold_version(runner.manager, spec),
            options.enable_serialization_as_tensor_content,
            options.enable_signature_method_name_check,
        )

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.answer("Predict", self.calls.predict, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.answer("Classify", self.calls.classify, request, context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.answer("Regress", self.calls.regress, request, context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.answer("MultiInference", self.calls.multi_inference, request, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.answer("GetModelMetadata", self.calls.metadata, request, context)


class ModelService(Service, model_service_pb2_grpc.ModelServiceServicer):
    """ModelService of tensorflow_serving/apis/model_service.proto."""

    def __init__(self, runner: SignatureRunner, options: Options) -> None:
        super().__init__(runner)
        self._allow_unavailable = options.allow_version_labels_for_unavailable_models

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.answer("GetModelStatus", self._status, request, context)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        response = model_management_pb2.ReloadConfigResponse()
        try:
            self._reload(request, context)
        except Exception as error:
            cause = to_serving_error(error)
            number = GRPC_NUMBERS[cause.code]
            response.status.error_code = number
            response.status.error_message = cause.message
            context.set_code(STATUS_CODES[number])
            context.set_details(shorten(cause.message))
        return response

    def _status(
        self, request: get_model_status_pb2.GetModelStatusRequest, _: float | None
    ) -> get_model_status_pb2.GetModelStatusResponse:
        spec = request.model_spec
        _check_spec(spec)
        version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for entry in self.runner.manager.status(spec.name, version):
            state = STATES[entry.state]
            version_status = response.model_version_status.add(version=entry.version, state=state)
            version_status.status.error_code = 0
            if entry.error is not None:
                version_status.status.error_code = GRPC_NUMBERS[entry.error.code]
                version_status.status.error_message = entry.error.message
        return response

    def _reload(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> None:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only"
                " model_config_list is"
            )
        manager = self.runner.manager
        manager.configure(config_files.model_configs(request.config))

        def keep_waiting() -> bool:
            time.sleep(POLL_SECONDS)
            return bool(context.is_active())

        manager.wait(keep_waiting)
        manager.assign_labels(self._allow_unavailable)


def _check_spec(spec: model_pb2.ModelSpec) -> None:
    if not spec.name:
        raise invalid_argument("Missing ModelSpec, or its name is empty")


def _deadline(context: grpc.ServicerContext) -> float | None:
    """Return the client's deadline as a time.monotonic(); None if it has none."""
    seconds = context.time_remaining()
    if seconds is None or seconds > NO_DEADLINE:
        return None
    return time.monotonic() + seconds
