"""anyio's tasks, threads and signals on the loop under test."""

from __future__ import annotations

import os
import signal
import threading

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest


def test_a_failing_child_cancels_its_siblings_and_is_grouped(run_anyio):
    ended = []

    async def sibling():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("sibling")

    async def failing():
        raise LookupError("the cause")

    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(sibling)
                await anyio.sleep(0)
                group.start_soon(failing)
        assert [type(e) for e in caught.value.exceptions] == [LookupError]
        assert ended == 10 * ["sibling"]

    run_anyio(main)


def test_a_task_tells_that_it_has_started(run_anyio):
    async def server(*, task_status=anyio.TASK_STATUS_IGNORED):
        task_status.started("ready")
        await anyio.sleep_forever()

    async def main():
        async with anyio.create_task_group() as group:
            assert await group.start(server) == "ready"
            group.cancel_scope.cancel()

    run_anyio(main)


def test_scopes_nest_time_out_and_shield(run_anyio):
    async def main():
        with anyio.move_on_after(5) as outer:
            with anyio.move_on_after(0.01) as inner:
                await anyio.sleep_forever()
            assert inner.cancelled_caught
            with pytest.raises(TimeoutError), anyio.fail_after(0.01):
                await anyio.sleep_forever()
            outer.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
                reached = True
            await anyio.sleep(0)
            pytest.fail("the checkpoint let a cancelled task pass")
        assert outer.cancelled_caught
        assert reached

    run_anyio(main)


def test_a_scope_around_many_tasks_can_be_cancelled_from_outside(run_anyio):
    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(anyio.sleep_forever)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert len(anyio.get_running_tasks()) == 1

    run_anyio(main)


def test_work_moves_to_threads_and_back(run_anyio):
    async def double(number):
        await anyio.sleep(0)
        return 2 * number

    def work(number):
        assert threading.current_thread() is not threading.main_thread()
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(double, number) + 1

    async def main():
        results = {}

        async def one(number):
            results[number] = await anyio.to_thread.run_sync(work, number)

        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(one, number)
        assert results == {number: 2 * number + 1 for number in range(60)}

    run_anyio(main)


def test_a_thread_whose_caller_gave_up_is_told(run_anyio):
    began, told = threading.Event(), []

    def work():
        began.set()
        try:
            while True:
                anyio.from_thread.check_cancelled()
                os.sched_yield()
        finally:
            told.append(True)

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, work)
            await anyio.to_thread.run_sync(began.wait)
            group.cancel_scope.cancel()

    run_anyio(main)
    assert told == [True]


def test_a_portal_serves_another_thread(raw_loop_factory):
    options = {"loop_factory": raw_loop_factory}
    with anyio.from_thread.start_blocking_portal("asyncio", options) as portal:
        assert portal.call(anyio.sleep, 0) is None
        waiting = portal.start_task_soon(anyio.sleep_forever)
        waiting.cancel()
        assert waiting.cancelled()
        assert portal.start_task_soon(anyio.to_thread.run_sync, threading.get_ident).result() > 0


def test_signals_are_received(run_anyio):
    async def main():
        with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                os.kill(os.getpid(), number)
                async for received in signals:
                    assert received is number
                    break

    run_anyio(main)


def test_object_streams_hold_their_sender_back(run_anyio):
    async def main():
        send, receive = anyio.create_memory_object_stream[int](5)
        got = []

        async def consume(stream):
            async with stream:
                async for item in stream:
                    got.append(item)

        async with anyio.create_task_group() as group, send:
            for _ in range(3):
                group.start_soon(consume, receive.clone())
            receive.close()
            for item in range(500):
                await send.send(item)
        assert sorted(got) == list(range(500))

    run_anyio(main)


def test_files_are_read_and_written_in_threads(run_anyio, tmp_path):
    async def main():
        path = anyio.Path(tmp_path) / "file"
        async with await anyio.open_file(path, "wb") as file:
            await file.write(b"line\n" * 1000)
        async with await anyio.open_file(path, "rb") as file:
            assert [line async for line in file] == [b"line\n"] * 1000
        assert (await path.stat()).st_size == 5000

    run_anyio(main)
