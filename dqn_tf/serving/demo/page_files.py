"""The files of the demo page, on which an agent plays in the browser and asks this server for every
step: those of `page/`, the names of the models, and the package's sentences and graphs.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
HERE = Path(__file__).parent / "page"
# what a played customer says, and where a walker may go
DATA = Path(__file__).parents[2] / "envs"
DATA_FILES = ("applications/data/helpdesk_*.json", "text/data/graph_*.json")
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
            self._add("/page", path)
        for pattern in DATA_FILES:
            for path in DATA.glob(pattern):
                self._add("/page/data", path)
        self._files["/"] = self._files.pop("/page/index.html")

    def __call__(self, path: str) -> Page | None:
        """Return the page at `path`, outside /v1/; None if there is none."""
        path = path.partition("?")[0]
        if path == MODEL_NAMES:
            names = {"models": sorted(self._model_names())}
            return 200, "application/json", json.dumps(names).encode()
        return self._files.get(path)

    def _add(self, directory: str, path: Path) -> None:
        if path.suffix in CONTENT_TYPES:
            page = (200, CONTENT_TYPES[path.suffix], path.read_bytes())
            self._files[f"{directory}/{path.name}"] = page
