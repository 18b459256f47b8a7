"""The zoo of signature_zoo, and a server of it that no test may change."""

from pathlib import Path

import pytest

import server_process
import signature_zoo
from server_process import NAME


@pytest.fixture(scope="session")
def zoo_models(tmp_path_factory) -> Path:
    """A directory with zoo/1, and zoo/3, whose Q-values are larger by 100."""
    directory = tmp_path_factory.mktemp("serving-zoo")
    signature_zoo.save(directory / NAME / "1")
    signature_zoo.save(directory / NAME / "3", offset=100.0)
    return directory


@pytest.fixture(scope="session", params=server_process.SERVERS)
def server(request, zoo_models):
    """An address at which version 3, the newest, is served."""
    if request.param == "real":
        with server_process.real(zoo_models) as address:
            yield address
        return
    flags = f"--model_base_path={zoo_models / NAME}", f"--model_name={NAME}"
    with server_process.embedded(zoo_models, *flags) as process:
        yield process
        assert process.process.poll() is None, process.text
        assert "Traceback" not in process.text, process.text


@pytest.fixture(scope="module", params=["plain", "batching"])
def attacked_server(request, zoo_models):
    """A server for tests that send what is made to hurt, without and with batching."""
    flags = [f"--model_base_path={zoo_models / NAME}", f"--model_name={NAME}"]
    if request.param == "batching":
        flags.append("--enable_batching")
    with server_process.embedded(zoo_models, *flags) as process:
        yield process
        assert process.stop() == 0 and "Traceback" not in process.text, process.text
