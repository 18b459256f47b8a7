"""The methods of PredictionService and ModelService: which message each takes, and what it does."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from dqn_tf.serving import config_files
from dqn_tf.serving.errors import GRPC_NUMBERS, check_deadline, invalid_argument, to_serving_error
from dqn_tf.serving.grpc.calls import Caller, PredictionCalls
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.options import Options

POLL_SECONDS = 0.05  # between two polls for a model that a client waits for
STATES = {
    name: getattr(get_model_status_pb2.ModelVersionStatus, name)
    for name in ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
}


class Method(NamedTuple):
    """One method: the class of its request, and the function that returns its response."""

    request_class: type[Message]
    call: Callable[[Any, Caller], Message]


def methods(runner: SignatureRunner, options: Options) -> dict[str, Method]:
    """Return all methods by their full names."""
    calls = PredictionCalls(
        runner,
        lambda spec: hold_version(runner.manager, spec),
        as_content=options.enable_serialization_as_tensor_content,
        check_method=options.enable_signature_method_name_check,
        max_rows=options.max_request_rows,
    )
    model_service = ModelService(runner.manager, options)
    prediction = "/tensorflow.serving.PredictionService"
    model = "/tensorflow.serving.ModelService"
    return {
        f"{prediction}/Predict": Method(predict_pb2.PredictRequest, calls.predict),
        f"{prediction}/Classify": Method(classification_pb2.ClassificationRequest, calls.classify),
        f"{prediction}/Regress": Method(regression_pb2.RegressionRequest, calls.regress),
        f"{prediction}/MultiInference": Method(
            inference_pb2.MultiInferenceRequest, calls.multi_inference
        ),
        f"{prediction}/GetModelMetadata": Method(
            get_model_metadata_pb2.GetModelMetadataRequest, calls.metadata
        ),
        f"{model}/GetModelStatus": Method(
            get_model_status_pb2.GetModelStatusRequest, model_service.status
        ),
        f"{model}/HandleReloadConfigRequest": Method(
            model_management_pb2.ReloadConfigRequest, model_service.reload
        ),
    }


def hold_version(manager: ModelManager, spec: model_pb2.ModelSpec) -> VersionHandle:
    """Hold the version that a spec names, the newest if it names none. Raises ServingError."""
    _check_spec(spec)
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    label = spec.version_label if choice == "version_label" else None
    return manager.hold(spec.name, version, label)


class ModelService:
    """ModelService of tensorflow_serving/apis/model_service.proto."""

    def __init__(self, manager: ModelManager, options: Options) -> None:
        self._manager = manager
        self._allow_unavailable = options.allow_version_labels_for_unavailable_models

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest, _: Caller
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Return the states of a model's versions. Raises ServingError."""
        spec = request.model_spec
        _check_spec(spec)
        version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for entry in self._manager.status(spec.name, version):
            state = STATES[entry.state]
            version_status = response.model_version_status.add(version=entry.version, state=state)
            version_status.status.error_code = 0
            if entry.error is not None:
                version_status.status.error_code = GRPC_NUMBERS[entry.error.code]
                version_status.status.error_message = entry.error.message
        return response

    def reload(
        self,
        request: model_management_pb2.ReloadConfigRequest,
        caller: Caller,
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serve what the request lists; the response holds the status."""
        response = model_management_pb2.ReloadConfigResponse()

        def keep_waiting() -> bool:
            check_deadline(caller.deadline)
            time.sleep(POLL_SECONDS)
            return caller.is_active()

        try:
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid_argument(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only"
                    " model_config_list is"
                )
            configs = config_files.model_configs(request.config)
            with caller.lane.aside():
                self._manager.reload(configs, keep_waiting, self._allow_unavailable)
        except Exception as error:
            cause = to_serving_error(error)
            response.status.error_code = GRPC_NUMBERS[cause.code]
            response.status.error_message = cause.message
        return response


def _check_spec(spec: model_pb2.ModelSpec) -> None:
    if not spec.name:
        raise invalid_argument("Missing ModelSpec, or its name is empty")
