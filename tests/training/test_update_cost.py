"""What a run says of its time: updates on logged data first, then those between steps."""

from types import SimpleNamespace

import pytest

from dqn_tf.engines.engine import Block
from dqn_tf.training import update_cost
from dqn_tf.training.update_cost import UpdateCost


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """The sentences of 3 blocks of 64 logged updates, then 4 of 8 updates and 32 steps.

    A logged update takes 0.5 s; a later block's updates take 4 s, its steps 2 s.
    """
    now = [0.0]
    monkeypatch.setattr(update_cost.time, "perf_counter", lambda: now[0])
    sentences: list[str] = []
    engine = SimpleNamespace(updates=0, env_step=0, logged_updates=0)
    config = SimpleNamespace(logged_updates=192, total_steps=3_200)
    run = SimpleNamespace(engine=engine, config=config, say=sentences.append)
    observer = UpdateCost()
    for number in range(7):
        observer.before_block(run)
        is_logged = number < 3
        updates, steps = (64, 0) if is_logged else (8, 32)
        now[0] += 32.0 if is_logged else 6.0
        engine.updates += updates
        engine.env_step += steps
        engine.logged_updates += updates if is_logged else 0
        observer.after_block(run, Block([], {}, 0.0 if is_logged else 2.0))
    return sentences


def test_the_time_left_is_that_of_what_is_left(said):
    assert said == [
        "The first 64 updates took 32.0 s, compilation included.",
        "An update takes 0.50 s: about 1 min for the 64 updates on logged data that are left.",
        "An update takes 0.50 s, and 32 environment steps 2.00 s: about 10 min for the 3,136 steps"
        " that are left.",
    ]
