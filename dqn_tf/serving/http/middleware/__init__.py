"""Wrappers around the handler of API requests, one concern each.

They share what they find out about a request: `request["route"]`, as soon as it is parsed, and
`request["code"]`, the canonical code of an error.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]
