"""run_forever, run_until_complete, stop and close: what runs, what is refused, what comes back."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.loops import one_turn


def test_run_until_complete_returns_the_result(loop):
    async def main():
        return "result"

    assert loop.run_until_complete(main()) == "result"


def test_run_until_complete_raises_what_the_coroutine_raised(loop):
    error = LookupError("gone")

    async def main():
        raise error

    with pytest.raises(LookupError) as caught:
        loop.run_until_complete(main())
    assert caught.value is error


def test_run_until_complete_accepts_a_future(loop):
    future = loop.create_future()
    loop.call_soon(future.set_result, 7)
    assert loop.run_until_complete(future) == 7


def test_run_until_complete_accepts_any_awaitable(loop):
    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "awaited"

    assert loop.run_until_complete(Awaitable()) == "awaited"


def test_run_until_complete_of_a_done_future_returns_at_once(loop):
    future = loop.create_future()
    future.set_result("done")
    assert loop.run_until_complete(future) == "done"


def test_run_until_complete_refuses_what_is_not_awaitable(loop):
    with pytest.raises(TypeError, match="awaitable"):
        loop.run_until_complete(42)


def test_run_until_complete_refuses_a_future_of_another_loop(loop, loop_factory):
    other = loop_factory()
    try:
        with pytest.raises(ValueError, match="different loop"):
            loop.run_until_complete(other.create_future())
    finally:
        other.close()


def test_run_until_complete_complains_when_stopped_before_the_end(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match=r"Event loop stopped before Future completed\."):
        loop.run_until_complete(future)


def test_a_stopped_run_leaves_its_task_to_the_next_run(loop):
    proceed = loop.create_future()

    async def main():
        loop.stop()
        return await proceed

    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="stopped before"):
        loop.run_until_complete(task)
    assert not task.done()
    proceed.set_result("later")
    assert loop.run_until_complete(task) == "later"


def test_the_loop_runs_again_and_again(loop):
    async def main(number):
        return number

    assert [loop.run_until_complete(main(n)) for n in range(5)] == list(range(5))


def test_run_until_complete_lets_a_cancelled_future_raise(loop):
    future = loop.create_future()
    loop.call_soon(future.cancel)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(future)


def test_run_forever_runs_until_stop(loop):
    seen = []

    def step(number):
        seen.append(number)
        if number == 3:
            loop.stop()
        else:
            loop.call_soon(step, number + 1)

    loop.call_soon(step, 1)
    loop.run_forever()
    assert seen == [1, 2, 3]


def test_stop_lets_the_current_batch_finish_but_not_what_it_scheduled(loop):
    seen = []

    def stopping():
        loop.stop()
        loop.call_soon(seen.append, "scheduled by the batch")

    loop.call_soon(stopping)
    loop.call_soon(seen.append, "same batch")
    loop.run_forever()
    assert seen == ["same batch"]
    one_turn(loop)
    assert seen == ["same batch", "scheduled by the batch"]


def test_stop_before_run_forever_makes_exactly_one_turn(loop):
    seen = []
    loop.call_soon(lambda: loop.call_soon(seen.append, "second turn"))
    loop.call_soon(seen.append, "first turn")
    one_turn(loop)
    assert seen == ["first turn"]
    one_turn(loop)
    assert seen == ["first turn", "second turn"]


def test_stop_before_run_forever_still_polls_for_io_once(loop):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        seen = []
        loop.add_reader(ours, lambda: seen.append(ours.recv(1)))
        one_turn(loop)
        loop.remove_reader(ours)
    assert seen == [b"x"]


def test_stop_before_run_forever_runs_due_timers(loop):
    seen = []
    loop.call_later(0, seen.append, "due")
    one_turn(loop)
    assert seen == ["due"]


def test_stop_does_not_outlast_the_run_it_ended(loop):
    loop.stop()
    loop.stop()
    loop.run_forever()

    async def main():
        await asyncio.sleep(0)
        return "ran"

    assert loop.run_until_complete(main()) == "ran"


def test_is_running_tells_the_truth(loop):
    seen = []
    assert not loop.is_running()
    loop.call_soon(lambda: seen.append(loop.is_running()))
    one_turn(loop)
    assert seen == [True]
    assert not loop.is_running()


def test_the_running_loop_is_the_one_that_runs(loop):
    seen = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    one_turn(loop)
    assert seen == [loop]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    seen.clear()


def test_a_loop_cannot_be_run_by_its_own_callback(loop):
    async def main():
        refused = asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_until_complete(refused)
        refused.close()
        return "still fine"

    assert loop.run_until_complete(main()) == "still fine"


def test_another_loop_cannot_run_inside_a_running_one(loop, loop_factory):
    other = loop_factory()

    async def main():
        refused = asyncio.sleep(0)
        with pytest.raises(
            RuntimeError, match="Cannot run the event loop while another loop is running"
        ):
            other.run_until_complete(refused)
        refused.close()

    try:
        loop.run_until_complete(main())
        one_turn(other)
    finally:
        other.close()


@pytest.mark.weft_only("asyncio of 3.13.0 loses its own running state on refusal")
def test_a_refused_run_forever_leaves_the_running_loop_running(loop, loop_factory):
    """asyncio of 3.13.0 cleans up the run that it refused, and with it the one in progress."""
    other = loop_factory()

    async def main():
        for refusing in (loop, other):
            with pytest.raises(RuntimeError):
                refusing.run_forever()
            assert asyncio.get_running_loop() is loop
            assert loop.is_running()
            assert not other.is_running()
        await asyncio.sleep(0)

    try:
        loop.run_until_complete(main())
        one_turn(other)
    finally:
        other.close()


def test_two_loops_run_in_turn_in_one_thread(loop, loop_factory):
    other = loop_factory()

    async def name(value):
        return value

    try:
        assert loop.run_until_complete(name(1)) == 1
        assert other.run_until_complete(name(2)) == 2
        assert loop.run_until_complete(name(3)) == 3
    finally:
        other.close()


def test_close_is_idempotent(loop_factory):
    loop = loop_factory()
    assert not loop.is_closed()
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_a_running_loop_cannot_be_closed(loop):
    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(main())
    assert not loop.is_closed()


def test_close_drops_what_never_ran(loop_factory):
    loop = loop_factory()
    seen = []
    loop.call_soon(seen.append, "soon")
    loop.call_later(0, seen.append, "later")
    loop.close()
    assert seen == []


@pytest.mark.parametrize(
    "use",
    [
        lambda loop: loop.run_forever(),
        lambda loop: loop.call_soon(print),
        lambda loop: loop.call_soon_threadsafe(print),
        lambda loop: loop.call_later(1, print),
        lambda loop: loop.call_at(1, print),
        lambda loop: loop.run_in_executor(None, print),
        lambda loop: loop.add_reader(0, print),
        lambda loop: loop.add_writer(0, print),
    ],
    ids=[
        "run_forever",
        "call_soon",
        "call_soon_threadsafe",
        "call_later",
        "call_at",
        "run_in_executor",
        "add_reader",
        "add_writer",
    ],
)
def test_a_closed_loop_refuses(loop_factory, use):
    loop = loop_factory()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        use(loop)


def test_a_closed_loop_refuses_coroutines(loop_factory):
    loop = loop_factory()
    loop.close()
    for use in (loop.run_until_complete, loop.create_task):
        refused = asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            use(refused)
        refused.close()


def test_stop_and_state_are_harmless_on_a_closed_loop(loop_factory):
    loop = loop_factory()
    loop.close()
    loop.stop()
    assert loop.is_closed()
    assert not loop.is_running()


def test_repr_tells_the_state(loop_factory):
    loop = loop_factory()
    assert "running=False closed=False debug=False" in repr(loop)
    loop.close()
    assert "closed=True" in repr(loop)


def test_a_failing_future_does_not_report_twice(loop, ledger):
    async def main():
        raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        loop.run_until_complete(main())
    assert ledger.take_loop_errors() == []
