"""Reads the configuration files: protobuf messages as text.

tensorflow-serving-api has ModelServerConfig, but neither BatchingParameters nor MonitoringConfig.
These two are described here, field by field, as far as the server reads them.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from dqn_tf.serving.errors import ServingError, StartError, invalid_argument
from dqn_tf.serving.models.batching import BatchingOptions
from dqn_tf.serving.models.version_policy import ModelConfig, VersionPolicy

PLATFORM = "tensorflow"
TENSORFLOW_TYPE = 1  # the deprecated model_type that means the same platform
PROMETHEUS_PATH = "/monitoring/prometheus/metrics"
# least and largest value of each parameter
BATCHING_RANGES = {
    "max_batch_size": (1, 2**31 - 1),
    "batch_timeout_micros": (0, 60_000_000),
    "max_enqueued_batches": (1, 2**31 - 1),
    "num_batch_threads": (1, 1024),
}
FIELD = descriptor_pb2.FieldDescriptorProto
MESSAGES: dict[str, dict[str, str | int]] = {
    "BatchingParameters": {
        "max_batch_size": "Int64Value",
        "batch_timeout_micros": "Int64Value",
        "max_enqueued_batches": "Int64Value",
        "num_batch_threads": "Int64Value",
        "thread_pool_name": "StringValue",
        "allowed_batch_sizes": FIELD.TYPE_INT64,
    },
    "PrometheusConfig": {"enable": FIELD.TYPE_BOOL, "path": FIELD.TYPE_STRING},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
}

Config = TypeVar("Config", bound=message.Message)


def _message_classes() -> dict[str, Any]:
    """Make the classes of MESSAGES."""
    file = descriptor_pb2.FileDescriptorProto(
        name="dqn_tf/serving.proto",
        package="dqn_tf.serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in MESSAGES.items():
        description = file.message_type.add(name=name)
        for number, (field_name, kind) in enumerate(fields.items(), 1):
            field = description.field.add(name=field_name, number=number)
            is_list = field_name == "allowed_batch_sizes"
            field.label = FIELD.LABEL_REPEATED if is_list else FIELD.LABEL_OPTIONAL
            if isinstance(kind, int):
                field.type = kind
            else:
                field.type = FIELD.TYPE_MESSAGE
                package = "google.protobuf" if kind.endswith("Value") else "dqn_tf.serving"
                field.type_name = f".{package}.{kind}"
    pool = descriptor_pool.Default()
    assert wrappers_pb2.DESCRIPTOR.name in file.dependency  # imported, so that the pool has it
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"dqn_tf.serving.{name}"))
        for name in MESSAGES
    }


MESSAGE_CLASSES = _message_classes()


def read(path: str | Path, config: Config, flag: str) -> Config:
    """Fill `config` from a file. Raises StartError, which names the flag."""
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(f"--{flag}={path} cannot be read: {reason}") from error
    except text_format.ParseError as error:
        raise StartError(f"--{flag}={path} is not what it should be: {error}") from error


def read_batching(path: str | Path, flag: str) -> BatchingOptions:
    """Read BatchingParameters from a file. Raises StartError."""
    config = read(path, MESSAGE_CLASSES["BatchingParameters"](), flag)
    values = {
        field.name: getattr(config, field.name).value
        for field in dataclasses.fields(BatchingOptions)
        if field.name != "allowed_batch_sizes" and config.HasField(field.name)
    }
    sizes = tuple(config.allowed_batch_sizes)
    options = BatchingOptions(**values, allowed_batch_sizes=sizes)
    for name, (least, most) in BATCHING_RANGES.items():
        if getattr(options, name) < least:
            raise StartError(f"--{flag}={path}: {name} must be at least {least}.")
        if getattr(options, name) > most:
            raise StartError(f"--{flag}={path}: {name} must be at most {most}.")
    if sizes:
        ascend = list(sizes) == sorted(set(sizes)) and sizes[0] >= 1
        if not ascend or sizes[-1] != options.max_batch_size:
            raise StartError(
                f"--{flag}={path}: allowed_batch_sizes must ascend, and the last must be"
                f" max_batch_size, {options.max_batch_size}."
            )
    return options


def read_prometheus_path(path: str) -> str | None:
    """Return the path of the metrics that a MonitoringConfig names; None if it turns them off.

    Raises StartError.
    """
    message_class = MESSAGE_CLASSES["MonitoringConfig"]
    config = read(path, message_class(), "monitoring_config_file").prometheus_config
    if config.path and not config.path.startswith("/"):
        raise StartError(
            f"--monitoring_config_file={path}: the path {config.path!r} must start with a slash."
        )
    return (config.path or PROMETHEUS_PATH) if config.enable else None


def read_models(path: str, again: bool = False) -> list[ModelConfig]:
    """Read the models of a ModelServerConfig in a file.

    Raises StartError, and ServingError as `model_configs`; and, if it is read `again`, for one
    without any list: it may be about to be written.
    """
    config = model_server_config_pb2.ModelServerConfig()
    read(path, config, "model_config_file")
    if again and config.WhichOneof("config") is None:
        raise ServingError(
            "FAILED_PRECONDITION",
            f"--model_config_file={path} has no model_config_list; an empty one, model_config_list"
            " {}, unloads all models",
        )
    return model_configs(config)


def model_configs(config: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """Return the models of the config's list. Raises INVALID_ARGUMENT."""
    if config.WhichOneof("config") not in (None, "model_config_list"):
        raise invalid_argument("ServerModelConfig type not supported. Only model_config_list is")
    models: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if not model.name or model.name in models:
            raise invalid_argument(
                f"Illegal to list model {model.name!r}: a name is needed, and only once"
            )
        models[model.name] = _model_config(model)
    return list(models.values())


def _model_config(model: model_server_config_pb2.ModelConfig) -> ModelConfig:
    if not os.path.isabs(model.base_path) or "\0" in model.base_path:
        raise invalid_argument(
            f"Expected model {model.name} to have an absolute path, got base_path:"
            f" {model.base_path!r}"
        )
    has_old_type = not model.model_platform and model.model_type == TENSORFLOW_TYPE
    if model.model_platform != PLATFORM and not has_old_type:
        raise invalid_argument(
            f"Illegal setting of model_platform for {model.name}: {model.model_platform!r}; it"
            f" must be {PLATFORM!r}"
        )
    policy = _version_policy(model.model_version_policy)
    labels = tuple(sorted(model.version_labels.items()))
    return ModelConfig(model.name, model.base_path, policy, labels)


def _version_policy(config: Any) -> VersionPolicy:
    choice = config.WhichOneof("policy_choice")
    if choice == "all":
        return VersionPolicy(latest=0)
    if choice != "specific":
        return VersionPolicy(latest=max(1, config.latest.num_versions))
    if not config.specific.versions:
        raise invalid_argument("A specific version policy names no versions")
    return VersionPolicy(latest=0, specific=tuple(config.specific.versions))
