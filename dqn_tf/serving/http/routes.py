"""Parses REST paths. A path is taken raw: it is not decoded, and a query string is part of it."""

import dataclasses
import re
from urllib.parse import unquote

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.models.version_policy import LARGEST_VERSION

API = re.compile(r"/v1/", re.I)
VERSION_OR_LABEL = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
POST_PATH = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){VERSION_OR_LABEL}:(?P<verb>[a-z]+)", re.IGNORECASE
)
GET_PATH = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{VERSION_OR_LABEL}(?P<metadata>/metadata)?", re.IGNORECASE
)
VERBS = ("predict", "classify", "regress")


@dataclasses.dataclass(frozen=True)
class Route:
    """A verb (predict, classify, regress, status or metadata) and the model that it is for."""

    verb: str
    name: str
    version: int | None
    label: str | None


class VersionNumberError(ServingError):
    """A version in the path that is beyond 64 bits. TensorFlow Serving does not say so."""

    def __init__(self, version: str) -> None:
        message = f"Failed to convert version: {version[:40]} to numeric."
        super().__init__("INVALID_ARGUMENT", message)


def parse(method: str, path: str) -> Route:
    """Return the route of a request.

    Raises INVALID_ARGUMENT for any path and method below /v1/ that TensorFlow Serving does not
    know, VersionNumberError.
    """
    if method == "POST":
        match = POST_PATH.fullmatch(path)
        if match and match["verb"] in VERBS:
            return _route(match["verb"], match)
    if method == "GET":
        match = GET_PATH.fullmatch(path)
        if match and match["name"] is None:
            raise invalid_argument("Missing model name in request.")
        if match:
            return _route("metadata" if match["metadata"] else "status", match)
    raise invalid_argument(f"Malformed request: {method} {path}")


def _route(verb: str, match: re.Match[str]) -> Route:
    version, label = match["version"], match["label"]
    return Route(
        verb,
        _decode(match["name"]),
        None if version is None else _number(version),
        None if label is None else _decode(label),
    )


def _number(version: str) -> int:
    if len(version) > 40 or int(version) > LARGEST_VERSION:
        raise VersionNumberError(version)
    return int(version)


def _decode(part: str) -> str:
    return unquote(part, errors="surrogateescape")
