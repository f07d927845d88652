"""Knowing that a thread sleeps in the kernel's poll, so that a test can wake it from outside."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

# Where a thread sleeps that waits for readiness, as /proc/…/wchan calls it.
POLL_CHANNELS = ("ep_poll", "do_epoll_wait", "do_epoll_pwait", "io_cqring_wait")


def is_parked(thread_id: int) -> bool:
    """Whether the thread with this native id is asleep inside the poll call."""
    with open(f"/proc/self/task/{thread_id}/wchan") as file:
        return file.read().startswith(POLL_CHANNELS)


def when_parked(action: Callable[[], Any], thread_id: int | None = None) -> threading.Thread:
    """Start a thread that acts as soon as the caller's thread is parked; join it afterwards."""
    target = thread_id or threading.get_native_id()

    def watch() -> None:
        while not is_parked(target):
            os.sched_yield()
        action()

    thread = threading.Thread(target=watch, name="when-parked", daemon=True)
    thread.start()
    return thread
