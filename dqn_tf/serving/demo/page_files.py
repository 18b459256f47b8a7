"""The page of `--demo`:

an agent plays in the browser and asks this server for every step. Static files of `page/`, and the
models' names.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HERE = Path(__file__).parent / "page"
NAMES = "/page/models.json"

Reply = tuple[int, str, bytes]


class Demo:
    """What to answer a GET outside /v1/: (status, content type, body), or None where there is no
    such page.

    All files are read once; a path is only looked up among them. `names` gives the models that are
    served now.
    """

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names
        self._files = {
            f"/page/{path.name}": (200, TYPES[path.suffix], path.read_bytes())
            for path in HERE.iterdir()
            if path.suffix in TYPES
        }
        self._files["/"] = self._files.pop("/page/index.html")

    def __call__(self, path: str) -> Reply | None:
        path = path.partition("?")[0]
        if path == NAMES:
            return 200, "application/json", json.dumps({"models": sorted(self._names())}).encode()
        return self._files.get(path)
