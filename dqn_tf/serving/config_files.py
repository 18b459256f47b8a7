"""The configuration files: protobuf messages as text.

tensorflow-serving-api has ModelServerConfig, but neither BatchingParameters nor MonitoringConfig;
these two are described here, field by field, as far as the server reads them.
"""

import dataclasses
import os
from pathlib import Path

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from dqn_tf.serving.errors import StartError, invalid
from dqn_tf.serving.models.batching import Batching
from dqn_tf.serving.models.version_policy import ModelConfig, VersionPolicy

PLATFORM = "tensorflow"
KINDS = descriptor_pb2.FieldDescriptorProto
MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": "Int64Value",
        "batch_timeout_micros": "Int64Value",
        "max_enqueued_batches": "Int64Value",
        "num_batch_threads": "Int64Value",
        "thread_pool_name": "StringValue",
        "allowed_batch_sizes": KINDS.TYPE_INT64,
    },
    "PrometheusConfig": {"enable": KINDS.TYPE_BOOL, "path": KINDS.TYPE_STRING},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
}


def _described() -> dict[str, type[message.Message]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="dqn_tf/serving.proto",
        package="dqn_tf.serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in MESSAGES.items():
        described = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            added = described.field.add(
                name=field,
                number=number,
                label=KINDS.LABEL_REPEATED if field == "allowed_batch_sizes" else 1,
            )
            if isinstance(kind, str):
                added.type = KINDS.TYPE_MESSAGE
                added.type_name = (
                    f".google.protobuf.{kind}"
                    if kind.endswith("Value")
                    else f".dqn_tf.serving.{kind}"
                )
            else:
                added.type = kind
    pool = descriptor_pool.Default()
    assert wrappers_pb2.DESCRIPTOR.name in file.dependency  # imported, so that the pool has it
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"dqn_tf.serving.{name}"))
        for name in MESSAGES
    }


CLASSES = _described()


def read(path: str | Path, made: message.Message, flag: str) -> message.Message:
    """Fills `made` from a file. Raises StartError, which names the flag."""
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), made)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(
            f"--{flag}={path} cannot be read: {getattr(error, 'strerror', error)}"
        ) from error
    except text_format.ParseError as error:
        raise StartError(f"--{flag}={path} is not what it should be: {error}") from error


def batching(path: str | Path, flag: str) -> Batching:
    """The BatchingParameters in a file. Raises StartError."""
    given = read(path, CLASSES["BatchingParameters"](), flag)
    chosen = {
        field.name: getattr(given, field.name).value
        for field in dataclasses.fields(Batching)
        if field.name != "allowed_batch_sizes" and given.HasField(field.name)
    }
    found = Batching(**chosen, allowed_batch_sizes=tuple(given.allowed_batch_sizes))
    for name, least in {
        "max_batch_size": 1,
        "batch_timeout_micros": 0,
        "max_enqueued_batches": 1,
        "num_batch_threads": 1,
    }.items():
        if getattr(found, name) < least:
            raise StartError(f"--{flag}={path}: {name} must be at least {least}.")
    sizes = found.allowed_batch_sizes
    if sizes and (
        list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != found.max_batch_size
    ):
        raise StartError(
            f"--{flag}={path}: allowed_batch_sizes must ascend, and the last must be"
            f" max_batch_size, {found.max_batch_size}."
        )
    return found


def prometheus_path(path: str) -> str | None:
    """Where a MonitoringConfig wants metrics to be; None if it does not want any.

    Raises StartError.
    """
    given = read(path, CLASSES["MonitoringConfig"](), "monitoring_config_file").prometheus_config
    if given.path and not given.path.startswith("/"):
        raise StartError(
            f"--monitoring_config_file={path}: the path {given.path!r} must start with a slash."
        )
    return (given.path or "/monitoring/prometheus/metrics") if given.enable else None


def models(path: str) -> list[ModelConfig]:
    """The models of a ModelServerConfig in a file. Raises StartError, and ServingError as `served`."""
    return served(read(path, model_server_config_pb2.ModelServerConfig(), "model_config_file"))


def served(config: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """The models of the config's list. Raises INVALID_ARGUMENT."""
    if config.WhichOneof("config") not in (None, "model_config_list"):
        raise invalid("ServerModelConfig type not supported. Only model_config_list is")
    found: dict[str, ModelConfig] = {}
    for each in config.model_config_list.config:
        if not each.name or each.name in found:
            raise invalid(f"Illegal to list model {each.name!r}: a name is needed, and only once")
        if not os.path.isabs(each.base_path):
            raise invalid(
                f"Expected model {each.name} to have an absolute path, got base_path:"
                f" {each.base_path!r}"
            )
        if each.model_platform != PLATFORM and not (
            not each.model_platform and each.model_type == 1
        ):
            raise invalid(
                f"Illegal setting of model_platform for {each.name}: {each.model_platform!r}; it"
                f" must be {PLATFORM!r}"
            )
        found[each.name] = ModelConfig(
            each.name,
            each.base_path,
            _policy(each.model_version_policy),
            tuple(sorted(each.version_labels.items())),
        )
    return list(found.values())


def _policy(given) -> VersionPolicy:
    choice = given.WhichOneof("policy_choice")
    if choice == "specific":
        if not given.specific.versions:
            raise invalid("A specific version policy names no versions")
        return VersionPolicy(latest=0, specific=tuple(given.specific.versions))
    return (
        VersionPolicy(latest=0)
        if choice == "all"
        else VersionPolicy(latest=max(1, given.latest.num_versions))
    )
