"""Which event loops a test runs on, and how to make them.

A flavour is a name. Nothing of weft is imported before a test of that flavour asks for it, so the
asyncio half runs on a machine where weft is not built.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

FLAVOURS = ("asyncio", "weft")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def chosen(option: str) -> tuple[str, ...]:
    """The flavours that `--loop OPTION` stands for."""
    return FLAVOURS if option == "both" else (option,)


def factory_of(flavour: str) -> LoopFactory:
    """What makes a loop of this flavour; the policy has no say in it."""
    if flavour == "asyncio":
        return asyncio.SelectorEventLoop
    if flavour == "weft":
        import weft

        return weft.new_event_loop
    raise LookupError(f"no such loop flavour: {flavour!r}")


@functools.cache
def warm_up(flavour: str) -> None:
    """Make and close one loop, so that what the process sets up once is no test's debt."""
    loop = factory_of(flavour)()
    one_turn(loop)
    loop.close()


def one_turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run exactly one turn of a loop that is not running.

    The documentation of `loop.stop()` promises it: stopped before `run_forever()`, the loop polls
    once without waiting, runs what is ready, and leaves.
    """
    loop.stop()
    loop.run_forever()


async def turns(count: int) -> None:
    """Go to the back of the ready queue so many times: one turn of the loop each, no time."""
    for _ in range(count):
        await asyncio.sleep(0)


def finish(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop as `asyncio.Runner` does, after the callbacks that closing transports left."""
    if loop.is_closed():
        return
    for _ in range(4):
        one_turn(loop)
    run_and_close(loop, loop.shutdown_asyncgens(), loop.shutdown_default_executor())


def run_and_close(loop: asyncio.AbstractEventLoop, *steps: Coroutine[Any, Any, Any]) -> None:
    """Run the steps one by one, then close the loop whatever they did."""
    try:
        for step in steps:
            loop.run_until_complete(step)
    finally:
        for step in steps:
            step.close()
        loop.close()
