"""Rows without I/O: callbacks, timers, tasks and threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from .workload import Loop, Row, nothing, plain


def _soon(arguments: tuple[int, ...], count: int) -> Callable[[Loop], Awaitable[int]]:
    """Queue `count` callbacks, then let the loop drain them."""

    async def work(loop: Loop) -> int:
        done = loop.create_future()
        call_soon = loop.call_soon
        for _ in range(count):
            call_soon(nothing, *arguments)
        call_soon(done.set_result, None)
        await done
        return count

    return work


async def _chain(loop: Loop) -> int:
    """Each callback queues the next: one callback a turn."""
    count = left = 100_000
    done = loop.create_future()

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            done.set_result(None)

    loop.call_soon(step)
    await done
    return count


async def _churn(loop: Loop) -> int:
    """Timers that never fire, as time-outs of requests that succeed."""
    count = 100_000
    call_later = loop.call_later
    for _ in range(count):
        call_later(30, nothing).cancel()
    # asyncio and others clear cancelled timers in the loop's own turn.
    await asyncio.sleep(0)
    return count


async def _fire(loop: Loop) -> int:
    """Timers on 50 deadlines within a millisecond: all due about when the last is made."""
    count = 20_000
    done = loop.create_future()
    start = loop.time()
    fired = 0

    def tick() -> None:
        nonlocal fired
        fired += 1
        if fired == count:
            done.set_result(None)

    for number in range(count):
        loop.call_at(start + (number % 50) * 2e-5, tick)
    await done
    return count


async def _sleep(_loop: Loop) -> int:
    count = 50_000
    for _ in range(count):
        await asyncio.sleep(0)
    return count


async def _gather(_loop: Loop) -> int:
    async def child() -> None:
        pass

    count = 10_000
    await asyncio.gather(*(child() for _ in range(count)))
    return count


async def _ping_pong(_loop: Loop) -> int:
    """Two tasks wake each other; an operation is one wake-up."""
    turns = 10_000
    ping, pong = asyncio.Event(), asyncio.Event()

    async def echo() -> None:
        for _ in range(turns):
            await ping.wait()
            ping.clear()
            pong.set()

    other = asyncio.ensure_future(echo())
    for _ in range(turns):
        ping.set()
        await pong.wait()
        pong.clear()
    await other
    return 2 * turns


async def _queue(_loop: Loop) -> int:
    count = 20_000
    queue: asyncio.Queue[int] = asyncio.Queue(10)

    async def produce() -> None:
        for number in range(count):
            await queue.put(number)

    producer = asyncio.ensure_future(produce())
    for number in range(count):
        assert await queue.get() == number
    await producer
    return count


async def _wait_for(loop: Loop) -> int:
    """A future with a time-out that comes in time."""
    count = 5_000
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await asyncio.wait_for(future, 30)
    return count


async def _thread_burst(loop: Loop) -> int:
    """Another thread floods the running loop; both want the GIL."""
    count = 50_000
    done = loop.create_future()

    def burst() -> None:
        call = loop.call_soon_threadsafe
        for _ in range(count):
            call(nothing)
        call(done.set_result, None)

    thread = threading.Thread(target=burst)
    thread.start()
    await done
    thread.join()
    return count


async def _executor(loop: Loop) -> int:
    """One round trip to a thread of the default executor at a time."""
    count = 2_000
    for _ in range(count):
        await loop.run_in_executor(None, nothing)
    return count


ROWS = (
    Row(
        "soon0",
        "call_soon, no argument: queue 100,000 and drain",
        plain(_soon((), 100_000)),
        {"uvloop": 2.3},
    ),
    Row(
        "soon3", "call_soon, 3 arguments: queue 100,000 and drain", plain(_soon((1, 2, 3), 100_000))
    ),
    Row("chain", "call_soon, each callback queues the next", plain(_chain), {"uvloop": 2.3}),
    Row("churn", "call_later(30) and cancel", plain(_churn), {"uvloop": 3.5}, slope=True),
    Row("fire", "call_at: 20,000 timers on 50 deadlines, until all have fired", plain(_fire)),
    Row("sleep0", "await sleep(0)", plain(_sleep), {"uvloop": 1.4}),
    Row("gather", "gather of 10,000 coroutines", plain(_gather)),
    Row("pingpong", "two tasks wake each other by Events", plain(_ping_pong)),
    Row("queue", "put and get through a Queue(10)", plain(_queue)),
    Row("waitfor", "wait_for on a future that comes in time", plain(_wait_for)),
    Row("threadsafe", "call_soon_threadsafe: 50,000 from another thread", plain(_thread_burst)),
    Row("executor", "run_in_executor, one at a time", plain(_executor)),
)
