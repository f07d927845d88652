"""Futures and tasks that the loop makes: CPython's own C types, names, contexts, factories."""

from __future__ import annotations

import _asyncio
import asyncio
import concurrent.futures
import contextvars
import gc
import sys

import pytest

from tests.support.loops import one_turn, turns

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


async def nothing():
    """Ends at once."""


def test_create_future_makes_cpythons_c_future(loop):
    future = loop.create_future()
    assert type(future) is _asyncio.Future
    assert future.get_loop() is loop
    future.cancel()


async def test_create_task_makes_cpythons_c_task(loop):
    task = loop.create_task(nothing())
    assert type(task) is _asyncio.Task
    assert task.get_loop() is loop
    await task


async def test_a_task_starts_in_a_later_turn(loop):
    seen = []

    async def child():
        seen.append("ran")

    task = loop.create_task(child())
    assert seen == []
    await task
    assert seen == ["ran"]


async def test_tasks_start_in_the_order_of_creation(loop):
    seen = []

    async def child(number):
        seen.append(number)

    await asyncio.gather(*[loop.create_task(child(n)) for n in range(50)])
    assert seen == list(range(50))


async def test_each_step_of_a_task_takes_one_turn(loop):
    seen = []

    async def child(name):
        for step in range(3):
            seen.append(f"{name}{step}")
            await asyncio.sleep(0)

    await asyncio.gather(child("a"), child("b"))
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]


async def test_a_task_can_be_named(loop):
    task = loop.create_task(nothing(), name="the name")
    assert task.get_name() == "the name"
    await task
    unnamed = loop.create_task(nothing())
    assert unnamed.get_name().startswith("Task-")
    await unnamed


async def test_a_task_runs_in_a_copy_of_the_current_context(loop):
    VARIABLE.set("current")

    async def child():
        seen = VARIABLE.get()
        VARIABLE.set("changed by the child")
        return seen

    assert await loop.create_task(child()) == "current"
    assert VARIABLE.get() == "current"


async def test_a_task_runs_in_the_context_it_was_given(loop):
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "given")

    async def child():
        seen = VARIABLE.get()
        await asyncio.sleep(0)
        VARIABLE.set("changed by the child")
        return seen

    assert await loop.create_task(child(), context=context) == "given"
    assert context[VARIABLE] == "changed by the child"


async def test_a_done_callback_runs_in_its_own_context(loop):
    seen = []
    future = loop.create_future()
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "given")
    future.add_done_callback(lambda _: seen.append(VARIABLE.get()), context=context)
    future.add_done_callback(lambda _: seen.append(VARIABLE.get()))
    future.set_result(None)
    assert seen == []
    await turns(1)
    assert seen == ["given", "default"]


async def test_done_callbacks_get_the_future_and_run_in_order(loop):
    seen = []
    future = loop.create_future()
    future.add_done_callback(lambda f: seen.append((1, f is future)))
    future.add_done_callback(lambda f: seen.append((2, f is future)))
    future.set_result(None)
    await turns(1)
    assert seen == [(1, True), (2, True)]


async def test_create_task_refuses_what_is_no_coroutine(loop):
    with pytest.raises(TypeError, match="a coroutine was expected"):
        loop.create_task(loop.create_future())


async def test_the_current_task_and_all_tasks_are_known(loop):
    inner = []

    async def child():
        inner.append(asyncio.current_task())
        await asyncio.sleep(0)

    task = loop.create_task(child())
    await turns(1)
    assert inner == [task]
    assert asyncio.all_tasks() == {asyncio.current_task(), task}
    await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_current_task_is_none_inside_a_callback(loop):
    seen = []
    loop.call_soon(lambda: seen.append(asyncio.current_task()))
    await turns(1)
    assert seen == [None]


async def test_cancel_arrives_at_the_await_and_is_counted(loop):
    seen = []

    async def child():
        try:
            await loop.create_future()
        except asyncio.CancelledError as error:
            seen.append(error.args)
            raise

    task = loop.create_task(child())
    await turns(1)
    assert task.cancel("reason")
    assert task.cancelling() == 1
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [("reason",)]
    assert task.cancelled()


async def test_a_task_cancelled_before_its_first_step_never_starts(loop):
    seen = []

    async def child():
        seen.append("started")

    task = loop.create_task(child())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == []


async def test_a_future_of_another_loop_cannot_be_awaited(loop, loop_factory):
    other = loop_factory()
    foreign = other.create_future()
    try:
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await foreign
    finally:
        foreign.cancel()
        other.close()


async def test_wrap_future_connects_a_concurrent_future(loop):
    distant = concurrent.futures.Future()
    wrapped = asyncio.wrap_future(distant)
    distant.set_result("from afar")
    assert await wrapped == "from afar"


async def test_an_exception_that_nobody_retrieves_is_reported(loop, ledger):
    async def failing():
        raise ValueError("nobody asks")

    task = loop.create_task(failing())
    await turns(2)
    assert task.done()
    del task
    report = ledger.take_loop_error()
    assert report["message"] == "Task exception was never retrieved"
    assert isinstance(report["exception"], ValueError)


def test_a_pending_task_that_is_destroyed_is_reported(loop, ledger):
    loop.create_task(nothing_forever(loop))
    one_turn(loop)
    gc.collect()
    report = ledger.take_loop_error()
    assert report["message"] == "Task was destroyed but it is pending!"
    report.clear()


async def nothing_forever(loop):
    await loop.create_future()


# factories


def test_the_task_factory_makes_the_tasks(loop):
    made = []

    def factory(loop, coro, **kwargs):
        task = asyncio.Task(coro, loop=loop, **kwargs)
        made.append((loop, task, kwargs))
        return task

    async def main():
        return "through the factory"

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    assert loop.run_until_complete(main()) == "through the factory"
    assert [entry[0] for entry in made] == [loop]
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    assert loop.run_until_complete(main()) == "through the factory"
    assert len(made) == 1
    made.clear()


def test_the_task_factory_gets_the_context_and_the_task_its_name(loop):
    seen = []

    def factory(loop, coro, **kwargs):
        seen.append(kwargs.get("context"))
        kwargs.pop("name", None)
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    context = contextvars.copy_context()
    task = loop.create_task(nothing(), name="named", context=context)
    assert task.get_name() == "named" or sys.version_info >= (3, 13)
    assert seen == [context]
    loop.run_until_complete(task)


def test_a_factory_that_knows_only_the_oldest_signature_still_works(loop):
    """`factory(loop, coro)` was the contract until 3.11 and is still called that way."""
    loop.set_task_factory(lambda loop, coro: asyncio.Task(coro, loop=loop))
    loop.run_until_complete(nothing())
    task = loop.create_task(nothing())
    loop.run_until_complete(task)


def test_a_task_factory_must_be_callable(loop):
    with pytest.raises(TypeError, match="task factory must be a callable or None"):
        loop.set_task_factory(42)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_the_eager_factory_runs_the_first_step_at_once(loop):
    seen = []

    async def child():
        seen.append("started")
        await asyncio.sleep(0)
        seen.append("ended")

    async def main():
        task = loop.create_task(child())
        assert seen == ["started"]
        await task
        done = loop.create_task(nothing())
        assert done.done()

    loop.set_task_factory(asyncio.eager_task_factory)
    loop.run_until_complete(main())
    assert seen == ["started", "ended"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
async def test_an_eager_task_is_the_current_task_while_it_runs(loop):
    seen = []

    async def child():
        seen.append(asyncio.current_task())

    outer = asyncio.current_task()
    task = asyncio.Task(child(), loop=loop, eager_start=True)
    assert seen == [task]
    assert asyncio.current_task() is outer


@pytest.mark.skipif(sys.version_info < (3, 13, 3), reason="extra arguments are new in 3.13.3")
async def test_create_task_passes_extra_arguments_to_the_task(loop):
    task = loop.create_task(nothing(), eager_start=True)
    assert task.done()


@pytest.mark.skipif(sys.version_info < (3, 13, 3), reason="extra arguments are new in 3.13.3")
async def test_create_task_passes_extra_arguments_to_the_factory(loop):
    seen = []

    def factory(loop, coro, **kwargs):
        seen.append(kwargs.pop("extra"))
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    await loop.create_task(nothing(), extra="argument")
    loop.set_task_factory(None)
    assert seen == ["argument"]


@pytest.mark.skipif(sys.version_info >= (3, 13, 3), reason="later versions take any argument")
async def test_create_task_refuses_arguments_it_does_not_know(loop):
    refused = nothing()
    with pytest.raises(TypeError):
        loop.create_task(refused, eager_start=True)
    refused.close()


def test_create_future_takes_nothing(loop):
    with pytest.raises(TypeError):
        loop.create_future(1)
    with pytest.raises(TypeError):
        loop.create_future(loop=loop)


def test_create_task_without_a_coroutine_is_a_mistake(loop):
    with pytest.raises(TypeError):
        loop.create_task()
    with pytest.raises(TypeError, match="coroutine was expected"):
        loop.create_task(42)
    coroutine = nothing()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, no_such_argument=1)
    coroutine.close()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_closed_loop_makes_no_task(loop_factory):
    loop = loop_factory()
    loop.close()
    coroutine = nothing()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()


async def test_create_task_takes_the_coroutine_by_name(loop):
    assert await loop.create_task(coro=nothing(), name="named") is None


async def test_a_class_put_in_the_place_of_tasks_or_futures_is_used(loop, monkeypatch):
    """As tools do that patch asyncio."""

    class Task(asyncio.Task):
        """Another class of tasks."""

    class Future(asyncio.Future):
        """Another class of futures."""

    monkeypatch.setattr(asyncio.tasks, "Task", Task)
    monkeypatch.setattr(asyncio.futures, "Future", Future)
    task = loop.create_task(nothing())
    assert type(task) is Task
    await task
    future = loop.create_future()
    assert type(future) is Future
    future.cancel()
