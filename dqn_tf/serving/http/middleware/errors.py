"""Errors: every exception becomes a JSON object with the one key `error`."""

import asyncio
import logging

from aiohttp import web

from dqn_tf.serving.errors import HTTP_STATUS, ServingError, to_serving_error
from dqn_tf.serving.http import json_writer
from dqn_tf.serving.http.body import BodyTooLarge
from dqn_tf.serving.http.middleware import Handler
from dqn_tf.serving.http.routes import VersionNumberError

log = logging.getLogger("dqn_tf.serving")


def with_errors(handler: Handler, timeout_in_ms: int) -> Handler:
    """Turn exceptions into replies, and a request that takes longer than its time into a 504."""
    too_late = ServingError("DEADLINE_EXCEEDED", f"Not answered within {timeout_in_ms} ms")

    async def handle(request: web.BaseRequest) -> web.Response:
        try:
            return await asyncio.wait_for(handler(request), timeout_in_ms / 1000)
        except BodyTooLarge as error:
            response = _reply(request, error)
            response.set_status(413)
            response.force_close()
            return response
        except VersionNumberError as error:
            response = _reply(request, error)
            response.body = b""  # as TensorFlow Serving does
            return response
        except ConnectionError:  # the client has gone: nobody is left to be told
            raise
        except asyncio.TimeoutError:
            return _reply(request, too_late)
        except Exception as error:
            cause = to_serving_error(error)
            if cause.code == "DEADLINE_EXCEEDED":
                cause = too_late
            if cause.code == "INTERNAL":
                log.error("%s %s failed", request.method, request["path"][:200], exc_info=error)
            return _reply(request, cause)

    return handle


def _reply(request: web.BaseRequest, error: ServingError) -> web.Response:
    request["code"] = error.code
    return web.Response(
        status=HTTP_STATUS[error.code],
        body=json_writer.error(error.message),
        content_type="application/json",
    )
