"""dqn_tf.training.progress: what a pipe shows. (A terminal's bar is tqdm's.)"""

import re

from dqn_tf.training.progress import Progress


def test_a_pipe_gets_a_line_at_once_and_then_one_each_tenth_of_the_run(capsys):
    progress = Progress(1_000)
    progress.start(0)
    for env_step in range(10, 1_001, 10):
        progress.update(env_step, epsilon=0.25)
    progress.close()
    lines = capsys.readouterr().out.splitlines()
    steps = [int(re.match(r"step ([\d,]+) of 1,000: ", line)[1].replace(",", "")) for line in lines]
    assert steps == list(range(10, 1_000, 100))


def test_a_value_that_is_not_given_stays_as_it_was(capsys):
    progress = Progress(100)
    progress.start(0)
    progress.update(1, episode_return=1.23456, epsilon=1.0)
    progress.update(50, epsilon=0.5)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("step 1 of 100: episode_return 1.23, epsilon 1, ")
    assert second.startswith("step 50 of 100: episode_return 1.23, epsilon 0.5, ")
    assert re.search(r" steps/s, \d+ s left$", second)


def test_no_time_is_left_where_the_last_block_went_beyond_the_end(capsys):
    progress = Progress(100)
    progress.start(0)
    progress.update(108)
    assert re.search(r" steps/s, 0 s left$", capsys.readouterr().out)


def test_speed_counts_from_the_step_where_a_resumed_run_starts(capsys):
    progress = Progress(1_000_000_000)
    progress.start(999_999_000)
    progress.update(999_999_001)
    (line,) = capsys.readouterr().out.splitlines()
    # one step since the start, not a thousand million
    assert int(re.search(r"([\d,]+) steps/s", line)[1].replace(",", "")) < 10_000_000
