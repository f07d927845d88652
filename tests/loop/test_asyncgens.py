"""Asynchronous generators: the loop's hooks, shutdown_asyncgens, and generators that come late."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from tests.support.loops import turns


def generator(seen, *, closing=None):
    async def numbers():
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(0)
            seen.append("closed")
            if closing is not None:
                raise closing

    return numbers()


async def test_shutdown_closes_generators_that_are_half_done(loop):
    seen = []
    one, two = generator(seen), generator(seen)
    assert await anext(one) == 0
    assert await anext(two) == 0
    await loop.shutdown_asyncgens()
    assert seen == ["closed", "closed"]
    with pytest.raises(StopAsyncIteration):
        await anext(one)


async def test_shutdown_without_generators_returns_at_once(loop):
    await loop.shutdown_asyncgens()


async def test_shutdown_leaves_generators_alone_that_never_started(loop):
    seen = []
    never = generator(seen)
    await loop.shutdown_asyncgens()
    del never
    await turns(2)
    assert seen == []


async def test_a_generator_that_is_dropped_is_closed_by_the_loop(loop):
    seen = []
    dropped = generator(seen)
    await anext(dropped)
    del dropped
    gc.collect()
    await turns(3)
    assert seen == ["closed"]


async def test_a_generator_left_by_break_is_closed_by_the_loop(loop):
    seen = []
    async for number in generator(seen):
        if number == 3:
            break
    gc.collect()
    await turns(3)
    assert seen == ["closed"]


async def test_a_generator_dropped_in_another_thread_is_closed_on_the_loop(loop):
    seen = []
    box = [generator(seen)]
    await anext(box[0])
    await asyncio.to_thread(box.clear)
    await turns(4)
    assert seen == ["closed"]


async def test_an_error_while_closing_is_reported(loop, ledger):
    seen = []
    broken = generator(seen, closing=LookupError("while closing"))
    await anext(broken)
    await loop.shutdown_asyncgens()
    report = ledger.take_loop_error()
    assert "error occurred during closing of asynchronous generator" in report["message"]
    assert isinstance(report["exception"], LookupError)
    assert report["asyncgen"] is broken


async def test_a_generator_that_starts_after_the_shutdown_is_warned_about(loop):
    await loop.shutdown_asyncgens()
    late = generator([])
    with pytest.warns(ResourceWarning, match=r"was scheduled after loop\.shutdown_asyncgens"):
        await anext(late)
    await late.aclose()


def test_the_hooks_are_those_of_the_running_loop_only(loop):
    async def main():
        return sys.get_asyncgen_hooks()

    hooks = loop.run_until_complete(main())
    assert hooks.firstiter is not None
    assert hooks.finalizer is not None
    assert sys.get_asyncgen_hooks() == (None, None)


def test_the_hooks_that_were_set_before_come_back(loop):
    def firstiter(_generator):
        """Does nothing."""

    sys.set_asyncgen_hooks(firstiter=firstiter)
    try:
        loop.run_until_complete(asyncio.sleep(0))
        assert sys.get_asyncgen_hooks().firstiter is firstiter
    finally:
        sys.set_asyncgen_hooks(None, None)


def test_the_hooks_come_back_after_an_exit(loop):
    def leave():
        raise SystemExit

    loop.call_soon(leave)
    with pytest.raises(SystemExit):
        loop.run_forever()
    assert sys.get_asyncgen_hooks() == (None, None)
