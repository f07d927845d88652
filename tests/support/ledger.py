"""The leak ledger: what a test must hand back, and which errors it must have seen coming.

It is opened before the test and settled after its loops are closed. A test that passed must leave
no descriptor, thread, loop, handle, timer, transport, server, future or task alive, no signal
wake-up, no hook, and no error report that it did not take. A test that failed is asked nothing:
its traceback keeps its objects alive, and one report a cause is enough.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import logging
import signal
import sys
import threading
import traceback
import warnings
from typing import Any

from tests.support import fds

TRACKED = (
    asyncio.AbstractEventLoop,
    asyncio.AbstractServer,
    asyncio.BaseTransport,
    asyncio.Future,
    asyncio.Handle,
)
WATCHED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE")
THREAD_GRACE = 2.0


class Ledger:
    """The account of one test."""

    def __init__(self) -> None:
        self._loop_errors: list[dict[str, Any]] = []
        self._unraisable: list[str] = []
        self._records: list[logging.LogRecord] = []
        self._all_records: list[logging.LogRecord] = []

    # what tests ask

    def record_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The exception handler of every loop that the fixtures make."""
        self._loop_errors.append(context)

    def take_loop_error(self) -> dict[str, Any]:
        """The one error report that the test expected; it must have come."""
        assert self._loop_errors, "no error was reported to the loop's exception handler"
        return self._loop_errors.pop(0)

    def take_loop_errors(self) -> list[dict[str, Any]]:
        """All error reports so far, in order."""
        taken, self._loop_errors = self._loop_errors, []
        return taken

    def take_unraisable(self) -> list[str]:
        """All unraisable exceptions so far, as text."""
        taken, self._unraisable = self._unraisable, []
        return taken

    def take_records(self) -> list[logging.LogRecord]:
        """All records of the `asyncio` logger of level ERROR and above so far."""
        taken, self._records = self._records, []
        return taken

    # opened and settled by the fixture

    def open(self) -> None:
        """Take stock. What is alive now belongs to others and is put out of the collector's way."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a failed test left was reported with it
            gc.collect()
        gc.freeze()
        self._threads = set(threading.enumerate())
        self._signals = {name: signal.getsignal(getattr(signal, name)) for name in WATCHED_SIGNALS}
        self._unraisablehook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        self._excepthook, threading.excepthook = threading.excepthook, self._on_thread_exception
        self._log_handler = _Tap(self._records_sink)
        logging.getLogger("asyncio").addHandler(self._log_handler)
        self._fds = fds.open_fds()

    def settle(self) -> list[str]:
        """Everything that the test owes, in words; also puts the hooks back."""
        owed = self._running_state()
        owed += self._threads_left()
        for record in self._all_records:
            turn_to_text(record)
        gc.collect()
        owed += [f"still open: {line}" for line in fds.new_since(self._fds)]
        owed += [f"still alive: {line}" for line in objects_left()]
        owed += [f"unexpected report to the exception handler: {e}" for e in self._loop_errors]
        owed += [f"unexpected unraisable exception: {text}" for text in self._unraisable]
        owed += [f"unexpected log record: {r.getMessage()}" for r in self._records]
        self.put_back()
        return owed

    def put_back(self) -> None:
        """Undo what `open` installed and drop what was recorded."""
        sys.unraisablehook = self._unraisablehook
        threading.excepthook = self._excepthook
        logging.getLogger("asyncio").removeHandler(self._log_handler)
        self._loop_errors.clear()
        self._unraisable.clear()
        self._records.clear()
        self._all_records.clear()

    # what is looked at

    def _running_state(self) -> list[str]:
        owed = []
        if asyncio._get_running_loop() is not None:
            owed.append("a loop is still marked as running")
        if sys.get_asyncgen_hooks() != (None, None):
            owed.append(f"asynchronous generator hooks are left: {sys.get_asyncgen_hooks()}")
        if depth := sys.get_coroutine_origin_tracking_depth():
            owed.append(f"coroutine origin tracking is left on (depth {depth})")
        wakeup = signal.set_wakeup_fd(-1)
        if wakeup != -1:
            owed.append(f"the signal wake-up descriptor is left at {wakeup}")
        for name, before in self._signals.items():
            if (now := signal.getsignal(getattr(signal, name))) != before:
                owed.append(f"the handler of {name} is {now!r}, it was {before!r}")
        return owed

    def _threads_left(self) -> list[str]:
        new = [t for t in threading.enumerate() if t not in self._threads]
        for thread in new:
            thread.join(THREAD_GRACE)
        return [f"thread still running: {t.name}" for t in new if t.is_alive()]

    # hooks; texts are kept instead of objects, so that recording leaks nothing

    def _on_unraisable(self, event: Any) -> None:
        lines = traceback.format_exception(event.exc_type, event.exc_value, event.exc_traceback)
        self._unraisable.append(f"{event.err_msg or 'ignored'} {event.object!r}\n{''.join(lines)}")

    def _on_thread_exception(self, event: Any) -> None:
        lines = traceback.format_exception(event.exc_type, event.exc_value, event.exc_traceback)
        self._unraisable.append(f"in thread {event.thread!r}\n{''.join(lines)}")

    def _records_sink(self, record: logging.LogRecord) -> None:
        self._all_records.append(record)
        if record.levelno >= logging.ERROR:
            self._records.append(record)


class _Tap(logging.Handler):
    """Hands every record on."""

    def __init__(self, sink: Any) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        self._sink(record)


def turn_to_text(record: logging.LogRecord) -> None:
    """pytest keeps the records; they must not keep transports and frames."""
    record.msg, record.args, record.exc_info = record.getMessage(), None, None


def is_tracked(kind: type) -> bool:
    """Whether objects of this type must not outlive a test: asyncio's kinds, and all of weft's."""
    module = getattr(kind, "__module__", "") or ""
    if isinstance(module, str) and module.partition(".")[0] == "weft":
        return kind is not type
    return any(base in TRACKED for base in kind.__mro__)


def objects_left() -> list[str]:
    """Tracked objects that the collector knows and that were made after the ledger was opened."""
    verdicts: dict[type, bool] = {}
    found: list[Any] = []
    for obj in gc.get_objects():
        kind = type(obj)
        verdict = verdicts.get(kind)
        if verdict is None:
            verdict = verdicts[kind] = is_tracked(kind)
        if verdict:
            found.append(obj)
    if len(found) > 8:
        counts = collections.Counter(type(obj).__qualname__ for obj in found)
        return [f"{count} objects of {name}" for name, count in counts.items()]
    return [f"{obj!r} held by {holders(obj, found)}" for obj in found]


def holders(obj: Any, *not_these: Any) -> str:
    """The types of what refers to an object, to tell a cycle from a forgotten list."""
    found = [r for r in gc.get_referrers(obj) if not any(r is n for n in not_these)]
    return ", ".join(sorted({type(r).__qualname__ for r in found})) or "nobody the collector knows"
