"""Timers that never fire: adding and cancelling them must not grow the process."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

from tests.support.leaks import assert_freed
from tests.support.loops import one_turn


def resident_kib():
    """Resident memory of this process; sees native allocations too."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


def churn(loop, count, delay=3600):
    for _ in range(count):
        loop.call_later(delay, print, "never").cancel()


def test_cancelled_timers_leave_the_resident_memory_flat(loop):
    churn(loop, 10_000)
    one_turn(loop)
    gc.collect()
    before = resident_kib()
    for _ in range(10):
        churn(loop, 10_000)
        one_turn(loop)
    gc.collect()
    assert resident_kib() - before < 4096


def test_cancelled_timers_leave_python_memory_flat(loop):
    churn(loop, 1000)
    one_turn(loop)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10):
            churn(loop, 2000)
            one_turn(loop)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000


def test_cancelled_timers_are_forgotten_although_one_earlier_timer_stays(loop):
    """The dead ones sit behind a live one that is never due; only compaction removes them."""
    keeper = loop.call_later(1800, print)
    churn(loop, 10_000)
    one_turn(loop)
    gc.collect()
    before = resident_kib()
    for _ in range(5):
        churn(loop, 10_000)
        one_turn(loop)
    gc.collect()
    assert resident_kib() - before < 4096
    keeper.cancel()


def test_a_cancelled_timer_lets_go_of_its_argument_at_once(loop):
    class Argument:
        pass

    def make():
        argument = Argument()
        loop.call_later(3600, print, argument).cancel()
        return argument

    assert_freed(make)


def test_a_timer_that_fired_is_freed(loop):
    class Argument:
        pass

    def make():
        argument = Argument()
        handle = loop.call_later(0, bool, argument)
        one_turn(loop)
        return argument, handle

    assert_freed(make)


def test_timeouts_that_are_never_reached_leave_memory_flat(loop):
    """What a server does all day: a time-out around something quick."""

    async def main(count):
        for _ in range(count):
            async with asyncio.timeout(3600):
                pass

    loop.run_until_complete(main(10_000))
    gc.collect()
    before = resident_kib()
    for _ in range(3):
        loop.run_until_complete(main(10_000))
    gc.collect()
    assert resident_kib() - before < 4096
