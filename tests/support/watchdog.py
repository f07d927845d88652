"""A hard limit on every test, so that a hang fails within seconds and says where it hung.

First the alarm: SIGALRM raises `Hung` in the main thread and that test alone fails. A loop that
cannot be interrupted by a signal meets the second limit: faulthandler prints the stacks of all
threads and ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import io
import os
import signal
import sys
from collections.abc import Iterator

LOOP_LIMIT = 10.0
OTHER_LIMIT = 120.0
GRACE = 5.0


class Hung(SystemExit):
    """The test went over its limit. A SystemExit, because event loops must let those pass."""


class Watchdog:
    """Owns a copy of the real stderr, made before pytest captures it."""

    def __init__(self) -> None:
        self._stderr = os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2)

    def close(self) -> None:
        os.close(self._stderr)

    @contextlib.contextmanager
    def whole_test(self, seconds: float) -> Iterator[None]:
        """The last resort around set-up, test and teardown together."""
        faulthandler.dump_traceback_later(3 * seconds + GRACE, exit=True, file=self._stderr)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    @contextlib.contextmanager
    def phase(self, seconds: float) -> Iterator[None]:
        """Raise `Hung` when the block takes longer than this."""

        def on_alarm(_signum: int, _frame: object) -> None:
            os.write(self._stderr, b"\n" + pending_tasks().encode())
            faulthandler.dump_traceback(file=self._stderr, all_threads=True)
            faulthandler.dump_traceback_later(GRACE, exit=True, file=self._stderr)
            if (loop := asyncio._get_running_loop()) is not None:
                loop.call_soon_threadsafe(loop.stop)  # for a loop that lets no exception out
            raise Hung(f"the test went over its limit of {seconds:g} s")

        before = signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def pending_tasks() -> str:
    """The stacks of all unfinished tasks: in a hang the interesting frames are suspended."""
    report = io.StringIO()
    for task in [o for o in gc.get_objects() if isinstance(o, asyncio.Task)]:
        if not task.done():
            task.print_stack(file=report)
    return report.getvalue()
