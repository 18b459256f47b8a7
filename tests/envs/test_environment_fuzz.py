"""Random odd environments end every command well or in one sentence: see environment_fuzz.py."""

import environment_fuzz


def test_no_odd_environment_ends_in_a_traceback():
    commands = environment_fuzz.Commands()
    ended = 0
    for seed in range(40):
        wrong, ends = environment_fuzz.try_one(commands, seed)
        assert not wrong, wrong
        ended += sum(ends.values())
    assert ended == 160
