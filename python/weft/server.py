"""The server of one process: from settings and sockets to a clean stop.

It owns the order of things: application, lifespan, listeners, signals, and the stages of a
shutdown. What happens for each request is native (`weft._core.HttpServer`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from weft import _core, importer, logs
from weft.event_loop import EventLoop
from weft.lifespan import Lifespan

__all__ = ["Server", "run"]

_logger = logging.getLogger(logs.ERROR)

# How long, in seconds, applications may tidy up when they are told that nobody waits any more.
_LAST_WORDS = 0.5


def run(settings: _core.Settings, fds: Sequence[int], app: Any = None) -> int:
    """Serve until a signal; the exit code: 0, or 1 if the stop had to be forced.

    The sockets are closed in the end. Raises StartupError if the service cannot start.
    """
    server = Server(settings, fds, app)
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        try:
            runner.run(server.serve())
        finally:
            runner.run(server.dismiss_tasks())
    return int(server.forced)


class Server:
    """An application on listening sockets, for the length of one `serve()`."""

    def __init__(self, settings: _core.Settings, fds: Sequence[int], app: Any = None) -> None:
        self._settings = settings
        self._fds = list(fds)
        self._app = app
        self._native: _core.HttpServer | None = None
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._change = asyncio.Event()
        self._told = ""

    @property
    def forced(self) -> bool:
        """Whether a second signal has cut the stop short."""
        return self._force.is_set()

    async def serve(self) -> None:
        """Serve until a signal, or until `stop()`; then stop cleanly.

        Raises StartupError if the service cannot start.
        """
        try:
            await self._serve()
        finally:
            if self._native is not None:
                self._native.close()
            for fd in self._fds:
                os.close(fd)

    async def dismiss_tasks(self) -> None:
        """Cancel what else runs in this loop, and wait until it has tidied up.

        A runner would wait for ever if a task refuses to end. A second signal, or the limit in
        the settings, takes it off the books, so that the process can end.
        """
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        limit = self._settings.timeout_graceful_shutdown
        patience = None if limit is None else max(limit, _LAST_WORDS)
        with _Signals(self.stop):
            force = asyncio.ensure_future(self._force.wait())
            ended = asyncio.ensure_future(_all_done(tasks))
            await asyncio.wait(
                (force, ended), timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
        await asyncio.wait((ended,), timeout=_LAST_WORDS)
        for waiting in (force, ended):
            waiting.cancel()
        for task in tasks:
            if not task.done():
                _logger.error("%r was cancelled and goes on; the process ends without it", task)
                asyncio._unregister_task(task)

    def stop(self) -> None:
        """Begin a clean stop; called again, an immediate one. To be called in the loop."""
        if self._stop.is_set():
            self._force.set()
        self._stop.set()
        self._change.set()

    async def _serve(self) -> None:
        if self._app is None:
            self._app = self._load()
        _logger.info("Started server process [%d]", os.getpid())
        lifespan = Lifespan(self._app, self._settings.lifespan)
        with _Signals(self.stop):
            if not await self._start(lifespan):
                return
            try:
                self._listen(lifespan)
                await self._stop.wait()
                await self._drain()
            finally:
                await self._end(lifespan)
        _logger.info("Finished server process [%d]", os.getpid())

    def _load(self) -> Callable[..., Any]:
        """Import the application, where Ctrl-C ends an import that takes too long."""
        settings = self._settings
        with _interruptible():
            return importer.load_app(
                settings.app, factory=settings.factory, app_dir=settings.app_dir
            )

    async def _start(self, lifespan: Lifespan) -> bool:
        """Run the startup; false if a signal came first."""
        startup = asyncio.ensure_future(lifespan.startup())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([startup, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if startup.done():
            await startup
            return True
        startup.cancel()
        await asyncio.wait([startup])
        return False

    def _listen(self, lifespan: Lifespan) -> None:
        settings = self._settings
        loop = asyncio.get_running_loop()
        assert isinstance(loop, EventLoop)
        self._native = _core.HttpServer(
            loop,
            self._app,
            root_path=settings.root_path,
            state=lifespan.state,
            keep_alive=settings.timeout_keep_alive,
            access_log=_access_route if settings.access_log else _nowhere,
            websocket=settings,
        )
        fds, self._fds = self._fds, []
        for fd in fds:
            self._native.listen(fd)
        if not settings.supervised:
            logs.announce(settings, fds)

    async def _drain(self) -> None:
        """Let requests in flight finish, for as long as the settings grant."""
        native = self._native
        assert native is not None
        _logger.info("Shutting down")
        native.begin_shutdown(self._change.set)
        limit = self._settings.timeout_graceful_shutdown
        if not await self._idle(limit):
            # Streams that would never end by themselves learn first that nobody listens.
            native.disconnect()
            if not await self._idle(_LAST_WORDS):
                reason = "forced" if self._force.is_set() else "timeout graceful shutdown exceeded"
                _logger.error("Cancel %d running task(s), %s", native.tasks, reason)
                native.cancel()
                await self._idle(_LAST_WORDS)
        native.close()

    async def _idle(self, limit: float | None) -> bool:
        """Wait until no request is in flight; false if it takes too long or is forced."""
        native = self._native
        assert native is not None
        loop = asyncio.get_running_loop()
        deadline = None if limit is None else loop.time() + limit
        while native.connections or native.tasks:
            waiting = (
                "connections to close" if native.connections else "background tasks to complete"
            )
            if waiting != self._told:
                self._told = waiting
                _logger.info("Waiting for %s. (CTRL+C to force quit)", waiting)
            self._change.clear()
            if self._force.is_set():
                return False
            left = None if deadline is None else deadline - loop.time()
            try:
                await asyncio.wait_for(self._change.wait(), left)
            except TimeoutError:
                return False
        return True

    async def _end(self, lifespan: Lifespan) -> None:
        """Run the application's shutdown, until a second signal."""
        if self._force.is_set():
            return
        task = asyncio.ensure_future(lifespan.shutdown())
        force = asyncio.ensure_future(self._force.wait())
        await asyncio.wait([task, force], return_when=asyncio.FIRST_COMPLETED)
        force.cancel()
        if task.done():
            task.result()
        else:
            task.cancel()


async def _all_done(tasks: Collection[asyncio.Task[Any]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


def _nowhere() -> None:
    """Where access lines go when there are to be none."""


def _access_route() -> tuple[int, bool] | logging.Logger | None:
    """Where access lines go now: a stream that they may be written to, or a logger."""
    logger = logging.getLogger(logs.ACCESS)
    if not logger.isEnabledFor(logging.INFO) or not logger.hasHandlers():
        return None
    if logs.access_is_default(logger):
        handler = logger.handlers[0]
        assert isinstance(handler, logs.AccessHandler)
        formatter = handler.formatter
        assert isinstance(formatter, logs.AccessFormatter)
        try:
            return handler.stream.fileno(), bool(formatter.use_colors)
        except (OSError, ValueError, AttributeError):
            pass  # a stream in memory, as tests have it
    return logger


class _Signals:
    """Calls `stop` for SIGINT and SIGTERM, in the main thread."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._stop)

    def __exit__(self, *_: object) -> None:
        if self._installed:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


class _interruptible:
    """Ctrl-C raises KeyboardInterrupt at once, as in a program without a loop."""

    def __enter__(self) -> None:
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
