"""docs/serving.md's gRPC contract, call by call, as a client sees it: against the embedded server,
and unchanged against TensorFlow Serving where there is one.
"""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

import signature_zoo
from server_process import NAME

ROW = [[1.0, 2.0, 3.0, 4.0]]
CODES = grpc.StatusCode


def request(
    signature: str = "",
    name: str = NAME,
    filtered: tuple[str, ...] = (),
    version: int | None = None,
    **inputs,
) -> predict_pb2.PredictRequest:
    """A predict request; inputs are arrays or protos."""
    made = predict_pb2.PredictRequest(output_filter=filtered)
    made.model_spec.name, made.model_spec.signature_name = name, signature
    if version is not None:
        made.model_spec.version.value = version
    for alias, value in inputs.items():
        made.inputs[alias].CopyFrom(
            value
            if isinstance(value, tf.compat.v1.make_tensor_proto(0).__class__)
            else tf.make_tensor_proto(value)
        )
    return made


def observation(value=ROW, dtype=np.float32, **options) -> predict_pb2.PredictRequest:
    return request(observation=np.array(value, dtype), **options)


def fails(call, *arguments, **options) -> tuple[grpc.StatusCode, str]:
    """Code and message of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    assert "Traceback" not in caught.value.details()
    return caught.value.code(), caught.value.details()


def test_predict(server):
    answer = server.prediction.Predict(observation())
    assert (
        answer.model_spec.name == NAME
        and answer.model_spec.version.value == 3
        and answer.model_spec.signature_name == "serving_default"
    )
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["q_values"]), [[106.0, 103.0]])
    assert tf.make_ndarray(answer.outputs["action"]).tolist() == [0]
    assert answer.outputs["q_values"].float_val and not answer.outputs["q_values"].tensor_content


def test_an_empty_batch(server):
    answer = server.prediction.Predict(observation(np.zeros((0, 4))))
    assert tf.make_ndarray(answer.outputs["q_values"]).shape == (0, 2)


@pytest.mark.parametrize("dtype", signature_zoo.DTYPES)
@pytest.mark.parametrize("shape", [(), (2, 3)], ids=str)
def test_every_type_comes_back(server, dtype, shape):
    kind = tf.as_dtype(dtype).as_numpy_dtype
    value = (
        np.full(shape, b"text", object)
        if dtype == "string"
        else np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind)
    )
    answer = server.prediction.Predict(request(f"echo_{dtype}", x=value))
    found = tf.make_ndarray(answer.outputs["y"])
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


def test_a_short_list_of_values_repeats_its_last(server):
    proto = tf.make_tensor_proto([1.0, 2.0], tf.float32)
    proto.tensor_content, proto.float_val[:] = b"", [1.0, 2.0]
    proto.tensor_shape.dim[0].size = 4
    answer = server.prediction.Predict(request("echo_float32", x=proto))
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == [1.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize("texts", [[b"a", b"bc"], [b"", b"x" * 300, "ü".encode()], []], ids=str)
def test_strings_as_content_are_read_as_tensorflow_reads_them(server, texts):
    lengths = b"".join(_varint(len(text)) for text in texts)
    proto = tf.make_tensor_proto(texts, tf.string)
    proto.string_val[:] = []
    proto.tensor_content = lengths + b"".join(texts)
    assert tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy().tolist() == texts
    answer = server.prediction.Predict(request("echo_string", x=proto))
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == texts


@pytest.mark.parametrize("content", [b"\x01\x02ab", b"\x01\x02abcd", b"\x01", b"\x80", b"\xff" * 9])
def test_strings_as_content_that_are_not_whole(server, content):
    proto = tf.make_tensor_proto([b"a", b"bc"], tf.string)
    proto.string_val[:] = []
    proto.tensor_content = content
    code, message = fails(server.prediction.Predict, request("echo_string", x=proto))
    assert code == CODES.INVALID_ARGUMENT and "tensor parsing error: x" in message


def _varint(number: int) -> bytes:
    low = number & 127
    return bytes([low | 128]) + _varint(number >> 7) if number > 127 else bytes([low])


def _proto(**fields) -> object:
    proto = tf.make_tensor_proto([1.0, 2.0], tf.float32)
    size = fields.pop("size", None)
    for name, value in fields.items():
        setattr(proto, name, value)
    if size is not None:
        proto.tensor_shape.dim[0].size = size
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        _proto(tensor_content=b"123"),
        _proto(size=-2),
        _proto(size=3),
        _proto(dtype=0),
        _proto(dtype=99),
    ],
    ids=str,
)
def test_a_malformed_tensor(server, proto):
    code, message = fails(server.prediction.Predict, request("echo_float32", x=proto))
    assert code == CODES.INVALID_ARGUMENT and "tensor parsing error: x" in message


@pytest.mark.parametrize(
    "made, code, words",
    [
        (predict_pb2.PredictRequest(), CODES.INVALID_ARGUMENT, ""),
        (observation(name=""), CODES.INVALID_ARGUMENT, ""),
        (observation(name="none"), CODES.NOT_FOUND, "Servable not found for request: Latest(none)"),
        (
            observation(version=7),
            CODES.NOT_FOUND,
            f"Servable not found for request: Specific({NAME}, 7)",
        ),
        (observation(signature="none"), CODES.FAILED_PRECONDITION, "none"),
        (request(), CODES.INVALID_ARGUMENT, "Missing but required: {observation}"),
        (
            request(observation=np.float32(ROW), more=np.float32(1)),
            CODES.INVALID_ARGUMENT,
            "Sent extra: {more}",
        ),
        (request(other=np.float32(ROW)), CODES.INVALID_ARGUMENT, ""),
        (observation(dtype=np.int32), CODES.INVALID_ARGUMENT, "to be float"),
        (observation(dtype=np.float64), CODES.INVALID_ARGUMENT, "to be float"),
        (observation([[1, 2, 3]]), CODES.INVALID_ARGUMENT, ""),
        (observation([1, 2, 3, 4]), CODES.INVALID_ARGUMENT, ""),
        (observation([ROW]), CODES.INVALID_ARGUMENT, ""),
        (observation(filtered=("none",)), CODES.INVALID_ARGUMENT, "none"),
        (observation(filtered=("action", "action")), CODES.INVALID_ARGUMENT, "duplicate"),
        (request("fussy", x=np.float32([[-1]])), CODES.INVALID_ARGUMENT, ""),
    ],
    ids=lambda value: str(value)[:50].replace("\n", " "),
)
def test_errors(server, made, code, words):
    found, message = fails(server.prediction.Predict, made)
    assert found == code and words in message


def test_an_unknown_label(server):
    made = observation()
    made.model_spec.version_label = "none"
    assert fails(server.prediction.Predict, made)[0] == CODES.INVALID_ARGUMENT


def test_output_filter(server):
    assert set(server.prediction.Predict(observation(filtered=("action",))).outputs) == {"action"}
    assert set(server.prediction.Predict(observation()).outputs) == {"action", "q_values"}


def test_a_long_message_is_cut(server):
    code, message = fails(server.prediction.Predict, observation(name="n" * 5000))
    assert code == CODES.NOT_FOUND and len(message) <= 1100 and message.endswith("...TRUNCATED")


def test_large_replies(server):
    value = np.arange(3 << 20, dtype=np.float32)
    np.testing.assert_array_equal(
        tf.make_ndarray(server.prediction.Predict(request("echo_float32", x=value)).outputs["y"]),
        value,
    )


def test_the_clients_deadline_ends_the_run(server):
    assert (
        fails(server.prediction.Predict, request("slow", seconds=np.float32([5])), timeout=0.3)[0]
        == CODES.DEADLINE_EXCEEDED
    )
    assert server.prediction.Predict(observation(), timeout=30).outputs


def examples(
    *features: list[float] | None, kind=classification_pb2.ClassificationRequest, signature: str
):
    made = kind()
    made.model_spec.name, made.model_spec.signature_name = NAME, signature
    for each in features:
        example = made.input.example_list.examples.add()
        if each is not None:
            example.features.feature["x"].float_list.value.extend(each)
    return made


def test_classify(server):
    answer = server.prediction.Classify(examples([0.25, 0.75], None, signature="classify"))
    assert [
        [(each.label, each.score) for each in row.classes] for row in answer.result.classifications
    ] == [[("left", 0.25), ("right", 0.75)], [("left", 0.0), ("right", 0.0)]]
    assert answer.model_spec.version.value == 3
    answer = server.prediction.Classify(examples([1.0, 2.0], signature="classify_scores"))
    assert [(each.label, each.score) for each in answer.result.classifications[0].classes] == [
        ("", 1.0),
        ("", 2.0),
    ]


def test_regress_with_context(server):
    made = examples(None, None, kind=regression_pb2.RegressionRequest, signature="regress")
    made.input.example_list_with_context.examples.extend(list(made.input.example_list.examples))
    made.input.example_list_with_context.context.features.feature["x"].float_list.value.extend(
        [1.0, 2.0]
    )
    assert [each.value for each in server.prediction.Regress(made).result.regressions] == [3.0, 3.0]


@pytest.mark.parametrize(
    "call, made, code",
    [
        ("Classify", examples(signature="classify"), CODES.INVALID_ARGUMENT),
        (
            "Regress",
            examples(kind=regression_pb2.RegressionRequest, signature="regress"),
            CODES.INVALID_ARGUMENT,
        ),
        ("Classify", examples([1.0, 2.0], signature="none"), CODES.FAILED_PRECONDITION),
        ("Classify", examples([1.0], signature="classify"), CODES.INVALID_ARGUMENT),
        ("Classify", examples([1.0, 2.0], signature="serving_default"), None),
    ],
    ids=lambda value: str(value)[:30].replace("\n", " "),
)
def test_examples_that_are_refused(server, call, made, code):
    found, _ = fails(getattr(server.prediction, call), made)
    assert found in ((code,) if code else (CODES.FAILED_PRECONDITION, CODES.INVALID_ARGUMENT))


def tasks(*named: tuple[str, str], name: str = NAME) -> inference_pb2.MultiInferenceRequest:
    made = inference_pb2.MultiInferenceRequest()
    made.input.example_list.examples.add().features.feature["x"].float_list.value.extend([1.0, 2.0])
    for index, (signature, method) in enumerate(named):
        task = made.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = (
            (name if index == 0 else NAME),
            signature,
        )
    return made


def test_multi_inference(server):
    answer = server.prediction.MultiInference(
        tasks(("classify", "classify"), ("regress", "regress"))
    )
    assert [
        each.score for each in answer.results[0].classification_result.classifications[0].classes
    ] == [1.0, 2.0]
    assert (
        answer.results[1].regression_result.regressions[0].value == 3.0
        and answer.results[1].model_spec.signature_name == "regress"
    )


@pytest.mark.parametrize(
    "made, code",
    [
        (tasks(), CODES.INVALID_ARGUMENT),
        (tasks(("classify", "classify"), ("classify", "classify")), CODES.INVALID_ARGUMENT),
        (
            tasks(("classify", "classify"), ("regress", "regress"), name="other"),
            CODES.INVALID_ARGUMENT,
        ),
        (tasks(("serving_default", "predict")), CODES.UNIMPLEMENTED),
    ],
    ids=["no task", "twice", "two models", "predict"],
)
def test_multi_inference_errors(server, made, code):
    assert fails(server.prediction.MultiInference, made)[0] == code


def test_metadata(server):
    made = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    made.model_spec.name = NAME
    answer = server.prediction.GetModelMetadata(made)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert answer.model_spec.version.value == 3
    assert [
        each.size
        for each in (
            signatures.signature_def["serving_default"].inputs["observation"].tensor_shape.dim
        )
    ] == [-1, 4]


@pytest.mark.parametrize(
    "fields, name, code",
    [
        ([], NAME, CODES.INVALID_ARGUMENT),
        (["other"], NAME, CODES.INVALID_ARGUMENT),
        (["signature_def"], "", CODES.INVALID_ARGUMENT),
        (["signature_def"], "none", CODES.NOT_FOUND),
    ],
)
def test_metadata_errors(server, fields, name, code):
    made = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    made.model_spec.name = name
    assert fails(server.prediction.GetModelMetadata, made)[0] == code


def status_of(
    name: str, version: int | None = None, label: str = ""
) -> get_model_status_pb2.GetModelStatusRequest:
    made = get_model_status_pb2.GetModelStatusRequest()
    made.model_spec.name = name
    if version is not None:
        made.model_spec.version.value = version
    if label:
        made.model_spec.version_label = label
    return made


@pytest.mark.parametrize(
    "made",
    [status_of(NAME), status_of(NAME, 3), status_of(NAME, label="ignored")],
    ids=["all", "one", "label"],
)
def test_status(server, made):
    (entry,) = server.model.GetModelStatus(made).model_version_status
    assert (
        entry.version == 3
        and entry.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
        and entry.status.error_code == 0
    )


@pytest.mark.parametrize(
    "made, code",
    [
        (status_of("none"), CODES.NOT_FOUND),
        (status_of(NAME, 7), CODES.NOT_FOUND),
        (status_of(""), CODES.INVALID_ARGUMENT),
    ],
)
def test_status_errors(server, made, code):
    assert fails(server.model.GetModelStatus, made)[0] == code


def config(*models: dict) -> model_management_pb2.ReloadConfigRequest:
    made = model_management_pb2.ReloadConfigRequest()
    made.config.model_config_list.SetInParent()
    for each in models:
        made.config.model_config_list.config.add(**{"model_platform": "tensorflow", **each})
    return made


@pytest.mark.parametrize(
    "made",
    [
        model_management_pb2.ReloadConfigRequest(),
        config({"name": "a", "base_path": "relative/path"}),
        config({"name": "a", "base_path": "/x"}, {"name": "a", "base_path": "/y"}),
        config({"name": "a", "base_path": "/x", "model_platform": ""}),
        config({"name": "a", "base_path": "/x", "model_platform": "other"}),
    ],
    ids=["no list", "relative", "twice", "no platform", "platform"],
)
def test_reload_errors(server, made):
    assert fails(server.model.HandleReloadConfigRequest, made)[0] == CODES.INVALID_ARGUMENT
    assert server.prediction.Predict(observation()).outputs
