"""The threads of gRPC's calls: each function runs once, and says so once, whatever it raises."""

import threading

from dqn_tf.serving.grpc.threads import Job, Threads


def test_as_many_functions_run_at_once_as_there_may_be_threads():
    threads = Threads(3, "test")
    barrier = threading.Barrier(3, timeout=30)
    ended = threading.Semaphore(0)
    for _ in range(6):
        threads.submit(barrier.wait).add_done_callback(lambda _: ended.release())
    assert all(ended.acquire(timeout=30) for _ in range(6))


def test_an_idle_thread_is_used_again():
    threads = Threads(100, "reused")
    for _ in range(20):
        done = threading.Event()
        threads.submit(lambda: None).add_done_callback(lambda _, done=done: done.set())
        assert done.wait(30)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("reused") <= 3  # one may not yet have said that it is idle


def test_a_function_that_raises_has_ended_too_and_its_thread_goes_on():
    threads = Threads(1, "test")
    for _ in range(3):
        done = threading.Event()
        threads.submit(lambda: 1 / 0).add_done_callback(lambda _, done=done: done.set())
        assert done.wait(30)


def test_a_callback_is_called_once_before_or_after_the_end():
    job = Job()
    calls = []
    job.add_done_callback(lambda _: calls.append("before"))
    job.end()
    job.add_done_callback(lambda _: calls.append("after"))
    job.end()
    assert calls == ["before", "after"]
