"""How much of what clients send is looked at in one turn of the event loop."""

import asyncio

from dqn_tf.serving.http.intake import TURN_BYTES, Intake


def run(work) -> None:
    asyncio.run(work())


def test_so_many_bytes_in_a_turn_and_the_others_in_their_order():
    async def work() -> None:
        intake = Intake()
        started = []
        assert intake.admits(TURN_BYTES - 1) and intake.admits(100)
        for name in "abcd":
            assert not intake.admits(1)
            intake.line_up(TURN_BYTES // 2, lambda name=name: started.append(name))
        turns = []
        while len(started) < 4:
            turns.append(len(started))
            await asyncio.sleep(0)
        assert started == list("abcd") and turns[-1] == 2
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert intake.admits(10 * TURN_BYTES) and not intake.admits(1)

    run(work)


def test_a_start_that_fails_keeps_nobody_waiting():
    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        intake = Intake()
        started = []

        def fail() -> None:
            raise OSError

        assert intake.admits(TURN_BYTES)
        intake.line_up(1, fail)
        intake.line_up(1, lambda: started.append(1))
        for _ in range(4):
            await asyncio.sleep(0)
        assert started == [1]

    run(work)
