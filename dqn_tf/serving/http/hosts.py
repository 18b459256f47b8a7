"""Checks the host that a request is for.

A page from elsewhere can make its own name point to this machine (DNS rebinding), and then read
replies as if they were its own. It cannot hide its name, which is in the header `Host`. So only
addresses, localhost, names without a dot (which the public DNS does not have), and names that a
flag adds are answered.
"""

import ipaddress
import re

ABSOLUTE_FORM = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)


class Hosts:
    """The names under which the server may be asked."""

    def __init__(self, *names: str) -> None:
        self._names = {name.lower().rstrip(".") for name in names if name}

    def allows(self, host: str) -> bool:
        """Return True for the value of a `Host` header that may be answered.

        An empty one is: a browser always sends a name.
        """
        name = _without_port(host).lower().rstrip(".")
        return "." not in name or name in self._names or _is_address(name)


def split_target(target: str) -> tuple[str | None, str]:
    """Return the host and the path of a request's target.

    A client that asks through a proxy may send the absolute form. In the usual one there is no
    host.
    """
    match = ABSOLUTE_FORM.match(target)
    if match is None:
        return None, target
    path = target[match.end() :]
    return match[1].rpartition("@")[2], path if path.startswith("/") else "/" + path


def _without_port(host: str) -> str:
    host = host.strip()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
