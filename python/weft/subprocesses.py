"""Subprocesses: started by `subprocess.Popen`, their exit watched by the loop.

The kernel tells of a child's exit by a descriptor (pidfd), so no signal handler, no thread and
no child watcher of asyncio's policies takes part, and the loop may run in any thread. Where
the kernel or a sandbox refuses pidfds, a thread waits. Pipes are the loop's own pipe transports;
what a protocol hears, and in which order, is the interpreter's `BaseSubprocessTransport`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from asyncio import base_subprocess
from asyncio.log import logger
from collections.abc import Callable
from typing import Any

from weft.base import BaseEventLoop

__all__ = ["Subprocesses"]

# What asyncio reports for a child whose exit status somebody else has taken.
UNKNOWN_EXIT = 255


class Child:
    """Waits for one process to exit and reaps it, in the thread of the loop and exactly once.

    Until then the number of the process cannot become another's, so signals find the right one.
    """

    def __init__(
        self, loop: Subprocesses, popen: subprocess.Popen[bytes], exited: Callable[[int], None]
    ) -> None:
        self._loop = loop
        self._popen = popen
        self._exited: Callable[[int], None] | None = exited
        self._pidfd = -1
        self._watch()
        loop._children.add(self)

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self._popen.pid)
        except ProcessLookupError:
            # Gone and reaped: somebody ignores SIGCHLD or waits for all children.
            self._loop.call_soon(self._reap)
        except OSError:
            # Linux before 5.3, a sandbox, or no descriptor left.
            name = f"weft-waitpid-{self._popen.pid}"
            threading.Thread(target=self._wait, name=name, daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._reap)

    def _wait(self) -> None:
        with contextlib.suppress(ChildProcessError):  # reaped by others: `_reap` says so
            # The zombie stays: were it reaped here, a signal could meet a stranger.
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
        try:
            self._loop.call_soon_threadsafe(self._reap)
        except RuntimeError:
            self._popen.poll()  # The loop is closed, and nobody else would reap.

    def _reap(self) -> None:
        self.abandon()
        self._loop._children.discard(self)
        # Popen.poll() may have reaped it, by way of the transport's close() for instance.
        if self._popen.returncode is None:
            self._popen.returncode = self._exit_status()
        exited, self._exited = self._exited, None  # it holds the transport, which holds this
        if exited is not None:
            # A turn later, as asyncio's watchers do it: who starts a process and waits for it
            # at once then hears of the end after `connection_lost`, however short its life.
            self._loop.call_soon(exited, self._popen.returncode)

    def _exit_status(self) -> int:
        try:
            _, status = os.waitpid(self._popen.pid, 0)
        except ChildProcessError:
            logger.warning(
                "child process pid %d exit status already read:  will report returncode %d",
                self._popen.pid,
                UNKNOWN_EXIT,
            )
            return UNKNOWN_EXIT
        return os.waitstatus_to_exitcode(status)

    def send_signal(self, number: int) -> None:
        """Send a signal; a process that has ended does not mind. Raises `OSError`."""
        if self._popen.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._pidfd < 0:
                os.kill(self._popen.pid, number)
            else:
                signal.pidfd_send_signal(self._pidfd, number)

    def abandon(self) -> None:
        """Stop watching; the process goes on."""
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd >= 0:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)

    def __del__(self) -> None:
        # Only a loop that was never closed comes here.
        if self._pidfd >= 0:
            os.close(self._pidfd)


class SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """The transport of one subprocess."""

    _child: Child
    _loop: Subprocesses

    def _start(
        self,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        **kwargs: Any,
    ) -> None:
        self._proc = popen = subprocess.Popen(
            args, bufsize, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, **kwargs
        )
        self._child = Child(self._loop, popen, self._process_exited)

    async def _connect_pipes(self, waiter: asyncio.Future[None] | None) -> None:
        await super()._connect_pipes(waiter)
        if self._closed:
            # close() came in between, and could not close what was not connected yet.
            pipes: list[Any] = list(self._pipes.values())
            for pipe in pipes:
                if pipe is not None:
                    pipe.pipe.close()

    def _process_exited(self, returncode: int) -> None:
        super()._process_exited(returncode)
        if self._pending_calls is not None:
            # The pipes are not connected. They never will be if one was refused, or if the task
            # that connects them was cancelled; only the start itself can be waiting.
            # Since 3.14 the base class has woken it, and keeps no waiters any more.
            waiters = self._exit_waiters or []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(returncode)
            waiters.clear()

    def _drop_pipes(self) -> None:
        """Close what was not connected, after a start that failed."""
        if self._proc is not None:
            files = (self._proc.stdin, self._proc.stdout, self._proc.stderr)
            for fd, file in enumerate(files):
                if file is not None and self._pipes.get(fd) is None:
                    file.close()

    # Popen.send_signal() of 3.11 and 3.12 reaps a child that has ended, and os.kill() of later
    # versions may reach another process while a grandchild keeps the pipes open.

    def send_signal(self, signal: int) -> None:
        """Send a signal. Raises `ProcessLookupError` after `connection_lost`."""
        self._check_proc()
        self._child.send_signal(signal)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Subprocesses(BaseEventLoop):
    """The subprocess half of `EventLoop`."""

    _children: set[Child]

    def _init_subprocesses(self) -> None:
        self._children = set()

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> SubprocessTransport:
        waiter = self.create_future()
        transport = SubprocessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter, extra, **kwargs
        )
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            transport._drop_pipes()
            raise
        return transport

    def _close_subprocesses(self) -> None:
        while self._children:
            self._children.pop().abandon()
