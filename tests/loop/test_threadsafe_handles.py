"""What call_soon_threadsafe gives back since Python 3.14: a handle for other threads."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from tests.support.loops import one_turn

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="handles are safe for other threads since 3.14"
)


class Callback:
    """A callback that can be seen at work: it starts, waits to be let go, and ends."""

    def __init__(self):
        self.started, self.let_go = threading.Event(), threading.Event()
        self.ended = False

    def __call__(self):
        self.started.set()
        self.let_go.wait()
        self.ended = True


@pytest.mark.parametrize("method", ["cancel", "cancelled"])
def test_another_thread_waits_for_the_end_of_a_running_callback(loop, method):
    callback, ended = Callback(), []

    def other_thread():
        handle = loop.call_soon_threadsafe(callback)
        callback.started.wait()
        letting_go = threading.Timer(0.05, callback.let_go.set)
        letting_go.start()
        getattr(handle, method)()
        ended.append(callback.ended)
        letting_go.join()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other_thread)
    thread.start()
    loop.run_forever()
    thread.join()
    assert ended == [True]


def test_many_threads_may_wait_for_one_callback(loop):
    callback, ended = Callback(), []
    handle = loop.call_soon_threadsafe(callback)

    def other_thread():
        callback.started.wait()
        handle.cancel()
        ended.append(callback.ended)

    threads = [threading.Thread(target=other_thread) for _ in range(8)]
    for thread in threads:
        thread.start()
    letting_go = threading.Timer(0.05, callback.let_go.set)
    letting_go.start()
    one_turn(loop)
    for thread in [*threads, letting_go]:
        thread.join()
    assert ended == [True] * 8


def test_a_callback_may_cancel_its_own_handle(loop):
    seen = []

    def callback():
        handle.cancel()
        seen.append(handle.cancelled())

    handle = loop.call_soon_threadsafe(callback)
    one_turn(loop)
    assert seen == [True]
    handle = None


def test_a_callback_that_is_cancelled_by_another_thread_does_not_run(loop):
    seen = []
    handle = loop.call_soon_threadsafe(seen.append, 1)
    thread = threading.Thread(target=handle.cancel)
    thread.start()
    thread.join()
    one_turn(loop)
    assert handle.cancelled()
    assert seen == []


def test_a_callback_that_raises_lets_those_who_wait_go_on(loop, ledger):
    started, done = threading.Event(), []

    def callback():
        started.set()
        raise ValueError("on purpose")

    handle = loop.call_soon_threadsafe(callback)
    asking = threading.Thread(target=lambda: (started.wait(), done.append(handle.cancelled())))
    asking.start()
    one_turn(loop)
    asking.join()
    assert done == [False]
    context = ledger.take_loop_error()
    assert context["handle"] is handle
    assert isinstance(context["exception"], ValueError)


def test_it_is_what_asyncio_calls_a_thread_safe_handle(loop):
    handle = loop.call_soon_threadsafe(print)
    assert isinstance(handle, asyncio.events._ThreadSafeHandle)
    assert isinstance(handle, asyncio.Handle)
    assert handle.get_context() is not None
    handle.cancel()
    one_turn(loop)
