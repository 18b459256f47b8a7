"""dqn_tf.training.seeds_report: what several seeds reached together.

That whole runs write it: tests/engines/test_many_seeds.py.
"""

from pathlib import Path

from dqn_tf.training.seeds_report import closing_lines, summary_of

REPORTS = [
    {
        "env": "E",
        "seed": seed,
        "env_steps": 9,
        "updates": 2,
        "weights_sha256": "",
        "export": "",
        "seconds": seed,
        "score": {"mean": mean},
    }
    for seed, mean in enumerate((1.0, 2.0, 100.0, 4.0))
]


def test_the_summary_by_hand():
    summary = summary_of(REPORTS)
    names = ("mean", "iqm", "min", "max", "seconds")
    assert [summary[name] for name in names] == [26.75, 3.0, 1.0, 100.0, 3]
    low, high = summary["iqm_ci95"]
    assert low < 3.0 < high
    assert [row["score"] for row in summary["seeds"]] == [1.0, 2.0, 100.0, 4.0]


def test_the_last_lines_name_every_seed_and_evaluate_the_best():
    paths = {report["seed"]: Path(f"runs/seed{report['seed']}") for report in REPORTS}
    lines = closing_lines(summary_of(REPORTS), paths, Path("runs")).splitlines()
    assert "E: 4 seeds at once, 9 steps each, 3 s." in lines
    assert "  seed 3: 4.00   runs/seed3" in lines
    assert any(line.startswith("IQM of the seeds 3.00 (95 % interval ") for line in lines)
    assert lines[-1] == "  python evaluate.py --model=runs/seed2"


def test_seeds_that_were_trained_for_different_times():
    reports = [REPORTS[0], REPORTS[1] | {"env_steps": 4_000}, REPORTS[2] | {"env_steps": 100}]
    paths = {report["seed"]: Path("runs") for report in reports}
    lines = closing_lines(summary_of(reports), paths, Path("runs")).splitlines()
    assert "E: 3 seeds at once, 9 to 4,000 steps each, 2 s." in lines
