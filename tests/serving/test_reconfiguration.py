"""What changes while the server runs: the configuration, labels, and the files that it reads."""

import concurrent.futures
import shutil
import time

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2

import server_process
import signature_zoo
from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.models import loading
from dqn_tf.serving.options import Options

ROW = [1.0, 2.0, 3.0, 4.0]
BODY = {"signature_name": "serving_default", "instances": [ROW]}
NAMES = ("a", "b", "c", "new")
ALL = "model_version_policy { all {} }"


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """Versions 1 and 2, whose Q-values are larger by 100 and 200."""
    directory = tmp_path_factory.mktemp("stock")
    for version in (1, 2):
        signature_zoo.save_small(directory / str(version), offset=100.0 * version)
    return directory


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Where a/1, b/1 and the empty directory c are at the beginning of each test."""
    return tmp_path_factory.mktemp("reconfiguration")


def config(base, *models: str) -> str:
    """A ModelServerConfig of "NAME further fields" each."""
    parts = []
    for model in models:
        name, _, more = model.partition(" ")
        parts.append(
            f'config {{ name: "{name}" base_path: "{base / name}" model_platform: "tensorflow"'
            f" {more} }}\n"
        )
    return "model_config_list {" + "".join(parts) + "}"


@pytest.fixture(scope="module")
def process(base, stock):
    """A server of a and b whose configuration file is read again and again."""
    restore(base, stock)
    with server_process.embedded(
        base,
        f"--model_config_file={base / 'models'}",
        "--model_config_file_poll_wait_seconds=0.1",
        "--file_system_poll_wait_seconds=0.1",
    ) as started:
        yield started
        assert started.process.poll() is None and "Traceback" not in started.text, started.text


@pytest.fixture
def server(process, base, stock):
    """The server as it is at the beginning; what it said before does not count."""

    def are(states: dict) -> bool:
        return all(process.states(name) == states.get(name, {}) for name in NAMES)

    (base / "models").write_text(config(base), encoding="utf-8")
    server_process.wait(lambda: are({}), "no model")
    restore(base, stock)
    server_process.wait(lambda: are({"a": {1: "AVAILABLE"}, "b": {1: "AVAILABLE"}}), "a and b")
    process.forget_text()
    return process


def restore(base, stock) -> None:
    """Write the files of the beginning."""
    for name in NAMES:
        shutil.rmtree(base / name, ignore_errors=True)
    for name in ("a", "b"):
        shutil.copytree(stock / "1", base / name / "1")
    (base / "c").mkdir()
    (base / "models").write_text(config(base, f"a {ALL}", "b"), encoding="utf-8")


def add_version(base, stock, name: str, version: int) -> None:
    shutil.copytree(stock / "2", base / ".tmp")
    (base / ".tmp").rename(base / name / str(version))


def offset(server, which: str) -> float | int:
    """How much larger the Q-values are; a status if there is no answer."""
    status, answer = server.predict(BODY, f"/v1/models/{which}")
    return answer["predictions"][0]["q_values"][0] - 6.0 if status == 200 else status


def reload(server, text: str, **options) -> grpc.StatusCode:
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(text, request.config)
    try:
        server.model.HandleReloadConfigRequest(request, **options)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_a_label_waits_for_its_version(server, base, stock):
    labels = "version_labels{key:'old' value:1} version_labels{key:'new' value:2}"
    (base / "models").write_text(config(base, f"a {ALL} {labels}", "b"), encoding="utf-8")
    server_process.wait(lambda: offset(server, "a/labels/old") == 100.0, "the label of 1")
    server_process.wait(lambda: "'new' waits for version 2" in server.text, "a word about it")
    assert offset(server, "a/labels/new") == 400
    add_version(base, stock, "a", 2)
    server_process.wait(lambda: offset(server, "a/labels/new") == 200.0, "the label of 2")
    assert server.text.count("waits for version 2") == 1


def test_a_label_stays_where_it_was_until_its_new_version_is_there(server, base, stock):
    labels = "version_labels{key:'x' value:%d}"
    (base / "models").write_text(config(base, f"a {ALL} {labels % 1}", "b"), encoding="utf-8")
    server_process.wait(lambda: offset(server, "a/labels/x") == 100.0, "the label")
    (base / "models").write_text(config(base, f"a {ALL} {labels % 2}", "b"), encoding="utf-8")
    server_process.wait(lambda: "waits for version 2" in server.text, "a word about it")
    assert offset(server, "a/labels/x") == 100.0
    add_version(base, stock, "a", 2)
    server_process.wait(lambda: offset(server, "a/labels/x") == 200.0, "the label")


def test_a_refused_request_changes_nothing(server, base, stock):
    """Neither is its new model served, nor one unloaded that it leaves out."""
    shutil.copytree(stock / "2", base / "new" / "1")
    bad_label = "version_labels{key:'x' value:7}"
    text = config(base, f"a {ALL} {bad_label}", "new")
    assert reload(server, text) == grpc.StatusCode.FAILED_PRECONDITION
    assert offset(server, "new") == 404 and offset(server, "a/labels/x") == 400
    assert offset(server, "a") == offset(server, "b") == 100.0
    time.sleep(0.5)  # some polls later
    assert offset(server, "new") == 404 and offset(server, "b") == 100.0
    assert reload(server, config(base, f"a {ALL}", "new")) == grpc.StatusCode.OK
    assert offset(server, "new") == 200.0 and offset(server, "b") == 404


@pytest.mark.parametrize(
    "wrong", ["no configuration", 'config { name: "new" base_path: "relative" }']
)
def test_a_refused_file_changes_nothing(server, base, stock, wrong):
    shutil.copytree(stock / "2", base / "new" / "1")
    (base / "models").write_text(config(base, "new")[:-1] + wrong + "}", encoding="utf-8")
    server_process.wait(lambda: "stays as it was" in server.text, "a word about the file")
    time.sleep(0.5)
    assert server.text.count("stays as it was") == 1
    assert offset(server, "new") == 404 and offset(server, "a") == offset(server, "b") == 100.0


def test_a_file_without_a_list_unloads_nothing(server, base):
    """As one that is just being written has none."""
    (base / "models").write_text("", encoding="utf-8")
    server_process.wait(lambda: "has no model_config_list" in server.text, "a word about the file")
    assert offset(server, "a") == offset(server, "b") == 100.0
    (base / "models").write_text("model_config_list {}", encoding="utf-8")
    server_process.wait(lambda: offset(server, "a") == 404, "an empty list unloads")


def test_a_refused_request_unloads_no_version(server, base, stock):
    """While it waited, a version that its policy leaves out went on."""
    add_version(base, stock, "a", 2)
    server.wait_for(2, "AVAILABLE", "a")
    assert offset(server, "a/versions/1") == 100.0
    only_2 = "model_version_policy { specific { versions: 2 } }"
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(reload, server, config(base, f"a {only_2}", "c"), timeout=2)
        while not waiting.done():
            assert offset(server, "a/versions/1") == 100.0
            time.sleep(0.1)
        assert waiting.result() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert offset(server, "a/versions/1") == 100.0
    assert reload(server, config(base, f"a {only_2}"), timeout=30) == grpc.StatusCode.OK
    server_process.wait(lambda: offset(server, "a/versions/1") == 404, "version 1 unloaded")


def test_a_reload_that_waits_for_another_ends_with_its_client(server, base):
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(reload, server, config(base, "a", "c"), timeout=4)
        time.sleep(1)
        text = config(base, "b")
        assert reload(server, text, timeout=1) == grpc.StatusCode.DEADLINE_EXCEEDED
        assert waiting.result() == grpc.StatusCode.DEADLINE_EXCEEDED
    time.sleep(0.5)
    assert offset(server, "a") == offset(server, "b") == 100.0


def test_a_reload_waits_for_new_models_only(server, base, stock):
    """All versions of b are gone, and it is served on: that holds nobody up."""
    shutil.rmtree(base / "b" / "1")
    server.wait_for(1, "END", "b")
    shutil.copytree(stock / "2", base / "new" / "1")
    text = config(base, f"a {ALL}", "b", "new")
    assert reload(server, text, timeout=30) == grpc.StatusCode.OK
    assert offset(server, "new") == 200.0
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(reload, server, config(base, "a", "c"), timeout=60)
        time.sleep(0.5)
        assert not waiting.done() and offset(server, "c") == 404
        add_version(base, stock, "c", 1)
        assert waiting.result() == grpc.StatusCode.OK and offset(server, "c") == 200.0


def test_a_reload_ends_with_its_client(server, base):
    text = config(base, "a", "b", "c")
    assert reload(server, text, timeout=1) == grpc.StatusCode.DEADLINE_EXCEEDED
    server_process.wait(lambda: offset(server, "c") == 404 and not server.states("c"), "c gone")
    assert reload(server, config(base, "a", "b"), timeout=30) == grpc.StatusCode.OK


def test_a_path_with_a_null_character_is_refused(server):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="x", base_path="/x\0y", model_platform="tensorflow"
    )
    with pytest.raises(grpc.RpcError) as caught:
        server.model.HandleReloadConfigRequest(request, timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_gone_is_said_once(server, base):
    """A model's directory, and the configuration file; and again when they go again."""
    for turn in (1, 2):
        (base / "a").rename(base / "aside")
        (base / "models").rename(base / "models-aside")
        server_process.wait(lambda: server.text.count("is gone") == turn, "a word about a")  # noqa: B023
        server_process.wait(lambda: server.text.count("stays as") == turn, "about the file")  # noqa: B023
        time.sleep(0.6)
        assert server.text.count("is gone") == server.text.count("stays as it was") == turn
        assert str(base / "models") in server.text
        (base / "aside").rename(base / "a")
        (base / "models-aside").rename(base / "models")
        time.sleep(0.6)
    assert offset(server, "a") == 100.0


# Files


def test_a_file_that_cannot_be_read_is_named(base, monkeypatch):
    from pathlib import Path

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ServingError) as caught:
        loading.load("a", 1, base / "a" / "1", Options())
    assert caught.value.code == "PERMISSION_DENIED"
    path = base / "a" / "1" / "saved_model.pb"
    assert caught.value.message == f"{path} cannot be read: Permission denied"


@pytest.mark.parametrize("name", ["[v1]", "a*b", "what?", "back\\slash"])
def test_a_path_may_look_like_a_pattern(base, stock, name):
    path = base / name / "1"
    shutil.copytree(stock / "2", path)
    model = loading.load("a", 1, path, Options())
    assert "serving_default" in model.signatures
    model.close()
