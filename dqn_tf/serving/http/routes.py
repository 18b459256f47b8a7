"""What a REST path asks for. The path is taken raw: not decoded, and a query string is part of it."""

import dataclasses
import re
from urllib.parse import unquote

from dqn_tf.serving.errors import invalid
from dqn_tf.serving.models.version_policy import NEWEST

API = re.compile(r"/v1/", re.I)
WHICH = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
CALL = re.compile(rf"/v1/models/(?P<name>[^/:]+){WHICH}:(?P<verb>[a-z]+)", re.I)
LOOK = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{WHICH}(?P<metadata>/metadata)?", re.I)
VERBS = ("predict", "classify", "regress")


@dataclasses.dataclass(frozen=True)
class Target:
    """A verb (predict, classify, regress, status or metadata) and the model that it is for."""

    verb: str
    name: str
    version: int | None
    label: str | None


def parsed(method: str, path: str) -> Target:
    """What is asked for.

    Raises INVALID_ARGUMENT for any path and method below /v1/ that TensorFlow Serving does not
    know.
    """
    if method == "POST" and (match := CALL.fullmatch(path)) and match["verb"] in VERBS:
        return _target(match["verb"], match)
    if method == "GET" and (match := LOOK.fullmatch(path)):
        if match["name"] is None:
            raise invalid("Missing model name in request.")
        return _target("metadata" if match["metadata"] else "status", match)
    raise invalid(f"Malformed request: {method} {path}")


def _target(verb: str, match: re.Match) -> Target:
    version = None
    if match["version"] is not None:
        if len(match["version"]) > 40 or (version := int(match["version"])) > NEWEST:
            raise invalid(f"Failed to convert version: {match['version'][:40]} to numeric.")
    return Target(
        verb,
        _decoded(match["name"]),
        version,
        _decoded(match["label"]) if match["label"] is not None else None,
    )


def _decoded(part: str) -> str:
    return unquote(part, errors="surrogateescape")
