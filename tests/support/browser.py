"""A headless Chromium, driven over the two pipes of its DevTools protocol.

It needs no port, no driver and no library.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Becomes the browser, with the two pipes where it looks for them.
LAUNCH = """
import fcntl, os, sys
theirs, back = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(theirs, 3)
os.dup2(back, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 60  # seconds for one answer or condition


def binary() -> str | None:
    """The browser's path: CHROMIUM, or one of the usual names; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page in a browser of its own.

    A context manager; everything that a page logs as an error is kept in `errors`.
    """

    def __init__(self, width: int = 1180, height: int = 900, dark: bool = False) -> None:
        self._profile = tempfile.mkdtemp(prefix="dqn_tf-browser-")
        theirs, self._write = os.pipe()
        self._read, back = os.pipe()
        words = [
            binary(),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--mute-audio",
            "--hide-scrollbars",
            "--disable-background-networking",
            f"--window-size={width},{height}",
            f"--user-data-dir={self._profile}",
            "--remote-debugging-pipe",
            "about:blank",
        ]
        launch = [sys.executable, "-I", "-c", LAUNCH, str(theirs), str(back), *words]
        self._process = subprocess.Popen(
            launch,
            pass_fds=(theirs, back),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs)
        os.close(back)
        self._pending = b""
        self._count = 0
        self._session = None
        self.errors: list[str] = []
        target = next(
            info for info in self.call("Target.getTargets")["targetInfos"] if info["type"] == "page"
        )
        self._session = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Log.enable")
        self.look(width, height, dark)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self._session = None
            self.call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def look(
        self,
        width: int,
        height: int,
        dark: bool = False,
        reduced_motion: bool = False,
        scale: float = 1,
    ) -> None:
        """The window's size and what the person in front of it prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {
                    "name": "prefers-reduced-motion",
                    "value": "reduce" if reduced_motion else "no-preference",
                },
            ],
        )

    def open(self, url: str) -> None:
        """Goes there, until the page's own parts are there; what it fetches may still come."""
        self.call("Page.navigate", url=url)  # returns once the new document has begun
        self.until("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What the JavaScript expression, or the promise that it is, comes to."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = PATIENCE) -> Any:
        """The expression's value as soon as it is true; fails after `seconds`."""
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            assert time.monotonic() < end, (
                f"not in {seconds} s: {expression}; the page:"
                f" {self.value('document.body.innerText')}; {self.errors}"
            )
            time.sleep(0.03)
        return value

    def press(self, key: str, down: bool = True) -> None:
        """A key goes down, or up."""
        text = {"text": key} if down and len(key) == 1 else {}
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown" if down else "keyUp",
            key=key,
            code={" ": "Space"}.get(key, key),
            **text,
        )

    def set(self, id_: str, value: str) -> None:
        """Moves the slider, or makes the choice, with that id, as a person's hand would."""
        self.value(
            f"(() => {{ const input = document.getElementById({id_!r}); input.value = {value!r};"
            " for (const type of ['input', 'change']) input.dispatchEvent(new Event(type, {bubbles:"
            " true})); })()"
        )

    def picture(self, file: Path) -> None:
        """A PNG of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        file.write_bytes(
            base64.b64decode(
                self.call(
                    "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
                )["data"]
            )
        )

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters} | (
            {"sessionId": self._session} if self._session else {}
        )
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            received = os.read(self._read, 1 << 20)
            assert received, "the browser has ended"
            self._pending += received
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(
                parameters["exceptionDetails"]
                .get("exception", parameters["exceptionDetails"])
                .get("description", str(parameters))
            )
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(
                f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}"
            )
