"""dqn_tf.run_files.report: evaluation.json and the last lines on the terminal."""

from pathlib import Path

from dqn_tf.run_files.report import BestWeights, Report, closing_lines
from dqn_tf.run_files.run_directory import RunDirectory


def summary(mean: float) -> dict:
    """The part of `Evaluation.summary` that is shown."""
    return {"mean": mean, "mean_ci95": [mean - 1, mean + 1], "iqm": mean, "episodes": 5}


def make_report(best: BestWeights, exported: str = "last") -> Report:
    return Report(
        env="E-v0",
        protocol="",
        seed=3,
        env_steps=1_000,
        offline_updates=0,
        updates=500,
        behaviour={},
        weights_sha256="last",
        last=summary(10.0),
        best=best,
        score=summary(10.0),
        exported=exported,
        export="/elsewhere/2",
        advice=["Try this."],
        seconds=7.4,
        timings={"train": 5.0},
    )


SAME = BestWeights(1_000, 9.0, "last", summary(10.0))
BETTER = BestWeights(800, 12.0, "best", summary(11.0))


def lines_of(report: Report) -> list[str]:
    return closing_lines(report, RunDirectory("runs/a"), Path("exports")).splitlines()


def test_evaluation_json_has_its_keys_in_order():
    written = make_report(BETTER).to_dict()
    assert list(written) == [
        "env",
        "protocol",
        "seed",
        "env_steps",
        "offline_updates",
        "updates",
        "behaviour",
        "weights_sha256",
        "last",
        "best",
        "score",
        "exported",
        "export",
        "advice",
        "seconds",
        "timings",
    ]
    assert list(written["best"]) == ["env_step", "mean", "weights_sha256", "test"]


def test_the_last_lines_name_score_files_and_the_next_command():
    lines = lines_of(make_report(SAME))
    assert "E-v0: 1,000 steps, 500 updates, 7 s." in lines
    assert (
        "Score of the last weights: mean 10.0 (95 % interval 9.0 to 11.0), IQM 10.0,"
        " 5 greedy episodes on seeds used nowhere else"
    ) in lines
    assert "SavedModel      exports/2" in lines
    assert "  python evaluate.py --model=exports" in lines
    assert not any("best" in line for line in lines)


def test_better_weights_are_named_and_how_to_export_them():
    lines = lines_of(make_report(BETTER))
    assert any(line.startswith("Score of the best, step 800: mean 11.0") for line in lines)
    assert any("--export_weights=best would take the best." in line for line in lines)
    assert any(line.endswith("--weights=best)") and "export --run=" in line for line in lines)
    lines = lines_of(make_report(BETTER, exported="best"))
    assert not any("--export_weights=best" in line for line in lines)
