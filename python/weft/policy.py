"""The event loop policy behind `weft.install()`; imported only where policies exist."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING

from weft.event_loop import EventLoop

with warnings.catch_warnings():
    # 3.14 warns of policies' removal; whoever calls install() has chosen them.
    warnings.simplefilter("ignore", DeprecationWarning)
    _DefaultPolicy = asyncio.DefaultEventLoopPolicy

if TYPE_CHECKING:
    from asyncio import DefaultEventLoopPolicy as _DefaultPolicy


class EventLoopPolicy(_DefaultPolicy):
    """asyncio's default policy with weft's loop."""

    def _loop_factory(self) -> EventLoop:
        return EventLoop()


def set_policy(policy: EventLoopPolicy) -> None:
    """`asyncio.set_event_loop_policy` without the deprecation warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(policy)
