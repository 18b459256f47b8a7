"""Answers requests outside /v1/: the metrics, the demo's pages, and a small 404 page."""

from collections.abc import Callable

from aiohttp import web

from dqn_tf.serving.metrics import Metrics

NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"

# path → (status, content type, body), or None where there is no such page
PageLookup = Callable[[str], tuple[int, str, bytes] | None]


class Pages:
    """The pages of the HTTP port."""

    def __init__(
        self, metrics: Metrics, metrics_path: str | None, lookup: PageLookup | None
    ) -> None:
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._lookup = lookup

    def answer(self, method: str, path: str) -> web.Response:
        """Return the page at `path`."""
        if self._metrics_path is not None and path.partition("?")[0] == self._metrics_path:
            return self._metrics_page(path)
        page = None
        if self._lookup is not None and method in ("GET", "HEAD"):
            page = self._lookup(path)
        status, content_type, body = page or (404, "text/html", NOT_FOUND)
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    def _metrics_page(self, path: str) -> web.Response:
        """Answer any method, and refuse a query, as TensorFlow Serving does."""
        if path == self._metrics_path:
            return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain"})
        message = f"Unexpected path: {path}. Should be {self._metrics_path}"
        body = message.encode("utf-8", "replace")
        return web.Response(status=400, body=body, content_type="text/plain")
