"""The flags, under TensorFlow Serving's names where it has them, as one frozen value."""

import contextlib
import dataclasses
import math
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from absl import flags

from dqn_tf.serving.errors import StartError

FREE_PORT = "; -1 takes a free one and prints it"
INT32_MAX = 2**31 - 1
PATHS = (
    "model_base_path",
    "model_config_file",
    "batching_parameters_file",
    "monitoring_config_file",
    "log_requests",
)
DAY = 86_400.0  # seconds
LEAST_POLL_SECONDS = 0.01


def _flag(default: Any, help_text: str, least: float = 0, most: float = INT32_MAX) -> Any:
    """Return a field: its default, its help, and for a number the range that it must be in."""
    metadata = {"help": help_text, "range": (least, most)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Options:
    """The value of each flag. Field = flag, default = the flag's default."""

    model_base_path: str = _flag(
        "", "directory that holds the versions: MODEL_BASE_PATH/1, MODEL_BASE_PATH/2, ..."
    )
    model_name: str = _flag("default", "name under which clients ask for it")
    model_config_file: str = _flag(
        "", "text ModelServerConfig that lists several models, in place of --model_base_path"
    )
    model_config_file_poll_wait_seconds: float = _flag(
        0.0, "seconds between two checks for a changed --model_config_file; 0 reads it once", 0, DAY
    )
    host: str = _flag(
        "127.0.0.1",
        "address to listen on; nothing is authenticated, so another network should reach it only"
        " through a proxy that authenticates",
    )
    allowed_hosts: str = _flag(
        "",
        "further names, separated by commas, under which HTTP may be asked; addresses, --host and"
        " names without a dot, such as localhost, always may",
    )
    port: int = _flag(8500, "port of gRPC; 0 is none" + FREE_PORT, -1, 65535)
    grpc_max_threads: int = _flag(
        16,
        "gRPC requests at work at a time, quick and slow ones each; with batching, at most so many"
        " are joined",
        1,
        1024,
    )
    grpc_channel_arguments: str = _flag("", "arguments of gRPC's server, as NAME=VALUE,NAME=VALUE")
    enable_grpc_healthcheck_service: bool = _flag(
        False, "answers health checks of ModelService and PredictionService"
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "replies over gRPC hold tensors as bytes"
    )
    enable_signature_method_name_check: bool = _flag(
        False,
        "classify and regress need a signature made for them, which TensorFlow 2 does not write",
    )
    rest_api_port: int = _flag(8501, "port of HTTP; 0 is none" + FREE_PORT, -1, 65535)
    rest_api_timeout_in_ms: int = _flag(
        30_000, "a REST request that takes longer, its body included, is answered with 504", 1
    )
    rest_api_num_threads: int = _flag(
        4, "threads for REST requests of models that take long", 1, 1024
    )
    rest_api_enable_cors_support: bool = _flag(
        False, "lets pages of other origins call the REST API"
    )
    max_request_bytes: int = _flag(
        64 << 20, "largest REST body or gRPC message, packed or unpacked", 1
    )
    max_request_rows: int = _flag(
        32_768, "most rows of one request, where a signature leaves their number free", 1
    )
    max_json_depth: int = _flag(500_000, "deepest nesting of a REST body", 1)
    max_concurrent_requests: int = _flag(
        256,
        "requests at work at a time, over REST and over gRPC; more are refused at once, quick ones"
        " never",
        1,
    )
    max_connections: int = _flag(
        1024, "connections at a time, over HTTP and over gRPC; a new one replaces one that waits", 1
    )
    file_system_poll_wait_seconds: float = _flag(
        1.0, "seconds between two checks for new versions; 0 checks once", 0, DAY
    )
    max_num_load_retries: int = _flag(5, "how often a version that failed to load is tried again")
    load_retries_interval_micros: int = _flag(
        60_000_000, "microseconds between two tries", 0, DAY * 1e6
    )
    enable_model_warmup: bool = _flag(
        True, "runs assets.extra/tf_serving_warmup_requests before a version is available"
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "labels may name versions that are not loaded yet"
    )
    enable_batching: bool = _flag(False, "joins requests that wait at the same time into one run")
    batching_parameters_file: str = _flag("", "text BatchingParameters")
    enable_per_model_batching_params: bool = _flag(
        False, "a batching_params.pbtxt in a version's directory holds for that version"
    )
    monitoring_config_file: str = _flag(
        "", "text MonitoringConfig that turns on Prometheus metrics"
    )
    text_memory_bytes: int = _flag(
        64 << 20,
        "most that is kept, for each version with a language model, of what it said of texts, so"
        " that each is read once; 0 keeps nothing",
        0,
        2**62,
    )
    tensorflow_intra_op_parallelism: int = _flag(
        0, "threads of one operation; 0 lets TensorFlow choose", 0, 1024
    )
    tensorflow_inter_op_parallelism: int = _flag(
        0, "operations of one request at a time; 0 lets TensorFlow choose", 0, 1024
    )
    demo: bool = _flag(
        False,
        "serves a page at / on which an agent plays CartPole-v1, the 3x3 grid or GraphWalk, or"
        " chats as Helpdesk, asking this server for every step",
    )
    log_requests: str = _flag(
        "",
        "directory to which predict requests and their answers are written, as TFRecord of"
        " PredictionLog",
    )
    log_requests_max_bytes: int = _flag(
        1 << 30, "most that this directory may hold; the oldest file goes first", 1 << 16, 2**62
    )
    log_requests_sample: float = _flag(
        1.0, "share of the requests that is written, above 0 and at most 1", 0, 1
    )

    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """Return `grpc_channel_arguments` in pairs."""
        pairs = [pair.partition("=") for pair in self.grpc_channel_arguments.split(",") if pair]
        return [(name, int(value) if _is_integer(value) else value) for name, _, value in pairs]


FIELDS = dataclasses.fields(Options)
HELP: dict[str, str] = {field.name: field.metadata["help"] for field in FIELDS}
DEFINE: dict[Any, Any] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define(values: flags.FlagValues) -> None:
    """Register one flag for each field."""
    for field in FIELDS:
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
    except (flags.Error, OverflowError) as error:  # 1e999 overflows where an integer is expected
        raise StartError(str(error)) from error
    if values.help:
        print(f"{_command_name()} --model_base_path=saved_models/CartPole-v1")
        print(values.main_module_help() or values.get_help())
        raise SystemExit(0)
    if rest:
        raise StartError(f"{rest[0]!r} is no flag; give --model_base_path=DIRECTORY.")
    fields: dict[str, Any] = {field.name: values[field.name].value for field in FIELDS}
    for name in PATHS:
        fields[name] = os.path.expanduser(fields[name])
    options = Options(**fields)
    for check in (_check_ranges, _check_models, _check_ports, _check_combinations):
        check(options)
    return dataclasses.replace(options, model_base_path=_absolute(options.model_base_path))


def check_addresses(options: Options) -> None:
    """Raise StartError for an address that cannot be listened on, before anything is loaded."""
    for flag in ("port", "rest_api_port"):
        value = getattr(options, flag)
        try:
            _bind_once(options.host, max(0, value))
        except (OSError, UnicodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StartError(f"--{flag}={value} on --host={options.host}: {reason}") from error


def _bind_once(host: str, port: int) -> None:
    """Bind a socket to one of the host's addresses. Raises OSError, UnicodeError, ValueError."""
    problem: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            problem = error
        else:
            return
    if problem is not None:
        raise problem


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _check_ranges(options: Options) -> None:
    if not 0 < options.log_requests_sample <= 1:
        raise StartError(
            f"--log_requests_sample={options.log_requests_sample} must be a share of the requests:"
            " above 0 and at most 1."
        )
    for field in FIELDS:
        value = getattr(options, field.name)
        if field.type not in (int, float):
            continue
        least, most = cast(tuple[float, float], field.metadata["range"])
        if math.isnan(value):
            raise StartError(f"--{field.name}={value} must be a number.")
        if value < 0 <= least:
            raise StartError(f"--{field.name}={value} must not be negative.")
        if value < least:
            raise StartError(f"--{field.name}={value} must be at least {least:,}.")
        if value > most:
            raise StartError(f"--{field.name}={value} must be at most {most:,}.")
    for name in ("file_system_poll_wait_seconds", "model_config_file_poll_wait_seconds"):
        if 0 < getattr(options, name) < LEAST_POLL_SECONDS:
            raise StartError(
                f"--{name}={getattr(options, name)} must be 0 or at least {LEAST_POLL_SECONDS}."
            )


def _command_name() -> str:
    """Return dqn-serve if the server was started so."""
    name = Path(sys.argv[0]).name
    return name if name.startswith("dqn-") else "python -m dqn_tf.serving"


def _check_models(options: Options) -> None:
    if bool(options.model_base_path) == bool(options.model_config_file):
        raise StartError(
            "Give --model_base_path=DIRECTORY, or --model_config_file=FILE, and not both."
        )
    if options.model_config_file:
        with _looking_at("model_config_file", options.model_config_file):
            if not Path(options.model_config_file).is_file():
                raise StartError(f"--model_config_file={options.model_config_file} is no file.")
    if options.model_base_path:
        _check_model_name(options.model_name)
        with _looking_at("model_base_path", options.model_base_path):
            _check_base_path(options.model_base_path)


@contextlib.contextmanager
def _looking_at(flag: str, path: str) -> Iterator[None]:
    """Make a StartError of a path that may not be looked at, or is too long."""
    try:
        yield
    except OSError as error:
        raise StartError(f"--{flag}={path} cannot be read: {error.strerror}.") from error


def _check_model_name(name: str) -> None:
    if not name:
        raise StartError("--model_name= is empty: clients could not ask for the model.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise StartError(f"--model_name={name!r} is no text in UTF-8.") from error


def _check_base_path(path: str) -> None:
    """Raise StartError for a version given in place of the directory of versions."""
    base = Path(_absolute(path))
    if (base / "saved_model.pb").is_file():
        raise StartError(
            f"--model_base_path={path} is a version itself. Give the directory around it:"
            f" --model_base_path={base.parent}"
        )
    if (base / "config.json").is_file() and (base / "checkpoints").is_dir():
        raise StartError(
            f"--model_base_path={path} is a run. Give the directory of versions to which it was"
            f" exported; {base / 'evaluation.json'} names it."
        )
    if base.exists() and not base.is_dir():
        raise StartError(f"--model_base_path={path} is no directory.")


def _check_ports(options: Options) -> None:
    if options.port == options.rest_api_port == 0:
        raise StartError("--port and --rest_api_port are both off: nothing could be asked.")
    if options.port == options.rest_api_port > 0:
        raise StartError("--port and --rest_api_port are the same: nothing could be asked.")
    for pair in options.grpc_channel_arguments.split(","):
        name, _, value = pair.partition("=")
        is_wrong = not name or not value
        if _is_integer(value) and not -INT32_MAX <= int(value) <= INT32_MAX:
            is_wrong = True
        if pair and is_wrong:
            raise StartError(
                f"--grpc_channel_arguments={options.grpc_channel_arguments}: {pair!r} is not"
                " NAME=VALUE, with a text or a number of 32 bits."
            )


def _check_combinations(options: Options) -> None:
    if options.batching_parameters_file and not options.enable_batching:
        raise StartError("--batching_parameters_file needs --enable_batching.")
    if options.enable_per_model_batching_params and not options.enable_batching:
        raise StartError("--enable_per_model_batching_params needs --enable_batching.")
    if options.demo and not options.rest_api_port:
        raise StartError("--demo is a page of the HTTP port: give --rest_api_port, too.")
