"""benchmarks.speed: the records, and the page and pictures that they give."""

from pathlib import Path

import pytest

from benchmark_helpers import HOST, ROOT, solve_row, speed_row
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.speed import page, plot, records, systems
from benchmarks.speed.settings import SETTINGS
from dqn_tf.support.errors import UserError


def fill(directory: Path) -> None:
    """Rows of every kind, some of an older measurement."""
    for number, host_speed in ((1, 3000.0), (2, 5000.0)):
        for system, steps_per_second in ((HOST, host_speed), (systems.BASE, 1000.0)):
            append(
                directory / "settings.csv",
                speed_row(system=system, round=number, env_steps_per_second=steps_per_second),
            )
            for value in (64, 128):
                append(
                    directory / "scaling.csv",
                    speed_row(setting="width", value=value, system=system, round=number),
                )
    append(
        directory / "scaling.csv",
        speed_row(setting="length", value=10, tenths="100:50.00 1000:75.00"),
    )
    append(
        directory / "settings.csv",
        speed_row(date="2025-01-01 00:00:00", env_steps_per_second=123456.0),
    )
    for value in (10_000, 1_000_000):
        append(directory / "memory.csv", speed_row(setting="memory", value=value))
    append(directory / "solve.csv", solve_row())
    append(directory / "solve.csv", solve_row(seed=1, build_seconds=None))


def test_rows_survive_the_file(tmp_path):
    fill(tmp_path)
    assert records.read(tmp_path, "solve") == [
        solve_row(),
        solve_row(seed=1, build_seconds=None),
    ]
    assert records.read(tmp_path, "settings")[0] == speed_row(env_steps_per_second=3000.0)
    assert records.read(tmp_path, "memory")[1].value == 1_000_000
    (tmp_path / "settings.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="its columns"):
        records.read(tmp_path, "settings")


def test_the_page_is_what_the_newest_records_give(tmp_path):
    empty = page.render(tmp_path, tmp_path / "docs" / "speed.md")
    assert empty.count("Not measured yet") == len(SETTINGS) + 3
    fill(tmp_path)
    text = page.render(tmp_path, tmp_path / "docs" / "speed.md")
    assert (
        f"| {HOST} | 1 | 2 | 4,000 [3,000, 5,000] | 4.00 [3.00, 5.00] |" in text
        and "123,456" not in text
    )
    assert (
        "`python -m benchmarks.speed --setting=anchor` on 2 cores, x86_64, Linux, 2026-01-01"
        " 00:00:00." in text
    )
    assert (
        "](../scaling_width.png)" in text
        and "| median | 500.0 | 2 of 2 |" in text
        and "1,000,000" in text
    )
    assert text.count("Not measured yet") == len(SETTINGS) - 1, "all but the anchor"
    for sweep in ("width", "length"):
        plot.growth(
            sweep,
            records.newest(records.read(tmp_path, "scaling"), sweep),
            tmp_path / f"{sweep}.png",
        )
        assert (tmp_path / f"{sweep}.png").read_bytes().startswith(b"\x89PNG")


def test_page_in_the_project_is_what_its_records_give():
    file = ROOT / "docs" / "speed.md"
    assert file.read_text(encoding="utf-8") == page.render(RESULTS / "speed", file), (
        "python -m benchmarks.speed --render_only"
    )
