"""Versions on the disk: what is loaded, what is refused, and that nobody notices a swap."""

import concurrent.futures
import shutil
import threading
import time

import pytest

import server_process
import signature_zoo

ROW = [1.0, 2.0, 3.0, 4.0]
BODY = {"signature_name": "serving_default", "instances": [ROW]}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """Ready versions 1 to 4, whose q_values tell which one answers, to copy from."""
    directory = tmp_path_factory.mktemp("stock")
    for version in range(1, 5):
        signature_zoo.save_small(directory / str(version), offset=float(100 * version))
    return directory


@pytest.fixture(scope="module")
def server(tmp_path_factory, stock):
    """A server whose versions come and go; each test starts from the state that `fresh` makes."""
    directory = tmp_path_factory.mktemp("serving-versions")
    shutil.copytree(stock / "1", directory / "zoo" / "1")
    with server_process.embedded(
        directory,
        f"--model_base_path={directory / 'zoo'}",
        "--model_name=zoo",
        "--max_num_load_retries=0",
        "--file_system_poll_wait_seconds=0.2",
    ) as started:
        started.base, started.numbers = directory / "zoo", iter(range(10, 1000))
        yield started
        assert started.process.poll() is None, started.text


def publish(server, source, name: str | None = None) -> int:
    """Copies a version aside and renames it to the next number, or to `name`."""
    number = next(server.numbers)
    shutil.copytree(source, server.base / ".tmp")
    (server.base / ".tmp").rename(server.base / (name.format(number) if name else str(number)))
    return number


def answers(server) -> float:
    status, answer = server.predict(BODY)
    assert status == 200, answer
    return answer["predictions"][0]["q_values"][0] - 6.0


def test_the_newest_answers_and_the_old_one_ends(server, stock):
    before = max(server.states())
    number = publish(server, stock / "2")
    server.wait_for(number, "AVAILABLE")
    server.wait_for(before, "END")
    assert answers(server) == 200.0 and next(iter(server.states())) == number
    assert server.predict(BODY, f"/v1/models/zoo/versions/{number}")[0] == 200
    assert server.predict(BODY, f"/v1/models/zoo/versions/{before}")[0] == 404


def test_a_request_at_work_holds_the_old_version(server, stock):
    before = publish(server, stock / "1")
    server.wait_for(before, "AVAILABLE")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        address = server_process.Address(server.host, server.rest, server.rpc)
        slow = threads.submit(
            address.predict, {"signature_name": "slow", "inputs": [4.0]}, "/v1/models/zoo"
        )
        time.sleep(0.5)
        number = publish(server, stock / "2")
        server.wait_for(number, "AVAILABLE")
        server.wait_for(before, "UNLOADING")
        assert not slow.done() and answers(server) == 200.0
        assert slow.result() == (200, {"outputs": [4.0]})
    server.wait_for(before, "END")


def test_leading_zeros_are_a_number(server, stock):
    number = publish(server, stock / "3", "000{}")
    server.wait_for(number, "AVAILABLE")
    assert answers(server) == 300.0


@pytest.mark.parametrize("name", ["tmp", ".{}", "{}.tmp", "v{}", "1e3", "-{}"])
def test_other_names_are_ignored(server, stock, name):
    before = server.states()
    publish(server, stock / "1", name)
    time.sleep(0.6)
    assert server.states() == before


def _empty(path):
    shutil.rmtree(path)
    path.mkdir()


def _file(path):
    shutil.rmtree(path)
    path.write_text("no directory", encoding="utf-8")


def _cut(name):
    def cut(path):
        (file,) = path.glob(name)
        file.write_bytes(file.read_bytes()[: len(file.read_bytes()) // 2])

    return cut


def _without(name):
    def without(path):
        for found in path.glob(name):
            shutil.rmtree(found) if found.is_dir() else found.unlink()

    return without


BROKEN = {
    "empty": (_empty, "NOT_FOUND"),
    "a file": (_file, "NOT_FOUND"),
    "no saved_model.pb": (_without("saved_model.pb"), "NOT_FOUND"),
    "cut saved_model.pb": (_cut("saved_model.pb"), "OUT_OF_RANGE"),
    "cut variables": (_cut("variables/variables.data-*"), "OUT_OF_RANGE"),
    "no variables": (_without("variables"), "NOT_FOUND"),
    "no index": (_without("variables/variables.index"), "NOT_FOUND"),
    "no data": (_without("variables/variables.data-*"), "UNKNOWN"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_half_written_version_ends_with_its_error_and_the_old_one_goes_on(server, stock, kind):
    damage, code = BROKEN[kind]
    before, offset = server.states(), answers(server)
    source = server.base.parent / "damaged"
    shutil.copytree(stock / "4", source)
    damage(source)
    number = next(server.numbers)
    source.rename(server.base / str(number))
    server.wait_for(number, "END")
    assert answers(server) == offset
    status, _, body = server.ask("GET", f"/v1/models/zoo/versions/{number}")
    assert (
        status == 200
        and f'"error_code": "{code}"' in body.decode()
        and '"error_message": ""' not in body.decode()
    )
    assert {
        version: state for version, state in server.states().items() if version != number
    } == before
    time.sleep(0.5)
    assert server.states()[number] == "END", "it is tried again though its retries are over"
    path = server.base / str(number)
    path.unlink() if path.is_file() else shutil.rmtree(path)


@pytest.mark.parametrize(
    "warmup, works",
    [
        ([signature_zoo.warmup_record()] * 3, True),
        ([], True),
        ([signature_zoo.warmup_record(width=3)], False),
        ([signature_zoo.warmup_record(signature="none")], False),
        ([signature_zoo.warmup_record(alias="none")], False),
        ([b"\xff\xff"], False),
        ([signature_zoo.unsupported_record()], False),
        ([signature_zoo.warmup_record()] * 1000, True),
        ([signature_zoo.warmup_record()] * 1001, False),
        ("no TFRecord", False),
    ],
    ids=[
        "good",
        "no record",
        "width",
        "signature",
        "alias",
        "unparsable",
        "kind",
        "1000",
        "1001",
        "no TFRecord",
    ],
)
def test_warm_up_comes_first_and_a_failure_refuses_the_version(server, tmp_path, warmup, works):
    offset = answers(server)
    source = signature_zoo.save_small(
        tmp_path / "1", 900.0, [] if isinstance(warmup, str) else warmup
    )
    if isinstance(warmup, str):
        (source / "assets.extra" / "tf_serving_warmup_requests").write_text(
            warmup, encoding="utf-8"
        )
    number = publish(server, source)
    server.wait_for(number, "AVAILABLE" if works else "END")
    assert answers(server) == (900.0 if works else offset)
    if not works:
        shutil.rmtree(server.base / str(number))


def test_back_to_the_older_one_when_the_newest_is_removed(server, stock):
    first, second = publish(server, stock / "1"), publish(server, stock / "2")
    server.wait_for(second, "AVAILABLE")
    shutil.rmtree(server.base / str(second))
    server.wait_for(first, "AVAILABLE")
    server.wait_for(second, "END")
    assert answers(server) == 100.0


def test_all_removed_and_the_directory_gone(server, stock):
    number = publish(server, stock / "3")
    server.wait_for(number, "AVAILABLE")
    aside = server.base.rename(server.base.parent / "aside")
    server_process.wait(lambda: "is gone" in server.text, "a word about the directory")
    assert answers(server) == 300.0, "nothing is unloaded when the whole directory is gone"
    aside.rename(server.base)
    versions = [path for path in server.base.iterdir() if path.name.isdecimal()]
    for path in versions:
        path.rename(server.base / f"old-{path.name}")
    server.wait_for(number, "END")
    assert server.predict(BODY)[0] == 404
    number = publish(server, stock / "4")
    server.wait_for(number, "AVAILABLE")
    assert answers(server) == 400.0


def test_swaps_under_load(server, stock):
    """Eight clients, twenty swaps:

    no request fails, each new version answers soon, and memory does not grow.
    """
    stop, failures, counts = threading.Event(), [], [0] * 8

    def client(index: int) -> None:
        address = server_process.Address(server.host, server.rest, server.rpc)
        while not stop.is_set():
            status, answer = address.predict(BODY)
            counts[index] += 1
            if status != 200:
                failures.append(answer)
            time.sleep(0.01)  # or they take all the time that swaps need

    threads = [threading.Thread(target=client, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    sizes = []
    for turn in range(20):
        number = publish(server, stock / str(1 + turn % 4))
        server.wait_for(number, "AVAILABLE")
        assert answers(server) == 100.0 * (1 + turn % 4)
        sizes.append(server.memory())
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and min(counts) > 20
    assert sizes[-1] - sizes[4] < 60e6, sizes
