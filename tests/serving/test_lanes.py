"""Lanes: quick work is never behind slow work, and places come back however work ends."""

import threading
import time

import pytest

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.grpc.lanes import Lane, Lanes
from dqn_tf.serving.http import lanes as http_lanes


def fail() -> None:
    raise RuntimeError


def test_places_come_back_however_work_ends():
    lane = http_lanes.Lane("test", 1, 2)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            lane.submit(fail).result()
        with pytest.raises(RuntimeError):
            lane.follow(fail)
    blocked = threading.Event()
    futures = [lane.submit(blocked.wait) for _ in range(2)]
    with pytest.raises(ServingError) as caught:
        lane.submit(fail)
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    blocked.set()
    assert all(future.result() for future in futures)
    assert lane.submit(lambda: 7).result() == 7


@pytest.mark.parametrize(
    "size, is_bounded, expected",
    [(10, True, "quick"), (2 << 20, True, "large"), (10, False, "slow"), (2 << 20, False, "slow")],
)
def test_what_may_take_long_has_a_lane_of_its_own(size, is_bounded, expected):
    lanes = http_lanes.make(threads=1, most=1)
    assert lanes.of(size, is_bounded) is getattr(lanes, expected)


def test_slow_calls_leave_the_quick_lane():
    lanes = Lanes(width=1, most_slow=2)
    begun, blocked = threading.Event(), threading.Event()

    def work() -> None:
        lane = Lane(lanes)
        with lane.quick(None), lane.slow(None):
            begun.set()
            blocked.wait()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    soon = time.monotonic() + 0.2
    one, other = Lane(lanes), Lane(lanes)
    with one.quick(None):
        pass
    with pytest.raises(ServingError) as caught, one.quick(None), one.slow(soon):
        pass
    assert caught.value.code == "DEADLINE_EXCEEDED"
    with one.quick(None), one.aside():
        with pytest.raises(ServingError) as caught, other.quick(None), other.aside():
            pass
        assert caught.value.code == "RESOURCE_EXHAUSTED"
    blocked.set()
    thread.join()
    with one.quick(soon + 60), one.slow(soon + 60):
        pass


def test_a_call_in_no_lane_gives_back_no_room_that_it_did_not_take():
    lanes = Lanes(width=1, most_slow=2)
    lane, other = Lane(lanes), Lane(lanes)
    with lane.slow(None):
        pass
    soon = time.monotonic() + 0.1
    with lane.quick(None), pytest.raises(ServingError) as caught, other.quick(soon):
        pass
    assert caught.value.code == "DEADLINE_EXCEEDED"
