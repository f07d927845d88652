"""run_in_executor and the default executor: results, errors, contexts, shutdown."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import sys
import threading

import pytest

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")


async def test_the_result_of_a_function_comes_back(loop):
    assert await loop.run_in_executor(None, divmod, 17, 5) == (3, 2)


async def test_the_function_runs_in_another_thread(loop):
    ident = await loop.run_in_executor(None, threading.get_ident)
    assert ident != threading.get_ident()


async def test_the_error_of_a_function_comes_back(loop):
    def failing():
        raise LookupError("in the thread")

    with pytest.raises(LookupError, match="in the thread"):
        await loop.run_in_executor(None, failing)


async def test_a_custom_executor_is_used(loop):
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="custom") as executor:
        name = await loop.run_in_executor(executor, lambda: threading.current_thread().name)
    assert name.startswith("custom")


async def test_a_custom_default_executor_is_used_and_shut_down_with_the_loop(loop):
    executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="default")
    loop.set_default_executor(executor)
    name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
    assert name.startswith("default")
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError):
        executor.submit(print)


async def test_the_default_executor_must_have_threads(loop):
    with pytest.raises(TypeError, match="executor must be ThreadPoolExecutor instance"):
        loop.set_default_executor(concurrent.futures.Executor())


async def test_threads_of_the_default_executor_are_named_after_asyncio(loop):
    name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
    assert name.startswith("asyncio_")


async def test_work_runs_side_by_side(loop):
    both = threading.Barrier(2)
    await asyncio.gather(*[loop.run_in_executor(None, both.wait, 5) for _ in range(2)])


async def test_the_loop_goes_on_while_a_function_blocks(loop):
    release = threading.Event()
    blocked = loop.run_in_executor(None, release.wait, 5)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not blocked.done()
    release.set()
    assert await blocked is True


async def test_many_small_jobs_all_come_back(loop):
    jobs = [loop.run_in_executor(None, pow, n, 2) for n in range(500)]
    assert await asyncio.gather(*jobs) == [n * n for n in range(500)]


async def test_a_cancelled_job_that_has_not_started_never_runs(loop):
    seen = []
    release, started = threading.Event(), threading.Event()

    def block():
        started.set()
        release.wait(5)

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        first = loop.run_in_executor(executor, block)
        second = loop.run_in_executor(executor, seen.append, "ran")
        started.wait(5)
        second.cancel()
        await asyncio.sleep(0)
        release.set()
        await first
    assert second.cancelled()
    assert seen == []


async def test_run_in_executor_does_not_carry_the_context(loop):
    VARIABLE.set("of the caller")
    assert await loop.run_in_executor(None, VARIABLE.get) == "default"


async def test_to_thread_carries_the_context_and_keywords(loop):
    VARIABLE.set("of the caller")

    def function(one, *, two):
        seen = VARIABLE.get()
        VARIABLE.set("changed in the thread")
        return one, two, seen

    assert await asyncio.to_thread(function, 1, two=2) == (1, 2, "of the caller")
    assert VARIABLE.get() == "of the caller"


async def test_after_its_shutdown_the_default_executor_refuses(loop):
    await loop.run_in_executor(None, int)
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        loop.run_in_executor(None, int)


async def test_shutdown_without_an_executor_returns_at_once(loop):
    await loop.shutdown_default_executor()


async def test_shutdown_waits_for_what_still_runs(loop):
    seen = []
    started, release = threading.Event(), threading.Event()

    def slow():
        started.set()
        release.wait(5)
        seen.append("finished")

    job = loop.run_in_executor(None, slow)
    started.wait(5)
    shutdown = asyncio.ensure_future(loop.shutdown_default_executor())
    await asyncio.sleep(0)
    release.set()
    await shutdown
    assert seen == ["finished"]
    await job


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in 3.12, whose first releases wait")
async def test_shutdown_gives_up_after_its_timeout(loop):
    release = threading.Event()
    job = loop.run_in_executor(None, release.wait, 5)
    start = loop.time()
    with pytest.warns(RuntimeWarning, match="did not finish.* joining its threads within 0.01"):
        await loop.shutdown_default_executor(timeout=0.01)
    assert 0.01 <= loop.time() - start < 2
    release.set()
    await job


def test_closing_the_loop_does_not_wait_for_threads(loop_factory):
    loop = loop_factory()
    started, release = threading.Event(), threading.Event()

    def slow():
        started.set()
        release.wait(5)

    loop.run_in_executor(None, slow).add_done_callback(lambda f: f.cancelled() or f.exception())
    started.wait(5)
    loop.close()
    release.set()


def test_a_job_that_ends_after_the_loop_was_closed_is_dropped_quietly(loop_factory):
    loop = loop_factory()
    release = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        future = loop.run_in_executor(executor, release.wait, 5)
        loop.close()
        release.set()
    assert not future.done()


def test_debug_mode_refuses_coroutines(loop):
    loop.set_debug(True)

    async def coroutine():
        """Never called."""

    with pytest.raises(TypeError, match="coroutines cannot be used with run_in_executor"):
        loop.run_in_executor(None, coroutine)
