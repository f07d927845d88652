"""The application's lifespan: ASGI's startup and shutdown events.

It owns the conversation with the application about them. It must not know connections.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from weft._core import StartupError

__all__ = ["Lifespan"]

Message = MutableMapping[str, Any]
Application = Callable[
    [Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_logger = logging.getLogger("uvicorn.error")


class Lifespan:
    """One application's lifespan, run in a task of its own.

    With "auto", an application that knows no lifespan is served all the same; with "on" that
    is a StartupError; with "off" it is not asked.
    """

    def __init__(self, app: Application, mode: Literal["auto", "on", "off"]) -> None:
        self._app = app
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[str | None] | None = None
        self._stopped: asyncio.Future[str | None] | None = None
        self._state: dict[str, Any] = {}

    @property
    def state(self) -> dict[str, Any] | None:
        """What the application has put aside for its requests; None if it has no lifespan."""
        return self._state if self._task is not None else None

    async def startup(self) -> None:
        """Run the startup. Raises StartupError if it fails."""
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._started, self._stopped = loop.create_future(), loop.create_future()
        _logger.info("Waiting for application startup.")
        self._messages.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run(), name="lifespan")
        # Told below, or by the exit that it is: not once more when the task is collected.
        self._task.add_done_callback(_retrieve)
        await _first(self._task, self._started)
        if self._started.done():
            failure = self._started.result()
            if failure is not None:
                await asyncio.wait([self._task], timeout=1.0)
                error = StartupError(_sentence("Application startup failed", failure))
                if "\n" in failure.strip():
                    error.add_note(failure.rstrip())
                raise error
        else:
            self._explain()
        _logger.info("Application startup complete.")

    def _explain(self) -> None:
        """The application has ended before its startup was complete."""
        assert self._task is not None
        task, self._task = self._task, None
        error = None if task.cancelled() else task.exception()
        if self._mode == "auto":
            # uvicorn's contract: an application that raises here does not know lifespans.
            raised = f" (it raised {_brief(error)})" if error is not None else ""
            _logger.info("ASGI 'lifespan' protocol appears unsupported%s.", raised)
            return
        if error is None:
            raise StartupError(
                "Application startup failed: the application returned without "
                "lifespan.startup.complete; use --lifespan off if it has none"
            )
        failure = StartupError(_sentence("Application startup failed", _brief(error)))
        failure.add_note("".join(traceback.format_exception(error)).rstrip())
        raise failure from error

    async def shutdown(self) -> None:
        """Run the shutdown, if there was a startup; a failure is logged."""
        if self._task is None or self._stopped is None:
            return
        if self._task.done():
            self._log_end()
            return
        _logger.info("Waiting for application shutdown.")
        self._messages.put_nowait({"type": "lifespan.shutdown"})
        await _first(self._task, self._stopped)
        if self._stopped.done() and self._stopped.result() is None:
            # Exit stacks of the application may have a little left to do.
            await asyncio.wait([self._task], timeout=1.0)
        if self._task.done():
            self._log_end()
        if self._stopped.done() and (failure := self._stopped.result()) is not None:
            _logger.error("%s", _sentence("Application shutdown failed", failure))
        else:
            _logger.info("Application shutdown complete.")

    def _log_end(self) -> None:
        assert self._task is not None
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            _logger.error("Exception in 'lifespan' protocol\n", exc_info=error)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        await self._app(scope, self._messages.get, self._send)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        stage, _, outcome = kind.removeprefix("lifespan.").partition(".")
        future = {"startup": self._started, "shutdown": self._stopped}.get(stage)
        if future is None or outcome not in ("complete", "failed"):
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent during the lifespan.")
        if future.done():
            raise RuntimeError(f"ASGI message '{kind}' sent twice.")
        future.set_result(None if outcome == "complete" else message.get("message", ""))


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _sentence(what: str, why: str) -> str:
    """One line for the log, with the last of the lines that say why."""
    lines = why.strip().splitlines()
    return f"{what}: {lines[-1].strip()}" if lines else f"{what}."


def _brief(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()
