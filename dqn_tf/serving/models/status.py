"""The documents that GET returns: the state of a model's versions, and a version's signatures."""

import json
import weakref

from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.models.served_model import VersionEntry

# a document takes milliseconds to write, and never changes
_metadata: weakref.WeakKeyDictionary[LoadedModel, bytes] = weakref.WeakKeyDictionary()


def status(entries: list[VersionEntry]) -> bytes:
    """Return each version with its state and error, as JSON."""
    return _json({"model_version_status": [_version_status(entry) for entry in entries]})


def signature_def_map(model: LoadedModel) -> get_model_metadata_pb2.SignatureDefMap:
    """Return all signatures as they are in the file, TensorFlow's own initializers included."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.meta_graph.signature_def.items():
        signatures.signature_def[name].CopyFrom(definition)
    return signatures


def metadata(model: LoadedModel) -> bytes:
    """Return the signatures with types and shapes, -1 where a dimension is free, as JSON."""
    document = _metadata.get(model)
    if document is None:
        document = _metadata[model] = _write_metadata(model)
    return document


def _write_metadata(model: LoadedModel) -> bytes:
    definitions = {
        name: _definition(definition)
        for name, definition in sorted(signature_def_map(model).signature_def.items())
    }
    model_spec = {"name": model.name, "signature_name": "", "version": str(model.version)}
    return _json(
        {
            "model_spec": model_spec,
            "metadata": {"signature_def": {"signature_def": definitions}},
        }
    )


def _version_status(entry: VersionEntry) -> dict:
    return {
        "version": str(entry.version),
        "state": entry.state,
        "status": {
            "error_code": entry.error.code if entry.error else "OK",
            "error_message": entry.error.message if entry.error else "",
        },
    }


def _definition(definition: meta_graph_pb2.SignatureDef) -> dict:
    return json_format.MessageToDict(
        definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(document: dict) -> bytes:
    return json.dumps(document, indent=1).encode()
