"""call_soon_threadsafe and run_coroutine_threadsafe: waking, order, refusal, and other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from tests.support.loops import one_turn
from tests.support.parked import when_parked


def in_thread(target, *args):
    """Run to the end in another thread."""
    thread = threading.Thread(target=target, args=args)
    thread.start()
    thread.join()


def test_a_threadsafe_call_wakes_a_parked_loop(loop):
    seen = []

    def callback():
        seen.append(threading.get_ident())
        loop.stop()

    helper = when_parked(lambda: loop.call_soon_threadsafe(callback))
    loop.run_forever()
    helper.join()
    assert seen == [threading.get_ident()]


def test_a_threadsafe_call_wakes_a_loop_that_waits_for_a_timer(loop):
    far = loop.call_later(3600, print)
    helper = when_parked(lambda: loop.call_soon_threadsafe(loop.stop))
    loop.run_forever()
    helper.join()
    far.cancel()


def test_every_wake_up_of_many_is_noticed(loop):
    """Ping-pong: a lost wake-up would hang, a stale one would be answered twice."""
    rounds = 300
    wanted = threading.Semaphore(0)
    seen = []

    def answer():
        seen.append(None)
        if len(seen) == rounds:
            loop.stop()
        wanted.release()

    def caller():
        for _ in range(rounds):
            loop.call_soon_threadsafe(answer)
            wanted.acquire()

    thread = threading.Thread(target=caller)
    thread.start()
    loop.run_forever()
    thread.join()
    assert len(seen) == rounds


def test_calls_of_one_thread_keep_their_order(loop):
    seen = []
    in_thread(lambda: [loop.call_soon_threadsafe(seen.append, n) for n in range(1000)])
    one_turn(loop)
    assert seen == list(range(1000))


def test_calls_of_many_threads_all_arrive_and_keep_their_order(loop):
    count, each = 8, 500
    seen = []
    start = threading.Barrier(count)

    def caller(name):
        start.wait()
        for number in range(each):
            loop.call_soon_threadsafe(note, name, number)

    def note(name, number):
        seen.append((name, number))
        if len(seen) == count * each:
            loop.stop()

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    loop.run_forever()
    for thread in threads:
        thread.join()
    for name in range(count):
        assert [n for who, n in seen if who == name] == list(range(each))


def test_threadsafe_and_plain_calls_of_the_loop_thread_share_one_order(loop):
    seen = []

    def schedule():
        for number in range(6):
            call = loop.call_soon if number % 2 else loop.call_soon_threadsafe
            call(seen.append, number)
        loop.call_soon(loop.stop)

    loop.call_soon(schedule)
    loop.run_forever()
    assert seen == list(range(6))


def test_threadsafe_calls_made_before_the_run_wait_for_it(loop):
    seen = []
    in_thread(loop.call_soon_threadsafe, seen.append, "early")
    assert seen == []
    one_turn(loop)
    assert seen == ["early"]


def test_arguments_of_a_threadsafe_call_arrive(loop):
    seen = []
    in_thread(lambda: loop.call_soon_threadsafe(lambda *args: seen.append(args), 1, 2, 3, 4, 5))
    one_turn(loop)
    assert seen == [(1, 2, 3, 4, 5)]


def test_a_threadsafe_call_may_be_cancelled_by_its_caller(loop):
    seen = []
    in_thread(lambda: loop.call_soon_threadsafe(seen.append, 1).cancel())
    one_turn(loop)
    assert seen == []


def test_a_closed_loop_refuses_threadsafe_calls_from_other_threads(loop_factory):
    loop = loop_factory()
    loop.close()
    errors = []

    def caller():
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as error:
            errors.append(str(error))

    in_thread(caller)
    assert errors == ["Event loop is closed"]


def test_closing_while_other_threads_call_is_safe(loop_factory):
    """They see either success or the one documented error, and nothing crashes."""
    for _ in range(20):
        loop = loop_factory()
        outcomes = []
        started = threading.Event()

        def caller(loop=loop, outcomes=outcomes, started=started):
            try:
                while True:
                    loop.call_soon_threadsafe(int)
                    started.set()
            except RuntimeError as error:
                outcomes.append(str(error))

        thread = threading.Thread(target=caller)
        thread.start()
        started.wait()
        one_turn(loop)
        loop.close()
        thread.join()
        assert outcomes == ["Event loop is closed"]


def test_stop_is_honoured_when_called_through_a_threadsafe_call(loop):
    seen = []
    loop.call_soon(lambda: in_thread(loop.call_soon_threadsafe, loop.stop))
    loop.call_soon(seen.append, "same turn")
    loop.run_forever()
    assert seen == ["same turn"]


def test_a_loop_runs_in_a_thread_that_is_not_the_main_one(loop_factory):
    loop = loop_factory()
    results = []

    async def main():
        await asyncio.sleep(0.001)
        return threading.current_thread().name

    thread = threading.Thread(
        target=lambda: results.append(loop.run_until_complete(main())), name="elsewhere"
    )
    thread.start()
    thread.join()
    loop.close()
    assert results == ["elsewhere"]


def test_a_loop_may_be_run_by_one_thread_after_another(loop_factory):
    loop = loop_factory()
    seen = []

    async def main():
        seen.append(threading.get_native_id())

    for _ in range(2):
        in_thread(lambda: loop.run_until_complete(main()))
    loop.run_until_complete(main())
    loop.close()
    assert len(seen) == 3
    assert seen[2] == threading.get_native_id()


def test_a_running_loop_cannot_be_run_by_another_thread(loop):
    errors = []

    def intrude():
        try:
            loop.run_until_complete(refused)
        except RuntimeError as error:
            errors.append(str(error))

    refused = asyncio.sleep(0)
    loop.call_soon(in_thread, intrude)
    one_turn(loop)
    refused.close()
    assert errors == ["This event loop is already running"]


# run_coroutine_threadsafe


@pytest.fixture
def served(loop_factory):
    """A loop that runs in a thread of its own."""
    loop = loop_factory()
    thread = threading.Thread(target=loop.run_forever, name="served-loop")
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_run_coroutine_threadsafe_returns_the_result(served):
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "result"), served)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(5) == "result"


def test_run_coroutine_threadsafe_raises_the_error(served):
    async def failing():
        raise LookupError("over there")

    with pytest.raises(LookupError, match="over there"):
        asyncio.run_coroutine_threadsafe(failing(), served).result(5)


def test_cancelling_the_concurrent_future_cancels_the_task(served):
    started, ended = threading.Event(), threading.Event()

    async def waiting():
        started.set()
        try:
            await served.create_future()
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(waiting(), served)
    assert started.wait(5)
    assert future.cancel()
    assert ended.wait(5)


def test_many_threads_may_submit_coroutines(served):
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    def submit(number):
        return asyncio.run_coroutine_threadsafe(double(number), served).result(5)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(submit, range(200))) == [2 * n for n in range(200)]
