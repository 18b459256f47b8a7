"""What GET tells: the state of a model's versions, and a version's signatures."""

import json

from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from dqn_tf.serving.models.loaded_model import Loaded
from dqn_tf.serving.models.manager import Entry


def status(entries: list[Entry]) -> bytes:
    """Each version with state and error."""
    return _json(
        {
            "model_version_status": [
                {
                    "version": str(entry.version),
                    "state": entry.state,
                    "status": {
                        "error_code": entry.error.code if entry.error else "OK",
                        "error_message": entry.error.message if entry.error else "",
                    },
                }
                for entry in entries
            ]
        }
    )


def signature_def_map(loaded: Loaded) -> get_model_metadata_pb2.SignatureDefMap:
    """All signatures as they are in the file, TensorFlow's own for initialization among them."""
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in loaded.meta_graph.signature_def.items():
        found.signature_def[name].CopyFrom(definition)
    return found


def metadata(loaded: Loaded) -> bytes:
    """The signatures with types and shapes, -1 where a dimension is free."""
    definitions = {
        name: _definition(definition)
        for name, definition in sorted(signature_def_map(loaded).signature_def.items())
    }
    return _json(
        {
            "model_spec": {
                "name": loaded.name,
                "signature_name": "",
                "version": str(loaded.version),
            },
            "metadata": {"signature_def": {"signature_def": definitions}},
        }
    )


def _definition(definition: meta_graph_pb2.SignatureDef) -> dict:
    return json_format.MessageToDict(
        definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(document: dict) -> bytes:
    return json.dumps(document, indent=1).encode()
