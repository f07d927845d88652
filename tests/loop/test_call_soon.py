"""call_soon: order, arguments, contexts, and what cancelling a handle means."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from tests.support.loops import one_turn
from tests.support.net import nonblocking_pair

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


def test_callbacks_run_in_the_order_they_were_scheduled(loop):
    seen = []
    for number in range(1000):
        loop.call_soon(seen.append, number)
    one_turn(loop)
    assert seen == list(range(1000))


def test_callbacks_scheduled_by_callbacks_queue_behind_the_others(loop):
    seen = []

    def spawn(name):
        seen.append(name)
        if len(name) < 3:
            loop.call_soon(spawn, name + "x")

    for name in "ab":
        loop.call_soon(spawn, name)
    for _ in range(3):
        one_turn(loop)
    assert seen == ["a", "b", "ax", "bx", "axx", "bxx"]


def test_a_callback_never_runs_inside_call_soon(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    assert seen == []
    one_turn(loop)
    assert seen == [1]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 17])
def test_any_number_of_arguments_arrives(loop, count):
    seen = []
    loop.call_soon(lambda *args: seen.append(args), *range(count))
    one_turn(loop)
    assert seen == [tuple(range(count))]


def test_arguments_are_passed_as_they_are(loop):
    marker = object()
    seen = []
    loop.call_soon(seen.append, None)
    loop.call_soon(seen.append, ())
    loop.call_soon(seen.append, marker)
    one_turn(loop)
    assert seen == [None, (), marker]


def test_keyword_arguments_other_than_context_are_refused(loop):
    with pytest.raises(TypeError):
        loop.call_soon(print, end="")


def test_a_callback_is_required(loop):
    with pytest.raises(TypeError):
        loop.call_soon()


def test_every_kind_of_callable_is_called(loop):
    seen = []

    class Callable:
        def __call__(self, value):
            seen.append(("instance", value))

        def method(self, value):
            seen.append(("method", value))

        @classmethod
        def of_class(cls, value):
            seen.append(("class", value))

    loop.call_soon(Callable(), 1)
    loop.call_soon(Callable().method, 2)
    loop.call_soon(Callable.of_class, 3)
    loop.call_soon(seen.append, 4)
    loop.call_soon(dict, ())
    one_turn(loop)
    assert seen == [("instance", 1), ("method", 2), ("class", 3), 4]


def test_the_result_of_a_callback_is_dropped(loop):
    loop.call_soon(lambda: "nobody looks at this")
    one_turn(loop)


# contexts


def test_a_callback_runs_in_the_context_of_its_scheduling(loop):
    seen = []

    def schedule():
        VARIABLE.set("scheduled")
        loop.call_soon(lambda: seen.append(VARIABLE.get()))

    contextvars.copy_context().run(schedule)
    one_turn(loop)
    assert seen == ["scheduled"]
    assert VARIABLE.get() == "default"


def test_later_changes_do_not_reach_a_scheduled_callback(loop):
    seen = []

    def schedule():
        VARIABLE.set("before")
        loop.call_soon(lambda: seen.append(VARIABLE.get()))
        VARIABLE.set("after")

    contextvars.copy_context().run(schedule)
    one_turn(loop)
    assert seen == ["before"]


def test_a_callback_changes_only_its_own_context(loop):
    seen = []
    loop.call_soon(VARIABLE.set, "changed")
    loop.call_soon(lambda: seen.append(VARIABLE.get()))
    one_turn(loop)
    assert seen == ["default"]
    assert VARIABLE.get() == "default"


def test_a_given_context_is_used_and_not_copied(loop):
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "given")
    seen = []

    def callback(value):
        seen.append(VARIABLE.get())
        VARIABLE.set(value)

    loop.call_soon(callback, "first", context=context)
    loop.call_soon(callback, "second", context=context)
    one_turn(loop)
    assert seen == ["given", "first"]
    assert context[VARIABLE] == "second"


def test_context_none_means_a_copy_of_the_current_one(loop):
    seen = []

    def schedule():
        VARIABLE.set("current")
        loop.call_soon(lambda: seen.append(VARIABLE.get()), context=None)

    contextvars.copy_context().run(schedule)
    one_turn(loop)
    assert seen == ["current"]


def test_every_way_of_scheduling_takes_a_context(loop):
    seen = []
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "given")

    def callback(name):
        seen.append((name, VARIABLE.get()))

    loop.call_soon(callback, "soon", context=context)
    loop.call_soon_threadsafe(callback, "threadsafe", context=context)
    loop.call_later(0, callback, "later", context=context)
    loop.call_at(loop.time(), callback, "at", context=context)
    loop.call_later(0, loop.stop)
    loop.run_forever()
    assert sorted(seen) == [(name, "given") for name in ("at", "later", "soon", "threadsafe")]


def test_every_way_of_scheduling_captures_the_current_context(loop):
    seen = []

    def callback(name):
        seen.append((name, VARIABLE.get()))

    def schedule():
        VARIABLE.set("captured")
        loop.call_soon(callback, "soon")
        loop.call_soon_threadsafe(callback, "threadsafe")
        loop.call_later(0, callback, "later")
        loop.call_at(loop.time(), callback, "at")

    contextvars.copy_context().run(schedule)
    loop.call_later(0, loop.stop)
    loop.run_forever()
    assert sorted(seen) == [(name, "captured") for name in ("at", "later", "soon", "threadsafe")]


def test_a_context_survives_the_error_of_its_callback(loop, ledger):
    context = contextvars.copy_context()

    def failing():
        VARIABLE.set("left behind")
        raise ValueError("failed")

    loop.call_soon(failing, context=context)
    one_turn(loop)
    assert context[VARIABLE] == "left behind"
    assert VARIABLE.get() == "default"
    assert isinstance(ledger.take_loop_error()["exception"], ValueError)


def test_a_context_that_is_already_entered_is_reported(loop, ledger):
    """From 3.12 the exception handler runs in that context as well, so it ends in the log."""
    context = contextvars.copy_context()
    seen = []
    loop.call_soon(seen.append, "not reached", context=context)
    context.run(one_turn, loop)
    assert seen == []
    reports = [str(e["exception"]) for e in ledger.take_loop_errors()]
    reports += [record.getMessage() for record in ledger.take_records()]
    assert "already entered" in "".join(reports)


# cancelling


def test_a_cancelled_handle_never_runs(loop):
    seen = []
    for count in range(4):
        loop.call_soon(lambda *args: seen.append(args), *range(count)).cancel()
    loop.call_soon_threadsafe(seen.append, "threadsafe").cancel()
    one_turn(loop)
    assert seen == []


def test_a_handle_can_be_cancelled_by_an_earlier_callback_of_the_same_turn(loop):
    seen = []
    handles = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(seen.append, "cancelled"))
    loop.call_soon(seen.append, "kept")
    one_turn(loop)
    assert seen == ["kept"]


def test_a_callback_may_cancel_its_own_handle(loop):
    seen = []
    handles = []

    def callback(value):
        handles[0].cancel()
        seen.append(value)

    handles.append(loop.call_soon(callback, 1))
    one_turn(loop)
    assert seen == [1]
    assert handles[0].cancelled()


def test_cancelling_a_handle_that_ran_changes_nothing(loop):
    seen = []
    handle = loop.call_soon(seen.append, 1)
    one_turn(loop)
    handle.cancel()
    handle.cancel()
    one_turn(loop)
    assert seen == [1]


def test_cancelling_releases_the_callback_and_its_arguments_at_once(loop):
    released = []

    class Argument:
        def __del__(self):
            released.append(True)

    handle = loop.call_soon(lambda _argument: None, Argument())
    assert not released
    handle.cancel()
    assert released == [True]
    one_turn(loop)


def test_a_callback_that_ran_is_released_with_its_arguments(loop):
    released = []

    class Argument:
        def __del__(self):
            released.append(True)

    loop.call_soon(lambda _argument: None, Argument())
    one_turn(loop)
    assert released == [True]


def test_a_long_chain_of_callbacks_starves_neither_timers_nor_io(loop):
    ours, theirs = nonblocking_pair()
    seen = set()

    def spin():
        if seen != {"timer", "reader"}:
            loop.call_soon(spin)
        else:
            loop.stop()

    with ours, theirs:
        theirs.send(b"x")
        loop.add_reader(ours, lambda: (ours.recv(1), seen.add("reader")))
        loop.call_later(0.001, seen.add, "timer")
        loop.call_soon(spin)
        loop.run_forever()
        loop.remove_reader(ours)


def test_the_loop_passes_itself_to_nobody(loop):
    async def main():
        assert asyncio.get_running_loop() is loop

    loop.call_soon(lambda *args: args and pytest.fail(f"unexpected {args}"))
    loop.run_until_complete(main())
