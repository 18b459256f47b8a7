"""Takes the picture of the demo page in the README.

    python tests/support/demo_picture.py --url=http://127.0.0.1:8501 --output=docs/demo.png

The server is started before, with --demo and a CartPole agent. Needs Chromium.
"""

import argparse
from pathlib import Path

from browser import Browser

WIDTH, HEIGHT = 1120, 760


def main() -> None:
    """Lets it play some episodes with and without disturbances, and takes the picture in the midst
    of one.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8501", help="of the server")
    parser.add_argument("--output", type=Path, default=Path("docs/demo.png"), help="file to write")
    parser.add_argument(
        "--dark", action="store_true", help="as it looks to those who prefer dark pages"
    )
    arguments = parser.parse_args()
    with Browser(WIDTH, HEIGHT) as browser:
        browser.look(WIDTH, HEIGHT, dark=arguments.dark, scale=1.5)
        browser.open(arguments.url)
        browser.until("document.getElementById('step')?.value > 5")
        browser.value("document.querySelector('[name=speed][value=max]').click()")
        for episodes, epsilon in ((1, "0"), (8, "0.6"), (13, "0.9"), (20, "0.5"), (22, "0")):
            browser.set("epsilon", epsilon)
            browser.until(f"document.querySelectorAll('.episode').length >= {episodes}", 120)
        browser.value("document.querySelector('[name=speed][value=\"1\"]').click()")
        browser.set("push", "-0.03")
        browser.until(
            "document.getElementById('step').value >= 1 && document.getElementById('step').value"
            " <= 100"
        )
        browser.until("document.getElementById('step').value >= 120")
        browser.picture(arguments.output)


if __name__ == "__main__":
    main()
