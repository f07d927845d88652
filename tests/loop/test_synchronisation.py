"""A smoke test for each tool of asyncio: they are CPython's, what they need is the loop's."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.support.loops import turns


async def test_lock_is_fair_and_exclusive():
    lock, seen = asyncio.Lock(), []

    async def worker(name):
        async with lock:
            seen.append(f"{name} in")
            await turns(2)
            seen.append(f"{name} out")

    await asyncio.gather(worker("a"), worker("b"), worker("c"))
    assert seen == ["a in", "a out", "b in", "b out", "c in", "c out"]
    assert not lock.locked()


async def test_event_wakes_all_waiters_in_order():
    event, seen = asyncio.Event(), []

    async def waiter(name):
        await event.wait()
        seen.append(name)

    waiters = [asyncio.create_task(waiter(n)) for n in range(5)]
    await turns(1)
    event.set()
    await asyncio.gather(*waiters)
    assert seen == list(range(5))


async def test_condition_notifies_as_many_as_asked():
    condition, seen = asyncio.Condition(), []

    async def waiter(name):
        async with condition:
            await condition.wait()
            seen.append(name)

    waiters = [asyncio.create_task(waiter(n)) for n in range(3)]
    await turns(1)
    async with condition:
        condition.notify(2)
    await turns(5)
    assert sorted(seen) == [0, 1]
    async with condition:
        condition.notify_all()
    await asyncio.gather(*waiters)


async def test_semaphore_limits_how_many_are_inside():
    semaphore, inside, most = asyncio.Semaphore(3), 0, 0

    async def worker():
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            await turns(3)
            inside -= 1

    await asyncio.gather(*[worker() for _ in range(20)])
    assert most == 3


async def test_queue_hands_items_over_in_order_with_a_limit():
    queue, seen = asyncio.Queue(2), []

    async def producer():
        for number in range(50):
            await queue.put(number)
        await queue.put(None)

    async def consumer():
        while (item := await queue.get()) is not None:
            seen.append(item)
            queue.task_done()
        queue.task_done()

    await asyncio.gather(producer(), consumer())
    await queue.join()
    assert seen == list(range(50))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in 3.13")
async def test_queue_shutdown_wakes_its_waiters():
    queue = asyncio.Queue()
    getter = asyncio.create_task(queue.get())
    await turns(1)
    queue.shutdown()
    with pytest.raises(asyncio.QueueShutDown):
        await getter


async def test_barrier_opens_when_all_have_come():
    barrier = asyncio.Barrier(3)

    async def worker():
        return await barrier.wait()

    assert sorted(await asyncio.gather(*[worker() for _ in range(3)])) == [0, 1, 2]


async def failing(error):
    await turns(1)
    raise error


async def test_gather_keeps_the_order_of_its_arguments():
    async def value(number):
        await turns(10 - number)
        return number

    assert await asyncio.gather(*[value(n) for n in range(10)]) == list(range(10))


async def test_gather_returns_exceptions_when_asked():
    error = LookupError("second")
    results = await asyncio.gather(turns(1), failing(error), return_exceptions=True)
    assert results == [None, error]


async def test_gather_raises_the_first_error():
    with pytest.raises(LookupError):
        await asyncio.gather(turns(3), failing(LookupError()), turns(5))


async def test_gather_of_ten_thousand():
    async def one(number):
        await asyncio.sleep(0)
        return number

    assert sum(await asyncio.gather(*[one(n) for n in range(10_000)])) == 49_995_000


async def test_timeout_cancels_and_converts(loop):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await loop.create_future()
    assert asyncio.current_task().cancelling() == 0


async def test_timeout_that_is_not_reached_leaves_no_trace():
    async with asyncio.timeout(3600) as scope:
        await turns(1)
    assert not scope.expired()


async def test_timeout_can_be_rescheduled(loop):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as scope:
            scope.reschedule(loop.time() + 0.001)
            await loop.create_future()


async def test_timeout_in_the_past_interrupts_the_first_await(loop):
    seen = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(-1):
            seen.append("entered")
            await loop.create_future()
    assert seen == ["entered"]


async def test_wait_for_returns_raises_and_times_out(loop):
    assert await asyncio.wait_for(asyncio.sleep(0, "done"), 3600) == "done"
    with pytest.raises(LookupError):
        await asyncio.wait_for(failing(LookupError()), 3600)
    future = loop.create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(future, 0.001)
    assert future.cancelled()


async def test_task_group_waits_for_all():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, n)) for n in range(5)]
    assert [task.result() for task in tasks] == list(range(5))


async def test_task_group_cancels_the_rest_and_groups_the_errors(loop):
    async def waiting():
        await loop.create_future()

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(waiting())
            group.create_task(failing(LookupError()))
    assert [type(error) for error in caught.value.exceptions] == [LookupError]
    assert other.cancelled()


async def test_as_completed_yields_in_the_order_of_completion():
    async def value(number):
        await turns(number)
        return number

    seen = [await each for each in asyncio.as_completed([value(n) for n in (30, 5, 15)])]
    assert seen == [5, 15, 30]


async def test_wait_returns_at_the_first_completion(loop):
    quick = asyncio.create_task(turns(1))
    slow = loop.create_future()
    done, pending = await asyncio.wait({quick, slow}, return_when=asyncio.FIRST_COMPLETED)
    assert (done, pending) == ({quick}, {slow})
    slow.cancel()


async def test_wait_with_a_timeout_returns_what_is_pending(loop):
    never = loop.create_future()
    done, pending = await asyncio.wait({never}, timeout=0.001)
    assert (done, pending) == (set(), {never})
    never.cancel()


async def test_shield_keeps_the_inner_task_alive(loop):
    proceed = loop.create_future()

    async def inner():
        return await proceed

    task = asyncio.create_task(inner())
    outer = asyncio.shield(task)
    await turns(1)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    proceed.set_result("unharmed")
    assert await task == "unharmed"


async def test_ensure_future_wraps_what_it_gets(loop):
    future = loop.create_future()
    assert asyncio.ensure_future(future) is future
    future.set_result(None)
    assert await asyncio.ensure_future(asyncio.sleep(0, "wrapped")) == "wrapped"


async def test_a_cancelled_sleep_leaves_no_timer_behind():
    task = asyncio.create_task(asyncio.sleep(3600))
    await turns(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_task_introspection_sees_the_stack(loop):
    async def innermost():
        await loop.create_future()

    task = asyncio.create_task(innermost())
    await turns(1)
    (frame,) = task.get_stack()
    assert frame.f_code.co_name == "innermost"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
