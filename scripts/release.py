"""Builds the wheel and the source distribution and checks them: `python scripts/release.py`.

Needs `pip install build twine`. Writes to dist/. The wheel is installed into a fresh virtual
environment, and its commands are run there, away from the checkout. Nothing is uploaded.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OBSERVATION = [0.0, 0.1, 0.0, -0.1]
PATIENCE = 120  # seconds until the server must listen


def main() -> None:
    """Build, check, install, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where they are written")
    parser.add_argument(
        "--dependencies",
        type=Path,
        help="a site-packages directory to take the dependencies from, instead of installing them",
    )
    options = parser.parse_args()
    version = require_one_version()
    build(options.out)
    wheel = options.out / f"dqn_tf-{version}-py3-none-any.whl"
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        commands = install(wheel, work / "venv", options.dependencies)
        (work / "cwd").mkdir()
        check_commands(commands, work / "cwd")
        check_server(commands, work / "cwd")
    print(f"\ndqn_tf {version} is ready in {options.out}:")
    for path in sorted(options.out.glob(f"dqn_tf-{version}*")):
        print(f"  {path.name}  {path.stat().st_size:,} bytes")


def require_one_version() -> str:
    """Return the version; exit if the files that name it disagree."""
    named = {
        "dqn_tf/__init__.py": r'^__version__ = "(.+)"$',
        "CITATION.cff": r"^version: (.+)$",
        "CHANGELOG.md": r"^## \[?(\d[^\] ]*)",
    }
    versions = {}
    for name, pattern in named.items():
        match = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        versions[name] = match[1] if match else "none"
    if len(set(versions.values())) > 1:
        sys.exit(f"error: the files name different versions: {versions}.")
    return versions["CITATION.cff"]


def build(out: Path) -> None:
    """Build both distributions and let twine check them."""
    for old in out.glob("dqn_tf-*"):
        old.unlink()
    run([sys.executable, "-m", "build", "--outdir", out, ROOT])
    run([sys.executable, "-m", "twine", "check", "--strict", *sorted(out.glob("dqn_tf-*"))])


def install(wheel: Path, directory: Path, dependencies: Path | None) -> Path:
    """Install the wheel with its server into a fresh environment; return where its commands lie."""
    venv.create(directory, with_pip=True)
    commands = directory / "bin"
    if dependencies is None:
        run([commands / "pip", "install", "-q", f"{wheel}[serving]"])
        return commands
    run([commands / "pip", "install", "-q", "--no-deps", wheel])
    (site_packages,) = directory.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(f"{dependencies.resolve()}\n", encoding="utf-8")
    return commands


def check_commands(commands: Path, cwd: Path) -> None:
    """Train, evaluate, export and diagnose, as a user would after the installation."""
    run([commands / "dqn-train", "--env=CartPole-v1", "--total_steps=3000", "--run_dir=run"], cwd)
    run([commands / "dqn-evaluate", "--model=saved_models/CartPole-v1", "--episodes=10"], cwd)
    run([commands / "dqn-export", "--run=run", "--formats=savedmodel,tflite"], cwd)
    run([commands / "dqn-doctor", "--env=CartPole-v1"], cwd)
    run([commands / "dqn-record", "--env=CartPole-v1", "--output=random.npz"], cwd)
    program = (
        "import dqn_tf; print(dqn_tf.__file__);"
        " print(dqn_tf.evaluate('saved_models/CartPole-v1', episodes=5))"
    )
    run([commands / "python", "-c", program], cwd)


def check_server(commands: Path, cwd: Path) -> None:
    """Serve what was trained, with the page, and ask once."""
    words = ["--model_base_path=saved_models/CartPole-v1", "--demo", "--port=0"]
    words.append("--rest_api_port=-1")
    print("\n$ dqn-serve", *words, flush=True)
    log = cwd / "server.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen([commands / "dqn-serve", *words], cwd=cwd, stdout=output)
        try:
            base = wait_for_address(server, log)
            with urllib.request.urlopen(base, timeout=10) as page:
                assert b"<html" in page.read(), "the page is not in the wheel"
            request = urllib.request.Request(
                f"{base}v1/models/default:predict",
                json.dumps({"instances": [OBSERVATION]}).encode(),
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                print(json.load(answer)["predictions"])
        finally:
            server.send_signal(signal.SIGTERM)
            status = server.wait(30)
    assert status == 0, f"dqn-serve ended with {status}"


def wait_for_address(server: subprocess.Popen, log: Path) -> str:
    """Return the address that the server prints once it listens."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        match = re.search(r"^page on (\S+)$", log.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return match[1]
        time.sleep(0.1)
    sys.exit(f"error: dqn-serve did not listen:\n{log.read_text(encoding='utf-8')}")


def run(words: list, cwd: Path = ROOT) -> None:
    """Show a command and run it; exit if it fails."""
    print("\n$", Path(words[0]).name, *words[1:], flush=True)
    if subprocess.run(words, cwd=cwd, check=False).returncode:
        sys.exit(f"error: {words[0]} failed.")


if __name__ == "__main__":
    main()
