"""Metrics: counts each API request, with its model, verb, code and duration."""

import time

from aiohttp import web

from dqn_tf.serving.http.middleware import Handler
from dqn_tf.serving.models.runner import SignatureRunner


def with_metrics(handler: Handler, runner: SignatureRunner) -> Handler:
    """Count each request after its reply is known."""

    async def handle(request: web.BaseRequest) -> web.Response:
        started = time.perf_counter()
        response = await handler(request)
        seconds = time.perf_counter() - started
        route = request.get("route")
        name = route.name if route is not None else ""
        verb = route.verb.capitalize() if route is not None else "Unknown"
        # a name that nobody serves is not worth a counter of its own
        model = name if name in runner.manager.models else ""
        runner.metrics.count_request(model, verb, "REST", request.get("code", "OK"), seconds)
        return response

    return handle
