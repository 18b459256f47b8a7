"""The files of the demo page, on which an agent plays in the browser and asks this server for every
step: those of `page/`, and the names of the models.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HERE = Path(__file__).parent / "page"
MODEL_NAMES = "/page/models.json"

Page = tuple[int, str, bytes]  # status, content type, body


class DemoPages:
    """Looks up the demo's pages by path. `model_names()` returns the models served now.

    All files are read once; a path is only looked up among them.
    """

    def __init__(self, model_names: Callable[[], Iterable[str]]) -> None:
        self._model_names = model_names
        self._files: dict[str, Page] = {}
        for path in HERE.iterdir():
            if path.suffix in CONTENT_TYPES:
                content_type = CONTENT_TYPES[path.suffix]
                self._files[f"/page/{path.name}"] = (200, content_type, path.read_bytes())
        self._files["/"] = self._files.pop("/page/index.html")

    def __call__(self, path: str) -> Page | None:
        """Return the page at `path`, outside /v1/; None if there is none."""
        path = path.partition("?")[0]
        if path == MODEL_NAMES:
            names = {"models": sorted(self._model_names())}
            return 200, "application/json", json.dumps(names).encode()
        return self._files.get(path)
