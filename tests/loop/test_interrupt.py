"""SIGINT: what asyncio.Runner promises holds while the loop is parked, spinning, or cleaning up."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.support.parked import when_parked
from tests.support.scripts import run_script


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def default_sigint():
    """A shell that starts jobs in the background makes them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_sigint_in_a_parked_loop_cancels_the_main_task(loop_factory):
    seen = []

    async def main():
        helper = when_parked(interrupt)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            helper.join()
            seen.append("finally")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(main())
        loop = runner.get_loop()
        assert not loop.is_running()
    assert seen == ["cancelled", "finally"]
    assert loop.is_closed()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigint_in_a_loop_that_waits_for_a_timer_cancels_the_main_task(loop_factory):
    async def main():
        helper = when_parked(interrupt)
        try:
            await asyncio.sleep(3600)
        finally:
            helper.join()

    with asyncio.Runner(loop_factory=loop_factory) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())


def test_sigint_in_a_busy_loop_cancels_the_main_task(loop_factory):
    seen = []

    async def main():
        interrupt()
        try:
            while True:
                await asyncio.sleep(0)
        finally:
            seen.append("finally")

    with asyncio.Runner(loop_factory=loop_factory) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
    assert seen == ["finally"]


def test_a_main_task_that_swallows_the_cancellation_returns_its_result(loop_factory):
    async def main():
        interrupt()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return "finished anyway"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == "finished anyway"


def test_a_second_sigint_interrupts_at_once(loop_factory):
    seen = []

    async def main():
        try:
            interrupt()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("first")
            when_parked(interrupt)
            await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=loop_factory) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
    assert seen == ["first"]


def test_the_other_tasks_are_cancelled_and_cleaned_up(loop_factory):
    seen = []

    async def other():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            seen.append("other")

    async def main():
        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        interrupt()
        await task

    with asyncio.Runner(loop_factory=loop_factory) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
    assert seen == ["other"]


def test_a_runner_can_run_again_after_sigint(loop_factory):
    async def interrupted():
        interrupt()
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        with pytest.raises(KeyboardInterrupt):
            runner.run(interrupted())
        assert runner.run(asyncio.sleep(0, "again")) == "again"


def test_without_a_runner_sigint_leaves_a_parked_run_forever(loop):
    helper = when_parked(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    helper.join()
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_without_a_runner_sigint_leaves_run_until_complete(loop):
    future = loop.create_future()
    helper = when_parked(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(future)
    helper.join()
    assert not future.done()
    future.set_result("later")
    assert loop.run_until_complete(future) == "later"


def test_an_exception_of_any_signal_handler_leaves_a_parked_loop(loop):
    """A plain `signal.signal` handler runs although the loop sleeps in native code."""

    def handler(_signum, _frame):
        raise LookupError("from the handler")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        helper = when_parked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        with pytest.raises(LookupError, match="from the handler"):
            loop.run_forever()
        helper.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_that_returns_does_not_end_the_wait(loop):
    """The poll is resumed with what is left of its time-out, never early."""
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append("handled"))
    try:
        deadline = loop.time() + 0.02
        loop.call_at(deadline, loop.stop)
        helper = when_parked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        loop.run_forever()
        assert loop.time() >= deadline
        helper.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == ["handled"]


def test_a_signal_handler_may_stop_the_loop_with_a_threadsafe_call(loop):
    before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(loop.stop))
    try:
        helper = when_parked(lambda: os.kill(os.getpid(), signal.SIGUSR1))
        loop.run_forever()
        helper.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_program_interrupted_by_sigint_ends_as_the_shell_expects(flavour):
    done = run_script(
        flavour,
        """
        async def main():
            loop = asyncio.get_running_loop()
            loop.call_soon(os.kill, os.getpid(), signal.SIGINT)
            try:
                await loop.create_future()
            finally:
                print("cleaned up", flush=True)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main())
        """,
    )
    assert done.stdout == "cleaned up\n"
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
