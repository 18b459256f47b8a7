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
        if path == self._metrics_path and method == "GET":
            return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain"})
        page = self._lookup(path) if self._lookup is not None and method == "GET" else None
        status, content_type, body = page or (404, "text/html", NOT_FOUND)
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})
