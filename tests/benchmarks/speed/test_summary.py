"""benchmarks.speed.summary: ratios by round, growth, memory, and whole trainings."""

from benchmark_helpers import HOST, solve_row, speed_row
from benchmarks.speed import summary, systems


def test_ratios_are_of_the_same_round():
    runs = [
        speed_row(round=1, env_steps_per_second=3000.0),
        speed_row(round=2, env_steps_per_second=8000.0),
        speed_row(round=4, env_steps_per_second=1.0),
    ]
    base = [
        speed_row(system=systems.BASE, round=2, env_steps_per_second=2000.0),
        speed_row(system=systems.BASE, round=1, env_steps_per_second=1000.0),
        speed_row(system=systems.BASE, round=3, env_steps_per_second=7.0),
    ]
    assert summary.ratios(runs, base) == [
        3.0,
        4.0,
    ], "medians of all runs would have given 3000 / 1000"
    ours_line, base_line = summary.speed_lines(runs[:2] + base[:2])
    assert (
        ours_line[:5] == (HOST, "1", "2", "5,500 [3,000, 8,000]", "3.50 [3.00, 4.00]")
        and base_line[4] == "1.00 [1.00, 1.00]"
    )
    (alone,) = summary.speed_lines(runs)
    assert alone[4] == "—"


def test_growth_is_the_last_value_over_the_first_of_the_same_round():
    rows = [
        speed_row(setting="width", value=value, round=number, env_steps_per_second=1e6 / cost)
        for number, value, cost in ((1, 64, 10.0), (1, 1024, 40.0), (2, 64, 20.0), (2, 1024, 100.0))
    ]
    (line,) = summary.growth_lines("width", rows)
    assert line == ("width", HOST, "64", "1,024", "15.0", "70.0", "4.50 [4.00, 5.00]")
    (line,) = summary.growth_lines(
        "length", [speed_row(setting="length", value=10, tenths="100:50.00 500:30.00 1000:75.00")]
    )
    assert line[2:] == ("100", "1,000", "50.0", "75.0", "1.50 [1.50, 1.50]")


def test_memory_grows_by_bytes_per_transition():
    rows = [
        speed_row(setting="memory", value=10_000, peak_rss_mib=400.0),
        speed_row(setting="memory", value=1_010_000, peak_rss_mib=450.0),
    ]
    small, large = summary.memory_lines(rows)
    assert small[1:4] == ("10,000", "300", "400") and small[-1] == "—"
    assert large[-1] == "52.4", "50 MiB over a million transitions"


def test_solved_is_gymnasiums_threshold():
    rows = [
        solve_row(score=475.0),
        solve_row(seed=1, score=474.9, wall_seconds=40.0, compile_seconds=None),
        solve_row(seed=2, wall_seconds=30.0),
        solve_row(engine="graph", wall_seconds=10.0),
    ]
    assert [row.solved for row in rows] == [True, False, True, True]
    *lines, middle, graph, graph_middle = summary.solve_lines(rows)
    assert lines[1][:5] == ("host", "1", "474.9", "no", "40.0") and lines[1][7] == "—"
    assert middle[:5] == ("host", "median", "475.0", "2 of 3", "30.0") and middle[7] == "2.0"
    assert graph[:2] == ("graph", "0") and graph_middle[:5] == (
        "graph",
        "median",
        "500.0",
        "1 of 1",
        "10.0",
    )
