"""Puts weft's loop where asyncio's tests take theirs from. For a process of its own.

It must be installed before a module of `test.test_asyncio` is imported, and never in a process
that does anything else: it changes asyncio for good.
"""

from __future__ import annotations

import asyncio
import asyncio.unix_events
import selectors
import signal

import weft


class Loop(weft.EventLoop):
    """weft's loop, made as asyncio's tests make theirs: some hand over a selector."""

    made = 0

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        if selector is not None:
            selector.close()
        super().__init__()
        Loop.made += 1


def install() -> None:
    """From here on asyncio makes weft's loops, whichever of its doors is used."""
    asyncio.SelectorEventLoop = Loop  # type: ignore[misc,assignment]
    if hasattr(asyncio, "EventLoop"):  # 3.13
        asyncio.EventLoop = Loop  # type: ignore[misc,assignment]
    # The policy and not a call of weft.install(): tests put the default policy back.
    policy = asyncio.unix_events._UnixDefaultEventLoopPolicy  # type: ignore[attr-defined]
    policy._loop_factory = Loop
    # A background shell ignores SIGINT, and then the tests of interruptions wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
