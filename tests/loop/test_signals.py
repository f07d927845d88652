"""add_signal_handler and remove_signal_handler."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import socket
import sys
import threading

import pytest

from tests.support.loops import one_turn, turns
from tests.support.parked import when_parked

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


def send(signum=signal.SIGUSR1):
    os.kill(os.getpid(), signum)


def test_a_signal_wakes_a_parked_loop_and_calls_its_handler(loop):
    seen = []

    def handler(*args):
        seen.append((args, asyncio.get_running_loop()))
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two")
    helper = when_parked(send)
    loop.run_forever()
    helper.join()
    assert seen == [((1, "two"), loop)]
    seen.clear()
    assert loop.remove_signal_handler(signal.SIGUSR1)


async def test_the_handler_is_called_by_the_loop_and_not_in_the_middle_of_a_callback(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "handled")
    send()
    for _ in range(1000):
        assert seen == []
    while not seen:
        await turns(1)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_that_arrives_while_the_loop_is_not_running_is_delivered_by_the_next_run(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("handled"), loop.stop()))
    send()
    assert seen == []
    loop.run_forever()
    assert seen == ["handled"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_between_two_runs_is_delivered(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("handled"), loop.stop()))
    one_turn(loop)
    send()
    loop.run_forever()
    assert seen == ["handled"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_every_signal_has_its_own_handler(loop):
    seen = []

    def note(name):
        seen.append(name)
        if len(seen) == 3:
            loop.stop()

    wanted = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
    for signum in wanted:
        loop.add_signal_handler(signum, note, signum)
    for signum in wanted:
        send(signum)
    loop.run_forever()
    assert sorted(seen) == sorted(wanted)
    for signum in wanted:
        assert loop.remove_signal_handler(signum)


def test_a_handler_is_called_again_for_each_later_signal(loop):
    seen = []

    async def main():
        for count in range(1, 6):
            send()
            while len(seen) < count:
                await turns(1)

    loop.add_signal_handler(signal.SIGUSR1, seen.append, None)
    loop.run_until_complete(main())
    loop.remove_signal_handler(signal.SIGUSR1)
    assert len(seen) == 5


async def test_a_second_handler_replaces_the_first(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "first")
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "second")
    send()
    while not seen:
        await turns(1)
    await turns(2)
    assert seen == ["second"]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert not loop.remove_signal_handler(signal.SIGUSR1)


async def test_removing_returns_whether_there_was_a_handler(loop):
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


def test_removing_restores_the_default_action(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_removing_the_handler_of_sigint_restores_keyboard_interrupt(loop):
    before = signal.getsignal(signal.SIGINT)
    try:
        loop.add_signal_handler(signal.SIGINT, print)
        loop.remove_signal_handler(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


async def test_a_handler_for_sigint_replaces_keyboard_interrupt(loop):
    before = signal.getsignal(signal.SIGINT)
    seen = []
    loop.add_signal_handler(signal.SIGINT, seen.append, "handled")
    try:
        send(signal.SIGINT)
        while not seen:
            await turns(1)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)


def test_closing_the_loop_removes_its_handlers(loop_factory):
    loop = loop_factory()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_handlers_outlast_a_run(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    for _ in range(3):
        send()
        loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_may_remove_itself(loop):
    seen = []

    def handler():
        seen.append(loop.remove_signal_handler(signal.SIGUSR1))
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, handler)
    send()
    loop.run_forever()
    assert seen == [True]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


async def test_the_handler_runs_in_the_context_of_its_registration(loop):
    seen = []
    VARIABLE.set("registered")
    loop.add_signal_handler(signal.SIGUSR1, lambda: seen.append(VARIABLE.get()))
    VARIABLE.set("later")
    send()
    while not seen:
        await turns(1)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert seen == ["registered"]


async def test_an_error_in_a_handler_is_reported(loop, ledger):
    def failing():
        raise LookupError("in the handler")

    loop.add_signal_handler(signal.SIGUSR1, failing)
    send()
    while not (reports := ledger.take_loop_errors()):
        await turns(1)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert isinstance(reports[0]["exception"], LookupError)


def test_coroutines_are_refused(loop):
    async def coroutine():
        """Never called."""

    with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine)
    coro = coroutine()
    with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
        loop.add_signal_handler(signal.SIGUSR1, coro)
    coro.close()


@pytest.mark.parametrize("bad", ["SIGUSR1", 1.5, None])
def test_a_signal_must_be_an_integer(loop, bad):
    with pytest.raises(TypeError, match="sig must be an int"):
        loop.add_signal_handler(bad, print)
    with pytest.raises(TypeError, match="sig must be an int"):
        loop.remove_signal_handler(bad)


@pytest.mark.parametrize("bad", [0, -1, 1000])
def test_a_signal_must_exist(loop, bad):
    with pytest.raises(ValueError, match=f"invalid signal number {bad}"):
        loop.add_signal_handler(bad, print)
    with pytest.raises(ValueError, match=f"invalid signal number {bad}"):
        loop.remove_signal_handler(bad)


def test_a_signal_that_cannot_be_caught_is_refused(loop):
    with pytest.raises(RuntimeError, match="sig 9 cannot be caught"):
        loop.add_signal_handler(signal.SIGKILL, print)
    assert not loop.remove_signal_handler(signal.SIGKILL)


def test_only_the_main_thread_may_add_handlers(loop):
    errors = []

    def add():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except (RuntimeError, ValueError) as error:
            errors.append(type(error))

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert errors == [RuntimeError]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_closed_loop_refuses_handlers(loop_factory):
    loop = loop_factory()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_signals_of_others_do_not_disturb_the_loop(loop):
    """A handler that the loop does not own writes to its wake-up descriptor too."""
    seen = []
    before = signal.signal(signal.SIGUSR2, lambda *_: seen.append("plain"))
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("loop"), loop.stop()))
    try:
        send(signal.SIGUSR2)
        send(signal.SIGUSR1)
        loop.run_forever()
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        signal.signal(signal.SIGUSR2, before)
    assert sorted(seen) == ["loop", "plain"]


@pytest.mark.weft_only("asyncio's wake-up socket overflows, with a traceback for each signal")
def test_a_storm_of_signals_is_survived_quietly(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, None)
    for _ in range(20_000):
        send()
    one_turn(loop)
    del seen[:]
    send()
    while not seen:
        one_turn(loop)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_the_wakeup_descriptor_of_others_is_given_back(loop):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno())
        one_turn(loop)
        assert signal.set_wakeup_fd(-1) == theirs.fileno()


@pytest.mark.weft_only("asyncio takes the wake-up from whichever loop has it")
async def test_a_second_loop_that_loses_its_last_handler_does_not_deafen_the_first(
    loop, loop_factory
):
    heard = asyncio.Event()
    other = loop_factory()
    other.add_signal_handler(signal.SIGUSR2, heard.set)
    loop.add_signal_handler(signal.SIGUSR1, heard.set)
    assert other.remove_signal_handler(signal.SIGUSR2)
    other.close()
    send()
    await asyncio.wait_for(heard.wait(), 5)
    assert loop.remove_signal_handler(signal.SIGUSR1)


def test_a_loop_closed_while_the_interpreter_ends_leaves_the_handlers_alone(
    loop_factory, monkeypatch
):
    """The signal module may be half gone then."""
    loop = loop_factory()
    loop.add_signal_handler(signal.SIGUSR1, print)
    kept = signal.getsignal(signal.SIGUSR1)
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    with pytest.warns(ResourceWarning, match="skipping signal handlers removal"):
        loop.close()
    monkeypatch.undo()
    assert signal.signal(signal.SIGUSR1, signal.SIG_DFL) is kept
    signal.set_wakeup_fd(-1)
