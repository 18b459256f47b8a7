"""benchmarks.serving: what a client counts, the page, and a tiny load test of the real server."""

import asyncio
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.serving import client, page, plot, records, rounds
from benchmarks.serving.client import Order
from command_server import complete
from demo_server import balance, publish

ROOT = Path(__file__).resolve().parents[3]


def command(*words: str) -> subprocess.CompletedProcess:
    """Server, floor and clients are forked from the command, which is forked itself."""
    return complete([*words], ROOT, "benchmarks.serving")


def row(**values) -> records.Row:
    return records.Row(
        **{
            "transport": "rest",
            "batching": "off",
            "batch": 1,
            "clients": 1,
            "round": 1,
            "requests": 100,
            "errors": 0,
            "seconds": 0.1,
            "requests_per_second": 1000.0,
            "p50_ms": 1.0,
            "p99_ms": 2.0,
            "model": "saved_models/CartPole-v1",
            "placed": "all on the same cores",
            "versions": "dqn_tf 1",
            "machine": "2 cores",
            "date": "2026-01-01 00:00:00",
            "command": "python -m benchmarks.serving",
        }
        | values
    )


def reloaded(**values) -> records.Reload:
    return records.Reload(
        **{
            "transport": "rest",
            "batching": "off",
            "batch": 1,
            "clients": 8,
            "reloads": 20,
            "requests": 5000,
            "errors": 3,
            "p50_ms": 1.0,
            "p99_ms": 2.0,
            "swap_p50_seconds": 0.25,
            "swap_max_seconds": 0.5,
            "rss_first_mib": 600.0,
            "rss_last_mib": 601.0,
            "model": "m",
            "placed": "",
            "versions": "dqn_tf 1",
            "machine": "2 cores",
            "date": "2026-01-01 00:00:00",
            "command": "",
        }
        | values
    )


def floor(**values) -> records.Row:
    return row(transport=rounds.FLOOR, **values)


def answering(replies: list[bytes], order: dict) -> dict:
    """What a client measures against a server that gives these replies, one after the other, and
    then hangs up.
    """

    async def run() -> dict:
        async def serve(reader, writer):
            while replies:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(client.LENGTH.search(head)[1]))
                writer.write(replies.pop(0))
            writer.close()

        async with await asyncio.start_server(serve, client.HOST, 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await client.measure(Order("rest", port, "dqn", [4], 1, 1, **order))

    return asyncio.run(run())


def reply(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_a_client_counts_answers_and_every_kind_of_error(monkeypatch):
    monkeypatch.setattr(client, "WARM_REQUESTS", 1)
    good = reply("200 OK", b'{"predictions": []}')
    refused = reply("429 Too Many Requests", b'{"error": "busy"}')
    counted = answering([good] * 4 + [refused] + [good] * 3, {"seconds": 10, "requests": 7})
    assert (counted["requests"], counted["errors"]) == (6, 1) and counted["error_kinds"] == {
        'RuntimeError: HTTP/1.1 429 Too Many Requests: {"error": "busy"}': 1
    }
    assert 0 < counted["p50_ms"] <= counted["p99_ms"]
    assert counted["requests_per_second"] == pytest.approx(6 / counted["seconds"])
    # and two that meet nobody
    wrong = answering(
        [good, reply("200 OK", b'{"outputs": []}'), good], {"seconds": 10, "requests": 4}
    )
    assert (wrong["requests"], wrong["errors"]) == (1, 3)


def test_time_and_number_are_bounds(monkeypatch):
    monkeypatch.setattr(client, "WARM_REQUESTS", 1)
    good = reply("200 OK", b'{"predictions": []}')
    assert answering([good] * 100, {"seconds": 10, "requests": 20})["requests"] == 20
    assert answering([good] * 100, {"seconds": 0, "requests": 20})["requests"] <= 1


def test_a_stop_file_ends_it(monkeypatch, tmp_path):
    monkeypatch.setattr(client, "WARM_REQUESTS", 1)
    (tmp_path / "stop").touch()
    assert (
        answering(
            [reply("200 OK", b'{"predictions": []}')] * 100,
            {"seconds": 10, "requests": 50, "until": str(tmp_path / "stop")},
        )["requests"]
        == 0
    )


def test_ratios_are_of_the_same_round():
    rows = [
        floor(round=1, p50_ms=0.1),
        row(round=1, p50_ms=0.4),
        floor(round=2, p50_ms=1.0),
        row(round=2, p50_ms=5.0),
        floor(round=3, p50_ms=0.5),
        row(round=3, p50_ms=3.0),
        floor(batch=8, p50_ms=0.01),
    ]
    (line,) = page.load_lines(rows, 1)
    # of 4, 5 and 6, not of the medians
    assert dict(zip(page.HEADER, line, strict=True))["p50 against in process"] == "5.0"


def test_the_page_is_what_the_newest_records_give(tmp_path):
    for record in (
        row(date="2025-01-01 00:00:00", errors=77),
        floor(),
        row(errors=2),
        row(transport="grpc", clients=16, requests_per_second=1234.0),
        row(batch=64, requests_per_second=10.0),
        floor(batch=64),
    ):
        append(tmp_path / "load.csv", record)
    append(tmp_path / "reloads.csv", reloaded())
    read = records.read(tmp_path, "load")
    assert (
        read[0] == floor() and len(read) == 5 and records.read(tmp_path, "reloads") == [reloaded()]
    )
    plot.draw(read, page.picture(tmp_path))
    text = page.render(tmp_path, tmp_path / "page.md")
    assert "![Latency and requests per second by clients](load.png)" in text and "77" not in text
    assert "| grpc | off | 16 | 1.00 | 2.00 | 1,234 [1,234, 1,234] | 1,234 | 1.0 | 0 |" in text
    assert "## 64 observations a request" in text and "| 10 [10, 10] | 640 |" in text
    assert "| rest | off | 8 | 20 | 5,000 | 3 | 1.00 | 2.00 | 0.25 | 0.50 | 600 | 601 |" in text


def test_page_in_the_project_is_what_its_records_give():
    file = ROOT / "docs" / "serving_speed.md"
    assert file.read_text(encoding="utf-8") == page.render(RESULTS / "serving", file)


@pytest.mark.parametrize(
    "word, sentence",
    [
        ("--model=nowhere", "error: nowhere: there is no such directory."),
        (
            "--transports=rest,carrier",
            "error: --transports=rest,carrier: 'carrier' is none of rest, grpc.",
        ),
        ("--batching=", "error: --batching=: name at least one of off, on."),
        ("--seconds=0", "seconds"),
    ],
)
def test_a_wrong_flag_is_named(word, sentence):
    process = command(word)
    assert (
        process.returncode == 1 and sentence in process.stderr and "Traceback" not in process.stderr
    )


def test_a_tiny_load_test_end_to_end(tmp_path):
    publish(tmp_path / "models", 3, (4,), tf.float32, balance, 2)
    process = command(
        "--quick",
        "--nopin",
        "--seconds=0.1",
        f"--model={tmp_path / 'models'}",
        "--batching=off",
        f"--results_dir={tmp_path}",
        f"--page={tmp_path / 'page.md'}",
    )
    assert process.returncode == 0, process.stdout + process.stderr
    rows = records.read(tmp_path, "load")
    reloads = records.read(tmp_path, "reloads")
    cells = {(record.transport, record.batch, record.clients) for record in rows}
    assert cells == {
        (transport, batch, clients)
        for transport in ("rest", "grpc")
        for batch in (1, 64)
        for clients in (1, 16)
    } | {(rounds.FLOOR, batch, 1) for batch in (1, 64)}
    assert all(
        record.requests > 0 and record.errors == 0 and record.p50_ms <= record.p99_ms
        for record in rows
    ), rows
    assert [(record.transport, record.reloads, record.errors) for record in reloads] == [
        ("rest", 2, 0),
        ("grpc", 2, 0),
    ]
    assert all(
        record.requests > 50 and 0 < record.swap_p50_seconds <= record.swap_max_seconds < 10
        for record in reloads
    )
    assert (tmp_path / "load.png").stat().st_size > 10_000 and "1 observation a request" in (
        tmp_path / "page.md"
    ).read_text(encoding="utf-8")
