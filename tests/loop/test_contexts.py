"""Contexts of callbacks scheduled without one: each has its own, none outlives its use."""

from __future__ import annotations

import contextvars
import gc
import sys
import weakref

import pytest

from tests.support.loops import one_turn, turns

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


class Value:
    """Something that can be referred to weakly."""


def bump(seen):
    """Set the variable to one more than it was, and note what it was."""
    value = VARIABLE.get()
    seen.append(value)
    VARIABLE.set(value + "+")


def schedule_with(loop, value):
    """Schedule a callback in a context that alone holds the value."""

    def schedule():
        VARIABLE.set(value)
        loop.call_soon(VARIABLE.get)

    contextvars.copy_context().run(schedule)


def test_callbacks_scheduled_together_see_nothing_of_each_other(loop):
    seen = []
    for _ in range(5):
        loop.call_soon(bump, seen)
    one_turn(loop)
    assert seen == ["default"] * 5
    assert VARIABLE.get() == "default"


def test_a_callback_hands_its_changes_to_what_it_schedules(loop):
    seen = []

    def spawn(depth):
        bump(seen)
        if depth:
            loop.call_soon(spawn, depth - 1)
            loop.call_soon(spawn, 0)

    loop.call_soon(spawn, 2)
    for _ in range(3):
        one_turn(loop)
    assert seen == ["default", "default+", "default+", "default++", "default++"]


def test_changes_between_two_calls_are_seen_by_the_second_only(loop):
    seen = []

    def schedule():
        for value in ("one", "two", "two", "three"):
            VARIABLE.set(value)
            loop.call_soon(bump, seen)

    contextvars.copy_context().run(schedule)
    one_turn(loop)
    assert seen == ["one", "two", "two", "three"]


def test_a_variable_that_is_reset_is_seen_as_reset(loop):
    seen = []

    def schedule():
        token = VARIABLE.set("set")
        loop.call_soon(bump, seen)
        VARIABLE.reset(token)
        loop.call_soon(bump, seen)

    contextvars.copy_context().run(schedule)
    one_turn(loop)
    assert seen == ["set", "default"]


def test_timers_have_contexts_of_their_own_too(loop):
    seen = []
    for _ in range(3):
        loop.call_later(0, bump, seen)
    while len(seen) < 3:
        one_turn(loop)
    assert seen == ["default"] * 3


def test_callbacks_of_a_loop_run_inside_a_callback_have_their_own_context(loop, loop_factory):
    """Tools that nest loops run one inside the callback of another."""
    seen = []
    inner = loop_factory()

    def outer():
        VARIABLE.set("outer")
        inner.call_soon(bump, seen)
        inner.call_soon(bump, seen)

    loop.call_soon(outer)
    loop.call_soon(bump, seen)
    one_turn(loop)
    one_turn(inner)
    inner.close()
    assert seen == ["default", "outer", "outer"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="get_context is new in 3.12")
def test_a_handle_shows_the_context_its_callback_ran_in(loop):
    seen = []
    handles = [loop.call_soon(bump, seen) for _ in range(2)]
    asked = handles[0].get_context()
    one_turn(loop)
    contexts = [handle.get_context() for handle in handles]
    assert contexts[0] is asked
    assert contexts[0] is not contexts[1]
    assert [context[VARIABLE] for context in contexts] == ["default+", "default+"]


async def test_a_value_goes_when_the_callback_that_saw_it_is_over(loop):
    value = Value()
    gone = weakref.ref(value)
    schedule_with(loop, value)
    del value
    await turns(4)
    gc.collect()
    assert gone() is None


def test_a_value_goes_when_the_loop_stops(loop):
    value = Value()
    gone = weakref.ref(value)
    schedule_with(loop, value)
    del value
    one_turn(loop)
    gc.collect()
    assert gone() is None


def test_a_loop_in_a_cycle_with_a_scheduled_context_is_collected(loop_factory):
    loop = loop_factory()
    gone = weakref.ref(loop)
    schedule_with(loop, loop)
    one_turn(loop)
    loop.close()
    del loop
    gc.collect()
    assert gone() is None


class Finalizer:
    """Does something when it goes."""

    def __init__(self, action):
        self.action = action

    def __del__(self):
        self.action()


@pytest.mark.limit(10)
def test_what_the_end_of_a_value_schedules_is_not_slept_over(loop):
    seen = []

    def stop():
        seen.append("stopped")
        loop.stop()

    def callback():
        VARIABLE.set(Finalizer(lambda: loop.call_soon(stop)))

    loop.call_soon(callback)
    loop.run_forever()
    assert seen == ["stopped"]


@pytest.mark.limit(10)
def test_a_value_of_the_schedulers_context_that_ends_last_is_not_slept_over(loop):
    schedule_with(loop, Finalizer(loop.stop))
    loop.run_forever()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the handler's context is new in 3.12")
def test_the_exception_handler_sees_what_the_failed_callback_has_set(loop):
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(VARIABLE.get()))

    def fail():
        VARIABLE.set("failing")
        raise LookupError

    loop.call_soon(fail)
    one_turn(loop)
    assert seen == ["failing"]
