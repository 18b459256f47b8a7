"""Loads a version's directory into a LoadedModel, or says why not."""

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from dqn_tf.serving.errors import ServingError, to_serving_error
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.options import Options
from dqn_tf.serving.texts import signatures, tokens
from dqn_tf.serving.texts.feature_memory import FeatureMemory
from dqn_tf.serving.texts.text_model import TextModel

TAG = "serve"
TENSORFLOW_PRIORITY = 5  # as with nice
PATTERN_CHARACTERS = set("[]*?\\")
VARIABLE_OPS = {"VarHandleOp", "VariableV2", "Variable"}  # operations that hold weights


def start_threads(options: Options) -> None:
    """Start TensorFlow's threads with a lower priority than those that talk to clients.

    Otherwise, where models keep all cores busy, a thread that holds Python's interpreter would have
    to wait for a core, and everybody for that thread.
    """

    def start() -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, TENSORFLOW_PRIORITY)  # of this thread, on Linux
        tf.compat.v1.Session(graph=tf.Graph(), config=_session_config(options)).close()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()


def load(name: str, version: int, path: Path, options: Options) -> LoadedModel:
    """Load the version at `path`: restore its weights and run its initializer.

    Raises ServingError with the code of what went wrong, and the path.
    """
    try:
        _refuse_incomplete(path)
    except OSError as error:
        code = "PERMISSION_DENIED" if isinstance(error, PermissionError) else "UNKNOWN"
        raise ServingError(code, f"{error.filename} cannot be read: {error.strerror}") from error
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=_session_config(options))
    try:
        with graph.as_default(), _plain_path(path) as plain_path:
            meta_graph = tf.compat.v1.saved_model.load(session, [TAG], str(plain_path))
        tokenizer = path / tokens.FILE
        if tokenizer.is_file() and signatures.can_read(meta_graph):
            memory = FeatureMemory(options.text_memory_bytes)
            texts = tokens.TextTokens(tokenizer)
            return TextModel(name, version, session, meta_graph, texts, memory)
        return LoadedModel(name, version, session, meta_graph)
    except Exception as error:
        session.close()
        logging.debug("loading %s failed", path, exc_info=True)
        if isinstance(error, (ServingError, tf.errors.OpError)):
            raise to_serving_error(error) from error
        code = "NOT_FOUND" if isinstance(error, OSError) else "INVALID_ARGUMENT"
        raise ServingError(code, f"{path}: {error}") from error


def _session_config(options: Options) -> tf.compat.v1.ConfigProto:
    return tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=options.tensorflow_intra_op_parallelism,
        inter_op_parallelism_threads=options.tensorflow_inter_op_parallelism,
        use_per_session_threads=False,
    )


@contextlib.contextmanager
def _plain_path(path: Path) -> Iterator[Path]:
    """Return a path without characters that TensorFlow takes for a pattern."""
    if not set(str(path)) & PATTERN_CHARACTERS:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="dqn_tf-serving-") as directory:
        link = Path(directory) / "version"
        link.symlink_to(path.absolute())
        yield link


def _refuse_incomplete(path: Path) -> None:
    """Raise ServingError for a version that lacks its description or its variables.

    TensorFlow loads a model without variables and fails at every request. Here the version is
    refused, and an older one goes on.
    """
    description = path / "saved_model.pb"
    if not description.is_file():
        raise ServingError(
            "NOT_FOUND", f"Could not find SavedModel .pb at supplied export directory path: {path}"
        )
    content = description.read_bytes()
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString(content)
    # protobuf's DecodeError has another type in each of its implementations
    except Exception as error:
        raise ServingError(
            "OUT_OF_RANGE", f"{description} is cut off or damaged: {error}"
        ) from error
    graphs = [graph for graph in saved_model.meta_graphs if TAG in graph.meta_info_def.tags]
    if not graphs:
        raise ServingError("NOT_FOUND", f"{description} holds no graph with the tag {TAG!r}")
    index = path / "variables" / "variables.index"
    if not index.is_file() and _has_variables(graphs[0].graph_def):
        raise ServingError(
            "NOT_FOUND", f"{index} is missing: the model's variables would have no values"
        )


def _has_variables(graph: graph_pb2.GraphDef) -> bool:
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(node.op in VARIABLE_OPS for nodes in bodies for node in nodes)
