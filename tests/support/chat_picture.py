"""Takes the picture of the chat in docs/serving.md, from a running server with --demo and Helpdesk.

python tests/support/chat_picture.py --url=http://127.0.0.1:8501 --output=docs/chat.png
"""

import argparse
from pathlib import Path

from browser import Browser

WIDTH, HEIGHT = 1120, 760
# of the wordings for training
SAID = ("I cannot get on to your service today.", "The login is turned down.")


def write(browser: Browser, text: str) -> None:
    """Sends a line by the keyboard."""
    browser.call("Input.insertText", text=text)
    for kind, more in (("keyDown", {"text": "\r"}), ("keyUp", {})):
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        browser.call("Input.dispatchKeyEvent", type=kind, **enter, **more)


def main() -> None:
    """Lets some customers be played, then writes as one until the agent has answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="of the server")
    parser.add_argument("--output", type=Path, default=Path("docs/chat.png"), help="file to write")
    arguments = parser.parse_args()
    with Browser(WIDTH, HEIGHT) as browser:
        browser.look(WIDTH, HEIGHT, scale=1.5)
        browser.open(arguments.url)
        browser.until("document.getElementById('step')?.value > 0")
        browser.value("document.querySelector('[name=speed][value=max]').click()")
        browser.until("document.querySelectorAll('.episode').length >= 24", 120)
        browser.value("document.getElementById('say').focus()")
        for number, text in enumerate(SAID):
            write(browser, text)
            browser.until(f"document.querySelectorAll('.line.agent').length > {number}")
        browser.until("!document.getElementById('verdict').hidden", 10)
        browser.picture(arguments.output)


if __name__ == "__main__":
    main()
