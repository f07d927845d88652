"""The event loops under test and how each is made; imports none of them before it is asked."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from ..support.machine import version_of

Factory = Callable[[], asyncio.AbstractEventLoop]

LOOPS = ("weft", "asyncio", "uvloop", "rloop")


def missing(name: str) -> str | None:
    """What is not installed, or None when the loop can run."""
    if name == "asyncio" or version_of(name) is not None:
        return None
    return f"{name} not installed"


def factory(name: str) -> Factory:
    """The loop's own `new_event_loop`; asyncio's is the selector loop of this Python."""
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    made: Factory = importlib.import_module(name).new_event_loop
    return made
