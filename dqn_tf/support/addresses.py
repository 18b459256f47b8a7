"""Addresses of databases and servers, as they are shown."""

import re


def without_password(address: str) -> str:
    """Return an address without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", address)
