"""Debug mode: slow callbacks, calls from the wrong thread, where coroutines come from."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading

import pytest

from tests.support.loops import one_turn
from tests.support.scripts import check_script


def a_slow_callback(*_args):
    """As slow as the limit says."""


@pytest.fixture
def debug_loop(loop):
    loop.set_debug(True)
    return loop


def test_debug_is_off_unless_asked_for(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


@pytest.mark.parametrize(
    ("flags", "env", "expected"),
    [
        ((), {}, "False"),
        ((), {"PYTHONASYNCIODEBUG": "1"}, "True"),
        (("-X", "dev"), {}, "True"),
    ],
    ids=["plain", "variable", "dev mode"],
)
def test_the_environment_may_ask_for_debug(flavour, flags, env, expected):
    output = check_script(
        flavour, "loop = make_loop(); print(loop.get_debug()); loop.close()", flags=flags, env=env
    )
    assert output == expected + "\n"


# slow callbacks


def test_the_limit_for_slow_callbacks_is_a_tenth_of_a_second(loop):
    assert loop.slow_callback_duration == 0.1


def test_a_slow_callback_is_logged_with_its_name_and_its_time(debug_loop, caplog):
    debug_loop.slow_callback_duration = 0
    debug_loop.call_soon(a_slow_callback)
    with caplog.at_level(logging.WARNING, "asyncio"):
        one_turn(debug_loop)
    (record,) = caplog.records
    assert record.name == "asyncio"
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert text.startswith("Executing <Handle a_slow_callback(")
    assert "test_debug.py" in text
    assert text.endswith(" seconds")
    assert " took 0.0" in text


def test_a_slow_step_of_a_task_is_logged_with_the_task(debug_loop, caplog):
    async def slow_coroutine():
        """Slow enough for a limit of zero."""

    debug_loop.slow_callback_duration = 0
    with caplog.at_level(logging.WARNING, "asyncio"):
        debug_loop.run_until_complete(slow_coroutine())
    texts = [record.getMessage() for record in caplog.records]
    assert any(t.startswith("Executing <Task") and "slow_coroutine" in t for t in texts), texts


def test_a_slow_timer_is_logged(debug_loop, caplog):
    debug_loop.slow_callback_duration = 0
    debug_loop.call_later(0, a_slow_callback)
    with caplog.at_level(logging.WARNING, "asyncio"):
        one_turn(debug_loop)
    assert "Executing <TimerHandle" in caplog.text
    assert "a_slow_callback(" in caplog.text


def test_quick_callbacks_are_not_logged(debug_loop, caplog):
    debug_loop.slow_callback_duration = 60
    debug_loop.call_soon(a_slow_callback)
    with caplog.at_level(logging.WARNING, "asyncio"):
        one_turn(debug_loop)
    assert caplog.records == []


def test_slow_callbacks_are_not_logged_without_debug(loop, caplog):
    loop.slow_callback_duration = 0
    loop.call_soon(a_slow_callback)
    with caplog.at_level(logging.WARNING, "asyncio"):
        one_turn(loop)
    assert caplog.records == []


# the wrong thread


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_a_call_from_another_thread_is_refused(debug_loop, method):
    errors = []
    arguments = (print,) if method == "call_soon" else (0, print)

    def intrude():
        try:
            getattr(debug_loop, method)(*arguments)
        except RuntimeError as error:
            errors.append(str(error))

    def callback():
        thread = threading.Thread(target=intrude)
        thread.start()
        thread.join()

    debug_loop.call_soon(callback)
    one_turn(debug_loop)
    assert len(errors) == 1
    assert "Non-thread-safe operation invoked on an event loop other than the current" in errors[0]


def test_a_threadsafe_call_from_another_thread_is_welcome(debug_loop):
    seen = []

    def callback():
        thread = threading.Thread(target=debug_loop.call_soon_threadsafe, args=(seen.append, 1))
        thread.start()
        thread.join()

    debug_loop.call_soon(callback)
    one_turn(debug_loop)
    one_turn(debug_loop)
    assert seen == [1]


def test_another_thread_may_schedule_while_the_loop_is_not_running(debug_loop):
    seen = []
    thread = threading.Thread(target=debug_loop.call_soon, args=(seen.append, 1))
    thread.start()
    thread.join()
    one_turn(debug_loop)
    assert seen == [1]


# what may be called back


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe"])
def test_coroutines_and_other_things_are_refused_as_callbacks(debug_loop, method):
    async def coroutine():
        """Never called."""

    schedule = getattr(debug_loop, method)
    with pytest.raises(TypeError, match=rf"coroutines cannot be used with {method}\(\)"):
        schedule(coroutine)
    with pytest.raises(TypeError, match=rf"a callable object was expected by {method}\(\)"):
        schedule(42)


def test_timers_refuse_coroutines(debug_loop):
    async def coroutine():
        """Never called."""

    with pytest.raises(TypeError, match=r"coroutines cannot be used with call_(at|later)\(\)"):
        debug_loop.call_later(1, coroutine)
    with pytest.raises(TypeError, match=r"coroutines cannot be used with call_at\(\)"):
        debug_loop.call_at(1, coroutine)


# coroutine origins


def test_coroutine_origins_are_tracked_while_a_debug_loop_runs(debug_loop):
    async def main():
        inner = asyncio.sleep(0)
        origin = inner.cr_origin
        inner.close()
        return origin, sys.get_coroutine_origin_tracking_depth()

    origin, depth = debug_loop.run_until_complete(main())
    assert origin[0][2] == "main"
    assert depth > 0
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_the_depth_of_others_is_restored(debug_loop):
    sys.set_coroutine_origin_tracking_depth(3)
    try:
        debug_loop.run_until_complete(asyncio.sleep(0))
        assert sys.get_coroutine_origin_tracking_depth() == 3
    finally:
        sys.set_coroutine_origin_tracking_depth(0)


def test_origins_are_not_tracked_without_debug(loop):
    async def main():
        return sys.get_coroutine_origin_tracking_depth()

    assert loop.run_until_complete(main()) == 0


def test_debug_can_be_switched_while_the_loop_runs(loop):
    async def main():
        depths = [sys.get_coroutine_origin_tracking_depth()]
        for debug in (True, False, True):
            loop.set_debug(debug)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            depths.append(sys.get_coroutine_origin_tracking_depth())
        return depths

    depths = loop.run_until_complete(main())
    assert [depth > 0 for depth in depths] == [False, True, False, True]
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_a_coroutine_that_was_never_awaited_is_warned_about_with_its_origin(debug_loop):
    async def forgotten():
        """Never awaited."""

    async def main():
        forgotten()
        gc.collect()

    with pytest.warns(RuntimeWarning, match="was never awaited") as caught:
        debug_loop.run_until_complete(main())
    assert "Coroutine created at" in str(caught[0].message)


def test_switching_debug_does_not_lose_scheduled_callbacks(loop):
    seen = []
    for number in range(6):
        loop.set_debug(number % 2 == 0)
        loop.call_soon(seen.append, number)
        loop.call_later(0, seen.append, number)
    one_turn(loop)
    assert sorted(seen) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
