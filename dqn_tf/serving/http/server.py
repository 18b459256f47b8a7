"""The HTTP server: TensorFlow Serving's REST API on aiohttp, without its router.

The path is read raw, since TensorFlow Serving does so.
"""

from aiohttp import web

from dqn_tf.serving.http import routes
from dqn_tf.serving.http.handlers import ApiHandlers
from dqn_tf.serving.http.middleware.cors import with_cors
from dqn_tf.serving.http.middleware.errors import with_errors
from dqn_tf.serving.http.middleware.limit import with_limit
from dqn_tf.serving.http.middleware.metrics import with_metrics
from dqn_tf.serving.http.pages import PageLookup, Pages
from dqn_tf.serving.http.places import Places
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.options import Options

KEEP_ALIVE_SECONDS = 3600
BACKLOG = 1024  # connections that wait to be accepted


class HttpServer:
    """Answers API requests below /v1/, and pages elsewhere."""

    def __init__(
        self,
        runner: SignatureRunner,
        options: Options,
        metrics_path: str | None = None,
        page_lookup: PageLookup | None = None,
    ) -> None:
        places = Places(options.max_concurrent_requests)
        api = with_limit(ApiHandlers(runner, options).handle, places)
        api = with_errors(api, options.rest_api_timeout_in_ms)
        api = with_metrics(api, runner)
        self._api = with_cors(api, options.rest_api_enable_cors_support)
        self._pages = Pages(runner.metrics, metrics_path, page_lookup)
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        server = web.Server(
            self._handle,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        )
        self._runner = web.ServerRunner(server, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=BACKLOG).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Take no more connections, and finish the requests at work."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if routes.API.match(request.raw_path):
            return await self._api(request)
        return self._pages.answer(request.method, request.raw_path)
