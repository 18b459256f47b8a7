"""dqn_tf.training.timings: where a process's time goes."""

import time

from dqn_tf.training.timings import PARTS, Timings, seconds_since_process_start
from small_runs import finished_run, report


def test_compile_is_what_the_slowest_block_took_beyond_the_median():
    timings = Timings()
    for seconds in (0.25, 3.0, 0.5, 0.5, 1.75):
        timings.add_block(seconds, collect_seconds=0.125)
    timings.add("export", 1.5)
    assert timings.to_dict() == dict.fromkeys(PARTS, 0.0) | {
        "compile": 2.5,
        "collect": 0.625,
        "learn": 2.875,
        "export": 1.5,
    }


def test_nothing_done_took_no_time():
    assert Timings().to_dict() == dict.fromkeys(PARTS, 0.0)


def test_a_part_that_raises_is_timed_too():
    timings = Timings()
    for _ in range(2):
        try:
            with timings.part("plot"):
                time.sleep(0.01)
                raise OSError
        except OSError:
            pass
    assert timings.to_dict()["plot"] >= 0.02


def test_a_process_knows_its_age():
    age = seconds_since_process_start()
    time.sleep(0.05)
    assert 0.03 < seconds_since_process_start() - age < 5


def test_train_py_writes_its_timings_last():
    written = report(finished_run())
    assert list(written)[-1] == "timings" and list(written["timings"]) == list(PARTS)
    # the command server forks after TensorFlow's import, so `import` is next to nothing here
    assert all(written["timings"][part] > 0 for part in PARTS if part != "import")
