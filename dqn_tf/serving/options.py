"""The flags, under TensorFlow Serving's names where it has them, as one frozen value."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from absl import flags

from dqn_tf.serving.errors import StartError

LEAST_LOG_BYTES = 1 << 16
FREE_PORT = "; -1 takes a free one and prints it"
PORTS = ("port", "rest_api_port")
AT_LEAST_ONE = (
    "rest_api_timeout_in_ms",
    "rest_api_num_threads",
    "grpc_max_threads",
    "max_request_bytes",
    "max_json_depth",
    "max_concurrent_requests",
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The value of each flag. Field = flag, default = the flag's default."""

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
        """Return `grpc_channel_arguments` in pairs."""
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
        "seconds between two checks for a changed --model_config_file; 0 reads it once"
    ),
    "host": (
        "address to listen on; nothing is authenticated, so another network should reach it only"
        " through a proxy that authenticates"
    ),
    "port": "port of gRPC; 0 is none" + FREE_PORT,
    "grpc_max_threads": "threads for gRPC; with batching, at most so many requests are joined",
    "grpc_channel_arguments": "arguments of gRPC's server, as NAME=VALUE,NAME=VALUE",
    "enable_grpc_healthcheck_service": (
        "answers health checks of ModelService and PredictionService"
    ),
    "enable_serialization_as_tensor_content": "replies over gRPC hold tensors as bytes",
    "enable_signature_method_name_check": (
        "classify and regress need a signature made for them, which TensorFlow 2 does not write"
    ),
    "rest_api_port": "port of HTTP; 0 is none" + FREE_PORT,
    "rest_api_timeout_in_ms": "a REST request that takes longer is answered with 504",
    "rest_api_num_threads": "threads for REST requests of models that take long",
    "rest_api_enable_cors_support": "lets pages of other origins call the REST API",
    "max_request_bytes": "largest REST body, packed or unpacked",
    "max_json_depth": "deepest nesting of a REST body",
    "max_concurrent_requests": "requests at work at a time; more are refused at once",
    "file_system_poll_wait_seconds": "seconds between two checks for new versions; 0 checks once",
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
    "monitoring_config_file": "text MonitoringConfig that turns on Prometheus metrics",
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
DEFINE: dict[Any, Any] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define(values: flags.FlagValues) -> None:
    """Register one flag for each field."""
    for field in dataclasses.fields(Options):
        DEFINE[field.type](field.name, field.default, HELP[field.name], flag_values=values)


def parse(words: list[str]) -> Options:
    """Return the options that `words`, without the program's name, ask for.

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
        print(f"{_command_name()} --model_base_path=saved_models/CartPole-v1")
        print(values.main_module_help() or values.get_help())
        raise SystemExit(0)
    if rest:
        raise StartError(f"{rest[0]!r} is no flag; give --model_base_path=DIRECTORY.")
    fields: dict[str, Any] = {
        field.name: values[field.name].value for field in dataclasses.fields(Options)
    }
    options = Options(**fields)
    for check in (_check_models, _check_ports, _check_numbers, _check_combinations):
        check(options)
    if options.model_base_path:
        base_path = os.path.abspath(options.model_base_path)
        options = dataclasses.replace(options, model_base_path=base_path)
    return options


def _command_name() -> str:
    """Return dqn-serve if the server was started so."""
    name = Path(sys.argv[0]).name
    return name if name.startswith("dqn-") else "python -m dqn_tf.serving"


def _check_models(options: Options) -> None:
    if bool(options.model_base_path) == bool(options.model_config_file):
        raise StartError(
            "Give --model_base_path=DIRECTORY, or --model_config_file=FILE, and not both."
        )
    if options.model_config_file and not Path(options.model_config_file).is_file():
        raise StartError(f"--model_config_file={options.model_config_file} is no file.")


def _check_ports(options: Options) -> None:
    for name in PORTS:
        port = getattr(options, name)
        if not -1 <= port <= 65535:
            raise StartError(f"--{name}={port} must be a port, 0 for none, or -1 for any free one.")
    if options.port == options.rest_api_port == 0:
        raise StartError("--port and --rest_api_port are both off: nothing could be asked.")
    if options.port == options.rest_api_port > 0:
        raise StartError("--port and --rest_api_port are the same: nothing could be asked.")
    for pair in options.grpc_channel_arguments.split(","):
        if pair and not pair.partition("=")[2]:
            raise StartError(
                f"--grpc_channel_arguments={options.grpc_channel_arguments}: {pair!r} is not"
                " NAME=VALUE."
            )


def _check_numbers(options: Options) -> None:
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.type in (int, float) and field.name not in PORTS and value < 0:
            raise StartError(f"--{field.name}={value} must not be negative.")
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
    for name in AT_LEAST_ONE:
        if getattr(options, name) == 0:
            raise StartError(f"--{name}=0 would refuse every request; it must be at least 1.")


def _check_combinations(options: Options) -> None:
    if options.batching_parameters_file and not options.enable_batching:
        raise StartError("--batching_parameters_file needs --enable_batching.")
    if options.enable_per_model_batching_params and not options.enable_batching:
        raise StartError("--enable_per_model_batching_params needs --enable_batching.")
    if options.demo and not options.rest_api_port:
        raise StartError("--demo is a page of the HTTP port: give --rest_api_port, too.")
