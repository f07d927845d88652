"""Signals: handlers as loop callbacks, and a loop that wakes for every signal.

The interpreter writes each signal's number into a socket pair (`signal.set_wakeup_fd`), and
the loop reads it as one more descriptor. Numbers that arrive while the loop does not run stay
in the pair, so a handler added with `add_signal_handler` is called later, not never.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import warnings
from asyncio import Handle, coroutines
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import TypeVarTuple, Unpack

from weft.base import BaseEventLoop

_Ts = TypeVarTuple("_Ts")


def _ignore(signum: int, frame: object) -> None:
    """A handler that does nothing: it makes the interpreter write the number."""


class SignalHandlers(BaseEventLoop):
    """The signal half of `EventLoop`; the main thread's business only."""

    _signal_handlers: dict[int, Handle]
    _wakeup_pair: tuple[socket.socket, socket.socket] | None

    def _init_signals(self) -> None:
        self._signal_handlers = {}
        self._wakeup_pair = None

    def _wakeup_fd(self) -> int:
        """The writing end of the pair, which is made at its first use."""
        if self._wakeup_pair is None:
            reader, writer = socket.socketpair()
            reader.setblocking(False)
            writer.setblocking(False)
            self._wakeup_pair = reader, writer
            self.add_reader(reader, self._read_signals, reader)
            self._set_background(1)
        return self._wakeup_pair[1].fileno()

    @contextlib.contextmanager
    def _signals_wake_loop(self) -> Iterator[None]:
        """While the loop runs in the main thread, any signal makes a parked loop look up."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ours = self._wakeup_fd()
        previous = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        try:
            yield
        finally:
            # Handlers of ours keep the descriptor: their signals are delivered at the next run.
            if not self._signal_handlers:
                previous = -1 if previous == ours else previous
                signal.set_wakeup_fd(previous, warn_on_full_buffer=False)

    def _read_signals(self, reader: socket.socket) -> None:
        try:
            numbers = reader.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        for signum in numbers:
            handle = self._signal_handlers.get(signum)
            if handle is None:
                continue
            if handle.cancelled():
                self.remove_signal_handler(signum)
            else:
                self.call_soon(handle._run)

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts
    ) -> None:
        """Call callback(*args) in the loop when the signal arrives.

        Raises `ValueError` for a number that is no signal or outside the main thread,
        `RuntimeError` for a signal that cannot be caught, `TypeError` for a coroutine
        function.
        """
        if any(test(callback) for test in (coroutines.iscoroutine, iscoroutinefunction)):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        self._check_signal(sig)
        self._check_closed()
        try:
            # Also the check for the main thread, before anything has changed.
            signal.set_wakeup_fd(self._wakeup_fd(), warn_on_full_buffer=False)
        except (ValueError, OSError) as error:
            raise RuntimeError(str(error)) from error
        self._signal_handlers[sig] = Handle(callback, args, self, None)
        try:
            signal.signal(sig, _ignore)
            # System calls of other threads go on instead of failing with EINTR.
            signal.siginterrupt(sig, False)
        except OSError as error:
            del self._signal_handlers[sig]
            self._release_wakeup_fd()
            raise RuntimeError(f"sig {sig} cannot be caught") from error

    def remove_signal_handler(self, sig: int) -> bool:
        """Restore the default action of a signal; whether there was a handler."""
        self._check_signal(sig)
        if self._signal_handlers.pop(sig, None) is None:
            return False
        default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
        try:
            signal.signal(sig, default)
        except OSError as error:
            raise RuntimeError(f"sig {sig} cannot be caught") from error
        self._release_wakeup_fd()
        return True

    def _release_wakeup_fd(self) -> None:
        if not self._signal_handlers and not self.is_running():
            self._reset_wakeup_fd()

    def _reset_wakeup_fd(self) -> None:
        """Let the interpreter write to nobody, if it writes to this loop."""
        with contextlib.suppress(ValueError, OSError):
            previous = signal.set_wakeup_fd(-1)
            if previous not in (-1, self._wakeup_fd()):
                signal.set_wakeup_fd(previous, warn_on_full_buffer=False)

    def _check_signal(self, sig: int) -> None:
        if not isinstance(sig, int):
            raise TypeError(f"sig must be an int, not {sig!r}")
        if sig not in signal.valid_signals():
            raise ValueError(f"invalid signal number {sig}")

    def _close_signals(self) -> None:
        if not sys.is_finalizing():
            for sig in list(self._signal_handlers):
                self.remove_signal_handler(sig)
        elif self._signal_handlers:
            warnings.warn(
                f"Closing the loop {self!r} on interpreter shutdown stage, "
                "skipping signal handlers removal",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self._signal_handlers.clear()
        self._drop_wakeup_pair()

    def _drop_wakeup_pair(self) -> None:
        """Close the pair; the interpreter must not write to it, nor a child to its parent's."""
        if self._wakeup_pair is None:
            return
        self._reset_wakeup_fd()
        pair, self._wakeup_pair = self._wakeup_pair, None
        # A loop that was never closed may come here after its pair has been collected.
        if pair[0].fileno() >= 0:
            self.remove_reader(pair[0])
        self._set_background(0)
        for end in pair:
            end.close()
