"""Exceptions in callbacks: who is told, in which words, and what leaves the run."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys

import pytest

from tests.support.loops import one_turn
from tests.support.net import nonblocking_pair

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


def failing(*_args):
    raise ValueError("from the callback")


@pytest.fixture
def reports(loop):
    """What the custom exception handler of the loop was told."""
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append((loop, context)))
    yield seen
    seen.clear()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_an_error_in_a_callback_is_reported_with_its_handle(loop, reports, count):
    handle = loop.call_soon(failing, *range(count))
    one_turn(loop)
    ((reporter, context),) = reports
    assert reporter is loop
    assert context["message"].startswith("Exception in callback ")
    assert "failing(" in context["message"]
    assert str(context["exception"]) == "from the callback"
    assert context["handle"] is handle


def test_an_error_in_a_timer_is_reported_with_its_handle(loop, reports):
    handle = loop.call_later(0, failing)
    one_turn(loop)
    ((_, context),) = reports
    assert context["handle"] is handle
    assert context["message"].startswith("Exception in callback failing(")


def test_an_error_in_a_threadsafe_callback_is_reported_with_its_handle(loop, reports):
    handle = loop.call_soon_threadsafe(failing)
    one_turn(loop)
    ((_, context),) = reports
    assert context["handle"] is handle


def test_an_error_in_a_reader_is_reported_and_the_loop_goes_on(loop, reports):
    ours, theirs = nonblocking_pair()
    with ours, theirs:
        theirs.send(b"x")
        loop.add_reader(ours, failing)
        one_turn(loop)
        loop.remove_reader(ours)
        one_turn(loop)
    assert [type(context["exception"]) for _, context in reports] == [ValueError]


def test_debug_mode_adds_where_the_handle_was_created(loop, reports):
    loop.set_debug(True)
    loop.call_soon(failing)
    one_turn(loop)
    ((_, context),) = reports
    names = [frame.name for frame in context["source_traceback"]]
    assert names[-1] == "test_debug_mode_adds_where_the_handle_was_created"


def test_the_traceback_of_the_error_leads_into_the_callback(loop, reports):
    loop.call_soon(failing)
    one_turn(loop)
    traceback = reports[0][1]["exception"].__traceback__
    while traceback.tb_next:
        traceback = traceback.tb_next
    assert traceback.tb_frame.f_code is failing.__code__


def test_the_callbacks_after_a_failing_one_still_run(loop, reports):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon(failing)
    loop.call_soon(seen.append, 2)
    one_turn(loop)
    assert seen == [1, 2]
    assert len(reports) == 1


def test_a_base_exception_that_is_no_exit_is_reported(loop, reports):
    class Odd(BaseException):
        pass

    def callback():
        raise Odd

    loop.call_soon(callback)
    one_turn(loop)
    assert [type(context["exception"]) for _, context in reports] == [Odd]


def test_a_cancelled_error_that_leaves_a_callback_is_reported(loop, reports):
    def callback():
        raise asyncio.CancelledError

    loop.call_soon(callback)
    one_turn(loop)
    assert len(reports) == 1


def test_the_exception_handler_can_be_read_and_removed(loop):
    def handler(loop, context):
        """Does nothing."""

    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


def test_an_exception_handler_must_be_callable(loop):
    with pytest.raises(TypeError, match="A callable object or None is expected"):
        loop.set_exception_handler("not callable")


def test_call_exception_handler_passes_the_context_on(loop, reports):
    context = {"message": "by hand", "anything": 1}
    loop.call_exception_handler(context)
    assert reports == [(loop, context)]


# the default handler


@pytest.fixture
def default_loop(loop, ledger):
    """The loop with its default exception handler; what it logs is taken from the ledger."""
    loop.set_exception_handler(None)
    yield loop
    loop.set_exception_handler(ledger.record_loop_error)


def test_the_default_handler_logs_the_message_the_handle_and_the_traceback(default_loop, ledger):
    default_loop.call_soon(failing)
    one_turn(default_loop)
    (record,) = ledger.take_records()
    assert record.levelno == logging.ERROR
    assert record.name == "asyncio"
    text = record.getMessage()
    assert text.startswith("Exception in callback failing(")
    assert "handle: <Handle failing(" in text
    assert record.exc_info[0] is ValueError


def test_the_default_handler_without_a_message_has_one_of_its_own(default_loop, ledger):
    default_loop.call_exception_handler({"something": "else"})
    (record,) = ledger.take_records()
    assert record.getMessage() == "Unhandled exception in event loop\nsomething: 'else'"


def test_default_exception_handler_may_be_called_by_a_custom_one(loop, ledger):
    loop.set_exception_handler(lambda loop, context: loop.default_exception_handler(context))
    loop.call_soon(failing)
    one_turn(loop)
    (record,) = ledger.take_records()
    assert "Exception in callback failing(" in record.getMessage()


def test_an_exception_handler_that_raises_is_itself_logged(loop, ledger):
    def broken(loop, context):
        raise LookupError("the handler failed")

    seen = []
    loop.set_exception_handler(broken)
    loop.call_soon(failing)
    loop.call_soon(seen.append, "still running")
    one_turn(loop)
    assert seen == ["still running"]
    (record,) = ledger.take_records()
    assert "Unhandled error in exception handler" in record.getMessage()
    assert "from the callback" in record.getMessage()
    assert record.exc_info[0] is LookupError


def test_a_subclass_may_override_the_default_handler(flavour, ledger):
    """What a subclass that fails in it leaves is a log record, and the loop goes on."""
    if flavour == "weft":
        import weft

        base = weft.EventLoop
    else:
        base = asyncio.SelectorEventLoop
    seen = []

    class Loop(base):
        def default_exception_handler(self, context):
            seen.append(context["message"])
            raise LookupError("overridden and broken")

    loop = Loop()
    loop.call_soon(failing)
    one_turn(loop)
    loop.close()
    assert len(seen) == 1
    (record,) = ledger.take_records()
    assert "Exception in default exception handler" in record.getMessage()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the handler's context is new in 3.12")
def test_the_exception_handler_runs_in_the_context_of_the_callback(loop):
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(VARIABLE.get()))
    context = contextvars.copy_context()
    context.run(VARIABLE.set, "of the callback")
    loop.call_soon(failing, context=context)
    one_turn(loop)
    assert seen == ["of the callback"]


# exits


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("how", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_an_exit_raised_by_a_callback_leaves_the_run(loop, kind, how):
    error = kind("leave")

    def leave():
        raise error

    seen = []
    (loop.call_later(0, leave) if how == "call_later" else getattr(loop, how)(leave))
    with pytest.raises(kind) as caught:
        loop.run_forever()
    assert caught.value is error
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None
    loop.call_soon(seen.append, "usable")
    one_turn(loop)
    assert seen == ["usable"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_callbacks_behind_an_exit_run_in_the_next_run(loop, kind):
    def leave():
        raise kind

    seen = []
    loop.call_soon(leave)
    loop.call_soon(seen.append, "kept")
    with pytest.raises(kind):
        loop.run_forever()
    assert seen == []
    one_turn(loop)
    assert seen == ["kept"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_raised_by_a_task_leaves_the_run_and_ends_the_task(loop, kind):
    async def main():
        raise kind("leave")

    task = loop.create_task(main())
    with pytest.raises(kind, match="leave"):
        loop.run_until_complete(task)
    assert isinstance(task.exception(), kind)
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_raised_by_the_exception_handler_leaves_the_run(loop, ledger, kind):
    def leave(loop, context):
        raise kind

    loop.set_exception_handler(leave)
    loop.call_soon(failing)
    with pytest.raises(kind):
        loop.run_forever()
    loop.set_exception_handler(ledger.record_loop_error)
    one_turn(loop)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_raised_by_a_reader_leaves_the_run(loop, kind):
    def leave():
        raise kind

    ours, theirs = nonblocking_pair()
    with ours, theirs:
        theirs.send(b"x")
        loop.add_reader(ours, leave)
        with pytest.raises(kind):
            loop.run_forever()
        assert loop.remove_reader(ours)
