"""What a loop row is: a set-up that yields one batch, which does its operations and counts them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

Loop = asyncio.AbstractEventLoop
Batch = Callable[[], Awaitable[int]]
SetUp = Callable[[Loop], AbstractAsyncContextManager[Batch]]


@dataclass(frozen=True)
class Row:
    """One workload; `goals` are the ratios of ops/s that weft promises, by loop."""

    name: str
    what: str
    set_up: SetUp
    goals: dict[str, float] = field(default_factory=dict)
    # Rows that are checked for memory that grows with each operation.
    slope: bool = False
    # Rows whose system calls an operation are worth knowing.
    syscalls: bool = False


def plain(work: Callable[[Loop], Awaitable[int]]) -> SetUp:
    """A row that needs no set-up."""

    @asynccontextmanager
    async def ready(loop: Loop) -> AsyncIterator[Batch]:
        async def batch() -> int:
            return await work(loop)

        yield batch

    return ready


def nothing(*_: object) -> None:
    """The callback of every row that measures the loop and not the callback."""
