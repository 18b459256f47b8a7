"""PredictionService's five calls, as functions of a request.

gRPC answers with them, and the warm-up runs them.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.grpc import tensors
from dqn_tf.serving.grpc.lanes import Lane
from dqn_tf.serving.models import classify_regress, status
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.models.signature import Arrays, Signature, count_bytes
from dqn_tf.serving.workload import Claim

HoldVersion = Callable[[model_pb2.ModelSpec], VersionHandle]


class Caller(NamedTuple):
    """What a call has to know of its client: the deadline is a time.monotonic()."""

    deadline: float | None
    is_active: Callable[[], bool]  # False once the client has gone
    claim: Claim
    lane: Lane  # what takes long happens in its `slow` context


class PredictionCalls:
    """The calls. `hold(spec)` holds the version that a request is for."""

    def __init__(
        self,
        runner: SignatureRunner,
        hold: HoldVersion,
        as_content: bool,
        check_method: bool,
        max_rows: int,
    ) -> None:
        self._runner = runner
        self._max_rows = max_rows
        self._hold = hold
        self._as_content = as_content
        self._check_method = check_method

    def predict(
        self, request: predict_pb2.PredictRequest, caller: Caller
    ) -> predict_pb2.PredictResponse:
        """Take named tensors and return named tensors."""
        with self._hold(request.model_spec) as handle:
            signature = handle.model.signature(request.model_spec.signature_name)
            signature.check_names(request.inputs)
            names = _filtered_outputs(request.output_filter, signature)
            inputs = {
                alias: tensors.to_array(request.inputs[alias], tensor, alias, self._max_rows)
                for alias, tensor in signature.inputs.items()
            }
            is_slow = handle.batcher is not None or not signature.is_fast(inputs)
            with caller.lane.slow(caller.deadline) if is_slow else nullcontext():
                outputs = self._runner.run(handle, signature, inputs, names, caller.deadline)
                caller.claim.add(count_bytes(outputs))
                response = predict_pb2.PredictResponse()
                _fill_spec(response.model_spec, handle, signature)
                for name, array in outputs.items():
                    tensors.fill(response.outputs[name], array, self._as_content)
                self._runner.observe(handle, signature, inputs, outputs, request.client_id)
        return response

    def classify(
        self, request: classification_pb2.ClassificationRequest, caller: Caller
    ) -> classification_pb2.ClassificationResponse:
        """Take examples and return labels and scores."""
        response = classification_pb2.ClassificationResponse()
        result = self._infer("classify", request, caller, response.model_spec)
        response.result.CopyFrom(result)
        return response

    def regress(
        self, request: regression_pb2.RegressionRequest, caller: Caller
    ) -> regression_pb2.RegressionResponse:
        """Take examples and return a number for each."""
        response = regression_pb2.RegressionResponse()
        result = self._infer("regress", request, caller, response.model_spec)
        response.result.CopyFrom(result)
        return response

    def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, caller: Caller
    ) -> inference_pb2.MultiInferenceResponse:
        """Run several signatures of one model on the same examples."""
        if not request.tasks:
            raise invalid_argument("Inference request must contain at least one task")
        if len({task.model_spec.name for task in request.tasks}) > 1:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        names = [task.model_spec.signature_name for task in request.tasks]
        if len(set(names)) != len(names):
            raise invalid_argument("Duplicate evaluation of a signature")
        verbs = {method: verb for verb, method in classify_regress.METHODS.items()}
        response = inference_pb2.MultiInferenceResponse()
        for task in request.tasks:
            verb = verbs.get(task.method_name)
            if verb is None:
                raise ServingError(
                    "UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name}"
                )
            part = classification_pb2.ClassificationRequest(
                model_spec=task.model_spec, input=request.input
            )
            entry = response.results.add()
            result = self._infer(verb, part, caller, entry.model_spec)
            if verb == "classify":
                entry.classification_result.CopyFrom(result)
            else:
                entry.regression_result.CopyFrom(result)
        return response

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, _: Caller
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Return the signatures of a version."""
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        with self._hold(request.model_spec) as handle:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = handle.model.name
            response.model_spec.version.value = handle.model.version
            packed = any_pb2.Any()
            packed.Pack(status.signature_def_map(handle.model))
            response.metadata["signature_def"].CopyFrom(packed)
        return response

    def _infer(self, verb: str, request: Any, caller: Caller, spec: model_pb2.ModelSpec) -> Any:
        """Classify or regress the request's examples, and fill the response's `spec`."""
        with self._hold(request.model_spec) as handle, caller.lane.slow(caller.deadline):
            signature = handle.model.signature(request.model_spec.signature_name)

            def run(signature: Signature, inputs: Arrays, outputs: tuple[str, ...]) -> Arrays:
                return self._runner.run(handle, signature, inputs, outputs, caller.deadline)

            serialized = classify_regress.serialized_examples(request.input)
            infer = classify_regress.VERBS[verb]
            result = infer(run, signature, serialized, self._check_method)
            _fill_spec(spec, handle, signature)
            return result


def _filtered_outputs(names: Sequence[str], signature: Signature) -> tuple[str, ...] | None:
    """Return the outputs that the request asks for; None for all. Raises INVALID_ARGUMENT."""
    if not names:
        return None
    for name in names:
        if name not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the"
                f" set {{{','.join(signature.outputs)}}}."
            )
    if len(set(names)) != len(names):
        raise invalid_argument("duplicate output tensor alias")
    return tuple(names)


def _fill_spec(spec: model_pb2.ModelSpec, handle: VersionHandle, signature: Signature) -> None:
    spec.name = handle.model.name
    spec.version.value = handle.model.version
    spec.signature_name = signature.name
