"""Handle and TimerHandle as objects: state, repr, order, hash, weak references, types."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import weakref

import pytest

from tests.support.loops import one_turn


def named_callback(*_args):
    """A callback whose name a repr can show."""


@pytest.fixture(params=["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def schedule(request, loop):
    """Schedules a callback in one of the four ways."""

    def call(callback, *args, **kwargs):
        if request.param == "call_later":
            return loop.call_later(30, callback, *args, **kwargs)
        if request.param == "call_at":
            return loop.call_at(loop.time() + 30, callback, *args, **kwargs)
        return getattr(loop, request.param)(callback, *args, **kwargs)

    return call


def test_scheduling_returns_asyncios_handle_types(loop, schedule, request):
    handle = schedule(named_callback)
    assert isinstance(handle, asyncio.Handle)
    is_timer = isinstance(handle, asyncio.TimerHandle)
    assert is_timer == (request.node.callspec.params["schedule"] in ("call_later", "call_at"))
    handle.cancel()


def test_cancelled_tells_whether_cancel_was_called(schedule):
    handle = schedule(named_callback)
    assert handle.cancelled() is False
    assert handle.cancel() is None
    assert handle.cancelled() is True
    handle.cancel()
    assert handle.cancelled() is True


def test_a_handle_that_ran_is_not_cancelled(loop):
    handle = loop.call_soon(named_callback)
    one_turn(loop)
    assert handle.cancelled() is False


def test_a_timer_that_ran_is_not_cancelled(loop):
    handle = loop.call_later(0, named_callback)
    loop.call_later(0, loop.stop)
    loop.run_forever()
    assert handle.cancelled() is False


def test_repr_names_the_callback_and_where_it_is_from(schedule):
    handle = schedule(named_callback, "an argument")
    assert "Handle" in repr(handle)
    assert "named_callback(" in repr(handle)
    assert "test_handles.py" in repr(handle)
    handle.cancel()


def test_debug_mode_shows_the_arguments_in_the_repr(loop, schedule):
    """Without debug mode 3.13 hides them, because they may be secrets."""
    loop.set_debug(True)
    handle = schedule(named_callback, "an argument")
    assert "named_callback('an argument')" in repr(handle)
    handle.cancel()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="older versions show them always")
def test_the_repr_keeps_arguments_to_itself(schedule):
    handle = schedule(named_callback, "a secret")
    assert "a secret" not in repr(handle)
    handle.cancel()


def test_repr_of_a_cancelled_handle_says_so(schedule):
    handle = schedule(named_callback)
    handle.cancel()
    assert "cancelled" in repr(handle)
    assert "named_callback" not in repr(handle)


def test_repr_of_a_timer_shows_its_deadline(loop):
    handle = loop.call_at(loop.time() + 30, named_callback)
    assert f"when={handle.when()}" in repr(handle)
    handle.cancel()


def test_debug_mode_remembers_the_callback_of_a_cancelled_handle(loop, schedule):
    loop.set_debug(True)
    handle = schedule(named_callback)
    handle.cancel()
    assert "cancelled" in repr(handle)
    assert "named_callback" in repr(handle)


def test_debug_mode_remembers_where_a_handle_was_created(loop, schedule):
    loop.set_debug(True)
    handle = schedule(named_callback)
    assert "created at" in repr(handle)
    assert "test_handles.py" in repr(handle).partition("created at")[2]
    handle.cancel()


def test_handles_accept_weak_references(schedule):
    handle = schedule(named_callback)
    reference = weakref.ref(handle)
    assert reference() is handle
    handle.cancel()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="get_context is new in 3.12")
def test_get_context_is_the_context_of_the_callback(schedule):
    context = contextvars.copy_context()
    handle = schedule(named_callback, context=context)
    assert handle.get_context() is context
    handle.cancel()


def test_when_is_the_deadline_on_the_clock_of_the_loop(loop):
    deadline = loop.time() + 30
    handle = loop.call_at(deadline, named_callback)
    assert handle.when() == deadline
    handle.cancel()


def test_when_of_call_later_is_now_plus_the_delay(loop):
    before = loop.time()
    handle = loop.call_later(30, named_callback)
    after = loop.time()
    assert before + 30 <= handle.when() <= after + 30
    handle.cancel()


@pytest.mark.parametrize("delay", [0, -1, 1e-9, 0.0004])
def test_the_shortest_delay_still_makes_a_timer_handle(loop, delay):
    handle = loop.call_later(delay, named_callback)
    assert isinstance(handle, asyncio.TimerHandle)
    assert handle.when() <= loop.time() + 0.0004
    handle.cancel()


def test_when_keeps_the_value_that_call_at_got(loop):
    handle = loop.call_at(12, named_callback)
    assert handle.when() == 12
    handle.cancel()


def test_timers_are_ordered_by_deadline(loop):
    now = loop.time()
    early, late = loop.call_at(now + 10, print), loop.call_at(now + 20, print)
    assert early < late
    assert early <= late
    assert late > early
    assert late >= early
    assert not late < early
    assert sorted([late, early]) == [early, late]
    early.cancel()
    late.cancel()


def test_timers_with_equal_deadlines_are_neither_less_nor_greater(loop):
    deadline = loop.time() + 10
    one, two = loop.call_at(deadline, print, 1), loop.call_at(deadline, print, 2)
    assert not one < two
    assert not one > two
    assert one != two
    one.cancel()
    two.cancel()


def test_equal_timers_compare_equal(loop):
    deadline = loop.time() + 10
    one, two = loop.call_at(deadline, print, 1), loop.call_at(deadline, print, 1)
    assert one == two
    assert one <= two
    assert one >= two
    assert hash(one) == hash(two)
    two.cancel()
    assert one != two
    one.cancel()


def test_the_hash_of_a_timer_is_that_of_its_deadline(loop):
    handle = loop.call_at(loop.time() + 10, print)
    assert hash(handle) == hash(handle.when())
    assert handle in {handle}
    handle.cancel()
    assert hash(handle) == hash(handle.when())


def test_timers_do_not_compare_with_numbers(loop):
    handle = loop.call_at(loop.time() + 10, print)
    with pytest.raises(TypeError):
        _ = handle < 5
    assert handle != 5
    handle.cancel()


def test_handles_are_hashable_and_equal_only_to_themselves(loop):
    one, two = loop.call_soon(named_callback), loop.call_soon(named_callback)
    assert one != two
    assert len({one, two}) == 2
    one.cancel()
    two.cancel()


def test_a_handle_made_by_hand_runs_like_any_other(loop):
    """Libraries build `asyncio.Handle` themselves; it must accept the loop under test."""
    seen = []
    handle = asyncio.Handle(seen.append, (1,), loop)
    handle._run()
    assert seen == [1]
    timer = asyncio.TimerHandle(loop.time() + 5, seen.append, (2,), loop)
    timer.cancel()
    assert timer.cancelled()


def test_cancelling_after_the_loop_is_closed_is_harmless(loop_factory):
    loop = loop_factory()
    soon, later = loop.call_soon(named_callback), loop.call_later(30, named_callback)
    loop.close()
    soon.cancel()
    later.cancel()
    assert soon.cancelled()
    assert later.cancelled()
