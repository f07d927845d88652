"""The doors that programs use: asyncio.Runner, asyncio.run, weft.run and weft.install."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import warnings

import pytest

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


async def running_loop():
    return asyncio.get_running_loop()


def test_a_runner_runs_on_the_loop_of_its_factory(loop_factory, raw_loop_factory):
    kind = type(loop := raw_loop_factory())
    loop.close()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        ran_on = runner.run(running_loop())
        assert ran_on is runner.get_loop()
        assert isinstance(ran_on, kind)
    assert ran_on.is_closed()


def test_a_runner_keeps_its_context_between_runs(loop_factory):
    async def change():
        VARIABLE.set("changed")

    async def read():
        return VARIABLE.get()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(change())
        assert runner.run(read()) == "changed"
    assert VARIABLE.get() == "default"


def test_a_runner_hands_debug_on(loop_factory):
    with asyncio.Runner(loop_factory=loop_factory, debug=True) as runner:
        assert runner.get_loop().get_debug() is True
    with asyncio.Runner(loop_factory=loop_factory, debug=False) as runner:
        assert runner.get_loop().get_debug() is False


def test_a_closing_runner_cancels_what_is_left(loop_factory):
    seen = []

    async def left_behind():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("cleaned up")

    async def main():
        task = asyncio.get_running_loop().create_task(left_behind())
        await asyncio.sleep(0)
        return task

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        task = runner.run(main())
        assert seen == []
    assert seen == ["cleaned up"]
    assert task.cancelled()


def test_a_closing_runner_reports_errors_of_what_it_cancels(loop_factory, ledger):
    async def stubborn():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            raise LookupError("while cancelled")

    async def main():
        task = asyncio.get_running_loop().create_task(stubborn())
        await asyncio.sleep(0)
        return task

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        task = runner.run(main())
    assert task.done()
    report = ledger.take_loop_error()
    assert report["message"] == "unhandled exception during asyncio.run() shutdown"
    report.clear()


def test_a_closing_runner_ends_generators_and_executor_threads(loop_factory):
    seen = []

    async def generator():
        try:
            yield 1
        finally:
            seen.append("generator closed")

    async def main():
        loop = asyncio.get_running_loop()
        loop.kept = generator()
        await anext(loop.kept)
        await loop.run_in_executor(None, seen.append, "in a thread")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
        loop = runner.get_loop()
    del loop.kept
    assert seen == ["in a thread", "generator closed"]


def test_a_runner_refuses_to_run_inside_a_loop(loop_factory):
    async def main():
        refused = running_loop()
        with asyncio.Runner(loop_factory=loop_factory) as inner:
            with pytest.raises(RuntimeError, match=r"cannot be called from a running event loop"):
                inner.run(refused)
            refused.close()
            inner.get_loop()
            # its own close would run a loop inside this one
            inner._state = type(inner._state).CLOSED
            inner._loop.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the argument is new in 3.12")
def test_run_takes_a_loop_factory(loop_factory, raw_loop_factory):
    kind = type(loop := raw_loop_factory())
    loop.close()
    assert isinstance(asyncio.run(running_loop(), loop_factory=loop_factory), kind)


def test_isolated_runs_do_not_see_each_other(loop_factory):
    loops = []
    for _ in range(3):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            loops.append(runner.run(running_loop()))
    assert len({id(loop) for loop in loops}) == 3
    assert all(loop.is_closed() for loop in loops)


def test_runners_work_in_several_threads_at_once(loop_factory):
    import threading

    results = []
    everybody = threading.Barrier(4)

    async def main(number):
        await asyncio.to_thread(everybody.wait, 5)
        return number

    def program(number):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results.append(runner.run(main(number)))

    threads = [threading.Thread(target=program, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]


# weft's own doors


@pytest.fixture
def policy():
    """Puts the event loop policy back that was there before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        before = asyncio.get_event_loop_policy()
        yield
        asyncio.set_event_loop_policy(before)


@pytest.mark.weft_only("install is weft's")
@pytest.mark.skipif(sys.version_info >= (3, 16), reason="policies are gone")
def test_install_makes_asyncio_run_on_weft(policy):
    import weft

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        weft.install()
    loop = asyncio.run(running_loop())
    assert isinstance(loop, weft.EventLoop)
    loop = asyncio.new_event_loop()
    assert isinstance(loop, weft.EventLoop)
    loop.close()


@pytest.mark.weft_only("weft.run is weft's")
def test_weft_run_runs_on_weft_and_returns_the_result():
    import weft

    async def main():
        return type(asyncio.get_running_loop()), asyncio.get_running_loop().get_debug()

    assert weft.run(main()) == (weft.EventLoop, False)
    assert weft.run(main(), debug=True) == (weft.EventLoop, True)


@pytest.mark.weft_only("weft.run is weft's")
def test_weft_run_leaves_the_policy_alone():
    import weft

    weft.run(running_loop())
    loop = asyncio.new_event_loop()
    assert not isinstance(loop, weft.EventLoop)
    loop.close()


@pytest.mark.weft_only("weft.run is weft's")
def test_weft_run_refuses_to_run_inside_a_loop(loop):
    import weft

    async def main():
        refused = running_loop()
        with pytest.raises(RuntimeError, match="cannot be called"):
            weft.run(refused)
        refused.close()

    loop.run_until_complete(main())


@pytest.mark.weft_only("the class is weft's")
def test_a_weft_loop_is_an_asyncio_base_event_loop(loop):
    """Libraries ask `isinstance(loop, asyncio.BaseEventLoop)` before they use newer arguments."""
    import weft

    assert isinstance(loop, weft.EventLoop)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)
    assert type(weft.new_event_loop).__name__ in ("function", "builtin_function_or_method", "type")


@pytest.mark.weft_only("the class is weft's")
def test_a_weft_loop_can_be_subclassed(ledger):
    import weft

    class Loop(weft.EventLoop):
        def __init__(self):
            super().__init__()
            self.scheduled = 0

        def call_soon(self, callback, *args, context=None):
            self.scheduled += 1
            return super().call_soon(callback, *args, context=context)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(asyncio.sleep(0))
        assert runner.get_loop().scheduled >= 2
