"""Limit: refuses requests while too many are at work."""

from aiohttp import web

from dqn_tf.serving.http.middleware import Handler
from dqn_tf.serving.http.places import Places


def with_limit(handler: Handler, places: Places) -> Handler:
    """Give each request a place as `request["place"]`. Raises RESOURCE_EXHAUSTED without one."""

    async def handle(request: web.BaseRequest) -> web.Response:
        place = places.take()
        request["place"] = place
        try:
            return await handler(request)
        finally:
            place.release()

    return handle
