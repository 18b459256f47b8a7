"""PredictionService's five calls, as functions of a request:

gRPC answers with them, and the warm-up runs them.
"""

from collections.abc import Callable

import numpy as np
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from dqn_tf.serving.errors import ServingError, invalid
from dqn_tf.serving.grpc import tensors
from dqn_tf.serving.models import classify_regress, status
from dqn_tf.serving.models.loaded_model import Signature
from dqn_tf.serving.models.manager import Held
from dqn_tf.serving.models.runner import Engine

Hold = Callable[[model_pb2.ModelSpec], Held]


class Calls:
    """`hold`(spec) gives the version that a request is for; `deadline`s are of time.monotonic()."""

    def __init__(self, engine: Engine, hold: Hold, as_content: bool, check_method: bool) -> None:
        self._engine, self._hold, self._as_content, self._check_method = (
            engine,
            hold,
            as_content,
            check_method,
        )

    def predict(
        self, request: predict_pb2.PredictRequest, deadline: float | None
    ) -> predict_pb2.PredictResponse:
        """Named tensors in, named tensors out."""
        with self._hold(request.model_spec) as held:
            signature = held.loaded.signature(request.model_spec.signature_name)
            if request.inputs.keys() != signature.inputs.keys():
                signature.check(dict.fromkeys(request.inputs))
            names = _filtered(request.output_filter, signature)
            inputs = {
                alias: tensors.to_array(request.inputs[alias], alias) for alias in signature.inputs
            }
            outputs = self._engine.run(held, signature, inputs, names, deadline)
            response = predict_pb2.PredictResponse()
            _name(response.model_spec, held, signature)
            for name, array in outputs.items():
                tensors.fill(response.outputs[name], array, self._as_content)
            self._engine.record(held, signature, inputs, outputs)
        return response

    def classify(
        self, request: classification_pb2.ClassificationRequest, deadline: float | None
    ) -> classification_pb2.ClassificationResponse:
        """Examples in, labels and scores out."""
        response = classification_pb2.ClassificationResponse()
        response.result.CopyFrom(self._infer("classify", request, deadline, response.model_spec))
        return response

    def regress(
        self, request: regression_pb2.RegressionRequest, deadline: float | None
    ) -> regression_pb2.RegressionResponse:
        """Examples in, a number for each out."""
        response = regression_pb2.RegressionResponse()
        response.result.CopyFrom(self._infer("regress", request, deadline, response.model_spec))
        return response

    def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, deadline: float | None
    ) -> inference_pb2.MultiInferenceResponse:
        """Several signatures of one model on the same examples."""
        if not request.tasks:
            raise invalid("Inference request must contain at least one task")
        if len({task.model_spec.name for task in request.tasks}) > 1:
            raise invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        names = [task.model_spec.signature_name for task in request.tasks]
        if len(set(names)) != len(names):
            raise invalid("Duplicate evaluation of a signature")
        verbs = {method: verb for verb, method in classify_regress.METHODS.items()}
        response = inference_pb2.MultiInferenceResponse()
        for task in request.tasks:
            if (verb := verbs.get(task.method_name)) is None:
                raise ServingError(
                    "UNIMPLEMENTED", f"Unsupported signature method_name: {task.method_name}"
                )
            result = response.results.add()
            part = classification_pb2.ClassificationRequest(
                model_spec=task.model_spec, input=request.input
            )
            found = self._infer(verb, part, deadline, result.model_spec)
            (
                result.classification_result if verb == "classify" else result.regression_result
            ).CopyFrom(found)
        return response

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, _: float | None
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a version."""
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        with self._hold(request.model_spec) as held:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name, response.model_spec.version.value = (
                held.loaded.name,
                held.loaded.version,
            )
            packed = any_pb2.Any()
            packed.Pack(status.signature_def_map(held.loaded))
            response.metadata["signature_def"].CopyFrom(packed)
        return response

    def _infer(self, verb: str, request, deadline: float | None, spec: model_pb2.ModelSpec):
        with self._hold(request.model_spec) as held:
            signature = held.loaded.signature(request.model_spec.signature_name)

            def run(
                signature: Signature, inputs: dict[str, np.ndarray], outputs: tuple[str, ...]
            ) -> dict[str, np.ndarray]:
                return self._engine.run(held, signature, inputs, outputs, deadline)

            found = classify_regress.VERBS[verb](
                run, signature, classify_regress.examples(request.input), self._check_method
            )
            _name(spec, held, signature)
            return found


def _filtered(names, signature: Signature) -> tuple[str, ...] | None:
    if not names:
        return None
    for name in names:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the"
                f" set {{{','.join(signature.outputs)}}}."
            )
    if len(set(names)) != len(names):
        raise invalid("duplicate output tensor alias")
    return tuple(names)


def _name(spec: model_pb2.ModelSpec, held: Held, signature: Signature) -> None:
    spec.name, spec.version.value, spec.signature_name = (
        held.loaded.name,
        held.loaded.version,
        signature.name,
    )
