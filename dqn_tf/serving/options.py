"""The flags, under TensorFlow Serving's names where it has them, as one frozen value."""

import dataclasses
import os
from pathlib import Path

from absl import flags

from dqn_tf.serving.errors import StartError

LEAST_LOG_BYTES = 1 << 16
PRINTED = "; -1 takes a free one and prints it"


@dataclasses.dataclass(frozen=True)
class Options:
    """Field = flag, default = the flag's default."""

    model_base_path: str = ""
    model_name: str = "default"
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: float = 0.0
    host: str = "127.0.0.1"
    port: int = 8500
    grpc_max_threads: int = 16
    grpc_channel_arguments: str = ""
    enable_grpc_healthcheck_service: bool = False
    enable_serialization_as_tensor_content: bool = False
    enable_signature_method_name_check: bool = False
    rest_api_port: int = 8501
    rest_api_timeout_in_ms: int = 30_000
    rest_api_num_threads: int = 4
    rest_api_enable_cors_support: bool = False
    max_request_bytes: int = 64 << 20
    max_json_depth: int = 500_000
    max_concurrent_requests: int = 256
    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retries_interval_micros: int = 60_000_000
    enable_model_warmup: bool = True
    allow_version_labels_for_unavailable_models: bool = False
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_params: bool = False
    monitoring_config_file: str = ""
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    demo: bool = False
    log_requests: str = ""
    log_requests_max_bytes: int = 1 << 30
    log_requests_sample: float = 1.0

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """`grpc_channel_arguments` in pairs."""
        pairs = [pair.partition("=") for pair in self.grpc_channel_arguments.split(",") if pair]
        return [
            (name, int(value) if value.lstrip("-").isdecimal() else value)
            for name, _, value in pairs
        ]


HELP = {
    "model_base_path": (
        "directory that holds the versions: MODEL_BASE_PATH/1, MODEL_BASE_PATH/2, ..."
    ),
    "model_name": "name under which clients ask for it",
    "model_config_file": (
        "text ModelServerConfig that lists several models, in place of --model_base_path"
    ),
    "model_config_file_poll_wait_seconds": (
        "seconds between two looks for a changed --model_config_file; 0 reads it once"
    ),
    "host": (
        "address to listen on; nothing is authenticated, so all of a network should reach it only"
        " through a proxy that does"
    ),
    "port": "port of gRPC; 0 is none" + PRINTED,
    "grpc_max_threads": "threads for gRPC; with batching, at most so many requests are joined",
    "grpc_channel_arguments": "arguments of gRPC's server, as NAME=VALUE,NAME=VALUE",
    "enable_grpc_healthcheck_service": (
        "answers health checks of ModelService and PredictionService"
    ),
    "enable_serialization_as_tensor_content": "replies over gRPC hold tensors as bytes",
    "enable_signature_method_name_check": (
        "classify and regress need a signature made for them, which TensorFlow 2 does not write"
    ),
    "rest_api_port": "port of HTTP; 0 is none" + PRINTED,
    "rest_api_timeout_in_ms": "a REST request that takes longer is answered with 504",
    "rest_api_num_threads": "threads for REST requests of models that take long",
    "rest_api_enable_cors_support": "lets pages of other origins call the REST API",
    "max_request_bytes": "largest REST body, packed or unpacked",
    "max_json_depth": "deepest nesting of a REST body",
    "max_concurrent_requests": "requests at work at a time; more are refused at once",
    "file_system_poll_wait_seconds": "seconds between two looks for new versions; 0 looks once",
    "max_num_load_retries": "how often a version that failed to load is tried again",
    "load_retries_interval_micros": "microseconds between two tries",
    "enable_model_warmup": (
        "runs assets.extra/tf_serving_warmup_requests before a version is available"
    ),
    "allow_version_labels_for_unavailable_models": (
        "labels may name versions that are not loaded yet"
    ),
    "enable_batching": "joins requests that wait at the same time into one run",
    "batching_parameters_file": "text BatchingParameters",
    "enable_per_model_batching_params": (
        "a batching_params.pbtxt in a version's directory holds for that version"
    ),
    "monitoring_config_file": "text MonitoringConfig that asks for Prometheus metrics",
    "tensorflow_intra_op_parallelism": "threads of one operation; 0 lets TensorFlow choose",
    "tensorflow_inter_op_parallelism": (
        "operations of one request at a time; 0 lets TensorFlow choose"
    ),
    "demo": (
        "serves a page at / on which an agent plays CartPole-v1 or the 3x3 grid in the browser,"
        " asking this server for every step"
    ),
    "log_requests": (
        "directory to which predict requests and their answers are written, as TFRecord of"
        " PredictionLog"
    ),
    "log_requests_max_bytes": "most that this directory may hold; the oldest file goes first",
    "log_requests_sample": "share of the requests that is written, above 0 and at most 1",
}
DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define(values: flags.FlagValues) -> None:
    """Registers one flag for each field."""
    for field in dataclasses.fields(Options):
        DEFINE[field.type](field.name, field.default, HELP[field.name], flag_values=values)


def parsed(words: list[str]) -> Options:
    """The options that `words`, without the program's name, ask for.

    Raises StartError; `--help` prints and exits with 0.
    """
    values = flags.FlagValues()
    define(values)
    flags.DEFINE_bool("help", False, "prints this", short_name="h", flag_values=values)
    try:
        rest = values(["dqn_tf.serving", *words])[1:]
    except flags.Error as error:
        raise StartError(str(error)) from error
    if values.help:
        print(
            "python -m dqn_tf.serving"
            f" --model_base_path=saved_models/CartPole-v1\n{values.main_module_help() or values.get_help()}"
        )
        raise SystemExit(0)
    if rest:
        raise StartError(f"{rest[0]!r} is no flag; give --model_base_path=DIRECTORY.")
    options = Options(
        **{field.name: values[field.name].value for field in dataclasses.fields(Options)}
    )
    _check(options)
    return dataclasses.replace(
        options,
        model_base_path=os.path.abspath(options.model_base_path) if options.model_base_path else "",
    )


def _check(options: Options) -> None:
    if bool(options.model_base_path) == bool(options.model_config_file):
        raise StartError(
            "Give --model_base_path=DIRECTORY, or --model_config_file=FILE, and not both."
        )
    if options.model_config_file and not Path(options.model_config_file).is_file():
        raise StartError(f"--model_config_file={options.model_config_file} is no file.")
    if options.batching_parameters_file and not options.enable_batching:
        raise StartError("--batching_parameters_file needs --enable_batching.")
    if options.enable_per_model_batching_params and not options.enable_batching:
        raise StartError("--enable_per_model_batching_params needs --enable_batching.")
    for pair in options.grpc_channel_arguments.split(","):
        if pair and not pair.partition("=")[2]:
            raise StartError(
                f"--grpc_channel_arguments={options.grpc_channel_arguments}: {pair!r} is not"
                " NAME=VALUE."
            )
    for name in ("port", "rest_api_port"):
        if not -1 <= getattr(options, name) <= 65535:
            raise StartError(
                f"--{name}={getattr(options, name)} must be a port, 0 for none, or -1 for any that"
                " is free."
            )
    if options.port == options.rest_api_port and options.port >= 0:
        what = "are both off" if options.port == 0 else "are the same"
        raise StartError(f"--port and --rest_api_port {what}: nothing could be asked.")
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.type in (int, float) and field.name not in ("port", "rest_api_port") and value < 0:
            raise StartError(f"--{field.name}={value} must not be negative.")
    if options.demo and not options.rest_api_port:
        raise StartError("--demo is a page of the HTTP port: give --rest_api_port, too.")
    if not 0 < options.log_requests_sample <= 1:
        raise StartError(
            f"--log_requests_sample={options.log_requests_sample} must be a share of the requests:"
            " above 0 and at most 1."
        )
    if options.log_requests_max_bytes < LEAST_LOG_BYTES:
        raise StartError(
            f"--log_requests_max_bytes={options.log_requests_max_bytes} must be at least"
            f" {LEAST_LOG_BYTES:,}."
        )
    for name in (
        "rest_api_timeout_in_ms",
        "rest_api_num_threads",
        "grpc_max_threads",
        "max_request_bytes",
        "max_json_depth",
        "max_concurrent_requests",
    ):
        if getattr(options, name) == 0:
            raise StartError(f"--{name}=0 would refuse every request; it must be at least 1.")
