"""weft: one Rust runtime for Python's async services.

`run`, `new_event_loop` and `install` are the doors to the event loop; `serve` and the
command `weft` are those to the server.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from weft._core import __version__
from weft.event_loop import EventLoop

__all__ = ["EventLoop", "__version__", "install", "new_event_loop", "run", "serve"]

_T = TypeVar("_T")


def new_event_loop() -> EventLoop:
    """A new event loop, not yet running: also a `loop_factory` for asyncio's runners."""
    return EventLoop()


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """Run a coroutine on a new weft loop, as `asyncio.run` does on asyncio's.

    Raises `RuntimeError` when called from a running loop, `ValueError` when main is no
    coroutine.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("weft.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)


def serve(app: Any, **options: Any) -> int:
    """Serve an application over HTTP until a signal; the exit code (0, or 1 if forced).

    app is `"module:attribute"` or the application itself; options have the names and values
    of the command line (`host`, `port`, `workers`, ...). Raises `TypeError` for an unknown
    option, `ValueError` for a bad value, and `SystemExit(3)`, after one line in the log, if the
    service cannot start.
    """
    from weft import process  # late: a program that only wants the loop need not load it

    return process.serve(app, **options)


def install() -> None:
    """Make weft the loop of `asyncio.run` and `asyncio.new_event_loop` in this process.

    It sets the event loop policy. asyncio has deprecated policies in 3.14 and removes them
    in 3.16: prefer `weft.run`, or `asyncio.run(..., loop_factory=weft.new_event_loop)`.
    Raises `RuntimeError` where asyncio has no policies any more.
    """
    if sys.version_info >= (3, 16):
        raise RuntimeError(
            "asyncio has no event loop policies since Python 3.16: "
            "use weft.run() or loop_factory=weft.new_event_loop"
        )
    from weft.policy import EventLoopPolicy, set_policy

    set_policy(EventLoopPolicy())
